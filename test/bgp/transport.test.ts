import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { NotificationError } from '../../src/bgp/errors.js'
import type { Link } from '../../src/bgp/link.js'
import { SocketOptions } from '../../src/bgp/socket-options.js'
import { HIGH_WATER_OCTETS, OpenLinks, socketLink } from '../../src/bgp/transport.js'
import { Family } from '../../src/net/family.js'
import { message } from '../support/pair.js'
import { EMPTY_UPDATE, neighbor, range, TestSpeaker } from '../support/speaker.js'

/** Two speakers on loopback, with the second one connecting to the first. */
async function twoSpeakers(t: Test, more: Parameters<typeof neighbor>[0] = { name: '' }) {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  const b = new TestSpeaker({ asn: 64512, routerId: 2 })
  t.teardown(() => Promise.all([a.manager.stop(), b.manager.stop()]))
  await a.manager.listen([{ address: '127.0.71.1', port: 0 }])
  const port = a.manager.listenAddresses()[0]!.port
  a.manager.configure([neighbor({ ...more, name: 'b', address: '127.0.71.2', passive: true })])
  b.manager.configure([
    neighbor({ ...more, name: 'a', address: '127.0.71.1', port, sourceAddress: '127.0.71.2', connectRetryMs: 200 }),
  ])
  await Promise.all([a, b].map((speaker) => speaker.until('Established', () => speaker.only('established').length > 0)))
  return { a, b, port, peerOfA: a.manager.find('b')[0]!, peerOfB: b.manager.find('a')[0]! }
}

t.test('two speakers reach Established over TCP and exchange messages', async (t) => {
  const { a, b, peerOfA, peerOfB } = await twoSpeakers(t)
  t.equal(peerOfA.state, 'Established')
  t.equal(peerOfB.localAddress, '127.0.71.2')
  t.match(peerOfA.negotiated, { as4: true, routeRefresh: true, holdTimeSeconds: 90, peerAsn: 64512, peerBgpId: 2 })
  t.same(
    b.only('state').map((s) => s.to),
    ['Connect', 'OpenSent', 'OpenConfirm', 'Established'],
  )
  t.same(
    a.only('state').map((s) => s.to),
    ['Active', 'OpenSent', 'OpenConfirm', 'Established'],
  )
  await new Promise<void>((resolve) => peerOfB.send([EMPTY_UPDATE, EMPTY_UPDATE, EMPTY_UPDATE], resolve))
  await a.until('three UPDATEs', () => a.only('update').length === 3)
  t.same(a.only('update')[0]!.bytes, EMPTY_UPDATE)
  t.equal(peerOfB.counters.sent[2], 3)
  t.equal(peerOfA.counters.received[2], 3)
  t.ok(peerOfA.sendRouteRefresh(Family.IPV4_UNICAST))
  t.notOk(peerOfA.sendRouteRefresh(Family.IPV6_UNICAST), 'not negotiated')
  await b.until('ROUTE-REFRESH', () => b.only('refresh').length === 1)
})

t.test('a peer that connects and says nothing hears our OPEN all the same', async (t) => {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  t.teardown(() => a.manager.stop())
  await a.manager.listen([{ address: '127.0.71.1', port: 0 }])
  a.manager.configure([neighbor({ name: 'b', address: '127.0.71.2', passive: true })])
  const socket = connect({
    host: '127.0.71.1',
    port: a.manager.listenAddresses()[0]!.port,
    localAddress: '127.0.71.2',
  })
  t.teardown(() => socket.destroy())
  const chunk = await new Promise<Buffer>((resolve, reject) => socket.once('data', resolve).once('error', reject))
  t.equal(chunk.readUInt16BE(16), chunk.length, 'one whole message')
  t.equal(chunk[18], 1, 'OPEN')
})

t.test('peers that come all at once and say their OPEN hear OPEN and KEEPALIVE in one segment', async (t) => {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  t.teardown(() => a.manager.stop())
  await a.manager.listen([{ address: '127.0.71.1', port: 0 }])
  const port = a.manager.listenAddresses()[0]!.port
  // So many that accepting them takes longer than the moment that our OPEN waits for theirs.
  const addresses = Array.from({ length: 100 }, (_, index) => `127.0.71.${index + 100}`)
  a.manager.configure([neighbor({ name: 'nodes', range: range('127.0.71.0/24'), passive: true })])
  const open = message(1, '04 fc00 005a 00000002 00')
  const first = await Promise.all(
    addresses.map((localAddress) => {
      const socket = connect({ host: '127.0.71.1', port, localAddress })
      t.teardown(() => socket.destroy())
      socket.write(open)
      return new Promise<Buffer>((resolve, reject) => socket.once('data', resolve).once('error', reject))
    }),
  )
  for (const chunk of first) {
    const octets = chunk.readUInt16BE(16)
    t.equal(chunk[18], 1, 'OPEN')
    t.equal(chunk[octets + 18], 4, 'KEEPALIVE')
  }
})

