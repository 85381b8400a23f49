/**
 * Graceful restart as the receiving speaker (RFC 4724 §4.2, RFC 8538, RFC 9494), in virtual time: sessions, tables and update groups of the real daemon, peers played
 * by hand.
 */
import t from 'tap'
import type { CapabilityOffer } from '../../src/bgp/capabilities/offer.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { Family } from '../../src/net/family.js'
import { GracefulWorld, Played } from '../support/graceful-world.js'
import { neighbor, range } from '../support/speaker.js'

const A = '10.0.0.11'
const B = '10.0.0.12'
const HELPER = { restarter: false, restartTimeSeconds: 120, staleTimeSeconds: 300, notification: true }
const V4 = Family.IPV4_UNICAST
const V6 = Family.IPV6_UNICAST

function offer(
  given: Partial<NonNullable<CapabilityOffer['gracefulRestart']>> & { readonly forwarding?: boolean } = {},
): Partial<CapabilityOffer> {
  const { forwarding = true, ...rest } = given
  return {
    gracefulRestart: {
      restarting: false,
      notification: false,
      restartTimeSeconds: 60,
      families: [{ family: V4, forwarding }],
      ...rest,
    },
  }
}
const NOTIFYING = offer({ notification: true })

/** We with two internal clients: the one that restarts, and one that listens. */
async function given(settings: Partial<NeighborConfig> = {}, offered = offer(), holdTimeSeconds = 0) {
  const world = new GracefulWorld([
    neighbor({
      name: 'a',
      address: A,
      passive: true,
      reflectorClient: true,
      gracefulRestart: HELPER,
      ...settings,
    }),
    neighbor({ name: 'b', address: B, passive: true, reflectorClient: true, families: [V4, V6] }),
  ]).start()
  const a = new Played(A)
  const b = new Played(B)
  a.holdTimeSeconds = holdTimeSeconds
  b.families = [V4, V6]
  await world.up(b)
  await world.up(a, offered)
  a.announce(['10.1.0.0/16', '10.2.0.0/16'])
  a.endOfRib()
  await world.settle()
  t.same(world.table(), ['10.1.0.0/16', '10.2.0.0/16'])
  t.same(b.heard(), ['10.1.0.0/16', '10.2.0.0/16'])
  return { world, a, b }
}
const STALE = ['10.1.0.0/16 S', '10.2.0.0/16 S']

t.test('a lost TCP connection: the routes stay, stale, until the restart time is over', async (t) => {
  const { world, a, b } = await given()
  a.lose()
  await world.settle()
  t.same(world.table(), STALE)
  const { source } = world.routes.entry(world.manager.find('a')[0]!)!
  t.equal(world.rib.countStale(Family.IPV4_UNICAST, source), source.received[Family.IPV4_UNICAST], 'all of them')
  b.read()
  await world.advance(59)
  t.same(world.table(), STALE)
  t.notOk(b.read().includes(2), 'nobody hears of it')
  await world.advance(2)
  t.same(world.table(), [])
  t.same(b.heard(), [])
  t.match(world.notes[0], /2 routes of ipv4-unicast stay as stale ones for 60 s/)
  t.match(world.notes[1], /did not come back in its restart time/)
})

t.test('a peer that returns with the same routes: nobody downstream hears a thing', async (t) => {
  const { world, a, b } = await given()
  a.lose()
  await world.settle()
  b.read()
  await world.up(a, offer())
  t.same(world.table(), STALE)
  a.announce(['10.1.0.0/16', '10.2.0.0/16'])
  await world.settle()
  t.same(world.table(), ['10.1.0.0/16', '10.2.0.0/16'], 'said again')
  a.endOfRib()
  await world.advance(400)
  t.same(world.table(), ['10.1.0.0/16', '10.2.0.0/16'])
  t.notOk(b.read().includes(2))
  t.equal(world.routes.stale.view(world.manager.find('a')[0]!).length, 0)
})

t.test('End-of-RIB sweeps what was not said again, and only that', async (t) => {
  const { world, a, b } = await given()
  a.lose()
  await world.up(a, offer())
  a.announce(['10.2.0.0/16', '10.3.0.0/16'])
  await world.settle()
  t.same(world.table(), ['10.1.0.0/16 S', '10.2.0.0/16', '10.3.0.0/16'])
  a.endOfRib()
  await world.settle()
  t.same(world.table(), ['10.2.0.0/16', '10.3.0.0/16'])
  t.same(b.heard(), ['10.2.0.0/16', '10.3.0.0/16'])
  t.match(world.notes.at(-1), /1 stale routes of ipv4-unicast are gone, 2 stayed/)
})

