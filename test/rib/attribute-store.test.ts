import fc from 'fast-check'
import t from 'tap'
import { encodePathAttributes } from '../../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import { Family } from '../../src/net/family.js'
import type { AttributeSet } from '../../src/rib/attribute-set.js'
import { AttributeStore } from '../../src/rib/attribute-store.js'
import { NextHopTable } from '../../src/rib/next-hop.js'
import type { CompiledPolicy } from '../../src/rib/policy-types.js'
import { SourceKind } from '../../src/rib/source.js'
import { announceBytes, withdrawBytes } from '../support/update-bytes.js'
import { ASN, asPath, attributesWith, CLUSTER_ID, policy, RibWorld, ROUTER_ID } from './given.js'

function given(clusterId: number | null = CLUSTER_ID) {
  const nextHops = new NextHopTable(1)
  const store = new AttributeStore(nextHops, { asn: ASN, routerId: ROUTER_ID, clusterId }, 9)
  const freed: number[] = []
  store.onFree((id) => freed.push(id))
  const intern = (attributes: Partial<PathAttributes>, as4 = true, ebgp = false): AttributeSet => {
    const octets = encodePathAttributes(attributesWith(attributes), { as4, nextHopAttribute: true })
    return store.intern(octets, 0, octets.length, null, as4, ebgp)
  }
  return { nextHops, store, freed, intern }
}

t.test('equal octets are one set, wherever in a buffer they lie', async (t) => {
  const { store, intern } = given()
  const set = intern({ med: 5 })
  const octets = encodePathAttributes(attributesWith({ med: 5 }), { as4: true, nextHopAttribute: true })
  const buffer = new Uint8Array(octets.length + 9)
  buffer.set(octets, 7)
  t.equal(store.intern(buffer, 7, 7 + octets.length, null, true, false), set)
  t.not(intern({ med: 6 }), set)
  t.same(store.octets(set), octets)
  t.equal(store.attributes(set).med, 5)
  t.equal(store.size, 2)
})

t.test('equal octets from an external and an internal peer, or with 2-octet ASNs, are different sets', async (t) => {
  const { store } = given()
  const octets = encodePathAttributes(attributesWith({ localPref: 300 }), { as4: true, nextHopAttribute: true })
  const sets = [
    store.intern(octets, 0, octets.length, null, true, false),
    store.intern(octets, 0, octets.length, null, true, true),
    store.intern(octets, 0, octets.length, null, false, false),
    store.intern(octets, 0, octets.length, Uint8Array.from([10, 0, 0, 9]), true, false),
    store.intern(octets, 0, octets.length, Uint8Array.from([10, 0, 0, 8]), true, false),
  ]
  t.equal(new Set(sets).size, 5)
  t.same(
    sets.map(({ localPref }) => localPref),
    [300, 100, 300, 300, 300],
    'LOCAL_PREF of an external peer is discarded (RFC 7606 §7.5)',
  )
  t.equal(sets[1]!.fault?.approach, 'attribute-discard')
  t.same(store.attributes(sets[4]!).nextHop, Uint8Array.from([10, 0, 0, 8]), 'the MP next hop counts')
  t.same(store.attributes(sets[0]!).nextHop, Uint8Array.from([10, 0, 1, 1]))
})

t.test('the fault of the octets stays with the set', async (t) => {
  const { store } = given()
  const octets = Uint8Array.from([0x40, 1, 1, 9])
  const set = store.intern(octets, 0, 4, null, true, false)
  t.match(set.fault, { approach: 'treat-as-withdraw', attribute: 1 })
  t.equal(store.intern(octets, 0, 4, null, true, false), set)
  t.equal(set.present & 2, 0)
  t.equal(set.origin, 2, 'an unusable ORIGIN counts as incomplete')
})

