import t from 'tap'
import { NotificationError } from '../../../src/bgp/errors.js'
import { KEEPALIVE_BYTES } from '../../../src/bgp/message/keepalive.js'
import { encodeNotification } from '../../../src/bgp/message/notification.js'
import { Framer } from '../../../src/bgp/wire/framer.js'

const NOTIFICATION = encodeNotification(6, 2, new Uint8Array(0))

function header(length: number, type: number): Buffer {
  return Buffer.from([...new Array<number>(16).fill(255), length >> 8, length & 255, type])
}

t.test('whole messages are handed out in place', async (t) => {
  const chunk = Buffer.concat([KEEPALIVE_BYTES, NOTIFICATION, KEEPALIVE_BYTES])
  const seen: [boolean, number, number, number][] = []
  new Framer().push(chunk, (buffer, start, end, type) => seen.push([buffer === chunk, start, end, type]), 4096)
  t.same(seen, [
    [true, 0, 19, 4],
    [true, 19, 40, 3],
    [true, 40, 59, 4],
  ])
})

t.test('a bad header ends the stream after the messages before it', async (t) => {
  const bad: [string, Buffer, number, number, string][] = [
    ['marker', Buffer.concat([Buffer.alloc(16, 254), Buffer.from([0, 19, 4])]), 1, 1, ''],
    ['length 18', header(18, 4), 1, 2, '0012'],
    ['length 0', header(0, 4), 1, 2, '0000'],
    ['length 4097', header(4097, 2), 1, 2, '1001'],
    ['KEEPALIVE of 20', header(20, 4), 1, 2, '0014'],
    ['OPEN of 28', header(28, 1), 1, 2, '001c'],
    ['UPDATE of 22', header(22, 2), 1, 2, '0016'],
    ['NOTIFICATION of 20', header(20, 3), 1, 2, '0014'],
    ['type 0', header(19, 0), 1, 3, '00'],
    ['type 6', header(19, 6), 1, 3, '06'],
    ['type 255', header(19, 255), 1, 3, 'ff'],
  ]
  for (const [name, octets, code, subcode, data] of bad) {
    for (const size of [1, 7, 1000]) {
      const stream = Buffer.concat([KEEPALIVE_BYTES, octets, KEEPALIVE_BYTES])
      const framer = new Framer()
      let messages = 0
      let error: unknown
      try {
        for (let at = 0; at < stream.length; at += size)
          framer.push(stream.subarray(at, at + size), () => messages++, 4096)
      } catch (thrown) {
        error = thrown
      }
      t.equal(messages, 1, `${name}: the message before it, chunks of ${size}`)
      if (!(error instanceof NotificationError)) throw new Error(`${name}: no NotificationError`)
      t.same([error.code, error.subcode, Buffer.from(error.data).toString('hex')], [code, subcode, data], name)
      framer.push(KEEPALIVE_BYTES, () => messages++, 4096)
      t.equal(messages, 1, `${name}: nothing after it`)
    }
  }
})

t.test('stop() in a handler ends the delivery', async (t) => {
  for (const size of [1, 100]) {
    const framer = new Framer()
    const stream = Buffer.concat([KEEPALIVE_BYTES, KEEPALIVE_BYTES, KEEPALIVE_BYTES])
    let messages = 0
    const onMessage = (): void => {
      if (++messages === 2) framer.stop()
    }
    for (let at = 0; at < stream.length; at += size) framer.push(stream.subarray(at, at + size), onMessage, 4096)
    t.equal(messages, 2)
    t.equal(framer.stopped, true)
    t.equal(framer.pendingOctets, 0)
  }
})

t.test('extended messages only where they were agreed (RFC 8654)', async (t) => {
  const update = Buffer.concat([header(65535, 2), Buffer.alloc(65535 - 19)])
  t.throws(() => new Framer().push(update, () => {}, 4096), { code: 1, subcode: 2 })
  for (const size of [1000, 65534, 70000]) {
    const framer = new Framer()
    const lengths: number[] = []
    for (let at = 0; at < update.length; at += size) {
      framer.push(update.subarray(at, at + size), (_buffer, start, end) => lengths.push(end - start), 65535)
    }
    t.same(lengths, [65535])
  }
  t.throws(() => new Framer().push(header(4097, 1), () => {}, 65535), { code: 1, subcode: 2 }, 'not for OPEN (§4)')
})

t.test('a partial message is kept, whatever happens to the chunk', async (t) => {
  const framer = new Framer()
  const chunk = Buffer.from(NOTIFICATION.subarray(0, 20))
  framer.push(chunk, () => t.fail('not whole yet'), 4096)
  t.equal(framer.pendingOctets, 20)
  chunk.fill(0)
  const got: string[] = []
  framer.push(
    NOTIFICATION.subarray(20),
    (b, start, end) => got.push(Buffer.from(b.subarray(start, end)).toString('hex')),
    4096,
  )
  t.same(got, [Buffer.from(NOTIFICATION).toString('hex')])
  t.equal(framer.pendingOctets, 0)
})

t.test('an error thrown by the handler leaves through push', async (t) => {
  const framer = new Framer()
  t.throws(
    () =>
      framer.push(
        KEEPALIVE_BYTES,
        () => {
          throw new NotificationError(5, 1, 'not now')
        },
        4096,
      ),
    { code: 5 },
  )
})
