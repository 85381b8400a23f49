/**
 * Edge: the phases of a load run. Sessions are set up; all announce at once; the changes or the restart of the workload; all withdraw. A phase
 * is over when every receiver holds what it should, nothing more came for a moment, and the comparison of all bits says so too.
 */
import { performance } from 'node:perf_hooks'
import { familyRow } from '../net/family.js'
import { announcements, churnAnnouncement, withdrawals } from './announce.js'
import { ChurnLog } from './churn-log.js'
import { Judge } from './judge.js'
import type { Neighbour } from './neighbour.js'
import { percentile } from './percentile.js'
import { churnRounds, churnSlots, type Member, type Plan } from './plan.js'
import type { Progress } from './progress.js'
import { Sessions } from './sessions.js'
import type { ChurnResult, LoadResult, PhaseResult, RestartResult } from './types.js'
import { Wait } from './wait.js'

/** No session can be had at all: the target is not there, or we cannot reach it. */
export class CannotConnect extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'CannotConnect'
  }
}

/** `self`: the addresses that the target may name as next hop. */
export async function runLoad(
  plan: Plan,
  self: readonly Uint8Array[],
  progress: Progress,
  stop: AbortSignal,
): Promise<LoadResult> {
  const run = new Run(plan, self, progress, stop)
  try {
    await run.phases()
  } finally {
    await run.sessions.close()
  }
  return rounded(run.result())
}

class Run {
  readonly sessions: Sessions
  readonly #plan: Plan
  readonly #judge: Judge
  readonly #progress: Progress
  readonly #stop: AbortSignal
  readonly #limitMs: number
  readonly #completedMs: Float64Array
  /** Looked at after each chunk and each change of the sessions. */
  #look: (nowMs: number) => void = () => {}
  #heardMs = 0
  #missing = 0
  #leftOver = 0
  #hints: string[] = []
  #convergence: PhaseResult | null = null
  #churn: ChurnResult | null = null
  #restart: RestartResult | null = null
  #withdrawal: PhaseResult | null = null
  #setup: LoadResult['setup'] | null = null
  /** Restart: what each member announces as soon as it is back. */
  #onEstablished: (neighbour: Neighbour) => void = () => {}
  #onLost: (nowMs: number) => void = () => {}

  constructor(plan: Plan, self: readonly Uint8Array[], progress: Progress, stop: AbortSignal) {
    const { options } = plan
    this.#plan = plan
    this.#progress = progress
    this.#stop = stop
    this.#limitMs = options.timeoutSeconds * 1000
    this.#judge = new Judge(plan, self)
    this.#completedMs = new Float64Array(plan.members.length)
    const { host, port, asn: targetAsn, holdTimeSeconds } = options
    const settings = { host, port, targetAsn, holdTimeSeconds, family: options.family }
    this.sessions = new Sessions(plan.members, settings, options.window, {
      update: (member, buffer, start, end, nowMs) => {
        this.#heardMs = nowMs
        this.#judge.update(member, buffer, start, end, nowMs)
      },
      chunkDone: (member, nowMs) => this.#chunkDone(member, nowMs),
      established: (neighbour) => this.#onEstablished(neighbour),
      lost: (member) => {
        this.#judge.ledger.clear(member.index)
        this.#onLost(performance.now())
      },
      changed: () => this.#look(performance.now()),
    })
  }

