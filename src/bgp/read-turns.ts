/**
 * How much of what the sockets have is taken in one pass of the event loop: when a whole table lies there, Node.js reads all of it in one go, and KEEPALIVEs, timers and
 * the other peers wait for the end of it (100,000 routes took 50 ms). What is left waits in a row, so that each gets its share however much the others have.
 */

export interface Waiting {
  /** Takes a piece at least, and more while the pass has time; what is left waits again. */
  takeSome(): void
}

export class ReadTurns {
  /** 0: nothing was taken in this pass. */
  #endMs = 0
  #row: Waiting[] = []

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

  /** `who` takes some in one of the next passes. */
  wait(who: Waiting): void {
    this.#row.push(who)
    this.begin()
  }

  readonly #next = (): void => {
    this.#endMs = 0
    if (this.#row.length === 0) return
    this.begin()
    const row = this.#row
    this.#row = []
    let at = 0
    do row[at++]!.takeSome()
    while (at < row.length && !this.isOver)
    // Those that had nothing yet come first.
    if (at < row.length) this.#row = [...row.slice(at), ...this.#row]
  }
}

const TURN_MS = 3