t.test('peers that connect and close their side at once hear our OPEN all the same', async (t) => {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  t.teardown(() => a.manager.stop())
  await a.manager.listen([{ address: '127.0.71.1', port: 0 }])
  const port = a.manager.listenAddresses()[0]!.port
  // One after the other, each from an address of its own: only once the code is warm is the FIN quicker than what we hold back.
  const addresses = Array.from({ length: 30 }, (_, index) => `127.0.71.${index + 100}`)
  a.manager.configure(addresses.map((address) => neighbor({ name: address, address, passive: true })))
  let heard = 0
  for (const localAddress of addresses) {
    const socket = connect({ host: '127.0.71.1', port, localAddress, allowHalfOpen: true })
    t.teardown(() => socket.destroy())
    socket.end()
    const octets: Buffer[] = []
    for await (const chunk of socket) octets.push(chunk as Buffer)
    if (Buffer.concat(octets)[18] === 1) heard++
  }
  t.equal(heard, addresses.length)
})

t.test('a stop sends Cease 6/2 with its text, and the other end comes back when there is somebody again', async (t) => {
  const { a, b, port } = await twoSpeakers(t)
  await a.manager.stop('maintenance')
  await b.until('down', () => b.only('down').length === 1)
  t.match(b.only('down')[0]!.reason, { kind: 'notification-received', code: 6, subcode: 2, text: /"maintenance"/ })
  const again = new TestSpeaker({ asn: 64512, routerId: 1 })
  t.teardown(() => again.manager.stop())
  again.manager.configure([neighbor({ name: 'b', address: '127.0.71.2', passive: true })])
  await again.manager.listen([{ address: '127.0.71.1', port }])
  await b.until('Established again', () => b.only('established').length === 2)
})

t.test('both ends dial over TCP at once, twenty times: one session each time, and it stays', async (t) => {
  for (let round = 0; round < 20; round++) {
    const [a, b] = [round, 100 - round].map((routerId) => new TestSpeaker({ asn: 64512, routerId: routerId + 1 }))
    await a!.manager.listen([{ address: '127.0.71.11', port: 0 }])
    await b!.manager.listen([{ address: '127.0.71.12', port: 0 }])
    const [toA, toB] = [a!, b!].map((speaker) => {
      const { address, port } = speaker.manager.listenAddresses()[0]!
      return { address, port, connectRetryMs: 300 }
    })
    a!.manager.configure([neighbor({ ...toB!, name: 'b', sourceAddress: toA!.address })])
    b!.manager.configure([neighbor({ ...toA!, name: 'a', sourceAddress: toB!.address })])
    const [peerOfA, peerOfB] = [a!.manager.find('b')[0]!, b!.manager.find('a')[0]!]
    const agree = () => peerOfA.state === 'Established' && peerOfB.state === 'Established'
    while (!agree()) {
      await a!.until('Established', () => peerOfA.state === 'Established')
      await b!.until('Established', () => peerOfB.state === 'Established')
    }
    await new Promise<void>((resolve) => peerOfA.send([EMPTY_UPDATE], resolve))
    await b!.until('the UPDATE', () => b!.only('update').length === 1)
    t.equal(agree(), true)
    await Promise.all([a!.manager.stop(), b!.manager.stop()])
  }
})

t.test('IPv6', async (t) => {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  const b = new TestSpeaker({ asn: 64513, routerId: 2 })
  t.teardown(() => Promise.all([a.manager.stop(), b.manager.stop()]))
  await a.manager.listen([{ address: '::1', port: 0 }])
  a.manager.configure([neighbor({ name: 'b', address: '::1', asn: 64513, passive: true })])
  const port = a.manager.listenAddresses()[0]!.port
  b.manager.configure([neighbor({ name: 'a', address: '::1', port, localAsn: 64513 })])
  await b.until('Established', () => b.only('established').length === 1)
})

