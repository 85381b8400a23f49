/**
 * Writes big-endian fields into a buffer that grows. Lengths are written after the body, so nobody computes sizes. For OPEN,
 * NOTIFICATION and attribute sets (once per distinct set); the update packer writes NLRI into its own slabs.
 */
import { SmartBuffer } from 'smart-buffer'
import { HEADER_OCTETS } from './header.js'

export class Writer {
  readonly #out: SmartBuffer

  constructor(expectedOctets = 256) {
    this.#out = SmartBuffer.fromSize(expectedOctets)
  }

  get length(): number {
    return this.#out.writeOffset
  }

  u8(value: number): void {
    this.#out.writeUInt8(value)
  }

  u16(value: number): void {
    this.#out.writeUInt16BE(value)
  }

  u32(value: number): void {
    this.#out.writeUInt32BE(value)
  }

  bytes(value: Uint8Array): void {
    this.#out.writeBuffer(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
  }

  /** A u8 length, then the body. Throws RangeError where the body is longer than 255 octets. */
  lengthPrefixed8(body: () => void): void {
    const at = this.length
    this.u8(0)
    body()
    this.#patch(at, 1, this.length - at - 1)
  }

  /** A u16 length, then the body. Throws RangeError where the body is longer than 65535 octets. */
  lengthPrefixed16(body: () => void): void {
    const at = this.length
    this.u16(0)
    body()
    this.#patch(at, 2, this.length - at - 2)
  }

  /** All that was written, in memory of its own. */
  take(): Uint8Array {
    const whole = this.#out.toBuffer()
    return new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength)
  }

  #patch(at: number, octets: number, value: number): void {
    if (octets === 1) this.#out.writeUInt8(value, at)
    else this.#out.writeUInt16BE(value, at)
    this.#out.writeOffset = this.#out.length
  }
}

/** A message with its header (RFC 4271 §4.1). */
export function encodeMessage(type: number, body: (writer: Writer) => void, expectedOctets = 64): Uint8Array {
  const writer = new Writer(HEADER_OCTETS + expectedOctets)
  for (let i = 0; i < 4; i++) writer.u32(0xffffffff)
  writer.u16(0)
  writer.u8(type)
  body(writer)
  const message = writer.take()
  if (message.length > 65535) throw new RangeError(`a BGP message of ${message.length} octets does not fit`)
  message[16] = message.length >> 8
  message[17] = message.length & 255
  return message
}
