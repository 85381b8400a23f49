/** A neighbour that sends a million attribute sets, all of them different: by default it alone loses its session; where it may, they are all held and given back. */
import t, { type Test } from 'tap'
import { Client, GOOD, hex32, update } from './client.js'
import { type Daemon, runningDaemon } from './daemon.js'

const SETS = 1_000_000
const SENDER = '127.66.11.1'

t.setTimeout(300_000)

t.test('a million attribute sets end at maxAttributeSets, Cease 6/8', async (t) => {
  const { daemon, sender } = await flooded(t, {})
  t.ok(sender.isClosed)
  t.match(daemon.log, /sent NOTIFICATION 6\/8 [^"]*: the peer fills more than maxAttributeSets 200000/)
  t.ok(daemon.residentMiB() < 600, `${daemon.residentMiB()} MiB`)
  await isEmpty(t, daemon)
})

t.test('a million attribute sets are held where maxAttributeSets allows them', async (t) => {
  const { daemon, sender } = await flooded(t, { maxAttributeSets: SETS })
  t.notOk(sender.isClosed)
  t.ok(daemon.residentMiB() < 1500, `${daemon.residentMiB()} MiB`)
  sender.end()
  await isEmpty(t, daemon)
})

/** A daemon to which one neighbour has sent all of it, or as much as it may. */
async function flooded(t: Test, options: object): Promise<{ daemon: Daemon; sender: Client }> {
  const daemon = await runningDaemon(t, {
    reflector: { clusterId: '10.0.0.1' },
    neighbors: [
      { name: 'clients', range: '127.66.0.0/16', asn: 64512, reflectorClient: true, passive: true, ...options },
    ],
  })
  const watcher = await new Client(daemon.port, '127.66.0.2').establish()
  watcher.keeps = false
  t.teardown(() => watcher.end())
  const sender = await new Client(daemon.port, SENDER).establish()
  t.teardown(() => sender.end())
  for (let n = 0; n < SETS && !sender.isClosed; n += 100) {
    let batch = ''
    for (let i = n; i < n + 100; i++)
      batch += update('', `${GOOD}c00828${hex32(i).repeat(10)}`, `20${hex32(0x0a000000 + i)}`)
    if (!sender.socket.write(Buffer.from(batch, 'hex'))) await drainedOrClosed(sender)
  }
  await daemon.until(
    'has all sets, or has had enough',
    () => daemon.summary(),
    ({ attributeSets }) => sender.isClosed || attributeSets >= SETS,
  )
  return { daemon, sender }
}

async function drainedOrClosed({ socket }: Client): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    if (socket.destroyed) return resolve()
    socket.once('drain', done).once('close', done)
  })
}

/** Nothing of the sender is left, and the other session never ended. */
async function isEmpty(t: Test, daemon: Daemon): Promise<void> {
  await daemon.until(
    'is empty again',
    () => daemon.summary(),
    ({ attributeSets, families }) => attributeSets === 0 && families.every(({ paths }) => paths === 0),
  )
  const watcher = (await daemon.neighbors()).find(({ address }) => address === '127.66.0.2')
  t.match(watcher, { state: 'Established', establishedCount: 1 })
}
