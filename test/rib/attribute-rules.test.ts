/** What a neighbour's configuration allows in its attributes: AS_SETs, limits, attributes taken off or refused; live changes; a full attribute store. */
import fc from 'fast-check'
import t from 'tap'
import { encodeSegments } from '../../src/bgp/attributes/as-path.js'
import { encodePathAttributes } from '../../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import { NotificationError } from '../../src/bgp/errors.js'
import { faultyOctets, faultyPrefixes } from '../../src/bgp/message/fault-place.js'
import { FAMILIES } from '../../src/net/family.js'
import { AdjRibIn } from '../../src/rib/adj-rib-in.js'
import { type AttributeRules, unusedText } from '../../src/rib/attribute-rules.js'
import type { PathState } from '../../src/rib/path-state.js'
import { type RibSource, SourceKind } from '../../src/rib/source.js'
import { announceBytes, message, nlri } from '../support/update-bytes.js'
import { asPath, attributesWith, policy, RibWorld } from './given.js'

const P1 = '10.1.0.0/16'
const P2 = '10.2.0.0/16'
const P6 = '2001:db8:1::/48'
const NEXT_HOP_6 = Uint8Array.from([0x20, 1, 0x0d, 0xb8, ...new Array(11).fill(0), 9])

const RULES: AttributeRules = {
  allowAsSets: false,
  maxAsPath: 5,
  maxCommunities: 6,
  maxSets: 1000,
  discard: [],
  withdraw: [],
  tunnelEncapsulation: true,
}

function update(attributes: readonly number[], ...prefixes: string[]): Uint8Array {
  const reachable = prefixes.flatMap((prefix) => [...nlri(prefix)])
  return message(
    2,
    Uint8Array.from([0, 0, attributes.length >> 8, attributes.length & 255, ...attributes, ...reachable]),
  )
}

function octetsOf(attributes: Partial<PathAttributes> = {}, as4 = true): number[] {
  return [...encodePathAttributes(attributesWith(attributes), { as4, nextHopAttribute: true })]
}

function ruled(world: RibWorld, rules: Partial<AttributeRules> = {}, given: object = {}): RibSource {
  return world.source({ ...given, attributeRules: { ...RULES, ...rules } })
}

function change(world: RibWorld, source: RibSource, rules: Partial<AttributeRules>): void {
  source.options = { ...source.options, attributeRules: { ...RULES, ...rules } }
  for (const { family } of FAMILIES) {
    for (let from = 1; from !== -1; ) from = world.input.judgeAgain(family, new Set([source.index]), from, 16)
  }
  world.turn()
}

function text(world: RibWorld, source: RibSource, prefix: string): string {
  const { paths } = world.rib.tables[0]!
  const path = world.path(source, prefix)
  const received = world.rib.store.get(paths.received[path]!)
  return unusedText(paths.state[path] as PathState, received, source.options, world.rib)
}

function notification(act: () => void): string {
  try {
    act()
  } catch (error) {
    if (error instanceof NotificationError) return `${error.code}/${error.subcode}`
    throw error
  }
  return 'none'
}

t.test('AS_SET and AS_CONFED_SET are treated as withdrawn (RFC 9774), unless they are allowed', async (t) => {
  const set = { type: 1, asNumbers: [7, 8] }
  const sequence = { type: 2, asNumbers: [6] }
  const confed = { type: 4, asNumbers: [7] }
  for (const [segments, expected] of [
    [[sequence], 'USABLE'],
    [[sequence, set], 'AS_SET'],
    [[set], 'AS_SET'],
    [[confed, sequence], 'AS_SET'],
  ] as const) {
    const world = new RibWorld()
    const source = ruled(world)
    world.receive(source, announceBytes([P1], attributesWith({ asPath: encodeSegments(segments) })))
    t.equal(world.state(source, P1), expected)
    if (expected === 'USABLE') continue
    t.match(world.faults, [{ approach: 'treat-as-withdraw', attribute: 2, reason: /RFC 9774/ }])
    t.equal(source.treatedAsWithdraw, 1)
    t.match(text(world, source, P1), /AS_SET.*RFC 9774/)
    change(world, source, { allowAsSets: true })
    t.equal(world.state(source, P1), 'USABLE', 'the change is live')
    t.ok(world.winner(P1))
    change(world, source, {})
    t.equal(world.state(source, P1), 'AS_SET')
    t.equal(world.winner(P1), null)
    t.equal(world.faults.length, 1, 'and tells no fault again')
  }
})

