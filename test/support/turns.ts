/** Counts the turns of the event loop: whatever is done between two of them holds everything else, however fast the machine is. */

export class Turns {
  #count = 0
  #work = 0
  #mostWork = 0
  #timer: NodeJS.Immediate

  constructor() {
    const turn = (): void => {
      this.#count++
      this.#work = 0
      this.#timer = setImmediate(turn)
    }
    this.#timer = setImmediate(turn)
  }

  get count(): number {
    return this.#count
  }

  /** The most work that was done in one turn. */
  get mostWork(): number {
    return this.#mostWork
  }

  /** A piece of work was done in this turn. */
  readonly work = (): void => {
    this.#mostWork = Math.max(this.#mostWork, ++this.#work)
  }

  stop(): void {
    clearImmediate(this.#timer)
  }
}
