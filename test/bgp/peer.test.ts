import t from 'tap'
import { NotificationError } from '../../src/bgp/errors.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { Family } from '../../src/net/family.js'
import { bodies, message } from '../support/pair.js'
import { EMPTY_UPDATE, neighbor, range, TestSpeaker } from '../support/speaker.js'
import { MemoryNetwork, type RawEnd, VirtualClock } from '../support/virtual.js'

const A = '10.0.0.1'
const B = '10.0.0.2'
/** OPEN of AS 64512, hold time 90, identifier 0.0.0.9, IPv4 unicast, route refresh, 4-octet AS. */
const OPEN = message(1, '04 fc00 005a 00000009 10 02 0e 0104 0001 0001 0200 4104 0000fc00')
const KEEPALIVE = message(4)

interface Options {
  readonly a?: Partial<NeighborConfig>
  readonly b?: Partial<NeighborConfig>
  readonly onUpdate?: () => void
}

/** Two speakers; b dials, a waits. */
function two(options: Options = {}) {
  const clock = new VirtualClock()
  const network = new MemoryNetwork(clock)
  const random = () => 0.5
  const a = new TestSpeaker({ asn: 64512, routerId: 1, clock, random, dial: network.dialFrom(A), ...options })
  const b = new TestSpeaker({ asn: 64512, routerId: 2, clock, random, dial: network.dialFrom(B) })
  network.listen(A, a.manager)
  network.listen(B, b.manager)
  a.manager.configure([neighbor({ name: 'b', address: B, passive: true, ...options.a })])
  b.manager.configure([neighbor({ name: 'a', address: A, ...options.b })])
  clock.run()
  const [peerOfA, peerOfB] = [a.manager.find('b')[0]!, b.manager.find('a')[0]!]
  return { clock, network, a, b, peerOfA, peerOfB }
}

/** A speaker with a range, and raw connections to it. */
function withRange(options: { onUpdate?: () => void; config?: Partial<NeighborConfig> } = {}) {
  const clock = new VirtualClock()
  const network = new MemoryNetwork(clock)
  const a = new TestSpeaker({
    asn: 64512,
    routerId: 1,
    clock,
    random: () => 0.5,
    ...(options.onUpdate === undefined ? {} : { onUpdate: options.onUpdate }),
  })
  network.listen(A, a.manager)
  a.manager.configure([neighbor({ name: 'nodes', range: range('10.1.0.0/16'), ...options.config })])
  const establish = (address: string): RawEnd => {
    const raw = network.connect(address, A)
    raw.send(OPEN, KEEPALIVE)
    clock.run()
    return raw
  }
  return { clock, network, a, establish }
}

const lastOf = (raw: RawEnd) => bodies(raw.received).at(-1)

t.test('the states of a peer are those of its farthest connection, each with a reason', async (t) => {
  const { clock, a, b, peerOfA, peerOfB } = two()
  t.same(
    b.only('state').map((s) => [s.from, s.to, s.reason]),
    [
      ['Idle', 'Connect', 'connecting'],
      ['Connect', 'OpenSent', 'TCP connection is up'],
      ['OpenSent', 'OpenConfirm', 'OPEN received'],
      ['OpenConfirm', 'Established', 'KEEPALIVE received'],
    ],
  )
  t.same(
    a.only('state').map((s) => s.to),
    ['Active', 'OpenSent', 'OpenConfirm', 'Established'],
  )
  t.equal(peerOfA.stateSinceMs, clock.now())
  t.equal(peerOfB.history.length, 4)
})

t.test('down: 6/2 with its text, nothing comes in, nothing goes out; up: at once', async (t) => {
  const { clock, network, a, b, peerOfA, peerOfB } = two()
  t.equal(b.manager.down('a', 'cable'), 1)
  clock.run()
  t.match(a.only('down')[0]!.reason, { kind: 'notification-received', code: 6, subcode: 2, text: /"cable"/ })
  t.match(b.only('down')[0]!.reason, { kind: 'admin' })
  t.same([peerOfB.state, peerOfB.adminDown, peerOfB.lastReason], ['Idle', true, 'administratively down: cable'])
  clock.advance(600_000)
  t.equal(b.only('established').length, 1)
  const raw = network.connect(A, B)
  clock.run()
  t.same(bodies(raw.received), ['3 0602056361626c65'])
  b.manager.up('a')
  clock.run()
  t.same([peerOfA.state, peerOfB.state], ['Established', 'Established'])
  t.equal(b.manager.up('nobody'), 0)
})

