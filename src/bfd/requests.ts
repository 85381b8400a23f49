/**
 * What the daemon asks of the BFD thread, in order, a few milliseconds at a time: between two slices packets are read and sent. Hundreds of sessions that open at once would
 * else keep those of the others waiting, for longer than a short detection time on a busy machine.
 */
export interface RequestsOptions<T> {
  readonly serve: (request: T) => void
  readonly nowMs: () => number
  /** Calls when packets and timers have had their turn. */
  readonly later: (call: () => void) => void
}

export class Requests<T> {
  readonly #options: RequestsOptions<T>
  #waiting: T[] = []
  #next = 0
  #isServing = false

  constructor(options: RequestsOptions<T>) {
    this.#options = options
  }

  push(request: T): void {
    this.#waiting.push(request)
    if (this.#isServing) return
    this.#isServing = true
    this.#options.later(this.#slice)
  }

  readonly #slice = (): void => {
    const { serve, nowMs, later } = this.#options
    const endMs = nowMs() + SLICE_MS
    while (this.#next < this.#waiting.length) {
      serve(this.#waiting[this.#next++]!)
      if (nowMs() < endMs) continue
      later(this.#slice)
      return
    }
    this.#waiting = []
    this.#next = 0
    this.#isServing = false
  }
}

const SLICE_MS = 5
