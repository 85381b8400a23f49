/** UPDATE octets in, states of paths out. */
import t from 'tap'
import { encodePathAttributes } from '../../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import { NotificationError } from '../../src/bgp/errors.js'
import { Family } from '../../src/net/family.js'
import { type RibSource, SourceKind } from '../../src/rib/source.js'
import { announceBytes, message, nlri, withdrawBytes } from '../support/update-bytes.js'
import { ASN, asPath, attributesWith, CLUSTER_ID, policy, prefixMatch, RibWorld, ROUTER_ID } from './given.js'

const P1 = '10.1.0.0/16'
const P2 = '10.2.0.0/16'
const P6 = '2001:db8:1::/48'
const NEXT_HOP_6 = Uint8Array.from([0x20, 1, 0x0d, 0xb8, ...new Array(11).fill(0), 9])

function u16(value: number): number[] {
  return [value >> 8, value & 255]
}

/** An UPDATE put together from octets. */
function update(withdrawn: readonly number[], attributes: readonly number[], reachable: readonly number[]): Uint8Array {
  return message(
    2,
    Uint8Array.from([...u16(withdrawn.length), ...withdrawn, ...u16(attributes.length), ...attributes, ...reachable]),
  )
}

function octetsOf(attributes: Partial<PathAttributes>, nextHopAttribute = true): number[] {
  return [...encodePathAttributes(attributesWith(attributes), { as4: true, nextHopAttribute })]
}

function mpReach(prefixes: readonly number[], nextHop: Uint8Array = NEXT_HOP_6): number[] {
  return [0x80, 14, 5 + nextHop.length + prefixes.length, 0, 2, 1, nextHop.length, ...nextHop, 0, ...prefixes]
}

function mpUnreach(prefixes: readonly number[]): number[] {
  return [0x80, 15, 3 + prefixes.length, 0, 2, 1, ...prefixes]
}

function external(world: RibWorld, given = {}): RibSource {
  return world.source({ kind: SourceKind.EBGP, ...given })
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

t.test('announce, replace, withdraw; a turn decides each changed prefix once', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  world.receive(source, announceBytes([P1, P2], attributesWith()))
  t.same([world.state(source, P1), world.state(source, P2)], ['USABLE', 'USABLE'])
  t.equal(world.turn().length, 2)
  world.receive(source, announceBytes([P1, P2], attributesWith()))
  t.equal(world.turn().length, 0, 'the same again changes nothing')
  world.receive(source, announceBytes([P1], attributesWith({ med: 5 })))
  world.receive(source, announceBytes([P1], attributesWith({ med: 6 })))
  t.equal(world.turn().length, 1)
  t.equal(world.effective(source, P1)!.med, 6)
  t.same([source.received[0], source.accepted[0]], [2, 2])
  world.receive(source, withdrawBytes([P1, '10.9.0.0/16']))
  t.equal(world.state(source, P1), null)
  t.same([source.received[0], source.accepted[0]], [1, 1])
  world.turn()
  t.equal(world.rib.tables[0]!.prefixes.size, 1)
})

t.test('withdrawn and announced in one UPDATE: the announcement counts (RFC 4271 §4.3)', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  world.receive(source, update([...nlri(P1), ...nlri(P2)], octetsOf({}), [...nlri(P2)]))
  t.same([world.state(source, P1), world.state(source, P2)], [null, 'USABLE'])
})

t.test('host bits are masked', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  world.receive(source, update([], octetsOf({}), [12, 10, 0xff, 32, 1, 2, 3, 4, 0]))
  t.equal(world.state(source, '10.240.0.0/12'), 'USABLE')
  t.equal(world.state(source, '1.2.3.4/32'), 'USABLE')
  t.equal(world.state(source, '0.0.0.0/0'), 'USABLE')
  world.receive(source, withdrawBytes(['10.240.0.0/12']))
  t.equal(world.count(Family.IPV4_UNICAST), 2)
  world.receive(
    source,
    update([], [...mpReach([33, 0x20, 1, 0x0d, 0xb8, 0xff, 0, 128, ...NEXT_HOP_6]), ...octetsOf({}, false)], []),
  )
  t.equal(world.state(source, '2001:db8:8000::/33'), 'USABLE')
  t.equal(world.state(source, '2001:db8::9/128'), 'USABLE')
  t.equal(world.state(source, '::/0'), 'USABLE')
})

