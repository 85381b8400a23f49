/**
 * The seam between the FIB's engine and the tables it writes: a kernel (kernel.ts) or a table in memory (memory.ts).
 */
import type { Family } from '../net/family.js'
import type { KernelRoute, PlannedRoute } from './types.js'

/** One change of a table. `replace` only where a route of ours is known to be there; `add` is exclusive. */
export interface FibOperation {
  readonly type: 'add' | 'replace' | 'delete'
  readonly route: PlannedRoute
}

/** What became of an operation. `exists`: a route of this prefix and metric is there already. `lost`: nobody knows, look again. */
export type FibOutcome =
  | { readonly type: 'done' }
  | { readonly type: 'exists' }
  | { readonly type: 'refused'; readonly words: string }
  | { readonly type: 'lost'; readonly words: string }

export const DONE: FibOutcome = Object.freeze({ type: 'done' })
export const EXISTS: FibOutcome = Object.freeze({ type: 'exists' })

/** Something may have changed behind our back: dump again. `slow`: the periodic full comparison. */
export type FibTrigger = 'event' | 'slow'

export interface FibDriver {
  /** Rejects with a FibError that says what is missing and what to do. */
  open(onTrigger: (trigger: FibTrigger) => void): Promise<void>
  /** Calls `take` for every route of the tables read (ours and foreign), in portions that do not hold the event loop. */
  dump(take: (route: KernelRoute) => void): Promise<void>
  /** One outcome per operation, in order. Never rejects. At most one call at a time. */
  apply(operations: readonly FibOperation[]): Promise<readonly FibOutcome[]>
  close(): Promise<void>
}

/** What the FIB tells: names and fields of the log's events. */
export type FibFact =
  | { readonly event: 'fib-start'; readonly fields: { readonly driver: string; readonly adopted: number } }
  | { readonly event: 'fib-conflict'; readonly fields: { readonly prefix: string; readonly reason: string } }
  | { readonly event: 'fib-failed'; readonly fields: { readonly prefix: string; readonly reason: string } }
  | { readonly event: 'fib-swept'; readonly fields: { readonly removed: number } }
  | { readonly event: 'fib-trouble'; readonly fields: { readonly reason: string } }
  | { readonly event: 'notice' | 'warning' | 'detail'; readonly fields: { readonly text: string } }

/** The kernel's metric for a configured one: IPv6 takes 0 as 1024 (IP6_RT_PRIO_USER). */
export function kernelMetric(family: Family, metric: number): number {
  return family === 1 && metric === 0 ? 1024 : metric
}
