/**
 * Says what is to be done for a prefix, and what state it is in; tells of conflicts, failures and repairs, each once.
 */
import type { FibOperation } from '../driver.js'
import type { Encapsulator, FarNode, TunnelTrouble } from '../encap/types.js'
import { leftToFelix } from '../ownership.js'
import { planInto } from '../plan.js'
import { protocolName } from '../protocols.js'
import { formatHops, type HopRules, isLocalAddress, planRoute } from '../resolve.js'
import type { DesiredRoute, FibRouteState, KernelRoute, PlannedRoute } from '../types.js'
import { type Cell, hasSurplus, isInPlace, isLeft } from './cell.js'
import type { EngineState } from './state.js'

export class Judge {
  readonly #state: EngineState
  readonly #shared = new Map<DesiredRoute, PlannedRoute | string>()
  #sharedVersion = -1
  #sharedRules: HopRules | null = null
  /** Not told yet. */
  #repaired = 0
  #toldRepairMs = Number.NEGATIVE_INFINITY

  constructor(state: EngineState) {
    this.#state = state
  }

  /** Adds to `operations` what is to be done for a prefix, and sets its state as far as it is known without doing it. */
  judge(cell: Cell, operations: FibOperation<Cell>[]): void {
    const { desired } = cell
    const { rules, flushed } = this.#state
    const { tunnel } = this.#state.options
    if (desired === null || flushed) tunnel?.want(cell, NO_FAR_NODES)
    if (desired === null) {
      this.#plan(cell, null, operations)
      return
    }
    if (flushed) {
      this.#without(cell, 'pending', FLUSHED, operations)
      return
    }
    const left = leftToFelix(cell, desired, rules)
    if (left !== '') {
      tunnel?.want(cell, NO_FAR_NODES)
      this.#without(cell, 'left', left, operations)
      return
    }
    const route = this.#routeOf(cell, desired)
    tunnel?.want(cell, typeof route === 'string' ? NO_FAR_NODES : (route.far ?? NO_FAR_NODES))
    if (typeof route !== 'string') {
      this.#judgeRoute(cell, route, operations)
      return
    }
    // The route that its next hop is reached by may come in a moment.
    if (cell.inherited) {
      cell.planned = null
      this.change(cell, 'unresolved', `${route}; what was found at the start stays until the sweep`)
    } else this.#without(cell, 'unresolved', route, operations)
  }