t.test('clear: 6/4 and a new session within a second or so', async (t) => {
  const { clock, a, b, peerOfB } = two()
  b.manager.clear('a')
  t.match(b.only('down')[0]!.reason, { kind: 'admin', code: 6, subcode: 4 })
  clock.advance(1_500)
  t.equal(peerOfB.state, 'Established')
  t.equal(a.only('established').length, 2)
  t.same([peerOfB.counters.establishedCount, peerOfB.counters.droppedCount], [2, 1])
})

t.test(
  'TCP loss and Cease: again after ConnectRetryTime, and connections of the peer are welcome meanwhile',
  async (t) => {
    const { clock, network, a, b, peerOfB } = two()
    network.links[0]!.cut()
    clock.run()
    t.match(b.only('down')[0]!.reason, { kind: 'tcp' })
    t.equal(peerOfB.state, 'Idle')
    t.equal(peerOfB.backoffUntilMs, Number.NEGATIVE_INFINITY)
    const raw = network.connect(A, B)
    raw.send(OPEN, KEEPALIVE)
    clock.run()
    t.equal(peerOfB.state, 'Established')
    raw.send(message(3, '0604'))
    clock.run()
    t.equal(peerOfB.state, 'Idle')
    clock.advance(5_000)
    t.equal(peerOfB.state, 'Established', 'dialled after 5 s')
    t.equal(a.only('established').length, 2)
  },
)

t.test('protocol errors: 5 s, doubled up to 60 s, also across Established; meanwhile 6/5', async (t) => {
  let bad = true
  const { clock, network, a, b, peerOfA, peerOfB } = two({
    onUpdate: () => {
      if (bad) throw new NotificationError(3, 1, 'bad')
    },
  })
  const gaps: number[] = []
  for (let i = 0; i < 6; i++) {
    peerOfB.send([EMPTY_UPDATE], () => {})
    clock.run()
    const downAt = clock.now()
    t.equal(peerOfA.state, 'Idle')
    t.equal(peerOfA.counters.updateErrors, i + 1)
    const raw = network.connect(B, A)
    clock.run()
    t.same(bodies(raw.received), ['3 0605'], 'refused while it pays')
    clock.advance(Math.max(0, peerOfA.backoffUntilMs - clock.now()))
    t.not(peerOfA.state, 'Idle', 'and shown as waiting once it has paid')
    while (peerOfA.state !== 'Established') clock.advance(100)
    gaps.push(Math.round((clock.now() - downAt) / 1000))
    t.equal(b.only('established').length, i + 2)
  }
  for (const [i, least] of [4, 8, 17, 35, 52, 52].entries())
    t.ok(gaps[i]! >= least && gaps[i]! <= 70, `gap ${i}: ${gaps[i]} s`)
  bad = false
  clock.advance(301_000)
  bad = true
  peerOfB.send([EMPTY_UPDATE], () => {})
  clock.run()
  t.ok(peerOfA.backoffUntilMs - clock.now() <= 5_000, 'forgotten after five minutes of Established')
  t.equal(a.only('down').length, 7)
})

t.test('max-prefix: its restart time, and clear ends it', async (t) => {
  const maxPrefix = { limit: 1, warningPercent: 75, restartMs: 600_000 }
  const { clock, b, peerOfA } = two({ a: { maxPrefix } })
  peerOfA.fail(new NotificationError(6, 1, 'limit'))
  clock.advance(599_000)
  t.equal(peerOfA.state, 'Idle')
  t.equal(b.only('established').length, 1)
  clock.advance(10_000)
  t.equal(peerOfA.state, 'Established')
  peerOfA.fail(new NotificationError(6, 1, 'limit'))
  peerOfA.clear()
  clock.advance(10_000)
  t.equal(peerOfA.state, 'Established')
})

