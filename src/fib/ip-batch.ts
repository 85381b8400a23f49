/**
 * Edge: one persistent `ip -force -batch -` (or `bridge …`) child. Lines go in; which of them failed, and in whose words, comes back.
 *
 * `ip` reports failures on standard error: the message, then `Command failed -:N`, N being the number of the line since the child started.
 * Every batch ends with a line that is no command; once its number is reported, all lines before it are done. Whatever was not
 * acknowledged when the child ends has an unknown outcome, and the caller has to look at the tables again.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'

export interface BatchResult {
  /** Index of the line → words of `ip` and the kernel. */
  readonly failures: ReadonlyMap<number, string>
  /** Set where the child ended before the batch was acknowledged. */
  readonly lost: string | null
}

export class IpBatch {
  readonly #args: readonly string[]
  readonly #program: 'ip' | 'bridge'
  readonly #onExit: (words: string) => void
  #child: ChildProcessWithoutNullStreams | null = null
  /** Lines written to this child. */
  #lines = 0
  #pending: Pending | null = null
  #stderr = ''
  #words: string[] = []
  #closing = false
  #outdated = false

  /** `args` come before `-force -batch -`: `-n NAME` for a namespace. `onExit` is called when a child ends that was not closed. */
  constructor(args: readonly string[], onExit: (words: string) => void, program: 'ip' | 'bridge' = 'ip') {
    this.#args = args
    this.#onExit = onExit
    this.#program = program
  }

  /** Process id of the child, for tests and views; null where none runs. */
  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** The next lines go to a new child: `ip` keeps the numbers of devices that it has seen, and a device may have come back under another. */
  renew(): void {
    this.#outdated = true
  }

  /** Runs lines in order. One call at a time. */
  run(lines: readonly string[]): Promise<BatchResult> {
    if (this.#pending !== null) throw new Error('a batch is under way')
    if (this.#outdated) this.#retire()
    const child = this.#child ?? this.#start()
    return new Promise((resolve) => {
      this.#pending = { first: this.#lines + 1, sync: this.#lines + lines.length + 1, failures: new Map(), resolve }
      this.#lines += lines.length + 1
      child.stdin.write(`${lines.join('\n')}${lines.length > 0 ? '\n' : ''}${SYNC_LINE}\n`)
    })
  }

  /** Ends the child after the lines it has. */
  async close(): Promise<void> {
    this.#closing = true
    const child = this.#child
    if (child === null) return
    await new Promise<void>((resolve) => {
      child.once('close', () => resolve())
      child.stdin.end()
    })
  }

  /** All that it was given is acknowledged: it ends by itself. */
  #retire(): void {
    this.#outdated = false
    this.#child?.stdin.end()
    this.#child = null
  }

  #start(): ChildProcessWithoutNullStreams {
    const child = spawn(this.#program, [...this.#args, '-force', '-batch', '-'], {
      env: { ...process.env, LC_ALL: 'C' },
    })
    this.#child = child
    this.#lines = 0
    this.#stderr = ''
    this.#words = []
    child.stdout.resume()
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (chunk: string) => {
      if (child === this.#child) this.#read(chunk)
    })
    // EPIPE: the end of the child is reported by 'close'.
    child.stdin.on('error', () => {})
    let spawnError = ''
    child.on('error', (error) => {
      spawnError = error.message
    })
    child.on('close', (code, signal) => {
      if (child !== this.#child) return
      this.#child = null
      const said = [...this.#words, this.#stderr.trim()].filter((word) => word !== '').join(' ')
      const how = spawnError !== '' ? spawnError : signal !== null ? `signal ${signal}` : `exit status ${code}`
      const words = `${this.#program} -batch ended (${how})${said === '' ? '' : `: ${said.slice(0, 300)}`}`
      const pending = this.#pending
      this.#pending = null
      if (!this.#closing) this.#onExit(words)
      pending?.resolve({ failures: pending.failures, lost: words })
    })
    return child
  }

  #read(chunk: string): void {
    const text = this.#stderr + chunk
    const lines = text.split('\n')
    this.#stderr = lines.pop()!
    for (const line of lines) {
      const match = FAILED_LINE.exec(line)
      if (match === null) {
        if (this.#words.length < 10) this.#words.push(line.trim())
        continue
      }
      const number = Number(match[1])
      const words = this.#words.join(' ').replace(/^(RTNETLINK answers|Error): /, '')
      this.#words = []
      const pending = this.#pending
      if (pending === null) continue
      if (number < pending.sync) {
        if (number >= pending.first) pending.failures.set(number - pending.first, words)
        continue
      }
      this.#pending = null
      pending.resolve({ failures: pending.failures, lost: null })
    }
  }
}

interface Pending {
  readonly first: number
  readonly sync: number
  readonly failures: Map<number, string>
  readonly resolve: (result: BatchResult) => void
}

const SYNC_LINE = '=sync='
const FAILED_LINE = /^Command failed -:(\d+)$/
