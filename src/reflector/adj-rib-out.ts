/**
 * The Adj-RIB-Out of a group (RFC 4271 §3.2): which out set each prefix is announced with, and whose route it is. One for all members: what a single member
 * does not hear are its own routes.
 *
 * Cost: 8 octets a prefix, and 4 for each slice of prefix ids.
 */
import { grown } from '../rib/chain-index.js'
import type { PrefixTable } from '../rib/prefix-table.js'
import type { OutSet, OutSetTable } from './out-set.js'
import { SLICE_PREFIXES, SLICE_SHIFT } from './prefix-bits.js'

export class AdjRibOut {
  readonly #prefixes: PrefixTable
  readonly #outSets: OutSetTable
  #set = new Int32Array(1024)
  #source = new Int32Array(1024)
  /** Changes per slice: what was encoded of a slice is good while its version is. */
  #versions = new Int32Array(16)
  #count = 0
  #closeFrom = 1

  constructor(prefixes: PrefixTable, outSets: OutSetTable) {
    this.#prefixes = prefixes
    this.#outSets = outSets
  }

  /** Prefixes announced. */
  get count(): number {
    return this.#count
  }
  /** Prefix ids are below this. */
  get end(): number {
    return this.#set.length
  }
  get arrayOctets(): number {
    return this.#set.byteLength + this.#source.byteLength + this.#versions.byteLength
  }

  /** Id of the out set, 0 when the prefix is not announced. */
  setOf(prefix: number): number {
    return this.#set[prefix] ?? 0
  }
  /** Index of the source whose route is announced; meaningful while setOf() is not 0. */
  sourceOf(prefix: number): number {
    return this.#source[prefix] ?? 0
  }
  versionOf(slice: number): number {
    return this.#versions[slice] ?? 0
  }

  /** Makes the columns long enough for all prefix ids. */
  reserve(): void {
    const { capacity } = this.#prefixes
    if (capacity <= this.#set.length) return
    this.#set = grown(this.#set, capacity)
    this.#source = grown(this.#source, capacity)
    this.#versions = grown(this.#versions, Math.ceil(this.#set.length / SLICE_PREFIXES) + 1)
  }

  announce(prefix: number, out: OutSet, source: number): void {
    const old = this.#set[prefix]!
    out.refs++
    if (old === 0) {
      this.#prefixes.retain(prefix)
      this.#count++
    } else {
      this.#outSets.release(this.#outSets.get(old))
    }
    this.#set[prefix] = out.id
    this.#source[prefix] = source
    this.#versions[prefix >>> SLICE_SHIFT]!++
  }

  /** The prefix is announced no more; the use of its id goes over to the caller. */
  withdraw(prefix: number): void {
    this.#outSets.release(this.#outSets.get(this.#set[prefix]!))
    this.#set[prefix] = 0
    this.#count--
    this.#versions[prefix >>> SLICE_SHIFT]!++
  }

  /** How many prefixes are announced from each source. */
  countsBySource(): Map<number, number> {
    const counts = new Map<number, number>()
    for (let prefix = 1; prefix < this.#set.length; prefix++) {
      if (this.#set[prefix] === 0) continue
      const source = this.#source[prefix]!
      counts.set(source, (counts.get(source) ?? 0) + 1)
    }
    return counts
  }

  /** Gives back the prefix ids of up to `limit` columns. True when that was all. */
  closeSlice(limit: number): boolean {
    const end = Math.min(this.#set.length, this.#closeFrom + limit)
    for (; this.#closeFrom < end; this.#closeFrom++) {
      if (this.#set[this.#closeFrom] === 0) continue
      this.#set[this.#closeFrom] = 0
      this.#prefixes.release(this.#closeFrom)
    }
    return end === this.#set.length
  }
}
