/**
 * Edge: looks at the rack again and again, prints what changes, and pings once all routes are there. With `once` it ends when all is well, when
 * a daemon has ended, or at the limit; without, when it is told to stop.
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LabDaemon } from './daemons.js'
import { observe, ping } from './observe.js'
import { type Output, pingLine, printTables, printUsage } from './output.js'
import { expectedPings, type Rack } from './plan.js'
import {
  changes,
  missingPings,
  missingRoutes,
  type Observation,
  type Observations,
  type PingResult,
} from './progress.js'

export interface Watched {
  readonly rack: Rack
  readonly daemons: readonly LabDaemon[]
  readonly prefix: string
  readonly folder: string
  readonly options: { readonly once: boolean; readonly limitSeconds: number }
  readonly out: Output
  readonly stop: AbortSignal
}
export interface LabResult {
  /** All sessions, routes and kernel routes were there and all pings came back. */
  readonly ok: boolean
  readonly mode: Rack['mode']
  /** From the start of the daemons until then; null when it did not get there. */
  readonly seconds: number | null
  readonly missing: readonly string[]
  readonly pings: readonly {
    readonly from: string
    readonly to: string
    readonly back: boolean
    readonly milliseconds: number | null
  }[]
}

export async function watch(watched: Watched): Promise<LabResult> {
  const { rack, options, out, stop } = watched
  const startedMs = performance.now()
  const ended = new Set<LabDaemon>()
  let seen: Observations = new Map()
  let pings: readonly PingResult[] = []
  let okAfterMs: number | null = null
  let limitTold = false
  let nextPingMs = 0

  for (;;) {
    const now = await orStop(look(watched), stop)
    if (now === null) return result(rack, ['stopped before the end'], pings, okAfterMs)
    const before = seen
    seen = now
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(5)
    for (const line of changes(rack, before, seen)) out.line(`${seconds} s  ${line}`)
    reportEnded(watched, ended)

    const routes = missingRoutes(rack, seen)
    if ((routes.length === 0 || okAfterMs !== null) && performance.now() >= nextPingMs && !stop.aborted) {
      const results = await Promise.all(expectedPings(rack).map((expected) => ping(watched.prefix, expected)))
      if (okAfterMs !== null) for (const line of changedPings(pings, results)) out.line(`${seconds} s  ${line}`)
      pings = results
      nextPingMs = performance.now() + (okAfterMs === null ? 0 : PING_EVERY_MS)
    }
    const missing = [...routes, ...missingPings(rack, pings)]
    const elapsedMs = performance.now() - startedMs
    if (missing.length === 0 && okAfterMs === null) {
      okAfterMs = elapsedMs
      nextPingMs = performance.now() + PING_EVERY_MS
      printTables(out, rack, seen, pings)
      out.line(`\nConverged after ${(elapsedMs / 1000).toFixed(1)} s: ${describe(rack, pings)}.`)
      if (!options.once) printUsage(out, rack, watched.prefix, watched.folder)
    }
    const late = okAfterMs === null && elapsedMs > options.limitSeconds * 1000
    if (late && !limitTold) {
      limitTold = true
      out.line(`\nNot converged after ${options.limitSeconds} s. Missing:`)
      for (const line of missing) out.line(`  ${line}`)
    }
    const done = options.once && (okAfterMs !== null || late || ended.size > 0)
    if (done || stop.aborted || ended.size === watched.daemons.length) {
      return result(rack, missing, pings, okAfterMs)
    }
    await pause(okAfterMs === null ? BUSY_PAUSE_MS : CALM_PAUSE_MS, stop)
  }
}

async function look({ rack, prefix, folder }: Watched): Promise<Observations> {
  const entries = rack.speakers.map(
    async (speaker): Promise<[string, Observation]> => [speaker.name, await observe(rack, speaker, prefix, folder)],
  )
  return new Map(await Promise.all(entries))
}

/** A daemon that ended by itself: how, and the end of its log. */
function reportEnded(watched: Watched, known: Set<LabDaemon>): void {
  for (const daemon of watched.daemons) {
    const how = daemon.ended()
    if (how === null || known.has(daemon)) continue
    known.add(daemon)
    watched.out.line(`\nThe daemon ${daemon.speaker.name} has ended (${how}). The end of its log:`)
    for (const line of daemon.logTail(LOG_TAIL_LINES)) watched.out.line(`  ${line}`)
  }
}

function changedPings(before: readonly PingResult[], now: readonly PingResult[]): readonly string[] {
  return now.filter((ping, index) => ping.back !== before[index]?.back).map((ping) => `ping     ${pingLine(ping)}`)
}

function describe(rack: Rack, pings: readonly PingResult[]): string {
  const routes = 'all sessions are up and all routes are where they belong'
  return rack.mode === 'kernel' ? `${routes}, all ${pings.length} pings came back` : routes
}

function result(
  rack: Rack,
  missing: readonly string[],
  pings: readonly PingResult[],
  okAfterMs: number | null,
): LabResult {
  return {
    ok: okAfterMs !== null && missing.length === 0,
    mode: rack.mode,
    seconds: okAfterMs === null ? null : Math.round(okAfterMs / 100) / 10,
    missing,
    pings: pings.map(({ expected, back, milliseconds }) => ({
      from: expected.from.name,
      to: expected.to.name,
      back,
      milliseconds,
    })),
  }
}

/** Null when the lab is told to stop before a slow daemon has answered. */
function orStop<T>(work: Promise<T>, stop: AbortSignal): Promise<T | null> {
  return new Promise((resolve, reject) => {
    if (stop.aborted) return resolve(null)
    const stopped = (): void => resolve(null)
    stop.addEventListener('abort', stopped, { once: true })
    work.then(resolve, reject).finally(() => stop.removeEventListener('abort', stopped))
  })
}

async function pause(milliseconds: number, stop: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal: stop }).catch(() => {})
}

const BUSY_PAUSE_MS = 200
const CALM_PAUSE_MS = 1000
const PING_EVERY_MS = 5000
const LOG_TAIL_LINES = 15
