/**
 * Row ids (of prefixes, with ADD-PATH of paths) that a group does not announce any more but that may stand in its log or in the bit set of a member behind: they are not reused before.
 * A row stands here once, however often it comes and goes, so that a member that takes nothing does not make the group remember without end.
 */
import type { RowIds } from './row-ids.js'

export class PrefixLimbo {
  readonly #rows: Pick<RowIds, 'release'>
  /** By row: log entry that named it last. */
  readonly #last = new Map<number, number>()
  /** Rows, the longest here first, and for each the entry that had named it last when it was queued. What is in front of `#from` is done. */
  #queue: number[] = []
  #queued: number[] = []
  #from = 0

  constructor(rows: Pick<RowIds, 'release'>) {
    this.#rows = rows
  }

  get size(): number {
    return this.#last.size
  }

  prefixes(): Iterable<number> {
    return this.#queue.slice(this.#from)
  }

  /** Takes over one use of the row, until the log entry `sequence` is gone. */
  keep(row: number, sequence: number): void {
    const known = this.#last.get(row)
    if (known === undefined || sequence > known) this.#last.set(row, sequence)
    if (known !== undefined) {
      this.#rows.release(row)
      return
    }
    this.#queue.push(row)
    this.#queued.push(sequence)
  }

  /** Gives back rows that no entry from `tail` on names, after looking at up to `limit` of them. True: there may be more. */
  releaseBefore(tail: number, limit: number): boolean {
    const end = Math.min(this.#queue.length, this.#from + limit)
    let stuck = false
    for (; this.#from < end; this.#from++) {
      const row = this.#queue[this.#from]!
      const last = this.#last.get(row)!
      if (last < tail) {
        this.#last.delete(row)
        this.#rows.release(row)
        continue
      }
      if (last === this.#queued[this.#from]) {
        stuck = true
        break
      }
      // Named again since: to the end of the queue once more, so that it does not hold up the others.
      this.#queue.push(row)
      this.#queued.push(last)
    }
    if (this.size === 0) {
      this.#queue = []
      this.#queued = []
    } else if (this.#from * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#from)
      this.#queued = this.#queued.slice(this.#from)
    } else return !stuck
    this.#from = 0
    return !stuck && this.size > 0
  }
}