t.test('malformed attributes replace the earlier path with nothing usable (RFC 7606 §2)', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  world.receive(source, announceBytes([P1], attributesWith()))
  world.turn()
  t.ok(world.winner(P1))
  world.receive(source, update([], [...octetsOf({}), 0x80, 4, 3, 0, 0, 1], [...nlri(P1), ...nlri(P2)]))
  t.equal(world.state(source, P1), 'TREAT_AS_WITHDRAW')
  t.equal(world.state(source, P2), 'TREAT_AS_WITHDRAW')
  world.turn()
  t.equal(world.winner(P1), null)
  t.match(world.faults, [{ approach: 'treat-as-withdraw', attribute: 4 }])
  t.same([source.received[0], source.accepted[0], source.treatedAsWithdraw], [2, 0, 1])
  world.receive(source, announceBytes([P1], attributesWith()))
  t.equal(world.state(source, P1), 'USABLE', 'and a good one makes it good again')
})

t.test('an attribute that overruns the block withdraws, what is read of it is not used (RFC 7606 §4)', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  world.receive(source, update([], [...octetsOf({}), 0x40, 5, 9, 1], [...nlri(P1)]))
  t.equal(world.state(source, P1), 'TREAT_AS_WITHDRAW')
  t.ok(world.faults.length > 0)
  world.receive(source, announceBytes([P2], attributesWith()))
  t.equal(world.state(source, P2), 'USABLE', 'the next UPDATE is not blamed for it')
})

t.test('missing mandatory attributes (RFC 7606 §3 d)', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  const cases: [string, number[]][] = [
    ['no attribute at all', []],
    ['ORIGIN', octetsOf({ origin: -1 })],
    ['AS_PATH', octetsOf({ asPath: null })],
    ['NEXT_HOP', octetsOf({}, false)],
  ]
  for (const [name, attributes] of cases) {
    world.receive(source, announceBytes([P1], attributesWith()))
    world.receive(source, update([], attributes, [...nlri(P1)]))
    t.equal(world.state(source, P1), 'MISSING_ATTRIBUTE', name)
    t.match(world.faults.at(-1), { approach: 'treat-as-withdraw' })
  }
  t.equal(source.treatedAsWithdraw, 4)
  world.receive(source, update([], [...mpReach([...nlri(P6)]), ...octetsOf({}, false)], []))
  t.equal(world.state(source, P6), 'USABLE', 'MP_REACH_NLRI brings its own next hop')
  world.receive(source, update([], [...octetsOf({}, false), ...mpReach([...nlri(P6)])], [...nlri(P2)]))
  t.same(
    [world.state(source, P2), world.state(source, P6)],
    ['MISSING_ATTRIBUTE', 'USABLE'],
    'each family by its own next hop',
  )
})

t.test('AS loops, allowOwnAs and localAsn', async (t) => {
  const world = new RibWorld()
  const announce = (given: object, path: readonly number[], kind: SourceKind = SourceKind.EBGP): string | null => {
    const source = world.source({ kind, ...given })
    world.receive(source, announceBytes([P1], attributesWith({ asPath: asPath(...path) })))
    return world.state(source, P1)
  }
  t.equal(announce({}, [65100, 1]), 'USABLE')
  t.equal(announce({}, [65100, ASN]), 'AS_LOOP')
  t.equal(announce({ allowOwnAs: 1 }, [65100, ASN]), 'USABLE')
  t.equal(announce({ allowOwnAs: 1 }, [65100, ASN, ASN]), 'AS_LOOP')
  t.equal(announce({}, [1, ASN], SourceKind.NON_CLIENT), 'AS_LOOP', 'from internal peers too')
  t.equal(announce({ localAsn: 64999 }, [65100, 64999]), 'AS_LOOP')
  t.equal(announce({ localAsn: 64999 }, [65100, ASN]), 'AS_LOOP')
  t.equal(announce({ localAsn: 64999, allowOwnAs: 1 }, [65100, ASN, 64999]), 'AS_LOOP', 'both count')
  t.equal(announce({ localAsn: 64999, allowOwnAs: 2 }, [65100, ASN, 64999]), 'USABLE')
})