t.test('an IPv4 peer that comes through a listener on :: is known by its IPv4 address', async (t) => {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  const b = new TestSpeaker({ asn: 64512, routerId: 2 })
  t.teardown(() => Promise.all([a.manager.stop(), b.manager.stop()]))
  await a.manager.listen([{ address: '::', port: 0 }])
  a.manager.configure([neighbor({ name: 'b', address: '127.0.71.2', passive: true })])
  const port = a.manager.listenAddresses()[0]!.port
  b.manager.configure([neighbor({ name: 'a', address: '127.0.71.1', port, sourceAddress: '127.0.71.2' })])
  await b.until('Established', () => b.only('established').length === 1)
  await a.until('Established', () => a.only('established').length === 1)
  t.equal(a.manager.find('b')[0]!.state, 'Established')
})

t.test(
  'descriptors that become scarce: what comes in is closed and told of, and taken again when there are some',
  async (t) => {
    const a = new TestSpeaker({ asn: 64512, routerId: 1, maxOpenFiles: 40 })
    t.teardown(() => a.manager.stop())
    await a.manager.listen([{ address: '127.0.71.1', port: 0 }])
    a.manager.configure([neighbor({ name: 'nodes', range: range('127.0.72.0/24') })])
    const port = a.manager.listenAddresses()[0]!.port
    /** Resolves with true when it hears our OPEN. */
    const dial = (n: number): { socket: Socket; heard: Promise<boolean> } => {
      const socket = connect({ host: '127.0.71.1', port, localAddress: `127.0.72.${n}` })
      t.teardown(() => socket.destroy())
      const heard = new Promise<boolean>((resolve) => {
        socket.once('data', () => resolve(true)).once('close', () => resolve(false))
      })
      socket.on('error', () => {})
      return { socket, heard }
    }
    const first = Array.from({ length: 30 }, (_, n) => dial(n + 1))
    t.notOk((await Promise.all(first.map(({ heard }) => heard))).includes(false), 'three quarters of them')
    t.notOk(await dial(31).heard, 'one more')
    t.equal(a.manager.counters.limitedConnections, 1)
    t.match(a.facts.at(-1), {
      event: 'listener.limit',
      text: /127\.0\.72\.31 closed: 31 connections are open, .* limit of open files is 40: .*ulimit/,
    })
    first[0]!.socket.destroy()
    await a.until('it is gone', () => a.only('dynamic').some((one) => !one.present))
    t.ok(await dial(32).heard)
  },
)

t.test('200 peers of a range at once, each with its own object and id', async (t) => {
  const count = 200
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  const others = Array.from({ length: count }, (_, i) => new TestSpeaker({ asn: 64512, routerId: 100 + i }))
  t.teardown(() => Promise.all([a, ...others].map((speaker) => speaker.manager.stop())))
  await a.manager.listen([{ address: '127.0.71.1', port: 0 }])
  a.manager.configure([neighbor({ name: 'nodes', range: range('127.0.72.0/24') })])
  const port = a.manager.listenAddresses()[0]!.port
  for (const [i, other] of others.entries()) {
    other.manager.configure([
      neighbor({ name: 'rr', address: '127.0.71.1', port, sourceAddress: `127.0.72.${i + 1}`, connectRetryMs: 500 }),
    ])
  }
  await a.until('all Established', () => a.only('established').length === count)
  const peers = [...a.manager.peers()]
  t.equal(peers.length, count)
  t.equal(new Set(peers.map((peer) => peer.id)).size, count)
  t.equal(a.manager.find('nodes').length, count)
  t.equal(a.manager.find('nodes-127.0.72.7')[0]!.address, '127.0.72.7')
  await Promise.all(others.map((other) => other.manager.stop()))
  await a.until('all gone', () => a.only('dynamic').filter((one) => !one.present).length === count)
  t.equal([...a.manager.peers()].length, 0)
  t.equal(a.only('down').length, count)
})

t.test('connections of unknown addresses are closed, counted, and told once', async (t) => {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  t.teardown(() => a.manager.stop())
  await a.manager.listen([{ address: '127.0.71.1', port: 0 }])
  const port = a.manager.listenAddresses()[0]!.port
  for (let i = 0; i < 5; i++) {
    const socket = connect({ host: '127.0.71.1', port, localAddress: '127.0.71.99' })
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('close', resolve))
  }
  t.equal(a.manager.counters.unknownConnections, 5)
  t.equal(a.facts.length, 1)
  t.match(a.facts[0], { event: 'listener.unknown-peer', address: '127.0.71.99', text: /127\.0\.71\.99.*no neighbor/ })
})