t.test('a withdrawal of a stale route before End-of-RIB counts', async (t) => {
  const { world, a } = await given()
  a.lose()
  await world.up(a, offer())
  a.withdraw('10.1.0.0/16')
  await world.settle()
  t.same(world.table(), ['10.2.0.0/16 S'])
})

t.test('no End-of-RIB: the stale time ends it', async (t) => {
  const { world, a } = await given()
  a.lose()
  await world.up(a, offer())
  a.announce(['10.2.0.0/16'])
  await world.advance(299)
  t.same(world.table(), ['10.1.0.0/16 S', '10.2.0.0/16'])
  await world.advance(2)
  t.same(world.table(), ['10.2.0.0/16'])
})

const RETURNS: readonly (readonly [string, Partial<CapabilityOffer>])[] = [
  ['without the capability', {}],
  ['with no family in it', offer({ families: [] })],
  ['with F = 0', offer({ forwarding: false })],
  ['with the other family only', offer({ families: [{ family: V6, forwarding: true }] })],
]
for (const [name, offered] of RETURNS)
  t.test(`a peer that returns ${name}: its stale routes go at once (RFC 4724 §4.2)`, async (t) => {
    const { world, a } = await given()
    a.lose()
    await world.up(a, offered)
    t.same(world.table(), [])
    a.announce(['10.2.0.0/16'])
    await world.settle()
    t.same(world.table(), ['10.2.0.0/16'])
  })

t.test('a second failure before End-of-RIB: what was stale goes, what was said again is stale', async (t) => {
  const { world, a } = await given()
  a.lose()
  await world.up(a, offer())
  a.announce(['10.2.0.0/16', '10.3.0.0/16'])
  await world.settle()
  a.lose()
  await world.settle()
  t.same(world.table(), ['10.2.0.0/16 S', '10.3.0.0/16 S'])
  await world.up(a, offer())
  a.announce(['10.3.0.0/16'])
  await world.settle()
  a.lose()
  await world.settle()
  t.same(world.table(), ['10.3.0.0/16 S'], 'and again')
  await world.advance(61)
  t.same(world.table(), [])
})

const ENDS: readonly (readonly [string, Partial<CapabilityOffer>, (a: Played) => void, boolean])[] = [
  ['NOTIFICATION 6/2 received, no N bit', offer(), (a) => a.notify(6, 2), false],
  ['NOTIFICATION 6/2 received, N bit', NOTIFYING, (a) => a.notify(6, 2), true],
  ['NOTIFICATION 4/0 received, N bit', NOTIFYING, (a) => a.notify(4, 0), true],
  ['NOTIFICATION 3/1 received, N bit', NOTIFYING, (a) => a.notify(3, 1), true],
  ['Hard Reset 6/9 received, N bit', NOTIFYING, (a) => a.notify(6, 9, Uint8Array.of(6, 2)), false],
  ['NOTIFICATION 1/1 sent, no N bit', offer(), (a) => a.raw!.send(new Uint8Array(19)), false],
  ['NOTIFICATION 1/1 sent, N bit', NOTIFYING, (a) => a.raw!.send(new Uint8Array(19)), true],
  ['TCP lost without families in the capability', offer({ families: [] }), (a) => a.lose(), false],
  ['TCP lost with a restart time of 0', offer({ restartTimeSeconds: 0 }), (a) => a.lose(), false],
  ['TCP lost without the capability', {}, (a) => a.lose(), false],
]
for (const [name, offered, end, stays] of ENDS)
  t.test(`${name}: routes ${stays ? 'stay' : 'go'}`, async (t) => {
    const { world, a } = await given({}, offered)
    end(a)
    await world.settle()
    t.same(world.table(), stays ? STALE : [])
  })

for (const [name, offered, stays] of [
  ['no N bit', offer(), false],
  ['N bit', NOTIFYING, true],
] as const)
  t.test(`hold timer expiry, ${name}: routes ${stays ? 'stay' : 'go'}`, async (t) => {
    const { world, a } = await given({}, offered, 30)
    await world.advance(31)
    t.same(a.notification(), [4, 0])
    t.same(world.table(), stays ? STALE : [])
  })

