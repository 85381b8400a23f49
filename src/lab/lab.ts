/**
 * Edge: builds the rack, starts the daemons, watches until everything has converged and every ping came back, and removes everything at the
 * end, whatever the end is.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { configFile, renderConfig } from './configuration.js'
import { type LabDaemon, startDaemon, stopDaemons } from './daemons.js'
import { labPrefix, removeDeadLabs, removeLab, removeNamespaces } from './leftovers.js'
import { explainImpossible, explainModes, findModes, type LabEncapsulation } from './modes.js'
import { buildNamespaces } from './namespaces.js'
import { makeOutput, type Output, printRack } from './output.js'
import { planRack, type Rack } from './plan.js'
import { findFreePort } from './ports.js'
import { missingForKernel } from './requirements.js'
import { watch } from './watch.js'

export interface LabOptions {
  /** End when all is well (0) or the limit is reached (1). */
  readonly once: boolean
  readonly requireKernel: boolean
  /** Loopback even where namespaces would work. */
  readonly loopback: boolean
  readonly json: boolean
  readonly encapsulation: LabEncapsulation
  readonly limitSeconds: number
}

/** Resolves with the exit code, after everything has been removed. */
export async function runLab(options: LabOptions): Promise<number> {
  const stopping = new AbortController()
  const stop = (): void => stopping.abort()
  stopOnSignals(stop)
  const out = makeOutput(options.json, stop)
  for (const dead of await removeDeadLabs()) out.line(`Removed what an earlier lab had left (${dead}).`)
  const prefix = labPrefix(process.pid)
  const folder = mkdtempSync(join(tmpdir(), `${prefix}-`))
  const guard = startGuard(prefix, folder)
  const daemons: LabDaemon[] = []
  try {
    const rack = await buildRack(options, prefix, out)
    if (rack === null) return 1
    printRack(out, rack)
    const example = readExample()
    for (const speaker of rack.speakers) {
      writeFileSync(configFile(folder, speaker), renderConfig(example, rack, speaker, folder), { mode: 0o600 })
      daemons.push(startDaemon(rack, speaker, prefix, folder))
    }
    const result = await watch({ rack, daemons, prefix, folder, options, out, stop: stopping.signal })
    if (options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
    return result.ok || !options.once ? 0 : 1
  } finally {
    await stopDaemons(daemons)
    await removeLab(prefix, folder)
    await endGuard(guard)
  }
}

/** Null: a kernel is required and cannot be had, which has been explained. */
async function buildRack(options: LabOptions, prefix: string, out: Output): Promise<Rack | null> {
  if (!options.loopback) {
    const reasons = tryNamespaces(prefix)
    if (reasons.length === 0) return withEncapsulation(options.encapsulation, prefix, out)
    for (const reason of reasons) out.line(`No network namespaces: ${reason}.`)
    if (options.requireKernel) {
      out.line('--require-kernel was given, so the lab ends here.')
      return null
    }
    removeNamespaces(prefix)
    if (options.encapsulation !== 'never') {
      out.line(`--encapsulation ${options.encapsulation} needs them, so the lab ends here.`)
      return null
    }
    out.line('Going on with loopback addresses: no kernel table is written and nothing is pinged.\n')
  }
  const addresses = planRack('loopback', 0).speakers.map((speaker) => speaker.address)
  return planRack('loopback', await findFreePort(addresses, FIRST_LOOPBACK_PORT))
}

/** Null: this kernel does not have it, which has been explained. */
function withEncapsulation(encapsulation: LabEncapsulation, prefix: string, out: Output): Rack | null {
  const modes = findModes(`${prefix}-switch`)
  if (!modes.possible.includes(encapsulation)) {
    out.line(explainImpossible(encapsulation, modes))
    return null
  }
  out.line(`Encapsulation between nodes: ${encapsulation}. ${explainModes(modes)}\n`)
  return planRack('kernel', BGP_PORT, encapsulation)
}

function tryNamespaces(prefix: string): readonly string[] {
  const missing = missingForKernel()
  if (missing.length > 0) return missing
  try {
    buildNamespaces(planRack('kernel', BGP_PORT), prefix)
    return []
  } catch (error) {
    return [`${(error as Error).message}; a container needs CAP_NET_ADMIN and CAP_SYS_ADMIN`]
  }
}

/** Ctrl-C, SIGTERM, SIGHUP, or the process that started the lab over an IPC channel is gone. Later signals change nothing. */
function stopOnSignals(stop: () => void): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop)
  process.on('disconnect', stop)
  process.channel?.unref()
}

function startGuard(prefix: string, folder: string): ChildProcess {
  const program = fileURLToPath(new URL('guard.js', import.meta.url))
  const guard = spawn(process.execPath, [program, prefix, folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  // Without a guard the lab still cleans up after itself, only not after being killed.
  guard.on('error', () => {})
  guard.stdin?.on('error', () => {})
  return guard
}

function endGuard(guard: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (guard.pid === undefined || guard.exitCode !== null || guard.signalCode !== null) return resolve()
    guard.once('exit', () => resolve())
    guard.stdin?.end()
  })
}

/** bgp.example.yaml lies beside package.json, in a checkout and in an installed package. */
function readExample(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const file = join(folder, 'bgp.example.yaml')
    if (existsSync(file)) return readFileSync(file, 'utf8')
    if (folder === dirname(folder)) throw new Error('bgp.example.yaml is missing: install nodebgp again')
  }
}

const BGP_PORT = 179
const FIRST_LOOPBACK_PORT = 1790
