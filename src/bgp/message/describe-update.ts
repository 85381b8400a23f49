/**
 * An UPDATE as a value for people (`nodebgp decode`): what stands on the wire, and how RFC 7606 wants it taken. The speaker does not use
 * it; it judges the same bytes with the same functions.
 */
import { formatAddress, formatIpv4, wordAt } from '../../net/address.js'
import { type Family, familyOf, familyRow, formatFamily } from '../../net/family.js'
import { formatAsPath } from '../attributes/as-path.js'
import {
  type AttributeBlock,
  decodeAttributeBlock,
  faultOfUpdate,
  missingMandatory,
  strongestFault,
} from '../attributes/decode.js'
import type { DecodeClass } from '../attributes/path-attributes.js'
import { formatCommunities, formatExtCommunities, formatHex, formatLargeCommunities } from '../attributes/text.js'
import { type AttributeFault, NotificationError } from '../errors.js'
import { AttributeType, Flags } from '../iana.js'
import { decodeNlri, NlriError } from '../nlri/unicast.js'
import { hasReachable, isEndOfRib, missingNlriReset, onlyMpUnreach, splitUpdate } from './update.js'
import { UpdateParts } from './update-parts.js'

export interface DescribedUpdate {
  readonly value: Readonly<Record<string, unknown>>
  /** The strongest fault, or null. */
  readonly fault: AttributeFault | null
}

export interface DescribeClass extends DecodeClass {
  /** Families whose NLRI carry path identifiers. */
  readonly addPath: ReadonlySet<Family>
}

/** buffer[start, end) is a whole UPDATE. Throws NotificationError where the session has to be reset. */
export function describeUpdate(buffer: Uint8Array, start: number, end: number, cls: DescribeClass): DescribedUpdate {
  const parts = new UpdateParts()
  splitUpdate(buffer, start, end, parts, true)
  const block = decodeAttributeBlock(buffer, parts.attributesStart, parts.attributesEnd, cls)
  const value: Record<string, unknown> = { type: 'update', ...describeNlri(buffer, parts, cls) }
  const endOfRib = endOfRibName(parts)
  if (endOfRib !== undefined) value['eor'] = endOfRib
  describeAttributes(buffer, parts, block, value)
  return { value, fault: judge(parts, block, cls) }
}

/** RFC 7606: the strongest fault of framing, attributes and missing attributes. */
function judge(parts: UpdateParts, block: AttributeBlock, cls: DecodeClass): AttributeFault | null {
  const reachable = hasReachable(parts)
  const hasIpv4Nlri = parts.nlriEnd > parts.nlriStart
  const faults = [
    parts.fault,
    // Only MP_REACH_NLRI makes NEXT_HOP something to be ignored.
    faultOfUpdate(block, hasIpv4Nlri || parts.mpReachAttributeStart < 0),
    reachable ? missingMandatory(block.present, hasIpv4Nlri, cls.ebgp) : null,
  ]
  const fault = strongestFault(faults.filter((one) => one !== null))
  if (fault?.approach === 'treat-as-withdraw' && !reachable && !onlyMpUnreach(parts)) throw missingNlriReset(fault)
  return fault
}

interface DescribedNlri {
  readonly family: string
  readonly prefix: string
  readonly pathId?: number
}

function describeNlri(
  buffer: Uint8Array,
  parts: UpdateParts,
  cls: DescribeClass,
): { announced: DescribedNlri[]; withdrawn: DescribedNlri[] } {
  const mp = (afi: number, safi: number, from: number, to: number, attributeAt: number): DescribedNlri[] => {
    const family = familyOf(afi, safi)
    if (from < 0 || family === undefined) return []
    return readNlri(buffer, from, to, family, cls, (reason) => {
      return new NotificationError(3, 9, `${reason} (RFC 7606 §5.3)`, Uint8Array.from(buffer.subarray(attributeAt, to)))
    })
  }
  const ipv4 = (from: number, to: number): DescribedNlri[] =>
    readNlri(buffer, from, to, 0, cls, (reason) => new NotificationError(3, 10, `${reason} (RFC 7606 §5.3)`))
  const p = parts
  return {
    announced: [
      ...mp(p.mpReachAfi, p.mpReachSafi, p.mpReachNlriStart, p.mpReachNlriEnd, p.mpReachAttributeStart),
      ...ipv4(p.nlriStart, p.nlriEnd),
    ],
    withdrawn: [
      ...ipv4(p.withdrawnStart, p.withdrawnEnd),
      ...mp(p.mpUnreachAfi, p.mpUnreachSafi, p.mpUnreachNlriStart, p.mpUnreachNlriEnd, p.mpUnreachAttributeStart),
    ],
  }
}

function readNlri(
  buffer: Uint8Array,
  from: number,
  to: number,
  family: Family,
  cls: DescribeClass,
  failure: (reason: string) => NotificationError,
): DescribedNlri[] {
  const { name } = familyRow(family)
  try {
    const items: DescribedNlri[] = []
    for (const item of decodeNlri(buffer, from, to, family, cls.addPath.has(family))) {
      items.push({ family: name, ...item })
    }
    return items
  } catch (error) {
    if (error instanceof NlriError) throw failure(`${name} NLRI: ${error.message}`)
    throw error
  }
}

