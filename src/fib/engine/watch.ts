/**
 * What has to be looked at before anything else is written, now or soon.
 */

/** What to look at; the more, the higher. */
export const Look = Object.freeze({ NONE: 0, DEVICES: 1, OURS: 2, ALL: 3, SLOW: 4 } as const)
export type Look = (typeof Look)[keyof typeof Look]

export class Watch {
  readonly #wake: () => void
  #wanted: Look = Look.NONE
  #timer: NodeJS.Timeout | null = null
  #timerDueMs = 0
  #timerLook: Look = Look.NONE
  #stopped = false
  #lastDumpEndMs = 0
  #lastDumpTookMs = 0

  /** `wake` is called when it is time to look. */
  constructor(wake: () => void) {
    this.#wake = wake
  }

  get wanted(): Look {
    return this.#wanted
  }

  /** What was asked for, which is seen to now. */
  take(): Look {
    const look = this.#wanted
    this.#wanted = Look.NONE
    return look
  }

  ask(look: Look): void {
    if (look > this.#wanted) this.#wanted = look
  }

  /** Between dumps there is a rest that grows with their length: somebody may change routes all the time, and `ip monitor` tells of our own too. */
  soon(look: Look): void {
    const restMs = this.#lastDumpEndMs + Math.min(MAX_REST_MS, this.#lastDumpTookMs * 4) - performance.now()
    this.in(look, Math.max(DEBOUNCE_MS, restMs))
  }

  in(look: Look, ms: number): void {
    if (this.#stopped) return
    if (look > this.#timerLook) this.#timerLook = look
    const dueMs = performance.now() + ms
    if (this.#timer !== null) {
      if (this.#timerDueMs <= dueMs) return
      clearTimeout(this.#timer)
    }
    this.#timerDueMs = dueMs
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.ask(this.#timerLook)
      this.#timerLook = Look.NONE
      this.#wake()
    }, ms)
  }

  /** A dump that began then has ended. */
  dumped(startMs: number): void {
    this.#lastDumpEndMs = performance.now()
    this.#lastDumpTookMs = this.#lastDumpEndMs - startMs
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}

const DEBOUNCE_MS = 75
const MAX_REST_MS = 2000
