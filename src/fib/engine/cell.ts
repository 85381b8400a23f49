/**
 * A cell of the engine: all about one prefix, what is wanted and what there is of ours (pure).
 */
import type { ActualTable } from '../actual.js'
import type { FibOperation } from '../driver.js'
import { isTaken, NO_ROUTES, type OurRoute, planRoutes } from '../plan.js'
import type { DesiredRoute, FibEntry, FibRouteState, KernelRoute, PlannedRoute } from '../types.js'

export const UNMARKED = -1

export class Cell {
  readonly prefix: string
  desired: DesiredRoute | null = null
  planned: PlannedRoute | null = null
  /** Our routes that are there. */
  ours: readonly OurRoute[] = NO_ROUTES
  /** Of a dump under way. */
  found: readonly OurRoute[] = NO_ROUTES
  /** Number of the dump that found it. */
  dump = 0
  /** Found at the start or later, and not yet confirmed. */
  adopted = false
  /** Number of the `set` that marked it. */
  mark = UNMARKED
  /** Found at the start, and still as it was. */
  inherited = false
  /** An operation of it is under way. */
  busy = false
  state: FibRouteState = 'pending'
  reason = ''
  /** Reason that was logged last, while it lasts. */
  told = ''
  /** Rounds in a row that led nowhere. */
  tries = 0

  constructor(prefix: string) {
    this.prefix = prefix
  }

  /** A route of that protocol and metric was taken over. */
  taken({ protocol, metric }: KernelRoute): boolean {
    return this.ours.some((one) => isTaken(one) && one.protocol === protocol && one.metric === metric)
  }

  /** Nothing is known of what becomes of it. */
  forget(): void {
    this.planned = null
    this.state = 'pending'
    this.reason = ''
    this.told = ''
  }
}

export function entryOf({ prefix, desired, planned, state, reason, adopted, ours }: Cell): FibEntry | undefined {
  if (desired !== null) return { prefix, state, hops: planned?.hops ?? [], kind: desired.kind, reason }
  if (!adopted) return undefined
  const route = ours[0]
  const kind = route?.kind === 'blackhole' ? 'blackhole' : 'unicast'
  return { prefix, state: 'adopted', hops: route?.hops ?? [], kind, reason: UNCONFIRMED }
}

/** The route that was planned is there, whatever else is. */
export function isInPlace(cell: Cell, actual: ActualTable): boolean {
  const { planned, ours } = cell
  return planned !== null && isLeft(cell, planned, planRoutes(cell.prefix, ours, planned, actual).operations)
}

/** The route is there, and the operations do not concern it. */
export function isLeft({ ours }: Cell, { metric }: PlannedRoute, operations: readonly FibOperation[]): boolean {
  for (const operation of operations) if (operation.route.metric === metric) return false
  return ours.some((one) => one.metric === metric)
}

const UNCONFIRMED = 'found at start, not yet confirmed by a peer'
