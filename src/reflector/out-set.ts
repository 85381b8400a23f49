/**
 * Out sets: attribute blocks as a group sends them, interned by their octets, so that equal ones share messages and a change to an equal one is no change.
 */

import { ByteArena } from '../rib/byte-arena.js'
import { ChainIndex, hashOctets } from '../rib/chain-index.js'
import { equalOctets } from '../rib/next-hop.js'

export class OutSet {
  id = 0
  /** Prefixes announced with it, and memos that hold it. */
  refs = 0
  address = 0
  /** Octets of the attributes, without MP_REACH_NLRI. */
  length = 0
  /** For MP_REACH_NLRI (IPv6, and IPv4 by RFC 8950); empty where the NEXT_HOP attribute carries it. */
  nextHop: Uint8Array = NO_NEXT_HOP
  /** The packer's: bucket of this set in the current batch, valid while the stamp is the packer's. */
  bucket = -1
  bucketStamp = 0
}

export const NO_NEXT_HOP: Uint8Array = new Uint8Array(0)

export class OutSetTable {
  readonly #index = new ChainIndex()
  readonly #arena = new ByteArena()
  readonly #sets: (OutSet | undefined)[] = [undefined]
  readonly #freeIds: number[] = []
  readonly #seed: number

  constructor(seed: number) {
    this.#seed = seed
  }

  get size(): number {
    return this.#index.size
  }

  /** Octets of its arrays; the objects of the sets come on top. */
  get arrayOctets(): number {
    return this.#index.arrayOctets + this.#arena.arrayOctets
  }

  get(id: number): OutSet {
    return this.#sets[id]!
  }

  /** The out set of these octets; retained once for the caller. */
  intern(octets: Uint8Array, length: number, nextHop: Uint8Array): OutSet {
    const hash = hashOctets(nextHop, 0, nextHop.length, hashOctets(octets, 0, length, this.#seed))
    for (let id = this.#index.first(hash); id !== 0; id = this.#index.next(id)) {
      if (this.#index.hashOf(id) !== hash) continue
      const set = this.#sets[id]!
      if (set.length === length && this.#equals(set, octets) && equalOctets(set.nextHop, nextHop)) {
        set.refs++
        return set
      }
    }
    const set = new OutSet()
    set.id = this.#freeIds.pop() ?? this.#sets.length
    set.refs = 1
    set.length = length
    set.nextHop = nextHop
    set.address = this.#arena.allocate(length)
    const chunk = this.#arena.chunkOf(set.address)
    for (let i = 0, at = this.#arena.offsetOf(set.address); i < length; i++) chunk[at++] = octets[i]!
    this.#sets[set.id] = set
    this.#index.add(set.id, hash)
    return set
  }

  release(set: OutSet): void {
    if (--set.refs > 0) return
    this.#index.delete(set.id)
    this.#arena.free(set.address, set.length)
    this.#sets[set.id] = undefined
    this.#freeIds.push(set.id)
  }

  /** Copies the attributes to target[at…]; returns the offset behind them. */
  write(set: OutSet, target: Uint8Array, at: number): number {
    const chunk = this.#arena.chunkOf(set.address)
    const offset = this.#arena.offsetOf(set.address)
    const { length } = set
    if (length > COPY_NATIVE_FROM) {
      target.set(chunk.subarray(offset, offset + length), at)
      return at + length
    }
    for (let i = 0; i < length; i++) target[at + i] = chunk[offset + i]!
    return at + length
  }

  octets(set: OutSet): Uint8Array {
    return this.#arena.view(set.address, set.length)
  }

  #equals(set: OutSet, octets: Uint8Array): boolean {
    const chunk = this.#arena.chunkOf(set.address)
    const offset = this.#arena.offsetOf(set.address)
    for (let i = 0; i < set.length; i++) if (chunk[offset + i] !== octets[i]) return false
    return true
  }
}

/** Below this a loop is quicker than a call into the runtime. */
const COPY_NATIVE_FROM = 160
