/**
 * The Adj-RIB-Out of a group (RFC 4271 §3.2): which out set each row (a prefix, with ADD-PATH a path) is announced with, and whose route it is. One for all
 * members: what a single member does not hear are its own routes.
 *
 * Cost: 8 octets a row, and 4 for each slice of row ids.
 */
import { grown } from '../rib/columns.js'
import type { OutSetTable } from './out-set.js'
import { SLICE_PREFIXES, SLICE_SHIFT } from './prefix-bits.js'
import type { RowIds } from './row-ids.js'

export class AdjRibOut {
  readonly #rows: RowIds
  readonly #outSets: OutSetTable
  #set = new Int32Array(1024)
  #source = new Int32Array(1024)
  /** Changes per slice: what was encoded of a slice is good while its version is. */
  #versions = new Int32Array(16)
  #count = 0
  #closeFrom = 1

  constructor(rows: RowIds, outSets: OutSetTable) {
    this.#rows = rows
    this.#outSets = outSets
  }

  /** Rows announced. */
  get count(): number {
    return this.#count
  }
  /** Row ids are below this. */
  get end(): number {
    return this.#set.length
  }
  get arrayOctets(): number {
    return this.#set.byteLength + this.#source.byteLength + this.#versions.byteLength
  }

  /** Id of the out set, 0 when the row is not announced. */
  setOf(row: number): number {
    return this.#set[row] ?? 0
  }
  /** Index of the source whose route is announced; meaningful while setOf() is not 0. */
  sourceOf(row: number): number {
    return this.#source[row] ?? 0
  }
  versionOf(slice: number): number {
    return this.#versions[slice] ?? 0
  }

  /** Makes the columns long enough for all row ids. */
  reserve(): void {
    const { capacity } = this.#rows
    if (capacity <= this.#set.length) return
    this.#set = grown(this.#set, capacity)
    this.#source = grown(this.#source, capacity)
    this.#versions = grown(this.#versions, Math.ceil(this.#set.length / SLICE_PREFIXES) + 1)
  }

  announce(row: number, out: number, source: number): void {
    const old = this.#set[row]!
    this.#outSets.retain(out)
    if (old === 0) {
      this.#rows.retain(row)
      this.#count++
    } else {
      this.#outSets.release(old)
    }
    this.#set[row] = out
    this.#source[row] = source
    this.#versions[row >>> SLICE_SHIFT]!++
  }

  /** The row is announced no more; the use of its id goes over to the caller. */
  withdraw(row: number): void {
    this.#outSets.release(this.#set[row]!)
    this.#set[row] = 0
    this.#count--
    this.#versions[row >>> SLICE_SHIFT]!++
  }

  /** How many rows are announced from each source. */
  countsBySource(): Map<number, number> {
    const counts = new Map<number, number>()
    for (let row = 1; row < this.#set.length; row++) {
      if (this.#set[row] === 0) continue
      const source = this.#source[row]!
      counts.set(source, (counts.get(source) ?? 0) + 1)
    }
    return counts
  }

  /** Gives back the row ids of up to `limit` columns. True when that was all. */
  closeSlice(limit: number): boolean {
    const end = Math.min(this.#set.length, this.#closeFrom + limit)
    for (; this.#closeFrom < end; this.#closeFrom++) {
      if (this.#set[this.#closeFrom] === 0) continue
      this.#set[this.#closeFrom] = 0
      this.#rows.release(this.#closeFrom)
    }
    return end === this.#set.length
  }
}