t.test("sets in nobody's hands go at the sweep, not before, and their ids are told", async (t) => {
  const { store, freed, intern, nextHops } = given()
  const kept = intern({ med: 1 })
  store.retain(kept)
  const dropped = intern({ med: 2 })
  t.equal(store.size, 2)
  t.equal(nextHops.size, 1)
  store.sweep()
  t.same(freed, [dropped.id])
  t.equal(store.size, 1)
  store.retain(kept)
  store.release(kept)
  store.sweep()
  t.equal(store.size, 1)
  store.release(kept)
  store.retain(kept)
  store.sweep()
  t.equal(store.size, 1, 'taken out of limbo again')
  store.release(kept)
  const { id } = kept
  t.equal(intern({ med: 1 }), kept, 'found while in limbo')
  t.not(intern({ med: 3 }).id, id, 'an id is not reused before the sweep')
  store.sweep()
  t.equal(store.size, 0)
  t.equal(store.arenaOctets, 0)
  t.equal(nextHops.size, 0, 'next hops are released')
  t.ok([id, dropped.id].includes(intern({ med: 4 }).id), 'and is afterwards')
})

t.test('what the decision reads', async (t) => {
  const { intern, store } = given()
  const octets = new Uint8Array(0)
  t.match(intern({}), {
    localPref: 100,
    med: 0,
    asPathLength: 0,
    neighborAs: 0,
    hasOriginator: false,
    clusterLength: 0,
    communityBits: 0,
  })
  const set = intern({
    localPref: 0xffffffff,
    med: 0xfffffffe,
    origin: 1,
    asPath: asPath(4200000000, ASN, ASN, 7),
    originatorId: 0xc0000201,
    clusterList: Uint8Array.from([1, 1, 1, 1, 2, 2, 2, 2]),
    communities: Uint8Array.from([0xff, 0xff, 0xff, 1, 0, 1, 0, 2, 0xff, 0xff, 0xff, 3, 0xff, 0xff, 0xff, 2]),
  })
  t.same(
    [
      set.localPref >>> 0,
      set.med >>> 0,
      set.origin,
      set.asPathLength,
      set.neighborAs >>> 0,
      set.ownAsCount,
      set.originatorId >>> 0,
      set.clusterLength,
      set.communityBits,
    ],
    [0xffffffff, 0xfffffffe, 1, 4, 4200000000, 2, 0xc0000201, 2, 7],
  )
  t.match(store.intern(octets, 0, 0, Uint8Array.from([127, 0, 0, 1]), true, false), { nextHopMartian: true })
  t.match(store.intern(octets, 0, 0, new Uint8Array(16), true, false), { nextHopMartian: true })
})

t.test('loop flags follow setIdentity', async (t) => {
  const { intern, store } = given()
  const clusterList = Uint8Array.from([9, 9, 9, 9, 10, 0, 0, 0xcc])
  const set = intern({ originatorId: ROUTER_ID, clusterList, asPath: asPath(1, ASN) })
  t.match(set, { loopsOriginator: true, loopsCluster: true, ownAsCount: 1 })
  store.setIdentity({ asn: 1, routerId: 5, clusterId: null })
  t.match(set, { loopsOriginator: false, loopsCluster: false, ownAsCount: 1 })
  store.setIdentity({ asn: 2, routerId: 5, clusterId: 0x09090909 })
  t.match(set, { loopsOriginator: false, loopsCluster: true, ownAsCount: 0 })
  t.match(intern({ originatorId: 5 }), { loopsOriginator: true }, 'new sets too')
})

t.test('internAttributes: the octets of an internal peer, with the next hop where it belongs', async (t) => {
  const { store } = given()
  const ipv4 = store.internAttributes(attributesWith({ med: 4 }))
  t.equal(store.attributes(ipv4).med, 4)
  t.same(store.attributes(ipv4).nextHop, Uint8Array.from([10, 0, 1, 1]))
  const nextHop = Uint8Array.from([0x20, 1, ...new Array(13).fill(0), 1])
  const ipv6 = store.internAttributes(attributesWith({ nextHop }))
  t.same(store.attributes(ipv6).nextHop, nextHop)
  t.equal(store.internAttributes(attributesWith({ nextHop })), ipv6)
})

