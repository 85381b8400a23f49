/**
 * The last changes of state of a peer. A peer that is away goes through the same two or three changes for days: a change that repeats one
 * of the last few replaces it, so that what happened before stays readable.
 */
import type { HistoryEntry } from './session-types.js'

export class History {
  readonly #entries: HistoryEntry[] = []

  /** Newest last. */
  get entries(): readonly HistoryEntry[] {
    return this.#entries
  }

  add(entry: HistoryEntry): void {
    const entries = this.#entries
    for (let i = entries.length - 1; i >= 0 && i >= entries.length - LOOK_BACK; i--) {
      const earlier = entries[i]!
      if (earlier.to === 'Established' || earlier.from === 'Established') break
      if (earlier.from === entry.from && earlier.to === entry.to && earlier.reason === entry.reason) {
        entries.splice(i, 1)
        break
      }
    }
    entries.push(entry)
    if (entries.length > MAX_ENTRIES) entries.shift()
  }
}

const LOOK_BACK = 6
/** Some 5 kB a peer at most; thousands of peers are common, flapping ones are not. */
const MAX_ENTRIES = 40
