/**
 * Decodes an attribute block (RFC 4271 §4.3) and judges it by RFC 7606: faults are values, the strongest one decides, nothing is thrown. What
 * depends on the UPDATE around the block (missing attributes, §3 d, §5.2; NEXT_HOP without IPv4 NLRI) is asked of the helpers below.
 */
import type { AttributeFault, FaultApproach } from '../errors.js'
import { AttributeType, attributeName, Flags } from '../iana.js'
import { hasAsSet } from './as-path.js'
import type { AttributeRow, Draft, Problem } from './descriptor.js'
import { mergeFourOctetAs } from './four-octet-as.js'
import type { DecodeClass, OtherAttribute, PathAttributes } from './path-attributes.js'
import { ATTRIBUTE_TABLE } from './table.js'

export interface DecodedAttributes {
  readonly attributes: PathAttributes
  /** The strongest of `faults`, the first one among equals. */
  readonly fault: AttributeFault | null
  readonly faults: readonly AttributeFault[]
  /** Bit n is set: attribute type n (0..30) is there and usable. */
  readonly present: number
  /** AS_PATH or AS4_PATH has an AS_SET or AS_CONFED_SET (RFC 9774). */
  readonly asSets: boolean
}

/**
 * Slices of the result point into `buffer`. MP_REACH_NLRI and MP_UNREACH_NLRI in the range are skipped. A block that is cut keeps what lies
 * before the cut.
 */
export function decodePathAttributes(
  buffer: Uint8Array,
  start: number,
  end: number,
  cls: DecodeClass,
): DecodedAttributes {
  const block = decodeAttributeBlock(buffer, start, end, cls)
  const { asPath, as4Path } = block.attributes
  const asSets = (asPath !== null && hasAsSet(asPath)) || (as4Path !== null && hasAsSet(as4Path))
  if (!cls.as4) mergeFourOctetAs(block.attributes)
  const { as4Path: _path, as4Aggregator: _aggregator, ...attributes } = block.attributes
  return { ...block, attributes, asSets }
}

export interface AttributeBlock extends Omit<DecodedAttributes, 'asSets'> {
  readonly attributes: Draft
}

/** The same without the merge of RFC 6793: what stands on the wire, for people. */
export function decodeAttributeBlock(buffer: Uint8Array, start: number, end: number, cls: DecodeClass): AttributeBlock {
  const draft: Draft = { ...NO_ATTRIBUTES, as4Path: null, as4Aggregator: null }
  const others: OtherAttribute[] = []
  const faults: AttributeFault[] = []
  const seen = new Uint8Array(256)
  let present = 0
  let at = start
  while (at < end) {
    const flags = buffer[at]!
    const valueStart = at + ((flags & Flags.EXTENDED_LENGTH) === 0 ? 3 : 4)
    const type = at + 1 < end ? buffer[at + 1]! : -1
    if (valueStart > end) {
      faults.push(cutBlock(type, 'header overruns the attribute block (RFC 7606 §4)'))
      break
    }
    const length = valueStart - at === 3 ? buffer[at + 2]! : (buffer[at + 2]! << 8) | buffer[at + 3]!
    at = valueStart + length
    if (at > end) {
      faults.push(cutBlock(type, `length ${length} overruns the attribute block (RFC 7606 §4)`))
      break
    }
    if (type === AttributeType.MP_REACH_NLRI || type === AttributeType.MP_UNREACH_NLRI) continue
    if (seen[type] !== 0) {
      faults.push(fault('attribute-discard', type, 'appears again; the first one counts (RFC 7606 §3 g)'))
      continue
    }
    seen[type] = 1
    const found = take(type, flags, buffer, valueStart, at, cls, draft, others)
    if (found === KEPT && type <= 30) present |= 1 << type
    else if (typeof found === 'object') faults.push(found)
  }
  if (others.length > 1) others.sort((a, b) => a.type - b.type)
  draft.others = others
  return { attributes: draft, fault: strongestFault(faults), faults, present }
}

/** The strongest of the faults, the first one among equals, or null. */
export function strongestFault(faults: readonly AttributeFault[]): AttributeFault | null {
  let strongest: AttributeFault | null = null
  for (const one of faults) {
    if (strongest === null || STRENGTH[one.approach] > STRENGTH[strongest.approach]) strongest = one
  }
  return strongest
}

/**
 * The fault that counts for an UPDATE: where all its reachable NLRI are in MP_REACH_NLRI (`nextHopCounts` false), NEXT_HOP is ignored, right
 * or wrong (RFC 4760 §3).
 */
