/**
 * Edge: removes what a lab has made: daemons, namespaces, the folder with its files. Used at the end of a lab, by the guard of a lab that was
 * killed, and at the start for labs that died together with their guard. Everything carries the lab's process id in its name.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** What namespaces and the folder of the lab with this process id begin with. */
export function labPrefix(pid: number): string {
  return `${NAME}-${pid}`
}

/** Ends daemons that still run, removes namespaces and folder. Harmless when there is nothing left. */
export async function removeLab(prefix: string, folder: string | null): Promise<void> {
  if (folder !== null) await killDaemons(folder)
  removeNamespaces(prefix)
  if (folder !== null) rmSync(folder, { recursive: true, force: true })
}

export function removeNamespaces(prefix: string): void {
  for (const name of listNamespaces()) {
    if (name.startsWith(`${prefix}-`)) spawnSync('ip', ['netns', 'delete', name], { stdio: 'ignore' })
  }
}

/** Cleans up after labs whose process is gone. Returns their prefixes. */
export async function removeDeadLabs(): Promise<readonly string[]> {
  const dead = new Map<string, string | null>()
  const remember = (name: string, folder: string | null): void => {
    const pid = Number(LAB_NAME.exec(name)?.[1])
    if (!isRunningLab(pid)) dead.set(labPrefix(pid), folder)
  }
  for (const name of listNamespaces()) remember(name, null)
  for (const name of listFolders()) remember(name, join(tmpdir(), name))
  for (const [prefix, folder] of dead) await removeLab(prefix, folder)
  return [...dead.keys()]
}

/** Only processes of ours: the pid files say which, and the command line names the folder. */
async function killDaemons(folder: string): Promise<void> {
  const alive = pidFiles(folder).filter((pid) => commandLine(pid).includes(folder))
  for (const pid of alive) signal(pid, 'SIGKILL')
  for (const pid of alive) {
    for (let waitedMs = 0; commandLine(pid).includes(folder) && waitedMs < KILL_LIMIT_MS; waitedMs += 20)
      await sleep(20)
  }
}

function pidFiles(folder: string): number[] {
  return list(folder)
    .filter((name) => name.endsWith('.pid'))
    .map((name) => Number(read(join(folder, name))))
    .filter((pid) => pid > 1)
}

/** This very process counts as dead: in a container, names of an earlier lab may carry the same process id. */
function isRunningLab(pid: number): boolean {
  return pid !== process.pid && / lab( |$)/.test(commandLine(pid).replaceAll('\0', ' '))
}

/** Empty for a process that is gone or a zombie. */
function commandLine(pid: number): string {
  return read(`/proc/${pid}/cmdline`)
}

function listNamespaces(): string[] {
  return list('/run/netns').filter((name) => LAB_NAME.test(name))
}

function listFolders(): string[] {
  const own = process.getuid?.()
  return list(tmpdir()).filter((name) => LAB_NAME.test(name) && ownerOf(join(tmpdir(), name)) === own)
}

function ownerOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.uid
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended in the meantime.
  }
}

const NAME = 'nodebgp-lab'
const LAB_NAME = /^nodebgp-lab-(\d+)-/
const KILL_LIMIT_MS = 2000
