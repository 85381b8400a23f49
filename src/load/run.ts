/**
 * Edge: the phases of a load run. Sessions are set up; all announce at once; the changes or the restart of the workload; all withdraw. A phase
 * is over when every receiver holds what it should, nothing more came for a moment, and the comparison of all bits says so too.
 */

import { performance } from 'node:perf_hooks'
import { familyRow } from '../net/family.js'
import { hostPort } from '../net/host-port.js'
import { announcements, churnAnnouncement, withdrawals } from './announce.js'
import { ChurnLog } from './churn-log.js'
import type { Judge } from './judge.js'
import type { Neighbour } from './neighbour.js'
import { percentile } from './percentile.js'
import { churnRounds, churnSlots, type Plan } from './plan.js'
import type { Progress } from './progress.js'
import { coresSince, knowsAs4, pause, Stage } from './stage.js'
import type { LoopProbe } from './target-loop.js'
import { inTurns } from './turns.js'
import type { ChurnResult, LoadResult, PhaseResult, RestartResult, TargetLoop } from './types.js'

/** No session can be had at all: the target is not there, or we cannot reach it. */
export class CannotConnect extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'CannotConnect'
  }
}

/** `self`: the addresses that the target may name as next hop. `probe`: reads the target's event-loop delay. */
export async function runLoad(
  plan: Plan,
  self: readonly Uint8Array[],
  progress: Progress,
  stop: AbortSignal,
  probe: LoopProbe | null = null,
): Promise<LoadResult> {
  const stage = new Stage(plan, self, progress, stop)
  const run = new Run(stage, probe)
  try {
    await run.phases()
  } finally {
    await stage.sessions.close()
  }
  return rounded(run.result())
}

class Run {
  readonly #stage: Stage
  readonly #plan: Plan
  readonly #judge: Judge
  #missing = 0
  #leftOver = 0
  #hints: string[] = []
  #convergence: PhaseResult | null = null
  #churn: ChurnResult | null = null
  #restart: RestartResult | null = null
  #withdrawal: PhaseResult | null = null
  #setup: LoadResult['setup'] | null = null
  readonly #probe: LoopProbe | null
  readonly #targetLoop: TargetLoop = { setup: null, convergence: null, churn: null, restart: null, withdrawal: null }

  constructor(stage: Stage, probe: LoopProbe | null) {
    this.#probe = probe
    this.#stage = stage
    this.#plan = stage.plan
    this.#judge = stage.judge
  }