t.test('a busy port and a foreign address are one clear line each, and what listened before still does', async (t) => {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  const busy = createServer()
  t.teardown(() => Promise.all([a.manager.stop(), new Promise((resolve) => busy.close(resolve))]))
  await new Promise<void>((resolve) => busy.listen({ host: '127.0.71.3', port: 0 }, resolve))
  const { port } = busy.address() as { port: number }
  await a.manager.listen([{ address: '127.0.71.1', port: 0 }])
  const before = a.manager.listenAddresses()
  await t.rejects(
    a.manager.listen([
      { address: '127.0.71.1', port: 0 },
      { address: '127.0.71.3', port },
    ]),
    new RegExp(`cannot listen on 127\\.0\\.71\\.3:${port}: the port is in use`),
  )
  await t.rejects(a.manager.listen([{ address: '192.0.2.1', port: 17900 }]), /192\.0\.2\.1 is not an address of this/)
  t.equal(a.manager.listenAddresses().length, before.length)
})

t.test('the addresses listened on can change; sessions live on', async (t) => {
  const { a, b, port, peerOfA } = await twoSpeakers(t)
  await a.manager.listen([{ address: '127.0.71.4', port: 0 }])
  t.same(
    a.manager.listenAddresses().map((one) => one.address),
    ['127.0.71.4'],
  )
  const refused = await new Promise<string | undefined>((resolve) => {
    connect({ host: '127.0.71.1', port }).on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
  })
  t.equal(refused, 'ECONNREFUSED')
  t.equal(peerOfA.state, 'Established')
  t.equal(b.only('down').length, 0)
  await a.manager.listen([{ address: '0.0.0.0', port }])
  await a.manager.listen([{ address: '127.0.71.1', port }])
  t.same(a.manager.listenAddresses(), [{ address: '127.0.71.1', port }])
})

t.test('a refused connection and a foreign sourceAddress are said in words', async (t) => {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  t.teardown(() => a.manager.stop())
  a.manager.configure([
    neighbor({ name: 'closed', address: '127.0.71.5', port: 9 }),
    neighbor({ name: 'foreign', address: '127.0.71.6', port: 9, sourceAddress: '192.0.2.9' }),
  ])
  const [closed, foreign] = [a.manager.find('closed')[0]!, a.manager.find('foreign')[0]!]
  await a.until('both failed', () => closed.state === 'Active' && foreign.state === 'Active')
  t.equal(closed.lastReason, 'connection refused: nothing listens on 127.0.71.5:9')
  t.match(foreign.lastReason, /sourceAddress 192\.0\.2\.9 is not an address of this machine/)
})

