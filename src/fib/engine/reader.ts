/**
 * Reads the kernel's tables: our routes and those taken over into the cells, all others into their picture.
 */
import type { DumpScope } from '../driver.js'
import { isTaken, NO_ROUTES } from '../plan.js'
import type { KernelRoute } from '../types.js'
import type { EngineState } from './state.js'
import { nextTurn } from './turns.js'

export class Reader {
  readonly #state: EngineState
  #dumping = false
  /** Of the last dump of all tables. */
  #allEndMs = 0
  #allTookMs = 0

  constructor(state: EngineState) {
    this.#state = state
  }

  /** A dump is under way, or compared with the picture before: what is told meanwhile comes after it. */
  get dumping(): boolean {
    return this.#dumping
  }

  /** With hundreds of thousands of foreign routes a comparison takes seconds: it may cost a hundredth of the time, and ours alone are cheap. */
  get isAllDue(): boolean {
    return performance.now() - this.#allEndMs >= this.#allTookMs * COMPARE_SHARE
  }

  async readOurs(): Promise<void> {
    this.#dumping = true
    try {
      await this.#read('ours', null)
    } finally {
      this.#dumping = false
    }
  }

  /** True where the picture of the others changed. */
  async readAll(): Promise<boolean> {
    const { actual } = this.#state
    const startMs = performance.now()
    let came = 0
    this.#dumping = true
    try {
      actual.beginDump()
      await this.#read('all', (route) => {
        if (actual.add(route)) came++
      })
      // What is told until here is told again after what came during the dump: the other way round the older would have the last word.
      const gone = await actual.endDump(nextTurn)
      this.#allEndMs = performance.now()
      this.#allTookMs = this.#allEndMs - startMs
      return came + gone > 0
    } finally {
      this.#dumping = false
    }
  }

  /** `foreign` null: those of others are passed over. */
  async #read(scope: DumpScope, foreign: ((route: KernelRoute) => void) | null): Promise<void> {
    const state = this.#state
    const { table, protocol, driver } = state.options
    try {
      await driver.dump((route) => {
        const taken = state.isTaken(route)
        if (route.protocol !== protocol && !taken) foreign?.(route)
        // Routes of ours in another table (an earlier configuration) are nobody's next hop and not ours to clean up.
        else if (route.table === table && !(taken && foreign === null)) {
          const cell = state.cells.obtain(route.prefix)
          const found = taken ? { ...route, takenOver: true as const } : route
          cell.found = cell.found.length === 0 ? [found] : [...cell.found, found]
        }
      }, scope)
    } catch (error) {
      for (const cell of state.cells.values()) cell.found = NO_ROUTES
      throw error
    }
    let looked = 0
    for (const cell of state.cells.values()) {
      if (++looked % SLICE === 0) await nextTurn()
      // A dump of ours does not show them.
      const taken = foreign === null && state.takes ? cell.ours.filter(isTaken) : NO_ROUTES
      cell.ours = cell.found
      if (taken.length > 0) cell.ours = [...cell.ours, ...taken]
      cell.found = NO_ROUTES
    }
  }
}

const COMPARE_SHARE = 100
/** Prefixes between two turns of the event loop. */
const SLICE = 5000
