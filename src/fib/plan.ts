/**
 * From desired to actual (pure): which operations bring the kernel's routes of a prefix to what is wanted.
 *
 * - A route that is not known as ours is never replaced or deleted: a foreign route of the same prefix and metric is a conflict, and what we
 *   had beside it goes away.
 * - A route of ours is replaced in one step, so that traffic never finds a gap. Routes of ours with another metric (left from an earlier
 *   configuration) go only once the wanted one is in place.
 * - One round may not be enough; the caller plans again after each round until nothing is left to do.
 */
import type { FibOperation } from './driver.js'
import { type RoutePrefix, routePrefix } from './route-prefix.js'
import type { KernelHop, KernelRoute, PlannedRoute } from './types.js'

/** A route of ours as it was read, or as we wrote it: then protocol and table are ours. */
export type OurRoute = KernelRoute | PlannedRoute

/** The routes that are there, as far as the plan of one prefix needs them. */
export interface ActualRoutes {
  /** Routes with our protocol in our table, any metric. */
  ours(prefix: string): readonly OurRoute[]
  /** A route of another owner in our table with that metric. */
  foreign(to: RoutePrefix, metric: number): KernelRoute | undefined
}

export interface PrefixPlan<To extends RoutePrefix = RoutePrefix> {
  readonly operations: readonly FibOperation<To>[]
  /** The foreign route that is in the way. */
  readonly conflict: KernelRoute | null
}

/** `wanted` null: no route of ours is to be there. */
export function planPrefix(prefix: string, wanted: PlannedRoute | null, actual: ActualRoutes): PrefixPlan {
  return planRoutes(routePrefix(prefix), actual.ours(prefix), wanted, actual)
}

/** The same, where our routes of the prefix are at hand. */
export function planRoutes<To extends RoutePrefix>(
  to: To,
  ours: readonly OurRoute[],
  wanted: PlannedRoute | null,
  actual: Pick<ActualRoutes, 'foreign'>,
): PrefixPlan<To> {
  const operations: FibOperation<To>[] = []
  return { conflict: planInto(operations, to, ours, wanted, actual), operations }
}

/** The same behind the operations of others: with hundreds of thousands of prefixes an object for each plan adds up. Returns the conflict. */
export function planInto<To extends RoutePrefix>(
  operations: FibOperation<To>[],
  to: To,
  ours: readonly OurRoute[],
  wanted: PlannedRoute | null,
  actual: Pick<ActualRoutes, 'foreign'>,
): KernelRoute | null {
  if (wanted === null) {
    for (const route of ours) operations.push(removal(to, route))
    return null
  }
  if (ours.length === 1 && ours[0] === wanted) return null
  const foreign = actual.foreign(to, wanted.metric)
  let same = 0
  let equal = false
  for (const route of ours) {
    if (route.metric !== wanted.metric) continue
    same++
    // One that was taken over is made ours by a replace, however equal.
    equal = !isTaken(route) && isSameRoute(route, wanted)
  }
  if (same === 1 && equal) {
    for (const route of ours) if (route.metric !== wanted.metric) operations.push(removal(to, route))
    return null
  }
  if (foreign !== undefined) {
    for (const route of ours) operations.push(removal(to, route))
    return foreign
  }
  // Several of ours under one prefix and metric (appended by hand): a replace would reach only the first of them.
  if (same > 1) {
    for (const route of ours) if (route.metric === wanted.metric) operations.push(removal(to, route))
  } else operations.push({ type: same === 1 ? 'replace' : 'add', to, route: wanted })
  return null
}

/** The plan of many prefixes: those wanted, and those of ours that nobody wants. */
export function plan(
  wanted: ReadonlyMap<string, PlannedRoute>,
  actual: ActualRoutes & { ourPrefixes(): Iterable<string> },
): { readonly operations: readonly FibOperation[]; readonly conflicts: ReadonlyMap<string, KernelRoute> } {
  const operations: FibOperation[] = []
  const conflicts = new Map<string, KernelRoute>()
  for (const prefix of new Set([...wanted.keys(), ...actual.ourPrefixes()])) {
    const part = planPrefix(prefix, wanted.get(prefix) ?? null, actual)
    operations.push(...part.operations)
    if (part.conflict !== null) conflicts.set(prefix, part.conflict)
  }
  return { operations, conflicts }
}

/** Our routes of a prefix after an operation that succeeded. */
export function applyTo(ours: readonly OurRoute[], { type, route }: FibOperation): readonly OurRoute[] {
  // Nearly always there is one route of a prefix, or none.
  if (ours.length === 0 || (ours.length === 1 && ours[0]!.metric === route.metric))
    return type === 'delete' ? NO_ROUTES : listOf(route)
  const rest = ours.filter((one) => one.metric !== route.metric)
  return type === 'delete' ? rest : [...rest, route]
}

/** Content only: kind, source and hops (in any order); protocol and table are the caller's. */
export function isSameRoute(a: OurRoute, b: OurRoute): boolean {
  if (a === b) return true
  if (a.kind !== b.kind || a.metric !== b.metric || a.hops.length !== b.hops.length) return false
  if (a.source !== b.source) return false
  // Both ways: by hand a hop can be there twice.
  return hasHopsOf(a, b) && (a.hops.length === 1 || hasHopsOf(b, a))
}

function hasHopsOf(a: OurRoute, b: OurRoute): boolean {
  return b.hops.every((hop) => a.hops.some((other) => isSameHop(hop, other)))
}

export function isSameHop(a: KernelHop, b: KernelHop): boolean {
  return a.gateway === b.gateway && a.device === b.device && a.onlink === b.onlink && a.weight === b.weight
}

/** Another protocol's route that was taken over. */
export function isTaken(route: OurRoute): route is KernelRoute {
  return (route as KernelRoute).takenOver === true
}

function removal<To extends RoutePrefix>(to: To, route: OurRoute): FibOperation<To> {
  if (isTaken(route)) return { type: 'delete', to, route: { ...route, kind: 'unicast' }, protocol: route.protocol }
  if (route.kind === 'unicast' || route.kind === 'blackhole')
    return { type: 'delete', to, route: route as PlannedRoute }
  // Only prefix, protocol, table and metric count in a deletion; kinds other than ours can only come from somebody else's hand.
  return { type: 'delete', to, route: { ...route, kind: 'unicast' } }
}

/** Prefixes with the same route mostly come one after the other, and share its list. */
function listOf(route: PlannedRoute): readonly OurRoute[] {
  if (lastList[0] !== route) lastList = [route]
  return lastList
}

let lastList: readonly OurRoute[] = []

export const NO_ROUTES: readonly OurRoute[] = Object.freeze([])
