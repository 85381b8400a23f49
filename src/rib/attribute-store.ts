/**
 * The attribute store: equal attribute blocks are one AttributeSet. The key is the octets as received (without the MP attributes), the MP next
 * hop and the decode class; only a set never seen before is decoded and judged, and what RFC 7606 says of the octets stays with it.
 *
 * Sets without references wait in limbo until `sweep()` at the end of the turn, so that an id is never reused while somebody compares old with new.
 */
import { asPathContains, asPathLength, asPathNumbers, firstAs } from '../bgp/attributes/as-path.js'
import { decodePathAttributes, faultOfUpdate } from '../bgp/attributes/decode.js'
import { encodePathAttributes } from '../bgp/attributes/encode.js'
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import { AttributeType } from '../bgp/iana.js'
import { wordAt } from '../net/address.js'
import { communityBits, scanAttributes } from './attribute-scan.js'
import { AttributeSet, DecodeBits, packSizes, type SetHolder, setUnits } from './attribute-set.js'
import { ByteArena } from './byte-arena.js'
import { hashOctets } from './chain-index.js'
import { copyOctets } from './copy-octets.js'
import { HashIndex } from './hash-index.js'
import { forwardingAddress, isMartianNextHop, type NextHopTable, wireOctets, zoned } from './next-hop.js'

/** Who we are, for the loop checks (RFC 4271 §9, RFC 4456 §8). */
export interface StoreIdentity {
  readonly asn: number
  /** u32. */
  readonly routerId: number
  /** u32, or null when this speaker is no reflector. */
  readonly clusterId: number | null
}

export class AttributeStore {
  readonly #index = new HashIndex()
  readonly #arena = new ByteArena()
  readonly #sets: (AttributeSet | undefined)[] = [undefined]
  readonly #freeIds: number[] = []
  readonly #nextHops: NextHopTable
  readonly #seed: number
  readonly #freeListeners: ((id: number) => void)[] = []
  readonly #scanned = { nextHopAt: -1 }
  #limbo: AttributeSet[] = []
  #identity: StoreIdentity

  constructor(nextHops: NextHopTable, identity: StoreIdentity, seed: number) {
    this.#nextHops = nextHops
    this.#identity = identity
    this.#seed = seed
  }

  get size(): number {
    return this.#index.size
  }
  get arenaOctets(): number {
    return this.#arena.allocatedOctets
  }
  /** Octets of its arrays; the objects of the sets come on top. */
  get arrayOctets(): number {
    return this.#index.arrayOctets + this.#arena.arrayOctets
  }

  /** Called with the id of a set that is about to be reused: memos keyed by it have to go. */
  onFree(listener: (id: number) => void): void {
    this.#freeListeners.push(listener)
  }

  get(id: number): AttributeSet {
    return this.#sets[id]!
  }

