/**
 * What others do to the kernel's routes, told by events: to ours, to those that were taken over, and to their own.
 */
import type { FibChange } from '../driver.js'
import { isSameRoute, isTaken } from '../plan.js'
import type { KernelRoute } from '../types.js'
import type { Cell } from './cell.js'
import type { Judge } from './judge.js'
import type { Reader } from './reader.js'
import type { EngineState } from './state.js'
import { Look, type Watch } from './watch.js'

/** The engine, as far as it has to hear of it. */
export interface OthersListener {
  wake(): void
  tellForeignChanged(): void
}

export class Others {
  readonly #state: EngineState
  readonly #judge: Judge
  readonly #reader: Reader
  readonly #watch: Watch
  readonly #listener: OthersListener
  #missed: FibChange[] = []
  /** Prefixes of foreign routes that came or went; looked at together. */
  readonly #changed = new Set<string>()
  #timer: NodeJS.Timeout | null = null
  #lookEndMs = 0
  #lookTookMs = 0

  constructor(state: EngineState, judge: Judge, reader: Reader, watch: Watch, listener: OthersListener) {
    this.#state = state
    this.#judge = judge
    this.#reader = reader
    this.#watch = watch
    this.#listener = listener
  }

  take(change: FibChange): void {
    const { phase, options, actual, cells } = this.#state
    if (phase === 'stopped') return
    if (this.#reader.dumping || phase === 'new') {
      if (this.#missed.length < MAX_MISSED) this.#missed.push(change)
      else this.#watch.soon(Look.ALL)
      return
    }
    const { type, replaces, appended, route } = change
    const { table, protocol } = options
    const isOurs = route.protocol === protocol
    if (isOurs && route.table !== table) return
    if (!isOurs && this.#state.takes && this.#takeTaken(type, route)) return
    let foreign = false
    if (type === 'put' && replaces) {
      // One of the same prefix and metric had to give way.
      const cell = route.table === table ? cells.get(route.prefix) : undefined
      const rest = cell?.ours.filter((one) => one.metric !== route.metric)
      if (cell !== undefined && rest!.length < cell.ours.length) {
        cell.ours = rest!
        if (!isOurs) this.#touched(cell)
      } else foreign = actual.removeReplaced(route)
    }
    if (isOurs) {
      const cell = cells.obtain(route.prefix)
      const others = cell.ours.filter((one) => !isSameRoute(one, route))
      cell.ours = type === 'put' ? [...others, route] : others
      this.#touched(cell)
    } else foreign = (type === 'put' ? actual.put(route, appended) : actual.remove(route)) || foreign
    if (foreign) this.#lookSoon(route.prefix)
  }

  /** True where the route was taken over, and that is all there is to it. */
  #takeTaken(type: FibChange['type'], route: KernelRoute): boolean {
    const cell = this.#state.cells.get(route.prefix)
    if (cell === undefined || !cell.taken(route)) return false
    const rest = cell.ours.filter((one) => !isTaken(one) || !isSameRoute(one, route))
    if (type === 'put') return rest.length < cell.ours.length
    cell.ours = rest
    this.#touched(cell)
    return true
  }

  /** The dump may have it already: a change that is taken twice changes nothing, and the last word is the kernel's last. */
  replayMissed(): void {
    for (const change of this.#missed.splice(0)) this.take(change)
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  /** Somebody changed a route of ours. */
  #touched(cell: Cell): void {
    this.#watch.soon(Look.OURS)
    if (!this.#watch.isCalm) return
    this.#judge.judgeTouched(cell)
    this.#listener.wake()
  }

  #lookSoon(prefix: string): void {
    this.#changed.add(prefix)
    if (this.#timer !== null) return
    const calmMs = this.#watch.isCalm ? 0 : this.#watch.restMs
    // Another daemon may change routes all the time, and whoever is told may go through all of them.
    const restMs = this.#lookEndMs + Math.min(MAX_REST_MS, this.#lookTookMs * LOOK_SHARE) - performance.now()
    this.#timer = setTimeout(() => this.#timedLook(), Math.max(FOREIGN_MS, calmMs, restMs))
  }

  #timedLook(): void {
    this.#timer = null
    const startMs = performance.now()
    this.#look()
    this.#lookEndMs = performance.now()
    this.#lookTookMs = this.#lookEndMs - startMs
  }

  /** Foreign routes came or went: routes of the same prefixes, and all where a next hop may have another way now. */
  #look(): void {
    const { cells, ways } = this.#state
    const prefixes = [...this.#changed]
    this.#changed.clear()
    if (prefixes.length > MAX_FOREIGN || ways.leadsToNextHop(prefixes)) {
      ways.clear()
      for (const cell of cells.values()) {
        if (cell.desired === null) continue
        if (cell.state === 'failed') cell.tries = 0
        cells.mark(cell, 0)
      }
    } else {
      for (const prefix of prefixes) {
        const cell = cells.get(prefix)
        if (cell !== undefined && cell.desired !== null) cells.mark(cell, 0)
      }
    }
    this.#listener.wake()
    this.#listener.tellForeignChanged()
  }
}

const FOREIGN_MS = 20
/** Looks at the routes of others may cost a fiftieth of the time. */
const LOOK_SHARE = 50
const MAX_REST_MS = 700
/** Foreign prefixes that are looked at one by one. */
const MAX_FOREIGN = 200
const MAX_MISSED = 100_000
