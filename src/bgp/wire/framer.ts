/**
 * Cuts a TCP byte stream into BGP messages (RFC 4271 §4.1, errors §6.1). Messages are handed out in place, as offsets into the chunk;
 * only a message that lies across chunks is copied, into one buffer that is reused. Linear in the octets pushed, whatever their cuts.
 */
import { NO_DATA, NotificationError } from '../errors.js'
import { HEADER_OCTETS, MAX_MESSAGE_OCTETS } from './header.js'

/** `buffer` is only valid during the call. `type` is 1 to 5 (MessageType). */
export type OnMessage = (buffer: Uint8Array, start: number, end: number, type: number) => void

export class Framer {
  /** The partial message: octets [0, carried). */
  #carry: Uint8Array = NO_DATA
  #carried = 0
  /** Whole length of the partial message, 0 while its header is not complete. */
  #expected = 0
  #stopped = false
  #faultType = 0
  #faultOctets: Uint8Array = NO_DATA
  /** Octets; 4096, or 65535 with RFC 8654. */
  #limit = MAX_MESSAGE_OCTETS

  /**
   * Throws NotificationError 1/1, 1/2 or 1/3 for a bad header, after all messages before it were delivered. The framer is then stopped.
   * `maxOctets`: the limit for the first message; `onMessage` may raise it for those behind it.
   */
  push(chunk: Uint8Array, onMessage: OnMessage, maxOctets: number): void {
    this.#limit = maxOctets
    let at = this.#carried === 0 ? 0 : this.#completeCarried(chunk, onMessage)
    const end = chunk.length
    while (!this.#stopped) {
      if (at + HEADER_OCTETS > end) break
      const length = this.#checkHeader(chunk, at)
      if (at + length > end) break
      const start = at
      at += length
      onMessage(chunk, start, at, chunk[start + 18]!)
    }
    if (!this.#stopped && at < end) this.#keep(chunk, at, end)
  }

  /** For the messages behind the one being delivered: an OPEN has raised the limit, and more lies in the same chunk. */
  set maxOctets(octets: number) {
    this.#limit = octets
  }

  /** No further message is delivered, also not from the chunk being pushed. */
  stop(): void {
    this.#stopped = true
    this.#carried = 0
    this.#expected = 0
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** Type octet of the header that `push` has thrown for: a malformed NOTIFICATION is not answered (RFC 4271 §6.4). */
  get faultType(): number {
    return this.#faultType
  }

  /** That header, empty before. */
  get faultOctets(): Uint8Array {
    return this.#faultOctets
  }

  /** Octets of an incomplete message that wait for more. */
  get pendingOctets(): number {
    return this.#carried
  }

  /** Adds to the partial message until it is whole; returns where the rest of the chunk starts. */
  #completeCarried(chunk: Uint8Array, onMessage: OnMessage): number {
    let at = 0
    if (this.#expected === 0) {
      at = this.#append(chunk, at, HEADER_OCTETS)
      if (this.#carried < HEADER_OCTETS) return at
      this.#expected = this.#checkHeader(this.#carry, 0)
    }
    at = this.#append(chunk, at, this.#expected)
    if (this.#carried < this.#expected) return at
    const length = this.#expected
    const message = this.#carry
    this.#carried = 0
    this.#expected = 0
    onMessage(message, 0, length, message[18]!)
    return at
  }

  #append(chunk: Uint8Array, at: number, upTo: number): number {
    const count = Math.min(upTo - this.#carried, chunk.length - at)
    if (count <= 0) return at
    this.#reserve(upTo)
    for (let i = 0; i < count; i++) this.#carry[this.#carried + i] = chunk[at + i]!
    this.#carried += count
    return at + count
  }

  /** A fresh partial message starts. Its header was already checked where it is complete. */
  #keep(chunk: Uint8Array, at: number, end: number): void {
    const count = end - at
    this.#expected = count >= HEADER_OCTETS ? (chunk[at + 16]! << 8) | chunk[at + 17]! : 0
    this.#reserve(Math.max(count, this.#expected))
    this.#carry.set(chunk.subarray(at, end), 0)
    this.#carried = count
  }

  #reserve(octets: number): void {
    if (octets <= this.#carry.length) return
    // Sized by need: thousands of quiet peers should not hold 4096 octets each.
    const larger = new Uint8Array(2 ** Math.ceil(Math.log2(octets)))
    larger.set(this.#carry.subarray(0, this.#carried))
    this.#carry = larger
  }

  #checkHeader(buffer: Uint8Array, at: number): number {
    try {
      return checkHeader(buffer, at, this.#limit)
    } catch (error) {
      this.#faultType = buffer[at + 18]!
      this.#faultOctets = buffer.slice(at, at + HEADER_OCTETS)
      this.stop()
      throw error
    }
  }
}

/** The message length of a complete header at `at`. Throws NotificationError (RFC 4271 §6.1). */
export function checkHeader(buffer: Uint8Array, at: number, maxOctets: number): number {
  for (let i = at; i < at + 16; i++) {
    if (buffer[i] !== 255) throw new NotificationError(1, 1, 'marker is not all ones (RFC 4271 §6.1)')
  }
  const length = (buffer[at + 16]! << 8) | buffer[at + 17]!
  const type = buffer[at + 18]!
  if (length < HEADER_OCTETS || length > maxOctets) throw badLength(buffer, at, length, 'outside of the limits')
  const minimum = MINIMUM_OCTETS[type]
  if (minimum === undefined) {
    throw new NotificationError(1, 3, `message type ${type} is unknown (RFC 4271 §6.1)`, Uint8Array.of(type))
  }
  if (length < minimum) throw badLength(buffer, at, length, `less than the ${minimum} octets of this type`)
  if (type === KEEPALIVE && length !== minimum) throw badLength(buffer, at, length, 'not a KEEPALIVE')
  // RFC 8654 §4: OPEN and KEEPALIVE stay within 4096 octets.
  if (type === OPEN && length > MAX_MESSAGE_OCTETS) throw badLength(buffer, at, length, 'more than 4096 for an OPEN')
  return length
}

function badLength(buffer: Uint8Array, at: number, length: number, why: string): NotificationError {
  const data = Uint8Array.of(buffer[at + 16]!, buffer[at + 17]!)
  return new NotificationError(1, 2, `message length ${length} is ${why} (RFC 4271 §6.1)`, data)
}

const OPEN = 1
const KEEPALIVE = 4

/** By message type (RFC 4271 §6.1, RFC 2918 §3; wrong ROUTE-REFRESH lengths above the header are judged by its decoder). */
const MINIMUM_OCTETS: readonly (number | undefined)[] = [undefined, 29, 23, 21, 19, 19]
