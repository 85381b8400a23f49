/**
 * A program for bad neighbours: `node raw-client.js ADDRESS END HEX…` connects to port 179, writes the chunks as they are, and prints as hex
 * all that it received, one line, when the connection has ended. END:
 * - `wait`: until the other side closes
 * - `half`: FIN after the last chunk
 * - `reset`: RST as soon as an UPDATE has come, which is when the other side is Established and has our chunks behind it
 * - `reset-now`: RST after the last chunk
 * - `flood`: 200 connections at once; each sends another part of the first chunk, and ends in its own way
 */
import { connect, type Socket } from 'node:net'
import { pathToFileURL } from 'node:url'

export const RAW_CLIENT = import.meta.url

const FLOOD = 200
const UPDATE = new RegExp(`${'ff'.repeat(16)}....02`)

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [address, end, ...chunks] = process.argv.slice(2)
  if (end === 'flood') flood(address!, Buffer.from(chunks[0] ?? '', 'hex'))
  else single(address!, end!, chunks)
}

function single(address: string, end: string, chunks: readonly string[]): void {
  let received = ''
  const socket = open(address)
  socket.on('connect', () => {
    for (const chunk of chunks) socket.write(Buffer.from(chunk, 'hex'))
    if (end === 'half') socket.end()
    if (end === 'reset-now') socket.write('', () => socket.resetAndDestroy())
  })
  socket.on('data', (data) => {
    received += data.toString('hex')
    if (end === 'reset' && UPDATE.test(received)) socket.resetAndDestroy()
  })
  socket.on('close', () => process.stdout.write(`${received}\n`))
}

function flood(address: string, bytes: Buffer): void {
  let left = FLOOD
  for (let n = 0; n < FLOOD; n++) {
    const socket = open(address)
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

function open(address: string): Socket {
  const socket = connect({ host: address, port: 179 })
  socket.setNoDelay(true)
  // A refused or reset connection is an answer like any other: 'close' follows.
  socket.on('error', () => {})
  return socket
}
