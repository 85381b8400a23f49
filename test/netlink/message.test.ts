import t from 'tap'
import { decodeAddress, decodeLink, encodeAddressDump, encodeLinkDump } from '../../src/netlink/link.js'
import { forEachAttribute, NetlinkReader, NetlinkWriter } from '../../src/netlink/message.js'
import { MessageType } from '../../src/netlink/numbers.js'
import { decodeDone, decodeReply } from '../../src/netlink/reply.js'
import { littleEndian, read, samples } from './given.js'

t.test('devices and addresses, as the kernel tells them', littleEndian, async (t) => {
  for (const { hex, value } of samples.links) {
    const { reader, headers } = read(Buffer.from(hex, 'hex'))
    t.equal(headers[0]!.type, MessageType.NEWLINK)
    t.same(decodeLink(reader, headers[0]!), value, value.name)
  }
  for (const { hex, value } of samples.addresses) {
    const { reader, headers } = read(Buffer.from(hex, 'hex'))
    t.equal(headers[0]!.type, MessageType.NEWADDR)
    t.same(decodeAddress(reader, headers[0]!), value, value.address)
  }
})

t.test('replies: done, or the error number with the words of the kernel', littleEndian, async (t) => {
  for (const { name, hex, value } of samples.replies) {
    const { reader, headers } = read(Buffer.from(hex, 'hex'))
    t.equal(headers[0]!.type, MessageType.ERROR)
    t.same(decodeReply(reader, headers[0]!), value, name)
  }
  // Without NETLINK_CAP_ACK the request (20 octets here) stands before the words.
  const repeated =
    '38000000 0200 0002 05000000 01000000 eaffffff 14000000 1800 0506 05000000 00000000 01020304 0e00 0100 77726f6e67206f6e6500 0000'
  const { reader, headers } = read(Buffer.from(repeated.replaceAll(' ', ''), 'hex'))
  t.same(decodeReply(reader, headers[0]!), { sequence: 5, errno: 22, words: 'wrong one' })
})

t.test('the end of a dump: well, or failed on the way', littleEndian, async (t) => {
  const well = read(Buffer.from('140000000300020009000000010000000000 0000'.replaceAll(' ', ''), 'hex'))
  t.same(decodeDone(well.reader, well.headers[0]!), { sequence: 9, errno: 0, words: '' })
  const failed = read(Buffer.from('14000000030002000900000001000000feffffff', 'hex'))
  t.same(decodeDone(failed.reader, failed.headers[0]!), { sequence: 9, errno: 2, words: '' })
})

t.test('framing: what is cut is told, what came before is there', async (t) => {
  const writer = new NetlinkWriter(8)
  encodeLinkDump(writer, 1)
  const first = writer.length
  encodeAddressDump(writer, 2, 2)
  const octets = writer.bytes().slice()
  t.same(
    read(octets).headers.map(({ type, sequence }) => [type, sequence]),
    [
      [MessageType.GETLINK, 1],
      [MessageType.GETADDR, 2],
    ],
  )
  for (let length = 0; length <= octets.length; length++) {
    const { headers, whole } = read(octets.subarray(0, length))
    t.equal(headers.length, length < first ? 0 : length < octets.length ? 1 : 2, `${length} octets`)
    t.equal(whole, length === 0 || length === first || length === octets.length, `whole at ${length}`)
  }
})

t.test('attributes: malformed ones end the walk, types come without flags', async (t) => {
  const writer = new NetlinkWriter()
  writer.attributeText(3, 'v0')
  writer.attributeU32(0x8004, 1400)
  writer.u16(40)
  writer.u16(9)
  const seen: [number, number][] = []
  const reader = new NetlinkReader(writer.bytes())
  forEachAttribute(reader, 0, writer.length, (type, start, end) => seen.push([type, end - start]))
  t.same(seen, [
    [3, 3],
    [4, 4],
  ])
  t.equal(reader.text(4, 7), 'v0')
})
