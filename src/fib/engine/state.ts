/**
 * What the engine's parts share: the options, the pictures of what is wanted and what is there, and in which phase we are.
 */
import { randomInt } from 'node:crypto'
import { Family } from '../../net/family.js'
import { PrefixTable } from '../../rib/prefix-table.js'
import { ActualTable } from '../actual.js'
import type { FibDriver, FibFact } from '../driver.js'
import type { Encapsulator } from '../encap/types.js'
import { isTakeable, leftToFelix } from '../ownership.js'
import type { HopRules, Resolution } from '../resolve.js'
import type { DesiredRoute, KernelRoute } from '../types.js'
import { Cells } from './cells.js'
import { type WaySource, Ways } from './ways.js'

export interface EngineOptions {
  readonly name: 'netlink' | 'iproute2' | 'memory'
  /** Why this driver, in words for an operator. */
  readonly why: string
  readonly driver: FibDriver
  readonly table: number
  readonly protocol: number
  /** Protocols whose routes in the table become ours at the start. */
  readonly takeOver?: readonly number[]
  readonly rules: HopRules
  readonly resolve: (nextHop: string, actual: ActualTable) => Resolution
  /** Tunnel devices and far nodes; null: no tunnels. */
  readonly tunnel: Encapsulator | null
  readonly log: (fact: FibFact) => void
  /** Taken before anything is read; rejects with a FibError where somebody else has it. Resolves with what gives it back. */
  readonly lock?: () => Promise<() => Promise<void>>
  /** IPv4 prefixes of the RIB: then they can be named by their ids in it (`setId`). */
  readonly prefixes?: PrefixTable
  /** Most prefixes planned and written in one go: 1000. */
  readonly batch?: number
  /** Pause where the driver loses changes twice in a row; 500. */
  readonly lostDelayMs?: number
}

export class EngineState implements WaySource {
  readonly options: EngineOptions
  readonly actual: ActualTable
  readonly cells: Cells
  readonly ways: Ways
  rules: HopRules
  phase: 'new' | 'running' | 'stopped' = 'new'
  /** Adopted routes that nobody confirmed go. */
  swept = false
  /** By command: nothing of ours is to be there. */
  flushed = false

  constructor(options: EngineOptions) {
    this.options = options
    this.cells = new Cells(options.prefixes ?? new PrefixTable(Family.IPV4_UNICAST, randomInt(2 ** 32)))
    this.rules = options.rules
    this.actual = new ActualTable(options.table)
    this.ways = new Ways(this)
  }

  wanted(prefix: string): DesiredRoute | undefined {
    const cell = this.cells.get(prefix)
    if (cell === undefined || cell.desired === null) return undefined
    return leftToFelix(cell, cell.desired, this.rules) === '' ? cell.desired : undefined
  }

  resolveForeign(nextHop: string): Resolution {
    return this.options.resolve(nextHop, this.actual)
  }

  /** Routes of other protocols are taken over. */
  get takes(): boolean {
    return (this.options.takeOver?.length ?? 0) > 0
  }

  /** At the start all of the protocols are taken over, later only those that were. */
  isTaken(route: KernelRoute): boolean {
    const { takeOver, table } = this.options
    if (takeOver === undefined || !isTakeable(route, takeOver, table)) return false
    return this.phase === 'new' || this.cells.get(route.prefix)?.taken(route) === true
  }

  trouble(reason: string): void {
    this.options.log({ event: 'fib-trouble', fields: { reason } })
  }
}
