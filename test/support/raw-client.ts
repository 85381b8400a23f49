/**
 * A program for bad neighbours: `node raw-client.js ADDRESS END HEX…` connects to port 179, writes the chunks as they are, and prints as hex
 * all that it receives, one line when the connection has ended. END: `wait` (until the other side closes), `reset` (RST as soon as
 * something has come back, or at once when nothing is to be waited for: `reset-now`), `half` (FIN after the last chunk).
 */
import { connect } from 'node:net'
import { pathToFileURL } from 'node:url'

export const RAW_CLIENT = import.meta.url

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  main(process.argv.slice(2))

function main([address, end, ...chunks]: string[]): void {
  const received: Buffer[] = []
  const socket = connect({ host: address!, port: 179 })
  const report = () => {
    process.stdout.write(`${Buffer.concat(received).toString('hex')}\n`)
    process.exit(0)
  }
  socket.setNoDelay(true)
  socket.on('connect', () => {
    for (const chunk of chunks) socket.write(Buffer.from(chunk, 'hex'))
    if (end === 'half') socket.end()
    if (end === 'reset-now') socket.write('', () => socket.resetAndDestroy())
  })
  socket.on('data', (data) => {
    received.push(data)
    if (end === 'reset') socket.resetAndDestroy()
  })
  socket.on('error', () => {})
  socket.on('close', report)
}
