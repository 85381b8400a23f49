import fc from 'fast-check'
import t from 'tap'
import { decodePathAttributes } from '../../../src/bgp/attributes/decode.js'
import { encodePathAttributes } from '../../../src/bgp/attributes/encode.js'
import type { DecodeClass } from '../../../src/bgp/attributes/path-attributes.js'
import { decodeControlMessage } from '../../../src/bgp/codec.js'
import { decodeLine } from '../../../src/bgp/decode-json.js'
import { NotificationError } from '../../../src/bgp/errors.js'
import { KEEPALIVE_BYTES } from '../../../src/bgp/message/keepalive.js'
import { MessageType } from '../../../src/bgp/message/message.js'
import { encodeNotification } from '../../../src/bgp/message/notification.js'
import { encodeOpen } from '../../../src/bgp/message/open.js'
import { encodeRouteRefresh } from '../../../src/bgp/message/route-refresh.js'
import { splitUpdate } from '../../../src/bgp/message/update.js'
import { UpdateParts } from '../../../src/bgp/message/update-parts.js'
import { decodeNlri, encodeNlri } from '../../../src/bgp/nlri/unicast.js'
import { Framer } from '../../../src/bgp/wire/framer.js'
import { encodeMessage, Writer } from '../../../src/bgp/wire/writer.js'
import { type Family, familyByName, familyOf } from '../../../src/net/family.js'
import { parsePrefix } from '../../../src/net/prefix.js'
import { type Sample, samples, toHex } from './samples.js'

t.ok(samples.length >= 40, 'there are samples')

for (const sample of samples) {
  t.test(`${sample.name}: decodes`, async (t) => {
    const { id: _id, reason, ...answer } = decodeLine(line(sample, sample.bytes))
    t.same(answer, sample.answer)
    if (answer.result !== 'ok') t.type(reason, 'string', 'says why')
  })

  if (sample.canonical) {
    t.test(`${sample.name}: encodes, and encodes the same again`, async (t) => {
      const once = encode(sample.bytes, sample)
      t.equal(toHex(once), toHex(sample.bytes))
      t.equal(toHex(encode(once, sample)), toHex(sample.bytes))
    })
  } else if (sample.answer.result === 'ok' && sample.answer.decoded?.['type'] !== 'stream') {
    t.test(`${sample.name}: encodes to a canonical form that stays the same`, async (t) => {
      const once = encode(sample.bytes, sample)
      t.equal(toHex(encode(once, sample)), toHex(once))
    })
  }

  t.test(`${sample.name}: fails cleanly at every truncation`, async (t) => {
    const bytes = sample.bytes
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.slice(0, length)
      const answer = decodeLine(line(sample, cut))
      if (sample.answer.result !== 'error' && sample.options['kind'] !== 'stream') {
        t.equal(answer.result, 'incomplete', `${length} octets`)
      } else {
        t.match(answer.result, /^(ok|error|incomplete)$/, `${length} octets`)
      }
      // The same octets, but the header says that this is all.
      if (length < 19) continue
      cut[16] = length >> 8
      cut[17] = length & 255
      const whole = decodeLine(line(sample, cut))
      if (whole.result === 'error') t.ok(whole.notify !== null, `${length} octets as a message`)
      else t.not(whole.result, 'incomplete', `${length} octets as a message`)
    }
  })

  t.test(`${sample.name}: frames whole, byte by byte and at random cuts`, async (t) => {
    const whole = frame([sample.bytes])
    t.same(frame(Array.from(sample.bytes, (octet) => Uint8Array.of(octet))), whole)
    fc.assert(
      fc.property(fc.array(fc.nat(sample.bytes.length), { maxLength: 6 }), (cuts) => {
        const edges = [0, ...cuts.sort((a, b) => a - b), sample.bytes.length]
        const chunks = edges.slice(1).map((to, i) => sample.bytes.slice(edges[i], to))
        t.same(frame(chunks), whole)
      }),
      { seed: 1, numRuns: 20 },
    )
    if (sample.answer.result === 'ok') t.equal(whole.messages.join(''), toHex(sample.bytes))
  })
}

