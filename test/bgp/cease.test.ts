/** Which Cease subcode each cause sends (RFC 4486 §3), and that an operator ends the wait after it. */
import t from 'tap'
import { NotificationError } from '../../src/bgp/errors.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { bodies, message } from '../support/pair.js'
import { neighbor, range, TestSpeaker } from '../support/speaker.js'
import { MemoryNetwork, type RawEnd, VirtualClock } from '../support/virtual.js'

const A = '10.0.0.1'
const PEER = '10.1.0.2'
/** OPEN of AS 64512, hold time 90, identifier 0.0.0.9, IPv4 unicast, route refresh, 4-octet AS. */
const OPEN = message(1, '04 fc00 005a 00000009 10 02 0e 0104 0001 0001 0200 4104 0000fc00')
const KEEPALIVE = message(4)
const UPDATE = message(2, '0000 0000')
const MAX_PREFIX = new NotificationError(6, 1, 'more than maxPrefix', Uint8Array.of(0, 1, 1, 0, 0, 0, 5))
const OUT_OF_RESOURCES = new NotificationError(6, 8, 'more than limits.paths')

interface World {
  readonly clock: VirtualClock
  readonly network: MemoryNetwork
  readonly speaker: TestSpeaker
  readonly raw: RawEnd
}

function given(onUpdate: () => void = () => {}, dynamic = false): World {
  const clock = new VirtualClock()
  const network = new MemoryNetwork(clock)
  const speaker = new TestSpeaker({ asn: 64512, routerId: 1, clock, random: () => 0.5, onUpdate })
  network.listen(A, speaker.manager)
  speaker.manager.configure([config({}, dynamic)])
  return { clock, network, speaker, raw: connect({ clock, network }) }
}

function config(more: Partial<NeighborConfig> = {}, dynamic = false): NeighborConfig {
  const where = dynamic ? { name: 'nodes', range: range('10.1.0.0/16') } : { name: 'p', address: PEER }
  return neighbor({ ...where, passive: true, ...more })
}

function connect({ clock, network }: Pick<World, 'clock' | 'network'>): RawEnd {
  const raw = network.connect(PEER, A)
  raw.send(OPEN, KEEPALIVE)
  clock.run()
  return raw
}

const lastOf = (raw: RawEnd): string | undefined => bodies(raw.received).at(-1)
const fails = (error: NotificationError) => () => {
  throw error
}

/** What is done, and the NOTIFICATION that the peer sees: type, code, subcode, data. */
const CAUSES: readonly [string, string, (world: World) => RawEnd, (() => void)?][] = [
  ['maxPrefix: 1 with AFI, SAFI and the limit', '3 060100010100000005', (w) => update(w), fails(MAX_PREFIX)],
  ['neighbor down: 2', '3 0602', (w) => told(w, () => w.speaker.manager.down('p'))],
  ['neighbor down with a text: 2', '3 0602026f6b', (w) => told(w, () => w.speaker.manager.down('p', 'ok'))],
  ['shutdown in the configuration: 2', '3 0602', (w) => configured(w, [config({ shutdown: true })])],
  ['graceful down, when its time is over: 2', '3 0602026f6b', (w) => drained(w)],
  ['taken out of the configuration: 3', '3 0603', (w) => configured(w, [])],
  ['neighbor clear: 4', '3 0604', (w) => told(w, () => w.speaker.manager.clear('p'))],
  ['connection during the wait after a limit: 5', '3 0605', (w) => refused(w), fails(MAX_PREFIX)],
  ['changed configuration: 6', '3 0606', (w) => configured(w, [config({ holdTimeSeconds: 30 })])],
  ['a second connection: 7', '3 0607', (w) => connect(w)],
  ['out of resources: 8', '3 0608', (w) => update(w), fails(OUT_OF_RESOURCES)],
]

function update({ clock, raw }: World): RawEnd {
  raw.send(UPDATE)
  clock.run()
  return raw
}
function refused(world: World): RawEnd {
  update(world)
  return connect(world)
}
function told({ clock, raw }: World, tell: () => void): RawEnd {
  tell()
  clock.run()
  return raw
}
function configured(world: World, neighbors: readonly NeighborConfig[]): RawEnd {
  return told(world, () => world.speaker.manager.configure(neighbors))
}
function drained(world: World): RawEnd {
  world.speaker.manager.drain('p', 'ok', 20_000)
  world.clock.advance(19_000)
  if (lastOf(world.raw) !== '4') throw new Error('it did not wait')
  world.clock.advance(2_000)
  return world.raw
}

for (const [cause, expected, act, onUpdate] of CAUSES) {
  t.test(cause, async (t) => {
    const world = given(onUpdate)
    t.equal(lastOf(act(world)), expected)
  })
}

t.test('down --graceful: up cancels, down is at once, and without a session it is a plain down', async (t) => {
  const { clock, speaker, raw } = given()
  const peer = speaker.manager.find('p')[0]!
  speaker.manager.drain('p', 'later', 30_000)
  t.ok(peer.isDraining)
  speaker.manager.up('p')
  t.notOk(peer.isDraining)
  clock.advance(60_000)
  t.notOk(peer.adminDown)
  speaker.manager.drain('p', 'later', 30_000)
  speaker.manager.down('p', 'now')
  clock.run()
  t.equal(lastOf(raw), '3 0602036e6f77')
  speaker.manager.up('p')
  speaker.manager.drain('p', '', 30_000)
  t.ok(peer.adminDown)
})

t.test('down --graceful of a peer of a range that loses its session meanwhile: it is down all the same', async (t) => {
  const world = given(() => {}, true)
  t.equal(world.speaker.manager.drain(PEER, 'later', 30_000), 1)
  world.raw.link.cut()
  world.clock.run()
  const again = connect(world)
  t.equal(lastOf(again), '4', 'back before its time is over')
  world.clock.advance(31_000)
  t.equal(lastOf(again), '3 0602056c61746572')
  t.equal(lastOf(connect(world)), '3 0602056c61746572')
  world.speaker.manager.up(PEER)
  t.equal(lastOf(connect(world)), '4')
})

t.test('a peer of a range over its limit: up with its address ends the wait', async (t) => {
  const world = given(fails(MAX_PREFIX), true)
  update(world)
  t.equal(lastOf(connect(world)), '3 0605')
  t.equal(world.speaker.manager.find(PEER).length, 0)
  t.equal(world.speaker.manager.up(PEER), 1)
  t.equal(lastOf(connect(world)), '4')
  t.equal(world.speaker.manager.clear('10.1.0.99'), 0)
})
