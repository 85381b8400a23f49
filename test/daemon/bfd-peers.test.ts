/**
 * BFD beside BGP when sessions end and come back: real peers and both ends' BFD in virtual time. The thread and its sockets are left out; test/interop/bfd.test.ts has them.
 */
import t from 'tap'
import type { BfdEvents } from '../../src/bfd/client.js'
import { BfdTable } from '../../src/bfd/table.js'
import type { BfdChange, BfdSettings, BfdState, BfdTarget } from '../../src/bfd/types.js'
import type { Peer } from '../../src/bgp/peer.js'
import { PeerManager } from '../../src/bgp/peer-manager.js'
import type { DownReason, PeerEvents } from '../../src/bgp/session-types.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { BfdPeers, type BfdSessions } from '../../src/daemon/bfd-peers.js'
import { PeerErrors } from '../../src/daemon/peer-errors.js'
import type { Log } from '../../src/log.js'
import { silentLog } from '../../src/log.js'
import { KEEPALIVE, rawOpen } from '../support/raw-messages.js'
import { neighbor, range } from '../support/speaker.js'
import { MemoryNetwork, type RawEnd, VirtualClock } from '../support/virtual.js'

const US = '10.0.0.1'
const THEM = '10.0.0.2'
const BFD = Object.freeze({ intervalMs: 100, minReceiveMs: 100, multiplier: 3, multihop: false })
const SETTINGS: BfdSettings = Object.freeze({ transmitMs: 100, receiveMs: 100, multiplier: 3 })

/** One system's BFD, woken by the clock. */
class BfdEnd {
  queueIndex = -1
  wakeAtMs = Number.POSITIVE_INFINITY
  readonly table: BfdTable
  readonly #clock: VirtualClock
  /** All that it was told of its sessions. */
  readonly changes: BfdChange[] = []
  changed: (id: number, change: BfdChange) => void = () => {}
  /** What it sends is lost. */
  silent = false

  constructor(clock: VirtualClock, discriminator: number, send: (octets: Uint8Array, id: number) => void) {
    this.#clock = clock
    let next = discriminator
    this.table = new BfdTable({
      random: () => 1,
      newDiscriminator: () => next++,
      send: (id, octets) => {
        if (!this.silent) send(octets, id)
      },
      changed: (id, change) => {
        this.changes.push(change)
        // By a message between threads: never at once.
        clock.after(0, () => this.changed(id, change))
      },
      ended: () => {},
      checksHopLimit: true,
    })
  }

