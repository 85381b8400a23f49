/** Ways to behave that are no message (O14, D3 and D7 to D9 of the corpus), against the whole daemon; a well-behaved neighbour is watched. */
import t, { type Test } from 'tap'
import { MAX_PATHS_OF_PREFIX } from '../../src/rib/rib.js'
import { Receiver } from '../support/update-bytes.js'
import { until } from '../support/wait.js'
import { Client, GOOD, hex16, hex32, KEEPALIVE, message, nlri, open, update } from './client.js'
import { type Daemon, runningDaemon } from './daemon.js'

const CLIENTS = { name: 'clients', range: '127.66.0.0/16', asn: 64512, reflectorClient: true, passive: true }
const CONFIG = { reflector: { clusterId: '10.0.0.1' }, neighbors: [CLIENTS] }

t.setTimeout(120_000)

t.test('a neighbour that is shut down, and a stop in the middle of OPENs', async (t) => {
  const down = { name: 'down', address: '127.67.0.1', asn: 64512, shutdown: true }
  const daemon = await runningDaemon(t, { ...CONFIG, neighbors: [CLIENTS, down] })
  const friend = await friendOf(t, daemon)
  for (const octets of [0, 19, 29]) {
    const client = new Client(daemon.port, '127.67.0.1')
    await client.connected()
    client.send(open({ id: client.address }).slice(0, 2 * octets))
    await client.closed()
    t.match(client.notification(), /^0602/, `Cease 6/2 after ${octets} octets`)
  }
  await stillUp(t, daemon, friend)

  const racing = Array.from({ length: 60 }, (_, n) => new Client(daemon.port, `127.66.5.${n + 1}`))
  await Promise.all(racing.map((client) => client.connected()))
  const bytes = (client: Client): string =>
    open({ id: client.address }) + KEEPALIVE + update('', GOOD, nlri('10.2.0.0/24'))
  racing.forEach((client, n) => {
    client.send(bytes(client).slice(0, 2 * (1 + 3 * (n % 40))))
  })
  daemon.signal('SIGTERM')
  // Those that are opened while it stops race with it: refused, reset or answered, all is fine.
  const late = Array.from({ length: 20 }, (_, n) => new Client(daemon.port, `127.66.6.${n + 1}`))
  for (const client of late) client.send(bytes(client))
  await Promise.all([...racing, ...late, friend].map((client) => client.closed()))
  await until('the daemon ends', () => daemon.exit !== null)
  t.same(daemon.exit, { code: 0, signal: null })
  t.notMatch(daemon.log, FAULT)
})

t.test('a reset in the middle of each kind of message', async (t) => {
  // The same address again and again, which damping would make wait.
  const daemon = await runningDaemon(t, { ...CONFIG, neighbors: [{ ...CONFIG.neighbors[0], damping: false }] })
  const friend = await friendOf(t, daemon)
  const messages = [
    open(),
    update('', GOOD, nlri('10.3.0.0/24')),
    message(3, '0602'),
    KEEPALIVE,
    message(5, '00010001'),
  ]
  for (const whole of messages) {
    for (const octets of [1, 18, 19, whole.length / 2 - 1]) {
      const client = await new Client(daemon.port, '127.66.7.1').establish()
      client.send(update('', GOOD, nlri('10.2.0.0/24')))
      await daemon.until(
        'has the route',
        () => daemon.rib(),
        (rib) => rib.length === 1,
      )
      if (octets < whole.length / 2) client.send(whole.slice(0, 2 * octets))
      client.socket.resetAndDestroy()
      await daemon.until(
        'has lost the route',
        () => daemon.rib(),
        (rib) => rib.length === 0,
      )
    }
  }
  await stillUp(t, daemon, friend)
  t.notMatch(daemon.log, FAULT)
})

t.test('2000 sets of 1000 communities each', async (t) => {
  const daemon = await runningDaemon(t, CONFIG)
  const friend = await friendOf(t, daemon)
  const receiver = new Receiver()
  receiver.receive(friend.received)
  friend.keeps = false
  friend.onData = (chunk) => receiver.receive(chunk)
  const peer = await new Client(daemon.port, '127.66.8.1').establish()
  const before = daemon.residentMiB()
  for (let n = 0; n < 2000; n++) {
    const communities = hex32(0xfc000000 + n) + hex32(0xfc010000).repeat(999)
    const bytes = update('', `${GOOD}d008${hex16(4000)}${communities}`, `20${hex32(0x0a050000 + n)}`)
    if (!peer.socket.write(Buffer.from(bytes, 'hex')))
      await new Promise((resolve) => peer.socket.once('drain', resolve))
  }
  // With ORIGINATOR_ID and CLUSTER_LIST 4069 octets: they still fit.
  await friend.until('has heard all', () => receiver.routes.size === 2000)
  t.equal((await daemon.summary()).attributeSets, 2000)
  const loaded = daemon.residentMiB()
  t.comment(`${before} MiB before, ${loaded} MiB with them`)
  t.ok(loaded < before + 200, `${loaded - before} MiB for 8 MB of attributes in and out`)
  peer.end()
  await friend.until('has heard that they are gone', () => receiver.routes.size === 0)
  t.equal((await daemon.summary()).attributeSets, 0)
  await stillUp(t, daemon, friend)
})

