/**
 * Who hears a route, and what is changed on the way out (RFC 4271 §5, §9.2; RFC 4456 §6, §8).
 *
 * A client's route goes to clients, non-clients and external peers; a non-client's to clients and external peers; own and external routes to all.
 * Without a reflector role there are no clients, so internal routes go to external peers only.
 */
import { withoutRepeats } from '../bgp/attributes/lists.js'
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import type { Role } from '../bgp/capabilities/offer.js'
import { AttributeType } from '../bgp/iana.js'
import { CommunityBits } from '../rib/attribute-set.js'
import { copyOctets } from '../rib/copy-octets.js'
import { withGracefulShutdown } from '../rib/graceful-shutdown.js'
import type { AttributeEdits } from '../rib/policy-types.js'
import { SourceKind } from '../rib/source.js'
import { type AsPathRules, withOwnAs } from './as-path-rules.js'
import { toRouteServerClient } from './route-server.js'

export type PeerKind = typeof SourceKind.EBGP | typeof SourceKind.CLIENT | typeof SourceKind.NON_CLIENT

export function mayAdvertise(source: SourceKind, target: PeerKind): boolean {
  return source !== SourceKind.NON_CLIENT || target !== SourceKind.NON_CLIENT
}

/** A well-known community of the route forbids this export (RFC 1997). */
export function communityForbids(communityBits: number, target: PeerKind): boolean {
  if (communityBits === 0) return false
  if ((communityBits & CommunityBits.NO_ADVERTISE) !== 0) return true
  return (
    target === SourceKind.EBGP && (communityBits & (CommunityBits.NO_EXPORT | CommunityBits.NO_EXPORT_SUBCONFED)) !== 0
  )
}

/**
 * A long-lived stale route and a peer without the capability (RFC 9494 §4.6, partial deployment): not at all to external peers; internal ones hear it as the last
 * resort within the AS.
 */
export function longLivedForbids(communityBits: number, rules: ExportRules): boolean {
  return (communityBits & CommunityBits.LLGR_STALE) !== 0 && !rules.longLived && rules.kind === SourceKind.EBGP
}

/** The same for the internal peers: with NO_EXPORT and LOCAL_PREF 0. */
export function asLastResort(attributes: PathAttributes): PathAttributes {
  const before = attributes.communities ?? EMPTY
  const communities = new Uint8Array(before.length + 4)
  communities.set(before)
  communities.set([0xff, 0xff, 0xff, 1], before.length)
  return { ...attributes, localPref: 0, communities }
}

/** What an update group does to the routes it sends; the same for all its members. */
export interface ExportRules {
  readonly kind: PeerKind
  /** The AS that the peers take us for. */
  readonly localAsn: number
  /** u32: ours, in front of CLUSTER_LIST. */
  readonly clusterId: number
  /** 4 or 16 octets: the session's own address in this family; null where there is none. */
  readonly selfNextHop: Uint8Array | null
  /** The subnet that an external session runs over; null when it is not known (multihop). Next hops in it stay (RFC 4271 §5.1.3, third party). */
  readonly sharedSubnet: Subnet | null
  readonly nextHopSelf: boolean
  readonly nextHopKeep: boolean
  readonly sendCommunities: boolean
  /** What we are for these external peers (RFC 9234); null: nothing agreed. */
  readonly role: Role | null
  readonly asPath: AsPathRules
  /** RFC 7947: the peers are clients of this route server. */
  readonly routeServerClient: boolean
  /** False: the Tunnel Encapsulation attribute stays here (RFC 9012 §11). */
  readonly tunnelEncapsulation: boolean
  /** Everything goes out as the last choice (RFC 8326). */
  readonly gracefulShutdown: boolean
  /** The peers take long-lived stale routes (RFC 9494); absent: they do not. */
  readonly longLived?: boolean
}

export interface Subnet {
  /** 4 or 16 octets. */
  readonly address: Uint8Array
  readonly length: number
}

/** Where the route came from, as far as the outgoing attributes depend on it. */
export interface ExportSource {
  readonly kind: SourceKind
  /** u32: becomes ORIGINATOR_ID where there is none (RFC 4456 §8). */
  readonly bgpId: number
}