t.test('reflection loops: from internal peers only (RFC 4456 §8)', async (t) => {
  const clusterList = Uint8Array.from([1, 2, 3, 4, 10, 0, 0, 0xcc])
  for (const [kind, given, expected] of [
    [SourceKind.CLIENT, { originatorId: ROUTER_ID }, 'ORIGINATOR_LOOP'],
    [SourceKind.NON_CLIENT, { originatorId: ROUTER_ID }, 'ORIGINATOR_LOOP'],
    [SourceKind.CLIENT, { originatorId: ROUTER_ID + 1 }, 'USABLE'],
    [SourceKind.CLIENT, { clusterList }, 'CLUSTER_LOOP'],
    [SourceKind.NON_CLIENT, { clusterList }, 'CLUSTER_LOOP'],
    [SourceKind.EBGP, { originatorId: ROUTER_ID, clusterList, asPath: asPath(65100) }, 'USABLE'],
  ] as const) {
    const world = new RibWorld()
    const source = world.source({ kind })
    world.receive(source, announceBytes([P1], attributesWith()))
    world.receive(source, announceBytes([P1], attributesWith(given)))
    t.equal(world.state(source, P1), expected, `kind ${kind} ${Object.keys(given)}`)
  }
  const plain = new RibWorld(null)
  const source = plain.source()
  plain.receive(source, announceBytes([P1], attributesWith({ clusterList })))
  t.equal(plain.state(source, P1), 'USABLE', 'a speaker that is no reflector has no cluster id')
  t.equal(CLUSTER_ID, 0x0a0000cc)
})

t.test('the first AS of an external path is the peer (RFC 4271 §6.3)', async (t) => {
  const world = new RibWorld()
  const source = external(world, { asn: 4200000000 })
  for (const [path, expected] of [
    [asPath(4200000000, 7), 'USABLE'],
    [asPath(7, 4200000000), 'FIRST_AS'],
    [asPath(), 'FIRST_AS'],
    [Uint8Array.from([1, 1, 0xfa, 0x56, 0xea, 0]), 'FIRST_AS'],
  ] as const) {
    world.receive(source, announceBytes([P1], attributesWith({ asPath: path })))
    t.equal(world.state(source, P1), expected, Buffer.from(path).toString('hex'))
  }
})

t.test('next hops nobody can forward to, and our own', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  for (const nextHop of ['::', '::1', 'ff02::1']) {
    const octets = Uint8Array.from(
      nextHop === '::'
        ? new Array(16).fill(0)
        : nextHop === '::1'
          ? [...new Array(15).fill(0), 1]
          : [0xff, 2, ...new Array(13).fill(0), 1],
    )
    world.receive(source, update([], [...mpReach([...nlri(P6)], octets), ...octetsOf({}, false)], []))
    t.equal(world.state(source, P6), 'NEXT_HOP_INVALID', nextHop)
  }
  world.rib.setResolver(() => 0, new Set(['10.0.0.1']))
  world.receive(source, announceBytes([P1], attributesWith({ nextHop: Uint8Array.from([10, 0, 0, 1]) })))
  world.turn()
  t.equal(world.winner(P1), null, 'our own address is no next hop')
  world.rib.setResolver(() => 0, new Set(['10.0.0.2']))
  t.equal(world.turn().length, 1)
  t.equal(world.winner(P1)?.source, 'p1', 'until it is ours no more')
})

t.test('an external peer without policy: kept, not used (RFC 8212)', async (t) => {
  const world = new RibWorld()
  const source = external(world, { importPolicy: 'none' })
  world.receive(source, announceBytes([P1], attributesWith({ asPath: asPath(65100) })))
  t.equal(world.state(source, P1), 'NO_POLICY')
  t.same([source.received[0], source.accepted[0]], [1, 0])
})

t.test('a policy rejects, and accepts later: by attributes, and by prefix', async (t) => {
  const world = new RibWorld()
  const source = world.source({
    importPolicy: policy([{ prefix: prefixMatch('10.0.0.0/8', 8, 16), origin: [0] }, 'accept', { weight: 7 }]),
  })
  world.receive(source, announceBytes([P1, '10.1.2.0/24'], attributesWith()))
  t.same([world.state(source, P1), world.state(source, '10.1.2.0/24')], ['USABLE', 'POLICY'])
  t.equal(world.rib.tables[0]!.paths.weight[world.path(source, P1)], 7)
  world.receive(source, announceBytes([P1], attributesWith({ origin: 1 })))
  t.equal(world.state(source, P1), 'POLICY', 'replaces the one that was accepted')
  t.equal(world.effective(source, P1), null)
  world.receive(source, announceBytes([P1], attributesWith({ med: 1 })))
  t.equal(world.state(source, P1), 'USABLE')
  t.same([source.received[0], source.accepted[0]], [2, 1])
})

