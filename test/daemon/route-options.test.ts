/** Settings of a neighbour that change what is exchanged, between real speakers: AS migration, graceful shutdown, RFC 8212, limits. */
import t from 'tap'
import { until } from '../support/wait.js'
import { Given, type Node, PORT } from './given.js'

const BOTH = 'import: accept-all, export: accept-all'

function peer(from: Node | string, name: string, address: string, asn: number, more: string): string {
  const source = typeof from === 'string' ? from : from.address
  return `neighbors:\n  - { name: ${name}, address: ${address}, port: ${PORT}, asn: ${asn}, sourceAddress: ${source}, connectRetry: 1s, ${more} }`
}

const established = (node: Node, name: string): Promise<unknown> =>
  until(
    `${node.address}: ${name} is Established`,
    () => node.neighbor(name),
    ({ state }) => state === 'Established',
  )
const path = (node: Node, prefix: string, accept: (path: string) => boolean): Promise<unknown> =>
  until(
    `${node.address}: path of ${prefix}`,
    () => node.rib(`prefix=${prefix}`),
    (rows) => rows.length > 0 && accept(rows[0]!.asPath),
  )

t.test('graceful shutdown: both ends move away before the session goes, and up cancels it', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const a = await given.node(
    '127.3.1.1',
    `originate: [{ prefix: 10.1.0.0/16, nextHop: 203.0.113.1 }]\n${peer('127.3.1.1', 'b', '127.3.1.2', 64513, `passive: true, ${BOTH}`)}`,
  )
  const b = await given.node(
    '127.3.1.2',
    `asn: 64513\noriginate: [{ prefix: 10.2.0.0/16, nextHop: 203.0.113.2 }]\n${peer('127.3.1.2', 'a', '127.3.1.1', 64512, BOTH)}`,
  )
  await a.winners('10.1.0.0/16', '10.2.0.0/16')
  await b.winners('10.1.0.0/16', '10.2.0.0/16')
  const localPref = (node: Node, prefix: string, wanted: number): Promise<unknown> =>
    until(
      `${node.address}: LOCAL_PREF ${wanted} for ${prefix}`,
      () => node.rib(`prefix=${prefix}`),
      ([row]) => (row?.localPref ?? 100) === wanted,
    )

  t.match(await a.post('/v1/neighbor/b/down', { graceful: true, waitSeconds: 600, text: 'card' }), { status: 200 })
  await localPref(b, '10.1.0.0/16', 0)
  await localPref(a, '10.2.0.0/16', 0)
  t.equal((await a.neighbor('b')).stateText, 'Established(GShut)')
  t.match((await b.rib('prefix=10.1.0.0/16'))[0]!.communities, ['65535:0'])

  t.match(await a.post('/v1/neighbor/b/up'), { status: 200 })
  await localPref(b, '10.1.0.0/16', 100)
  await localPref(a, '10.2.0.0/16', 100)
  t.equal((await a.neighbor('b')).stateText, 'Established')

  await a.post('/v1/neighbor/b/down', { graceful: true, waitSeconds: 1, text: 'card' })
  await until(
    'b knows that it was shut down',
    () => b.neighbor('a'),
    ({ lastReason }) => /6\/2 .*"card"/.test(lastReason),
  )
  t.equal((await a.neighbor('b')).stateText, 'Idle(Admin)')

  t.match(await a.post('/v1/neighbor/b/up'), { status: 200 })
  await b.loaded('a')
  const gone = peer(a, 'b', '127.3.1.2', 64513, `passive: true, ${BOTH}, gracefulShutdown: true`)
  t.match(await a.reload(`originate: [{ prefix: 10.1.0.0/16, nextHop: 203.0.113.1 }]\n${gone}`), {
    value: { diff: { neighborsReset: [] } },
  })
  await localPref(b, '10.1.0.0/16', 0)
  await localPref(a, '10.2.0.0/16', 0)
  t.match(await a.post('/v1/neighbor/b/down', { waitSeconds: 5 }), { status: 400 })
})

t.test('dualAsn: the AS that the neighbour takes is found, shown and used', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const dual = `localAsn: 64999, dualAsn: true, localAsnMode: no-prepend, ${BOTH}`
  const a = await given.node(
    '127.3.2.1',
    `originate: [{ prefix: 10.1.0.0/16, nextHop: 203.0.113.1 }]\n${peer('127.3.2.1', 'b', '127.3.2.2', 64513, dual)}`,
  )
  const known = (asn: number): string =>
    `asn: 64513\n${peer('127.3.2.2', 'a', '127.3.2.1', asn, `passive: true, ${BOTH}`)}`
  const b = await given.node('127.3.2.2', known(64512))
  await path(b, '10.1.0.0/16', (text) => text === '64512')
  t.equal((await a.neighbor('b')).localAsn, 64512)
  await b.reload(known(64999))
  await path(b, '10.1.0.0/16', (text) => text === '64999 64512')
  t.equal((await a.neighbor('b')).localAsn, 64999)
})

