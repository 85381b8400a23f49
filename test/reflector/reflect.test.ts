/** Who hears a route, what is changed on the way, and the short cut over octets. */
import fc from 'fast-check'
import t from 'tap'
import { formatAsPath } from '../../src/bgp/attributes/as-path.js'
import { decodePathAttributes } from '../../src/bgp/attributes/decode.js'
import { encodePathAttributes } from '../../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import {
  communityForbids,
  mayAdvertise,
  outgoingAttributes,
  type PeerKind,
  prependCluster,
  reflectOctets,
} from '../../src/reflector/reflect.js'
import { CommunityBits } from '../../src/rib/attribute-set.js'
import { SourceKind } from '../../src/rib/source.js'
import { ASN, attributesWith, exporterOptions, sequence } from './given.js'

const { LOCAL, EBGP, CLIENT, NON_CLIENT } = SourceKind
const TARGETS: readonly PeerKind[] = [EBGP, CLIENT, NON_CLIENT]
const NONE = new Uint8Array(0)

t.test('who hears whom (RFC 4456 §6): all but non-client to non-client', async (t) => {
  const heard = [LOCAL, EBGP, CLIENT, NON_CLIENT].map((source) => TARGETS.map((target) => mayAdvertise(source, target)))
  t.same(heard, [
    [true, true, true],
    [true, true, true],
    [true, true, true],
    [true, true, false],
  ])
})

t.test('well-known communities (RFC 1997)', async (t) => {
  const forbids = (bits: number): boolean[] => TARGETS.map((target) => communityForbids(bits, target))
  t.same(forbids(0), [false, false, false])
  t.same(forbids(CommunityBits.NO_EXPORT), [true, false, false])
  t.same(forbids(CommunityBits.NO_EXPORT_SUBCONFED), [true, false, false])
  t.same(forbids(CommunityBits.NO_ADVERTISE), [true, true, true])
})

t.test('to an internal peer: a reflected route gains ORIGINATOR_ID and CLUSTER_LIST and keeps the rest', async (t) => {
  const rules = exporterOptions({ clusterId: 0x01020304, nextHopSelf: true })
  const route = attributesWith({ med: 7, localPref: 300, asPath: sequence(1, 2) })
  for (const kind of [CLIENT, NON_CLIENT]) {
    const out = outgoingAttributes(route, { kind, bgpId: 0xc0000201 }, rules, null)
    t.same(out, { ...route, originatorId: 0xc0000201, clusterList: Uint8Array.from([1, 2, 3, 4]) })
  }
  const again = outgoingAttributes(
    { ...route, originatorId: 5, clusterList: Uint8Array.from([9, 9, 9, 9]) },
    { kind: CLIENT, bgpId: 6 },
    rules,
    null,
  )
  t.same([again.originatorId, again.clusterList], [5, Uint8Array.from([1, 2, 3, 4, 9, 9, 9, 9])])
  t.same(prependCluster(null, 0xffffffff), Uint8Array.from([255, 255, 255, 255]))
})

t.test('to an internal peer: external and own routes gain LOCAL_PREF and a next hop where they need one', async (t) => {
  const external = attributesWith({ asPath: sequence(65100), localPref: -1, med: 9 })
  const plain = outgoingAttributes(external, { kind: EBGP, bgpId: 1 }, exporterOptions(), null)
  t.same(plain, { ...external, localPref: 100 })
  const self = outgoingAttributes(external, { kind: EBGP, bgpId: 1 }, exporterOptions({ nextHopSelf: true }), null)
  t.same(self.nextHop, Uint8Array.from([10, 0, 0, 1]))
  const own = outgoingAttributes(
    attributesWith({ nextHop: null, localPref: 150 }),
    { kind: LOCAL, bgpId: 1 },
    exporterOptions(),
    null,
  )
  t.same(
    [own.nextHop, own.localPref, own.originatorId, own.clusterList],
    [Uint8Array.from([10, 0, 0, 1]), 150, -1, null],
  )
  const kept = outgoingAttributes(
    attributesWith(),
    { kind: LOCAL, bgpId: 1 },
    exporterOptions({ nextHopSelf: true }),
    null,
  )
  t.same(kept.nextHop, Uint8Array.from([10, 0, 1, 1]), 'an own route with a next hop keeps it')
})