export function faultOfUpdate(
  decoded: Pick<DecodedAttributes, 'fault' | 'faults'>,
  nextHopCounts: boolean,
): AttributeFault | null {
  if (nextHopCounts || decoded.fault === null) return decoded.fault
  return strongestFault(decoded.faults.filter((one) => one.attribute !== AttributeType.NEXT_HOP || one.cut))
}

/**
 * A missing well-known mandatory attribute withdraws the routes (RFC 7606 §3 d). `withNextHop`: the UPDATE has IPv4 NLRI outside of
 * MP_REACH_NLRI. LOCAL_PREF from an internal peer is not asked for: RFC 7606 names ORIGIN, AS_PATH, NEXT_HOP only, and a missing one is
 * taken as the default.
 */
export function missingMandatory(present: number, withNextHop: boolean, _ebgp: boolean): AttributeFault | null {
  for (const type of MANDATORY) {
    if (type === AttributeType.NEXT_HOP && !withNextHop) continue
    if ((present & (1 << type)) === 0) {
      const reason = `${attributeName(type)} is missing (RFC 7606 §3 d)`
      return { approach: 'treat-as-withdraw', attribute: type, reason }
    }
  }
  return null
}

/** No attribute is there. */
export const NO_ATTRIBUTES: PathAttributes = Object.freeze({
  origin: -1,
  asPath: null,
  nextHop: null,
  med: -1,
  localPref: -1,
  atomicAggregate: false,
  aggregator: null,
  communities: null,
  extCommunities: null,
  largeCommunities: null,
  originatorId: -1,
  clusterList: null,
  others: [],
})

/** One attribute: kept, dropped without a word, or a fault. */
function take(
  type: number,
  flags: number,
  buffer: Uint8Array,
  start: number,
  end: number,
  cls: DecodeClass,
  draft: Draft,
  others: OtherAttribute[],
): AttributeFault | typeof KEPT | typeof DROPPED {
  const row = ATTRIBUTE_TABLE[type]
  if (row === undefined) return takeUnknown(type, flags, buffer, start, end, others)
  const why = row.discard?.(cls)
  if (why !== undefined) return fault('attribute-discard', type, why)
  if ((flags & (Flags.OPTIONAL | Flags.TRANSITIVE)) !== row.flags) {
    return fault(
      row.onWrongFlags ?? 'treat-as-withdraw',
      type,
      `wrong flags 0x${flags.toString(16)} (${row.onWrongFlags === undefined ? 'RFC 7606 §3 c' : row.rule})`,
    )
  }
  const problem = row.decode(draft, buffer, start, end, cls)
  if (problem !== undefined) return faultOf(row, problem)
  if (row.opaque) others.push({ type, flags: flags & KEPT_FLAGS, value: buffer.subarray(start, end) })
  return KEPT
}

/** RFC 4271 §5, §9: well-known ones have to be known (withdraws, RFC 7606 §3 c), transitive ones go on as Partial, others are dropped. */
function takeUnknown(
  type: number,
  flags: number,
  buffer: Uint8Array,
  start: number,
  end: number,
  others: OtherAttribute[],
): AttributeFault | typeof KEPT | typeof DROPPED {
  if ((flags & Flags.OPTIONAL) === 0) {
    return fault('treat-as-withdraw', type, 'is marked well-known, but is not known (RFC 4271 §6.3)')
  }
  if ((flags & Flags.TRANSITIVE) === 0) return DROPPED
  others.push({ type, flags: (flags & KEPT_FLAGS) | Flags.PARTIAL, value: buffer.subarray(start, end) })
  return KEPT
}

function faultOf(row: AttributeRow, problem: string | Problem): AttributeFault {
  if (typeof problem === 'object') return fault(problem.approach, row.type, problem.text)
  return fault(row.onFault, row.type, problem.endsWith(')') ? problem : `${problem} (${row.rule})`)
}

function cutBlock(type: number, what: string): AttributeFault {
  return { ...fault('treat-as-withdraw', type, what), cut: true }
}

function fault(approach: FaultApproach, attribute: number, what: string): AttributeFault {
  const name = attribute < 0 ? 'attribute' : attributeName(attribute)
  return { approach, attribute, reason: `${name}: ${what}` }
}

const KEPT = 1
const DROPPED = 0
const KEPT_FLAGS = Flags.OPTIONAL | Flags.TRANSITIVE | Flags.PARTIAL
const STRENGTH = Object.freeze({ 'attribute-discard': 1, 'treat-as-withdraw': 2, 'session-reset': 3 })
const MANDATORY = [AttributeType.ORIGIN, AttributeType.AS_PATH, AttributeType.NEXT_HOP] as const
