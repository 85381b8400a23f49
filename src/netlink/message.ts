/**
 * Netlink framing (linux/netlink.h): messages in a buffer, attributes in a message. Both are padded to 4 octets; numbers are in the order of this machine,
 * addresses in the order of the network.
 */

const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
/** nlmsghdr: length u32, type u16, flags u16, sequence u32, port u32. */
export const HEADER_OCTETS = 16
const FLAGS_OFFSET = 6
const SEQUENCE_OFFSET = 8
const ATTRIBUTE_OCTETS = 4

/** The header of a message, and where its body is in the buffer that it came in. */
export interface MessageHeader {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  /** In events and replies: the port of the socket that asked for the change; 0: the kernel itself. */
  readonly port: number
  readonly start: number
  readonly end: number
}

/** A buffer of octets with numbers in the machine's order. Whoever reads beyond the end of a field gets a RangeError. */
export class NetlinkReader {
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  u8(at: number): number {
    return this.#view.getUint8(at)
  }

  u16(at: number): number {
    return this.#view.getUint16(at, LITTLE)
  }

  u32(at: number): number {
    return this.#view.getUint32(at, LITTLE)
  }

  i32(at: number): number {
    return this.#view.getInt32(at, LITTLE)
  }

  /** Up to the first zero. */
  text(start: number, end: number): string {
    let text = ''
    for (let at = start; at < end && this.bytes[at] !== 0; at++) text += String.fromCharCode(this.bytes[at]!)
    return text
  }
}

/**
 * Calls `visit` for each message of the first `length` octets. False where the octets do not end with a whole message: what came before was visited.
 */
export function forEachMessage(reader: NetlinkReader, length: number, visit: (header: MessageHeader) => void): boolean {
  let at = 0
  while (at + HEADER_OCTETS <= length) {
    const size = reader.u32(at)
    if (size < HEADER_OCTETS || at + size > length) return false
    visit({
      type: reader.u16(at + 4),
      flags: reader.u16(at + 6),
      sequence: reader.u32(at + 8),
      port: reader.u32(at + 12),
      start: at + HEADER_OCTETS,
      end: at + size,
    })
    at += align(size)
  }
  return at >= length
}

/** Calls `visit` for each attribute: its type without the flags for nesting and byte order, and its value's place. Stops at a malformed one. */
export function forEachAttribute(
  reader: NetlinkReader,
  start: number,
  end: number,
  visit: (type: number, start: number, end: number) => void,
): void {
  let at = start
  while (at + ATTRIBUTE_OCTETS <= end) {
    const size = reader.u16(at)
    if (size < ATTRIBUTE_OCTETS || at + size > end) return
    visit(reader.u16(at + 2) & TYPE_MASK, at + ATTRIBUTE_OCTETS, at + size)
    at += align(size)
  }
}

/** Writes messages one behind the other; `bytes()` is what to send. The buffer grows as needed. */
export class NetlinkWriter {
  #bytes: Uint8Array
  #view: DataView
  #at = 0
  #message = 0

  constructor(octets = 16_384) {
    this.#bytes = new Uint8Array(octets)
    this.#view = new DataView(this.#bytes.buffer)
  }

  get length(): number {
    return this.#at
  }

  /** What was written, in place: gone with the next `clear`. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }

  clear(): void {
    this.#at = 0
  }

  begin(type: number, flags: number, sequence: number): void {
    this.#message = this.#at
    this.u32(0)
    this.u16(type)
    this.u16(flags)
    this.u32(sequence)
    this.u32(0)
  }

  end(): void {
    this.#view.setUint32(this.#message, this.#at - this.#message, LITTLE)
    this.#pad()
  }

  /** Takes back the message that was begun last. */
  abort(): void {
    this.#at = this.#message
  }

  /** Where the message that was begun last starts. */
  get message(): number {
    return this.#message
  }

  /** Begins a message as a copy of one further up, with its length already known; returns where it starts. */
  repeat(from: number, octets: number, sequence: number): number {
    this.#need(octets)
    const start = this.#at
    this.#bytes.copyWithin(start, from, from + octets)
    this.#view.setUint32(start + SEQUENCE_OFFSET, sequence, LITTLE)
    this.#message = start
    this.#at = start + octets
    return start
  }

  /** Writes into a message that is there. */
  patchU8(at: number, value: number): void {
    this.#bytes[at] = value
  }

  /** In the order of the network. */
  patchAddress(at: number, value: number): void {
    this.#view.setUint32(at, value, false)
  }

  /** Sets flags of the message that was begun last. */
  addFlags(flags: number): void {
    const at = this.#message + FLAGS_OFFSET
    this.#view.setUint16(at, this.#view.getUint16(at, LITTLE) | flags, LITTLE)
  }

  u8(value: number): void {
    this.#need(1)
    this.#bytes[this.#at++] = value
  }

  u16(value: number): void {
    this.#need(2)
    this.#view.setUint16(this.#at, value, LITTLE)
    this.#at += 2
  }

  u32(value: number): void {
    this.#need(4)
    this.#view.setUint32(this.#at, value, LITTLE)
    this.#at += 4
  }

  octets(value: Uint8Array): void {
    this.#need(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  attribute(type: number, value: Uint8Array): void {
    this.u16(ATTRIBUTE_OCTETS + value.length)
    this.u16(type)
    this.octets(value)
    this.#pad()
  }

  attributeU32(type: number, value: number): void {
    this.u16(ATTRIBUTE_OCTETS + 4)
    this.u16(type)
    this.u32(value)
  }

  /** Text with the zero at its end. */
  attributeText(type: number, text: string): void {
    this.u16(ATTRIBUTE_OCTETS + text.length + 1)
    this.u16(type)
    for (let i = 0; i < text.length; i++) this.u8(text.charCodeAt(i))
    this.u8(0)
    this.#pad()
  }

  /** Starts something whose length comes first, as u16; returns what `endNested` takes. */
  beginNested(type: number): number {
    const start = this.#at
    this.u16(0)
    this.u16(type)
    return start
  }

  /** As `beginNested`, with two octets where an attribute has its type (rtnexthop: flags and weight). */
  beginNestedPair(first: number, second: number): number {
    const start = this.#at
    this.u16(0)
    this.u8(first)
    this.u8(second)
    return start
  }

  endNested(start: number): void {
    this.#view.setUint16(start, this.#at - start, LITTLE)
    this.#pad()
  }

  #pad(): void {
    while ((this.#at - this.#message) % 4 !== 0) this.u8(0)
  }

  #need(octets: number): void {
    if (this.#at + octets <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + octets))
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

function align(size: number): number {
  return (size + 3) & ~3
}

/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are the two highest bits. */
const TYPE_MASK = 0x3fff
