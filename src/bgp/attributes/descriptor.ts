/**
 * A row of the attribute table holds all that is known about one path attribute. The drivers (decode.ts, encode.ts) handle duplicates,
 * flag conflicts, unknown types and lengths of the block once for all rows.
 */
import type { FaultApproach } from '../errors.js'
import type { DecodeClass, PathAttributes } from './path-attributes.js'

/** PathAttributes while a block is being decoded. */
export type Draft = { -readonly [K in keyof PathAttributes]: PathAttributes[K] } & {
  /** From 2-octet peers, merged at the end of the block (RFC 6793 §4.2.3). */
  as4Path: Uint8Array | null
  as4Aggregator: PathAttributes['aggregator']
}

/** What the form of an encoded block depends on. */
export interface EncodeOptions {
  /** The receiver sent the 4-octet AS capability (RFC 6793). */
  readonly as4: boolean
  /** NEXT_HOP is written (IPv4 NLRI in the UPDATE itself); false where MP_REACH_NLRI carries it. */
  readonly nextHopAttribute: boolean
}

/** What is wrong with a value, where that leads to something else than the row's `onFault`. */
export interface Problem {
  readonly approach: FaultApproach
  /** With its rule in parentheses. */
  readonly text: string
}

export interface AttributeRow {
  readonly type: number
  /** OPTIONAL and TRANSITIVE bits that the attribute must have. */
  readonly flags: number
  /** What a malformed value leads to (RFC 7606 §7). */
  readonly onFault: FaultApproach
  /** Where that stands: `RFC 7606 §7.1`. */
  readonly rule: string
  /** What wrong flags lead to where the attribute's RFC says otherwise than RFC 7606 §3 c (treat-as-withdraw). */
  readonly onWrongFlags?: FaultApproach
  /** Why the attribute is ignored from a peer of this class, or undefined. Goes before the checks of flags and value. */
  readonly discard?: (cls: DecodeClass) => string | undefined
  /** Checked by `decode`, kept in `others` by the driver. */
  readonly opaque?: true
  /**
   * Reads buffer[start, end) into the draft. Returns what is wrong with the value, or undefined; the draft is then left alone. A text that ends in
   * parentheses names its own rule.
   */
  readonly decode: (
    draft: Draft,
    buffer: Uint8Array,
    start: number,
    end: number,
    cls: DecodeClass,
  ) => string | Problem | undefined
  /** The value to be written, or null where there is nothing to write. */
  readonly encode: (attributes: PathAttributes, options: EncodeOptions) => Uint8Array | null
}

/** What an extended length can name (RFC 4271 §4.3). */
export const MAX_VALUE_OCTETS = 65535

/** Octets of an attribute: header and value. Throws RangeError for a value that no length field can name. */
export function attributeOctets(value: Uint8Array): number {
  if (value.length > MAX_VALUE_OCTETS) throw new RangeError(`an attribute of ${value.length} octets cannot be encoded`)
  return value.length + (value.length > 255 ? 4 : 3)
}

/** Header and value (RFC 4271 §4.3) to target[at…]; the Extended Length bit only where the length needs it. Returns the offset behind them. */
export function writeAttribute(target: Uint8Array, at: number, flags: number, type: number, value: Uint8Array): number {
  const extended = value.length > 255
  target[at++] = extended ? flags | 0x10 : flags
  target[at++] = type
  if (extended) target[at++] = value.length >>> 8
  target[at++] = value.length
  target.set(value, at)
  return at + value.length
}