t.test('our N bit is off: that of the peer alone does nothing', async (t) => {
  const { world, a } = await given({ gracefulRestart: { ...HELPER, notification: false } }, NOTIFYING)
  a.notify(6, 2)
  await world.settle()
  t.same(world.table(), [])
})

t.test('what an operator ends is over: a Hard Reset where a plain Cease would be graceful (RFC 8538 §3)', async (t) => {
  for (const [offered, expected] of [
    [offer(), [6, 2, 5, 0x6c, 0x75, 0x6e, 0x63, 0x68]],
    [NOTIFYING, [6, 9, 6, 2, 5, 0x6c, 0x75, 0x6e, 0x63, 0x68]],
  ] as const) {
    const { world, a } = await given({}, offered)
    world.manager.down('a', 'lunch')
    await world.settle()
    t.same(a.notification(), expected)
    t.same(world.table(), [])
    t.match(world.manager.find('a')[0]!.history.at(-1)?.reason, /6\/2 \(Cease\/Administrative Shutdown\).*"lunch"/)
  }
  const limit = { limit: 2, warningPercent: 80, restartMs: null }
  const { world, a } = await given({ maxPrefix: limit }, NOTIFYING)
  a.announce(['10.3.0.0/16'])
  await world.settle()
  t.same(a.notification(), [6, 9, 6, 1, 0, 1, 1, 0, 0, 0, 2])
  t.same(world.table(), [])
})

t.test('an operator ends the wait: down, clear, other settings, removal', async (t) => {
  const changed = neighbor({ name: 'a', address: A, passive: true, gracefulRestart: HELPER, holdTimeSeconds: 30 })
  const actions: ((world: GracefulWorld) => void)[] = [
    ({ manager }) => manager.down('a'),
    ({ manager }) => manager.clear('a'),
    ({ manager, neighbors }) => manager.configure([changed, neighbors[1]!]),
    ({ manager, neighbors }) => manager.configure([neighbors[1]!]),
  ]
  for (const act of actions) {
    const { world, a } = await given()
    a.lose()
    await world.settle()
    t.same(world.table(), STALE)
    act(world)
    await world.settle()
    t.same(world.table(), [])
  }
})

t.test('a peer that returns as somebody else (other BGP Identifier) starts anew', async (t) => {
  const { world, a, b } = await given()
  a.lose()
  await world.settle()
  a.bgpId = 0x0a0000ff
  await world.up(a, offer())
  t.same(world.table(), [])
  t.same(b.heard(), [])
})

t.test('the limit of prefixes does not count stale and new ones together', async (t) => {
  const limit = { limit: 3, warningPercent: 80, restartMs: null }
  const { world, a } = await given({ maxPrefix: limit })
  a.lose()
  await world.up(a, offer())
  a.announce(['10.11.0.0/16', '10.12.0.0/16'])
  a.endOfRib()
  await world.settle()
  t.same(world.table(), ['10.11.0.0/16', '10.12.0.0/16'])
  a.announce(['10.13.0.0/16', '10.14.0.0/16'])
  await world.settle()
  t.same(a.notification().slice(0, 2), [6, 1])
})

t.test('a peer over the limit when its stale routes are gone does not stay because it says nothing more', async (t) => {
  const limit = { limit: 3, warningPercent: 80, restartMs: null }
  const { world, a } = await given({ maxPrefix: limit })
  a.lose()
  await world.up(a, offer())
  a.announce(['10.11.0.0/16', '10.12.0.0/16', '10.13.0.0/16', '10.14.0.0/16'])
  a.endOfRib()
  await world.settle()
  t.same(a.notification().slice(0, 2), [6, 1])
  t.same(world.table(), [])
})

t.test('one family stays, the other goes', async (t) => {
  const { world, a } = await (async () => {
    const world = new GracefulWorld([
      neighbor({ name: 'a', address: A, passive: true, gracefulRestart: HELPER, families: [V4, V6] }),
    ]).start()
    const a = new Played(A)
    a.families = [V4, V6]
    await world.up(a, offer())
    a.announce(['10.1.0.0/16'])
    a.announce(['2001:db8::/32'])
    await world.settle()
    return { world, a }
  })()
  t.same(world.table(V6), ['2001:db8::/32'])
  a.lose()
  await world.settle()
  t.same([world.table(V4), world.table(V6)], [['10.1.0.0/16 S'], []])
})

