/**
 * AS_PATH (RFC 4271 §4.3, §5.1.2; confederations RFC 5065; 4-octet ASNs RFC 6793). A path is kept as its segments on the wire, with 4 octets
 * per ASN: type 1, count 1, ASNs.
 */
import { wordAt } from '../../net/address.js'
import { AS_TRANS, AttributeType, Flags, SegmentType } from '../iana.js'
import type { AttributeRow } from './descriptor.js'

export const asPath: AttributeRow = {
  type: AttributeType.AS_PATH,
  flags: Flags.TRANSITIVE,
  onFault: 'treat-as-withdraw',
  rule: 'RFC 7606 §7.2',
  decode: (draft, buffer, start, end, cls) => {
    const octets = cls.as4 ? 4 : 2
    const problem = checkSegments(buffer, start, end, octets, cls.ebgp)
    if (problem === undefined) {
      draft.asPath = octets === 4 ? buffer.subarray(start, end) : widenAsPath(buffer, start, end)
    }
    return problem
  },
  encode: (attributes, options) =>
    attributes.asPath === null || options.as4 ? attributes.asPath : narrowAsPath(attributes.asPath),
}

/**
 * What is wrong with the segments, or undefined: unknown type, no ASN in a segment, overrun (RFC 7606 §7.2), AS 0 (RFC 7607), confederation
 * segments where `refuseConfed` (RFC 5065 §5).
 */
export function checkSegments(
  buffer: Uint8Array,
  start: number,
  end: number,
  octetsPerAs: 2 | 4,
  refuseConfed: boolean,
): string | undefined {
  let at = start
  while (at < end) {
    if (at + 2 > end) return 'a segment header is cut'
    const type = buffer[at]!
    const count = buffer[at + 1]!
    if (type < SegmentType.AS_SET || type > SegmentType.AS_CONFED_SET) return `segment type ${type} is unknown`
    if (count === 0) return 'a segment without AS'
    if (refuseConfed && type >= SegmentType.AS_CONFED_SEQUENCE)
      return 'confederation segment from an external peer (RFC 5065 §5)'
    const next = at + 2 + count * octetsPerAs
    if (next > end) return 'a segment overruns the attribute'
    for (let i = at + 2; i < next; i += octetsPerAs) {
      if (octetsPerAs === 4 ? wordAt(buffer, i) === 0 : buffer[i] === 0 && buffer[i + 1] === 0)
        return 'AS 0 in the path (RFC 7607 §2)'
    }
    at = next
  }
  return undefined
}

/** Hops as the decision counts them: a set is 1, confederation segments are 0 (RFC 4271 §9.1.2.2, RFC 5065 §5.3). */
export function asPathLength(path: Uint8Array): number {
  let hops = 0
  for (let at = 0; at < path.length; at += 2 + path[at + 1]! * 4) {
    if (path[at] === SegmentType.AS_SEQUENCE) hops += path[at + 1]!
    else if (path[at] === SegmentType.AS_SET) hops += 1
  }
  return hops
}

/** The neighbour AS: the first one of a leading sequence, confederation segments skipped (RFC 5065 §5.3); -1 where there is none. */
export function firstAs(path: Uint8Array): number {
  for (let at = 0; at < path.length; at += 2 + path[at + 1]! * 4) {
    if (path[at] === SegmentType.AS_SEQUENCE) return wordAt(path, at + 2)
    if (path[at] === SegmentType.AS_SET) return -1
  }
  return -1
}

/** How often the ASN is in the path, in segments of any type. */
export function asPathContains(path: Uint8Array, asn: number): number {
  let times = 0
  for (let at = 0; at < path.length; ) {
    const next = at + 2 + path[at + 1]! * 4
    for (let i = at + 2; i < next; i += 4) if (wordAt(path, i) === asn) times++
    at = next
  }
  return times
}

/** AS numbers in all segments; each member of a set counts. */
export function asPathNumbers(path: Uint8Array): number {
  let numbers = 0
  for (let at = 0; at < path.length; at += 2 + path[at + 1]! * 4) numbers += path[at + 1]!
  return numbers
}