t.test('an AS_SET in the AS4_PATH of a 2-octet peer', async (t) => {
  const world = new RibWorld()
  const source = ruled(world, {}, { as4: false })
  const path4 = [
    ...encodeSegments([
      { type: 2, asNumbers: [70000] },
      { type: 1, asNumbers: [70001] },
    ]),
  ]
  const attributes = [...octetsOf({ asPath: asPath(1, 2) }, false), 0xc0, 17, path4.length, ...path4]
  world.receive(source, update(attributes, P1))
  t.equal(world.state(source, P1), 'AS_SET')
})

t.test('limits name the number, the limit and the key', async (t) => {
  const world = new RibWorld()
  const source = ruled(world, { allowAsSets: true })
  const announce = (given: Partial<PathAttributes>): string | null => {
    world.receive(source, announceBytes([P1], attributesWith(given)))
    return world.state(source, P1)
  }
  t.equal(announce({ asPath: asPath(1, 2, 3, 4, 5) }), 'USABLE')
  t.equal(announce({ asPath: asPath(1, 2, 3, 4, 5, 6) }), 'LONG_AS_PATH')
  t.match(text(world, source, P1), /6 AS numbers are more than maxAsPath 5.*neighbors\[\]\.maxAsPath/)
  const withSet = encodeSegments([
    { type: 2, asNumbers: [1, 2, 3] },
    { type: 1, asNumbers: [4, 5, 6] },
  ])
  t.equal(announce({ asPath: withSet }), 'LONG_AS_PATH', 'members of a set count one by one')
  const [communities, extCommunities] = [new Uint8Array(8).fill(1), new Uint8Array(16).fill(1)]
  const largeCommunities = Uint8Array.from({ length: 24 }, (_, n) => n)
  const others = [{ type: 25, flags: 0xc0, value: new Uint8Array(20) }]
  t.equal(announce({ communities, extCommunities, largeCommunities }), 'USABLE', 'six')
  t.equal(announce({ communities, extCommunities, largeCommunities, others }), 'MANY_COMMUNITIES', 'seven')
  t.match(text(world, source, P1), /7 communities are more than maxCommunities 6.*neighbors\[\]\.maxCommunities/)
  t.equal(announce({ communities: new Uint8Array(28) }), 'MANY_COMMUNITIES', 'by the quick scan')
  change(world, source, { maxCommunities: 7 })
  t.equal(world.state(source, P1), 'USABLE')
})

t.test('discardAttributes: taken off before anything looks at them', async (t) => {
  const world = new RibWorld()
  const source = ruled(world, { discard: [4, 8, 28] })
  const communities = Uint8Array.from([0xff, 0xff, 0xff, 1])
  world.receive(source, update([...octetsOf({ med: 9, communities }), 0xc0, 28, 1, 7], P1))
  t.equal(world.state(source, P1), 'USABLE')
  const effective = world.effective(source, P1)!
  t.match(effective, { med: 0, communityBits: 0 })
  t.match(world.rib.store.attributes(effective), { med: -1, communities: null, others: [] })
  const received = world.rib.store.get(world.rib.tables[0]!.paths.received[world.path(source, P1)]!)
  t.match(world.rib.store.attributes(received), { med: 9, others: [{ type: 28 }] }, 'what was received stays')
  world.receive(source, update([...octetsOf(), 0x80, 4, 3, 0, 0, 1], P2))
  t.equal(world.state(source, P2), 'USABLE', 'the fault of such an attribute does not count')
  t.same(world.faults, [])
  t.equal(
    notification(() => world.receive(source, update([...octetsOf(), 0x80, 4, 3, 0, 0, 1]))),
    'none',
    'not without reachable NLRI either (RFC 7606 §5.2)',
  )
  world.receive(source, update([...octetsOf(), 0x40, 1, 2, 0, 0], P2))
  t.match(world.faults, [{ attribute: 1, approach: 'attribute-discard' }], 'that of another one does')
  world.receive(source, update([...octetsOf(), 0x80, 4, 9, 1], P2))
  t.equal(world.state(source, P2), 'TREAT_AS_WITHDRAW', 'where the block is cut, nobody knows what is taken off')
})

