/**
 * Out sets: attribute blocks as a group sends them, interned by their octets, so that equal ones share messages and a change to an equal one is no change.
 *
 * An out set is a small integer from 1; 0 stands for none, a route that is not sent. What is known of it lies in typed arrays: an object for each, with its
 * memo, cost 200 octets of heap that survive every scavenge (bench/README.md, 'What was tried'). Cost: 20 octets a set, its octets and the index.
 */

import { ByteArena } from '../rib/byte-arena.js'
import { hashOctets } from '../rib/chain-index.js'
import { grown } from '../rib/columns.js'
import { copyOctets } from '../rib/copy-octets.js'
import { HashIndex } from '../rib/hash-index.js'

export const NO_NEXT_HOP: Uint8Array = new Uint8Array(0)

export class OutSetTable {
  readonly #index = new HashIndex()
  readonly #arena = new ByteArena()
  /** Prefixes announced with it, and memos that hold it. */
  #refs = new Int32Array(INITIAL)
  #address = new Int32Array(INITIAL)
  #length = new Int32Array(INITIAL)
  #nextHopLength = new Int32Array(INITIAL)
  /** A packer's: bucket of the set in its batch, true where that bucket names the set. */
  buckets = new Int32Array(INITIAL)
  readonly #freeIds: number[] = []
  #end = 1
  readonly #seed: number

  constructor(seed: number) {
    this.#seed = seed
  }

  get size(): number {
    return this.#index.size
  }

  /** Octets of its arrays. */
  get arrayOctets(): number {
    return this.#refs.byteLength * COLUMNS + this.#index.arrayOctets + this.#arena.arrayOctets
  }

  /** Octets of the attributes, without MP_REACH_NLRI. */
  lengthOf(set: number): number {
    return this.#length[set]!
  }
  /** Octets of the next hop in MP_REACH_NLRI (IPv6, and IPv4 by RFC 8950); 0 where the NEXT_HOP attribute carries it. */
  nextHopLengthOf(set: number): number {
    return this.#nextHopLength[set]!
  }

  /** The out set of these octets; retained once for the caller. */
  intern(octets: Uint8Array, length: number, nextHop: Uint8Array): number {
    const hash = hashOctets(nextHop, 0, nextHop.length, hashOctets(octets, 0, length, this.#seed))
    for (let at = this.#index.first(hash); at !== -1; at = this.#index.next(at, hash)) {
      const id = this.#index.idAt(at)
      if (this.#length[id] === length && this.#equals(id, octets, nextHop)) {
        this.#refs[id]!++
        return id
      }
    }
    const id = this.#freeIds.pop() ?? this.#end++
    if (id >= this.#refs.length) this.#grow()
    const address = this.#arena.allocate(length + nextHop.length)
    this.#refs[id] = 1
    this.#length[id] = length
    this.#nextHopLength[id] = nextHop.length
    this.#address[id] = address
    const chunk = this.#arena.chunkOf(address)
    const at = this.#arena.offsetOf(address)
    copyOctets(octets, 0, length, chunk, at)
    copyOctets(nextHop, 0, nextHop.length, chunk, at + length)
    this.#index.add(id, hash)
    return id
  }

  retain(set: number): void {
    this.#refs[set]!++
  }

  release(set: number): void {
    if (--this.#refs[set]! > 0) return
    this.#index.delete(set)
    this.#arena.free(this.#address[set]!, this.#length[set]! + this.#nextHopLength[set]!)
    this.#freeIds.push(set)
  }

  /** Copies the attributes to target[at…]; returns the offset behind them. */
  write(set: number, target: Uint8Array, at: number): number {
    return this.#copy(set, 0, this.#length[set]!, target, at)
  }

  /** The same for the next hop. */
  writeNextHop(set: number, target: Uint8Array, at: number): number {
    return this.#copy(set, this.#length[set]!, this.#nextHopLength[set]!, target, at)
  }

  octets(set: number): Uint8Array {
    return this.#arena.view(this.#address[set]!, this.#length[set]!)
  }

  /** Next hop in MP_REACH_NLRI, empty where the NEXT_HOP attribute carries it. */
  nextHop(set: number): Uint8Array {
    const length = this.#length[set]!
    return this.#arena.view(this.#address[set]!, length + this.#nextHopLength[set]!).subarray(length)
  }

  #copy(set: number, from: number, length: number, target: Uint8Array, at: number): number {
    const address = this.#address[set]!
    copyOctets(this.#arena.chunkOf(address), this.#arena.offsetOf(address) + from, length, target, at)
    return at + length
  }

  #equals(set: number, octets: Uint8Array, nextHop: Uint8Array): boolean {
    const address = this.#address[set]!
    const chunk = this.#arena.chunkOf(address)
    let at = this.#arena.offsetOf(address)
    const length = this.#length[set]!
    for (let i = 0; i < length; i++) if (chunk[at++] !== octets[i]) return false
    if (this.#nextHopLength[set] !== nextHop.length) return false
    for (let i = 0; i < nextHop.length; i++) if (chunk[at++] !== nextHop[i]) return false
    return true
  }

  #grow(): void {
    const size = this.#refs.length * 2
    this.#refs = grown(this.#refs, size, 2)
    this.#address = grown(this.#address, size, 2)
    this.#length = grown(this.#length, size, 2)
    this.#nextHopLength = grown(this.#nextHopLength, size, 2)
    this.buckets = grown(this.buckets, size, 2)
  }
}

const INITIAL = 64
const COLUMNS = 5
