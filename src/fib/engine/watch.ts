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
  /** Dumps of late; they are forgotten one by one. */
  #dumps = 0

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

  /**
   * False while something happens all the time, such as somebody who takes out what we put back: then events alone are no reason to write, lest the two of us keep
   * the machine busy. The next look is.
   */
  get isCalm(): boolean {
    return this.#dumpsAt(performance.now()) < MANY_DUMPS
  }

  /** Between dumps there is a rest that grows with their length: somebody may change routes all the time, and `ip monitor` tells of our own too. */
  soon(look: Look): void {
    this.in(look, Math.max(DEBOUNCE_MS, this.restMs))
  }

  /** Until it is time for another dump. */
  get restMs(): number {
    const tookMs = this.#lastDumpTookMs
    const restMs = this.isCalm
      ? tookMs * 4
      : Math.max(tookMs * 10, Math.min(Math.max(tookMs * 100, LEAST_PACED_MS), PACED_MS))
    return this.#lastDumpEndMs + Math.min(MAX_REST_MS, restMs) - performance.now()
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
    const nowMs = performance.now()
    this.#dumps = Math.min(MAX_DUMPS, this.#dumpsAt(nowMs) + 1)
    this.#lastDumpEndMs = nowMs
    this.#lastDumpTookMs = nowMs - startMs
  }

  #dumpsAt(nowMs: number): number {
    return Math.max(0, this.#dumps - (nowMs - this.#lastDumpEndMs) / FORGET_MS)
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}

const DEBOUNCE_MS = 75
const MAX_REST_MS = 2000
/** A dump each time costs a hundredth, as long as what is changed can come back within a second. */
const PACED_MS = 500
const LEAST_PACED_MS = 300
const MANY_DUMPS = 16
const MAX_DUMPS = 24
const FORGET_MS = 2000
