/**
 * Cuts an UPDATE into its parts by offsets (RFC 4271 §4.3, RFC 4760, RFC 7606). Nothing is copied or allocated for a good message.
 *
 * Thrown (session reset): lengths that do not fit 3/1; a second MP_REACH_NLRI or MP_UNREACH_NLRI 3/1 (RFC 7606 §3 g); an MP attribute
 * whose NLRI cannot be located 3/9 (RFC 7606 §7.11, §7.12); a broken attribute block without reachable NLRI 3/1 (RFC 7606 §5.2).
 * Kept in `parts.fault`: an attribute that overruns the block (RFC 7606 §4), wrong flags of an MP attribute (RFC 7606 §3 c).
 */
import { Family, familyOf } from '../../net/family.js'
import type { AttributeFault } from '../errors.js'
import { NO_DATA, NotificationError, splitReason } from '../errors.js'
import { AttributeType, attributeName, Flags } from '../iana.js'
import { HEADER_OCTETS } from './message.js'
import type { UpdateParts } from './update-parts.js'

/**
 * `ipv6NextHopForIpv4`: IPv4 unicast in MP_REACH_NLRI may have a next hop of 16 or 32 octets (RFC 8950, both sides offered it). `families`: bit n for each
 * negotiated family; what MP_REACH_NLRI says for others is not looked at, as it is ignored.
 */
export function splitUpdate(
  buffer: Uint8Array,
  start: number,
  end: number,
  parts: UpdateParts,
  ipv6NextHopForIpv4 = false,
  families = ALL_FAMILIES,
): void {
  clearMultiprotocol(parts)
  const withdrawnStart = start + HEADER_OCTETS + 2
  if (withdrawnStart + 2 > end) throw malformed('UPDATE ends before its length fields (RFC 7606 §3 a)')
  const withdrawnEnd = withdrawnStart + ((buffer[withdrawnStart - 2]! << 8) | buffer[withdrawnStart - 1]!)
  if (withdrawnEnd + 2 > end) throw malformed('Withdrawn Routes Length does not fit into the UPDATE (RFC 7606 §3 a)')
  const attributesStart = withdrawnEnd + 2
  const attributesEnd = attributesStart + ((buffer[withdrawnEnd]! << 8) | buffer[withdrawnEnd + 1]!)
  if (attributesEnd > end) throw malformed('Total Path Attribute Length does not fit into the UPDATE (RFC 7606 §3 a)')
  parts.withdrawnStart = withdrawnStart
  parts.withdrawnEnd = withdrawnEnd
  parts.attributesStart = attributesStart
  parts.attributesEnd = attributesEnd
  parts.nlriStart = attributesEnd
  parts.nlriEnd = end
  walkAttributes(buffer, parts, ipv6NextHopForIpv4, families)
  const fault = parts.fault
  if (fault !== null && !hasReachable(parts) && !onlyMpUnreach(parts)) throw missingNlriReset(fault)
}

/** The family whose End-of-RIB this UPDATE is (RFC 4724 §2), else undefined. */
export function isEndOfRib(parts: UpdateParts): Family | undefined {
  if (parts.withdrawnEnd !== parts.withdrawnStart || parts.nlriEnd !== parts.nlriStart) return undefined
  if (parts.attributesEnd === parts.attributesStart) return Family.IPV4_UNICAST
  if (!onlyMpUnreach(parts) || parts.mpUnreachNlriEnd !== parts.mpUnreachNlriStart) return undefined
  return familyOf(parts.mpUnreachAfi, parts.mpUnreachSafi)
}

/** Announces something: IPv4 NLRI, or NLRI of any family in MP_REACH_NLRI. */
export function hasReachable(parts: UpdateParts): boolean {
  return parts.nlriEnd > parts.nlriStart || parts.mpReachNlriEnd > parts.mpReachNlriStart
}

/** MP_UNREACH_NLRI is the only attribute. */
export function onlyMpUnreach(parts: UpdateParts): boolean {
  return parts.mpUnreachAttributeStart === parts.attributesStart && parts.mpUnreachAttributeEnd === parts.attributesEnd
}

/** RFC 7606 §5.2: a fault stronger than attribute discard in an UPDATE with attributes but no reachable NLRI resets the session. */
export function missingNlriReset(fault: AttributeFault): NotificationError {
  const { what } = splitReason(fault.reason)
  return malformed(`${what}, in an UPDATE without reachable NLRI (RFC 7606 §5.2)`, fault.attribute)
}

function clearMultiprotocol(parts: UpdateParts): void {
  parts.mpReachNextHopStart = -1
  parts.mpReachNextHopEnd = -1
  parts.mpReachNlriStart = -1
  parts.mpReachNlriEnd = -1
  parts.mpReachAttributeStart = -1
  parts.mpReachAttributeEnd = -1
  parts.mpUnreachNlriStart = -1
  parts.mpUnreachNlriEnd = -1
  parts.mpUnreachAttributeStart = -1
  parts.mpUnreachAttributeEnd = -1
  parts.fault = null
}