/** AS_SET or AS_CONFED_SET, which RFC 9774 no longer allows. */
export function hasAsSet(path: Uint8Array): boolean {
  for (let at = 0; at < path.length; at += 2 + path[at + 1]! * 4) {
    if (path[at] === SegmentType.AS_SET || path[at] === SegmentType.AS_CONFED_SET) return true
  }
  return false
}

/** The ASNs in front of the path, in the given order; a leading sequence takes them up to its 255 (RFC 4271 §5.1.2). */
export function prependAs(path: Uint8Array, asns: readonly number[]): Uint8Array {
  if (asns.length === 0) return path
  let rest = path
  const sequence = [...asns]
  if (path.length > 0 && path[0] === SegmentType.AS_SEQUENCE) {
    const count = path[1]!
    for (let i = 0; i < count; i++) sequence.push(wordAt(path, 2 + i * 4))
    rest = path.subarray(2 + count * 4)
  }
  // The first segment is the one that is not full, so that the next AS has room in it.
  const segments: number[][] = []
  for (let to = sequence.length; to > 0; to -= 255) segments.unshift(sequence.slice(Math.max(0, to - 255), to))
  const head = encodeSegments(segments.map((asNumbers) => ({ type: SegmentType.AS_SEQUENCE, asNumbers })))
  const result = new Uint8Array(head.length + rest.length)
  result.set(head)
  result.set(rest, head.length)
  return result
}

export interface Segment {
  /** SegmentType. */
  readonly type: number
  readonly asNumbers: readonly number[]
}

export function decodeSegments(path: Uint8Array): Segment[] {
  const segments: Segment[] = []
  for (let at = 0; at < path.length; ) {
    const next = at + 2 + path[at + 1]! * 4
    const asNumbers: number[] = []
    for (let i = at + 2; i < next; i += 4) asNumbers.push(wordAt(path, i))
    segments.push({ type: path[at]!, asNumbers })
    at = next
  }
  return segments
}

/** 4 octets per ASN. A segment has 1 to 255 ASNs. */
export function encodeSegments(segments: readonly Segment[]): Uint8Array {
  let octets = 0
  for (const segment of segments) octets += 2 + segment.asNumbers.length * 4
  const path = new Uint8Array(octets)
  const view = new DataView(path.buffer)
  let at = 0
  for (const segment of segments) {
    path[at] = segment.type
    path[at + 1] = segment.asNumbers.length
    at += 2
    for (const asn of segment.asNumbers) {
      view.setUint32(at, asn)
      at += 4
    }
  }
  return path
}

/** `1 2 {3,4} (65001 65002) [65003]`: sequence, set, confederation sequence, confederation set. */
export function formatAsPath(path: Uint8Array): string {
  return decodeSegments(path)
    .map(({ type, asNumbers }) => {
      switch (type) {
        case SegmentType.AS_SET:
          return `{${asNumbers.join(',')}}`
        case SegmentType.AS_CONFED_SEQUENCE:
          return `(${asNumbers.join(' ')})`
        case SegmentType.AS_CONFED_SET:
          return `[${asNumbers.join(',')}]`
        default:
          return asNumbers.join(' ')
      }
    })
    .join(' ')
}

/** Checked segments with 2 octets per ASN, as 4. */
export function widenAsPath(buffer: Uint8Array, start: number, end: number): Uint8Array {
  const segments: Segment[] = []
  for (let at = start; at < end; ) {
    const next = at + 2 + buffer[at + 1]! * 2
    const asNumbers: number[] = []
    for (let i = at + 2; i < next; i += 2) asNumbers.push((buffer[i]! << 8) | buffer[i + 1]!)
    segments.push({ type: buffer[at]!, asNumbers })
    at = next
  }
  return encodeSegments(segments)
}

/** For a 2-octet receiver: AS_TRANS in place of each ASN that does not fit (RFC 6793 §4.2.2). */
function narrowAsPath(path: Uint8Array): Uint8Array {
  const result: number[] = []
  for (const { type, asNumbers } of decodeSegments(path)) {
    result.push(type, asNumbers.length)
    for (const asn of asNumbers) {
      const narrow = asn > 65535 ? AS_TRANS : asn
      result.push(narrow >> 8, narrow & 255)
    }
  }
  return Uint8Array.from(result)
}