t.test('discardAttributes by reload, in both directions, with and without a policy', async (t) => {
  const world = new RibWorld()
  for (const importPolicy of [null, policy([{}, 'accept', { localPref: 50 }])]) {
    const source = ruled(world, {}, { importPolicy })
    world.receive(source, update([...octetsOf(), 0x80, 4, 3, 0, 0, 1], P1))
    const mp = [0x80, 14, 28, 0, 2, 1, 16, ...NEXT_HOP_6, 0, ...nlri(P6)]
    world.receive(
      source,
      update([...mp, ...encodePathAttributes(attributesWith({ med: 5 }), { as4: true, nextHopAttribute: false })]),
    )
    world.turn()
    t.equal(world.state(source, P1), 'TREAT_AS_WITHDRAW')
    t.match(text(world, source, P1), /MULTI_EXIT_DISC: length 3 is not 4 \(RFC 7606 §7.4\)/)
    change(world, source, { discard: [4] })
    t.equal(world.state(source, P1), 'USABLE', 'the malformed attribute is taken off')
    t.equal(world.effective(source, P6)!.med, 0)
    t.match(world.rib.store.attributes(world.effective(source, P6)!).nextHop, { length: 16 })
    t.equal(world.effective(source, P1)!.localPref, importPolicy === null ? 100 : 50)
    change(world, source, {})
    t.equal(world.state(source, P1), 'TREAT_AS_WITHDRAW')
    t.equal(world.effective(source, P6)!.med, 5)
    world.rib.closeSource(source)
    world.turn()
    world.turn()
    t.equal(world.rib.store.size, 0, 'no set is left behind')
  }
})

t.test('the Tunnel Encapsulation attribute, where it is not to be taken (RFC 9012 §11)', async (t) => {
  const world = new RibWorld()
  const tunnel = [0xc0, 23, 6, 0, 8, 0, 2, 126, 0]
  const source = ruled(world, { tunnelEncapsulation: false }, { kind: SourceKind.EBGP, asn: 65001 })
  const plain = attributesWith({ asPath: encodeSegments([{ type: 2, asNumbers: [65001] }]) })
  const octets = [...encodePathAttributes(plain, { as4: true, nextHopAttribute: true })]
  const typesOf = (prefix: string): number[] =>
    world.rib.store.attributes(world.effective(source, prefix)!).others.map(({ type }) => type)
  world.receive(source, update([...octets, ...tunnel], P1))
  world.receive(source, update([...octets, ...tunnel, 0xc0, 99, 0], P2))
  t.equal(world.state(source, P1), 'USABLE')
  t.same(typesOf(P1), [], 'neither used nor passed on')
  t.same(typesOf(P2), [99], 'others stay')
  t.same(world.faults, [], 'no fault')
  change(world, source, { tunnelEncapsulation: true })
  t.same(typesOf(P1), [23], 'the change is live')
  change(world, source, { tunnelEncapsulation: false, discard: [99] })
  t.same(typesOf(P2), [], 'beside discardAttributes')
  world.receive(source, update([...octets, 0xc0, 23, 6, 0, 7, 0, 4, 1, 255], P2))
  t.equal(world.state(source, P2), 'TREAT_AS_WITHDRAW', 'a malformed one withdraws all the same (§13)')
  world.rib.closeSource(source)
  world.turn()
  world.turn()
  t.equal(world.rib.store.size, 0, 'no set is left behind')
})

t.test('treatAsWithdrawAttributes', async (t) => {
  const world = new RibWorld()
  const source = ruled(world, { withdraw: [99] })
  world.receive(source, update(octetsOf(), P1))
  t.equal(world.state(source, P1), 'USABLE')
  world.receive(source, update([...octetsOf(), 0xc0, 99, 0], P1))
  t.equal(world.state(source, P1), 'REFUSED_ATTRIBUTE')
  t.match(world.faults, [{ attribute: 99, reason: /neighbors\[\]\.treatAsWithdrawAttributes/ }])
  t.match(text(world, source, P1), /attribute 99/)
  change(world, source, { withdraw: [99], discard: [99] })
  t.equal(world.state(source, P1), 'USABLE', 'what is taken off withdraws nothing')
  change(world, source, { withdraw: [99] })
  t.equal(world.state(source, P1), 'REFUSED_ATTRIBUTE')
  change(world, source, {})
  t.equal(world.state(source, P1), 'USABLE')
})

