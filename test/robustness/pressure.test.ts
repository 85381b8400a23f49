/**
 * Neighbours and strangers that behave badly: floods, silence, peers that do not read, that flap, that fill the tables. A well-behaved session is watched, and
 * what was taken is given back.
 */
import t, { type Test } from 'tap'
import type { NeighborView } from '../../src/api/types.js'
import { Receiver } from '../support/update-bytes.js'
import { AS_PATH, Client, GOOD, hex32, KEEPALIVE, NEXT_HOP, nlri, ORIGIN, open, update } from './client.js'
import { type Daemon, runningDaemon } from './daemon.js'

const CONFIG = {
  reflector: { clusterId: '10.0.0.1' },
  neighbors: [{ name: 'clients', range: '127.66.0.0/16', asn: 64512, reflectorClient: true, passive: true }],
}

t.setTimeout(300_000)

t.test('OPEN in pieces, silence, floods', async (t) => {
  const daemon = await runningDaemon(t, CONFIG)
  const friend = await new Client(daemon.port, '127.66.0.2').establish({ holdTime: 9 })
  t.teardown(() => friend.end())
  const alive = setInterval(() => friend.send(KEEPALIVE), 1000)
  t.teardown(() => clearInterval(alive))

  const bytes = open({ id: '127.66.2.1' }) + KEEPALIVE + update('', GOOD, nlri('10.2.0.0/24'))
  const slow = new Client(daemon.port, '127.66.2.1')
  await slow.connected()
  for (const octet of bytes.match(/../g)!) {
    slow.send(octet)
    await new Promise(setImmediate)
  }
  await daemon.until(
    'learned a route octet by octet',
    () => daemon.rib(),
    (rib) => rib.length === 1,
  )
  slow.end()
  await daemon.until(
    'forgot it',
    () => daemon.rib(),
    (rib) => rib.length === 0,
  )

  const silent: Client[] = []
  for (let n = 0; n < 50; n++) silent.push(new Client(daemon.port, `127.66.3.${n + 1}`))
  await Promise.all(silent.map((client) => client.connected()))
  for (const [n, client] of silent.entries()) client.send(open({ id: client.address }).slice(0, 2 * (n % 45)))

  for (let round = 0; round < 4; round++) {
    const strangers = Array.from(
      { length: 500 },
      (_, n) => new Client(daemon.port, `127.${70 + round}.${n >> 8}.${n & 255 || 1}`),
    )
    await Promise.all(strangers.map((client) => client.closed()))
  }
  const refused = daemon.log.split('\n').filter((line) => line.includes('connection-refused'))
  t.ok(refused.length >= 1 && refused.length < 50, `${refused.length} lines about 2000 strangers`)
  await stillUp(t, daemon, friend, '2000 strangers')

  const flood = Array.from({ length: 500 }, (_, n) => new Client(daemon.port, `127.66.${4 + (n >> 8)}.${n & 255 || 1}`))
  await Promise.all(flood.map((client) => client.connected()))
  flood.forEach((client, n) => {
    if (n % 3 === 0) client.send(open({ id: client.address }))
    if (n % 3 === 1) client.socket.resetAndDestroy()
  })
  await stillUp(t, daemon, friend, 'a flood from the range')
  for (const client of [...flood, ...silent]) client.end()
  await daemon.until(
    'forgot them all',
    () => daemon.neighbors(),
    (all) => all.filter(({ dynamic }) => dynamic).length === 1,
  )

  const chatty = await new Client(daemon.port, '127.66.2.2').establish()
  for (let n = 0; n < 50; n++) chatty.send(KEEPALIVE.repeat(3500))
  await daemon.until(
    'counted the KEEPALIVEs',
    () => received(daemon, chatty.address),
    (count) => count >= 175_001,
  )
  await stillUp(t, daemon, friend, '175000 KEEPALIVEs')
  chatty.end()
})

t.test('500 sessions in a row leave nothing behind', async (t) => {
  // Ten addresses that come back at once, fifty times each: what damping is there against.
  const daemon = await runningDaemon(t, { ...CONFIG, neighbors: [{ ...CONFIG.neighbors[0], damping: false }] })
  const watcher = await new Client(daemon.port, '127.66.0.2').establish()
  t.teardown(() => watcher.end())
  const once = async (n: number): Promise<void> => {
    const client = await new Client(daemon.port, `127.66.9.${1 + (n % 10)}`).establish()
    const own = nlri(`10.${n % 200}.0.0/16`) + nlri(`10.250.${n % 250}.0/24`)
    client.send(update('', `${GOOD}800404${hex32(n)}`, own))
    if (n % 2 === 0) client.end()
    else client.socket.resetAndDestroy()
    await client.closed()
  }
  for (let n = 0; n < 100; n++) await once(n)
  const before = daemon.residentMiB()
  for (let n = 0; n < 400; n++) await once(n)
  await isEmpty(daemon)
  t.comment(`resident: ${before} MiB after 100, ${daemon.residentMiB()} MiB after 500`)
  t.ok(daemon.residentMiB() < before + 100, 'memory does not grow with sessions')
})