t.test('to an external peer: our AS in front, internal attributes taken out', async (t) => {
  const rules = exporterOptions({ kind: EBGP })
  const route = attributesWith({
    asPath: sequence(7),
    med: 5,
    localPref: 300,
    originatorId: 1,
    clusterList: Uint8Array.from([1, 1, 1, 1]),
    extCommunities: Uint8Array.from([0x40, 2, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2]),
  })
  const out = outgoingAttributes(route, { kind: CLIENT, bgpId: 1 }, rules, null)
  t.equal(formatAsPath(out.asPath!), `${ASN} 7`)
  t.same(
    [out.med, out.localPref, out.originatorId, out.clusterList, out.nextHop],
    [-1, -1, -1, null, Uint8Array.from([10, 0, 0, 1])],
  )
  t.same(out.extCommunities, Uint8Array.from([0, 2, 0, 0, 0, 0, 0, 2]), 'the transitive ones (RFC 4360 §6)')
  const own = outgoingAttributes(
    { ...route, asPath: NONE },
    { kind: LOCAL, bgpId: 1 },
    exporterOptions({ kind: EBGP, localAsn: 64999 }),
    null,
  )
  t.equal(formatAsPath(own.asPath!), '64999')
  t.same([own.med, own.nextHop], [5, Uint8Array.from([10, 0, 1, 1])], 'an own route keeps its MED and next hop')
})

t.test('the next hop towards external peers', async (t) => {
  const nextHop = (
    given: Parameters<typeof exporterOptions>[0],
    route: Partial<PathAttributes> = {},
  ): string | undefined =>
    outgoingAttributes(
      attributesWith(route),
      { kind: CLIENT, bgpId: 1 },
      exporterOptions({ kind: EBGP, ...given }),
      null,
    ).nextHop?.join('.')
  t.equal(nextHop({}), '10.0.0.1')
  t.equal(nextHop({ nextHopKeep: true }), '10.0.1.1')
  t.equal(
    nextHop({ sharedSubnet: { address: Uint8Array.from([10, 0, 0, 0]), length: 23 } }),
    '10.0.1.1',
    'third party (RFC 4271 §5.1.3)',
  )
  t.equal(nextHop({ sharedSubnet: { address: Uint8Array.from([10, 0, 0, 0]), length: 24 } }), '10.0.0.1')
  t.equal(
    nextHop({ sharedSubnet: { address: Uint8Array.from([10, 0, 0, 0]), length: 23 }, nextHopSelf: true }),
    '10.0.0.1',
  )
  t.equal(nextHop({ selfNextHop: null }), undefined, 'nothing to say: the route is not sent')
  t.equal(nextHop({ sharedSubnet: { address: new Uint8Array(16), length: 0 } }), '10.0.0.1', 'of the other family')
})

t.test(
  'the Tunnel Encapsulation attribute stays here where the neighbour is not to have it (RFC 9012 §11)',
  async (t) => {
    const others = [23, 99].map((type) => ({ type, flags: 0xc0, value: Uint8Array.of(1) }))
    const route = attributesWith({ others, asPath: sequence(1) })
    const sent = (given: object): number[] =>
      outgoingAttributes(route, { kind: CLIENT, bgpId: 1 }, exporterOptions(given), null).others.map(({ type }) => type)
    for (const kind of TARGETS) {
      t.same(sent({ kind, tunnelEncapsulation: true }), [23, 99])
      t.same(sent({ kind, tunnelEncapsulation: false }), [99])
    }
    t.same(sent({ kind: EBGP, routeServerClient: true, tunnelEncapsulation: false }), [99])
  },
)

t.test('communities are left out where they are not wanted', async (t) => {
  const route = attributesWith({
    communities: new Uint8Array(4),
    extCommunities: new Uint8Array(8),
    largeCommunities: new Uint8Array(12),
  })
  for (const kind of TARGETS) {
    const out = outgoingAttributes(
      route,
      { kind: LOCAL, bgpId: 1 },
      exporterOptions({ kind, sendCommunities: false }),
      null,
    )
    t.same([out.communities, out.extCommunities, out.largeCommunities], [null, null, null])
  }
})

function octets(multiple: number, most: number): fc.Arbitrary<Uint8Array> {
  return fc
    .integer({ min: 1, max: most })
    .chain((count) => fc.uint8Array({ minLength: count * multiple, maxLength: count * multiple }))
}

function maybe<T, N>(arbitrary: fc.Arbitrary<T>, none: N): fc.Arbitrary<T | N> {
  return fc.option(arbitrary, { nil: none }) as fc.Arbitrary<T | N>
}

const u32 = fc.integer({ min: 0, max: 0xffffffff })
const canonical: fc.Arbitrary<PathAttributes> = fc.record({
  origin: fc.nat(2),
  asPath: fc.oneof(
    fc.constant(NONE),
    fc.array(fc.integer({ min: 1, max: 0xffffffff }), { minLength: 1, maxLength: 90 }).map((asns) => sequence(...asns)),
  ),
  nextHop: fc
    .tuple(fc.integer({ min: 1, max: 126 }), fc.nat(255), fc.nat(255), fc.nat(255))
    .map((bytes) => Uint8Array.from(bytes)),
  med: maybe(u32, -1),
  localPref: u32,
  atomicAggregate: fc.boolean(),
  aggregator: maybe(fc.record({ asn: fc.integer({ min: 1, max: 0xffffffff }), id: u32 }), null),
  communities: maybe(octets(4, 100), null),
  extCommunities: maybe(octets(8, 40), null),
  largeCommunities: maybe(octets(12, 30), null),
  originatorId: maybe(u32, -1),
  clusterList: maybe(octets(4, 62), null),
  others: fc.constant([]),
})