t.test('wrong flags of an MP attribute stay a fault when the rest is judged again', async (t) => {
  const world = new RibWorld()
  const source = ruled(world)
  const mp = [0xc0, 14, 28, 0, 2, 1, 16, ...NEXT_HOP_6, 0, ...nlri(P6)]
  world.receive(source, update([...mp, ...octetsOf()], P1))
  t.same([world.state(source, P1), world.state(source, P6)], ['MP_FLAGS', 'MP_FLAGS'])
  t.equal(world.faults.length, 1, 'one UPDATE, one fault')
  t.equal(source.treatedAsWithdraw, 1)
  change(world, source, { allowAsSets: true })
  t.same([world.state(source, P1), world.state(source, P6)], ['MP_FLAGS', 'MP_FLAGS'])
})

t.test('taking off is the same as if it had not been sent', async (t) => {
  const attribute = fc
    .tuple(
      fc.constantFrom(4, 8, 16, 28, 32, 40, 99),
      fc.constantFrom(0xc0, 0x80, 0xd0),
      fc.uint8Array({ maxLength: 12 }),
    )
    .map(([type, flags, value]) => ({
      type,
      octets: [flags, type, ...(flags === 0xd0 ? [0, value.length] : [value.length]), ...value],
    }))
  const property = fc.property(
    fc.array(attribute, { maxLength: 6 }),
    fc.subarray([4, 8, 28, 40, 99]),
    (attributes, discard) => {
      const world = new RibWorld()
      const all = attributes.flatMap(({ octets }) => octets)
      const rest = attributes.filter(({ type }) => !discard.includes(type)).flatMap(({ octets }) => octets)
      const filtered = ruled(world, { discard })
      const plain = ruled(world)
      world.receive(filtered, update([...octetsOf(), ...all], P1))
      world.receive(plain, update([...octetsOf(), ...rest], P1))
      return (
        world.state(filtered, P1) === world.state(plain, P1) &&
        world.effective(filtered, P1) === world.effective(plain, P1)
      )
    },
  )

  t.doesNotThrow(() => fc.assert(property, { numRuns: 500, seed: 3 }))
})

t.test('a peer that fills the attribute store is stopped, and all is given back', async (t) => {
  const world = new RibWorld()
  const source = ruled(world, { maxSets: 100 })
  const announce = (n: number, given: Partial<PathAttributes> = {}): void =>
    world.receive(source, announceBytes([`10.${n >> 8}.${n & 255}.0/24`], attributesWith({ med: n, ...given })))
  for (let n = 0; n < 100; n++) announce(n)
  // A set that a newer one has replaced counts until the end of the turn.
  source.options = { ...source.options, attributeRules: { ...RULES, maxSets: 200 } }
  for (let n = 0; n < 1000; n++) {
    announce(n % 100, { med: 100 + n })
    if (n % 50 === 49) world.turn()
  }
  t.equal(source.held.units, 100, 'replaced sets do not count')
  source.options = { ...source.options, attributeRules: { ...RULES, maxSets: 100 } }
  const other = ruled(world, { maxSets: 1 })
  world.receive(other, announceBytes([P1], attributesWith({ med: 1099 })))
  t.equal(other.held.units, 0, 'a set that somebody else brought first is free')
  t.equal(
    notification(() => announce(200, { med: 5000 })),
    '6/8',
  )
  world.rib.closeSource(source)
  world.rib.closeSource(other)
  world.turn()
  world.turn()
  t.same([world.rib.store.size, source.held.units], [0, 0])
  const big = ruled(world, { maxSets: 100 })
  let held = 0
  const found = notification(() => {
    for (held = 0; held < 100; held++) {
      const communities = Buffer.alloc(4000, held)
      world.receive(big, announceBytes([`10.${held}.0.0/16`], attributesWith({ communities })))
    }
  })
  t.equal(found, '6/8')
  t.ok(held <= 13, `large sets count by their octets: ${held}`)
})

