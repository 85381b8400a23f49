/**
 * AGGREGATOR (RFC 4271 §5.1.7) and ATOMIC_AGGREGATE (§5.1.6). Malformed ones are discarded (RFC 7606 §7.6, §7.7), also AS 0 (RFC 7607 §2).
 */
import { wordAt } from '../../net/address.js'
import { NO_DATA } from '../errors.js'
import { AS_TRANS, AttributeType, Flags } from '../iana.js'
import type { AttributeRow } from './descriptor.js'
import type { PathAttributes } from './path-attributes.js'

export const atomicAggregate: AttributeRow = {
  type: AttributeType.ATOMIC_AGGREGATE,
  flags: Flags.TRANSITIVE,
  onFault: 'attribute-discard',
  rule: 'RFC 7606 §7.6',
  decode: (draft, _buffer, start, end) => {
    if (end !== start) return `length ${end - start} is not 0`
    draft.atomicAggregate = true
    return undefined
  },
  encode: (attributes) => (attributes.atomicAggregate ? NO_DATA : null),
}

export const aggregator: AttributeRow = {
  type: AttributeType.AGGREGATOR,
  flags: Flags.OPTIONAL | Flags.TRANSITIVE,
  onFault: 'attribute-discard',
  rule: 'RFC 7606 §7.7',
  decode: (draft, buffer, start, end, cls) => {
    const wanted = cls.as4 ? 8 : 6
    if (end - start !== wanted) return `length ${end - start} is not ${wanted}`
    const asn = cls.as4 ? wordAt(buffer, start) : (buffer[start]! << 8) | buffer[start + 1]!
    if (asn === 0) return 'AS 0 (RFC 7607 §2)'
    draft.aggregator = { asn, id: wordAt(buffer, end - 4) }
    return undefined
  },
  encode: (attributes, options) =>
    attributes.aggregator === null ? null : encodeAggregator(attributes.aggregator, options.as4),
}

/** 8 octets, or 6 with AS_TRANS where the ASN does not fit. */
export function encodeAggregator(value: NonNullable<PathAttributes['aggregator']>, as4: boolean): Uint8Array {
  const bytes = new Uint8Array(as4 ? 8 : 6)
  const view = new DataView(bytes.buffer)
  if (as4) view.setUint32(0, value.asn)
  else view.setUint16(0, value.asn > 65535 ? AS_TRANS : value.asn)
  view.setUint32(bytes.length - 4, value.id)
  return bytes
}
