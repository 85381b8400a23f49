/**
 * What this speaker offers in its OPEN, and what both ends can do once the peer's OPEN is there (RFC 5492, 4760 §8, 6793, 2918).
 */
import { Family, familyOf, familyRow } from '../../net/family.js'
import { CapabilityCode } from '../iana.js'
import type { Capability, LocalCapabilities, Negotiated, OpenMessage } from '../message/message.js'
import { EXTENDED_MESSAGE_OCTETS, MAX_MESSAGE_OCTETS } from '../wire/header.js'
import { type CapabilityOffer, encodeOffer, NO_OFFER, readOffer } from './offer.js'

export interface LocalOffer extends LocalCapabilities {
  readonly holdTimeSeconds: number
  /** 0: a third of the negotiated hold time. */
  readonly keepaliveSeconds: number
}

export function localCapabilities(local: LocalCapabilities): Capability[] {
  const capabilities: Capability[] = local.families.map((family) => {
    const { afi, safi } = familyRow(family)
    return { code: CapabilityCode.MULTIPROTOCOL, value: Uint8Array.of(afi >> 8, afi & 255, 0, safi) }
  })
  if (local.routeRefresh) capabilities.push({ code: CapabilityCode.ROUTE_REFRESH, value: new Uint8Array(0) })
  const asn = new Uint8Array(4)
  new DataView(asn.buffer).setUint32(0, local.asn)
  capabilities.push({ code: CapabilityCode.FOUR_OCTET_AS, value: asn })
  if (local.offer !== undefined) capabilities.push(...encodeOffer(local.offer))
  return capabilities
}

export function negotiate(local: LocalOffer, open: OpenMessage): Negotiated {
  const offered = familiesOf(open)
  const codes = new Set(open.capabilities.map((capability) => capability.code))
  const holdTimeSeconds = Math.min(local.holdTimeSeconds, open.holdTimeSeconds)
  const families = local.families.filter((family) => offered.has(family))
  const ours = local.offer ?? NO_OFFER
  const theirs = readOffer(open.capabilities)
  const extended = ours.extendedMessages && theirs.extendedMessages
  return {
    families,
    as4: codes.has(CapabilityCode.FOUR_OCTET_AS),
    routeRefresh:
      local.routeRefresh && (codes.has(CapabilityCode.ROUTE_REFRESH) || codes.has(CapabilityCode.CISCO_ROUTE_REFRESH)),
    maxMessageOctets: extended ? EXTENDED_MESSAGE_OCTETS : MAX_MESSAGE_OCTETS,
    enhancedRefresh: ours.enhancedRefresh && theirs.enhancedRefresh,
    extendedNextHop: ours.extendedNextHop && theirs.extendedNextHop,
    linkLocalNextHop: ours.linkLocalNextHop && theirs.linkLocalNextHop,
    addPathReceive: addPathBits(families, ours, theirs),
    addPathSend: addPathBits(families, theirs, ours),
    gracefulRestart: ours.gracefulRestart === null ? null : theirs.gracefulRestart,
    gracefulNotification: ours.gracefulRestart?.notification === true && theirs.gracefulRestart?.notification === true,
    longLived: ours.longLived.length === 0 ? [] : theirs.longLived,
    hostname: theirs.hostname,
    peerRole: theirs.role,
    holdTimeSeconds,
    keepaliveSeconds: keepaliveSeconds(local.keepaliveSeconds, holdTimeSeconds),
    peerAsn: open.asn,
    peerBgpId: open.bgpId,
    peerCapabilities: open.capabilities,
  }
}

/** Bit n for each family in which `sender` sends several paths and `receiver` wants them (RFC 7911 §4). */
function addPathBits(families: readonly Family[], receiver: CapabilityOffer, sender: CapabilityOffer): number {
  let bits = 0
  for (const family of families) {
    const wanted = receiver.addPath.some((entry) => entry.family === family && entry.receive)
    if (wanted && sender.addPath.some((entry) => entry.family === family && entry.send)) bits |= 1 << family
  }
  return bits
}

/** A third of the hold time (RFC 4271 §10), less where configured; never 0 while there is a hold time. */
function keepaliveSeconds(configured: number, holdTimeSeconds: number): number {
  if (holdTimeSeconds === 0) return 0
  const third = Math.max(1, Math.floor(holdTimeSeconds / 3))
  return configured > 0 ? Math.min(configured, third) : third
}

/** A peer without any multiprotocol capability has IPv4 unicast; one with some has only those (RFC 4760 §8). */
function familiesOf(open: OpenMessage): ReadonlySet<Family> {
  const multiprotocol = open.capabilities.filter((capability) => capability.code === CapabilityCode.MULTIPROTOCOL)
  if (multiprotocol.length === 0) return new Set([Family.IPV4_UNICAST])
  const families = new Set<Family>()
  for (const { value } of multiprotocol) {
    const family = value.length === 4 ? familyOf((value[0]! << 8) | value[1]!, value[3]!) : undefined
    if (family !== undefined) families.add(family)
  }
  return families
}
