/**
 * The edge of time: one real timer for all sessions of the process.
 */
import { DeadlineQueue, type Wakeable } from './timers.js'

export interface Clock {
  /** Monotonic milliseconds (`performance.now()`). */
  now(): number
  /** Wakes `item` at `atMs` or earlier. */
  schedule(item: Wakeable, atMs: number): void
  cancel(item: Wakeable): void
  /** Calls back once after everything that lies readable in the sockets now has been read. */
  afterReadPass(callback: () => void): void
}

export class RealClock implements Clock {
  readonly #queue = new DeadlineQueue()
  #timer: NodeJS.Timeout | null = null
  #timerAtMs = Number.POSITIVE_INFINITY

  now(): number {
    return performance.now()
  }

  schedule(item: Wakeable, atMs: number): void {
    this.#queue.schedule(item, atMs)
    this.#arm()
  }

  cancel(item: Wakeable): void {
    this.#queue.cancel(item)
    this.#arm()
  }

  /** setImmediate runs after a poll phase; the second one makes sure that a whole one lies between, whatever phase called us. */
  afterReadPass(callback: () => void): void {
    setImmediate(() => setImmediate(callback))
  }

  #arm(): void {
    const next = this.#queue.nextMs
    if (next === Number.POSITIVE_INFINITY) {
      if (this.#timer !== null) clearTimeout(this.#timer)
      this.#timer = null
      this.#timerAtMs = next
      return
    }
    // An earlier real timer is left alone: it finds nothing due and arms again.
    if (this.#timer !== null && this.#timerAtMs <= next) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timerAtMs = next
    const delayMs = Math.min(Math.max(0, next - this.now()), MAX_TIMER_MS)
    this.#timer = setTimeout(() => this.#fire(), Math.ceil(delayMs))
  }

  #fire(): void {
    this.#timer = null
    this.#timerAtMs = Number.POSITIVE_INFINITY
    const nowMs = this.now()
    try {
      for (let item = this.#queue.takeDue(nowMs); item !== undefined; item = this.#queue.takeDue(nowMs)) {
        item.onDeadline(nowMs)
      }
    } finally {
      this.#arm()
    }
  }
}

/** setTimeout takes no more than 2^31 - 1. */
const MAX_TIMER_MS = 0x7fff_ffff