t.test('a peer that refuses optional parameters gets an OPEN without', async (t) => {
  const clock = new VirtualClock()
  const network = new MemoryNetwork(clock)
  const opens: string[] = []
  const a = new TestSpeaker({ asn: 64512, routerId: 1, clock, random: () => 0.5, dial: network.dialFrom(A) })
  network.listen(B, {
    accept: (link) =>
      link.attach({
        data: (chunk) => {
          if (chunk[18] !== 1) return
          opens.push(bodies([chunk])[0]!)
          const refused = chunk[28] !== 0
          link.write(refused ? [message(3, '0204')] : [message(1, '04 fc00 005a 00000009 00'), KEEPALIVE], null)
          if (refused) link.end()
        },
        drained: () => {},
        closed: () => {},
      }),
  })
  a.manager.configure([neighbor({ name: 'old', address: B })])
  clock.advance(30_000)
  const old = a.manager.find('old')[0]!
  t.equal(opens.length, 2)
  t.equal(opens[1], '1 04fc00005a0000000100')
  t.equal(old.state, 'Established')
  t.match(old.negotiated, { families: [Family.IPV4_UNICAST], as4: false })
})

t.test('a busy loop: the hold timer is judged after what lies in the sockets was read', async (t) => {
  const { clock, a, establish } = withRange()
  const raw = establish('10.1.0.1')
  const peerOfA = a.manager.find('10.1.0.1')[0]!
  raw.send(KEEPALIVE)
  // The KEEPALIVE lies in the kernel while nothing is done for ten minutes.
  clock.lag(600_000)
  t.equal(peerOfA.state, 'Established')
  clock.lag(91_000)
  t.equal(a.only('down').length, 1, 'nothing was there')
  t.match(a.only('down')[0]!.reason, { kind: 'hold-timer' })
  establish('10.1.0.2')
  t.equal(a.manager.find('10.1.0.2')[0]!.state, 'Established')
})

t.test('a peer whose octets wait for their turn is not silent', async (t) => {
  const { clock, a, network, establish } = withRange()
  establish('10.1.0.1')
  const peer = a.manager.find('10.1.0.1')[0]!
  const [link] = network.links.filter(({ remoteAddress }) => remoteAddress === '10.1.0.1')
  link!.hasUnread = true
  clock.advance(600_000)
  t.equal(peer.state, 'Established')
  link!.hasUnread = false
  clock.advance(91_000)
  t.match(a.only('down')[0]!.reason, { kind: 'hold-timer' })
})

t.test('while we do not read, the hold timer stands still', async (t) => {
  const { clock, a, establish } = withRange()
  establish('10.1.0.1')
  const peer = a.manager.find('10.1.0.1')[0]!
  peer.pauseReading()
  clock.advance(600_000)
  t.equal(peer.state, 'Established')
  peer.resumeReading()
  clock.advance(91_000)
  t.match(a.only('down')[0]!.reason, { kind: 'hold-timer' })
})

t.test('a peer that reads nothing but sends keepalives: send hold timer', async (t) => {
  const { clock, a, establish } = withRange()
  const raw = establish('10.1.0.1')
  const peer = a.manager.find('10.1.0.1')[0]!
  raw.link.pause()
  peer.send([EMPTY_UPDATE], () => t.fail('never taken'))
  clock.run()
  t.equal(peer.pendingOctets, EMPTY_UPDATE.length)
  for (let i = 0; i < 15; i++) {
    clock.advance(30_000)
    raw.send(KEEPALIVE)
  }
  t.equal(peer.state, 'Established')
  clock.advance(31_000)
  t.match(a.only('down')[0]!.reason, { kind: 'send-hold-timer', code: 8 })
})