/** The attributes as the group sends them. `edits`, of the export policy, are applied already; they are passed for what they fix. */
export function outgoingAttributes(
  attributes: PathAttributes,
  source: ExportSource,
  rules: ExportRules,
  edits: AttributeEdits | null,
): PathAttributes {
  const out =
    rules.kind !== SourceKind.EBGP
      ? toInternal(attributes, source, rules, edits)
      : rules.routeServerClient
        ? toRouteServerClient(attributes, source, rules)
        : toExternal(attributes, source, rules, edits)
  const scoped = rules.tunnelEncapsulation ? out : withoutTunnels(out)
  const sent = rules.sendCommunities
    ? scoped
    : { ...scoped, communities: null, extCommunities: null, largeCommunities: null }
  return rules.gracefulShutdown ? withGracefulShutdown(sent, rules.kind !== SourceKind.EBGP) : sent
}

function withoutTunnels(attributes: PathAttributes): PathAttributes {
  const others = attributes.others.filter(({ type }) => type !== AttributeType.TUNNEL_ENCAPSULATION)
  return others.length === attributes.others.length ? attributes : { ...attributes, others }
}

function toExternal(
  attributes: PathAttributes,
  source: ExportSource,
  rules: ExportRules,
  edits: AttributeEdits | null,
): PathAttributes {
  const keepsMed = source.kind === SourceKind.LOCAL || (edits !== null && edits.med !== null)
  const keepsNextHop =
    rules.nextHopKeep ||
    edits?.nextHop != null ||
    (source.kind === SourceKind.LOCAL && attributes.nextHop !== null) ||
    (!rules.nextHopSelf && attributes.nextHop !== null && isIn(rules.sharedSubnet, attributes.nextHop))
  return {
    ...attributes,
    asPath: withOwnAs(attributes.asPath ?? EMPTY, rules.asPath, rules.localAsn),
    nextHop: keepsNextHop ? (attributes.nextHop ?? rules.selfNextHop) : rules.selfNextHop,
    med: keepsMed ? attributes.med : -1,
    localPref: -1,
    originatorId: -1,
    clusterList: null,
    extCommunities: attributes.extCommunities === null ? null : transitiveOnly(attributes.extCommunities),
  }
}

function toInternal(
  attributes: PathAttributes,
  source: ExportSource,
  rules: ExportRules,
  edits: AttributeEdits | null,
): PathAttributes {
  const localPref = attributes.localPref < 0 ? DEFAULT_LOCAL_PREF : attributes.localPref
  const asPath = attributes.asPath ?? EMPTY
  const internal = source.kind === SourceKind.CLIENT || source.kind === SourceKind.NON_CLIENT
  if (!internal) {
    const self =
      attributes.nextHop === null || (rules.nextHopSelf && source.kind === SourceKind.EBGP && edits?.nextHop == null)
    return { ...attributes, asPath, localPref, nextHop: self ? rules.selfNextHop : attributes.nextHop }
  }
  return {
    ...attributes,
    asPath,
    localPref,
    originatorId: attributes.originatorId >= 0 ? attributes.originatorId : source.bgpId,
    clusterList: prependCluster(attributes.clusterList, rules.clusterId),
  }
}

function isIn(subnet: Subnet | null, address: Uint8Array): boolean {
  if (subnet === null || subnet.address.length !== address.length) return false
  for (let at = 0, left = subnet.length; left > 0; at++, left -= 8) {
    const mask = left >= 8 ? 0xff : 0xff << (8 - left)
    if (((subnet.address[at]! ^ address[at]!) & mask) !== 0) return false
  }
  return true
}

export function prependCluster(list: Uint8Array | null, clusterId: number): Uint8Array {
  const out = new Uint8Array(4 + (list?.length ?? 0))
  out[0] = clusterId >>> 24
  out[1] = clusterId >>> 16
  out[2] = clusterId >>> 8
  out[3] = clusterId
  if (list !== null) out.set(list, 4)
  return out
}