t.test('RFC 8212: a policy on one side only, and what a reload makes of it', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const ofA = (policies: string): string =>
    `originate: [{ prefix: 10.1.0.0/16, nextHop: 203.0.113.1 }]\n${peer('127.3.3.1', 'b', '127.3.3.2', 64513, `passive: true${policies}`)}`
  const a = await given.node('127.3.3.1', ofA(', import: accept-all'))
  const b = await given.node(
    '127.3.3.2',
    `asn: 64513\noriginate: [{ prefix: 10.2.0.0/16, nextHop: 203.0.113.2 }]\n${peer('127.3.3.2', 'a', '127.3.3.1', 64512, BOTH)}`,
  )
  await a.winners('10.1.0.0/16', '10.2.0.0/16')
  await b.loaded('a')
  await b.winners('10.2.0.0/16')
  t.match((await a.neighbor('b')).notes, [/nothing is sent/])

  await a.reload(ofA(', export: accept-all'))
  await b.winners('10.1.0.0/16', '10.2.0.0/16')
  await a.winners('10.1.0.0/16')
  t.match((await a.neighbor('b')).notes, [/nothing is accepted/])
  t.match(await a.adjIn('b'), [{ prefix: '10.2.0.0/16', valid: false, reason: /RFC 8212/ }], 'kept, not used')

  await a.reload(ofA(''))
  await b.winners('10.2.0.0/16')
  t.equal((await a.neighbor('b')).stateText, 'Established(Policy)')

  await a.reload(ofA(`, ${BOTH}`))
  await a.winners('10.1.0.0/16', '10.2.0.0/16')
  await b.winners('10.1.0.0/16', '10.2.0.0/16')
  t.equal((await a.neighbor('b')).establishedCount, 1, 'all of it on one session')
})

t.test('an export policy that adds NO_EXPORT: the route goes out with it (RFC 1997)', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const policies = 'policies: { marked: [{ set: { communities: { add: [no-export] } }, action: accept }] }'
  await given.node(
    '127.3.4.1',
    `${policies}\noriginate: [{ prefix: 10.1.0.0/16, nextHop: 203.0.113.1 }]\n${peer('127.3.4.1', 'b', '127.3.4.2', 64513, 'passive: true, import: accept-all, export: marked')}`,
  )
  const b = await given.node('127.3.4.2', `asn: 64513\n${peer('127.3.4.2', 'a', '127.3.4.1', 64512, BOTH)}`)
  const [row] = await b.winners('10.1.0.0/16')
  t.same(row!.communities, ['65535:65281'])
})

t.test('maxPrefix: Idle(PfxCt) until restart is over, up or clear', async (t) => {
  const given = new Given()
  t.teardown(() => given.stop())
  const limit = `${BOTH}, maxPrefix: { limit: 1, restart: 1h }`
  const a = await given.node('127.3.5.1', peer('127.3.5.1', 'b', '127.3.5.2', 64513, `passive: true, ${limit}`))
  const ofB = (prefixes: string): string =>
    `asn: 64513\noriginate: [${prefixes}]\n${peer('127.3.5.2', 'a', '127.3.5.1', 64512, BOTH)}`
  const two = '{ prefix: 10.1.0.0/16, nextHop: 203.0.113.1 }, { prefix: 10.2.0.0/16, nextHop: 203.0.113.1 }'
  const b = await given.node('127.3.5.2', ofB(two))
  const stopped = (): Promise<unknown> =>
    until(
      'a stops b',
      () => a.neighbor('b'),
      ({ stateText }) => stateText === 'Idle(PfxCt)',
    )
  await stopped()
  await until(
    'b is told so',
    () => b.neighbor('a'),
    ({ lastReason }) => /6\/[15]/.test(lastReason),
  )
  await b.reload(ofB('{ prefix: 10.1.0.0/16 }'))
  await a.post('/v1/neighbor/b/clear')
  await established(a, 'b')
  await b.reload(ofB(two))
  await stopped()
  await b.reload(ofB('{ prefix: 10.1.0.0/16 }'))
  await a.post('/v1/neighbor/b/up')
  await established(a, 'b')
})
