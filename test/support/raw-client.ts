/**
 * A program for bad neighbours: `node raw-client.js FROM TO END HEX…` connects from the local address FROM to port 179 of TO, writes the chunks
 * as they are, and prints as hex all that it received, one line, when the connection has ended. END:
 * - `wait`: until the other side closes
 * - `half`: FIN after the last chunk
 * - `reset`: RST as soon as an UPDATE has come, which is when the other side is Established and has our chunks behind it
 * - `end-of-rib`: RST as soon as the End-of-RIB of IPv4 has come, which is when our table has been sent as a whole
 * - `reset-now`: RST after the last chunk
 * - `flood`: 200 connections at once; each sends another part of the first chunk, and ends in its own way
 */
import { connect, type Socket } from 'node:net'
import { pathToFileURL } from 'node:url'

export const RAW_CLIENT = import.meta.url

const FLOOD = 200
const UPDATE = new RegExp(`${'ff'.repeat(16)}....02`)
/** RFC 4724 §2: an UPDATE without anything in it. */
const END_OF_RIB = new RegExp(`${'ff'.repeat(16)}00170200000000`)

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [from, to, end, ...chunks] = process.argv.slice(2)
  const dial = (): Socket => open(from!, to!)
  if (end === 'flood') flood(dial, Buffer.from(chunks[0] ?? '', 'hex'))
  else single(dial, end!, chunks)
}

function single(dial: () => Socket, end: string, chunks: readonly string[]): void {
  let received = ''
  const enough = end === 'reset' ? UPDATE : end === 'end-of-rib' ? END_OF_RIB : null
  const socket = dial()
  socket.on('connect', () => {
    for (const chunk of chunks) socket.write(Buffer.from(chunk, 'hex'))
    if (end === 'half') socket.end()
    if (end === 'reset-now') socket.write('', () => socket.resetAndDestroy())
  })
  socket.on('data', (data) => {
    received += data.toString('hex')
    if (enough?.test(received)) socket.resetAndDestroy()
  })
  socket.on('close', () => process.stdout.write(`${received}\n`))
}

function flood(dial: () => Socket, bytes: Buffer): void {
  let left = FLOOD
  for (let n = 0; n < FLOOD; n++) {
    const socket = dial()
    socket.on('connect', () => {
      socket.write(bytes.subarray(0, n % (bytes.length + 1)), () =>
        n % 2 === 0 ? socket.end() : socket.resetAndDestroy(),
      )
    })
    socket.resume()
    socket.on('close', () => {
      if (--left === 0) process.stdout.write('\n')
    })
  }
}

function open(localAddress: string, host: string): Socket {
  const socket = connect({ host, port: 179, localAddress })
  socket.setNoDelay(true)
  // A refused or reset connection is an answer like any other: 'close' follows.
  socket.on('error', () => {})
  return socket
}