/** Extended communities whose type does not have the non-transitive bit (RFC 4360 §2, §6); null when none is left. */
function transitiveOnly(communities: Uint8Array): Uint8Array | null {
  const kept: number[] = []
  for (let at = 0; at + 8 <= communities.length; at += 8) {
    if ((communities[at]! & 0x40) === 0) for (let i = 0; i < 8; i++) kept.push(communities[at + i]!)
  }
  return kept.length === 0 ? null : Uint8Array.from(kept)
}

/**
 * The short cut for a reflected route with nothing unusual: its octets with ORIGINATOR_ID and CLUSTER_LIST put in their places, without decoding.
 * Reads octets[start, stop), writes into `target` and returns the length, or -1 where the octets are not in the canonical form that the encoder would give them.
 * It replaces decode, change and encode.
 */
export function reflectOctets(
  octets: Uint8Array,
  originatorId: number,
  clusterId: number,
  target: Uint8Array,
  start = 0,
  stop = octets.length,
): number {
  let out = 0
  let last = 0
  let hasLocalPref = false
  let originatorDone = false
  let clusterDone = false
  let at = start
  // Not copied yet: octets[from, at).
  let from = start
  while (at < stop) {
    const flags = octets[at]!
    const type = octets[at + 1]!
    if (type <= last || type > 32 || CANONICAL_FLAGS[type] === 0 || (flags & 0xef) !== CANONICAL_FLAGS[type]) return -1
    const extended = (flags & 0x10) !== 0
    const length = extended ? (octets[at + 2]! << 8) | octets[at + 3]! : octets[at + 2]!
    if (extended && length < 256) return -1
    const end = at + (extended ? 4 : 3) + length
    if (end > stop) return -1
    if (type === 5) hasLocalPref = true
    // Repeated large communities are not sent (RFC 8092 §5); the decoder drops them.
    if (type === 32 && withoutRepeats(octets.subarray(end - length, end), 12).length !== length) return -1
    if (type >= 9 && (!originatorDone || !clusterDone)) {
      copyOctets(octets, from, at - from, target, out)
      out += at - from
      from = at
      if (!originatorDone && type !== 9) out = writeOriginator(originatorId, target, out)
      originatorDone = true
      if (type === 10) {
        if (extended || length > 251) return -1
        out = writeCluster(clusterId, octets, at + 3, end, target, out)
        clusterDone = true
        from = end
      } else if (type > 10) {
        out = writeCluster(clusterId, octets, 0, 0, target, out)
        clusterDone = true
      }
    }
    last = type
    at = end
  }
  if (!hasLocalPref) return -1
  copyOctets(octets, from, at - from, target, out)
  out += at - from
  if (!originatorDone) out = writeOriginator(originatorId, target, out)
  if (!clusterDone) out = writeCluster(clusterId, octets, 0, 0, target, out)
  return out
}

function writeOriginator(id: number, target: Uint8Array, at: number): number {
  target[at++] = 0x80
  target[at++] = 9
  target[at++] = 4
  return writeWord(id, target, at)
}

function writeCluster(id: number, list: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  target[at++] = 0x80
  target[at++] = 10
  target[at++] = 4 + to - from
  at = writeWord(id, target, at)
  for (let i = from; i < to; i++) target[at++] = list[i]!
  return at
}

function writeWord(word: number, target: Uint8Array, at: number): number {
  target[at] = word >>> 24
  target[at + 1] = word >>> 16
  target[at + 2] = word >>> 8
  target[at + 3] = word
  return at + 4
}

const EMPTY = new Uint8Array(0)
const DEFAULT_LOCAL_PREF = 100
/** Flags as the encoder writes them, by type; 0: not one that goes through untouched. */
const CANONICAL_FLAGS = new Uint8Array(33)
for (const type of [1, 2, 3, 5, 6]) CANONICAL_FLAGS[type] = 0x40
for (const type of [4, 9, 10]) CANONICAL_FLAGS[type] = 0x80
for (const type of [7, 8, 16, 32]) CANONICAL_FLAGS[type] = 0xc0