t.test(
  'families that were not negotiated are told, and what is wrong in their MP_REACH_NLRI is not looked at',
  async (t) => {
    const world = new RibWorld()
    const ignored: string[] = []
    const input = new AdjRibIn(world.rib, {
      fault: (_, fault) => t.fail(fault.reason),
      endOfRib: () => {},
      familyIgnored: (_, afi, safi) => ignored.push(`${afi}/${safi}`),
    })
    const source = ruled(world)
    const receive = (octets: Uint8Array, families = 1): void => input.update(source, families, octets, 0, octets.length)
    receive(update([0x80, 14, 6, 0, 1, 133, 0, 0, 3, ...octetsOf()], P1))
    t.same(ignored, ['1/133'])
    t.equal(world.state(source, P1), 'USABLE', 'the rest of the UPDATE is used')
    receive(update([0x80, 15, 5, 0, 25, 70, 1, 2, ...octetsOf()], P2))
    receive(update([0x80, 15, 5, 0, 25, 70, 1, 2]))
    receive(update([0x80, 14, 9, 0, 2, 1, 99, 1, 2, 3, 4, 5, ...octetsOf()], P2))
    receive(update([0x80, 14, 3, 0, 2, 1, ...octetsOf()], P2))
    t.same(ignored, ['1/133', '25/70', '25/70', '2/1', '2/1'])
    receive(update([0x80, 15, 3, 0, 25, 70]))
    receive(update([0x80, 15, 3, 0, 2, 1]))
    t.equal(ignored.length, 5, 'End-of-RIB is nothing to tell')
    t.equal(
      notification(() => receive(update([0x80, 14, 9, 0, 2, 1, 99, 1, 2, 3, 4, 5, ...octetsOf()], P2), 3)),
      '3/9',
      'of a negotiated one',
    )
    receive(update(octetsOf(), P2), 2)
    t.equal(ignored.length, 6, 'IPv4 fields where IPv4 was not negotiated')
  },
)

t.test('a fault is told with its octets and its prefixes', async (t) => {
  const world = new RibWorld()
  const seen: [string, string, readonly string[], number][] = []
  const input = new AdjRibIn(world.rib, {
    fault: (_, fault, place) => {
      const { first, count } = faultyPrefixes(place, false, 2)
      seen.push([fault.reason, Buffer.from(faultyOctets(place, fault)).toString('hex'), first, count])
    },
    endOfRib: () => {},
  })
  const source = world.source({ kind: SourceKind.CLIENT })
  const receive = (octets: Uint8Array): void => input.update(source, 3, octets, 0, octets.length)
  receive(update([...octetsOf(), 0x80, 4, 3, 0, 0, 1], P1, P2, '10.240.0.0/12'))
  receive(update([...octetsOf(), 0x40, 1, 1, 2], P1))
  receive(update([...octetsOf(), 0x80, 4, 9, 1], P1))
  receive(update(octetsOf({ origin: -1 }), P1))
  const mp = [0x80, 14, 28, 0, 2, 1, 16, ...NEXT_HOP_6, 0, ...nlri(P6)]
  receive(update([...mp, ...octetsOf(), 0xc0, 8, 0]))
  receive(update([...octetsOf(), 0x40, 6, 1, 9]))
  t.match(seen, [
    [/MULTI_EXIT_DISC: length 3/, '800403000001', [P1, P2], 3],
    [/ORIGIN: appears again/, '40010102', [P1], 1],
    [/MULTI_EXIT_DISC: length 9 overruns/, '80040901', [P1], 1],
    [/ORIGIN is missing/, '', [P1], 1],
    [/COMMUNITIES: length 0/, 'c00800', [P6], 1],
    [/ATOMIC_AGGREGATE: length 1/, '40060109', [], 0],
  ])
  const withIds = Uint8Array.from([0, 0, 0, 1, 16, 10, 1, 0, 0, 0, 2, 12, 10, 255])
  const place = {
    buffer: withIds,
    messageStart: 0,
    messageEnd: 0,
    attributesStart: 0,
    attributesEnd: 0,
    family: 0 as const,
    nlriStart: 0,
    nlriEnd: 14,
  }
  t.same(faultyPrefixes(place, true, 5), { count: 2, first: [P1, '10.240.0.0/12'] })
  t.same(faultyPrefixes({ ...place, nlriEnd: 13 }, true, 5), { count: 1, first: [P1] }, 'cut NLRI do no harm')
})
