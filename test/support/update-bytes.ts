/** UPDATE messages for tests, written the plain way (RFC 4271 §4.3, RFC 4760). */
import { encodePathAttributes } from '../../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import { splitUpdate } from '../../src/bgp/message/update.js'
import { UpdateParts } from '../../src/bgp/message/update-parts.js'
import { Framer } from '../../src/bgp/wire/framer.js'
import { Family } from '../../src/net/family.js'
import { formatPrefix, parsePrefix } from '../../src/net/prefix.js'

export function message(type: number, body: Uint8Array): Uint8Array {
  const out = Buffer.alloc(19 + body.length, 0xff)
  out.writeUInt16BE(out.length, 16)
  out[18] = type
  out.set(body, 19)
  return out
}

/** `10.1.0.0/16`, or with a path identifier `10.1.0.0/16@7` (RFC 7911). */
export function nlri(text: string): Uint8Array {
  const [prefix, id] = text.split('@') as [string, string?]
  const { address, length } = parsePrefix(prefix)
  const front = id === undefined ? [] : [...u16(Math.floor(Number(id) / 65536)), ...u16(Number(id) % 65536)]
  return Uint8Array.from([...front, length, ...address.subarray(0, (length + 7) >> 3)])
}

function familyOf(text: string): Family {
  return parsePrefix(text.split('@')[0]!).family
}

function u16(value: number): Uint8Array {
  return Uint8Array.from([value >> 8, value & 255])
}

export function announceBytes(prefixes: readonly string[], attributes: PathAttributes, as4 = true): Uint8Array {
  const ipv4 = familyOf(prefixes[0]!) === Family.IPV4_UNICAST
  const rest = encodePathAttributes(attributes, { as4, nextHopAttribute: ipv4 })
  const reachable = Buffer.concat(prefixes.map(nlri))
  if (ipv4) return message(2, Buffer.concat([u16(0), u16(rest.length), rest, reachable]))
  const value = Buffer.concat([
    Uint8Array.from([0, 2, 1, attributes.nextHop!.length]),
    attributes.nextHop!,
    Uint8Array.from([0]),
    reachable,
  ])
  const all = Buffer.concat([Uint8Array.from([0x90, 14]), u16(value.length), value, rest])
  return message(2, Buffer.concat([u16(0), u16(all.length), all]))
}

/** IPv4 prefixes in MP_REACH_NLRI with an IPv6 next hop (RFC 8950). */
export function announceIpv4OverIpv6(prefixes: readonly string[], attributes: PathAttributes): Uint8Array {
  const rest = encodePathAttributes(attributes, { as4: true, nextHopAttribute: false })
  const nextHop = attributes.nextHop!
  const value = Buffer.concat([
    Uint8Array.of(0, 1, 1, nextHop.length),
    nextHop,
    Uint8Array.of(0),
    ...prefixes.map(nlri),
  ])
  const all = Buffer.concat([Uint8Array.of(0x90, 14), u16(value.length), value, rest])
  return message(2, Buffer.concat([u16(0), u16(all.length), all]))
}

export function withdrawBytes(prefixes: readonly string[]): Uint8Array {
  const unreachable = Buffer.concat(prefixes.map(nlri))
  if (familyOf(prefixes[0]!) === Family.IPV4_UNICAST)
    return message(2, Buffer.concat([u16(unreachable.length), unreachable, u16(0)]))
  const value = Buffer.concat([Uint8Array.from([0, 2, 1]), unreachable])
  const all = Buffer.concat([Uint8Array.from([0x90, 15]), u16(value.length), value])
  return message(2, Buffer.concat([u16(0), u16(all.length), all]))
}

/** A neighbour that decodes what it gets and keeps the table that results. */
export class Receiver {
  /** `family prefix`, with ADD-PATH `family prefix@id` → hex of the attributes (without MP_REACH_NLRI), and the MP next hop. */
  readonly routes = new Map<string, string>()
  readonly endOfRib = [0, 0]
  messages = 0
  largest = 0
  onAnnounce: (route: string, attributes: string) => void = () => {}
  readonly #framer = new Framer()
  readonly #parts = new UpdateParts()
  readonly #addPath: number

  /** Bit n: NLRI of family n come with a path identifier. */
  constructor(addPath = 0) {
    this.#addPath = addPath
  }

  receive(chunk: Uint8Array): void {
    this.#framer.push(chunk, (buffer, start, end, type) => this.#message(buffer, start, end, type), 65535)
  }

  #message(buffer: Uint8Array, start: number, end: number, type: number): void {
    this.messages++
    this.largest = Math.max(this.largest, end - start)
    if (type !== 2) return
    const parts = this.#parts
    splitUpdate(buffer, start, end, parts, true)
    if (end - start === 23) this.endOfRib[0]!++
    for (const prefix of this.#in(buffer, parts.withdrawnStart, parts.withdrawnEnd, Family.IPV4_UNICAST))
      this.routes.delete(prefix)
    if (parts.mpUnreachAttributeStart >= 0) {
      if (end - start === 29) this.endOfRib[1]!++
      for (const prefix of this.#in(buffer, parts.mpUnreachNlriStart, parts.mpUnreachNlriEnd, Family.IPV6_UNICAST))
        this.routes.delete(prefix)
    }
    const attributes = Buffer.from(buffer.subarray(parts.attributesStart, parts.attributesEnd)).toString('hex')
    for (const prefix of this.#in(buffer, parts.nlriStart, parts.nlriEnd, Family.IPV4_UNICAST))
      this.#set(prefix, attributes)
    if (parts.mpReachAttributeStart >= 0) {
      const before = Buffer.from(buffer.subarray(parts.attributesStart, parts.mpReachAttributeStart)).toString('hex')
      const after = Buffer.from(buffer.subarray(parts.mpReachAttributeEnd, parts.attributesEnd)).toString('hex')
      const nextHop = Buffer.from(buffer.subarray(parts.mpReachNextHopStart, parts.mpReachNextHopEnd)).toString('hex')
      const family = parts.mpReachAfi === 1 ? Family.IPV4_UNICAST : Family.IPV6_UNICAST
      for (const prefix of this.#in(buffer, parts.mpReachNlriStart, parts.mpReachNlriEnd, family))
        this.#set(prefix, `${before}${after} ${nextHop}`)
    }
  }

  #in(buffer: Uint8Array, start: number, end: number, family: Family): Generator<string> {
    return routesIn(buffer, start, end, family, (this.#addPath & (1 << family)) !== 0)
  }

  #set(prefix: string, attributes: string): void {
    this.routes.set(prefix, attributes)
    this.onAnnounce(prefix, attributes)
  }
}

function* routesIn(
  buffer: Uint8Array,
  start: number,
  end: number,
  family: Family,
  addPath: boolean,
): Generator<string> {
  const size = family === Family.IPV4_UNICAST ? 4 : 16
  for (let at = start; at < end; ) {
    const id = addPath ? `@${Buffer.from(buffer.buffer, buffer.byteOffset).readUInt32BE(at)}` : ''
    if (addPath) at += 4
    const length = buffer[at]!
    const octets = (length + 7) >> 3
    const address = new Uint8Array(size)
    address.set(buffer.subarray(at + 1, at + 1 + octets))
    yield `${family} ${formatPrefix(family, address, length)}${id}`
    at += 1 + octets
  }
}
