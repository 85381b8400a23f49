/** NLRI with path identifiers into Adj-RIB-In and decision (RFC 7911). */
import fc from 'fast-check'
import t from 'tap'
import { NotificationError } from '../../src/bgp/errors.js'
import { Family } from '../../src/net/family.js'
import { MAX_PATHS_OF_PREFIX } from '../../src/rib/rib.js'
import type { RibSource } from '../../src/rib/source.js'
import { announceBytes, message, nlri, withdrawBytes } from '../support/update-bytes.js'
import { attributesWith, policy, RibWorld } from './given.js'

const P4 = '10.1.0.0/16'
const P6 = '2001:db8:1::/48'
const NEXT_HOP_6 = Uint8Array.from([0x20, 1, 0x0d, 0xb8, ...new Array(11).fill(0), 9])
const BOTH = 3

function nextHop(last: number): { readonly nextHop: Uint8Array } {
  return { nextHop: Uint8Array.from([10, 0, 1, last]) }
}

/** `code/subcode` of the NOTIFICATION that an UPDATE ends with. */
function ends(world: RibWorld, source: RibSource, octets: Uint8Array): string {
  try {
    world.receive(source, octets)
  } catch (error) {
    if (error instanceof NotificationError) return `${error.code}/${error.subcode}`
    throw error
  }
  return 'none'
}

/** Received identifier of the winner. */
function winner(world: RibWorld, prefix: string, family: Family = Family.IPV4_UNICAST): number | null {
  const { paths } = world.rib.tables[family]!
  const best = paths.best[world.id(prefix)]!
  return best === 0 ? null : paths.receivedIdOf(best)
}

t.test('each identifier is a path of its own, announced, replaced and withdrawn by itself (RFC 7911 §3)', async (t) => {
  for (const [prefix, family, given] of [
    [P4, Family.IPV4_UNICAST, nextHop(1)],
    [P6, Family.IPV6_UNICAST, { nextHop: NEXT_HOP_6 }],
  ] as const) {
    const world = new RibWorld()
    const source = world.source({ addPathReceive: BOTH })
    for (const id of [7, 0, 0xffffffff])
      world.receive(source, announceBytes([`${prefix}@${id}`], attributesWith({ ...given, med: id & 255 })))
    t.same([source.received[family], source.accepted[family], world.count(family)], [3, 3, 3])
    t.same(
      ['7', '0', '4294967295'].map((id) => world.effective(source, `${prefix}@${id}`)!.med),
      [7, 0, 255],
    )
    world.turn()
    t.equal(winner(world, prefix, family), 0, 'the lowest MED')
    world.receive(source, announceBytes([`${prefix}@7`], attributesWith({ ...given, med: 1, localPref: 200 })))
    t.equal(world.count(family), 3)
    world.turn()
    t.equal(winner(world, prefix, family), 7)
    world.receive(source, withdrawBytes([`${prefix}@8`]))
    world.receive(source, withdrawBytes([`${prefix}@7`]))
    world.turn()
    t.equal(winner(world, prefix, family), 0, 'a withdrawal of an unknown identifier is no error')
    world.receive(source, withdrawBytes([`${prefix}@0`, `${prefix}@4294967295`]))
    world.turn()
    t.same([source.received[family], world.count(family), world.rib.tables[family]!.prefixes.size], [0, 0, 0])
  }
})

t.test('the families that were negotiated have identifiers, the others have none', async (t) => {
  const world = new RibWorld()
  const source = world.source({ addPathReceive: 1 << Family.IPV4_UNICAST })
  world.receive(source, announceBytes([`${P4}@7`], attributesWith()))
  world.receive(source, announceBytes([P6], attributesWith({ nextHop: NEXT_HOP_6 })))
  t.same([world.state(source, `${P4}@7`), world.state(source, P6)], ['USABLE', 'USABLE'])
  const plain = world.source()
  world.receive(plain, announceBytes([P4], attributesWith(nextHop(2))))
  t.same([world.path(plain, P4) > 0, world.path(source, P4)], [true, 0], 'a peer without them beside one with them')
  world.receive(plain, withdrawBytes([P4]))
  t.same([world.state(plain, P4), world.state(source, `${P4}@7`)], [null, 'USABLE'])
})