/** Also of families that this speaker has no table for. */
function endOfRibName(parts: UpdateParts): string | undefined {
  const family = isEndOfRib(parts)
  if (family !== undefined) return familyRow(family).name
  const lone = onlyMpUnreach(parts) && parts.mpUnreachNlriEnd === parts.mpUnreachNlriStart
  const empty = parts.withdrawnEnd === parts.withdrawnStart && parts.nlriEnd === parts.nlriStart
  return lone && empty ? formatFamily(parts.mpUnreachAfi, parts.mpUnreachSafi) : undefined
}

/** Attributes that are there and usable, by name; absent, faulty and discarded ones have no key (`attrCodes` lists all). */
function describeAttributes(
  buffer: Uint8Array,
  parts: UpdateParts,
  block: AttributeBlock,
  value: Record<string, unknown>,
): void {
  const a = block.attributes
  if (a.origin >= 0) value['origin'] = ORIGINS[a.origin]
  if (a.asPath !== null) value['asPath'] = formatAsPath(a.asPath)
  if (a.as4Path !== null) value['as4Path'] = formatAsPath(a.as4Path)
  if (a.nextHop !== null) value['nextHop'] = formatAddress(a.nextHop)
  const mpNextHop = describeMpNextHop(buffer, parts)
  if (mpNextHop !== undefined) value['mpNextHop'] = mpNextHop
  if (a.med >= 0) value['med'] = a.med
  if (a.localPref >= 0) value['localPref'] = a.localPref
  if (a.atomicAggregate) value['atomicAggregate'] = true
  if (a.aggregator !== null) value['aggregator'] = { asn: a.aggregator.asn, id: formatIpv4(a.aggregator.id) }
  if (a.as4Aggregator !== null) {
    value['as4Aggregator'] = { asn: a.as4Aggregator.asn, id: formatIpv4(a.as4Aggregator.id) }
  }
  if (a.communities !== null) value['communities'] = formatCommunities(a.communities)
  if (a.extCommunities !== null) value['extCommunities'] = formatExtCommunities(a.extCommunities)
  if (a.largeCommunities !== null) value['largeCommunities'] = formatLargeCommunities(a.largeCommunities)
  if (a.originatorId >= 0) value['originatorId'] = formatIpv4(a.originatorId)
  if (a.clusterList !== null) value['clusterList'] = clusterIds(a.clusterList)
  const otc = a.others.find((other) => other.type === AttributeType.OTC)
  if (otc !== undefined) value['otc'] = wordAt(otc.value, 0)
  const codes: number[] = []
  const others: { type: number; flags: number; hex: string }[] = []
  for (const { type, flags, start, end } of walk(buffer, parts.attributesStart, parts.attributesEnd)) {
    codes.push(type)
    const unreadable =
      (type === AttributeType.MP_REACH_NLRI && familyOf(parts.mpReachAfi, parts.mpReachSafi) === undefined) ||
      (type === AttributeType.MP_UNREACH_NLRI && familyOf(parts.mpUnreachAfi, parts.mpUnreachSafi) === undefined)
    if (unreadable || !NAMED.has(type)) others.push({ type, flags, hex: formatHex(buffer.subarray(start, end)) })
  }
  value['attrCodes'] = codes
  if (others.length > 0) value['otherAttributes'] = others
}

/** Global, then link-local where there is one (RFC 2545 §3). */
function describeMpNextHop(buffer: Uint8Array, parts: UpdateParts): string[] | undefined {
  if (parts.mpReachNextHopStart < 0 || familyOf(parts.mpReachAfi, parts.mpReachSafi) === undefined) return undefined
  const bytes = buffer.subarray(parts.mpReachNextHopStart, parts.mpReachNextHopEnd)
  return bytes.length === 32
    ? [formatAddress(bytes.subarray(0, 16)), formatAddress(bytes.subarray(16))]
    : [formatAddress(bytes)]
}

function clusterIds(list: Uint8Array): string[] {
  const ids: string[] = []
  for (let at = 0; at < list.length; at += 4) ids.push(formatIpv4(wordAt(list, at)))
  return ids
}

/** Attributes as they stand on the wire, up to where the block is broken. */
function* walk(
  buffer: Uint8Array,
  start: number,
  end: number,
): Generator<{ type: number; flags: number; start: number; end: number }> {
  let at = start
  while (at + 3 <= end) {
    const flags = buffer[at]!
    const extended = (flags & Flags.EXTENDED_LENGTH) !== 0
    const valueStart = at + (extended ? 4 : 3)
    if (valueStart > end) return
    const valueEnd = valueStart + (extended ? (buffer[at + 2]! << 8) | buffer[at + 3]! : buffer[at + 2]!)
    if (valueEnd > end) return
    yield { type: buffer[at + 1]!, flags, start: valueStart, end: valueEnd }
    at = valueEnd
  }
}

const ORIGINS = ['igp', 'egp', 'incomplete'] as const

/** Attributes with a name of their own in the value. */
const NAMED: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 32, 35])