t.test('reflectOctets equals decode, change and encode', async (t) => {
  let taken = 0
  fc.assert(
    fc.property(canonical, u32, u32, (attributes, bgpId, clusterId) => {
      const given = encodePathAttributes(attributes, { as4: true, nextHopAttribute: true })
      const decoded = decodePathAttributes(given, 0, given.length, { as4: true, ebgp: false })
      if (decoded.fault !== null) return true
      const expected = encodePathAttributes(
        outgoingAttributes(decoded.attributes, { kind: CLIENT, bgpId }, exporterOptions({ clusterId }), null),
        { as4: true, nextHopAttribute: true },
      )
      const target = new Uint8Array(given.length + 300)
      const length = reflectOctets(given, bgpId, clusterId, target)
      if (length >= 0) taken++
      return length >= 0 && Buffer.compare(target.subarray(0, length), expected) === 0
    }),
    { numRuns: 500 },
  )
  t.ok(taken > 400, `${taken} of 500`)
})

t.test('reflectOctets refuses what the encoder would write otherwise', async (t) => {
  const target = new Uint8Array(1000)
  const good = [...encodePathAttributes(attributesWith({ med: 1 }), { as4: true, nextHopAttribute: true })]
  const reflect = (given: readonly number[]): number => reflectOctets(Uint8Array.from(given), 1, 2, target)
  t.ok(reflect(good) > 0)
  t.equal(reflect(good.slice(0, -7)), -1, 'no LOCAL_PREF')
  t.equal(reflect([...good, 0x40, 5, 4, 0, 0, 0, 1]), -1, 'an attribute twice')
  t.equal(reflect([...good, 0x40, 6, 0]) > 0, true)
  t.equal(reflect([0x40, 6, 0, ...good]), -1, 'out of order')
  t.equal(reflect([...good, 0x60, 6, 0]), -1, 'Partial bit')
  t.equal(reflect([...good, 0xc1, 8, 4, 0, 0, 0, 1]), -1, 'low bits of the flags')
  t.equal(reflect([...good, 0xd0, 8, 0, 4, 0, 0, 0, 1]), -1, 'extended length without need')
  t.equal(reflect([...good, 0xc0, 35, 4, 0, 0, 0, 1]), -1, 'OTC and others are for the encoder')
  t.equal(reflect([...good, 0xc0, 17, 6, 2, 1, 0, 0, 0, 1]), -1, 'AS4_PATH from a 4-octet peer')
  t.equal(reflect([...good, 0xc0, 8, 200, 1]), -1, 'overruns')
  t.equal(
    reflect([...good, 0x80, 10, 252, ...new Array(252).fill(1)]),
    -1,
    'a CLUSTER_LIST that outgrows one octet of length',
  )
  t.ok(reflect([...good, 0x80, 10, 248, ...new Array(248).fill(1)]) > 0)
  t.equal(reflect([...good, 0xc0, 32, 24, ...new Array(24).fill(1)]), -1, 'a large community twice (RFC 8092 §5)')
  t.ok(reflect([...good, 0xc0, 32, 24, ...new Array(12).fill(1), ...new Array(12).fill(2)]) > 0)
})

t.test('reflectOctets bears any octets: refused, or as the long way does it', async () => {
  const piece = fc
    .tuple(fc.constantFrom(0x40, 0x80, 0xc0, 0x50, 0xd0, 0xe0), fc.nat(40), fc.uint8Array({ maxLength: 12 }))
    .map(([flags, type, value]) =>
      (flags & 0x10) === 0 ? [flags, type, value.length, ...value] : [flags, type, 0, value.length, ...value],
    )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), fc.nat(3), (pieces, cut) => {
      const good = [...encodePathAttributes(attributesWith(), { as4: true, nextHopAttribute: true })]
      const all = [...good, ...pieces.flat()]
      const given = Uint8Array.from(all.slice(0, all.length - cut))
      const target = new Uint8Array(given.length + 300)
      const length = reflectOctets(given, 1, 2, target)
      if (length < 0) return true
      const decoded = decodePathAttributes(given, 0, given.length, { as4: true, ebgp: false })
      // The exporter goes this way for sets without a fault only.
      if (decoded.fault !== null) return true
      const out = outgoingAttributes(
        decoded.attributes,
        { kind: CLIENT, bgpId: 1 },
        exporterOptions({ clusterId: 2 }),
        null,
      )
      return (
        Buffer.compare(target.subarray(0, length), encodePathAttributes(out, { as4: true, nextHopAttribute: true })) ===
        0
      )
    }),
    { numRuns: 2000 },
  )
})
