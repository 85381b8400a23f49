/**
 * The quick way to judge an attribute block: one pass over the octets of a block in which everything is as an RFC 4271 speaker with 4-octet AS numbers sends it.
 * Whatever is unusual (other flags, lengths, types, values, repetitions) is left to decodePathAttributes, so that the rules of RFC 7606 stand in one place.
 *
 * It replaces the decoding of each set never seen before into an object: 81 ns instead of 2.1 µs a block
 * (`npm run bench -- decode`). A property test holds it equal to the decoder.
 */
import type { AttributeSet } from './attribute-set.js'
import { CommunityBits, packSizes } from './attribute-set.js'
import type { StoreIdentity } from './attribute-store.js'

/** Where NEXT_HOP lies after a successful scan; -1 when the block has none. */
export interface ScanResult {
  nextHopAt: number
}

/**
 * Fills the fields of `set` from octets[start, end) of an internal (`ebgp` false) or external peer. False: nothing was filled, decode it.
 */
export function scanAttributes(
  octets: Uint8Array,
  start: number,
  end: number,
  ebgp: boolean,
  identity: StoreIdentity,
  set: AttributeSet,
  result: ScanResult,
): boolean {
  let present = 0
  let origin = 2
  let asPathAt = -1
  let asPathEnd = -1
  let nextHopAt = -1
  let med = 0
  let localPref = 100
  let originatorId = 0
  let communitiesAt = -1
  let communitiesEnd = -1
  let extCommunities = 0
  let clustersAt = -1
  let clustersEnd = -1
  let at = start
  while (at < end) {
    const flags = octets[at]!
    const type = octets[at + 1]!
    if (at + 3 > end || type > 16 || type === 0) return false
    const length = octets[at + 2]!
    const value = at + 3
    at = value + length
    const bit = 1 << type
    if (at > end || (present & bit) !== 0 || flags !== FLAGS[type]) return false
    present |= bit
    switch (type) {
      case 1:
        origin = octets[value]!
        if (length !== 1 || origin > 2) return false
        break
      case 2:
        asPathAt = value
        asPathEnd = at
        break
      case 3:
        if (length !== 4 || octets[value] === 0 || octets[value] === 127 || octets[value]! >= 224) return false
        nextHopAt = value
        break
      case 4:
        if (length !== 4) return false
        med = word(octets, value)
        break
      case 5:
        if (length !== 4 || ebgp) return false
        localPref = word(octets, value)
        break
      case 6:
        if (length !== 0) return false
        break
      case 8:
        if (length === 0 || (length & 3) !== 0) return false
        communitiesAt = value
        communitiesEnd = at
        break
      case 9:
        if (length !== 4 || ebgp) return false
        originatorId = word(octets, value)
        break
      case 10:
        if (length === 0 || (length & 3) !== 0 || ebgp) return false
        clustersAt = value
        clustersEnd = at
        break
      case 16:
        if (length === 0 || (length & 7) !== 0) return false
        extCommunities = length >> 3
        break
      default:
        return false
    }
  }
  if (asPathAt !== -1 && !scanAsPath(octets, asPathAt, asPathEnd, identity.asn | 0, set)) return false
  set.present = present
  set.origin = origin
  set.med = med
  set.localPref = localPref
  if ((present & (1 << 9)) !== 0) {
    set.hasOriginator = true
    set.originatorId = originatorId
    set.loopsOriginator = originatorId === (identity.routerId | 0)
  }
  if (clustersAt !== -1) {
    set.clusterLength = (clustersEnd - clustersAt) >> 2
    if (identity.clusterId !== null) {
      const own = identity.clusterId | 0
      for (let i = clustersAt; i < clustersEnd; i += 4) if (word(octets, i) === own) set.loopsCluster = true
    }
  }
  if (communitiesAt !== -1) set.communityBits = communityBits(octets, communitiesAt, communitiesEnd)
  // Sequences only: the hops are the AS numbers.
  set.sizes = packSizes(set.asPathLength, ((communitiesEnd - communitiesAt) >> 2) + extCommunities, false)
  result.nextHopAt = nextHopAt
  return true
}

/** AS_SEQUENCE segments of 4-octet AS numbers, none of them 0. Fills length, neighbour AS and our own count. */
function scanAsPath(octets: Uint8Array, start: number, end: number, ownAsn: number, set: AttributeSet): boolean {
  let length = 0
  let own = 0
  let at = start
  while (at < end) {
    if (at + 2 > end || octets[at] !== 2 || octets[at + 1] === 0) return false
    const count = octets[at + 1]!
    at += 2
    if (at + count * 4 > end) return false
    for (const segmentEnd = at + count * 4; at < segmentEnd; at += 4) {
      const asn = word(octets, at)
      if (asn === 0) return false
      if (asn === ownAsn) own++
    }
    length += count
  }
  set.asPathLength = length
  set.neighborAs = length === 0 ? 0 : word(octets, start + 2)
  set.ownAsCount = own
  return true
}

export function communityBits(octets: Uint8Array, start: number, end: number): number {
  let bits = 0
  for (let at = start; at + 4 <= end; at += 4) {
    if (octets[at] !== 0xff || octets[at + 1] !== 0xff) continue
    if (octets[at + 2] !== 0xff) {
      if (octets[at + 2] !== 0) continue
      if (octets[at + 3] === 0) bits |= CommunityBits.GRACEFUL_SHUTDOWN
      else if (octets[at + 3] === 6) bits |= CommunityBits.LLGR_STALE
      else if (octets[at + 3] === 7) bits |= CommunityBits.NO_LLGR
      continue
    }
    if (octets[at + 3] === 1) bits |= CommunityBits.NO_EXPORT
    else if (octets[at + 3] === 2) bits |= CommunityBits.NO_ADVERTISE
    else if (octets[at + 3] === 3) bits |= CommunityBits.NO_EXPORT_SUBCONFED
  }
  return bits
}

function word(octets: Uint8Array, at: number): number {
  return (octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!
}

/** Flags that a type has to have, by type; 255 where the quick way does not know it. */
const FLAGS = new Uint8Array(17).fill(255)
for (const type of [1, 2, 3, 5, 6]) FLAGS[type] = 0x40
for (const type of [4, 9, 10]) FLAGS[type] = 0x80
for (const type of [8, 16]) FLAGS[type] = 0xc0