  async phases(): Promise<void> {
    const { workload, withdraw } = this.#plan.options
    if (!(await this.#open())) return
    if (!(await this.#announce())) return
    if (workload === 'churn' && !(await this.#change())) return
    if (workload === 'restart-wait' && !(await this.#awaitRestart())) return
    if (withdraw) await this.#withdraw()
  }

  result(): LoadResult {
    const { options, members, announcers, space, sets, ebgp } = this.#plan
    const { tallies } = this.#judge
    const { drops } = this.sessions
    const phases = [this.#convergence, this.#churn, this.#restart, this.#withdrawal]
    const strictFaults = options.strict ? tallies.echoes + tallies.duplicates : 0
    const otherFaults = options.allowOther ? 0 : tallies.otherPrefixes
    const faults = drops + tallies.wrongNextHops + tallies.wrongAttributes + tallies.malformed
    const isWhole = this.#convergence !== null && !this.#stop.aborted
    const usage = process.resourceUsage()
    return {
      ok: isWhole && phases.every((phase) => phase?.ok !== false) && faults + strictFaults + otherFaults === 0,
      target: options.host.includes(':') ? `[${options.host}]:${options.port}` : `${options.host}:${options.port}`,
      workload: options.workload,
      mode: ebgp ? 'ebgp' : 'ibgp',
      family: familyRow(options.family).name,
      announcers,
      receivers: members.length,
      prefixes: space.count,
      attributeSets: sets,
      seed: options.seed,
      setup: this.#setup ?? this.sessions.setup(),
      convergence: this.#convergence,
      churn: this.#churn,
      restart: this.#restart,
      withdrawal: this.#withdrawal,
      received: { ...tallies },
      missing: this.#missing,
      leftOver: this.#leftOver,
      drops,
      reasons: this.sessions.reasons(),
      examples: this.#judge.examples(),
      hints: this.#stop.aborted ? [...this.#hints, 'stopped before the end'] : this.#hints,
      loader: {
        cpuSeconds: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
        peakRssMiB: Math.round(usage.maxRSS / 102.4) / 10,
      },
    }
  }

  async #open(): Promise<boolean> {
    const { sessions } = this
    const wanted = sessions.all.length
    this.#progress.start(`${wanted} sessions`, () => sessions.established / wanted)
    const wait = new Wait(this.#limitMs, this.#stop)
    this.#look = () => {
      if (sessions.fatal !== null || sessions.established + sessions.failed === wanted) wait.finish()
    }
    sessions.start()
    await wait.end
    this.#look = () => {}
    const setup = sessions.setup()
    this.#setup = setup
    if (sessions.fatal !== null) {
      this.#progress.end(`cannot be opened: ${sessions.fatal}`)
      throw new CannotConnect(sessions.fatal)
    }
    this.#progress.end(
      setup.ok ? `Established after ${seconds(setup.seconds)}` : `only ${setup.established} Established`,
    )
    if (!setup.ok) this.#hints.push('not all sessions were opened (see why they ended), so nothing was announced')
    this.#judge.comparesAttributes &&= sessions.all.every((one) => one.negotiated?.as4 === true)
    await this.#settle()
    return setup.ok && !this.#stop.aborted
  }

  async #announce(): Promise<boolean> {
    const { members, announcers, space } = this.#plan
    const messages = this.#announcers().map((one) => announcements(this.#plan, one.member, this.#as4(one)))
    this.#goals((member) => space.count - (member.to - member.from))
    const label = `${space.count} routes of ${announcers} to ${members.length}`
    const result = await this.#phase(label, () => {
      for (const [at, one] of this.#announcers().entries()) one.write(messages[at]!)
    })
    this.#missing = this.#judge.verify('all')
    this.#convergence = { ...result, ok: result.ok && this.#missing === 0 }
    this.#progress.end(this.#phaseText(this.#convergence, `${this.#missing} routes missing`))
    if (this.#judge.tallies.announced === 0) this.#hints.push(NOTHING_PASSED_ON)
    return this.#convergence.ok
  }

  async #withdraw(): Promise<void> {
    const messages = this.#announcers().map((one) => withdrawals(this.#plan, one.member))
    this.#goals(() => 0)
    const result = await this.#phase(`${this.#plan.space.count} routes withdrawn`, () => {
      for (const [at, one] of this.#announcers().entries()) one.write(messages[at]!)
    })
    this.#leftOver = this.#judge.verify('none')
    this.#withdrawal = { ...result, ok: result.ok && this.#leftOver === 0 }
    this.#progress.end(this.#phaseText(this.#withdrawal, `${this.#leftOver} routes still there`))
  }

  /** Each announcer's first prefix goes and comes back, in turn, at a steady rate. */
  async #change(): Promise<boolean> {
    const plan = this.#plan
    const { rate } = plan.options
    const slots = churnSlots(plan)
    const log = new ChurnLog(plan.members.length, slots, churnRounds(plan))
    const announcersInTurn = this.#announcers().slice(0, slots)
    const changes = announcersInTurn.map((one) => ({
      withdraw: withdrawals(plan, { ...one.member, to: one.member.from + 1 }),
      announce: churnAnnouncement(plan, one.member, one.member.from, this.#as4(one)),
    }))
    const cpu = process.cpuUsage()
    this.#judge.churn = log
    this.#progress.start(`${log.events} changes at ${rate}/s`, () => 1 - log.unfinished / log.events)
    const startMs = performance.now()
    while (log.sentEvents < log.events && !this.#stop.aborted && this.sessions.drops === 0) {
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
    const wait = new Wait(this.#limitMs, this.#stop)
    this.#look = () => {
      if (log.unfinished === 0 || this.sessions.drops > 0) wait.finish()
    }
    this.#look(performance.now())
    await wait.end
    this.#look = () => {}
    const loaderCores = coresSince(cpu, startMs)
    await this.#settle()
    this.#judge.churn = null
    this.#missing = this.#judge.verify('all')
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
    this.#progress.end(
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
    const { sessions } = this
    const { space } = this.#plan
    const messages = new Map(
      this.#announcers().map((one) => [one, announcements(this.#plan, one.member, this.#as4(one))] as const),
    )
    let lostMs = 0
    let backMs = 0
    let doneMs = 0
    this.#goals((member) => space.count - (member.to - member.from))
    this.#onLost = (nowMs) => {
      lostMs ||= nowMs
    }
    this.#onEstablished = (neighbour) => {
      backMs ||= performance.now()
      neighbour.write(messages.get(neighbour) ?? [])
    }
    sessions.reopens = true
    const { ledger } = this.#judge
    this.#progress.say(`restart the target now; it has ${this.#plan.options.timeoutSeconds} s to be back`)
    this.#progress.start('restart', () => (lostMs === 0 ? 0 : ledger.complete / ledger.rows))
    const wait = new Wait(this.#limitMs, this.#stop)
    this.#look = (nowMs) => {
      if (lostMs === 0 || ledger.complete !== ledger.rows || sessions.established !== ledger.rows) return
      doneMs = nowMs
      wait.finish()
    }
    await wait.end
    this.#look = () => {}
    await this.#settle()
    sessions.reopens = false
    this.#onEstablished = () => {}
    this.#onLost = () => {}
    this.#missing = this.#judge.verify('all')
    const ok = doneMs > 0 && this.#missing === 0
    this.#restart = {
      ok,
      secondsFromLoss: doneMs > 0 ? (doneMs - lostMs) / 1000 : null,
      secondsFromReturn: doneMs > 0 ? (doneMs - backMs) / 1000 : null,
    }
    const text = lostMs === 0 ? 'no session was lost in the time' : `${this.#missing} routes missing`
    this.#progress.end(ok ? `complete ${seconds(this.#restart.secondsFromLoss)} after the loss` : text)
    return ok
  }

  /** Sends, and waits until all rows are complete and stay so. Ends early when a session is lost: its receiver cannot get there. */
  async #phase(label: string, send: () => void): Promise<PhaseResult> {
    const { ledger } = this.#judge
    const cpu = process.cpuUsage()
    const startMs = performance.now()
    const endMs = startMs + this.#limitMs
    this.#progress.start(label, () => ledger.complete / ledger.rows)
    send()
    let doneMs = 0
    do {
      const wait = new Wait(endMs - performance.now(), this.#stop)
      this.#look = (nowMs) => {
        if (ledger.complete === ledger.rows) doneMs = nowMs
        if (doneMs > 0 || this.sessions.drops > 0) wait.finish()
      }
      this.#look(performance.now())
      const end = await wait.end
      this.#look = () => {}
      if (end !== 'done' || this.sessions.drops > 0) break
      const loaderCores = coresSince(cpu, startMs)
      await this.#settle()
      if (ledger.complete === ledger.rows) {
        return { ok: true, seconds: (doneMs - startMs) / 1000, ...this.#spread(startMs), loaderCores }
      }
      // Something was taken back afterwards: it was not the end.
      doneMs = 0
    } while (performance.now() < endMs)
    return { ok: false, seconds: null, ...this.#spread(startMs), loaderCores: coresSince(cpu, startMs) }
  }

  #spread(startMs: number): Pick<PhaseResult, 'p50Seconds' | 'p99Seconds' | 'receiversComplete'> {
    const { ledger } = this.#judge
    const sorted = this.#completedMs.filter((_, row) => ledger.isComplete(row)).sort()
    const at = (share: number): number | null => {
      const ms = percentile(sorted, share)
      return ms === null ? null : Math.max(0, ms - startMs) / 1000
    }
    return { p50Seconds: at(0.5), p99Seconds: at(0.99), receiversComplete: ledger.complete }
  }

  /** Until no UPDATE has come for a moment. */
  async #settle(): Promise<void> {
    const startMs = performance.now()
    this.#heardMs = Math.max(this.#heardMs, startMs)
    while (!this.#stop.aborted && performance.now() - startMs < SETTLE_LIMIT_MS) {
      if (performance.now() - this.#heardMs >= QUIET_MS) return
      await pause(QUIET_MS / 10)
    }
  }

  #chunkDone(member: Member, nowMs: number): void {
    const row = member.index
    if (!this.#judge.ledger.isComplete(row)) this.#completedMs[row] = 0
    else if (this.#completedMs[row] === 0) this.#completedMs[row] = nowMs
    this.#look(nowMs)
  }

  #goals(goal: (member: Member) => number): void {
    this.#completedMs.fill(0)
    this.#judge.ledger.setGoals((row) => goal(this.#plan.members[row]!))
  }

  #announcers(): readonly Neighbour[] {
    return this.sessions.all.slice(0, this.#plan.announcers)
  }

  #as4(neighbour: Neighbour): boolean {
    return neighbour.negotiated?.as4 ?? true
  }

  #phaseText(result: PhaseResult, fault: string): string {
    if (result.ok) return `complete after ${seconds(result.seconds)}`
    return `not complete: ${result.receiversComplete} of ${this.#judge.ledger.rows} receivers, ${fault}`
  }
}

function seconds(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(3)} s`
}

function coresSince(cpu: NodeJS.CpuUsage, startMs: number): number {
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / 1000 / Math.max(1, performance.now() - startMs)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Keeps `--json` readable: microseconds. */
function rounded<T>(value: T): T {
  if (typeof value === 'number') return (Math.round(value * 1e6) / 1e6) as T
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(rounded) as T
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rounded(inner)])) as T
}

const QUIET_MS = 200
const SETTLE_LIMIT_MS = 5000
const NOTHING_PASSED_ON =
  'nothing was passed on: is the target a route reflector for these neighbours (iBGP), and do its policies let their routes in and out (eBGP)?'
