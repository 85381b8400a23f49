/**
 * Row ids (of prefixes, with ADD-PATH of paths) that a group does not announce any more but that may stand in its log or in the bit set of a member behind: they are not reused before.
 * A row stands here once, however often it comes and goes, so that a member that takes nothing does not make the group remember without end.
 */
import type { RowIds } from './row-ids.js'

interface Kept {
  readonly prefix: number
  /** Log entry that named it last. */
  sequence: number
  /** `sequence` grew since it was queued: it goes to the end of the queue once more, so that it does not hold up the others. */
  late: boolean
}

export class PrefixLimbo {
  readonly #rows: Pick<RowIds, 'release'>
  readonly #known = new Map<number, Kept>()
  #queue: Kept[] = []
  #from = 0

  constructor(rows: Pick<RowIds, 'release'>) {
    this.#rows = rows
  }

  get size(): number {
    return this.#known.size
  }

  prefixes(): Iterable<number> {
    return this.#known.keys()
  }

  /** Takes over one use of the prefix, until the log entry `sequence` is gone. */
  keep(prefix: number, sequence: number): void {
    const known = this.#known.get(prefix)
    if (known !== undefined) {
      this.#rows.release(prefix)
      known.late ||= sequence > known.sequence
      known.sequence = Math.max(known.sequence, sequence)
      return
    }
    const kept: Kept = { prefix, sequence, late: false }
    this.#known.set(prefix, kept)
    this.#queue.push(kept)
  }

  /** Gives back prefixes that no entry from `tail` on names, after looking at up to `limit` of them. True: there may be more. */
  releaseBefore(tail: number, limit: number): boolean {
    const end = Math.min(this.#queue.length, this.#from + limit)
    let stuck = false
    while (this.#from < end) {
      const kept = this.#queue[this.#from]!
      if (kept.sequence >= tail) {
        if (!kept.late) {
          stuck = true
          break
        }
        kept.late = false
        this.#queue.push(kept)
      } else {
        this.#known.delete(kept.prefix)
        this.#rows.release(kept.prefix)
      }
      this.#from++
    }
    if (this.#from === this.#queue.length) this.#queue = []
    else if (this.#from * 2 > this.#queue.length) this.#queue = this.#queue.slice(this.#from)
    else return !stuck
    this.#from = 0
    return !stuck && this.#queue.length > 0
  }
}
