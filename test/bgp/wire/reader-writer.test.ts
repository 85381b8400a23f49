import t from 'tap'
import { BoundsError, Reader } from '../../../src/bgp/wire/reader.js'
import { printable } from '../../../src/bgp/wire/text.js'
import { encodeMessage, Writer } from '../../../src/bgp/wire/writer.js'

t.test('reader: fields in order, never past the end', async (t) => {
  const reader = new Reader(Uint8Array.of(9, 1, 0, 2, 255, 255, 255, 255, 7, 8, 9), 1, 10)
  t.equal(reader.peekU8(), 1)
  t.equal(reader.u8(), 1)
  t.equal(reader.u16(), 2)
  t.equal(reader.u32(), 0xffffffff)
  t.throws(() => reader.u32(), BoundsError)
  t.equal(reader.remaining, 2, 'a failed read takes nothing')
  t.same([...reader.rest()], [7, 8])
  t.throws(() => reader.u8(), { message: '1 octets wanted, 0 left' })
  t.throws(() => reader.peekU8(), BoundsError)
})

t.test('reader: an inner field is bounded by its own length', async (t) => {
  const reader = new Reader(Uint8Array.of(1, 2, 3, 4))
  const inner = reader.sub(2)
  t.throws(() => inner.u32(), BoundsError)
  t.equal(inner.u16(), 0x0102)
  t.equal(reader.u16(), 0x0304)
  t.throws(() => reader.sub(1), BoundsError)
  t.equal(new Reader(Uint8Array.of(1), 0, 100).remaining, 1, 'an end behind the buffer is the buffer’s end')
})

t.test('writer: lengths are filled in behind the body', async (t) => {
  const writer = new Writer(1)
  writer.u8(1)
  writer.lengthPrefixed8(() => writer.u16(0x0203))
  writer.lengthPrefixed16(() => writer.lengthPrefixed8(() => writer.u32(0xfffefdfc)))
  writer.bytes(Uint8Array.of(9))
  t.equal(Buffer.from(writer.take()).toString('hex'), '0102020300' + '0504fffefdfc' + '09')
  t.throws(() => writer.lengthPrefixed8(() => writer.bytes(new Uint8Array(256))), RangeError)
})

t.test('message: header and length', async (t) => {
  t.equal(Buffer.from(encodeMessage(5, (writer) => writer.u32(1))).toString('hex'), `${'ff'.repeat(16)}00170500000001`)
  t.throws(() => encodeMessage(2, (writer) => writer.bytes(new Uint8Array(65520))), { message: /does not fit/ })
})

t.test('text from a peer cannot steer a terminal', async (t) => {
  t.equal(printable('a\u001b[2Jb\nc\u202ed\u0000'), 'a [2Jb c d ')
  t.equal(printable('Grüße 日本 😀'), 'Grüße 日本 😀')
})
