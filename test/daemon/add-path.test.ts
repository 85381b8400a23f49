/** ADD-PATH from file to views: what is offered, negotiated, sent and shown. */
import t from 'tap'
import { formatExplain } from '../../src/cli/text/explain.js'
import { formatNeighbor } from '../../src/cli/text/neighbor.js'
import { until } from '../support/wait.js'
import { Given, PORT } from './given.js'

const RR = '127.0.0.1'
const [A, B, ALL, OLD] = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5'] as const
const ANYCAST = '10.244.9.0/26'

const off = 'fib: { driver: off }'

function client(address: string, rest = ''): string {
  return `  - { name: n${address.at(-1)}, address: ${address}, port: ${PORT}, asn: 64512, reflectorClient: true, connectRetry: 1s, sourceAddress: ${RR}${rest} }`
}

function towards(rest = ''): string {
  return `neighbors: [{ name: rr, address: ${RR}, asn: 64512, passive: true${rest} }]\n${off}`
}

t.test('all paths to a client that takes them, the winner to one that does not', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const originate = (nextHop: string): string => `originate: [{ prefix: ${ANYCAST}, nextHop: ${nextHop} }]`
  const rr = await given.node(
    RR,
    [
      `reflector: { clusterId: ${RR} }`,
      off,
      'neighbors:',
      client(A),
      client(B),
      client(ALL, ', addPath: { send: all }'),
      client(OLD, ', addPath: true'),
    ].join('\n'),
  )
  await given.node(A, `${originate('10.99.0.2')}\n${towards()}`)
  const b = await given.node(B, `${originate('10.99.0.3')}\n${towards()}`)
  const all = await given.node(ALL, towards(', addPath: { receive: true }'))
  const old = await given.node(OLD, towards())
  for (const name of ['n2', 'n3', 'n4', 'n5']) await rr.loaded(name)
  const received = await until(
    'both paths have arrived',
    () => all.adjIn('rr'),
    (rows) => rows.length === 2,
  )
  const sent = await rr.adjOut('n4')
  const key = ({ nextHop, pathId }: (typeof sent)[number]): string => `${nextHop} ${pathId}`
  t.same(received.map(key).sort(), sent.map(key).sort(), 'the identifiers that were sent')
  t.same(
    sent.map(({ best, from }) => `${from} ${best}`),
    ['n2 true', 'n3 false'],
    'the winner first',
  )
  t.equal((await all.rib()).filter(({ multipath }) => multipath).length, 2, 'two next hops share the load')
  t.same(
    (await old.adjIn('rr')).map(({ nextHop, pathId }) => [nextHop, pathId]),
    [['10.99.0.2', undefined]],
  )

  const n4 = await rr.neighbor('n4')
  t.match(n4, { notes: [], prefixesSent: 2, perFamily: [{ addPath: { send: 'all', receive: false }, sent: 2 }] })
  t.match(formatNeighbor(n4, { colour: false }), /ADD-PATH\n.*send all\n/)
  const n5 = await rr.neighbor('n5')
  t.match(n5.notes, [/addPath\.send of ipv4-unicast: the peer did not/, /addPath\.receive of ipv4-unicast: the peer/])
  t.notOk(n5.perFamily[0]!.addPath)
  t.match((await all.neighbor('rr')).perFamily, [{ addPath: { send: 0, receive: true }, received: 2 }])

  const text = formatExplain(await all.explain(ANYCAST), { colour: false })
  for (const { pathId } of sent) t.match(text, `rr (id ${pathId})`)
  const sentTo = (await rr.explain(ANYCAST)).sentTo.find(({ peer }) => peer === 'n4')
  for (const { pathId, from } of sent) t.match(sentTo?.note, `path ${pathId} from ${from}`)

  await b.reload(towards())
  await until(
    'one path is left',
    () => all.adjIn('rr'),
    (rows) => rows.length === 1 && rows[0]!.nextHop === '10.99.0.2',
  )
  t.same((await rr.groups()).map(({ prefixes }) => prefixes).sort(), [1, 1])
})
