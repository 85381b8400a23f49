/**
 * The log of a group: slabs that its following members read in order, each member by a position of its own.
 *
 * An entry goes when every member that was following when it was appended has passed it (its octets were taken by the kernel, or the member left).
 */
import type { PackedSlab } from './update-packer.js'

export interface LogEntry extends PackedSlab {
  /** For one source alone, whole messages: withdrawals where the winner moved to it, or what a route server sends it instead. */
  readonly targeted: ReadonlyMap<number, Uint8Array>
  /** Members that have not passed it. */
  pending: number
}

export class UpdateLog {
  #entries: LogEntry[] = []
  /** Sequence number of #entries[0]. */
  #base = 0
  #octets = 0

  /** Sequence number of the next entry. */
  get head(): number {
    return this.#base + this.#entries.length
  }
  /** Sequence number of the oldest entry that somebody has not passed. */
  get tail(): number {
    return this.#base
  }
  /** Octets of messages that the log holds. */
  get octets(): number {
    return this.#octets
  }
  get length(): number {
    return this.#entries.length
  }

  entry(sequence: number): LogEntry {
    return this.#entries[sequence - this.#base]!
  }

  append(slab: PackedSlab, targeted: ReadonlyMap<number, Uint8Array>, readers: number): void {
    this.#entries.push({ ...slab, targeted, pending: readers })
    this.#octets += slab.octets.length
  }

  /** One reader has passed the entries [from, to). Entries that nobody needs are given up. */
  pass(from: number, to: number): void {
    for (let sequence = from; sequence < to; sequence++) this.entry(sequence).pending--
    let free = 0
    while (free < this.#entries.length && this.#entries[free]!.pending <= 0)
      this.#octets -= this.#entries[free++]!.octets.length
    if (free === 0) return
    this.#entries.splice(0, free)
    this.#base += free
  }
}
