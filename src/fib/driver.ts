/**
 * The seam between the FIB's engine and the tables it writes: a kernel (netlink.ts, iproute2.ts) or a table in memory (memory.ts).
 */
import type { Family } from '../net/family.js'
import type { RoutePrefix } from './route-prefix.js'
import type { KernelRoute, PlannedRoute } from './types.js'

/** One change of a table. `replace` only where a route of ours is known to be there; `add` is exclusive. */
export interface FibOperation<To extends RoutePrefix = RoutePrefix> {
  readonly type: 'add' | 'replace' | 'delete'
  readonly to: To
  readonly route: PlannedRoute
  /** Of a deletion: whose route it is, where not ours. */
  readonly protocol?: number
}

/** What became of an operation. `exists`: a route of this prefix and metric is there already. `lost`: nobody knows, look again. */
export type FibOutcome =
  | { readonly type: 'done' }
  | { readonly type: 'exists' }
  | { readonly type: 'refused'; readonly words: string }
  | { readonly type: 'lost'; readonly words: string }

export const DONE: FibOutcome = Object.freeze({ type: 'done' })
export const EXISTS: FibOutcome = Object.freeze({ type: 'exists' })

/** A route that somebody else put into the kernel's tables or took out of them. */
export interface FibChange {
  readonly type: 'put' | 'gone'
  /** It took the place of the first route of its prefix and metric, whoever that belonged to. */
  readonly replaces: boolean
  /** It comes behind all routes of its prefix and metric; else before them. */
  readonly appended: boolean
  readonly route: KernelRoute
}

/**
 * Something changed behind our back. `event`: nobody knows what, read all tables; `ours`: read our routes; `devices`: only devices or their addresses
 * changed, no route was lost by it; `slow`: the periodic full comparison. Our own changes need no trigger.
 */
export type FibTrigger = 'event' | 'ours' | 'devices' | 'slow' | FibChange

/** `ours`: routes of our table and protocol are enough; a driver may give all. */
export type DumpScope = 'all' | 'ours'

/**
 * From now on `changed` is called when a neighbour or FDB entry of the device of this index is changed, by whomever; 0: of none. False: this cannot be told here. Events that
 * were lost are a trigger `event` instead.
 */
export type NeighbourWatch = (index: number, changed: () => void) => boolean

export interface FibDriver {
  /** Rejects with a FibError that says what is missing and what to do. */
  open(onTrigger: (trigger: FibTrigger) => void): Promise<void>
  /** Calls `take` for every route of the tables read, in portions that do not hold the event loop. */
  dump(take: (route: KernelRoute) => void, scope?: DumpScope): Promise<void>
  /** One outcome per operation, in order. Never rejects. At most one call at a time. */
  apply(operations: readonly FibOperation[]): Promise<readonly FibOutcome[]>
  /** See NeighbourWatch. */
  readonly watchNeighbours?: NeighbourWatch
  close(): Promise<void>
}

/** What the FIB tells: names and fields of the log's events. */
export type FibFact =
  | {
      readonly event: 'fib-start'
      readonly fields: { readonly driver: string; readonly why: string; readonly adopted: number }
    }
  | { readonly event: 'fib-conflict'; readonly fields: { readonly prefix: string; readonly reason: string } }
  | { readonly event: 'fib-failed'; readonly fields: { readonly prefix: string; readonly reason: string } }
  | { readonly event: 'fib-swept'; readonly fields: { readonly removed: number } }
  | { readonly event: 'fib-trouble'; readonly fields: { readonly reason: string } }
  | { readonly event: 'notice' | 'warning' | 'detail'; readonly fields: { readonly text: string } }

/** The kernel's metric for a configured one: IPv6 takes 0 as 1024 (IP6_RT_PRIO_USER). */
export function kernelMetric(family: Family, metric: number): number {
  return family === 1 && metric === 0 ? 1024 : metric
}
