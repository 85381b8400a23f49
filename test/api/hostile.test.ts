/** Clients that are slow, half-open, too many, too large or gone. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import type { PathView } from '../../src/api/types.js'
import { ask, best, givenApi } from './given.js'

t.test('a huge body is refused, announced or not', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const announced = await open(given.socket)
  announced.write(`POST /v1/announce HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n`)
  t.match(await readUntilEnd(announced), /^HTTP\/1.1 413 /)
  const chunked = await open(given.socket)
  chunked.write('POST /v1/announce HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  chunked.write(`11170\r\n${'x'.repeat(0x11170)}\r\n`)
  t.match(await readUntilEnd(chunked), /^HTTP\/1.1 413 /)
  t.same(given.calls, [])
})

t.test('half-open clients are cut off, others are served meanwhile', async (t) => {
  const given = await givenApi({ limits: { requestMs: 300 } })
  t.teardown(given.end)
  const silent = await open(given.socket)
  const halfHeader = await open(given.socket)
  halfHeader.write('GET /v1/summary HTTP/1.1\r\nHo')
  const halfBody = await open(given.socket)
  halfBody.write('POST /v1/announce HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{')
  t.equal((await ask({ socketPath: given.socket }, 'GET', '/healthz')).status, 200)
  t.match(await readUntilEnd(halfHeader), /^HTTP\/1.1 408 /)
  t.match(await readUntilEnd(halfBody), /^HTTP\/1.1 408 /)
  await readUntilEnd(silent)
  t.pass('the silent one as well')
})

t.test('bytes that are not HTTP get 400', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  for (const bytes of [
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc',
    `${'\xff'.repeat(16)}\x00\x13\x04`,
    `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
  ]) {
    const client = await open(given.socket)
    client.write(Buffer.from(bytes, 'latin1'))
    t.match(await readUntilEnd(client), /^HTTP\/1.1 400 /)
  }
  t.equal((await ask({ socketPath: given.socket }, 'GET', '/healthz')).status, 200)
})

t.test('more connections than allowed are closed at once', async (t) => {
  const given = await givenApi({ limits: { socketConnections: 3 } })
  t.teardown(given.end)
  const clients = [await open(given.socket), await open(given.socket), await open(given.socket)]
  const one = await open(given.socket)
  t.equal(await readUntilEnd(one), '')
  for (const client of clients) client.destroy()
})

t.test('200k rows: a slow reader holds back the walk, and does not hold the loop', async (t) => {
  const total = 200_000
  let made = 0
  let closed = 0
  const given = await givenApi({
    views: {
      rib: function* (): Iterable<PathView> {
        try {
          for (; made < total; made++) yield { ...best, weight: made }
        } finally {
          closed++
        }
      },
    },
  })
  t.teardown(given.end)
  const slow = await open(given.socket)
  slow.pause()
  slow.write('GET /v1/rib HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await stable(() => made)
  t.ok(made > 0 && made < 20_000, `the walk stopped after ${made} rows`)
  t.equal((await ask({ socketPath: given.socket }, 'GET', '/healthz')).status, 200, 'others are served')
  let turns = 0
  const count = setInterval(() => turns++, 1)
  const text = await readUntilEnd(slow)
  clearInterval(count)
  t.equal(made, total)
  t.equal(text.split('"weight":').length - 1, total)
  t.ok(turns > 20, 'timers ran in between')
  t.equal(closed, 1)
})

t.test('a client that goes away ends the walk', async (t) => {
  let made = 0
  let closed: () => void = () => {}
  const ended = new Promise<void>((resolve) => {
    closed = resolve
  })
  const given = await givenApi({
    views: {
      rib: function* () {
        try {
          for (;;) {
            made++
            yield best
          }
        } finally {
          closed()
        }
      },
    },
  })
  t.teardown(given.end)
  const client = await open(given.socket)
  client.write('GET /v1/rib HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(client, 'data')
  client.destroy()
  await ended
  t.ok(made > 0)
})

t.test('a reader that takes nothing is cut off', async (t) => {
  let closed: () => void = () => {}
  const ended = new Promise<void>((resolve) => {
    closed = resolve
  })
  const given = await givenApi({
    limits: { stallMs: 300 },
    views: {
      rib: function* () {
        try {
          for (;;) yield best
        } finally {
          closed()
        }
      },
    },
  })
  t.teardown(given.end)
  const client = await open(given.socket)
  client.pause()
  client.write('GET /v1/rib HTTP/1.1\r\nHost: x\r\n\r\n')
  await ended
  t.pass('the walk was ended')
  client.destroy()
})

async function open(path: string): Promise<Socket> {
  const socket = connect({ path })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

function readUntilEnd(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    socket.resume()
  })
}

/** Waits until a number has stopped to grow. */
async function stable(value: () => number): Promise<void> {
  for (let last = -1, same = 0; same < 20; last = value()) {
    same = value() === last ? same + 1 : 0
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
