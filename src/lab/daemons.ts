/** Edge: the lab's daemons, each a process of its own with its log in a file. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { configFile } from './configuration.js'
import { speakerNamespace } from './namespaces.js'
import type { Rack, Speaker } from './plan.js'

export interface LabDaemon {
  readonly speaker: Speaker
  /** How it ended, in words; null while it runs. */
  ended(): string | null
  /** The last lines of its log. */
  logTail(lines: number): readonly string[]
  signal(name: NodeJS.Signals): void
  /** Resolves when it has ended. */
  readonly whenEnded: Promise<void>
}

/** The compiled command line program, for the daemons and for what the reader is told to type. */
export const PROGRAM = fileURLToPath(new URL('../cli/main.js', import.meta.url))

export function startDaemon(rack: Rack, speaker: Speaker, prefix: string, folder: string): LabDaemon {
  const run = [process.execPath, PROGRAM, 'run', '-c', configFile(folder, speaker)]
  const inside = rack.mode === 'kernel' ? ['ip', 'netns', 'exec', speakerNamespace(prefix, speaker)] : []
  const [command = '', ...args] = [...inside, ...run]
  const logFile = join(folder, `${speaker.name}.log`)
  const log = openSync(logFile, 'a')
  // Detached: Ctrl-C reaches the lab alone, which then ends its daemons in order.
  const child = spawn(command, args, { stdio: ['ignore', log, log], detached: true })
  closeSync(log)
  if (child.pid !== undefined) writeFileSync(join(folder, `${speaker.name}.pid`), String(child.pid))
  let ended: string | null = null
  return {
    speaker,
    ended: () => ended,
    logTail: (lines) => readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines),
    signal: (name) => void child.kill(name),
    whenEnded: whenEnded(child).then((words) => {
      ended = words
    }),
  }
}

/** Asks all to end; those that have not after a while are killed. */
export async function stopDaemons(daemons: readonly LabDaemon[]): Promise<void> {
  for (const daemon of daemons) daemon.signal('SIGTERM')
  const kill = setTimeout(() => {
    for (const daemon of daemons) daemon.signal('SIGKILL')
  }, STOP_LIMIT_MS)
  await Promise.all(daemons.map((daemon) => daemon.whenEnded))
  clearTimeout(kill)
}

function whenEnded(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('exit', (code, name) => resolve(name === null ? `exit code ${code}` : name))
  })
}

const STOP_LIMIT_MS = 8000
