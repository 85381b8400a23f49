/** Whatever the octets: a NotificationError or a fault value, and nothing else. */
import fc from 'fast-check'
import t from 'tap'
import { decodeLine } from '../../../src/bgp/decode-json.js'
import { NotificationError } from '../../../src/bgp/errors.js'
import { decodeOpen, encodeOpen } from '../../../src/bgp/message/open.js'
import { splitUpdate } from '../../../src/bgp/message/update.js'
import { UpdateParts } from '../../../src/bgp/message/update-parts.js'
import { Framer } from '../../../src/bgp/wire/framer.js'
import { samples, toHex } from './samples.js'

const RESULTS = new Set(['ok', 'error', 'treat-as-withdraw', 'attribute-discard', 'incomplete'])

function judge(bytes: Uint8Array, options: object): void {
  const answer = decodeLine(JSON.stringify({ hex: toHex(bytes), ...options }))
  if (!RESULTS.has(answer.result)) throw new Error(`result ${answer.result}`)
  if (answer.result === 'error' && answer.notify === null) throw new Error(`not readable: ${answer.reason}`)
}

const options = fc.record({
  kind: fc.constantFrom('message', 'stream'),
  as4: fc.boolean(),
  ebgp: fc.boolean(),
  extendedMessage: fc.boolean(),
  addpath: fc.subarray(['ipv4-unicast', 'ipv6-unicast']),
})

t.test('random bodies behind a good header', async (t) => {
  const body = fc.uint8Array({ maxLength: 120 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), body, options, (type, octets, given) => {
      judge(message(type, octets), given)
    }),
    { seed: 2, numRuns: 4000 },
  )
  t.pass()
})

t.test('random attribute blocks', async (t) => {
  const attribute = fc.tuple(
    fc.constantFrom(0x40, 0x80, 0xc0, 0xe0, 0x50, 0xd0, 0x00),
    fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 25, 32, 35, 99),
    fc.uint8Array({ maxLength: 24 }),
    fc.integer({ min: -1, max: 1 }),
  )
  fc.assert(
    fc.property(
      fc.array(attribute, { maxLength: 6 }),
      fc.uint8Array({ maxLength: 12 }),
      options,
      (list, nlri, given) => {
        const block = list.flatMap(([flags, type, value, lie]) => {
          const length = Math.max(0, value.length + (lie === 0 ? 0 : Math.sign(lie) * (value.length % 3)))
          return [flags, type, ...((flags & 0x10) !== 0 ? [0, length] : [length]), ...value]
        })
        judge(message(2, [0, 0, block.length >> 8, block.length & 255, ...block, ...nlri]), given)
      },
    ),
    { seed: 3, numRuns: 4000 },
  )
  t.pass()
})

t.test('samples with octets changed', async (t) => {
  const change = fc.tuple(fc.nat(400), fc.nat(255))
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      options,
      (sample, changes, given) => {
        const bytes = Uint8Array.from(sample.bytes)
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        judge(bytes, { ...sample.options, ...given })
      },
    ),
    { seed: 4, numRuns: 6000 },
  )
  t.pass()
})

t.test('parts of an UPDATE lie inside of it, in order', async (t) => {
  const parts = new UpdateParts()
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 60 }), (body) => {
      // Small lengths, so that many of them fit.
      body[0] = 0
      const bytes = message(2, body)
      try {
        splitUpdate(bytes, 0, bytes.length, parts)
      } catch (error) {
        if (error instanceof NotificationError && error.code === 3) return
        throw error
      }
      const order = [21, parts.withdrawnStart, parts.withdrawnEnd, parts.attributesStart, parts.attributesEnd]
      order.push(parts.nlriStart, parts.nlriEnd, bytes.length)
      for (let i = 1; i < order.length; i++) if (order[i]! < order[i - 1]!) throw new Error(order.join(' '))
    }),
    { seed: 5, numRuns: 3000 },
  )
  t.pass()
})

t.test('OPEN: what is encoded is decoded', async (t) => {
  const capability = fc.record({
    code: fc.integer({ min: 2, max: 255 }).filter((code) => code !== 65),
    value: fc.uint8Array({ maxLength: 40 }),
  })
  const fields = fc.record({
    asn: fc.integer({ min: 1, max: 65535 }),
    holdTimeSeconds: fc.integer({ min: 3, max: 65535 }),
    bgpId: fc.integer({ min: 1, max: 0xffffffff }),
    capabilities: fc.array(capability, { maxLength: 30 }),
  })
  fc.assert(
    fc.property(fields, (given) => {
      const bytes = encodeOpen(given)
      t.match(decodeOpen(bytes, 0, bytes.length), { type: 'open', version: 4, myAs: given.asn, ...given })
    }),
    { seed: 6, numRuns: 200 },
  )
})

t.test('framer: any cut of a stream gives the same messages', async (t) => {
  const stream = fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 8 })
  const cuts = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(stream, cuts, (bodies, sizes) => {
      const wanted = bodies.map((body) => toHex(message(3, [6, 2, ...body])))
      const bytes = Buffer.from(wanted.join(''), 'hex')
      const framer = new Framer()
      const got: string[] = []
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length]!
        framer.push(bytes.subarray(at, at + size), (b, start, end) => got.push(toHex(b.subarray(start, end))), 4096)
        at += size
      }
      t.same(got, wanted)
      t.equal(framer.pendingOctets, 0)
    }),
    { seed: 7, numRuns: 300 },
  )
})

function message(type: number, body: Uint8Array | readonly number[]): Uint8Array {
  const length = 19 + body.length
  return Uint8Array.from([...new Array<number>(16).fill(255), length >> 8, length & 255, type, ...body])
}
