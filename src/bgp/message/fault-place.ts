/**
 * Where in an UPDATE a fault lies, and what of it is shown to people: the attribute's octets and the first prefixes concerned. Only looked at when a fault
 * is told, and only while the UPDATE is being taken in.
 */
import { formatAddress } from '../../net/address.js'
import { Family } from '../../net/family.js'
import type { AttributeFault } from '../errors.js'
import { Flags } from '../iana.js'

export interface FaultPlace {
  readonly buffer: Uint8Array
  /** The whole UPDATE, header included. */
  readonly messageStart: number
  readonly messageEnd: number
  readonly attributesStart: number
  readonly attributesEnd: number
  readonly family: Family
  /** The NLRI that the fault concerns; empty range for none. */
  readonly nlriStart: number
  readonly nlriEnd: number
}

/** The attribute that the fault names, header included; from the cut on where a length overruns; the whole block where none is named. */
export function faultyOctets(
  place: Pick<FaultPlace, 'buffer' | 'attributesStart' | 'attributesEnd'>,
  fault: Pick<AttributeFault, 'attribute' | 'reason' | 'cut'>,
): Uint8Array {
  const { buffer, attributesEnd: end } = place
  // Of a repeated attribute the second one is the faulty one (RFC 7606 §3 g).
  let skip = fault.reason.includes('(RFC 7606 §3 g)') ? 1 : 0
  let at = place.attributesStart
  while (at < end) {
    const header = (buffer[at]! & Flags.EXTENDED_LENGTH) === 0 ? 3 : 4
    const length = header === 3 ? buffer[at + 2]! : (buffer[at + 2]! << 8) | buffer[at + 3]!
    const next = at + header + length
    if (at + header > end || next > end) return buffer.subarray(at, end)
    if (!fault.cut && buffer[at + 1] === fault.attribute && skip-- === 0) return buffer.subarray(at, next)
    at = next
  }
  return fault.attribute < 0 ? buffer.subarray(place.attributesStart, end) : buffer.subarray(end, end)
}

/** How many prefixes the fault concerns, and the first `limit` of them. `addPath`: each has a path identifier in front (RFC 7911). */
export function faultyPrefixes(
  { buffer, nlriStart, nlriEnd, family }: FaultPlace,
  addPath: boolean,
  limit: number,
): { readonly count: number; readonly first: readonly string[] } {
  const width = family === Family.IPV4_UNICAST ? 4 : 16
  const first: string[] = []
  let count = 0
  let at = nlriStart
  while (at < nlriEnd) {
    if (addPath) at += 4
    const bits = buffer[at]!
    const octets = (bits + 7) >>> 3
    if (at >= nlriEnd || octets > width || at + 1 + octets > nlriEnd) break
    if (count++ < limit) first.push(prefixText(buffer.subarray(at + 1, at + 1 + octets), bits, width))
    at += 1 + octets
  }
  return { count, first }
}

function prefixText(octets: Uint8Array, bits: number, width: number): string {
  const address = new Uint8Array(width)
  address.set(octets)
  if ((bits & 7) !== 0) address[octets.length - 1]! &= 0xff << (8 - (bits & 7))
  return `${formatAddress(address)}/${bits}`
}
