/**
 * How much of what the sockets have is taken in one pass of the event loop: when a whole table lies there, Node.js reads all of it in one go, and KEEPALIVEs, timers and
 * the other peers wait for the end of it (100,000 routes took 50 ms).
 */

export class ReadTurns {
  /** 0: nothing was taken in this pass. */
  #endMs = 0
  #waiting: (() => void)[] = []

  /** Before something is taken. */
  begin(): void {
    if (this.#endMs !== 0) return
    this.#endMs = performance.now() + TURN_MS
    setImmediate(this.#next)
  }

  /** The rest waits for the next pass. */
  get isOver(): boolean {
    return this.#endMs !== 0 && performance.now() >= this.#endMs
  }

  /** `resume` is called in the next pass. */
  wait(resume: () => void): void {
    this.#waiting.push(resume)
  }

  readonly #next = (): void => {
    this.#endMs = 0
    const waiting = this.#waiting
    this.#waiting = []
    for (const resume of waiting) resume()
  }
}

const TURN_MS = 3
