/** What lies in the sockets is taken in slices, in order, and nothing is lost at the end, nor where its owner pauses it. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Link } from '../../src/bgp/link.js'
import { SocketOptions } from '../../src/bgp/socket-options.js'
import { OpenLinks, socketLink } from '../../src/bgp/transport.js'
import { Turns } from '../support/turns.js'
import { until } from '../support/wait.js'

const OCTETS = 1_000_000
/** Of src/bgp/transport.ts. */
const PIECE = 8192

/** So long a slow piece takes: longer than a slice. */
function burn(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

class Reader {
  readonly link: Link
  octets = 0
  isInOrder = true
  closed = ''
  pieces = 0
  /** Octets by turn of the loop. */
  readonly byTurn = new Map<number, number>()
  onPiece: () => void = () => {}
  /** So many of the first pieces take longer than a slice. */
  slowPieces = 20

  constructor(socket: Socket, open: OpenLinks, turns: Turns, order: Reader[] = []) {
    this.link = socketLink(socket, open, new SocketOptions())
    this.link.attach({
      data: (chunk) => {
        for (const octet of chunk) if (octet !== this.octets++ % 251) this.isInOrder = false
        this.byTurn.set(turns.count, (this.byTurn.get(turns.count) ?? 0) + chunk.length)
        order.push(this)
        if (this.pieces++ < this.slowPieces) burn(5)
        this.onPiece()
      },
      drained: () => {},
      closed: (text) => {
        this.closed = text
      },
    })
    this.link.resume()
  }

  get mostOctets(): number {
    return Math.max(...this.byTurn.values())
  }
}

/** `count` clients that have sent OCTETS each and the end of them; their sockets here, of which nothing is read yet. */
async function senders(t: Test, count: number): Promise<Socket[]> {
  const bytes = Uint8Array.from({ length: OCTETS }, (_, n) => n % 251)
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.71.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const sockets: Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  const clients = Array.from({ length: count }, () => connect({ host: '127.0.71.1', port }).on('error', () => {}))
  for (const client of clients) client.end(bytes)
  await until('all are there', () => sockets.length === count)
  t.teardown(() => {
    for (const socket of [...clients, ...sockets]) socket.destroy()
    server.close()
  })
  return sockets
}

t.test('a table that lies in a socket is taken in slices, and the end comes last', async (t) => {
  const [socket] = await senders(t, 1)
  const turns = new Turns()
  t.teardown(() => turns.stop())
  const reader = new Reader(socket!, new OpenLinks(), turns)
  reader.slowPieces = Number.POSITIVE_INFINITY
  await until('the end', () => reader.closed !== '')
  t.match(reader, { octets: OCTETS, isInOrder: true, closed: 'the peer closed the TCP connection' })
  // One that was read before and one that waited may meet in a turn.
  t.ok(
    reader.mostOctets <= 2 * PIECE,
    `${reader.mostOctets} octets in one turn, though a piece takes longer than a slice`,
  )
})

t.test('many that have tables at once share the slice, and each has its share', async (t) => {
  const sockets = await senders(t, 8)
  const turns = new Turns()
  t.teardown(() => turns.stop())
  const open = new OpenLinks()
  const order: Reader[] = []
  const readers = sockets.map((socket) => new Reader(socket, open, turns, order))
  await until('all ends', () => readers.every(({ closed }) => closed !== ''))
  for (const reader of readers) t.match(reader, { octets: OCTETS, isInOrder: true })
  const together = new Map<number, number>()
  for (const { byTurn } of readers)
    for (const [turn, octets] of byTurn) together.set(turn, (together.get(turn) ?? 0) + octets)
  const slow = [...together.values()].slice(0, 8)
  t.ok(Math.max(...slow) <= 2 * PIECE, `${slow.join(' ')}`)
  t.equal(new Set(order.slice(0, 2 * readers.length)).size, readers.length, 'nobody waits for the others to be done')
})

t.test('while its owner pauses it nothing comes, also nothing that waited for the next slice', async (t) => {
  const [socket] = await senders(t, 1)
  const turns = new Turns()
  t.teardown(() => turns.stop())
  const reader = new Reader(socket!, new OpenLinks(), turns)
  reader.onPiece = () => {
    if (reader.pieces === 5) reader.link.pause()
  }
  await until('five pieces', () => reader.pieces >= 5)
  const { pieces } = reader
  for (let n = 0; n < 50; n++) await setImmediate()
  t.equal(reader.pieces, pieces)
  reader.link.resume()
  await until('the end', () => reader.closed !== '')
  t.match(reader, { octets: OCTETS, isInOrder: true })
})
