/** Edge: a progress bar on a terminal, one line for each phase in a pipe. */
export interface Progress {
  /** `done` is asked ten times a second, on a terminal: 0 to 1. */
  start(label: string, done: () => number): void
  /** A line for people, before a phase. */
  say(text: string): void
  /** The phase is over, with what came out of it. */
  end(text: string): void
}

export function makeProgress(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY === true ? new Bar(stream) : new Lines(stream)
}

class Lines implements Progress {
  readonly #stream: NodeJS.WriteStream
  #label = ''

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  start(label: string): void {
    this.#label = label
  }

  say(text: string): void {
    this.#stream.write(`${text}\n`)
  }

  end(text: string): void {
    this.#stream.write(`${this.#label}: ${text}\n`)
  }
}

class Bar implements Progress {
  readonly #stream: NodeJS.WriteStream
  #label = ''
  #timer: NodeJS.Timeout | null = null

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  start(label: string, done: () => number): void {
    this.#stop()
    this.#label = label
    this.#draw(done())
    this.#timer = setInterval(() => this.#draw(done()), DRAW_MS)
  }

  say(text: string): void {
    this.#stream.write(`\r\x1b[K${text}\n`)
  }

  end(text: string): void {
    this.#stop()
    this.#stream.write(`\r\x1b[K${this.#label}: ${text}\n`)
  }

  #draw(share: number): void {
    const percent = Math.max(0, Math.min(100, Math.floor(share * 100)))
    const filled = Math.round((percent / 100) * BAR_CHARS)
    const bar = '█'.repeat(filled) + '·'.repeat(BAR_CHARS - filled)
    this.#stream.write(`\r\x1b[K${this.#label.padEnd(LABEL_CHARS)} ${bar} ${String(percent).padStart(3)} %`)
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }
}

const DRAW_MS = 100
const BAR_CHARS = 40
const LABEL_CHARS = 24
