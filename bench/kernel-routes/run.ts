/**
 * The kernel's routes with each daemon in turn: all blocks in, all replaced (another next hop), all out. Each round has namespaces, a daemon and a session of its own.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { findSys, type Sys } from '../../src/sys/sys.js'
import { makeNetns, makeVeth } from '../../test/support/netns.js'
import { DAEMON_NAMES, type Daemon, startDaemon } from './daemons.js'
import { KernelTable, routeCount } from './kernel-table.js'
import { idle, processorSeconds } from './processor-time.js'
import { SenderSession } from './session.js'
import {
  type DaemonKind,
  type KernelRoutesOptions,
  type LoopDelay,
  PHASES,
  type Phase,
  type PhaseRun,
} from './types.js'

/** Throws where a daemon does not reach what a phase asks for. */
export async function runKernelRoutes(options: KernelRoutesOptions): Promise<PhaseRun[]> {
  const found = findSys()
  if (found.sys === null) throw new Error(`the kernel cannot be asked: ${found.why}`)
  const folder = mkdtempSync(join(tmpdir(), 'nbk-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  // Also when a signal ends us.
  process.once('exit', remove)
  try {
    // Daemons that give up root have to reach their files.
    chmodSync(folder, 0o755)
    const runs: PhaseRun[] = []
    for (let round = 1; round <= options.rounds; round++) {
      for (const kind of options.daemons) {
        const dir = join(folder, `${kind}-${round}`)
        mkdirSync(dir)
        for (const run of await inWorld(found.sys, kind, round, dir, options)) runs.push(run)
      }
    }
    return runs
  } finally {
    remove()
    process.off('exit', remove)
  }
}

/** One daemon with its neighbour and the kernel between them. */
interface World {
  readonly kind: DaemonKind
  readonly daemon: Daemon
  readonly pids: readonly number[]
  readonly sender: SenderSession
  readonly table: KernelTable
  readonly routes: number
  /** Blocks that are looked at while the daemon works, the last ones first. */
  readonly sample: readonly number[]
  /** Routes that were there before. */
  readonly others: number
  mustRun(): void
}

async function inWorld(
  sys: Sys,
  kind: DaemonKind,
  round: number,
  dir: string,
  options: KernelRoutesOptions,
): Promise<PhaseRun[]> {
  const { routes, program, onPhase } = options
  const endings: (() => void | Promise<void>)[] = []
  const scope = { teardown: (action: () => void) => void endings.push(action) }
  try {
    const here = makeNetns(scope, 'kernel-routes')
    const there = makeNetns(scope, 'kernel-sender')
    makeVeth(
      { netns: here, device: DEVICE, addresses: [`${ADDRESS}/24`] },
      { netns: there, device: DEVICE, addresses: [`${SENDER}/24`] },
    )
    const daemon = await startDaemon(kind, {
      ...{ netns: here.name, dir, device: DEVICE, address: ADDRESS, neighbour: SENDER, asn: ASN, program },
    })
    for (const process of daemon.processes) endings.push(() => process.kill())
    const plan = { host: ADDRESS, port: 179, asn: ASN, address: SENDER, routes, nextHops: NEXT_HOPS }
    const sender = new SenderSession(there, plan)
    endings.push(() => sender.end())
    const mustRun = (): void => {
      for (const process of daemon.processes) process.mustRun()
      sender.mustRun()
    }
    const table = new KernelTable(sys, here.name)
    endings.push(() => table.close())
    await sender.established()
    const pids = daemon.processes.map(({ pid }) => pid)
    const others = routeCount(pids[0]!)
    const world: World = { kind, daemon, pids, sender, table, routes, sample: sampleOf(routes), others, mustRun }
    const runs: PhaseRun[] = []
    for (const phase of PHASES) {
      await idle(pids, mustRun)
      const run = { daemon: kind, round, phase, ...(await measurePhase(world, phase)) }
      runs.push(run)
      onPhase?.(run)
    }
    return runs
  } finally {
    for (const end of endings.reverse()) await end()
  }
}

async function measurePhase(world: World, phase: Phase): Promise<Omit<PhaseRun, 'daemon' | 'round' | 'phase'>> {
  const { daemon, pids, sender, table, routes } = world
  const gateway = gatewayOf(phase)
  await daemon.loopDelay()
  const cpuBefore = processorSeconds(pids)
  const startNs = await sender.send(phase)
  let endNs = await sampleComplete(world, phase)
  let cpuSeconds = processorSeconds(pids) - cpuBefore
  let loop = await daemon.loopDelay()
  const deadlineMs = performance.now() + PHASE_LIMIT_MS
  for (let late = false; ; late = true) {
    const changes = table.watchChanges()
    const { present, matching, doubled } = await table.census(routes, gateway)
    const changed = changes.end()
    if (late) {
      endNs = process.hrtime.bigint()
      cpuSeconds = processorSeconds(pids) - cpuBefore
      loop = worse(loop, await daemon.loopDelay())
    }
    const verified = gateway === null ? routes - present : matching
    if (verified === routes && doubled === 0 && !changed) {
      return { seconds: Number(endNs - startNs) / 1e9, cpuSeconds, verified, late, loop }
    }
    const seen = () =>
      `${present} blocks there, ${matching} with next hop ${gateway}, ${doubled} routes too many, ${changed ? 'still changing' : 'no changes'}`
    check(world, phase, deadlineMs, seen)
    await pause(POLL_MS)
  }
}

/** Until all of the sample, and where their number tells it all routes, are as the phase wants them. Returns when that was. */
async function sampleComplete(world: World, phase: Phase): Promise<bigint> {
  const { table, sample, pids, routes, others } = world
  const gateway = gatewayOf(phase)
  const deadlineMs = performance.now() + PHASE_LIMIT_MS
  const count = (): number => routeCount(pids[0]!)
  const wanted = phase === 'out' ? others : others + routes
  let next = 0
  for (;;) {
    // What was right once stays so: mostly one question each time.
    while (next < sample.length && table.gatewayOf(sample[next]!) === gateway) next++
    if (next === sample.length && (phase === 'replaced' || count() === wanted)) return process.hrtime.bigint()
    const seen = () =>
      `${next} of ${sample.length} blocks of the sample as wanted, ${count()} routes where ${wanted} should be`
    check(world, phase, deadlineMs, seen)
    await pause(POLL_MS)
  }
}

function check({ kind, mustRun }: World, phase: Phase, deadlineMs: number, seen: () => string): void {
  mustRun()
  if (performance.now() < deadlineMs) return
  throw new Error(`${DAEMON_NAMES[kind]}, ${phase}: not complete after ${PHASE_LIMIT_MS / 1000} s: ${seen()}`)
}

function gatewayOf(phase: Phase): string | null {
  if (phase === 'out') return null
  return NEXT_HOPS[phase === 'in' ? 0 : 1]
}

/** The last blocks, and others at equal distances: from the last one down. */
function sampleOf(routes: number): readonly number[] {
  const spread = Array.from({ length: SPREAD }, (_, n) => Math.floor((n * routes) / SPREAD))
  const last = Array.from({ length: Math.min(LAST, routes) }, (_, n) => routes - 1 - n)
  return [...new Set([...last, ...spread.reverse()])]
}

function worse(a: LoopDelay | null, b: LoopDelay | null): LoopDelay | null {
  if (a === null || b === null) return null
  return {
    p50Ms: Math.max(a.p50Ms, b.p50Ms),
    p99Ms: Math.max(a.p99Ms, b.p99Ms),
    maxMs: Math.max(a.maxMs, b.maxMs),
    turns: a.turns + b.turns,
  }
}

const DEVICE = 'eth0'
const ADDRESS = '172.31.9.1'
const SENDER = '172.31.9.2'
/** On the same link; nobody has to be there. */
const NEXT_HOPS: readonly [string, string] = ['172.31.9.11', '172.31.9.12']
const ASN = 65000
const SPREAD = 256
const LAST = 64
const POLL_MS = 2
const PHASE_LIMIT_MS = 60_000
