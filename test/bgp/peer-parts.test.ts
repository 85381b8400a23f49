import fc from 'fast-check'
import t from 'tap'
import { History } from '../../src/bgp/history.js'
import { SESSION_KEYS, sessionKeysChanged } from '../../src/bgp/neighbor-keys.js'
import { countUpdates, shutdownData } from '../../src/bgp/outgoing.js'
import { PeerRanges } from '../../src/bgp/peer-ranges.js'
import { downKind, isProtocolError, messageName, refusesCapabilities } from '../../src/bgp/reason.js'
import type { SessionState } from '../../src/bgp/session-types.js'
import { canonicalAddress } from '../../src/bgp/transport.js'
import { Secret } from '../../src/config/secret.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { Family } from '../../src/net/family.js'
import { hostPort } from '../../src/net/host-port.js'
import { EMPTY_UPDATE, neighbor, range } from '../support/speaker.js'

t.test('the range of an address is the longest that covers it', async (t) => {
  const ranges = new PeerRanges()
  const names = ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.128/25', '2001:db8::/33', 'fe80::/10', '0.0.0.0/0']
  ranges.configure([
    ...names.map((text) => neighbor({ name: text, range: range(text) })),
    neighbor({ name: 'one', address: '10.1.2.200' }),
  ])
  const cases: [string, string | undefined][] = [
    ['10.9.9.9', '10.0.0.0/8'],
    ['10.1.2.127', '10.1.0.0/16'],
    ['10.1.2.128', '10.1.2.128/25'],
    ['11.0.0.0', '0.0.0.0/0'],
    ['2001:db8:7fff::1', '2001:db8::/33'],
    ['2001:db8:8000::1', undefined],
    ['fe80::1%eth0', 'fe80::/10'],
    ['', undefined],
    ['nonsense', undefined],
  ]
  for (const [address, name] of cases) t.equal(ranges.find(address)?.name, name, address)
  t.equal(ranges.configs().length, names.length)
})

t.test('which changes need a new session', async (t) => {
  const before = neighbor({ name: 'a', address: '10.0.0.1', families: [Family.IPV4_UNICAST, Family.IPV6_UNICAST] })
  t.same(sessionKeysChanged(before, { ...before, families: [Family.IPV6_UNICAST, Family.IPV4_UNICAST] }), [])
  t.same(sessionKeysChanged(before, { ...before, weight: 9, description: 'x', importPolicy: 'p', shutdown: true }), [])
  t.same(sessionKeysChanged(before, { ...before, asn: 1, holdTimeSeconds: 3 }), ['asn', 'holdTimeSeconds'])
  t.same(sessionKeysChanged(before, { ...before, address: null, range: range('10.0.0.0/8') }), ['address', 'range'])
  const other = { ...before, port: 1, localAsn: 1, families: [], keepaliveSeconds: 1, sourceAddress: 'x' }
  const all = { ...other, asn: 1, address: null, range: range('::/0'), holdTimeSeconds: 3 }
  const offered: Partial<NeighborConfig> = {
    addPath: [{ sendPaths: 1, receive: false }],
    gracefulRestart: { restarter: true, restartTimeSeconds: 1, staleTimeSeconds: 1, notification: true },
    longLivedStaleSeconds: 1,
    extendedNextHop: true,
    extendedMessages: true,
    enhancedRefresh: false,
    advertiseHostname: true,
    role: 'peer',
    roleStrict: true,
    localAsnMode: 'prepend',
    dualAsn: true,
    password: new Secret(Buffer.from('a')),
    ttlSecurityHops: 1,
    multihop: 1,
    bindDevice: 'eth0',
  }
  t.same(sessionKeysChanged(before, { ...all, ...offered, reflectorClient: true, allowOwnAs: 1 }), [...SESSION_KEYS])
})

t.test('shutdown text: at most 255 octets, never half a character (RFC 9003 §2)', async (t) => {
  t.same([...shutdownData('')], [])
  t.same([...shutdownData('hi')], [2, 0x68, 0x69])
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      const data = shutdownData(text)
      if (text === '') return data.length === 0
      const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
      const said = decoder.decode(data.subarray(1))
      const wellFormed = decoder.decode(new TextEncoder().encode(text))
      return data[0] === data.length - 1 && data.length <= 256 && wellFormed.startsWith(said)
    }),
  )
})

t.test('messages in chunks are counted', async (t) => {
  t.equal(countUpdates([]), 0)
  t.equal(countUpdates([EMPTY_UPDATE, Buffer.concat([EMPTY_UPDATE, EMPTY_UPDATE])]), 3)
  t.equal(countUpdates([new Uint8Array(100)]), 5, 'lengths of 0 do not loop for ever')
})

t.test('history: repetitions replace each other, Established stays, the size is bounded', async (t) => {
  const history = new History()
  const add = (atMs: number, from: SessionState, to: SessionState, reason = '') =>
    history.add({ atMs, from, to, reason })
  add(1, 'OpenConfirm', 'Established')
  add(2, 'Established', 'Idle', 'lost')
  for (let i = 3; i < 1000; i += 2) {
    add(i, 'Active', 'Connect')
    add(i + 1, 'Connect', 'Active', 'refused')
  }
  t.same(
    history.entries.map((entry) => entry.atMs),
    [1, 2, 999, 1000],
  )
  for (let i = 0; i < 200; i++) add(2000 + i, 'Idle', 'Connect', `reason ${i}`)
  t.equal(history.entries.length, 40)
  t.equal(history.entries.at(-1)!.atMs, 2199)
})

t.test('reasons: what is answered with the back-off, and what with ConnectRetryTime', async (t) => {
  const received = (code: number, subcode = 0) => ({ kind: 'notification-received', code, subcode, text: '' }) as const
  const sent = (code: number, subcode = 0) => ({ kind: downKind(code, subcode), code, subcode, text: '' })
  const pays = [
    received(1),
    received(2, 2),
    received(3, 1),
    received(5),
    sent(1, 1),
    sent(2, 2),
    sent(3, 11),
    sent(5, 3),
  ]
  const free = [
    received(6, 2),
    received(6, 1),
    received(4),
    received(8),
    sent(4),
    sent(8),
    sent(6, 2),
    sent(6, 4),
    sent(6, 7),
  ]
  for (const reason of [...pays, sent(6, 1), sent(7, 1)]) t.ok(isProtocolError(reason), JSON.stringify(reason))
  for (const reason of [...free, { kind: 'tcp', text: '' } as const])
    t.notOk(isProtocolError(reason), JSON.stringify(reason))
  t.ok(refusesCapabilities(received(2, 4)))
  t.notOk(refusesCapabilities(sent(2, 4)))
  t.same([1, 5, 77].map(messageName), ['OPEN', 'ROUTE-REFRESH', 'message type 77'])
})

t.test('addresses as Node spells them become ours', async (t) => {
  const cases = [
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['', ''],
  ]
  for (const [given, ours] of cases) t.equal(canonicalAddress(given!), ours)
  t.equal(hostPort('2001:db8::1', 179), '[2001:db8::1]:179')
})
