/** Edge: a wait that other code ends, a limit, or a stop; whichever is first. */
export type WaitEnd = 'done' | 'timeout' | 'stopped'

export class Wait {
  readonly end: Promise<WaitEnd>
  #resolve: (end: WaitEnd) => void = () => {}
  readonly #timer: NodeJS.Timeout
  readonly #stop: AbortSignal
  readonly #onStop = () => this.finish('stopped')

  constructor(limitMs: number, stop: AbortSignal) {
    this.end = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#timer = setTimeout(() => this.finish('timeout'), limitMs)
    this.#stop = stop
    if (stop.aborted) this.#onStop()
    else stop.addEventListener('abort', this.#onStop)
  }

  finish(end: WaitEnd = 'done'): void {
    clearTimeout(this.#timer)
    this.#stop.removeEventListener('abort', this.#onStop)
    this.#resolve(end)
  }
}
