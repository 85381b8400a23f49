/**
 * An interned attribute block: what the decision and the reflector read of it, as integers. The octets lie in the store's arena.
 */
import type { AttributeFault } from '../bgp/errors.js'

/** Bits of AttributeSet.decodeClass: what the octets depend on besides themselves. */
export const DecodeBits = Object.freeze({ AS4: 1, EBGP: 2, MP_NEXT_HOP: 4 } as const)

/**
 * Well-known communities that mean something to us: three forbid an export (RFC 1997), one says that the path is about to go (RFC 8326), two are of
 * long-lived graceful restart (RFC 9494 §3.2, §3.3).
 */
export const CommunityBits = Object.freeze({
  NO_EXPORT: 1,
  NO_ADVERTISE: 2,
  NO_EXPORT_SUBCONFED: 4,
  GRACEFUL_SHUTDOWN: 8,
  LLGR_STALE: 16,
  NO_LLGR: 32,
} as const)

/** How much of the attribute store one peer has filled: sets that came from it first and are not freed, in units. */
export class SetHolder {
  units = 0
}

/** A set counts one for each 512 octets begun, so that few huge ones weigh as much as many small ones. */
export function setUnits(octets: number): number {
  return 1 + (octets >>> 9)
}

/** Counts of a set in one integer: bit 30 AS_SETs, 16 bits AS numbers, 14 bits communities. A block has at most 65535 octets. */
export function packSizes(asNumbers: number, communities: number, asSets: boolean): number {
  return (asSets ? 1 << 30 : 0) | (asNumbers << 14) | communities
}

/** AS numbers in AS_PATH. */
export function asNumbersOf(set: AttributeSet): number {
  return (set.sizes >>> 14) & 0xffff
}

/** Communities of all kinds. */
export function communitiesOf(set: AttributeSet): number {
  return set.sizes & 0x3fff
}

/** AS_PATH or AS4_PATH has an AS_SET or AS_CONFED_SET. */
export function hasAsSets(set: AttributeSet): boolean {
  return set.sizes >= 1 << 30
}

/** u32 values are kept as int32 (`| 0`), so that V8 stores them without a heap number; read them with `>>> 0`. */
export class AttributeSet {
  id = 0
  refs = 0
  /** Waiting in the store's limbo for the end of the turn. */
  inLimbo = false
  decodeClass = 0
  address = 0
  attributeOctets = 0
  nextHopOctets = 0
  /** Strongest fault of these octets (RFC 7606), or null. */
  fault: AttributeFault | null = null
  /** Bit n: attribute n is there and usable. */
  present = 0
  /** u32 as int32; 100 when absent (RFC 4271 §9.1.1 leaves it to us; everybody takes 100). */
  localPref = 100
  /** u32 as int32; 0 when absent (RFC 4451 §2). */
  med = 0
  origin = 0
  asPathLength = 0
  /** First AS of the path, u32 as int32; 0 for the empty path. */
  neighborAs = 0
  hasOriginator = false
  originatorId = 0
  clusterLength = 0
  nextHopId = 0
  nextHopMartian = false
  /** How often our own AS stands in AS_PATH. */
  ownAsCount = 0
  loopsOriginator = false
  loopsCluster = false
  communityBits = 0
  /** packSizes() */
  sizes = 0
  /** Whose account the set is on. */
  holder: SetHolder | null = null
  /** Only to Customer (RFC 9234 §5), u32 as int32; 0 when absent. */
  otc = 0
}
