/**
 * The engine's cells by prefix, and the queue of those that are marked, in order of age (pure).
 */
import type { PrefixTable } from '../../rib/prefix-table.js'
import { PrefixMap } from '../prefix-map.js'
import { Cell, UNMARKED } from './cell.js'

export class Cells {
  /** By prefix: what is wanted, and what there is of ours. One look-up for each change; with a map for each of the two and for the marks it took 3.5 µs a route. */
  readonly #cells: PrefixMap<Cell>
  #queue: Cell[] = []
  #queueAt = 0
  #sets = 0
  #adopted = 0

  constructor(prefixes: PrefixTable) {
    this.#cells = new PrefixMap(prefixes, (ipv4, length, text) => new Cell(ipv4, length, text))
  }

  get(prefix: string): Cell | undefined {
    return this.#cells.get(prefix)
  }

  obtain(prefix: string): Cell {
    return this.#cells.obtain(prefix)
  }

  /** By the id of an IPv4 prefix. */
  obtainId(id: number): Cell {
    return this.#cells.obtainId(id)
  }

  values(): IterableIterator<Cell> {
    return this.#cells.values()
  }

  /** Those that have routes of ours. */
  countOurs(): number {
    let count = 0
    for (const cell of this.#cells.values()) if (cell.ours.length > 0) count++
    return count
  }

  dropIfEmpty(cell: Cell): void {
    if (cell.desired !== null || cell.ours.length > 0 || cell.mark !== UNMARKED || cell.busy) return
    this.adopt(cell, false)
    this.#cells.delete(cell)
  }

  // --- adoption

  /** Number of those that are adopted. */
  get adopted(): number {
    return this.#adopted
  }

  adopt(cell: Cell, adopted: boolean): void {
    if (cell.adopted === adopted) return
    cell.adopted = adopted
    this.#adopted += adopted ? 1 : -1
  }

  // --- marks

  /** Number of the last `set`. */
  get sets(): number {
    return this.#sets
  }

  /** Marks it as set just now. */
  markSet(cell: Cell): void {
    this.mark(cell, ++this.#sets)
  }

  mark(cell: Cell, mark: number): void {
    if (cell.mark === UNMARKED) this.#queue.push(cell)
    else if (cell.mark <= mark) return
    cell.mark = mark
  }

  markAll(): void {
    for (const cell of this.#cells.values()) {
      // What failed before may go now.
      cell.tries = 0
      this.markSet(cell)
    }
  }

  // --- the queue

  get hasMarked(): boolean {
    return this.#queueAt < this.#queue.length
  }

  /** The cell that was marked first; only where there is one. */
  takeMarked(): Cell {
    return this.#queue[this.#queueAt++]!
  }

  /** What was taken goes from the front now and then; what was passed over comes first. */
  tidyQueue(again: readonly Cell[]): void {
    // They were taken, so there is room for them.
    for (let at = again.length - 1; at >= 0; at--) this.#queue[--this.#queueAt] = again[at]!
    if (this.#queueAt === this.#queue.length) this.#queue = []
    else if (this.#queueAt > MAX_TAKEN && this.#queueAt * 2 > this.#queue.length)
      this.#queue = this.#queue.slice(this.#queueAt)
    else return
    this.#queueAt = 0
  }

  /** Something that was set then is marked still. */
  isMarked(upTo: number): boolean {
    for (let at = this.#queueAt; at < this.#queue.length; at++) if (this.#queue[at]!.mark <= upTo) return true
    return false
  }
}

/** Taken entries at the front of the queue. */
const MAX_TAKEN = 20_000
