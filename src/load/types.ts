/** What a load run is asked for, and what it answers (`nodebgp load --json`). */
import type { PrefixText } from '../config/types.js'
import type { Family, FamilyName } from '../net/family.js'

export type Workload = 'fanout' | 'table' | 'churn' | 'restart-wait'

/** As asked for; plan.ts judges it. */
export interface LoadOptions {
  readonly host: string
  readonly port: number
  /** The target's. */
  readonly asn: number
  /** null: the target's (iBGP), or with `ebgp` one of its own for each neighbour. */
  readonly peerAsn: number | null
  readonly ebgp: boolean
  readonly workload: Workload
  readonly peers: number
  readonly receivers: number
  /** Per announcing neighbour. */
  readonly routes: number
  /** Attribute sets per announcing neighbour; for `table` in all. */
  readonly attributeSets: number | null
  readonly family: Family
  readonly prefixes: PrefixText
  readonly blockLength: number
  /** Where the neighbours' own addresses come from: a range, or a list. */
  readonly localAddresses: PrefixText | readonly string[]
  readonly nextHops: PrefixText | null
  readonly expectNextHop: 'keep' | 'self' | 'any' | null
  readonly expectAttributes: 'keep' | 'any' | null
  readonly holdTimeSeconds: number
  /** Sessions that are being opened at a time. */
  readonly window: number
  /** Changes per second, and for how long. */
  readonly rate: number
  readonly seconds: number
  readonly seed: number
  readonly timeoutSeconds: number
  readonly withdraw: boolean
  /** Routes that none of the neighbours announced are no fault. */
  readonly allowOther: boolean
  /** Echoes and duplicates are faults. */
  readonly strict: boolean
}

export interface PhaseResult {
  readonly ok: boolean
  /** From just before the first octet was sent to the moment the last receiver was complete; null: not reached. */
  readonly seconds: number | null
  /** Until half and 99 % of the receivers were complete. */
  readonly p50Seconds: number | null
  readonly p99Seconds: number | null
  readonly receiversComplete: number
  /** Of the loader, in the phase: near 1 it is the loader that is measured. */
  readonly loaderCores: number
}

export interface SetupResult {
  readonly ok: boolean
  readonly established: number
  /** From the first connection attempt to the last Established. */
  readonly seconds: number | null
  /** One session, from its SYN to Established. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
  readonly retries: number
}

export interface ChurnResult {
  readonly ok: boolean
  readonly rate: number
  /** What was sent per second; below `rate` the loader did not keep up. */
  readonly achievedRate: number
  readonly events: number
  /** Events that not all receivers have seen. */
  readonly unfinished: number
  /** From sending an event to the moment its last receiver has it or a newer one. */
  readonly p50Ms: number | null
  readonly p90Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
  readonly loaderCores: number
}

export interface RestartResult {
  readonly ok: boolean
  /** From the loss of the first session, and from the first that is Established again, until every receiver is complete. */
  readonly secondsFromLoss: number | null
  readonly secondsFromReturn: number | null
}

/** How late the target's event loop was, by samples every 10 ms, since the reading before. */
export interface LoopDelay {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** By phase; null where there was none, or no answer. After a restart: since the target's start. */
export interface TargetLoop {
  setup: LoopDelay | null
  convergence: LoopDelay | null
  churn: LoopDelay | null
  restart: LoopDelay | null
  withdrawal: LoopDelay | null
}

/** Counted over the whole run, at the neighbours. */
export interface Tallies {
  updates: number
  octets: number
  announced: number
  withdrawn: number
  /** Own routes that came back. */
  echoes: number
  /** Announced again with nothing changed, or an older state. */
  duplicates: number
  /** Withdrawn without having been there. */
  surplusWithdrawals: number
  /** Prefixes that no neighbour announced. */
  otherPrefixes: number
  wrongNextHops: number
  wrongAttributes: number
  /** UPDATEs with faults that RFC 7606 treats as withdrawal. */
  malformed: number
}

export interface LoadResult {
  readonly ok: boolean
  readonly target: string
  readonly workload: Workload
  readonly mode: 'ibgp' | 'ebgp'
  readonly family: FamilyName
  readonly announcers: number
  readonly receivers: number
  readonly prefixes: number
  readonly attributeSets: number
  readonly seed: number
  readonly setup: SetupResult
  readonly convergence: PhaseResult | null
  readonly churn: ChurnResult | null
  readonly restart: RestartResult | null
  readonly withdrawal: PhaseResult | null
  /** Null: not asked for (--target-socket). */
  readonly targetLoop: TargetLoop | null
  readonly received: Tallies
  /** By comparison of the sets, where a phase did not reach its end: routes that are not there, and routes still there. */
  readonly missing: number
  readonly leftOver: number
  /** Sessions that ended without being told to. */
  readonly drops: number
  readonly reasons: readonly { readonly text: string; readonly count: number }[]
  /** Up to ten of each fault, one line each. */
  readonly examples: readonly string[]
  readonly hints: readonly string[]
  readonly loader: { readonly cpuSeconds: number; readonly peakRssMiB: number }
}
