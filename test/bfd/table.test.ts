import t from 'tap'
import { decodePacket, encodePacket } from '../../src/bfd/packet.js'
import { BfdTable, type BfdTableOptions } from '../../src/bfd/table.js'
import type { BfdChange, BfdTarget } from '../../src/bfd/types.js'
import { FAST, packet } from './given.js'

const PEER: BfdTarget = { address: '10.0.0.2', localAddress: '10.0.0.1', multihop: false }

class World {
  nowMs = 0
  readonly sent: { readonly id: number; readonly octets: Uint8Array }[] = []
  readonly changes: { readonly id: number; readonly change: BfdChange }[] = []
  readonly ended: number[] = []
  readonly table: BfdTable

  constructor(options: Partial<BfdTableOptions> = {}) {
    let next = 100
    this.table = new BfdTable({
      random: () => 1,
      newDiscriminator: () => next++,
      send: (id, octets) => void this.sent.push({ id, octets }),
      changed: (id, change) => void this.changes.push({ id, change }),
      ended: (id) => void this.ended.push(id),
      checksHopLimit: true,
      ...options,
    })
  }

  hear(given: Parameters<typeof packet>[0], address = PEER.address, multihop = false): void {
    this.table.receive(encodePacket(packet(given)), { address, multihop }, this.nowMs)
  }

  /** Lets time pass; every wake-up comes when it is due. */
  run(ms: number): void {
    const endMs = this.nowMs + ms
    while (this.table.nextMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.table.nextMs)
      this.wake()
    }
    this.nowMs = endMs
  }

  /** Now; what `between` hears lay in the socket. */
  wake(between: () => void = () => {}): void {
    this.table.transmit(this.nowMs)
    const suspects = this.table.takeSuspects()
    between()
    if (suspects !== null) this.table.judge(suspects, this.nowMs)
  }

  state(id: number): string | undefined {
    return this.table.rows(this.nowMs, () => 0).find((row) => row.id === id)?.state
  }

  up(id: number, discriminator: number, target: BfdTarget = PEER): void {
    this.table.open(id, target, FAST, this.nowMs)
    this.hear({ state: 'Down', yourDiscriminator: 0 }, target.address, target.multihop)
    this.hear({ state: 'Up', yourDiscriminator: discriminator }, target.address, target.multihop)
  }
}

t.test('packets find their session by our discriminator, before that by address (RFC 5880 §6.3, §6.8.6)', async (t) => {
  const world = new World()
  world.table.open(1, PEER, FAST, 0)
  world.table.open(2, { ...PEER, address: 'fe80::1%eth0', localAddress: 'fe80::2%eth0' }, FAST, 0)
  t.equal(world.sent.length, 2, 'both speak at once')
  world.hear({ state: 'Down', yourDiscriminator: 0 })
  t.equal(world.state(1), 'Init')
  world.hear({ state: 'Down', yourDiscriminator: 0 }, 'fe80:0::1%eth0')
  t.equal(world.state(2), 'Init', 'however the system spells it')
  world.hear({ state: 'Up', yourDiscriminator: 100 }, '10.9.9.9')
  t.equal(world.state(1), 'Up', 'with our discriminator from wherever')
  world.hear({ state: 'Down', yourDiscriminator: 0 }, 'fe80::1%eth1')
  world.hear({ state: 'Down', yourDiscriminator: 0 }, '10.0.0.3')
  world.hear({ state: 'Up', yourDiscriminator: 5 })
  t.same(world.table.discards, { 'no session': 3 })
  world.table.receive(new Uint8Array(3), { address: PEER.address, multihop: false }, 0)
  t.equal(world.table.discards['too short'], 1)
  world.hear({ state: 'Down', yourDiscriminator: 100 }, PEER.address, true)
  t.equal(world.state(1), 'Up', 'what comes to the multihop port is for multihop sessions')
  t.equal(world.table.discards['no session'], 4)
})

t.test('a peer that has started again knows us no more: by address, and that is a failure', async (t) => {
  const world = new World()
  world.up(1, 100)
  world.hear({ state: 'Down', yourDiscriminator: 0, myDiscriminator: 78 })
  t.match(world.changes.at(-1), { id: 1, change: { from: 'Up', to: 'Down', remoteState: 'Down', diagnostic: 3 } })
})

t.test('silence: seen when it is due, judged when what lay in the socket was read', async (t) => {
  const world = new World()
  world.up(1, 100)
  world.run(299)
  t.equal(world.state(1), 'Up')
  world.run(1)
  t.equal(world.state(1), 'Down')
  t.match(world.changes.at(-1), { change: { silentMs: 300, detectionMs: 300 } })

  const saved = new World()
  saved.up(1, 100)
  saved.nowMs = 300
  saved.wake(() => saved.hear({ state: 'Up', yourDiscriminator: 100 }))
  t.equal(saved.state(1), 'Up', 'it had come in time')
  saved.run(299)
  t.equal(saved.state(1), 'Up')
  saved.run(1)
  t.equal(saved.state(1), 'Down')
})

