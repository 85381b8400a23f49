/** ADD-PATH, sending (RFC 7911): which paths a member hears, under which identifiers, and when it hears that they are gone. */
import t, { type Test } from 'tap'
import type { GroupLimits } from '../../src/reflector/delivery.js'
import type { ExporterOptions } from '../../src/reflector/exporter.js'
import { SourceKind } from '../../src/rib/source.js'
import { policy } from '../rib/given.js'
import { announceBytes, withdrawBytes } from '../support/update-bytes.js'
import { attributesWith, GroupWorld, type PeerSocket, sequence } from './given.js'

const P1 = '10.1.0.0/16'
const P2 = '10.2.0.0/16'
const ALL = 255
const LIMITS: GroupLimits = { logOctets: 1 << 20, windowOctets: 1 << 18 }
const SMALL: GroupLimits = { logOctets: 2000, windowOctets: 400 }

/** Three sources that do not use ADD-PATH; the first has the best route. */
function given(limits = LIMITS): { world: GroupWorld; sources: [PeerSocket, PeerSocket, PeerSocket] } {
  const world = new GroupWorld(limits)
  return { world, sources: [world.up('a'), world.up('b'), world.up('c')] }
}

/** Source `n` (from 1) announces; its next hop tells it apart. */
function announce(world: GroupWorld, socket: PeerSocket, localPref: number, ...prefixes: string[]): void {
  const last = socket.source.index
  world.send(socket, announceBytes(prefixes, attributesWith({ localPref, nextHop: Uint8Array.from([10, 0, 9, last]) })))
}

function withdraw(world: GroupWorld, socket: PeerSocket, ...prefixes: string[]): void {
  world.send(socket, withdrawBytes(prefixes))
}

/** `identifier → source`, of a prefix, as the member has heard it. */
function heard(socket: PeerSocket, prefix: string): Map<number, number> {
  const found = new Map<number, number>()
  for (const [route, attributes] of socket.receiver.routes) {
    const [text, id] = route.split('@') as [string, string]
    if (text !== `0 ${prefix}`) continue
    found.set(Number(id), Number.parseInt(/4003040a0009(..)/.exec(attributes)![1]!, 16))
  }
  return found
}

function sourcesOf(socket: PeerSocket, prefix: string): number[] {
  return [...heard(socket, prefix).values()].sort()
}

/** A route that each of the three announces, liked less and less. */
function anycast(world: GroupWorld, sources: readonly PeerSocket[], prefix = P1): void {
  for (const [at, source] of sources.entries()) announce(world, source, 300 - at, prefix)
}

t.test('all paths, each under an identifier of its own that stays while its attributes change', async (t) => {
  const { world, sources } = given()
  const member = world.up('m', { sendPaths: ALL })
  anycast(world, sources)
  world.quiet()
  const first = heard(member, P1)
  t.same([...first.values()].sort(), [1, 2, 3])
  announce(world, sources[2], 900, P1)
  world.quiet()
  t.same(heard(member, P1), first, 'also where the winner changes')
  const { updates } = member
  announce(world, sources[2], 900, P1)
  world.quiet()
  t.equal(member.updates, updates, 'the same again is not told')
  for (const [at, source] of sources.entries()) {
    withdraw(world, source, P1)
    world.quiet()
    t.same(sourcesOf(member, P1), [2, 3].slice(at), `${2 - at} are left`)
  }
  t.equal(world.rib.tables[0]!.prefixes.size, 0, 'nothing names the prefix any more')
})

t.test('the best two: what falls out is withdrawn, what moves up is announced', async (t) => {
  const { world, sources } = given()
  const member = world.up('m', { sendPaths: 2 })
  anycast(world, sources)
  world.quiet()
  t.same(sourcesOf(member, P1), [1, 2])
  announce(world, sources[2], 301, P1)
  world.quiet()
  t.same(sourcesOf(member, P1), [1, 3], 'the third has become the winner')
  withdraw(world, sources[0], P1)
  world.quiet()
  t.same(sourcesOf(member, P1), [2, 3])
  // Not usable any more, though announced: our own router id in ORIGINATOR_ID (RFC 4456 §8).
  world.send(sources[1], announceBytes([P1], attributesWith({ originatorId: 0x0a000001 })))
  world.quiet()
  t.same(sourcesOf(member, P1), [3])
})

