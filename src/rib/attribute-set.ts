/**
 * An interned attribute block: what the decision and the reflector read of it, as integers. The octets lie in the store's arena.
 */
import type { AttributeFault } from '../bgp/errors.js'

/** Bits of AttributeSet.decodeClass: what the octets depend on besides themselves. */
export const DecodeBits = Object.freeze({ AS4: 1, EBGP: 2, MP_NEXT_HOP: 4 } as const)

/** Well-known communities that forbid an export (RFC 1997; RFC 8326 is the policy's business). */
export const CommunityBits = Object.freeze({ NO_EXPORT: 1, NO_ADVERTISE: 2, NO_EXPORT_SUBCONFED: 4 } as const)

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
}