t.test('one prefix more than maxPrefix', async (t) => {
  const daemon = await runningDaemon(t, { ...CONFIG, neighbors: [{ ...CLIENTS, maxPrefix: { limit: 100 } }] })
  const friend = await friendOf(t, daemon)
  const peer = await new Client(daemon.port, '127.66.9.1').establish()
  const prefixes = (count: number): string =>
    Array.from({ length: count }, (_, n) => `20${hex32(0x0a060000 + n)}`).join('')
  peer.send(update('', GOOD, prefixes(100)))
  await daemon.until(
    'has all that are allowed',
    () => daemon.rib(),
    (rib) => rib.length === 100,
  )
  peer.send(update('', GOOD, prefixes(101)))
  await peer.closed()
  t.equal(peer.notification(), `0601000101${hex32(100)}`, 'Cease 6/1 with AFI, SAFI and limit')
  await daemon.until(
    'has none of its routes',
    () => daemon.rib(),
    (rib) => rib.length === 0,
  )
  await stillUp(t, daemon, friend)
})

t.test('one attribute set more than maxAttributeSets', async (t) => {
  const daemon = await runningDaemon(t, { ...CONFIG, neighbors: [{ ...CLIENTS, maxAttributeSets: 1000 }] })
  const friend = await friendOf(t, daemon)
  const peer = await new Client(daemon.port, '127.66.9.2').establish()
  const routes = (from: number, to: number): string => {
    let bytes = ''
    for (let n = from; n < to; n++) bytes += update('', `${GOOD}800404${hex32(n)}`, `20${hex32(0x0a070000 + n)}`)
    return bytes
  }
  peer.send(routes(0, 1000))
  await daemon.until(
    'has all that are allowed',
    () => daemon.summary(),
    ({ attributeSets }) => attributeSets === 1000,
  )
  peer.send(routes(1000, 1001))
  await peer.closed()
  t.match(peer.notification(), /^0608/, 'Cease 6/8')
  await daemon.until(
    'has none of them',
    () => daemon.summary(),
    ({ attributeSets }) => attributeSets === 0,
  )
  await stillUp(t, daemon, friend)
})

t.test('one path of a prefix more than are taken', async (t) => {
  const daemon = await runningDaemon(t, { ...CONFIG, neighbors: [{ ...CLIENTS, addPath: { receive: true } }] })
  const friend = await friendOf(t, daemon)
  const capabilities = '010400010001' + '41040000fc00' + '450400010102'
  const peer = await new Client(daemon.port, '127.66.9.3').establish({ capabilities })
  const paths = (from: number, to: number): string => {
    let items = ''
    for (let id = from; id < to; id++) items += `${hex32(id)}${nlri('10.8.0.0/16')}`
    return update('', GOOD, items)
  }
  const half = MAX_PATHS_OF_PREFIX / 2
  peer.send(paths(1, 1 + half), paths(1 + half, 1 + 2 * half))
  await daemon.until(
    'has all that are taken',
    () => daemon.summary(),
    ({ families }) => families[0]!.paths === MAX_PATHS_OF_PREFIX,
  )
  peer.send(paths(1 + 2 * half, 2 + 2 * half))
  await peer.closed()
  t.match(peer.notification(), /^0608/, 'Cease 6/8')
  await daemon.until(
    'has none of them',
    () => daemon.rib(),
    (rib) => rib.length === 0,
  )
  await stillUp(t, daemon, friend)
})

const FAULT = /bug:|Error:|undefined|\[object/

async function friendOf(t: Test, daemon: Daemon): Promise<Client> {
  const friend = await new Client(daemon.port, '127.66.0.2').establish()
  t.teardown(() => friend.end())
  return friend
}

async function stillUp(t: Test, daemon: Daemon, friend: Client): Promise<void> {
  const found = (await daemon.neighbors()).find(({ address }) => address === friend.address)
  t.match(found, { state: 'Established', establishedCount: 1 }, 'the other session is up')
}