  /** None of ours is to be there. */
  #without(cell: Cell, state: FibRouteState, reason: string, operations: FibOperation<Cell>[]): void {
    cell.planned = null
    this.change(cell, state, reason)
    this.#plan(cell, null, operations)
  }

  #judgeRoute(cell: Cell, route: PlannedRoute, operations: FibOperation<Cell>[]): void {
    const { tunnel } = this.#state.options
    cell.planned = route
    if (tunnel !== null && tunnel.troubles.size > 0 && troublesOf(route, tunnel).some(({ isOther }) => isOther)) {
      this.refused(cell, route, '')
      return
    }
    const before = operations.length
    const conflict = this.#plan(cell, route, operations)
    const isNothing = operations.length === before
    // What was lost may have been done all the same.
    if (cell.tries >= MAX_TRIES && conflict === null && !isNothing) {
      operations.length = before
      this.change(cell, 'failed', cell.reason)
    } else if (conflict !== null) {
      cell.tries = 0
      this.change(cell, 'conflict', describeForeign(conflict))
    } else if (isNothing || isLeft(cell, route, operations, before)) this.installed(cell, route.metric)
    else this.change(cell, 'pending', '')
  }

  /** A route of ours that nobody wants: kept for who may want it, until the sweep. */
  judgeUnwanted(cell: Cell): void {
    const { cells, swept, flushed } = this.#state
    if (cell.ours.length === 0) cells.dropIfEmpty(cell)
    else if (swept || flushed) cells.mark(cell, 0)
    else cells.adopt(cell, true)
  }

  /** Somebody changed a route of ours: marks it where there is something to do. */
  judgeTouched(cell: Cell): void {
    const { cells, flushed, actual } = this.#state
    if (flushed) cells.mark(cell, 0)
    else if (cell.desired === null) this.judgeUnwanted(cell)
    else if (cell.state === 'installed' && cell.planned !== null) {
      if (!isInPlace(cell, actual)) {
        this.tellRepair(cell.prefix, 1)
        cells.mark(cell, 0)
      } else this.markIfUnequal(cell, 0)
    } else if (hasSurplus(cell)) cells.mark(cell, 0)
  }

  markIfUnequal(cell: Cell, mark: number): void {
    if (cell.planned === null) return
    const operations: FibOperation<Cell>[] = []
    this.#plan(cell, cell.planned, operations)
    if (operations.length > 0) this.#state.cells.mark(cell, mark)
  }

  installed(cell: Cell, metric: number): void {
    cell.inherited = false
    const before = this.#state.actual.foreignBefore(cell, metric)
    this.change(cell, 'installed', before === undefined ? '' : `${describeForeign(before)}; it takes the traffic`)
  }

  /** The route cannot be written, in the kernel's words and in those of its tunnel. What was there before goes on, and is better than nothing. */
  refused(cell: Cell, route: PlannedRoute, words: string): void {
    const { tunnel } = this.#state.options
    const troubles = tunnel === null ? [] : troublesOf(route, tunnel).map((trouble) => trouble.words)
    const why = [words, ...new Set(troubles)].filter((part) => part !== '').join(': ')
    const [before] = cell.ours
    this.change(cell, 'failed', before === undefined ? why : `${why}; the route before stays: ${formatHops(before)}`)
  }

  change(cell: Cell, state: FibRouteState, reason: string): void {
    cell.state = state
    cell.reason = reason
    if (state === 'installed' && reason === '') cell.told = ''
    // One that is installed and has a reason stands in the shadow of a foreign one.
    const isConflict = state === 'conflict' || (state === 'installed' && reason !== '')
    if (!isConflict && state !== 'failed') return
    // Once per trouble, however often it is tried again.
    if (cell.told === reason) return
    cell.told = reason
    this.#state.options.log({
      event: isConflict ? 'fib-conflict' : 'fib-failed',
      fields: { prefix: cell.prefix, reason },
    })
  }

  /** Somebody who does it again and again is told of now and then. */
  tellRepair(sample: string, count: number): void {
    this.#repaired += count
    const nowMs = performance.now()
    if (nowMs - this.#toldRepairMs < REPAIR_LOG_MS) return
    this.#toldRepairMs = nowMs
    const others = this.#repaired > 1 ? ` and ${this.#repaired - 1} more` : ''
    this.#repaired = 0
    const text = `kernel routes were changed by somebody else: ${sample}${others}; putting them back`
    this.#state.options.log({ event: 'notice', fields: { text } })
  }

  /** Returns the conflict. */
  #plan(cell: Cell, wanted: PlannedRoute | null, operations: FibOperation<Cell>[]): KernelRoute | null {
    return planInto(operations, cell, cell.ours, wanted, this.#state.actual)
  }

  /** The route to write. Where it does not depend on the prefix, prefixes that want the same get the same object, until a next hop is reached another way. */
  #routeOf(cell: Cell, desired: DesiredRoute): PlannedRoute | string {
    const { rules, ways } = this.#state
    if (rules.encapsulation !== 'never') return this.#withSource(planRoute(cell.prefix, desired, rules, ways.resolve))
    if (this.#sharedVersion !== ways.version || this.#sharedRules !== rules || this.#shared.size >= MAX_SHARED) {
      this.#shared.clear()
      this.#sharedRules = rules
    }
    let route = this.#shared.get(desired)
    if (route === undefined) {
      route = this.#withSource(planRoute(cell.prefix, desired, rules, ways.resolve))
      this.#shared.set(desired, route)
    }
    this.#sharedVersion = ways.version
    return route
  }

  /** The kernel would refuse a source address that this node does not have. */
  #withSource(route: PlannedRoute | string): PlannedRoute | string {
    if (typeof route === 'string' || route.source === undefined || this.#state.options.name === 'memory') return route
    return isLocalAddress(route.source, this.#state.actual)
      ? route
      : `source address ${route.source} is not an address of this node: add it, or change fib.sourceAddress`
  }
}

function troublesOf({ hops }: PlannedRoute, { troubles }: Encapsulator): readonly TunnelTrouble[] {
  return hops.flatMap(({ device }) => (device === null ? [] : (troubles.get(device) ?? [])))
}

function describeForeign(route: KernelRoute): string {
  return `a route of another owner is there (protocol ${protocolName(route.protocol)}, metric ${route.metric}): ${formatHops(route)}`
}

const MAX_TRIES = 3
const MAX_SHARED = 10_000
const REPAIR_LOG_MS = 10_000
const FLUSHED = "flushed by command; 'nodebgp fib restore' writes it again"
const NO_FAR_NODES: readonly FarNode[] = Object.freeze([])