function walkAttributes(buffer: Uint8Array, parts: UpdateParts, ipv6NextHopForIpv4: boolean, families: number): void {
  const end = parts.attributesEnd
  let at = parts.attributesStart
  while (at < end) {
    const headerEnd = at + ((buffer[at]! & Flags.EXTENDED_LENGTH) === 0 ? 3 : 4)
    if (headerEnd > end) {
      parts.fault = framingFault(at + 1 < end ? buffer[at + 1]! : -1, 'header overruns the attribute block')
      return
    }
    const type = buffer[at + 1]!
    const length = headerEnd - at === 3 ? buffer[at + 2]! : (buffer[at + 2]! << 8) | buffer[at + 3]!
    const valueEnd = headerEnd + length
    if (valueEnd > end) {
      parts.fault = framingFault(type, `length ${length} overruns the attribute block`)
      return
    }
    if (type === AttributeType.MP_REACH_NLRI) {
      locateReach(buffer, at, headerEnd, valueEnd, parts, ipv6NextHopForIpv4, families)
    } else if (type === AttributeType.MP_UNREACH_NLRI) {
      locateUnreach(buffer, at, headerEnd, valueEnd, parts)
    }
    at = valueEnd
  }
}

/** AFI 2, SAFI 1, length of next hop 1, next hop, reserved 1, NLRI (RFC 4760 §3). */
function locateReach(
  buffer: Uint8Array,
  at: number,
  start: number,
  end: number,
  parts: UpdateParts,
  ipv6NextHopForIpv4: boolean,
  families: number,
): void {
  if (parts.mpReachAttributeStart >= 0)
    throw malformed('two MP_REACH_NLRI attributes (RFC 7606 §3 g)', AttributeType.MP_REACH_NLRI)
  if (start + 3 > end) throw optionalError(buffer, at, end, 'MP_REACH_NLRI is shorter than its fixed fields')
  const afi = (buffer[start]! << 8) | buffer[start + 1]!
  const safi = buffer[start + 2]!
  const family = familyOf(afi, safi)
  const used = family !== undefined && (families & (1 << family)) !== 0
  if (start + 5 > end && used) throw optionalError(buffer, at, end, 'MP_REACH_NLRI is shorter than its fixed fields')
  const length = start + 3 < end ? buffer[start + 3]! : 0
  let nextHopEnd = start + 4 + length
  if (nextHopEnd + 1 > end) {
    if (used) throw optionalError(buffer, at, end, 'the next hop overruns MP_REACH_NLRI')
    nextHopEnd = start + 3
  }
  const legal =
    !used ||
    (family === Family.IPV4_UNICAST && length === 4) ||
    ((family === Family.IPV6_UNICAST || ipv6NextHopForIpv4) && (length === 16 || length === 32))
  if (!legal) throw optionalError(buffer, at, end, `next hop length ${length} is wrong for AFI ${afi} SAFI ${safi}`)
  checkFlags(buffer[at]!, AttributeType.MP_REACH_NLRI, parts)
  parts.mpReachAfi = afi
  parts.mpReachSafi = safi
  parts.mpReachNextHopStart = Math.min(start + 4, nextHopEnd)
  parts.mpReachNextHopEnd = nextHopEnd
  parts.mpReachNlriStart = Math.min(nextHopEnd + 1, end)
  parts.mpReachNlriEnd = end
  parts.mpReachAttributeStart = at
  parts.mpReachAttributeEnd = end
}

/** AFI 2, SAFI 1, withdrawn NLRI (RFC 4760 §4). */
function locateUnreach(buffer: Uint8Array, at: number, start: number, end: number, parts: UpdateParts): void {
  if (parts.mpUnreachAttributeStart >= 0)
    throw malformed('two MP_UNREACH_NLRI attributes (RFC 7606 §3 g)', AttributeType.MP_UNREACH_NLRI)
  if (start + 3 > end) throw optionalError(buffer, at, end, 'MP_UNREACH_NLRI is shorter than its fixed fields')
  checkFlags(buffer[at]!, AttributeType.MP_UNREACH_NLRI, parts)
  parts.mpUnreachAfi = (buffer[start]! << 8) | buffer[start + 1]!
  parts.mpUnreachSafi = buffer[start + 2]!
  parts.mpUnreachNlriStart = start + 3
  parts.mpUnreachNlriEnd = end
  parts.mpUnreachAttributeStart = at
  parts.mpUnreachAttributeEnd = end
}

/** Both are optional and non-transitive. */
function checkFlags(flags: number, attribute: number, parts: UpdateParts): void {
  if ((flags & (Flags.OPTIONAL | Flags.TRANSITIVE)) === Flags.OPTIONAL || parts.fault !== null) return
  const reason = `${attributeName(attribute)} has wrong flags 0x${flags.toString(16)} (RFC 7606 §3 c)`
  parts.fault = { approach: 'treat-as-withdraw', attribute, reason }
}

function framingFault(attribute: number, what: string): AttributeFault {
  const name = attribute < 0 ? 'attribute' : attributeName(attribute)
  return { approach: 'treat-as-withdraw', attribute, reason: `${name}: ${what} (RFC 7606 §4)`, cut: true }
}

/** UPDATE Message Error, Malformed Attribute List. */
function malformed(reason: string, attribute = -1): NotificationError {
  return new NotificationError(3, 1, reason, NO_DATA, attribute)
}

/** UPDATE Message Error, Optional Attribute Error; its data is the attribute (RFC 4271 §6.3, RFC 4760 §7). */
function optionalError(buffer: Uint8Array, at: number, end: number, reason: string): NotificationError {
  const data = Uint8Array.from(buffer.subarray(at, end))
  return new NotificationError(3, 9, `${reason} (RFC 7606 §7.11)`, data, buffer[at + 1]!)
}

/** Bit n for every family there is. */
const ALL_FAMILIES = 0xff