t.test('a change of the second best alone reaches ADD-PATH members only', async (t) => {
  const { world, sources } = given()
  const [all, two, plain] = [world.up('all', { sendPaths: ALL }), world.up('two', { sendPaths: 2 }), world.up('plain')]
  anycast(world, sources)
  world.quiet()
  const before = [all.updates, two.updates, plain.updates]
  announce(world, sources[1], 299, P1)
  world.send(
    sources[1],
    announceBytes([P1], attributesWith({ localPref: 299, med: 7, nextHop: Uint8Array.from([10, 0, 9, 2]) })),
  )
  world.quiet()
  t.same(
    [all.updates, two.updates, plain.updates].map((count, at) => count - before[at]!),
    [1, 1, 0],
  )
})

t.test('a member hears neither its own paths nor those that the rules keep from it', async (t) => {
  const world = new GroupWorld(LIMITS)
  const given: Partial<ExporterOptions> = { sendPaths: 2 }
  const [a, b, c] = [world.up('a', given), world.up('b', given), world.up('c', given)]
  const inside = { kind: SourceKind.NON_CLIENT, sendPaths: ALL } as const
  const [n, o] = [world.up('n', inside), world.up('o', inside)]
  anycast(world, [a, b, c])
  announce(world, n, 50, P1)
  world.quiet()
  t.same(
    [a, b, c].map((socket) => sourcesOf(socket, P1)),
    [[2], [1], [1, 2]],
    'the best two of all, its own left out',
  )
  t.same(
    [n, o].map((socket) => sourcesOf(socket, P1)),
    [
      [1, 2, 3],
      [1, 2, 3],
    ],
    'no route of a non-client to a non-client',
  )
  const group = a.member.group
  t.same(
    [...group.countsBySource()],
    [
      [1, 1],
      [2, 1],
    ],
  )
  t.equal(group.prefixCount, 2)
  const id = world.rib.tables[0]!.prefixes.find(0x0a010000, 0, 0, 0, 16)
  t.same(
    group.sentRows(id).map((row) => group.sentSource(row)),
    [1, 2],
    'in the order of the decision',
  )
})

t.test('the best that the export policy lets out count, not those that it keeps', async (t) => {
  const { world, sources } = given()
  const member = world.up('m', { sendPaths: 2, exportPolicy: policy([{ peer: ['a'] }, 'reject'], [{}, 'accept']) })
  anycast(world, sources)
  world.quiet()
  t.same(sourcesOf(member, P1), [2, 3])
})

t.test('a client that joins later and one that asks for a refresh hear all paths, once each', async (t) => {
  const { world, sources } = given()
  const first = world.up('first', { sendPaths: ALL })
  anycast(world, sources, P1)
  anycast(world, sources, P2)
  world.quiet()
  const later = world.up('later', { sendPaths: ALL })
  world.quiet()
  t.same(
    [sourcesOf(later, P1), sourcesOf(later, P2)],
    [
      [1, 2, 3],
      [1, 2, 3],
    ],
  )
  t.same(heard(later, P1), heard(first, P1), 'under the identifiers that all members know')
  t.same(later.receiver.endOfRib, [1, 0])
  const announced: string[] = []
  later.receiver.onAnnounce = (route) => announced.push(route)
  later.member.group.refresh(later.member.member)
  world.quiet()
  t.equal(announced.length, 6)
  t.equal(new Set(announced).size, 6)
})

t.test('the loss of a peer withdraws its paths; its return brings them under other identifiers', async (t) => {
  const { world, sources } = given()
  const member = world.up('m', { sendPaths: ALL })
  anycast(world, sources)
  world.quiet()
  const before = heard(member, P1)
  world.down(sources[0])
  world.quiet()
  t.same(sourcesOf(member, P1), [2, 3])
  const again = world.up('a')
  announce(world, again, 300, P1)
  world.quiet()
  const after = heard(member, P1)
  t.same([...after.values()].sort(), [2, 3, again.source.index])
  for (const [id, source] of before) if (source !== 1) t.equal(after.get(id), source, 'the others keep theirs')
})

/** Fills the log so that stalled members fall behind. */
function fill(world: GroupWorld, socket: PeerSocket, round: number): void {
  for (let n = 0; n < 60; n++) announce(world, socket, 100 + round, `10.100.${n}.0/24`)
  world.turn()
}