t.test('range neighbours: made by a connection, gone with their session, ids used again', async (t) => {
  const { clock, network, a, establish } = withRange()
  const first = establish('10.1.0.1')
  establish('10.1.0.2')
  const [one, other] = [a.manager.find('nodes-10.1.0.1')[0]!, a.manager.find('10.1.0.2')[0]!]
  t.match(one, { dynamic: true, rangeName: 'nodes', address: '10.1.0.1', state: 'Established', id: 1 })
  t.equal(other.id, 2)
  t.same(
    a.happenings.filter((h) => h.type !== 'state').map((h) => `${h.type} ${h.peer.id}`),
    ['dynamic 1', 'established 1', 'dynamic 2', 'established 2'],
  )
  first.link.end()
  clock.run()
  t.same(
    a.happenings
      .filter((h) => h.type !== 'state')
      .slice(-2)
      .map((h) => h.type),
    ['down', 'dynamic'],
  )
  t.equal(a.manager.find('10.1.0.1').length, 0)
  establish('10.1.0.3')
  t.equal(a.manager.find('10.1.0.3')[0]!.id, 1)
  const stranger = network.connect('10.2.0.1', A)
  clock.run()
  t.ok(stranger.closedText)
  t.equal(a.manager.counters.unknownConnections, 1)
  t.same(
    a.manager.ranges().map((r) => r.name),
    ['nodes'],
  )
})

t.test(
  'a peer of a range that an operator clears, or brings up, is gone with its session, and no more is told of it',
  async (t) => {
    for (const command of ['clear', 'up'] as const) {
      const { a, clock, establish } = withRange()
      establish('10.1.0.1')
      if (command === 'up') a.manager.down('nodes')
      a.manager[command]('nodes')
      clock.run()
      const told = a.happenings.map((one) => (one.type === 'state' ? one.to : one.type)).slice(-3)
      t.match(told, command === 'clear' ? ['Active', 'down', 'dynamic'] : ['down', 'Active', 'dynamic'])
    }
  },
)

t.test('a connection of a range that says nothing is gone after 240 s; a newer one replaces it', async (t) => {
  const { clock, network, a, establish } = withRange()
  const dead = network.connect('10.1.0.1', A)
  clock.run()
  t.equal(a.manager.find('nodes').length, 1)
  establish('10.1.0.1')
  t.equal(lastOf(dead), '3 0607')
  t.equal(a.manager.find('10.1.0.1')[0]!.state, 'Established')
  network.connect('10.1.0.2', A)
  clock.run()
  clock.advance(241_000)
  t.equal(a.manager.find('10.1.0.2').length, 0)
})

t.test('what a dynamic peer pays for errors outlives it', async (t) => {
  const { clock, network, a, establish } = withRange({
    onUpdate: () => {
      throw new NotificationError(3, 1, 'bad')
    },
  })
  establish('10.1.0.1').send(EMPTY_UPDATE)
  clock.run()
  t.equal([...a.manager.peers()].length, 0)
  const again = network.connect('10.1.0.1', A)
  clock.run()
  t.equal(lastOf(again), '3 0605')
  t.equal([...a.manager.peers()].length, 0)
  clock.advance(5_000)
  establish('10.1.0.1').send(EMPTY_UPDATE)
  clock.run()
  clock.advance(5_000)
  t.equal(lastOf(network.connect('10.1.0.1', A)), undefined)
  clock.run()
  t.equal(a.manager.counters.refusedConnections, 2, 'the second time it is 10 s')
})

t.test('a dynamic peer shut down by the operator stays down until up', async (t) => {
  const { clock, network, a, establish } = withRange()
  establish('10.1.0.1')
  t.equal(a.manager.down('nodes-10.1.0.1', 'x'), 1)
  clock.run()
  const peer = a.manager.find('10.1.0.1')[0]!
  t.same([peer.state, peer.adminDown], ['Idle', true])
  const refused = network.connect('10.1.0.1', A)
  clock.run()
  t.equal(lastOf(refused), '3 06020178')
  a.manager.up('10.1.0.1')
  t.equal(a.manager.find('10.1.0.1').length, 0)
  establish('10.1.0.1')
  t.equal(a.manager.find('10.1.0.1')[0]!.state, 'Established')
})

