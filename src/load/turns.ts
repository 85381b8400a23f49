/**
 * Edge: no piece of the loader's work keeps its KEEPALIVEs waiting. Long work goes in steps, and sockets with more than a buffer full to read take turns: without that
 * libuv reads each of them up to 32 times before timers run, which with a large table to 30 receivers took longer than a hold time of 3 s.
 */
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'

/** For all sockets of a run. */
export class ReadTurns {
  readonly #paused: Socket[] = []
  #isScheduled = false
  #startMs = 0

  /** A buffer full of this socket was taken; `nowMs`: when that began. Whether it may be read on at once; otherwise its next turn comes behind the timers. */
  goesOn(socket: Socket, nowMs: number): boolean {
    if (!this.#isScheduled) {
      this.#isScheduled = true
      this.#startMs = nowMs
      setImmediate(this.#next)
    }
    if (nowMs - this.#startMs < TURN_MS) return true
    this.#paused.push(socket)
    return false
  }

  readonly #next = (): void => {
    this.#isScheduled = false
    for (const socket of this.#paused.splice(0)) socket.resume()
  }
}

/** Goes through all steps, with a look at sockets and timers in between. Returns what they return. */
export async function inTurns<T>(steps: Generator<void, T>): Promise<T> {
  let startMs = performance.now()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    if (performance.now() - startMs < TURN_MS) continue
    // A timer, not an immediate: KEEPALIVEs are timers too, and go first when they are due.
    await new Promise((resolve) => setTimeout(resolve, 0))
    startMs = performance.now()
  }
}

const TURN_MS = 30
