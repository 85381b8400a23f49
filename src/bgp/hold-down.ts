/**
 * How long a peer is kept away, and why: after protocol errors, for maxPrefix, and when its sessions come and go too often (backoff.ts has the times).
 */
import type { NeighborConfig } from '../config/types.js'
import { type Backoff, SHORT_SESSION_MS } from './backoff.js'
import { isOurDoing, isProtocolError } from './reason.js'
import type { DownReason } from './session-types.js'
import type { Random } from './timers.js'

export class HoldDown {
  /** Outlives a peer of a range. */
  readonly backoff: Backoff
  readonly #random: Random
  /** What is under way was begun by maxPrefix. */
  #overMaxPrefix = false

  constructor(backoff: Backoff, random: Random) {
    this.backoff = backoff
    this.#random = random
  }

  /** While now is before this, the peer pays; -Infinity: nothing to pay. */
  get untilMs(): number {
    return this.backoff.untilMs
  }

  /** It sent more prefixes than maxPrefix allows. */
  isOverMaxPrefix(nowMs: number): boolean {
    return this.#overMaxPrefix && nowMs < this.untilMs
  }

  /** Its sessions came and went too often. */
  isDamped(nowMs: number): boolean {
    return this.backoff.isDamping && nowMs < this.untilMs
  }

  /** By an operator, or a new configuration. */
  clear(): void {
    this.backoff.clear()
  }

  /**
   * A session has ended, or did not come up. `lastedMs`: how long it was Established; null: it was not. `isExcused`: the error costs nothing. True: it is damped from now on.
   */
  ended(
    reason: DownReason,
    lastedMs: number | null,
    isExcused: boolean,
    { maxPrefix, damping }: NeighborConfig,
    nowMs: number,
  ): boolean {
    if (lastedMs !== null) this.backoff.sessionEnded(lastedMs)
    if (!isExcused && isProtocolError(reason)) {
      this.#overMaxPrefix = reason.kind === 'max-prefix'
      this.backoff.failed(nowMs, this.#random, this.#overMaxPrefix ? (maxPrefix?.restartMs ?? null) : null)
      return false
    }
    return lastedMs !== null && damping && !isOurDoing(reason) && this.backoff.flapped(lastedMs, nowMs, this.#random)
  }

  dampedText(name: string, nowMs: number): string {
    const seconds = Math.ceil((this.untilMs - nowMs) / 1000)
    return `neighbor ${name} is held down for ${seconds} s: ${this.backoff.flaps} sessions in a row lasted less than ${SHORT_SESSION_MS / 1000} s; find out why, or set damping: false`
  }
}