function line(sample: Sample, bytes: Uint8Array): string {
  return JSON.stringify({ id: 'x', hex: toHex(bytes), ...sample.options })
}

function frame(chunks: readonly Uint8Array[]): { messages: string[]; error: string | null; pending: number } {
  const framer = new Framer()
  const messages: string[] = []
  let error: string | null = null
  try {
    for (const chunk of chunks) {
      framer.push(chunk, (buffer, start, end) => messages.push(toHex(buffer.subarray(start, end))), 4096)
    }
  } catch (thrown) {
    if (!(thrown instanceof NotificationError)) throw thrown
    error = `${thrown.code}/${thrown.subcode} ${toHex(thrown.data)}`
  }
  return { messages, error, pending: framer.pendingOctets }
}

/** Decodes and encodes a whole message. */
function encode(bytes: Uint8Array, sample: Sample): Uint8Array {
  if (bytes[18] === MessageType.UPDATE) return encodeUpdate(bytes, sample)
  const message = decodeControlMessage(bytes, 0, bytes.length, bytes[18]!)
  switch (message.type) {
    case 'open':
      return encodeOpen(message)
    case 'notification':
      return encodeNotification(message.code, message.subcode, message.data)
    case 'route-refresh':
      return encodeRouteRefresh(message.afi, message.safi, message.subtype)
    default:
      return KEEPALIVE_BYTES
  }
}

function encodeUpdate(bytes: Uint8Array, sample: Sample): Uint8Array {
  const parts = new UpdateParts()
  splitUpdate(bytes, 0, bytes.length, parts, true)
  const cls: DecodeClass = { as4: sample.options['as4'] !== false, ebgp: sample.options['ebgp'] === true }
  const { attributes } = decodePathAttributes(bytes, parts.attributesStart, parts.attributesEnd, cls)
  const block = encodePathAttributes(attributes, { as4: cls.as4, nextHopAttribute: true })
  const addPath = new Set(((sample.options['addpath'] ?? []) as string[]).map(familyByName))
  const reach = multiprotocol(bytes, parts.mpReachAttributeStart, parts.mpReachNlriStart, parts.mpReachNlriEnd)
  const unreach = multiprotocol(bytes, parts.mpUnreachAttributeStart, parts.mpUnreachNlriStart, parts.mpUnreachNlriEnd)
  // The packer writes MP_REACH_NLRI first; samples may have the MP attributes in front of or behind the rest.
  const behind = parts.mpReachAttributeStart > parts.attributesStart
  return encodeMessage(MessageType.UPDATE, (writer) => {
    writer.lengthPrefixed16(() => nlri(bytes, parts.withdrawnStart, parts.withdrawnEnd, 0, addPath.has(0), writer))
    writer.lengthPrefixed16(() => {
      if (behind) writer.bytes(block)
      writer.bytes(reach)
      writer.bytes(unreach)
      if (!behind) writer.bytes(block)
    })
    nlri(bytes, parts.nlriStart, parts.nlriEnd, 0, addPath.has(0), writer)
  })
}

/** The attribute with its NLRI decoded and encoded again where the family is one of ours. */
function multiprotocol(bytes: Uint8Array, attribute: number, start: number, end: number): Uint8Array {
  if (attribute < 0) return new Uint8Array(0)
  const family = familyOf((bytes[attribute + 3]! << 8) | bytes[attribute + 4]!, bytes[attribute + 5]!)
  const writer = new Writer()
  writer.bytes(bytes.subarray(attribute, start))
  if (family !== undefined) nlri(bytes, start, end, family, false, writer)
  return writer.take()
}

function nlri(bytes: Uint8Array, start: number, end: number, family: Family, addPath: boolean, writer: Writer): void {
  for (const item of decodeNlri(bytes, start, end, family, addPath)) {
    const { address, length } = parsePrefix(item.prefix)
    encodeNlri(address, length, writer, item.pathId)
  }
}
