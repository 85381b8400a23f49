/** Wrong messages against a running speaker: what is counted, shown and changed by a reload; a peer that fills the attribute store. */
import t from 'tap'
import type { ErrorView } from '../../src/api/types.js'
import {
  AS_PATH,
  Client,
  GOOD,
  hex8,
  LOCAL_PREF,
  message,
  NEXT_HOP,
  nlri,
  ORIGIN,
  update,
} from '../robustness/client.js'
import { until } from '../support/wait.js'
import { Given, type Node, PORT } from './given.js'

const US = '127.0.8.1'
const PEER = '127.0.8.2'
const OTHER = '127.0.8.3'
const P1 = '10.1.0.0/16'
const P2 = '10.2.0.0/16'
const BAD_MED = '800403000001'

function file(keys = ''): string {
  const one = (name: string, address: string): string =>
    `  - { name: ${name}, address: ${address}, asn: 64512, passive: true${keys === '' ? '' : `, ${keys}`} }`
  return `neighbors:\n${one('peer', PEER)}\n${one('other', OTHER)}`
}

async function reasonOf(node: Node, prefix: string): Promise<string> {
  const [path] = await node.rib(`prefix=${encodeURIComponent(prefix)}`)
  return path === undefined ? 'unknown' : path.valid ? 'valid' : path.reason
}

function untilReason(node: Node, prefix: string, wanted: RegExp): Promise<string> {
  return until(
    `${prefix} is ${wanted}`,
    () => reasonOf(node, prefix),
    (reason) => wanted.test(reason),
  )
}

t.test('show errors, counters, and lists that a reload changes on the live session', async (t) => {
  const given = new Given()
  const us = await given.node(US, file())
  const peer = await new Client(PORT, PEER, US).establish()
  t.teardown(async () => {
    peer.end()
    await given.stop()
  })
  const errors = (query = ''): Promise<ErrorView[]> => us.get(`/v1/errors${query}`)
  t.same(await errors(), [])
  peer.send(update('', GOOD, nlri(P1)))
  await untilReason(us, P1, /^valid$/)
  for (let n = 0; n < 3; n++) peer.send(update('', GOOD + BAD_MED, nlri(P1) + nlri(P2)))
  peer.send(update('', `${GOOD}400601aa`, nlri('10.3.0.0/16')))
  peer.send(update('', `800e0600018500ff${'ff'}${GOOD}`, nlri('10.4.0.0/16')))
  await untilReason(us, '10.4.0.0/16', /^valid$/)
  t.match(await reasonOf(us, P1), /treated as withdrawn.*MULTI_EXIT_DISC: length 3 is not 4 \(RFC 7606 §7.4\)/)
  const shown = await errors('?name=peer')
  t.match(shown, [
    { action: 'family-ignored', rule: 'RFC 4760 §8', reason: /AFI 1 SAFI 133/, attribute: null },
    { action: 'attribute-discard', rule: 'RFC 7606 §7.6', octets: '400601aa', prefixes: ['10.3.0.0/16'] },
    {
      action: 'treat-as-withdraw',
      message: 'UPDATE',
      rule: 'RFC 7606 §7.4',
      attribute: 4,
      attributeName: 'MULTI_EXIT_DISC',
      octets: BAD_MED,
      octetsLength: 6,
      prefixes: [P1, P2],
      prefixCount: 2,
      count: 3,
      messageOctets: update('', GOOD + BAD_MED, nlri(P1) + nlri(P2)),
      notification: null,
    },
  ])
  t.equal(shown.length, 3)
  t.match(await us.neighbor('peer'), {
    updateErrors: 4,
    errors: { treatedAsWithdraw: 3, attributesDiscarded: 1, sessionResets: 0, familiesIgnored: 1 },
    state: 'Established',
  })
  t.match(await us.ask('/v1/errors?name=nobody'), { status: 404 })
  t.same(await errors('?name=other'), [])

  t.match(await us.reload(file('discardAttributes: [4]')), { status: 200 })
  await untilReason(us, P1, /^valid$/)
  await untilReason(us, P2, /^valid$/)
  t.match(await us.reload(file('treatAsWithdrawAttributes: [LOCAL_PREF]')), { status: 200 })
  await untilReason(us, '10.4.0.0/16', /treatAsWithdrawAttributes.*LOCAL_PREF/)
  t.match(await us.reload(file()), { status: 200 })
  await untilReason(us, '10.4.0.0/16', /^valid$/)
  t.match(await reasonOf(us, P1), /MULTI_EXIT_DISC/)
  t.notOk(peer.isClosed, 'all of it on one session')

  peer.send(update('', `${ORIGIN}${AS_PATH}40030411${NEXT_HOP}${LOCAL_PREF}`, ''))
  await peer.closed()
  t.equal(peer.notification(), '0301')
  t.match((await errors())[0], {
    action: 'session-reset',
    message: 'UPDATE',
    notification: { code: 3, subcode: 1, name: /Malformed Attribute List/ },
    rule: 'RFC 7606 §5.2',
  })
  await until(
    'the routes are gone',
    () => us.rib(),
    (rows) => rows.length === 0,
  )
  const stranger = new Client(PORT, OTHER, US)
  await stranger.connected()
  stranger.send(message(1, '03fc00005a7f42000100'))
  await stranger.closed()
  t.match((await errors('?name=other'))[0], { message: 'OPEN', notification: { code: 2, subcode: 1 } })
  t.match(await us.reload('neighbors: []'), { status: 200 })
  t.equal((await errors('?name=peer')).length, 4, 'they outlive the neighbour')
})