t.test('a flapping peer is held down, silent connections and paths are bounded, and all is said', async (t) => {
  const daemon = await runningDaemon(t, { ...CONFIG, limits: { pendingConnections: 16, paths: 1000 } })
  const friend = await new Client(daemon.port, '127.66.0.2').establish()
  t.teardown(() => friend.end())
  for (let n = 0; n < 6; n++) {
    const client = await new Client(daemon.port, '127.66.9.1').establish()
    client.send(update('', GOOD, nlri('10.9.0.0/16')))
    client.end()
    await daemon.until(
      'forgot it',
      () => daemon.neighbors(),
      (all) => all.every(({ address }) => address !== '127.66.9.1'),
    )
  }
  const damped = new Client(daemon.port, '127.66.9.1')
  await damped.closed()
  t.match(damped.notification(), '0605', 'Cease 6/5 after six short sessions')
  await daemon.until(
    'said that it is held down',
    () => daemon.log,
    (log) => /127\.66\.9\.1 is held down for [345] s/.test(log),
  )
  const silent = Array.from({ length: 40 }, (_, n) => new Client(daemon.port, `127.66.8.${n + 1}`))
  await daemon.until(
    'closed those over the limit',
    () => silent.filter(({ isClosed }) => isClosed).length,
    (closed) => closed === 24,
  )
  t.match(daemon.log, /limits\.pendingConnections/)
  for (const client of silent) client.end()
  const greedy = await new Client(daemon.port, '127.66.9.2').establish()
  for (let n = 0; n < 1100; n += 100) {
    const some = Array.from({ length: 100 }, (_, at) => nlri(`10.${(n + at) >> 8}.${(n + at) & 255}.0/24`))
    greedy.send(update('', GOOD, some.join('')))
  }
  await greedy.closed()
  t.match(greedy.notification(), '0608', 'Cease 6/8: Out of Resources')
  await stillUp(t, daemon, friend, 'all of that')
  await isEmpty(daemon)
})

t.test('one prefix from 200 peers that flap', async (t) => {
  const daemon = await runningDaemon(t, CONFIG)
  const watcher = await new Client(daemon.port, '127.66.0.2').establish()
  t.teardown(() => watcher.end())
  const peers: Client[] = []
  for (let n = 0; n < 200; n++) peers.push(new Client(daemon.port, `127.66.10.${n + 1}`))
  await Promise.all(peers.map((peer) => peer.establish()))
  const prefix = nlri('10.5.0.0/16')
  for (let round = 0; round < 10; round++) {
    for (const [n, peer] of peers.entries()) {
      if ((n + round) % 3 === 0) peer.send(update(prefix, '', ''))
      else peer.send(update('', `${GOOD}800404${hex32(n + round)}`, prefix))
    }
  }
  peers[0]!.send(update('', `${ORIGIN}${AS_PATH}${NEXT_HOP}40050400000fff`, prefix))
  await daemon.until(
    'chose the preferred one',
    () => daemon.rib(),
    (rib) => rib.some(({ best, fromAddress }) => best && fromAddress === '127.66.10.1'),
  )
  for (const peer of peers) peer.end()
  await isEmpty(daemon)
})

t.test('100000 attribute sets, and the memory comes back', async (t) => {
  const daemon = await runningDaemon(t, CONFIG)
  const watcher = await new Client(daemon.port, '127.66.0.2').establish()
  watcher.keeps = false
  t.teardown(() => watcher.end())
  const start = daemon.residentMiB()
  let peak = 0
  for (let round = 0; round < 3; round++) {
    const peer = await new Client(daemon.port, '127.66.11.1').establish()
    for (let n = 0; n < 100_000; n += 100) {
      let batch = ''
      for (let i = n; i < n + 100; i++)
        batch += update('', `${GOOD}c00828${hex32(i).repeat(10)}`, `20${hex32(0x0a000000 + i)}`)
      if (!peer.socket.write(Buffer.from(batch, 'hex')))
        await new Promise((resolve) => peer.socket.once('drain', resolve))
    }
    await daemon.until(
      'has all sets',
      () => daemon.summary(),
      ({ attributeSets }) => attributeSets >= 100_000,
    )
    peak = daemon.residentMiB()
    peer.end()
    await isEmpty(daemon)
    t.comment(`round ${round}: ${start} MiB before, ${peak} MiB with them, ${daemon.residentMiB()} MiB after`)
  }
  t.ok(peak < start + 500, `${peak} MiB`)
})

