/**
 * Our OPEN, and what the peer's OPEN must be for the session to go on (RFC 4271 §6.2, RFC 5492 §5, RFC 6286 §2.1, RFC 6793 §4.1, RFC 7607).
 * Decoding has already refused what no OPEN may hold (version, optional parameters, AS 0, hold time 1 and 2, identifier 0).
 */

import { formatIpv4, octetsOfU32 } from '../net/address.js'
import { Family, familyRow } from '../net/family.js'
import { localCapabilities, negotiate } from './capabilities/negotiate.js'
import { type CapabilityOffer, NO_OFFER, Role, roleName, rolesOf } from './capabilities/offer.js'
import { NotificationError } from './errors.js'
import type { Negotiated, OpenMessage } from './message/message.js'
import type { OpenFields } from './message/open.js'

export interface OpenSettings {
  /** Our AS towards this peer. */
  readonly asn: number
  /** Our BGP Identifier, u32. */
  readonly routerId: number
  readonly peerAsn: number
  readonly families: readonly Family[]
  readonly holdTimeSeconds: number
  readonly keepaliveSeconds: number
  /** False for a peer that refused optional parameters (2/4): plain RFC 4271, IPv4 unicast only. */
  readonly sendCapabilities: boolean
  /** Absent: nothing beyond families, route refresh and 4-octet AS numbers. */
  readonly offer?: CapabilityOffer
  /** A peer without a role is refused (RFC 9234 §4.2). */
  readonly roleStrict?: boolean
}

export function localOpen(settings: OpenSettings): OpenFields {
  const { asn, families, offer = NO_OFFER } = settings
  return {
    asn,
    holdTimeSeconds: settings.holdTimeSeconds,
    bgpId: settings.routerId,
    capabilities: settings.sendCapabilities ? localCapabilities({ asn, families, routeRefresh: true, offer }) : [],
  }
}

/** What both sides can do now. Throws NotificationError 2/x where the session cannot go on. */
export function acceptOpen(open: OpenMessage, settings: OpenSettings): Negotiated {
  checkOpen(open, settings)
  const { asn, holdTimeSeconds, keepaliveSeconds, sendCapabilities } = settings
  // What an OPEN without capabilities offers (RFC 4760 §8).
  const families = sendCapabilities ? settings.families : settings.families.filter((f) => f === Family.IPV4_UNICAST)
  const offer = sendCapabilities ? (settings.offer ?? NO_OFFER) : NO_OFFER
  const local = { asn, families, routeRefresh: sendCapabilities, offer, holdTimeSeconds, keepaliveSeconds }
  const negotiated = negotiate(local, open)
  if (settings.peerAsn !== asn) checkRoles(rolesOf(open.capabilities), offer.role, settings.roleStrict === true)
  if (negotiated.families.length === 0) throw noCommonFamily(settings.families)
  return sendCapabilities ? negotiated : { ...negotiated, as4: false }
}

function checkOpen(open: OpenMessage, settings: OpenSettings): void {
  if (open.asn !== settings.peerAsn) {
    throw new NotificationError(
      2,
      2,
      `the peer is in AS ${open.asn}, configured is AS ${settings.peerAsn}: correct asn of this neighbor, or the peer`,
    )
  }
  if (open.asn === settings.asn && open.bgpId === settings.routerId) {
    throw new NotificationError(
      2,
      3,
      `the peer has our own BGP identifier ${formatIpv4(open.bgpId)} in our AS: give each speaker its own routerId`,
      octetsOfU32(open.bgpId),
    )
  }
}

/** RFC 9234 §4.2: both roles have to be the two ends of one relation. */
function checkRoles(theirs: readonly number[], ours: number | null, strict: boolean): void {
  if (theirs.length > 1) throw mismatch(`the peer claims several roles at once: ${theirs.map(roleName).join(', ')}`)
  if (ours === null) return
  const [peer] = theirs
  if (peer === undefined) {
    if (strict) throw mismatch(`the peer has no role, and roleStrict wants one; ours is ${roleName(ours)}`)
  } else if (peer !== OPPOSITE[ours]) {
    const wanted = roleName(OPPOSITE[ours]!)
    throw mismatch(`the peer has the role ${roleName(peer)}; ours is ${roleName(ours)}, so that it has to be ${wanted}`)
  }
}

function mismatch(reason: string): NotificationError {
  return new NotificationError(2, 11, `${reason} (RFC 9234 §4.2): correct role of this neighbor, or the peer`)
}

/** By role: the one of the other end. */
const OPPOSITE: Readonly<Record<number, number>> = Object.freeze({
  [Role.PROVIDER]: Role.CUSTOMER,
  [Role.CUSTOMER]: Role.PROVIDER,
  [Role.RS]: Role.RS_CLIENT,
  [Role.RS_CLIENT]: Role.RS,
  [Role.PEER]: Role.PEER,
})

/** RFC 5492 §5: the capabilities that were missing, as data: our families, when both sides have none in common. */
function noCommonFamily(families: readonly Family[]): NotificationError {
  const data = families.flatMap((family) => {
    const { afi, safi } = familyRow(family)
    return [1, 4, afi >> 8, afi & 255, 0, safi]
  })
  const names = families.map((family) => familyRow(family).name).join(', ')
  return new NotificationError(2, 7, `the peer offers none of the families ${names}`, Uint8Array.from(data))
}
