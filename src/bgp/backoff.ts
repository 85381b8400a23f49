/**
 * Back-off after protocol errors: 5 s, doubled by each further one up to 60 s. It survives short Established spells, so that a peer that is
 * torn down by every full table does not flap at full speed; five minutes of Established forget it.
 */
import { jitterDown, type Random } from './timers.js'

export class Backoff {
  #failures = 0
  #untilMs = Number.NEGATIVE_INFINITY

  /** A protocol error. Returns the time from which on the peer may try again. `delayMs`: fixed instead of exponential. */
  failed(nowMs: number, random: Random, delayMs: number | null = null): number {
    this.#failures++
    const exponentialMs = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(this.#failures - 1, 10))
    this.#untilMs = nowMs + (delayMs ?? jitterDown(exponentialMs, random))
    return this.#untilMs
  }

  /** An Established session of this length ended. */
  sessionEnded(lastedMs: number): void {
    if (lastedMs >= FORGET_MS) this.#failures = 0
  }

  /** No connection before this time; -Infinity when there is none to wait for. */
  get untilMs(): number {
    return this.#untilMs
  }

  get failures(): number {
    return this.#failures
  }

  /** An operator's `up` or `clear`, or a new configuration. */
  clear(): void {
    this.#failures = 0
    this.#untilMs = Number.NEGATIVE_INFINITY
  }

  /** Long over: nothing would be lost by forgetting it. */
  isStale(nowMs: number): boolean {
    return nowMs > this.#untilMs + FORGET_MS
  }
}

const FIRST_MS = 5_000
const MAX_MS = 60_000
const FORGET_MS = 300_000
