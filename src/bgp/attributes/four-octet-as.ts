/**
 * AS4_PATH and AS4_AGGREGATOR (RFC 6793): how 4-octet ASNs travel through 2-octet speakers. They are never kept; what a 2-octet peer sent is
 * merged into AS_PATH and AGGREGATOR (§4.2.3), and they are made again for a 2-octet receiver (§4.2.2).
 */
import { wordAt } from '../../net/address.js'
import { AS_TRANS, AttributeType, Flags, SegmentType } from '../iana.js'
import { encodeAggregator } from './aggregator.js'
import { asPathLength, checkSegments, decodeSegments, encodeSegments, type Segment } from './as-path.js'
import type { AttributeRow, Draft } from './descriptor.js'
import type { DecodeClass } from './path-attributes.js'

/** A malformed one is discarded (RFC 6793 §6). Confederation segments in it are skipped (same section). */
export const as4Path: AttributeRow = {
  type: AttributeType.AS4_PATH,
  flags: Flags.OPTIONAL | Flags.TRANSITIVE,
  onFault: 'attribute-discard',
  rule: 'RFC 6793 §6',
  discard: fromNewSpeaker,
  decode: (draft, buffer, start, end) => {
    if (start === end) return 'no segment'
    const problem = checkSegments(buffer, start, end, 4, false)
    if (problem === undefined) draft.as4Path = withoutConfederation(buffer.subarray(start, end))
    return problem
  },
  encode: (attributes, options) => {
    if (options.as4 || attributes.asPath === null) return null
    const path = withoutConfederation(attributes.asPath)
    const needed = decodeSegments(path).some((segment) => segment.asNumbers.some((asn) => asn > 65535))
    return needed ? path : null
  },
}

export const as4Aggregator: AttributeRow = {
  type: AttributeType.AS4_AGGREGATOR,
  flags: Flags.OPTIONAL | Flags.TRANSITIVE,
  onFault: 'attribute-discard',
  rule: 'RFC 6793 §6',
  discard: fromNewSpeaker,
  decode: (draft, buffer, start, end) => {
    if (end - start !== 8) return `length ${end - start} is not 8`
    const asn = wordAt(buffer, start)
    if (asn === 0) return 'AS 0 (RFC 7607 §2)'
    draft.as4Aggregator = { asn, id: wordAt(buffer, start + 4) }
    return undefined
  },
  encode: (attributes, options) =>
    options.as4 || attributes.aggregator === null || attributes.aggregator.asn <= 65535
      ? null
      : encodeAggregator(attributes.aggregator, true),
}

/** RFC 6793 §4.2.3. The draft's asPath and aggregator come from 2-octet fields. */
export function mergeFourOctetAs(draft: Draft): void {
  const { aggregator, as4Aggregator: aggregator4, as4Path: path4 } = draft
  if (aggregator !== null && aggregator4 !== null) {
    // Somebody behind the last 4-octet speaker aggregated anew: what the AS4 attributes say is out of date.
    if (aggregator.asn !== AS_TRANS) return
    draft.aggregator = aggregator4
  }
  if (draft.asPath !== null && path4 !== null) draft.asPath = mergePaths(draft.asPath, path4)
}

/** The leading ASNs that AS_PATH has more than AS4_PATH, then AS4_PATH; AS_PATH alone where it is the shorter one. */
function mergePaths(path: Uint8Array, path4: Uint8Array): Uint8Array {
  let surplus = asPathLength(path) - asPathLength(path4)
  if (surplus < 0) return path
  const leading: Segment[] = []
  for (const segment of decodeSegments(path)) {
    if (segment.type >= SegmentType.AS_CONFED_SEQUENCE) {
      // Counts nothing; taken while it leads or follows a segment that is taken.
      leading.push(segment)
      continue
    }
    if (surplus === 0) break
    const wanted = segment.type === SegmentType.AS_SET ? segment.asNumbers.length : surplus
    const asNumbers = segment.asNumbers.slice(0, wanted)
    leading.push({ type: segment.type, asNumbers })
    surplus -= segment.type === SegmentType.AS_SET ? 1 : asNumbers.length
    if (asNumbers.length < segment.asNumbers.length) break
  }
  return encodeSegments(joinSequences([...leading, ...decodeSegments(path4)]))
}

/** Neighbouring sequences become one where it holds them, so that the merged path looks as it did before it was split. */
function joinSequences(segments: readonly Segment[]): Segment[] {
  const joined: Segment[] = []
  for (const segment of segments) {
    const last = joined.at(-1)
    const both = last?.type === SegmentType.AS_SEQUENCE && segment.type === SegmentType.AS_SEQUENCE
    if (last !== undefined && both && last.asNumbers.length + segment.asNumbers.length <= 255) {
      joined[joined.length - 1] = { type: last.type, asNumbers: [...last.asNumbers, ...segment.asNumbers] }
    } else {
      joined.push(segment)
    }
  }
  return joined
}

function withoutConfederation(path: Uint8Array): Uint8Array {
  const segments = decodeSegments(path)
  const kept = segments.filter((segment) => segment.type < SegmentType.AS_CONFED_SEQUENCE)
  return kept.length === segments.length ? path : encodeSegments(kept)
}

function fromNewSpeaker(cls: DecodeClass): string | undefined {
  return cls.as4 ? 'sent by a peer with 4-octet ASNs (RFC 6793 §4.1)' : undefined
}