t.test(
  'judgeAgain: a new policy speaks over what was received, slice by slice, and faults are told once',
  async (t) => {
    const world = new RibWorld()
    const source = world.source()
    const other = world.source({ importPolicy: policy([{}, 'reject']) })
    // Thousands of routes with an attribute to discard: ATOMIC_AGGREGATE with a value (RFC 7606 §7.6).
    const prefixes = Array.from({ length: 60 }, (_, n) => [24, 10, 1, n]).flat()
    world.receive(source, update([], [...octetsOf({}), 0x40, 6, 1, 9], prefixes))
    world.receive(source, announceBytes([P6], attributesWith({ nextHop: NEXT_HOP_6 })))
    world.receive(other, announceBytes(['10.9.0.0/16'], attributesWith()))
    world.receive(source, update([], octetsOf({ origin: -1 }), [...nlri(P2)]))
    world.turn()
    t.equal(source.accepted[0], 60)
    const faults = world.faults.length
    source.options = {
      ...source.options,
      importPolicy: policy([{ prefix: prefixMatch('10.1.0.0/17', 17, 32) }, 'accept', { localPref: 50 }]),
    }
    let slices = 0
    const judge = (family: Family): void => {
      for (let from = 1; from !== -1; slices++) from = world.input.judgeAgain(family, new Set([source.index]), from, 16)
    }
    judge(Family.IPV4_UNICAST)
    judge(Family.IPV6_UNICAST)
    t.ok(slices > 4)
    t.equal(world.faults.length, faults, 'no fault is told again')
    t.equal(source.treatedAsWithdraw, 1)
    t.equal(world.effective(source, '10.1.7.0/24')!.localPref, 50)
    t.equal(world.state(source, P6), 'POLICY')
    t.equal(world.state(source, P2), 'MISSING_ATTRIBUTE', 'a policy makes nothing of what is no route')
    t.equal(world.state(other, '10.9.0.0/16'), 'POLICY', 'others are left as they are')
    t.equal(world.turn().length, 61)
    source.options = { ...source.options, importPolicy: null }
    judge(Family.IPV4_UNICAST)
    judge(Family.IPV6_UNICAST)
    t.equal(world.effective(source, '10.1.7.0/24')!.localPref, 100)
    t.equal(world.state(source, P6), 'USABLE')
    world.receive(source, update([], [...octetsOf({}), 0x40, 6, 1, 8], prefixes))
    t.equal(world.faults.length, faults + 1, 'and faults of new UPDATEs are told')
  },
)

t.test('NLRI errors end the session: 3/10 in the IPv4 fields, 3/9 in the MP ones', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  const good = octetsOf({}, false)
  for (const [name, octets, expected] of [
    ['IPv4 NLRI of 33 bits', update([], octetsOf({}), [33, 1, 2, 3, 4, 5]), '3/10'],
    ['IPv4 NLRI cut', update([], octetsOf({}), [24, 1, 2]), '3/10'],
    ['withdrawn of 33 bits', update([33, 1, 2, 3, 4, 5], [], []), '3/10'],
    ['withdrawn cut', update([8], [], []), '3/10'],
    ['MP_REACH_NLRI of 129 bits', update([], [...mpReach([129, ...new Array(17).fill(1)]), ...good], []), '3/9'],
    ['MP_REACH_NLRI cut', update([], [...mpReach([64, 1, 2]), ...good], []), '3/9'],
    ['MP_UNREACH_NLRI cut', update([], mpUnreach([64, 1, 2]), []), '3/9'],
    ['IPv4 length 255', update([], octetsOf({}), [255]), '3/10'],
  ] as const) {
    t.equal(
      notification(() => world.receive(source, octets)),
      expected,
      name,
    )
  }
})

t.test('families that were not negotiated are ignored, also their End-of-RIB', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  const both = update([...nlri(P2)], [...mpReach([...nlri(P6)]), ...octetsOf({})], [...nlri(P1)])
  world.receive(source, both, 0b01)
  t.same([world.state(source, P1), world.state(source, P6)], ['USABLE', null])
  world.receive(source, both, 0b10)
  t.equal(world.state(source, P6), 'USABLE')
  world.receive(source, withdrawBytes([P1]), 0b10)
  t.equal(world.state(source, P1), 'USABLE')
  world.receive(source, withdrawBytes([P6]), 0b01)
  t.equal(world.state(source, P6), 'USABLE')
  world.receive(source, update([], mpUnreach([]), []), 0b01)
  world.receive(source, update([], [], []), 0b10)
  t.same(world.endsOfRib, [])
  world.receive(source, update([], [0x80, 14, 9, 0, 1, 128, 4, 1, 2, 3, 4, 0, ...octetsOf({})], []))
  t.equal(world.count(Family.IPV4_UNICAST) + world.count(Family.IPV6_UNICAST), 2, "SAFI 128 is nobody's")
})