  do(what: (nowMs: number) => void): void {
    what(this.#clock.now())
    this.#clock.schedule(this, this.table.nextMs)
  }

  onDeadline(nowMs: number): void {
    this.do(() => {
      this.table.transmit(nowMs)
      const suspects = this.table.takeSuspects()
      if (suspects !== null) this.table.judge(suspects, nowMs)
    })
  }

  state(id: number): BfdState | undefined {
    return this.table.rows(this.#clock.now(), () => 0).find((row) => row.id === id)?.state
  }
}

/** Our side: manager, BfdPeers and BFD. The far end: BGP by hand, and BFD with one session, number 1. */
class World {
  readonly clock = new VirtualClock()
  readonly network = new MemoryNetwork(this.clock)
  readonly manager: PeerManager
  readonly ours: BfdEnd
  readonly theirs: BfdEnd
  readonly bfd: BfdPeers
  readonly lines: string[] = []
  readonly downs: DownReason[] = []
  /** The connections that ended last are not over before these are called. */
  readonly over: (() => void)[] = []
  /** Numbers that our side gave. */
  opened = 0
  #events: BfdEvents | null = null

  constructor(config: Partial<NeighborConfig> = {}) {
    this.ours = new BfdEnd(this.clock, 100, (octets, id) => this.#deliver(this.theirs, octets, US, id))
    this.theirs = new BfdEnd(this.clock, 200, (octets) => this.#deliver(this.ours, octets, THEM))
    const log: Log = {
      ...silentLog,
      write: (event, fields) => void this.lines.push(`${event} ${JSON.stringify(fields)}`),
    }
    this.bfd = new BfdPeers({
      log,
      errors: new PeerErrors(log, () => this.clock.now()),
      peers: () => this.manager.peers(),
      client: (events) => this.#client(events),
    })
    const ignore = (): void => {}
    const events: PeerEvents<Peer> = {
      established: (peer) => this.bfd.established(peer),
      down: (peer, reason) => {
        this.downs.push(reason)
        this.bfd.down(peer, reason, { onceOver: (call) => void this.over.push(call) })
      },
      update: ignore,
      routeRefresh: ignore,
      refreshMark: ignore,
      drained: ignore,
      dynamicPeer: ignore,
      stateChange: ignore,
    }
    const { clock } = this
    const dial = this.network.dialFrom(US)
    this.manager = new PeerManager({ asn: 64512, routerId: 1, events, log: () => {}, clock, dial, random: () => 0.5 })
    this.network.listen(US, this.manager)
    this.configure(config)
    this.theirs.do((nowMs) => this.theirs.table.open(1, targetOf(US, THEM), SETTINGS, nowMs))
  }

  configure(config: Partial<NeighborConfig>): void {
    const where = config.range === undefined ? { address: THEM } : {}
    this.manager.configure([neighbor({ name: 'them', passive: true, bfd: BFD, ...where, ...config })])
    for (const peer of this.manager.peers()) this.bfd.reconfigure(peer)
  }

  get peer(): Peer {
    return this.manager.find(THEM)[0]!
  }

  /** The far end connects and says what makes the session Established. */
  connect(to = US): RawEnd {
    if (to !== US) this.network.listen(to, this.manager)
    const end = this.network.connect(THEM, to)
    end.send(Buffer.from(rawOpen(THEM, { asn: 64512, holdTimeSeconds: 90 }), 'hex'), Buffer.from(KEEPALIVE, 'hex'))
    this.clock.run()
    return end
  }

  /** Both ends' BFD, and the BGP session, are up. */
  static up(config: Partial<NeighborConfig> = {}): World {
    const world = new World(config)
    world.connect()
    world.clock.advance(3_000)
    return world
  }

  /** What has been told since is forgotten. */
  clear(): void {
    this.ours.changes.length = this.theirs.changes.length = this.lines.length = this.downs.length = 0
  }

  /** The connections that have ended are over. */
  end(): void {
    for (const call of this.over.splice(0)) call()
    this.clock.advance(10)
  }

  /** As after a failure of the thread. */
  restart(): void {
    this.#events!.restarted()
  }

  get shown(): BfdState | null | undefined {
    return this.bfd.stateOf(this.peer)?.state
  }

  #client(events: BfdEvents): BfdSessions {
    const { ours } = this
    this.#events = events
    const live = new Set<number>()
    ours.changed = (id, change) => {
      if (live.has(id)) events.changed(id, change)
    }
    return {
      open: (target, settings) => {
        const id = ++this.opened
        live.add(id)
        ours.do((nowMs) => ours.table.open(id, target, settings, nowMs))
        return id
      },
      change: (id, settings) => ours.do((nowMs) => ours.table.change(id, settings, nowMs)),
      close: (id, failed) => {
        live.delete(id)
        ours.do((nowMs) => ours.table.close(id, failed, nowMs))
      },
      report: async () => ({
        checksHopLimit: true,
        rows: ours.table.rows(this.clock.now(), () => 0),
        discards: ours.table.discards,
      }),
      stop: async () => ours.do((nowMs) => ours.table.closeAll(nowMs)),
    }
  }

  #deliver(to: BfdEnd, octets: Uint8Array, from: string, id = 0): void {
    // Its sockets send from the address of the session.
    const row = id === 0 ? undefined : this.ours.table.rows(0, () => 0).find((one) => one.id === id)
    const sender = { address: row?.localAddress ?? from, multihop: row?.multihop ?? false }
    this.clock.after(1, () => to.do((nowMs) => to.table.receive(octets, sender, nowMs)))
  }
}

function targetOf(address: string, localAddress: string): BfdTarget {
  return { address, localAddress, multihop: false }
}

t.test('BFD follows the BGP session; silence ends that with Cease 6/10 and leaves the peer hearing Down', async (t) => {
  const world = World.up()
  t.equal(world.theirs.state(1), 'Up')
  t.equal(world.shown, 'Up')
  world.clear()
  world.theirs.silent = true
  world.clock.advance(400)
  t.match(world.downs, [{ kind: 'bfd', code: 6, subcode: 10, text: /BFD is down: nothing heard for 3\d\d ms/ }])
  t.equal(world.over.length, 0, 'at once, whatever becomes of the connection')
  t.match(world.theirs.changes, [{ from: 'Up', to: 'Down', remoteState: 'Down', remoteDiagnostic: 1 }])
})

t.test('another end of BGP: the peer hears AdminDown when the connection is over, and not before', async (t) => {
  const world = World.up()
  world.clear()
  world.peer.down()
  world.clock.advance(2_000)
  t.equal(world.theirs.state(1), 'Up', 'as long as the connection is not over')
  t.equal(world.shown, null, 'nothing that would be told of the peer')
  world.end()
  t.match(world.theirs.changes, [{ from: 'Up', to: 'Down', remoteState: 'AdminDown' }])
  t.same([world.downs.length, world.lines], [1, []])
})

t.test('a failure between the end of BGP and that of its connection is of no interest', async (t) => {
  const world = World.up()
  world.clear()
  world.peer.clear()
  world.theirs.silent = true
  world.clock.advance(1_000)
  t.match(world.ours.changes, [{ from: 'Up', to: 'Down' }])
  t.match(world.downs, [{ kind: 'admin' }], 'one end, by the operator')
  t.same(world.lines, [])
  world.theirs.silent = false
  world.connect()
  world.clock.advance(3_000)
  t.equal(world.shown, 'Up', 'what it has come to meanwhile is known when BGP is back')
  world.end()
  t.equal(world.peer.state, 'Established')
})

t.test(
  'BGP is back before the old connection is over: BFD stays up, at both ends, and watches the new session',
  async (t) => {
    const ends: readonly [string, (world: World) => void][] = [
      ['cleared', (world) => world.peer.clear()],
      ['reset by a reload', (world) => world.configure({ holdTimeSeconds: 30 })],
      [
        'removed by a reload, and added again',
        (world) => {
          world.manager.configure([])
          world.configure({ name: 'again' })
        },
      ],
    ]
    for (const [name, end] of ends) {
      const world = World.up()
      world.clear()
      end(world)
      world.connect()
      t.equal(world.peer.state, 'Established', name)
      t.equal(world.shown, 'Up', `${name}: known at once`)
      world.clock.advance(2_000)
      world.end()
      world.clock.advance(2_000)
      t.same(world.theirs.changes, [], `${name}: the peer has not seen it go`)
      t.equal(world.opened, 1)
      world.theirs.silent = true
      world.clock.advance(400)
      t.match(world.downs.at(-1), { kind: 'bfd' }, `${name}: and it is missed`)
      t.match(world.lines[0], new RegExp(`bfd-state .*"peer":"${world.peer.name}".*"from":"Up"`))
    }
  },
)

t.test('the same for a peer of a range, which is another one when it comes back', async (t) => {
  const dynamic = { range: range('10.0.0.0/24') }
  const world = World.up(dynamic)
  const before = world.peer
  world.clear()
  world.peer.clear()
  t.same([...world.manager.peers()], [], 'the first one is gone')
  world.connect()
  t.not(world.peer, before)
  world.clock.advance(2_000)
  world.end()
  t.same([world.theirs.changes, world.opened, world.shown], [[], 1, 'Up'])
  world.theirs.silent = true
  world.clock.advance(400)
  t.match(world.downs.at(-1), { kind: 'bfd' })
})

t.test('timers that a reload has changed meanwhile are told by a Poll Sequence', async (t) => {
  const world = World.up()
  world.clear()
  world.configure({ holdTimeSeconds: 30, bfd: { ...BFD, intervalMs: 200, minReceiveMs: 200 } })
  world.connect()
  world.clock.advance(3_000)
  world.end()
  t.same(world.theirs.changes, [])
  const [row] = world.theirs.table.rows(world.clock.now(), () => 0)
  t.match(row, { state: 'Up', detectionMs: 600, transmitMs: 200 })
})

t.test('over another address, or over several hops: another session, and the old one says no more', async (t) => {
  const other = World.up()
  other.peer.clear()
  other.connect('10.0.0.9')
  other.clock.advance(10)
  t.match(other.theirs.changes.at(-1), { from: 'Up', to: 'Down', remoteState: 'AdminDown' })
  t.same([other.opened, other.shown], [2, 'Down'])
  other.end()
  other.clock.advance(10)
  t.equal(other.ours.table.size, 1)

  const hops = World.up()
  hops.configure({ holdTimeSeconds: 30, bfd: { ...BFD, multihop: true } })
  hops.connect()
  hops.end()
  hops.clock.advance(4_000)
  t.same(
    hops.ours.table.rows(0, () => 0).map(({ id, multihop }) => [id, multihop]),
    [[2, true]],
  )
  t.equal(hops.theirs.state(1), 'Down')
})

t.test('BFD taken out by a reload meanwhile: it ends with the old connection', async (t) => {
  const world = World.up()
  world.clear()
  world.configure({ holdTimeSeconds: 30, bfd: null })
  world.connect()
  t.equal(world.bfd.stateOf(world.peer), null)
  world.end()
  t.match(world.theirs.changes, [{ from: 'Up', to: 'Down', remoteState: 'AdminDown' }])
  world.clock.advance(4_000)
  t.equal(world.ours.table.size, 0, 'nothing of it is left')
  t.equal(world.peer.state, 'Established')
})

t.test('ended and come back again and again: what is over in whatever order touches only its own', async (t) => {
  const world = World.up()
  for (let round = 0; round < 5; round++) {
    world.peer.clear()
    world.connect()
    world.clock.advance(50)
  }
  world.peer.clear()
  for (const call of world.over.splice(0, 5)) call()
  world.clock.advance(1_000)
  t.equal(world.theirs.state(1), 'Up', 'the last one is not over')
  world.end()
  t.equal(world.theirs.state(1), 'Down')
})

t.test('a stop tells those that are leaving, too; what is over after it is of no interest', async (t) => {
  const world = World.up()
  world.peer.clear()
  await world.bfd.stop()
  world.clock.advance(10)
  t.equal(world.theirs.state(1), 'Down')
  world.end()
  t.equal(world.theirs.state(1), 'Down')
})

t.test('after a failure of the thread nothing is shown as up that is not', async (t) => {
  const world = World.up()
  world.restart()
  t.equal(world.shown, 'Down')
  t.equal(world.peer.state, 'Established')
})
