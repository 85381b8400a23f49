/**
 * The BGP messages as values (RFC 4271 §4; RFC 2918 §3). UPDATE has no object form in the speaker: its bytes go from the framer to the
 * RIB (src/bgp/message/update.ts cuts them), objects are only made for people (`nodebgp decode`).
 */
import type { Family } from '../../net/family.js'
import type { CapabilityOffer, GracefulRestartOffer, LongLivedFamily } from '../capabilities/offer.js'

export const MessageType = Object.freeze({
  OPEN: 1,
  UPDATE: 2,
  NOTIFICATION: 3,
  KEEPALIVE: 4,
  ROUTE_REFRESH: 5,
} as const)

export { EXTENDED_MESSAGE_OCTETS, HEADER_OCTETS, MAX_MESSAGE_OCTETS } from '../wire/header.js'

/** A capability as on the wire (RFC 5492 §4), with the fields of the known ones decoded. */
export interface Capability {
  readonly code: number
  readonly value: Uint8Array
}

export interface OpenMessage {
  readonly type: 'open'
  readonly version: number
  /** The 2-octet My Autonomous System field; AS_TRANS (23456) when the real one does not fit. */
  readonly myAs: number
  /** The sender's AS: from the 4-octet AS capability when present, else myAs. */
  readonly asn: number
  readonly holdTimeSeconds: number
  /** u32. */
  readonly bgpId: number
  readonly capabilities: readonly Capability[]
}

export interface NotificationMessage {
  readonly type: 'notification'
  readonly code: number
  readonly subcode: number
  readonly data: Uint8Array
}

export interface KeepaliveMessage {
  readonly type: 'keepalive'
}

export interface RouteRefreshMessage {
  readonly type: 'route-refresh'
  readonly afi: number
  /** RFC 7313: 0 request, 1 BoRR, 2 EoRR. */
  readonly subtype: number
  readonly safi: number
}

/** What a session offers in its OPEN. */
export interface LocalCapabilities {
  readonly asn: number
  readonly families: readonly Family[]
  readonly routeRefresh: boolean
  /** Absent: nothing beyond the above. */
  readonly offer?: CapabilityOffer
}

/** What both ends can do, computed once when both OPENs are there (src/bgp/capabilities/negotiate.ts). */
export interface Negotiated {
  /** The families both sides offered (a peer without any multiprotocol capability has IPv4 unicast, RFC 4760 §8). */
  readonly families: readonly Family[]
  readonly as4: boolean
  readonly routeRefresh: boolean
  /** Message limit in both directions, octets: 4096, or 65535 (RFC 8654). */
  readonly maxMessageOctets: number
  /** BoRR and EoRR mark a refresh (RFC 7313). */
  readonly enhancedRefresh: boolean
  /** IPv4 unicast goes in MP attributes with IPv6 next hops (RFC 8950). */
  readonly extendedNextHop: boolean
  readonly linkLocalNextHop: boolean
  /** Bit n: the NLRI of family n that the peer sends carry path identifiers (RFC 7911). */
  readonly addPathReceive: number
  /** Bit n: those that we send do. */
  readonly addPathSend: number
  /** The peer's capability 64; null where one side has none. */
  readonly gracefulRestart: GracefulRestartOffer | null
  /** The N bit on both sides: NOTIFICATIONs and hold timer expiry are graceful, too (RFC 8538 §2). */
  readonly gracefulNotification: boolean
  /** The peer's capability 71; empty where one side has none. */
  readonly longLived: readonly LongLivedFamily[]
  /** Printable; empty where the peer told none (capability 73). */
  readonly hostname: string
  /** RFC 9234; null where the peer told none. */
  readonly peerRole: number | null
  /** min of both, seconds; 0 = no keepalives (RFC 4271 §4.2). */
  readonly holdTimeSeconds: number
  readonly keepaliveSeconds: number
  readonly peerAsn: number
  /** u32. */
  readonly peerBgpId: number
  readonly peerCapabilities: readonly Capability[]
}
