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

/**
 * u32 values are kept as int32 (`| 0`), so that V8 stores them without a heap number; read them with `>>> 0`. What needs a few bits shares one field: each field is
 * 8 octets that the collector copies twice (bench/README.md, 'What was tried').
 */
export class AttributeSet {
  id = 0
  refs = 0
  /** decodeClass, origin, communityBits and the five flags below. */
  #bits = 0
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
  asPathLength = 0
  /** First AS of the path, u32 as int32; 0 for the empty path. */
  neighborAs = 0
  originatorId = 0
  clusterLength = 0
  nextHopId = 0
  /** How often our own AS stands in AS_PATH. */
  ownAsCount = 0
  /** packSizes() */
  sizes = 0
  /** Whose account the set is on. */
  holder: SetHolder | null = null
  /** Only to Customer (RFC 9234 §5), u32 as int32; 0 when absent. */
  otc = 0

  /** DecodeBits. */
  get decodeClass(): number {
    return this.#bits & DECODE_MASK
  }
  set decodeClass(value: number) {
    this.#bits = (this.#bits & ~DECODE_MASK) | value
  }

  /** 0 to 2. */
  get origin(): number {
    return (this.#bits >>> ORIGIN_SHIFT) & ORIGIN_MASK
  }
  set origin(value: number) {
    this.#bits = (this.#bits & ~(ORIGIN_MASK << ORIGIN_SHIFT)) | (value << ORIGIN_SHIFT)
  }

  /** CommunityBits. */
  get communityBits(): number {
    return (this.#bits >>> COMMUNITY_SHIFT) & COMMUNITY_MASK
  }
  set communityBits(value: number) {
    this.#bits = (this.#bits & ~(COMMUNITY_MASK << COMMUNITY_SHIFT)) | (value << COMMUNITY_SHIFT)
  }

  /** Waiting in the store's limbo for the end of the turn. */
  get inLimbo(): boolean {
    return (this.#bits & IN_LIMBO) !== 0
  }
  set inLimbo(is: boolean) {
    this.#flag(IN_LIMBO, is)
  }

  get hasOriginator(): boolean {
    return (this.#bits & HAS_ORIGINATOR) !== 0
  }
  set hasOriginator(is: boolean) {
    this.#flag(HAS_ORIGINATOR, is)
  }

  get nextHopMartian(): boolean {
    return (this.#bits & NEXT_HOP_MARTIAN) !== 0
  }
  set nextHopMartian(is: boolean) {
    this.#flag(NEXT_HOP_MARTIAN, is)
  }

  get loopsOriginator(): boolean {
    return (this.#bits & LOOPS_ORIGINATOR) !== 0
  }
  set loopsOriginator(is: boolean) {
    this.#flag(LOOPS_ORIGINATOR, is)
  }

  get loopsCluster(): boolean {
    return (this.#bits & LOOPS_CLUSTER) !== 0
  }
  set loopsCluster(is: boolean) {
    this.#flag(LOOPS_CLUSTER, is)
  }

  #flag(flag: number, is: boolean): void {
    this.#bits = is ? this.#bits | flag : this.#bits & ~flag
  }
}

const DECODE_MASK = 7
const ORIGIN_SHIFT = 3
const ORIGIN_MASK = 3
const COMMUNITY_SHIFT = 5
const COMMUNITY_MASK = 63
const IN_LIMBO = 1 << 11
const HAS_ORIGINATOR = 1 << 12
const NEXT_HOP_MARTIAN = 1 << 13
const LOOPS_ORIGINATOR = 1 << 14
const LOOPS_CLUSTER = 1 << 15