t.test('a new connection while the session is Established takes its place (RFC 4724 §5)', async (t) => {
  const { world, a, b } = await given()
  const old = a.raw!
  await world.advance(10)
  b.read()
  a.open(world.network)
  await world.settle()
  t.equal(old.closedText, null, 'not before its OPEN is there')
  a.sayOpen(offer({ restarting: true }))
  await world.settle()
  t.ok(old.link.isClosed)
  t.notOk(
    old.received.some((chunk) => chunk[18] === 3),
    'without a NOTIFICATION',
  )
  a.raw!.send(Uint8Array.from([...new Array<number>(16).fill(255), 0, 19, 4]))
  await world.settle()
  t.equal(world.manager.find('a')[0]!.state, 'Established')
  t.same(world.table(), STALE)
  t.notOk(b.read().includes(2))
  a.announce(['10.1.0.0/16'])
  a.endOfRib()
  await world.settle()
  t.same(world.table(), ['10.1.0.0/16'])
})

t.test(
  'a second connection that says nothing, or nonsense, or comes right at the start, changes nothing',
  async (t) => {
    const { world, a } = await given()
    const first = a.raw!
    const early = world.network.connect(A, '10.0.0.1')
    await world.settle()
    t.same([...early.received.at(-1)!.subarray(19)], [6, 7], 'too soon after the first: a collision')
    await world.advance(10)
    const silent = world.network.connect(A, '10.0.0.1')
    await world.settle()
    const nonsense = world.network.connect(A, '10.0.0.1')
    nonsense.send(new Uint8Array(19))
    await world.settle()
    t.ok(silent.link.isClosed, 'one at a time')
    t.ok(nonsense.link.isClosed)
    const gone = world.network.connect(A, '10.0.0.1')
    await world.settle()
    gone.link.end()
    await world.settle()
    t.equal(first.closedText, null)
    t.equal(world.manager.find('a')[0]!.state, 'Established')
    t.same(world.table(), ['10.1.0.0/16', '10.2.0.0/16'])
  },
)

t.test('without graceful restart a second connection is refused as ever', async (t) => {
  const { world, a } = await given({}, {})
  await world.advance(10)
  a.open(world.network)
  await world.settle()
  t.same(a.notification(), [6, 7])
})

t.test('a peer of a range lives on for its restart time, and is matched by its address', async (t) => {
  const world = new GracefulWorld([
    neighbor({ name: 'nodes', range: range('10.0.0.0/24'), gracefulRestart: HELPER }),
  ]).start()
  const a = new Played(A)
  await world.up(a, offer())
  a.announce(['10.1.0.0/16'])
  await world.settle()
  a.lose()
  await world.settle()
  t.same(
    [...world.manager.peers()].map(({ address, state }) => [address, state]),
    [[A, 'Active']],
  )
  t.same(world.table(), ['10.1.0.0/16 S'])
  await world.up(a, offer())
  t.equal([...world.manager.peers()].length, 1)
  t.same(world.table(), ['10.1.0.0/16 S'])
  a.endOfRib()
  await world.settle()
  t.same(world.table(), [])
  a.announce(['10.1.0.0/16'])
  await world.settle()
  a.lose()
  await world.advance(61)
  t.same([...world.manager.peers()], [])
  t.same(world.table(), [])
  await world.up(a, offer())
  a.announce(['10.1.0.0/16'])
  await world.settle()
  a.lose()
  await world.settle()
  world.manager.clear(A)
  await world.settle()
  t.same([...world.manager.peers()], [], 'and not beyond what an operator says')
  await world.up(a, offer())
  a.announce(['10.1.0.0/16'])
  await world.settle()
  a.lose()
  await world.settle()
  world.manager.configure([])
  await world.settle()
  t.same([...world.manager.peers()], [])
  t.same(world.table(), [])
})

t.test('policies that are applied again while the peer is away leave its routes stale', async (t) => {
  const { world, a } = await given()
  a.lose()
  await world.settle()
  world.routes.judgeAgain(new Set([world.routes.entry(world.manager.find('a')[0]!)!.source]))
  await world.settle()
  t.same(world.table(), STALE)
  await world.advance(61)
  t.same(world.table(), [])
})