t.test(
  'configure: what did not change stays up; the rest is added, removed (6/3), reset (6/6) or changed live',
  async (t) => {
    const { clock, network, a } = withRange()
    const base = [
      neighbor({ name: 'kept', address: '10.9.0.1', passive: true }),
      neighbor({ name: 'gone', address: '10.9.0.2', passive: true }),
      neighbor({ name: 'reset', address: '10.9.0.3', passive: true }),
      neighbor({ name: 'moved', address: '10.9.0.4', passive: true }),
      neighbor({ name: 'nodes', range: range('10.1.0.0/16') }),
    ]
    a.manager.configure(base)
    const open = (address: string) => {
      const raw = network.connect(address, A)
      raw.send(OPEN, KEEPALIVE)
      clock.run()
      return raw
    }
    const raws = ['10.9.0.1', '10.9.0.2', '10.9.0.3', '10.9.0.4', '10.1.0.1'].map(open)
    const [kept, gone, reset, moved, dynamic] = raws.map((raw) => raw)
    t.equal(a.only('established').length, 5)
    const keptPeer = a.manager.find('kept')[0]!
    const byName = (name: string) => base.find((one) => one.name === name)!
    a.manager.configure([
      { ...byName('kept'), description: 'new', weight: 7, importPolicy: 'p', connectRetryMs: 1 },
      { ...byName('reset'), holdTimeSeconds: 30 },
      { ...byName('moved'), address: '10.9.0.5' },
      { ...byName('nodes'), description: 'live' },
      neighbor({ name: 'added', address: '10.9.0.6', passive: true }),
    ])
    clock.run()
    t.equal(a.manager.find('kept')[0], keptPeer)
    t.match(keptPeer, { state: 'Established', config: { description: 'new', weight: 7 } })
    t.equal(a.manager.find('10.1.0.1')[0]!.config.description, 'live')
    t.same(
      [kept, gone, reset, moved, dynamic].map((raw) => lastOf(raw!)?.slice(0, 6)),
      ['4', '3 0603', '3 0606', '3 0606', '4'],
    )
    t.equal(a.manager.find('gone').length, 0)
    t.equal(a.manager.find('added')[0]!.state, 'Active')
    t.equal(a.manager.find('moved')[0]!.address, '10.9.0.5')
    open('10.9.0.3')
    t.equal(a.manager.find('reset')[0]!.negotiated?.holdTimeSeconds, 30)
    a.manager.configure([])
    clock.run()
    t.equal([...a.manager.peers()].length, 0)
    t.same(lastOf(dynamic!), '3 0603')
  },
)

t.test('configure: shutdown in the file is down and up; a dynamic peer can become a configured one', async (t) => {
  const { clock, network, a, establish } = withRange()
  const nodes = neighbor({ name: 'nodes', range: range('10.1.0.0/16') })
  const raw = establish('10.1.0.1')
  const own = neighbor({ name: 'own', address: '10.1.0.1', passive: true, shutdown: true })
  a.manager.configure([nodes, own])
  clock.run()
  t.equal(lastOf(raw), '3 0606')
  const peer = a.manager.find('own')[0]!
  t.same([peer.dynamic, peer.state, peer.adminDown], [false, 'Idle', true])
  a.manager.configure([nodes, { ...own, shutdown: false }])
  t.equal(peer.state, 'Active')
  establish('10.1.0.1')
  t.equal(peer.state, 'Established')
  a.manager.configure([{ ...nodes, shutdown: true }, own])
  clock.run()
  t.equal(peer.state, 'Idle')
  const refused = network.connect('10.1.0.9', A)
  clock.run()
  t.equal(lastOf(refused), '3 0602')
})

t.test('events may call back into the peer: fail() inside established', async (t) => {
  const clock = new VirtualClock()
  const network = new MemoryNetwork(clock)
  const a = new TestSpeaker({
    asn: 64512,
    routerId: 1,
    clock,
    onEstablished: (peer) => peer.fail(new NotificationError(6, 8, 'out of memory')),
  })
  network.listen(A, a.manager)
  a.manager.configure([neighbor({ name: 'b', address: B, passive: true })])
  const raw = network.connect(B, A)
  raw.send(OPEN, KEEPALIVE, EMPTY_UPDATE)
  clock.run()
  t.equal(lastOf(raw), '3 0608')
  t.same(
    a.happenings.filter((h) => h.type !== 'state').map((h) => h.type),
    ['established', 'down'],
  )
})

