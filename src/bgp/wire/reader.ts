/**
 * Reads one field, and cannot leave it: every read is checked against the field's end. For OPEN, capabilities and what is shown to
 * people; UPDATEs are read by offsets (src/bgp/message/update.ts, src/bgp/attributes/decode.ts).
 */

/** A read past the end of a field. Mapped by the field's owner to the error of its RFC, never seen outside of the codec. */
export class BoundsError extends Error {
  constructor(wanted: number, left: number) {
    super(`${wanted} octets wanted, ${left} left`)
    this.name = 'BoundsError'
  }
}

export class Reader {
  readonly #buffer: Uint8Array
  readonly #end: number
  #at: number

  constructor(buffer: Uint8Array, start = 0, end: number = buffer.length) {
    this.#buffer = buffer
    this.#at = start
    this.#end = Math.min(end, buffer.length)
  }

  get offset(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  u8(): number {
    return this.#buffer[this.#take(1)]!
  }

  /** The next octet, which stays unread. */
  peekU8(): number {
    if (this.remaining < 1) throw new BoundsError(1, 0)
    return this.#buffer[this.#at]!
  }

  u16(): number {
    const at = this.#take(2)
    return (this.#buffer[at]! << 8) | this.#buffer[at + 1]!
  }

  u32(): number {
    const at = this.#take(4)
    const b = this.#buffer
    return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0
  }

  /** A view, not a copy. */
  bytes(lengthOctets: number): Uint8Array {
    const at = this.#take(lengthOctets)
    return this.#buffer.subarray(at, at + lengthOctets)
  }

  /** All that is left, as a view. */
  rest(): Uint8Array {
    return this.bytes(this.remaining)
  }

  /** A reader of the next octets, bounded to them. */
  sub(lengthOctets: number): Reader {
    const at = this.#take(lengthOctets)
    return new Reader(this.#buffer, at, at + lengthOctets)
  }

  #take(octets: number): number {
    const at = this.#at
    if (octets > this.#end - at) throw new BoundsError(octets, this.#end - at)
    this.#at = at + octets
    return at
  }
}