t.test('a peer that does not read, and one with hold time 3 s, while 100000 routes change', async (t) => {
  const daemon = await runningDaemon(t, CONFIG)
  const short = await new Client(daemon.port, '127.66.0.2').establish({ holdTime: 3 })
  short.keeps = false
  // Sends its KEEPALIVE and UPDATEs only now and then: at the edge of its hold time.
  const alive = setInterval(() => short.send(KEEPALIVE), 1000)
  const deaf = await new Client(daemon.port, '127.66.0.3').establish()
  deaf.socket.pause()
  const sender = await new Client(daemon.port, '127.66.0.4').establish()
  t.teardown(() => {
    clearInterval(alive)
    for (const client of [short, deaf, sender]) client.end()
  })
  await sendTable(sender, 0)
  await daemon.until(
    'has all routes',
    () => daemon.summary(),
    ({ families }) => families[0]!.paths === ROUTES,
  )
  const loaded = daemon.residentMiB()
  let peak = loaded
  for (let round = 1; round <= ROUNDS; round++) {
    await sendTable(sender, round)
    peak = Math.max(peak, daemon.residentMiB())
  }
  sender.send(update('', GOOD, nlri('192.0.2.0/24')))
  await daemon.until(
    'has the last route',
    () => daemon.get<unknown[]>('/v1/rib?prefix=192.0.2.0/24'),
    (paths) => paths.length === 1,
  )
  t.comment(`${loaded} MiB loaded, ${peak} MiB at most, ${deaf.octets} octets read by the deaf peer`)
  t.ok(peak < loaded + 200, `${peak - loaded} MiB more for a peer that does not read`)
  const all = await daemon.neighbors()
  t.same(
    all.map(({ state, establishedCount }) => [state, establishedCount]),
    Array(3).fill(['Established', 1]),
    'all sessions are up',
  )

  const receiver = new Receiver()
  deaf.keeps = false
  deaf.onData = (chunk) => receiver.receive(chunk)
  deaf.socket.resume()
  await deaf.until(
    'has the last route',
    () => receiver.routes.has('0 192.0.2.0/24') && receiver.routes.size === ROUTES + 1,
  )
  t.equal(new Set(receiver.routes.values()).size, 101, 'it has the table as it is now')
})

t.test('a policy that changes for 100 peers and 100000 routes, one of them with hold time 3 s', async (t) => {
  const withMed = (med: number): Record<string, unknown> => ({
    ...CONFIG,
    policies: { p: [{ action: 'accept', set: { med } }] },
    neighbors: CONFIG.neighbors.map((neighbor) => ({ ...neighbor, export: 'p' })),
  })
  const daemon = await runningDaemon(t, withMed(1))
  const peers = Array.from({ length: 100 }, (_, n) => new Client(daemon.port, `127.66.12.${n + 1}`))
  const [watched, sender] = peers as [Client, Client]
  await Promise.all(peers.map((peer) => peer.establish({ holdTime: peer === watched ? 3 : 90 })))
  const alive = setInterval(() => watched.send(KEEPALIVE), 1000)
  t.teardown(() => {
    clearInterval(alive)
    for (const peer of peers) peer.end()
  })
  for (const peer of peers) peer.keeps = false
  const receiver = new Receiver()
  watched.onData = (chunk) => receiver.receive(chunk)
  const hears = (med: number): Promise<void> =>
    watched.until(
      `hears MED ${med}`,
      () =>
        receiver.routes.size === ROUTES &&
        [...receiver.routes.values()].every((text) => text.includes(`800404${hex32(med)}`)),
    )
  await sendTable(sender, 0)
  await hears(1)
  for (const med of [2, 3]) {
    t.match(await daemon.reload(withMed(med)), { code: 0 })
    await hears(med)
  }
  const states = (await daemon.neighbors()).filter(({ dynamic }) => dynamic)
  t.ok(
    states.length === 100 &&
      states.every(({ state, establishedCount }) => state === 'Established' && establishedCount === 1),
  )
})

const ROUTES = 100_000
const ROUNDS = 10

/** 100000 routes in 100 attribute sets, all of them with this MED. */
async function sendTable(peer: Client, med: number): Promise<void> {
  for (let n = 0; n < ROUTES; n += 1000) {
    let batch = ''
    for (let from = n; from < n + 1000; from += 500) {
      let reachable = ''
      for (let i = from; i < from + 500; i++) reachable += `20${hex32(0x0b000000 + i)}`
      batch += update('', `${GOOD}800404${hex32(med)}c00804${hex32(n)}`, reachable)
    }
    if (!peer.socket.write(Buffer.from(batch, 'hex')))
      await new Promise((resolve) => peer.socket.once('drain', resolve))
  }
}

async function stillUp(t: Test, daemon: Daemon, friend: Client, after: string): Promise<void> {
  const found = (await daemon.neighbors()).find(({ address }) => address === friend.address)
  t.match(found, { state: 'Established', establishedCount: 1 }, `${after}: the other session is up`)
}

async function received(daemon: Daemon, address: string): Promise<number> {
  const found = (await daemon.neighbors()).find((peer: NeighborView) => peer.address === address)
  return found?.messages.received['keepalive'] ?? 0
}

/** No routes, no attribute sets. */
async function isEmpty(daemon: Daemon): Promise<void> {
  await daemon.until(
    'is empty again',
    () => daemon.summary(),
    ({ attributeSets, families }) =>
      attributeSets === 0 && families.every(({ prefixes, paths }) => prefixes === 0 && paths === 0),
  )
}
