/**
 * Edge: what the phases of a run share: the sessions and their judge, waiting until every receiver holds what it should, and the time that took.
 */
import { performance } from 'node:perf_hooks'
import { Judge } from './judge.js'
import type { Neighbour } from './neighbour.js'
import { percentile } from './percentile.js'
import type { Member, Plan } from './plan.js'
import type { Progress } from './progress.js'
import { Sessions } from './sessions.js'
import type { PhaseResult } from './types.js'
import { Wait, type WaitEnd } from './wait.js'

export class Stage {
  readonly plan: Plan
  readonly progress: Progress
  readonly stop: AbortSignal
  readonly sessions: Sessions
  readonly judge: Judge
  /** Of each phase. */
  readonly limitMs: number
  /** Restart: what each member announces as soon as it is back. */
  onEstablished: (neighbour: Neighbour) => void = () => {}
  onLost: (nowMs: number) => void = () => {}
  /** By row: when it was complete; 0 while it is not. */
  readonly #completedMs: Float64Array
  /** Looked at after each chunk and each change of the sessions. */
  #look: (nowMs: number) => void = () => {}
  #heardMs = 0

  /** `self`: the addresses that the target may name as next hop. */
  constructor(plan: Plan, self: readonly Uint8Array[], progress: Progress, stop: AbortSignal) {
    const { options } = plan
    this.plan = plan
    this.progress = progress
    this.stop = stop
    this.limitMs = options.timeoutSeconds * 1000
    this.judge = new Judge(plan, self)
    this.#completedMs = new Float64Array(plan.members.length)
    const { host, port, asn: targetAsn, holdTimeSeconds } = options
    const settings = { host, port, targetAsn, holdTimeSeconds, family: options.family }
    this.sessions = new Sessions(plan.members, settings, options.window, {
      update: (member, buffer, start, end, nowMs) => {
        this.#heardMs = nowMs
        this.judge.update(member, buffer, start, end, nowMs)
      },
      chunkDone: (member, nowMs) => this.#chunkDone(member, nowMs),
      established: (neighbour) => this.onEstablished(neighbour),
      lost: (member) => {
        this.judge.ledger.clear(member.index)
        this.onLost(performance.now())
      },
      changed: () => this.#look(performance.now()),
    })
  }

  get announcers(): readonly Neighbour[] {
    return this.sessions.all.slice(0, this.plan.announcers)
  }

  /** Until `isDone` says so of a moment, or the limit. */
  async until(isDone: (nowMs: number) => boolean, limitMs: number): Promise<WaitEnd> {
    const wait = new Wait(limitMs, this.stop)
    this.#look = (nowMs) => {
      if (isDone(nowMs)) wait.finish()
    }
    this.#look(performance.now())
    const end = await wait.end
    this.#look = () => {}
    return end
  }

  /** Sends, and waits until all rows are complete and stay so. Ends early when a session is lost: its receiver cannot get there. */
  async phase(label: string, send: () => void): Promise<PhaseResult> {
    const { ledger } = this.judge
    const cpu = process.cpuUsage()
    const startMs = performance.now()
    const endMs = startMs + this.limitMs
    this.progress.start(label, () => ledger.complete / ledger.rows)
    send()
    do {
      let doneMs = 0
      const end = await this.until((nowMs) => {
        if (ledger.complete === ledger.rows) doneMs = nowMs
        return doneMs > 0 || this.sessions.drops > 0
      }, endMs - performance.now())
      if (end !== 'done' || this.sessions.drops > 0) break
      const loaderCores = coresSince(cpu, startMs)
      await this.settle()
      if (ledger.complete === ledger.rows) {
        return { ok: true, seconds: (doneMs - startMs) / 1000, ...this.#spread(startMs), loaderCores }
      }
      // Something was taken back afterwards: it was not the end.
    } while (performance.now() < endMs)
    return { ok: false, seconds: null, ...this.#spread(startMs), loaderCores: coresSince(cpu, startMs) }
  }

  /** Until no UPDATE has come for a moment. */
  async settle(): Promise<void> {
    const startMs = performance.now()
    this.#heardMs = Math.max(this.#heardMs, startMs)
    while (!this.stop.aborted && performance.now() - startMs < SETTLE_LIMIT_MS) {
      if (performance.now() - this.#heardMs >= QUIET_MS) return
      await pause(QUIET_MS / 10)
    }
  }

  /** How many prefixes each receiver is to hold from now on. */
  goals(goal: (member: Member) => number): void {
    this.#completedMs.fill(0)
    this.judge.ledger.setGoals((row) => goal(this.plan.members[row]!))
  }

  #spread(startMs: number): Pick<PhaseResult, 'p50Seconds' | 'p99Seconds' | 'receiversComplete'> {
    const { ledger } = this.judge
    const sorted = this.#completedMs.filter((_, row) => ledger.isComplete(row)).sort()
    const at = (share: number): number | null => {
      const ms = percentile(sorted, share)
      return ms === null ? null : Math.max(0, ms - startMs) / 1000
    }
    return { p50Seconds: at(0.5), p99Seconds: at(0.99), receiversComplete: ledger.complete }
  }

  #chunkDone(member: Member, nowMs: number): void {
    const row = member.index
    if (!this.judge.ledger.isComplete(row)) this.#completedMs[row] = 0
    else if (this.#completedMs[row] === 0) this.#completedMs[row] = nowMs
    this.#look(nowMs)
  }
}

/** Share of a core that this process used since then. */
export function coresSince(cpu: NodeJS.CpuUsage, startMs: number): number {
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / 1000 / Math.max(1, performance.now() - startMs)
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export function knowsAs4(neighbour: Neighbour): boolean {
  return neighbour.negotiated?.as4 ?? true
}

const QUIET_MS = 200
const SETTLE_LIMIT_MS = 5000