t.test('End-of-RIB of each family (RFC 4724 §2)', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  world.receive(source, update([], [], []))
  t.same([world.endsOfRib, source.endOfRib], [[0], [true, false]])
  world.receive(source, update([], mpUnreach([]), []))
  t.same(
    [world.endsOfRib, source.endOfRib],
    [
      [0, 1],
      [true, true],
    ],
  )
  world.receive(source, update([...nlri(P1)], [], []))
  world.receive(source, update([], mpUnreach([...nlri(P6)]), []))
  t.equal(world.endsOfRib.length, 2, 'a withdrawal is none')
})

t.test(
  'attributes without anything they belong to: a fault ends the session, a discard does not (RFC 7606 §5.2)',
  async (t) => {
    const world = new RibWorld()
    const source = world.source()
    t.equal(
      notification(() => world.receive(source, update([], [...octetsOf({}), 0x80, 4, 3, 0, 0, 1], []))),
      '3/1',
    )
    t.equal(
      notification(() => world.receive(source, update([...nlri(P1)], [0x40, 1, 1, 9], []))),
      '3/1',
    )
    t.equal(
      notification(() => world.receive(source, update([], [...octetsOf({}), 0x40, 6, 1, 9], []))),
      'none',
    )
    t.equal(
      notification(() => world.receive(source, update([], octetsOf({}), []))),
      'none',
    )
    t.equal(world.turn().length, 0)
    t.equal(world.rib.store.size, 0)
  },
)

t.test('a closed source counts no more at once, and is cleared in slices', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  const other = world.source()
  world.receive(source, announceBytes([P1, P2], attributesWith({ localPref: 200 })))
  world.receive(source, announceBytes([P6], attributesWith({ nextHop: NEXT_HOP_6 })))
  world.receive(other, announceBytes([P1], attributesWith()))
  world.turn()
  t.equal(world.winner(P1)?.source, 'p1')
  world.rib.closeSource(source)
  world.rib.closeSource(source)
  world.rib.clearSlice(1)
  t.ok(world.rib.hasClearing)
  world.rib.clearSlice(1)
  t.equal(world.count(Family.IPV4_UNICAST), 1)
  world.rib.clearSlice(10)
  t.notOk(world.rib.hasClearing)
  world.turn()
  t.equal(world.winner(P1)?.source, 'p2')
  t.equal(world.rib.source(source.index), undefined)
  t.same([source.received[0], source.received[1], source.accepted[0]], [0, 0, 0])
  t.equal(world.rib.tables[1]!.prefixes.size, 0)
  t.not(world.source().index, source.index, 'indices are not used again')
})

t.test("the id of a removed winner may be another path's, before its prefix is decided", async (t) => {
  const world = new RibWorld()
  const source = world.source()
  world.receive(source, announceBytes([P1], attributesWith()))
  world.turn()
  const id = world.id(P1)
  world.receive(source, withdrawBytes([P1]))
  world.receive(source, announceBytes([P2], attributesWith()))
  t.equal(world.rib.tables[0]!.paths.best[id], 0)
  t.equal(world.winner(P1), null)
})

t.test(
  'communities that the policy makes too long for an attribute: the route is not used, nothing is thrown',
  async (t) => {
    const world = new RibWorld()
    const communitiesAdd = Array.from({ length: 60 }, (_, n) => `64512:${n}`)
    const importPolicy = policy([{}, 'accept', { communitiesAdd }])
    const source = world.source({ kind: SourceKind.EBGP, importPolicy })
    const communities = Buffer.alloc(4 * 16_350)
    for (let n = 0; n < 16_350; n++) communities.writeUInt32BE(0x10000 + n, n * 4)
    const received = { asPath: asPath(65100), communities }
    world.receive(source, announceBytes([P1], attributesWith(received)))
    t.equal(world.state(source, P1), 'TOO_LONG')
    t.equal(world.effective(source, P1), null)
    world.receive(
      source,
      announceBytes([P1], attributesWith({ ...received, communities: communities.subarray(0, 400) })),
    )
    t.equal(world.state(source, P1), 'USABLE')
  },
)
