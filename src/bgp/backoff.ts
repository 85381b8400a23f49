/**
 * Back-off after protocol errors: 5 s, doubled by each further one up to 60 s. It survives short Established spells, so that a peer that is
 * torn down by every full table does not flap at full speed; five minutes of Established forget it.
 *
 * Damping (RFC 4271 §8.1.1, DampPeerOscillations): a peer whose sessions come up and go again within half a minute, whatever the reason, is held
 * down in the same way from the sixth such session in a row on, so that its routes do not churn through everybody else. A restart or two stay free.
 */
import { jitterDown, type Random } from './timers.js'

export class Backoff {
  #failures = 0
  #flaps = 0
  #flappedAtMs = Number.NEGATIVE_INFINITY
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

  /** … and not by a protocol error, nor by our own doing. True: the peer is held down until `untilMs`. */
  flapped(lastedMs: number, nowMs: number, random: Random): boolean {
    if (lastedMs >= SHORT_SESSION_MS || nowMs - this.#flappedAtMs > FORGET_MS) this.#flaps = 0
    if (lastedMs >= SHORT_SESSION_MS) return false
    this.#flappedAtMs = nowMs
    if (++this.#flaps <= FREE_FLAPS) return false
    const exponentialMs = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(this.#flaps - FREE_FLAPS - 1, 10))
    this.#untilMs = Math.max(this.#untilMs, nowMs + jitterDown(exponentialMs, random))
    return true
  }

  /** Short sessions in a row. */
  get flaps(): number {
    return this.#flaps
  }

  /** The last of them was one too many. */
  get isDamping(): boolean {
    return this.#flaps > FREE_FLAPS
  }

  /** Nothing would be lost by forgetting it now. */
  get isClean(): boolean {
    return this.#failures === 0 && this.#flaps === 0
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
    this.#flaps = 0
    this.#untilMs = Number.NEGATIVE_INFINITY
  }

  /** Long over: nothing would be lost by forgetting it. */
  isStale(nowMs: number): boolean {
    return nowMs > Math.max(this.#untilMs, this.#flappedAtMs) + FORGET_MS
  }
}

const FIRST_MS = 5_000
const MAX_MS = 60_000
const FORGET_MS = 300_000
/** A session that ends sooner counts as a flap. */
export const SHORT_SESSION_MS = 30_000
const FREE_FLAPS = 5
