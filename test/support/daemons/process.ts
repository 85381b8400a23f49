/**
 * Child processes of a test: started in a network namespace, ended by their own pid, and never left behind.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { promisify } from 'node:util'
import { GaveUp } from '../wait.js'

const execute = promisify(execFile)

/** Runs a command to its end and returns what it printed. Rejects with the command's own words. */
export async function run(command: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await execute(command, args, { maxBuffer: 64 << 20, timeout: 60_000, killSignal: 'SIGKILL' })
    return stdout
  } catch (error) {
    const failed = error as { stdout?: string; stderr?: string; message: string }
    throw new Error(`${command} ${args.join(' ')}: ${(failed.stderr || failed.stdout || failed.message).trim()}`)
  }
}

export function runIn(netns: string, command: string, ...args: string[]): Promise<string> {
  return run('ip', 'netns', 'exec', netns, command, ...args)
}

const running = new Set<Process>()
const killAll = () => {
  for (const child of running) child.signal('SIGKILL')
}
process.on('exit', killAll)
// Ended by tap (SIGALRM: the file took too long) or by a person: 'exit' also removes namespaces and folders, which a signal alone would not.
for (const signal of ['SIGALRM', 'SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]))
}

/** `ip netns exec` becomes the command, so the pid is the daemon's own. */
export class Process {
  readonly pid: number
  readonly ended: Promise<void>
  readonly #child: ChildProcess
  readonly #logFile: string

  constructor(netns: string, logFile: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#logFile = logFile
    const log = openSync(logFile, 'a')
    this.#child = spawn('ip', ['netns', 'exec', netns, command, ...args], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    })
    closeSync(log)
    this.pid = this.#child.pid ?? -1
    running.add(this)
    this.ended = new Promise((resolve) => {
      const done = () => {
        running.delete(this)
        resolve()
      }
      this.#child.once('exit', done)
      this.#child.once('error', done)
    })
  }

  get isRunning(): boolean {
    return running.has(this)
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(signal)
  }

  /** For probes: waiting for a daemon that has ended is hopeless. */
  mustRun(): void {
    if (!this.isRunning) throw new GaveUp(`daemon ended by itself; its log ends with:\n${this.logTail()}`)
  }

  logTail(lines = 25): string {
    return readFileSync(this.#logFile, 'utf8').split('\n').slice(-lines).join('\n')
  }

  /** SIGTERM, and SIGKILL when that is not heeded within ten seconds. */
  async stop(): Promise<void> {
    this.signal('SIGTERM')
    const force = setTimeout(() => this.signal('SIGKILL'), 10_000)
    await this.ended
    clearTimeout(force)
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.ended
  }
}
