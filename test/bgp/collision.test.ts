import t from 'tap'
import { survivor } from '../../src/bgp/collision.js'
import { neighbor, TestSpeaker } from '../support/speaker.js'
import { MemoryNetwork, VirtualClock } from '../support/virtual.js'

t.test('the connection of the higher identifier stays; equal ones: of the higher AS (RFC 6286 §2.3)', async (t) => {
  const cases = [
    { a: { bgpId: 2, asn: 1 }, b: { bgpId: 1, asn: 9 }, opener: 'a' },
    { a: { bgpId: 0xc0000000, asn: 1 }, b: { bgpId: 0x7fffffff, asn: 9 }, opener: 'a' },
    { a: { bgpId: 7, asn: 1 }, b: { bgpId: 7, asn: 9 }, opener: 'b' },
    { a: { bgpId: 7, asn: 4_200_000_000 }, b: { bgpId: 7, asn: 65_000 }, opener: 'a' },
  ]
  for (const { a, b, opener } of cases) {
    t.equal(survivor(a, b), opener === 'a' ? 'out' : 'in', JSON.stringify({ a, b }))
    t.equal(survivor(b, a), opener === 'b' ? 'out' : 'in', 'the other end comes to the same connection')
  }
})

/** Two speakers that dial each other at the same moment. */
function bothDial(options: { idA: number; idB: number; latencyMs?: () => number; random?: () => number }) {
  const { idA, idB, latencyMs = () => 0, random = () => 0.5 } = options
  const clock = new VirtualClock()
  const network = new MemoryNetwork(clock, latencyMs)
  const speaker = (routerId: number, address: string) =>
    new TestSpeaker({ asn: 64512, routerId, clock, random, dial: network.dialFrom(address) })
  const a = speaker(idA, '10.0.0.1')
  const b = speaker(idB, '10.0.0.2')
  network.listen('10.0.0.1', a.manager)
  network.listen('10.0.0.2', b.manager)
  a.manager.configure([neighbor({ name: 'b', address: '10.0.0.2' })])
  b.manager.configure([neighbor({ name: 'a', address: '10.0.0.1' })])
  return { clock, network, a, b, peerOfA: a.manager.find('b')[0]!, peerOfB: b.manager.find('a')[0]! }
}

for (const [idA, idB] of [
  [1, 2],
  [2, 1],
] as const) {
  t.test(
    `both sides dial at once, identifiers ${idA} and ${idB}: one connection stays, the loser gets 6/7`,
    async (t) => {
      const { clock, network, a, b, peerOfA, peerOfB } = bothDial({ idA, idB, latencyMs: () => 10 })
      clock.advance(1_000)
      t.same([peerOfA.state, peerOfB.state], ['Established', 'Established'])
      t.equal(network.openLinks, 1)
      t.equal(network.links.length, 4, 'there were two')
      const open = network.links.findIndex((link) => !link.isClosed)
      const opener = network.links[open]!.localAddress
      t.equal(opener, idA > idB ? '10.0.0.1' : '10.0.0.2', 'the higher identifier opened the one that stays')
      t.same([a.only('down').length, b.only('down').length], [0, 0], 'nobody above notices')
      t.equal(a.only('established').length, 1)
      clock.advance(300_000)
      t.same([peerOfA.state, peerOfB.state], ['Established', 'Established'], 'and it stays up')
    },
  )
}

t.test('whatever the delays of connections and messages, both come to one connection', async (t) => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = pseudoRandom(seed)
    const latencyMs = () => Math.floor(random() ** 3 * 400)
    const { clock, network, peerOfA, peerOfB } = bothDial({ idA: 1 + (seed % 3), idB: 2, latencyMs, random })
    if (seed % 3 === 1) continue // equal identifiers in one AS are refused
    clock.advance(60_000)
    const ok = peerOfA.state === 'Established' && peerOfB.state === 'Established' && network.openLinks === 1
    if (!ok) t.fail(`seed ${seed}: ${peerOfA.state}, ${peerOfB.state}, ${network.openLinks} links`)
  }
  t.pass('200 runs')
})

t.test('an Established session wins over a new connection, and is probed', async (t) => {
  const { clock, network, peerOfA } = bothDial({ idA: 1, idB: 2 })
  clock.advance(1_000)
  t.equal(peerOfA.state, 'Established')
  const keepalives = peerOfA.counters.sent[4]!
  const raw = network.connect('10.0.0.2', '10.0.0.1')
  clock.run()
  t.same([...raw.received[0]!.subarray(18)], [3, 6, 7])
  t.ok(raw.closedText)
  t.equal(peerOfA.counters.sent[4], keepalives + 1)
  t.equal(peerOfA.state, 'Established')
})

function pseudoRandom(seed: number): () => number {
  let state = seed * 2654435761
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x85ebca6b) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
}
