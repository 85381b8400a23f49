/**
 * Edge: one `ip monitor` child, which ends with us, however we end.
 *
 * `ip` itself sees that nobody reads its lines any more only when it writes the next one: after a SIGKILL of ours it stayed until then. So it is the child of a shell that
 * waits for a line or the end on a pipe that we hold. The end of the pipe is ours, too, and the shell ends `ip`; a line says that `ip` has ended by itself. Where there is no
 * shell, `ip` is started without one.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { atExit } from '../at-exit.js'

export interface IpMonitorHooks {
  /** What `ip` printed, cut anywhere. */
  readonly take: (chunk: string) => void
  /** It ended, and nobody asked it to; how, in words: `exit status 1`. */
  readonly ended: (how: string) => void
}

export class IpMonitor {
  readonly #args: readonly string[]
  readonly #hooks: IpMonitorHooks
  #child: ChildProcess
  #forgetExit: () => void = () => {}
  #closed = false
  readonly #end: Promise<void>
  #tellEnd: () => void = () => {}

  /** Starts it. `args`: all of them, such as `-n NAME -o monitor route`. */
  constructor(args: readonly string[], hooks: IpMonitorHooks) {
    this.#args = args
    this.#hooks = hooks
    this.#end = new Promise((resolve) => {
      this.#tellEnd = resolve
    })
    this.#child = this.#startWatched()
  }

  /** Process id of the shell, or of `ip` where there is none, for tests; null where nothing runs. */
  get pid(): number | null {
    return this.#child.pid ?? null
  }

  /** Ends it; resolves when it is gone. */
  close(): Promise<void> {
    this.#closed = true
    if (this.#child.stdin === null) this.#child.kill('SIGTERM')
    else this.#child.stdin.end()
    return this.#end
  }

  #startWatched(): ChildProcess {
    const child = spawn('sh', ['-c', WATCHED, 'sh', pathOf('ip'), ...this.#args], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    let isMissing = false
    child.stdout.setEncoding('latin1').on('data', this.#hooks.take)
    child.stdout.on('end', () => child.stdin.end('\n'))
    // EPIPE: the end of the child is reported by 'close'.
    child.stdin.on('error', () => {})
    child.on('error', (error: NodeJS.ErrnoException) => {
      isMissing = error.code === 'ENOENT'
    })
    // Should somebody end the shell alone, `ip` is left to find that nobody reads.
    child.on('exit', () => child.stdout.destroy())
    child.on('close', (code, signal) => {
      if (isMissing && !this.#closed) this.#child = this.#startAlone()
      else this.#ended(code, signal)
    })
    return child
  }

  #startAlone(): ChildProcess {
    const child = spawn('ip', [...this.#args], { stdio: ['ignore', 'pipe', 'ignore'] })
    this.#forgetExit = atExit(() => child.kill('SIGTERM'))
    child.stdout.setEncoding('latin1').on('data', this.#hooks.take)
    child.on('error', () => {})
    child.on('close', (code, signal) => this.#ended(code, signal))
    return child
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    this.#forgetExit()
    this.#tellEnd()
    if (!this.#closed) this.#hooks.ended(signal === null ? `exit status ${code}` : `signal ${signal}`)
  }
}

/** Where PATH has it: the shell of BusyBox takes its own `ip` for the bare name. */
function pathOf(program: string): string {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, program)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {}
  }
  return program
}

/**
 * POSIX, without job control. A background command has /dev/null for its standard input, and the shell does not hold the pipe that `ip` writes to: its end is the end of `ip`.
 * Signals from a terminal are ours to act on.
 */
const WATCHED = 'trap "" HUP INT TERM; "$@" & exec >/dev/null; read -r _ || kill -9 $!; wait $!'
