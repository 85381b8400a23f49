/**
 * NLRI of the unicast families for people and tests: length 1 octet, then as many octets as the length needs (RFC 4271 §4.3), a path
 * identifier in front with ADD-PATH (RFC 7911 §3). The RIB has its own loop over the same bytes.
 */
import { type Family, familyRow } from '../../net/family.js'
import { formatPrefix } from '../../net/prefix.js'
import type { Writer } from '../wire/writer.js'

export interface UnicastNlri {
  /** Canonical text, host bits zero. */
  readonly prefix: string
  /** u32; only with ADD-PATH. */
  readonly pathId?: number
}

/** What is wrong with the bytes: a length of more bits than the family has, or an item that is cut. */
export class NlriError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'NlriError'
  }
}

/** Items in order. Throws NlriError; the field's owner knows the code (3/10 for IPv4 fields, 3/9 in MP attributes; RFC 7606 §5.3). */
export function* decodeNlri(
  buffer: Uint8Array,
  start: number,
  end: number,
  family: Family,
  addPath: boolean,
): Generator<UnicastNlri> {
  const bits = familyRow(family).addressOctets * 8
  let at = start
  while (at < end) {
    let pathId = -1
    if (addPath) {
      if (at + 5 > end) throw new NlriError('a path identifier is cut')
      pathId = buffer[at]! * 0x1000000 + ((buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!)
      at += 4
    }
    const length = buffer[at]!
    if (length > bits) throw new NlriError(`prefix length ${length} is more than ${bits}`)
    const next = at + 1 + ((length + 7) >> 3)
    if (next > end) throw new NlriError(`a prefix of ${length} bits is cut`)
    const prefix = formatPrefix(family, buffer.subarray(at + 1, next), length)
    yield pathId < 0 ? { prefix } : { prefix, pathId }
    at = next
  }
}

/** `address` holds at least the octets that the length needs, host bits zero. */
export function encodeNlri(address: Uint8Array, length: number, writer: Writer, pathId?: number): void {
  if (pathId !== undefined) writer.u32(pathId)
  writer.u8(length)
  writer.bytes(address.subarray(0, (length + 7) >> 3))
}