t.test('as a Map by octets and class, over interning, use and sweeps', async () => {
  const step = fc.record({ value: fc.nat(12), kind: fc.nat(5), ebgp: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { store, intern, nextHops } = given()
      const held = new Map<string, { set: AttributeSet; refs: number }>()
      for (const { value, kind, ebgp } of steps) {
        const key = `${value} ${ebgp}`
        const entry = held.get(key)
        if (kind === 0) store.sweep()
        else if (kind <= 3) {
          const set = intern({ med: value, nextHop: Uint8Array.from([10, 0, 0, (value % 3) + 1]) }, true, ebgp)
          if (entry !== undefined && entry.set !== set) return false
          if (store.attributes(set).med !== value) return false
          store.retain(set)
          held.set(key, { set, refs: (entry?.refs ?? 0) + 1 })
        } else if (entry !== undefined) {
          store.release(entry.set)
          if (entry.refs === 1) held.delete(key)
          else entry.refs--
        }
      }
      store.sweep()
      const hops = new Set([...held.keys()].map((key) => Number(key.split(' ')[0]) % 3))
      return (
        store.size === held.size &&
        nextHops.size === hops.size &&
        [...held.values()].every(({ set }) => store.get(set.id) === set)
      )
    }),
  )
})

t.test('a policy that leaves a set as it is does not keep it for ever', async (t) => {
  const world = new RibWorld()
  const sets = policy([{}, 'accept', { localPref: 200 }])
  const source = world.source({ importPolicy: sets })
  // The first comes as the policy would make it; the second is made into the first.
  world.receive(source, announceBytes(['10.1.0.0/16'], attributesWith({ localPref: 200 })))
  world.receive(source, announceBytes(['10.2.0.0/16'], attributesWith({ localPref: 300 })))
  world.turn()
  t.equal(world.effective(source, '10.2.0.0/16')!.localPref, 200)
  t.equal(world.effective(source, '10.1.0.0/16'), world.effective(source, '10.2.0.0/16'))
  world.receive(source, withdrawBytes(['10.1.0.0/16', '10.2.0.0/16']))
  world.turn()
  world.turn()
  t.equal(world.rib.store.size, 0)
  t.equal(world.rib.nextHops.size, 0)
})

t.test('an edited set that was freed meanwhile is made again', async (t) => {
  const world = new RibWorld()
  const limits = policy([{ peer: ['p1'] }, 'accept', { localPref: 200 }], [{}, 'accept'])
  const first = world.source({ importPolicy: limits })
  const second = world.source({ importPolicy: limits })
  const octets = announceBytes(['10.1.0.0/16'], attributesWith({ localPref: 300 }))
  // The second holds the received set, so that the memo of it stays while the edited set goes.
  world.receive(second, octets)
  for (let round = 0; round < 3; round++) {
    world.receive(first, octets)
    t.equal(world.effective(first, '10.1.0.0/16')!.localPref, 200)
    world.receive(first, withdrawBytes(['10.1.0.0/16']))
    world.turn()
    t.equal(world.rib.store.size, 1)
    // Takes the id that was freed.
    world.receive(second, announceBytes(['10.2.0.0/16'], attributesWith({ med: round + 1 })))
    t.equal(world.effective(second, '10.2.0.0/16')!.med, round + 1)
    world.receive(second, withdrawBytes(['10.2.0.0/16']))
    world.turn()
  }
})

t.test('a policy that reads the source asks once per name, not once per session', async (t) => {
  const world = new RibWorld()
  const compiled = policy([{ peer: ['node'] }, 'accept'], [{}, 'reject'])
  let asked = 0
  const counting: CompiledPolicy = {
    name: compiled.name,
    readsPrefix: compiled.readsPrefix,
    readsSource: compiled.readsSource,
    evaluateAttributes: (...given) => {
      asked++
      return compiled.evaluateAttributes(...given)
    },
    evaluatePrefix: (...given) => compiled.evaluatePrefix(...given),
  }
  const octets = announceBytes(['10.1.0.0/16'], attributesWith())
  const keeps = world.source({ name: 'other' })
  world.receive(keeps, octets)
  for (let session = 0; session < 5; session++) {
    const source = world.source({ name: 'node', importPolicy: counting })
    world.receive(source, octets)
    t.equal(world.state(source, '10.1.0.0/16'), 'USABLE')
    world.rib.closeSource(source)
    world.turn()
  }
  t.equal(asked, 1)
  const external = world.source({ name: 'node', kind: SourceKind.EBGP, importPolicy: counting })
  world.receive(external, announceBytes(['10.1.0.0/16'], attributesWith({ asPath: asPath(65100) })))
  t.equal(asked, 2)
  t.equal(world.count(Family.IPV4_UNICAST), 2)
})