t.test('a dead peer is tried for ever, and its history keeps what happened before', async (t) => {
  const { clock, network, a, b, peerOfB } = two()
  network.close(A)
  await Promise.race([a.manager.stop(), Promise.resolve()])
  clock.advance(3_600_000)
  t.match(peerOfB.lastReason, /connection refused/)
  t.ok(clock.now() - peerOfB.upDownSinceMs >= 3_500_000, 'down for an hour')
  t.ok(clock.now() - peerOfB.stateSinceMs < 10_000, 'in this state for seconds')
  t.ok(b.only('state').length > 1_000)
  t.ok(peerOfB.history.some((entry) => entry.to === 'Established'))
  t.ok(peerOfB.history.length < 20, `${peerOfB.history.length} entries`)
})

t.test('damping: the sixth short session in a row is answered with a pause, and said', async (t) => {
  const { clock, network, a } = two({ b: { passive: true } })
  const flap = (): RawEnd => {
    const raw = network.connect(B, A)
    raw.send(OPEN, KEEPALIVE)
    clock.run()
    return raw
  }
  const passive = a.manager.find('b')[0]!
  network.links[0]?.cut()
  clock.run()
  for (let n = 0; n < 6; n++) {
    flap().link.cut()
    clock.run()
  }
  t.equal(passive.counters.establishedCount, 6)
  t.ok(passive.isDamped)
  t.match(a.facts.at(-1), {
    event: 'peer.damped',
    text: /held down for [45] s: 6 sessions in a row lasted less than 30 s/,
  })
  t.equal(lastOf(flap()), '3 0605', 'Cease 6/5 meanwhile')
  clock.advance(5_000)
  t.notOk(passive.isDamped)
  flap()
  t.equal(passive.state, 'Established')
})

t.test('damping: false, ends by our own doing, and ranges', async (t) => {
  const { clock, a, peerOfB } = two()
  for (let n = 0; n < 8; n++) {
    a.manager.clear('b')
    clock.advance(20_000)
    t.equal(peerOfB.state, 'Established')
  }
  for (const damping of [true, false]) {
    const ranged = withRange({ config: { damping } })
    for (let n = 0; n < 6; n++) {
      ranged.establish('10.1.0.9').link.cut()
      ranged.clock.run()
    }
    t.equal(lastOf(ranged.establish('10.1.0.9')) === '3 0605', damping, 'what a peer of a range pays outlives it')
    t.not(lastOf(ranged.establish('10.1.0.10')), '3 0605', 'others do not pay')
  }
})

t.test('limits: connections that are not Established, and peers of a range', async (t) => {
  const clock = new VirtualClock()
  const network = new MemoryNetwork(clock)
  const a = new TestSpeaker({ asn: 64512, routerId: 1, clock, random: () => 0.5, maxPendingConnections: 3 })
  network.listen(A, a.manager)
  a.manager.configure([neighbor({ name: 'nodes', range: range('10.1.0.0/16'), maxPeers: 5 })])
  const silent = [1, 2, 3].map((n) => network.connect(`10.1.0.${n}`, A))
  clock.run()
  t.equal([...a.manager.peers()].length, 3)
  const fourth = network.connect('10.1.0.4', A)
  clock.run()
  t.not(fourth.closedText, null)
  t.equal(a.manager.counters.limitedConnections, 1)
  t.match(a.facts.at(-1), { event: 'listener.limit', text: /3 connections wait.*limits\.pendingConnections/ })
  network.connect('10.1.0.1', A)
  clock.run()
  t.equal(a.manager.counters.limitedConnections, 1, 'one that replaces its own is no more than before')
  silent[1]!.send(OPEN, KEEPALIVE)
  clock.run()
  t.equal(a.manager.find('10.1.0.2')[0]!.state, 'Established')
  for (const n of [4, 5, 6]) {
    const raw = network.connect(`10.1.0.${n}`, A)
    raw.send(OPEN, KEEPALIVE)
    clock.run()
    t.equal(lastOf(raw) === '3 0605', n === 6, 'Established ones leave room, maxPeers counts them all')
  }
  a.manager.find('10.1.0.4')[0]!.clear()
  clock.run()
  const again = network.connect('10.1.0.6', A)
  again.send(OPEN, KEEPALIVE)
  clock.run()
  t.equal(a.manager.find('10.1.0.6')[0]!.state, 'Established', 'one that is gone makes room')
})
