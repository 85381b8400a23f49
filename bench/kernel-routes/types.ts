/** What the benchmark of kernel routes measures, and of whom. */

export type DaemonKind = 'nodebgp' | 'bird' | 'frr'
export type Phase = 'in' | 'replaced' | 'out'

/** In the order in which they are measured. */
export const PHASES: readonly Phase[] = ['in', 'replaced', 'out']

/** Milliseconds by which turns of the event loop were late. */
export interface LoopDelay {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Turns that were counted. */
  readonly turns: number
}

export interface PhaseRun {
  readonly daemon: DaemonKind
  /** From 1. */
  readonly round: number
  readonly phase: Phase
  /** From just before the first octet was sent until the kernel had everything. */
  readonly seconds: number
  /** Processor time of the daemon's processes meanwhile, kernel's work for them included. */
  readonly cpuSeconds: number
  /** Routes of the whole dump that are as they should be: for `out` those that are gone. */
  readonly verified: number
  /** The sample was complete before the table was, or the kernel still changed routes then; the time is that of the end of the dump that found it complete. */
  readonly late: boolean
  /** Of nodebgp; null for the others. */
  readonly loop: LoopDelay | null
}

export interface KernelRoutesOptions {
  readonly routes: number
  readonly rounds: number
  readonly daemons: readonly DaemonKind[]
  /** The bundle's main file. */
  readonly program: string
  /** Told of each phase when it is over. */
  readonly onPhase?: (run: PhaseRun) => void
}