  async phases(): Promise<void> {
    const { workload, withdraw } = this.#plan.options
    // What was before the run is no part of it.
    await this.#probe?.()
    if (!(await this.#measured('setup', () => this.#open()))) return
    if (!(await this.#measured('convergence', () => this.#announce()))) return
    if (workload === 'churn' && !(await this.#measured('churn', () => this.#change()))) return
    if (workload === 'restart-wait' && !(await this.#measured('restart', () => this.#awaitRestart()))) return
    if (withdraw) await this.#measured('withdrawal', () => this.#withdraw())
  }

  async #measured<T>(phase: keyof TargetLoop, run: () => Promise<T>): Promise<T> {
    const result = await run()
    if (this.#probe !== null) this.#targetLoop[phase] = await this.#probe()
    return result
  }

  result(): LoadResult {
    const { options, members, announcers, space, sets, ebgp } = this.#plan
    const { tallies } = this.#judge
    const { drops } = this.#stage.sessions
    const phases = [this.#convergence, this.#churn, this.#restart, this.#withdrawal]
    const strictFaults = options.strict ? tallies.echoes + tallies.duplicates : 0
    const otherFaults = options.allowOther ? 0 : tallies.otherPrefixes
    const faults = drops + tallies.wrongNextHops + tallies.wrongAttributes + tallies.malformed
    const isWhole = this.#convergence !== null && !this.#stage.stop.aborted
    const usage = process.resourceUsage()
    return {
      ok: isWhole && phases.every((phase) => phase?.ok !== false) && faults + strictFaults + otherFaults === 0,
      target: hostPort(options.host, options.port),
      workload: options.workload,
      mode: ebgp ? 'ebgp' : 'ibgp',
      family: familyRow(options.family).name,
      announcers,
      receivers: members.length,
      prefixes: space.count,
      attributeSets: sets,
      seed: options.seed,
      setup: this.#setup ?? this.#stage.sessions.setup(),
      convergence: this.#convergence,
      churn: this.#churn,
      restart: this.#restart,
      withdrawal: this.#withdrawal,
      targetLoop: this.#probe === null ? null : this.#targetLoop,
      received: { ...tallies },
      missing: this.#missing,
      leftOver: this.#leftOver,
      drops,
      reasons: this.#stage.sessions.reasons(),
      examples: this.#judge.examples(),
      hints: this.#stage.stop.aborted ? [...this.#hints, 'stopped before the end'] : this.#hints,
      loader: {
        cpuSeconds: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
        peakRssMiB: Math.round(usage.maxRSS / 102.4) / 10,
      },
    }
  }

  async #open(): Promise<boolean> {
    const { sessions } = this.#stage
    const wanted = sessions.all.length
    this.#stage.progress.start(`${wanted} sessions`, () => sessions.established / wanted)
    sessions.start()
    await this.#stage.until(
      () => sessions.fatal !== null || sessions.established + sessions.failed === wanted,
      this.#stage.limitMs,
    )
    const setup = sessions.setup()
    this.#setup = setup
    if (sessions.fatal !== null) {
      this.#stage.progress.end(`cannot be opened: ${sessions.fatal}`)
      throw new CannotConnect(sessions.fatal)
    }
    this.#stage.progress.end(
      setup.ok ? `Established after ${seconds(setup.seconds)}` : `only ${setup.established} Established`,
    )
    if (!setup.ok) this.#hints.push('not all sessions were opened (see why they ended), so nothing was announced')
    this.#judge.comparesAttributes &&= sessions.all.every((one) => one.negotiated?.as4 === true)
    await this.#stage.settle()
    return setup.ok && !this.#stage.stop.aborted
  }

  async #announce(): Promise<boolean> {
    const { members, announcers, space } = this.#plan
    const messages = await this.#encoded()
    this.#stage.goals((member) => space.count - (member.to - member.from))
    const label = `${space.count} routes of ${announcers} to ${members.length}`
    const result = await this.#stage.phase(label, () => {
      for (const [one, octets] of messages) one.write(octets)
    })
    this.#missing = await inTurns(this.#judge.verify('all'))
    this.#convergence = { ...result, ok: result.ok && this.#missing === 0 }
    this.#stage.progress.end(this.#phaseText(this.#convergence, `${this.#missing} routes missing`))
    if (this.#judge.tallies.announced === 0) this.#hints.push(NOTHING_PASSED_ON)
    return this.#convergence.ok
  }

  /** What each announces. */
  async #encoded(): Promise<Map<Neighbour, Uint8Array[]>> {
    const messages = new Map<Neighbour, Uint8Array[]>()
    for (const one of this.#stage.announcers)
      messages.set(one, await inTurns(announcements(this.#plan, one.member, knowsAs4(one))))
    return messages
  }

  async #withdraw(): Promise<void> {
    const messages = this.#stage.announcers.map((one) => withdrawals(this.#plan, one.member))
    this.#stage.goals(() => 0)
    const result = await this.#stage.phase(`${this.#plan.space.count} routes withdrawn`, () => {
      for (const [at, one] of this.#stage.announcers.entries()) one.write(messages[at]!)
    })
    this.#leftOver = await inTurns(this.#judge.verify('none'))
    this.#withdrawal = { ...result, ok: result.ok && this.#leftOver === 0 }
    this.#stage.progress.end(this.#phaseText(this.#withdrawal, `${this.#leftOver} routes still there`))
  }

  /** Each announcer's first prefix goes and comes back, in turn, at a steady rate. */
  async #change(): Promise<boolean> {
    const plan = this.#plan
    const { rate } = plan.options
    const slots = churnSlots(plan)
    const log = new ChurnLog(plan.members.length, slots, churnRounds(plan))
    const announcersInTurn = this.#stage.announcers.slice(0, slots)
    const changes = announcersInTurn.map((one) => ({
      withdraw: withdrawals(plan, { ...one.member, to: one.member.from + 1 }),
      announce: churnAnnouncement(plan, one.member, one.member.from, knowsAs4(one)),
    }))
    const cpu = process.cpuUsage()
    this.#judge.churn = log
    this.#stage.progress.start(`${log.events} changes at ${rate}/s`, () => 1 - log.unfinished / log.events)
    const startMs = performance.now()
    while (log.sentEvents < log.events && !this.#stage.stop.aborted && this.#stage.sessions.drops === 0) {
      const due = Math.min(log.events, Math.floor(((performance.now() - startMs) * rate) / 1000))
      while (log.sentEvents < due) {
        const slot = log.sentEvents % slots
        const version = log.sent(slot, performance.now())
        const { withdraw, announce } = changes[slot]!
        announcersInTurn[slot]!.write((version & 1) === 1 ? withdraw : [announce(version)])
      }
      await pause(1)
    }
    const sentMs = performance.now() - startMs
    await this.#stage.until(() => log.unfinished === 0 || this.#stage.sessions.drops > 0, this.#stage.limitMs)
    const loaderCores = coresSince(cpu, startMs)
    await this.#stage.settle()
    this.#judge.churn = null
    this.#missing = await inTurns(this.#judge.verify('all'))
    const sorted = log.sortedLatencies()
    const result: ChurnResult = {
      ok: log.unfinished === 0 && this.#missing === 0,
      rate,
      achievedRate: (log.sentEvents * 1000) / sentMs,
      events: log.events,
      unfinished: log.unfinished,
      p50Ms: percentile(sorted, 0.5),
      p90Ms: percentile(sorted, 0.9),
      p99Ms: percentile(sorted, 0.99),
      maxMs: percentile(sorted, 1),
      loaderCores,
    }
    this.#churn = result
    const latency = `p50 ${result.p50Ms?.toFixed(1) ?? '-'} ms, p99 ${result.p99Ms?.toFixed(1) ?? '-'} ms`
    this.#stage.progress.end(
      result.ok ? latency : `${log.unfinished} changes not seen by all, ${this.#missing} routes missing`,
    )
    if (result.achievedRate < rate * 0.95) {
      this.#hints.push(
        `the loader sent ${Math.round(result.achievedRate)} changes/s, not ${rate}: it has too little CPU`,
      )
    }
    return result.ok
  }

  /** The operator restarts the target; all come back and announce again as soon as they can. */
  async #awaitRestart(): Promise<boolean> {
    const { sessions } = this.#stage
    const { space } = this.#plan
    const messages = await this.#encoded()
    let lostMs = 0
    let backMs = 0
    let doneMs = 0
    this.#stage.goals((member) => space.count - (member.to - member.from))
    this.#stage.onLost = (nowMs) => {
      lostMs ||= nowMs
    }
    this.#stage.onEstablished = (neighbour) => {
      backMs ||= performance.now()
      neighbour.write(messages.get(neighbour) ?? [])
    }
    sessions.reopens = true
    const { ledger } = this.#judge
    this.#stage.progress.say(`restart the target now; it has ${this.#plan.options.timeoutSeconds} s to be back`)
    this.#stage.progress.start('restart', () => (lostMs === 0 ? 0 : ledger.complete / ledger.rows))
    await this.#stage.until((nowMs) => {
      const isDone = lostMs > 0 && ledger.complete === ledger.rows && sessions.established === ledger.rows
      if (isDone) doneMs = nowMs
      return isDone
    }, this.#stage.limitMs)
    await this.#stage.settle()
    sessions.reopens = false
    this.#stage.onEstablished = () => {}
    this.#stage.onLost = () => {}
    this.#missing = await inTurns(this.#judge.verify('all'))
    const ok = doneMs > 0 && this.#missing === 0
    this.#restart = {
      ok,
      secondsFromLoss: doneMs > 0 ? (doneMs - lostMs) / 1000 : null,
      secondsFromReturn: doneMs > 0 ? (doneMs - backMs) / 1000 : null,
    }
    const text = lostMs === 0 ? 'no session was lost in the time' : `${this.#missing} routes missing`
    this.#stage.progress.end(ok ? `complete ${seconds(this.#restart.secondsFromLoss)} after the loss` : text)
    return ok
  }

  #phaseText(result: PhaseResult, fault: string): string {
    if (result.ok) return `complete after ${seconds(result.seconds)}`
    return `not complete: ${result.receiversComplete} of ${this.#judge.ledger.rows} receivers, ${fault}`
  }
}

function seconds(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(3)} s`
}

/** Keeps `--json` readable: microseconds. */
function rounded<T>(value: T): T {
  if (typeof value === 'number') return (Math.round(value * 1e6) / 1e6) as T
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(rounded) as T
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rounded(inner)])) as T
}

const NOTHING_PASSED_ON =
  'nothing was passed on: is the target a route reflector for these neighbours (iBGP), and do its policies let their routes in and out (eBGP)?'
