/**
 * Monotonic times as times of day. The same moment has the same time of day in every answer, so that two answers can be compared; only when
 * the machine's clock was set (or drifted) by more than a second against the monotonic one are all of them told anew.
 */
export class WallClock {
  readonly #wallNowMs: () => number
  readonly #nowMs: () => number
  #originMs: number

  constructor(wallNowMs: () => number = Date.now, nowMs: () => number = () => performance.now()) {
    this.#wallNowMs = wallNowMs
    this.#nowMs = nowMs
    this.#originMs = wallNowMs() - nowMs()
  }

  /** ISO 8601 with milliseconds. `atMs`: as the monotonic clock counts. */
  text(atMs: number): string {
    const originMs = this.#wallNowMs() - this.#nowMs()
    if (Math.abs(originMs - this.#originMs) > STEP_MS) this.#originMs = originMs
    return new Date(this.#originMs + atMs).toISOString()
  }
}

/** Reading two clocks one after the other differs by a millisecond, by more on a busy machine. */
const STEP_MS = 1_000
