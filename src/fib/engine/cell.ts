/**
 * A cell of the engine: all about one prefix, what is wanted and what there is of ours (pure).
 */
import type { ActualTable } from '../actual.js'
import type { FibOperation } from '../driver.js'
import { isTaken, NO_ROUTES, type OurRoute, planRoutes } from '../plan.js'
import { ipv4Text, type RoutePrefix } from '../route-prefix.js'
import type { DesiredRoute, FibEntry, FibRouteState, KernelRoute, PlannedRoute } from '../types.js'

export const UNMARKED = -1

/**
 * There may be hundreds of thousands, and while a table comes in each that is alive costs the collector a copy: so what is mostly as at the beginning has one place
 * together, and no text is kept of an IPv4 prefix.
 */
export class Cell implements RoutePrefix {
  readonly ipv4: number
  readonly #text: string | null
  /** Flags, and from LENGTH_SHIFT on the IPv4 length. */
  #bits: number
  desired: DesiredRoute | null = null
  planned: PlannedRoute | null = null
  /** Our routes that are there. */
  ours: readonly OurRoute[] = NO_ROUTES
  /** Of a dump under way. */
  found: readonly OurRoute[] = NO_ROUTES
  /** Number of the `set` that marked it. */
  mark = UNMARKED
  state: FibRouteState = 'pending'
  #trouble: Trouble | null = null

  /** `text`: of an IPv6 prefix; null for IPv4. */
  constructor(ipv4: number, ipv4Length: number, text: string | null) {
    this.ipv4 = ipv4
    this.#text = text
    this.#bits = ipv4Length << LENGTH_SHIFT
  }

  get ipv4Length(): number {
    return this.#bits >> LENGTH_SHIFT
  }

  get prefix(): string {
    return this.#text ?? ipv4Text(this.ipv4, this.ipv4Length)
  }

  /** Found at the start or later, and not yet confirmed. */
  get adopted(): boolean {
    return (this.#bits & ADOPTED) !== 0
  }
  set adopted(adopted: boolean) {
    this.#flag(ADOPTED, adopted)
  }

  /** Found at the start, and still as it was. */
  get inherited(): boolean {
    return (this.#bits & INHERITED) !== 0
  }
  set inherited(inherited: boolean) {
    this.#flag(INHERITED, inherited)
  }

  /** An operation of it is under way. */
  get busy(): boolean {
    return (this.#bits & BUSY) !== 0
  }
  set busy(busy: boolean) {
    this.#flag(BUSY, busy)
  }

  #flag(flag: number, isSet: boolean): void {
    this.#bits = isSet ? this.#bits | flag : this.#bits & ~flag
  }

  /** Why it is in its state; empty where there is nothing to say. */
  get reason(): string {
    return this.#trouble === null ? '' : this.#trouble.reason
  }
  set reason(reason: string) {
    if (reason !== '') this.#troubled().reason = reason
    else if (this.#trouble !== null) this.#trouble.reason = ''
  }

  /** Reason that was logged last, while it lasts. */
  get told(): string {
    return this.#trouble === null ? '' : this.#trouble.told
  }
  set told(told: string) {
    if (told !== '') this.#troubled().told = told
    else if (this.#trouble !== null) this.#trouble.told = ''
  }

  /** Rounds in a row that led nowhere. */
  get tries(): number {
    return this.#trouble === null ? 0 : this.#trouble.tries
  }
  set tries(tries: number) {
    if (tries !== 0) this.#troubled().tries = tries
    else if (this.#trouble !== null) this.#trouble.tries = 0
  }

  #troubled(): Trouble {
    this.#trouble ??= { reason: '', told: '', tries: 0 }
    return this.#trouble
  }

  /** A route of that protocol and metric was taken over. */
  taken({ protocol, metric }: KernelRoute): boolean {
    return this.ours.some((one) => isTaken(one) && one.protocol === protocol && one.metric === metric)
  }

  /** Nothing is known of what becomes of it. */
  forget(): void {
    this.planned = null
    this.state = 'pending'
    if (this.#trouble === null) return
    this.#trouble.reason = ''
    this.#trouble.told = ''
  }
}

interface Trouble {
  reason: string
  told: string
  tries: number
}

const ADOPTED = 1
const INHERITED = 2
const BUSY = 4
const LENGTH_SHIFT = 3

export function entryOf(cell: Cell): FibEntry | undefined {
  const { desired, planned, state, reason, ours } = cell
  if (desired !== null) return { prefix: cell.prefix, state, hops: planned?.hops ?? [], kind: desired.kind, reason }
  if (!cell.adopted) return undefined
  const { prefix } = cell
  const route = ours[0]
  const kind = route?.kind === 'blackhole' ? 'blackhole' : 'unicast'
  return { prefix, state: 'adopted', hops: route?.hops ?? [], kind, reason: UNCONFIRMED }
}

/** The route that was planned is there, whatever else is. */
export function isInPlace(cell: Cell, actual: ActualTable): boolean {
  const { planned, ours } = cell
  return planned !== null && isLeft(cell, planned, planRoutes(cell, ours, planned, actual).operations)
}

/** Somebody put a route there under our number, where none of ours is to be. */
export function hasSurplus({ state, inherited, ours }: Cell): boolean {
  return ours.length > 0 && !inherited && (state === 'unresolved' || state === 'left')
}

/** The route is there, and the operations from that place on do not concern it. */
export function isLeft(
  { ours }: Cell,
  { metric }: PlannedRoute,
  operations: readonly FibOperation[],
  from = 0,
): boolean {
  for (let at = from; at < operations.length; at++) if (operations[at]!.route.metric === metric) return false
  return ours.some((one) => one.metric === metric)
}

const UNCONFIRMED = 'found at start, not yet confirmed by a peer'
