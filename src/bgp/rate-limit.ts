/**
 * At most one log fact per interval; the ones held back are counted and told with the next.
 */
export class RateLimit {
  readonly #everyMs: number
  #nextMs = Number.NEGATIVE_INFINITY
  #suppressed = 0

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  /** How many were held back since the last one, or null: hold this one back. */
  take(nowMs: number): number | null {
    if (nowMs < this.#nextMs) {
      this.#suppressed++
      return null
    }
    const suppressed = this.#suppressed
    this.#suppressed = 0
    this.#nextMs = nowMs + this.#everyMs
    return suppressed
  }
}