  /**
   * The set of `octets[start, end)` (whole attributes, MP_REACH_NLRI and MP_UNREACH_NLRI taken out) with the MP next hop `nextHop` (null: the
   * NEXT_HOP attribute counts), which may carry its link (next-hop.ts, `zoned`). Not retained for the caller.
   */
  intern(
    octets: Uint8Array,
    start: number,
    end: number,
    nextHop: Uint8Array | null,
    as4: boolean,
    ebgp: boolean,
    holder: SetHolder | null = null,
  ): AttributeSet {
    const decodeClass =
      (as4 ? DecodeBits.AS4 : 0) | (ebgp ? DecodeBits.EBGP : 0) | (nextHop === null ? 0 : DecodeBits.MP_NEXT_HOP)
    let hash = hashOctets(octets, start, end, this.#seed ^ decodeClass)
    if (nextHop !== null) hash = hashOctets(nextHop, 0, nextHop.length, hash)
    const length = end - start
    for (let at = this.#index.first(hash); at !== -1; at = this.#index.next(at, hash)) {
      const set = this.#sets[this.#index.idAt(at)]!
      if (
        set.decodeClass === decodeClass &&
        set.attributeOctets === length &&
        this.#equals(set, octets, start, nextHop)
      )
        return set
    }
    return this.#create(octets, start, end, nextHop, decodeClass, hash, holder)
  }

  /**
   * The set of attributes given as a value (own routes, results of policies): canonical octets of an internal 4-octet speaker. `zone`: the link of the next
   * hop, 0 for none.
   */
  internAttributes(attributes: PathAttributes, zone = 0): AttributeSet {
    const nextHop = zone === 0 || attributes.nextHop === null ? attributes.nextHop : zoned(attributes.nextHop, zone)
    const inAttribute = nextHop !== null && nextHop.length === 4
    const octets = encodePathAttributes(attributes, { as4: true, nextHopAttribute: inAttribute })
    return this.intern(octets, 0, octets.length, inAttribute ? null : nextHop, true, false)
  }

  retain(set: AttributeSet): void {
    set.refs++
  }

  release(set: AttributeSet): void {
    if (--set.refs === 0 && !set.inLimbo) {
      set.inLimbo = true
      this.#limbo.push(set)
    }
  }

  /** Decoded attributes; slices lie in the arena and are valid while the set is retained. */
  attributes(set: AttributeSet): PathAttributes {
    const chunk = this.#arena.chunkOf(set.address)
    const offset = this.#arena.offsetOf(set.address)
    const cls = { as4: (set.decodeClass & DecodeBits.AS4) !== 0, ebgp: (set.decodeClass & DecodeBits.EBGP) !== 0 }
    const { attributes } = decodePathAttributes(chunk, offset, offset + set.attributeOctets, cls)
    if ((set.decodeClass & DecodeBits.MP_NEXT_HOP) === 0) return attributes
    const at = offset + set.attributeOctets
    return { ...attributes, nextHop: chunk.subarray(at, at + wireOctets(set.nextHopOctets)) }
  }

  /** The link that the set's next hop belongs to; 0 for none. */
  zoneOf(set: AttributeSet): number {
    const at = wireOctets(set.nextHopOctets)
    if (at === set.nextHopOctets) return 0
    return wordAt(this.#arena.chunkOf(set.address), this.#arena.offsetOf(set.address) + set.attributeOctets + at)
  }

  /** The octets as received, valid while the set is retained. */
  octets(set: AttributeSet): Uint8Array {
    return this.#arena.view(set.address, set.attributeOctets)
  }

  /** As octets(), without a view: hands the memory that they lie in to `reader`. */
  read<T>(set: AttributeSet, reader: (octets: Uint8Array, start: number, end: number) => T): T {
    const start = this.#arena.offsetOf(set.address)
    return reader(this.#arena.chunkOf(set.address), start, start + set.attributeOctets)
  }

  /** The MP next hop, empty where NEXT_HOP counts; valid while the set is retained. */
  nextHop(set: AttributeSet): Uint8Array {
    return this.#arena.view(set.address, set.attributeOctets + set.nextHopOctets).subarray(set.attributeOctets)
  }

  /** Frees the sets that nobody holds. Call when decision, groups and FIB have taken the turn. */
  sweep(): void {
    if (this.#limbo.length === 0) return
    const limbo = this.#limbo
    this.#limbo = []
    for (const set of limbo) {
      set.inLimbo = false
      if (set.refs === 0) this.#free(set)
    }
  }

  /** A reload changed our cluster id or AS: the loop checks of all sets are made again. */
  setIdentity(identity: StoreIdentity): void {
    this.#identity = identity
    for (const set of this.#sets) if (set !== undefined) this.#checkLoops(set, this.attributes(set))
  }

  #equals(set: AttributeSet, octets: Uint8Array, start: number, nextHop: Uint8Array | null): boolean {
    const chunk = this.#arena.chunkOf(set.address)
    let at = this.#arena.offsetOf(set.address)
    for (let i = 0; i < set.attributeOctets; i++) if (chunk[at++] !== octets[start + i]) return false
    if (nextHop === null) return true
    if (nextHop.length !== set.nextHopOctets) return false
    for (let i = 0; i < nextHop.length; i++) if (chunk[at++] !== nextHop[i]) return false
    return true
  }

  #create(
    octets: Uint8Array,
    start: number,
    end: number,
    nextHop: Uint8Array | null,
    decodeClass: number,
    hash: number,
    holder: SetHolder | null,
  ): AttributeSet {
    const set = new AttributeSet()
    set.id = this.#freeIds.pop() ?? this.#sets.length
    set.decodeClass = decodeClass
    set.attributeOctets = end - start
    set.nextHopOctets = nextHop === null ? 0 : nextHop.length
    set.address = this.#arena.allocate(set.attributeOctets + set.nextHopOctets)
    const chunk = this.#arena.chunkOf(set.address)
    const offset = this.#arena.offsetOf(set.address)
    copyOctets(octets, start, end - start, chunk, offset)
    if (nextHop !== null) chunk.set(nextHop, offset + set.attributeOctets)
    if (holder !== null) {
      set.holder = holder
      holder.units += setUnits(set.attributeOctets)
    }
    this.#judge(set, nextHop)
    this.#sets[set.id] = set
    this.#index.add(set.id, hash)
    set.inLimbo = true
    this.#limbo.push(set)
    return set
  }

  #judge(set: AttributeSet, mpNextHop: Uint8Array | null): void {
    const chunk = this.#arena.chunkOf(set.address)
    const offset = this.#arena.offsetOf(set.address)
    if ((set.decodeClass & DecodeBits.AS4) !== 0 && this.#scan(set, chunk, offset, mpNextHop)) return
    const cls = { as4: (set.decodeClass & DecodeBits.AS4) !== 0, ebgp: (set.decodeClass & DecodeBits.EBGP) !== 0 }
    const decoded = decodePathAttributes(chunk, offset, offset + set.attributeOctets, cls)
    const attributes = decoded.attributes
    set.fault = faultOfUpdate(decoded, mpNextHop === null)
    set.present = decoded.present
    if (attributes.localPref >= 0) set.localPref = attributes.localPref | 0
    if (attributes.med >= 0) set.med = attributes.med | 0
    set.origin = attributes.origin < 0 ? 2 : attributes.origin
    if (attributes.asPath !== null && attributes.asPath.length > 0) {
      set.asPathLength = asPathLength(attributes.asPath)
      set.neighborAs = firstAs(attributes.asPath) | 0
    }
    if (attributes.originatorId >= 0) {
      set.hasOriginator = true
      set.originatorId = attributes.originatorId | 0
    }
    if (attributes.clusterList !== null) set.clusterLength = attributes.clusterList.length >> 2
    this.#takeNextHop(set, mpNextHop ?? attributes.nextHop)
    if (attributes.communities !== null)
      set.communityBits = communityBits(attributes.communities, 0, attributes.communities.length)
    set.sizes = sizesOf(attributes, decoded.asSets)
    for (const { type, value } of attributes.others) if (type === AttributeType.OTC) set.otc = wordAt(value, 0) | 0
    this.#checkLoops(set, attributes)
  }

  /** The quick way; false where the block has something unusual. */
  #scan(set: AttributeSet, chunk: Uint8Array, offset: number, mpNextHop: Uint8Array | null): boolean {
    const ebgp = (set.decodeClass & DecodeBits.EBGP) !== 0
    if (!scanAttributes(chunk, offset, offset + set.attributeOctets, ebgp, this.#identity, set, this.#scanned))
      return false
    const { nextHopAt } = this.#scanned
    if (mpNextHop !== null) this.#takeNextHop(set, mpNextHop)
    else if (nextHopAt !== -1) set.nextHopId = this.#nextHops.intern(chunk, nextHopAt, nextHopAt + 4)
    return true
  }

  #takeNextHop(set: AttributeSet, nextHop: Uint8Array | null): void {
    if (nextHop === null) return
    set.nextHopId = this.#nextHops.intern(nextHop)
    set.nextHopMartian = isMartianNextHop(forwardingAddress(nextHop))
  }

  #checkLoops(set: AttributeSet, attributes: PathAttributes): void {
    const { asn, routerId, clusterId } = this.#identity
    set.ownAsCount = attributes.asPath === null ? 0 : asPathContains(attributes.asPath, asn)
    set.loopsOriginator = attributes.originatorId === routerId
    set.loopsCluster =
      clusterId !== null && attributes.clusterList !== null && containsWord(attributes.clusterList, clusterId)
  }

  #free(set: AttributeSet): void {
    for (const listener of this.#freeListeners) listener(set.id)
    if (set.holder !== null) set.holder.units -= setUnits(set.attributeOctets)
    this.#index.delete(set.id)
    this.#arena.free(set.address, set.attributeOctets + set.nextHopOctets)
    this.#nextHops.release(set.nextHopId)
    this.#sets[set.id] = undefined
    this.#freeIds.push(set.id)
  }
}

function sizesOf(attributes: PathAttributes, asSets: boolean): number {
  const { asPath, communities, extCommunities, largeCommunities, others } = attributes
  let count = (communities?.length ?? 0) / 4 + (extCommunities?.length ?? 0) / 8 + (largeCommunities?.length ?? 0) / 12
  for (const { type, value } of others) if (type === AttributeType.IPV6_EXTENDED_COMMUNITIES) count += value.length / 20
  return packSizes(asPath === null ? 0 : asPathNumbers(asPath), count, asSets)
}

function containsWord(words: Uint8Array, word: number): boolean {
  for (let at = 0; at + 4 <= words.length; at += 4) {
    const value = ((words[at]! << 24) | (words[at + 1]! << 16) | (words[at + 2]! << 8) | words[at + 3]!) >>> 0
    if (value === word) return true
  }
  return false
}