t.test('a peer that stops reading: the socket fills, drained comes when it reads again', async (t) => {
  const { b, peerOfA, peerOfB } = await twoSpeakers(t)
  peerOfA.pauseReading()
  const slab = new Uint8Array(23 * 2000)
  for (let at = 0; at < slab.length; at += 23) slab.set(EMPTY_UPDATE, at)
  let taken = 0
  let given = 0
  while (peerOfB.pendingOctets < HIGH_WATER_OCTETS) {
    given++
    peerOfB.send([slab], () => taken++)
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(taken < given, 'the last one is not taken')
  peerOfA.resumeReading()
  await b.until('drained', () => b.only('drained').length > 0)
  t.equal(taken, given)
  t.equal(peerOfB.pendingOctets, 0)
})

t.test('fail() inside an event ends the session with that NOTIFICATION; onTaken never comes after', async (t) => {
  const { a, b, peerOfA, peerOfB } = await twoSpeakers(t)
  peerOfA.fail(new NotificationError(6, 1, '100 prefixes, the limit is 10'))
  t.match(a.only('down')[0]!.reason, { kind: 'max-prefix', code: 6, subcode: 1, text: /the limit is 10/ })
  peerOfA.send([EMPTY_UPDATE], () => t.fail('taken after down'))
  await b.until('down', () => b.only('down').length === 1)
  t.match(peerOfB.lastReason, /received NOTIFICATION 6\/1/)
  t.equal(peerOfA.negotiated, null)
})

t.test('a raw peer: garbage gets 1/1 and a closed connection', async (t) => {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  t.teardown(() => a.manager.stop())
  await a.manager.listen([{ address: '127.0.71.1', port: 0 }])
  a.manager.configure([neighbor({ name: 'raw', address: '127.0.71.8', passive: true })])
  const { port } = a.manager.listenAddresses()[0]!
  const received = await new Promise<Buffer>((resolve) => {
    const socket: Socket = connect({ host: '127.0.71.1', port, localAddress: '127.0.71.8' })
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('end', () => resolve(Buffer.concat(chunks)))
    socket.write('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n')
  })
  const notification = received.subarray(received.length - 21)
  t.same([...notification.subarray(18)], [3, 1, 1], 'after our OPEN: Connection Not Synchronized')
})

t.test('a loop that is blocked longer than the hold time loses no session that was alive', async (t) => {
  const a = new TestSpeaker({ asn: 64512, routerId: 1 })
  t.teardown(() => a.manager.stop())
  await a.manager.listen([{ address: '127.0.71.1', port: 0 }])
  a.manager.configure([neighbor({ name: 'raw', address: '127.0.71.9', holdTimeSeconds: 3, passive: true })])
  const { port } = a.manager.listenAddresses()[0]!
  const worker = new Worker(PEER_IN_A_THREAD, { eval: true, workerData: { port } })
  t.teardown(() => worker.terminate())
  await a.until('Established', () => a.only('established').length === 1)
  const peer = a.manager.find('raw')[0]!
  const before = peer.counters.received[4]!
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4_000)
  await a.until('Established or down, after the KEEPALIVEs were read', () => {
    a.manager.find('raw')[0]!.sendRouteRefresh(Family.IPV4_UNICAST)
    return peer.counters.received[4]! > before + 2 || peer.state !== 'Established'
  })
  t.equal(a.only('down').length, 0)
  worker.postMessage('silence')
  await a.until('down', () => a.only('down').length === 1)
  t.match(a.only('down')[0]!.reason, { kind: 'hold-timer' })
})

/** Sends an OPEN, then a KEEPALIVE every 300 ms until told to be silent; answers every ROUTE-REFRESH with an empty UPDATE. */
const PEER_IN_A_THREAD = `
  const { parentPort, workerData } = require('node:worker_threads')
  const socket = require('node:net').connect({ host: '127.0.71.1', port: workerData.port, localAddress: '127.0.71.9' })
  const marker = 'f'.repeat(32)
  const open = marker + '002d0104fc00005a00000009' + '10020e010400010001' + '020041040000fc00'
  const keepalive = Buffer.from(marker + '001304', 'hex')
  const update = Buffer.from(marker + '00170200000000', 'hex')
  socket.write(Buffer.from(open, 'hex'))
  const timer = setInterval(() => socket.write(keepalive), 300)
  socket.on('data', (chunk) => chunk[18] === 5 && socket.write(update))
  socket.on('error', () => {})
  parentPort.once('message', () => clearInterval(timer))
`

t.test(
  'a connection that we end is over when the peer has closed its side, has reset it, or has had its time',
  async (t) => {
    const open = new OpenLinks()
    const options = new SocketOptions()
    const server = createServer({ allowHalfOpen: true })
    t.teardown(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.71.1', resolve))
    const { port } = server.address() as AddressInfo
    /** Both ends; ours has ended. */
    const pair = async (): Promise<{ link: Link; far: Socket; over: () => boolean; isOver: Promise<void> }> => {
      const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
      const far = connect({ host: '127.0.71.1', port, allowHalfOpen: true })
      far.on('error', () => {})
      t.teardown(() => far.destroy())
      const link = socketLink(await accepted, open, options)
      link.attach({ data: () => {}, drained: () => {}, closed: () => t.fail('no events any more') })
      const ended = new Promise((resolve) => far.resume().once('end', resolve))
      link.end()
      let over = false
      const isOver = new Promise<void>((resolve) =>
        link.onceOver!(() => {
          over = true
          resolve()
        }),
      )
      await ended
      return { link, far, over: () => over, isOver }
    }
    const closes = await pair()
    t.notOk(closes.over(), 'the peer has our FIN and may still speak')
    closes.far.end()
    await closes.isOver
    const again = new Promise<void>((resolve) => closes.link.onceOver!(resolve))
    await again
    const resets = await pair()
    t.notOk(resets.over())
    resets.far.resetAndDestroy()
    await resets.isOver
    const stays = await pair()
    t.notOk(stays.over())
    await Promise.all([open.drain(10), stays.isOver])
    t.equal(open.size, 0)
  },
)
