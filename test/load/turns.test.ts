import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { inTurns, ReadTurns } from '../../src/load/turns.js'

t.test('sockets with much to read take turns: timers come in between, and nothing is lost', async (t) => {
  const total = 8 << 20
  const server = createServer((socket) => {
    socket.end(Buffer.alloc(total, 7))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const turns = new ReadTurns()
  const buffer = Buffer.alloc(8192)
  let inARow = 0
  let longest = 0
  let taken = 0
  const socket: Socket = connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    onread: {
      buffer,
      callback: (octets) => {
        const nowMs = performance.now()
        if (inARow++ === 0)
          setImmediate(() => {
            inARow = 0
          })
        taken += octets
        if (taken < 1 << 20) {
          longest = Math.max(longest, inARow)
          // As much work as a buffer full of prefixes is.
          while (performance.now() - nowMs < 4) {}
        }
        return octets < buffer.length || turns.goesOn(socket, nowMs)
      },
    },
  })
  await new Promise((resolve) => socket.once('close', resolve))
  server.close()
  t.equal(taken, total)
  // libuv by itself reads 32 times.
  t.ok(longest < 16, `${longest} buffers in a row`)
})

t.test('steps let timers through, and their result comes back', async (t) => {
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  const result = await inTurns(
    (function* () {
      for (let step = 0; step < 8; step++) {
        const startMs = performance.now()
        while (performance.now() - startMs < 16) {}
        yield
      }
      return 'done'
    })(),
  )
  clearInterval(timer)
  t.equal(result, 'done')
  t.ok(ticks >= 2, `${ticks} ticks`)
})