async function slowMember(t: Test, sendPaths: number): Promise<void> {
  const { world, sources } = given(SMALL)
  const [slow, quick] = [world.up('slow', { sendPaths }), world.up('quick', { sendPaths })]
  anycast(world, sources)
  world.quiet()
  const before = heard(slow, P1)
  slow.stalled = true
  for (let round = 1; round <= 5; round++) {
    fill(world, sources[0], round)
    quick.take()
  }
  t.equal(slow.member.member.state, 'behind')
  // What the slow member knows under these identifiers goes; others come, some of them for another prefix.
  for (const source of sources) withdraw(world, source, P1)
  world.turn()
  const { size, goneCount } = world.rib.tables[0]!.paths
  t.ok(goneCount >= 2, `${goneCount} are gone and named to it`)
  t.equal(world.rib.pathCount, size + goneCount, 'they count towards limits.paths')
  anycast(world, sources, P2)
  world.turn()
  anycast(world, sources, P1)
  world.turn()
  quick.take()
  t.notOk(
    [...before.keys()].some((id) => heard(quick, P2).has(id)),
    'no identifier that it may know is given to another',
  )
  slow.stalled = false
  world.quiet()
  t.same([heard(slow, P1), heard(slow, P2)], [heard(quick, P1), heard(quick, P2)])
  t.same(heard(slow, P1), before, 'the same paths have the same identifiers again')
  for (const prefix of [P1, P2]) for (const source of sources) withdraw(world, source, prefix)
  for (let n = 0; n < 60; n++) withdraw(world, sources[0], `10.100.${n}.0/24`)
  world.quiet()
  t.equal(slow.receiver.routes.size, 0)
  const { prefixes, paths } = world.rib.tables[0]!
  t.same([prefixes.size, paths.size, paths.goneCount], [0, 0, 0], 'all ids are free again')
}

t.test('a member behind: identifiers that it may know are not reused; all paths', (t) => slowMember(t, ALL))
t.test('a member behind, best two', (t) => slowMember(t, 2))

t.test(
  'a path that comes and goes while a member takes nothing does not take one identifier after the other',
  async (t) => {
    const { world, sources } = given(SMALL)
    const [slow, quick] = [world.up('slow', { sendPaths: ALL }), world.up('quick', { sendPaths: ALL })]
    anycast(world, sources)
    world.quiet()
    const before = heard(slow, P1)
    slow.stalled = true
    for (let round = 0; round < 500; round++) {
      withdraw(world, sources[0], P1)
      world.turn()
      announce(world, sources[0], 300 + (round & 1), P1)
      world.turn()
      quick.take()
    }
    t.equal(slow.member.member.state, 'behind')
    t.ok(world.rib.tables[0]!.paths.end < 10, `${world.rib.tables[0]!.paths.end - 1} path ids were made`)
    slow.stalled = false
    world.quiet()
    t.same([heard(slow, P1), heard(quick, P1)], [before, before])
  },
)

t.test('an identifier freed and wanted again within one turn', async (t) => {
  const { world, sources } = given()
  const member = world.up('m', { sendPaths: ALL })
  announce(world, sources[0], 100, P1)
  world.quiet()
  const before = heard(member, P1)
  withdraw(world, sources[0], P1)
  announce(world, sources[1], 100, P2)
  world.quiet()
  t.equal(heard(member, P1).size, 0)
  t.same(sourcesOf(member, P2), [2])
  t.notOk(heard(member, P2).has([...before.keys()][0]!))
})

t.test('another group by a reload: withdrawn is what only the old one had', async (t) => {
  const { world, sources } = given()
  const member = world.up('m', { sendPaths: ALL })
  anycast(world, sources, P1)
  anycast(world, sources, P2)
  world.quiet()
  const before = heard(member, P1)
  const { options } = member.member.group.exporter
  member.member = world.reflector.move(member.member, {
    ...options,
    exportPolicy: policy([{ peer: ['b'] }, 'reject'], [{}, 'accept']),
  })
  withdraw(world, sources[2], P2)
  world.quiet()
  t.same([sourcesOf(member, P1), sourcesOf(member, P2)], [[1, 3], [1]])
  for (const [id, source] of heard(member, P1)) t.equal(before.get(id), source, 'identifiers stay')
  world.down(member)
  for (const source of [...sources]) world.down(source)
  world.quiet()
  t.same([world.rib.tables[0]!.prefixes.size, world.rib.tables[0]!.paths.size], [0, 0])
})

t.test('external members: next hop and AS path of each path as for others', async (t) => {
  const { world, sources } = given()
  const member = world.up('m', { kind: SourceKind.EBGP, sendPaths: ALL })
  world.send(sources[0], announceBytes([P1], attributesWith({ asPath: sequence(7) })))
  world.send(sources[1], announceBytes([P1], attributesWith({ asPath: sequence(8, 9) })))
  world.quiet()
  const attributes = [...member.receiver.routes.values()].sort()
  t.equal(attributes.length, 2)
  t.ok(
    attributes.every((hex) => hex.includes('4003040a000001')),
    'our own address as next hop',
  )
  t.match(attributes, [/02020000fde800000007/, /02030000fde80000000800000009/])
})