t.test('AS_SETs and limits by configuration', async (t) => {
  const given = new Given()
  const us = await given.node(US, file('maxAsPath: 3, maxCommunities: 2'))
  const peer = await new Client(PORT, PEER, US).establish()
  t.teardown(async () => {
    peer.end()
    await given.stop()
  })
  const path = (...asns: number[]): string =>
    `4002${hex8(2 + 4 * asns.length)}02${hex8(asns.length)}${asns.map((asn) => asn.toString(16).padStart(8, '0')).join('')}`
  peer.send(update('', `${ORIGIN}400206010100000007${NEXT_HOP}${LOCAL_PREF}`, nlri(P1)))
  peer.send(update('', `${ORIGIN}${path(1, 2, 3, 4)}${NEXT_HOP}${LOCAL_PREF}`, nlri(P2)))
  peer.send(update('', `${GOOD}c0080c${'fc000001'.repeat(3)}`, nlri('10.3.0.0/16')))
  await untilReason(us, P1, /AS_SET.*RFC 9774/)
  await untilReason(us, P2, /4 AS numbers are more than maxAsPath 3/)
  await untilReason(us, '10.3.0.0/16', /3 communities are more than maxCommunities 2/)
  t.match(await us.reload(file('allowAsSets: true')), { status: 200 })
  for (const prefix of [P1, P2, '10.3.0.0/16']) await untilReason(us, prefix, /^valid$/)
  t.notOk(peer.isClosed)
})

t.test('a peer that fills the attribute store: Cease 6/8, and all is given back', async (t) => {
  const given = new Given()
  const us = await given.node(US, file('maxAttributeSets: 500'))
  const peer = await new Client(PORT, PEER, US).establish()
  t.teardown(async () => {
    peer.end()
    await given.stop()
  })
  for (let n = 0; n < 600; n++)
    peer.send(update('', `${GOOD}800404${n.toString(16).padStart(8, '0')}`, nlri(`10.${n >> 8}.${n & 255}.0/24`)))
  await peer.closed()
  t.equal(peer.notification(), '0608')
  const summary = await until(
    'the sets are gone',
    () => us.summary(),
    ({ attributeSets }) => attributeSets === 0,
  )
  t.match(summary.peers[0], { state: 'Idle', lastReason: /maxAttributeSets 500/ })
  t.match(await us.get('/v1/errors'), [{ action: 'session-reset', notification: { code: 6, subcode: 8 } }])
})