t.test('NLRI that end within an identifier or behind it: 3/10, in MP attributes 3/9 (RFC 7606 §5.3)', async (t) => {
  const whole4 = [...nlri(`${P4}@7`)]
  const whole6 = [...nlri(`${P6}@7`)]
  for (let cut = 1; cut < whole4.length; cut++) {
    const world = new RibWorld()
    const source = world.source({ addPathReceive: BOTH })
    const all = announceBytes([`${P4}@7`], attributesWith())
    const body = [...all.subarray(19, all.length - cut)]
    t.equal(ends(world, source, message(2, Uint8Array.from(body))), '3/10', `announced, ${cut} octets missing`)
    const withdrawn = whole4.slice(0, whole4.length - cut)
    t.equal(ends(world, source, message(2, Uint8Array.from([0, withdrawn.length, ...withdrawn, 0, 0]))), '3/10')
  }
  for (let cut = 1; cut < whole6.length; cut++) {
    const world = new RibWorld()
    const source = world.source({ addPathReceive: BOTH })
    const part = whole6.slice(0, whole6.length - cut)
    const reach = [0x80, 14, 21 + part.length, 0, 2, 1, 16, ...NEXT_HOP_6, 0, ...part]
    const unreach = [0x80, 15, 3 + part.length, 0, 2, 1, ...part]
    for (const attribute of [reach, unreach]) {
      const octets = message(2, Uint8Array.from([0, 0, 0, attribute.length, ...attribute]))
      t.equal(ends(world, source, octets), '3/9', `attribute ${attribute[1]}, ${cut} octets missing`)
    }
  }
})

t.test('equal paths of one peer: the lower identifier wins, in every order of arrival', async () => {
  const ids = fc.uniqueArray(fc.integer({ min: 0, max: 0xffffffff }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(ids, (list) => {
      const world = new RibWorld()
      const source = world.source({ addPathReceive: BOTH })
      for (const id of list) world.receive(source, announceBytes([`${P4}@${id}`], attributesWith()))
      world.turn()
      const { decision } = world.rib.tables[0]!
      const order = decision.ranked(world.id(P4)).map((path) => world.rib.tables[0]!.paths.receivedIdOf(path))
      const sorted = [...list].sort((a, b) => a - b)
      return winner(world, P4) === sorted[0] && order.join() === sorted.join()
    }),
  )
})

t.test('two paths of one peer share the load where their next hops differ', async (t) => {
  const world = new RibWorld()
  const source = world.source({ addPathReceive: BOTH })
  world.receive(source, announceBytes([`${P4}@1`], attributesWith(nextHop(1))))
  world.receive(source, announceBytes([`${P4}@2`], attributesWith(nextHop(2))))
  world.receive(source, announceBytes([`${P4}@3`], attributesWith(nextHop(2))))
  world.turn()
  const { paths, decision } = world.rib.tables[0]!
  const prefix = world.id(P4)
  t.same(
    decision.multipath(prefix, paths.best[prefix]!, 16).map((path) => paths.receivedIdOf(path)),
    [1, 2],
  )
})

t.test('judged again, each under its identifier', async (t) => {
  const world = new RibWorld()
  const source = world.source({ addPathReceive: BOTH })
  for (const id of [1, 2]) world.receive(source, announceBytes([`${P4}@${id}`], attributesWith({ med: id })))
  world.turn()
  source.options = { ...source.options, importPolicy: policy([{}, 'reject']) }
  t.equal(world.input.judgeAgain(Family.IPV4_UNICAST, new Set([source.index]), 1, 1000), -1)
  t.same([world.state(source, `${P4}@1`), world.state(source, `${P4}@2`)], ['POLICY', 'POLICY'])
  t.same([source.received[0], source.accepted[0], world.count(0)], [2, 0, 2])
})

t.test('one prefix with ever more identifiers ends the session with 6/8', async (t) => {
  const world = new RibWorld()
  const source = world.source({ addPathReceive: BOTH })
  const batch = (from: number): Uint8Array =>
    announceBytes(
      Array.from({ length: 256 }, (_, at) => `${P4}@${from + at}`),
      attributesWith(),
    )
  for (let id = 1; id < MAX_PATHS_OF_PREFIX; id += 256) t.equal(ends(world, source, batch(id)), 'none')
  t.equal(ends(world, source, batch(1)), 'none', 'those that are there may be said again')
  t.equal(ends(world, source, batch(MAX_PATHS_OF_PREFIX + 1)), '6/8')
})
