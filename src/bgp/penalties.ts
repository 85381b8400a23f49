/**
 * What dynamic peers pay for protocol errors and flaps outlives them: the back-off of those that are gone, by address.
 */
import type { Backoff } from './backoff.js'

export class Penalties {
  /** Insertion order is age. */
  readonly #kept = new Map<string, Backoff>()

  find(address: string): Backoff | undefined {
    return this.#kept.get(address)
  }

  addresses(): Iterable<string> {
    return this.#kept.keys()
  }

  /** False: there was nothing to forget. */
  forget(address: string): boolean {
    return this.#kept.delete(address)
  }

  /** A peer of this address has gone with this back-off. */
  keep(address: string, backoff: Backoff, nowMs: number): void {
    if (backoff.isClean) {
      this.#kept.delete(address)
      return
    }
    if (this.#kept.size >= MAX_KEPT) this.#makeRoom(nowMs)
    this.#kept.set(address, backoff)
  }

  #makeRoom(nowMs: number): void {
    for (const [address, kept] of this.#kept) if (kept.isStale(nowMs)) this.#kept.delete(address)
    const oldest = this.#kept.keys().next().value
    if (this.#kept.size >= MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest)
  }
}

/** Less than a megabyte, however many addresses a range has. */
const MAX_KEPT = 10_000