t.test(
  'a thread that did not run for two seconds sends first, reads, and then lets off who has said nothing',
  async (t) => {
    const world = new World()
    world.up(1, 100)
    world.up(2, 101, { ...PEER, address: '10.0.0.3' })
    world.run(100)
    world.sent.length = 0
    world.nowMs = 2100
    let sentBefore = -1
    world.wake(() => {
      sentBefore = world.sent.length
      world.hear({ state: 'Up', yourDiscriminator: 101 }, '10.0.0.3')
    })
    t.equal(sentBefore, 2, 'the peers hear from us before anything is read')
    t.same([world.state(1), world.state(2)], ['Up', 'Up'])
    t.same(
      world.table.rows(2100, () => 0).map((row) => row.lateWakes),
      [1, 0],
    )
    world.run(300)
    t.same([world.state(1), world.state(2)], ['Down', 'Down'], 'then silence is silence')
  },
)

t.test('suspects are judged once each, also while another read pass is under way', async (t) => {
  const world = new World()
  world.up(1, 100)
  world.run(150)
  world.up(2, 101, { ...PEER, address: '10.0.0.3' })
  world.nowMs = 300
  world.table.transmit(300)
  const first = world.table.takeSuspects()!
  world.nowMs = 450
  world.table.transmit(450)
  world.table.judge(first, 450)
  t.same([world.state(1), world.state(2)], ['Down', 'Up'], 'the second has not had its read pass')
  const second = world.table.takeSuspects()!
  world.table.judge(second, 450)
  t.equal(world.state(2), 'Down')
  t.equal(world.table.takeSuspects(), null)
})

t.test('a closed session says goodbye for three seconds, and its socket can go', async (t) => {
  const world = new World()
  world.up(1, 100)
  world.up(2, 101, { ...PEER, address: '10.0.0.3' })
  world.sent.length = 0
  world.table.close(1, false, world.nowMs)
  world.table.close(1, false, world.nowMs)
  t.match(decodePacket(world.sent[0]!.octets), { state: 'AdminDown', diagnostic: 7, yourDiscriminator: 77 })
  t.equal(world.sent.length, 1)
  t.equal(world.state(1), undefined, 'it is not shown any more')
  world.hear({ state: 'Up', yourDiscriminator: 100 })
  t.match(world.table.discards, { 'no session': 1 })
  world.run(3000)
  t.same(world.ended, [1])
  t.ok(world.sent.filter(({ id }) => id === 1).length >= 3)
  t.equal(world.table.size, 1)
})

t.test('the same peer again while the old session says goodbye', async (t) => {
  const world = new World()
  world.up(1, 100)
  world.table.close(1, true, world.nowMs)
  world.sent.length = 0
  world.table.open(2, PEER, FAST, world.nowMs)
  t.same(world.ended, [1], 'two voices would be one to the peer')
  world.hear({ state: 'Down', yourDiscriminator: 0 })
  t.equal(world.state(2), 'Init')
  world.run(3000)
  t.ok(world.sent.every(({ id }) => id === 2))
  t.same(world.ended, [1])
  world.hear({ state: 'Down', yourDiscriminator: 0 })
  t.equal(world.state(2), 'Init', 'the end of the old one took nothing away')
})

t.test('discriminators are unique', async (t) => {
  const offers = [7, 7, 7, 8]
  const world = new World({ newDiscriminator: () => offers.shift()! })
  world.table.open(1, PEER, FAST, 0)
  world.table.open(2, { ...PEER, address: '10.0.0.3' }, FAST, 0)
  t.same(
    world.table.rows(0, () => 0).map((row) => row.localDiscriminator),
    [7, 8],
  )
})

t.test(
  'where hop limits are not looked at, a session that is up takes only who knows it, from its address',
  async (t) => {
    const world = new World({ checksHopLimit: false })
    world.up(1, 100)
    world.hear({ state: 'Down', yourDiscriminator: 0 })
    world.hear({ state: 'Down', yourDiscriminator: 100 }, '10.9.9.9')
    t.equal(world.state(1), 'Up')
    t.same(world.table.discards, { 'hop limit unknown': 2 })
    world.hear({ state: 'Down', yourDiscriminator: 100 })
    t.equal(world.state(1), 'Down')

    const far = new World({ checksHopLimit: false })
    far.up(1, 100, { ...PEER, multihop: true })
    far.hear({ state: 'Down', yourDiscriminator: 0 }, PEER.address, true)
    t.equal(far.state(1), 'Down', 'over several hops there is nothing to look at')
  },
)
