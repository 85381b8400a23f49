/**
 * The FIB's engine: keeps a driver's table equal to the routes that are wanted. Single-minded loop: dump when something may have changed, plan
 * the prefixes that are marked, apply, and again until nothing is left to do. Dumps and changes never overlap, so the picture is exact between them; while
 * the driver works on one batch, the next one is planned.
 *
 * What others do comes as events. Those that carry the route bring the picture up to date at once. Where our own routes are concerned a dump of them
 * follows all the same: an event may have been under way while we wrote that route ourselves.
 */
import { randomInt } from 'node:crypto'
import { parseAddress } from '../net/address.js'
import { addressInPrefix, parsePrefix } from '../net/prefix.js'
import { ActualTable } from './actual.js'
import {
  DONE,
  type DumpScope,
  type FibChange,
  type FibDriver,
  type FibFact,
  type FibOperation,
  type FibOutcome,
  type FibTrigger,
} from './driver.js'
import type { Encapsulator, FarNode, OwnVtep } from './encap/types.js'
import { isTakeable, leftToFelix } from './ownership.js'
import {
  applyTo,
  isSameHop,
  isSameRoute,
  isTaken,
  NO_ROUTES,
  type OurRoute,
  type PrefixPlan,
  planRoutes,
} from './plan.js'
import { PrefixMap } from './prefix-map.js'
import { protocolName } from './protocols.js'
import { LearnedRoutes } from './recursion.js'
import { formatHops, type HopRules, isLocalAddress, planRoute, type Resolution } from './resolve.js'
import type { DesiredRoute, Fib, FibEntry, FibRouteState, KernelRoute, PlannedRoute } from './types.js'

export interface EngineOptions {
  readonly name: 'netlink' | 'iproute2' | 'memory'
  /** Why this driver, for the log. */
  readonly why?: string
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
  /** Most prefixes planned and written in one go: 1000. */
  readonly batch?: number
  /** Pause where the driver loses changes twice in a row; 500. */
  readonly lostDelayMs?: number
}

export class FibEngine implements Fib {
  readonly driver: 'netlink' | 'iproute2' | 'memory'
  readonly #options: EngineOptions
  #rules: HopRules
  readonly #actual: ActualTable
  /** By prefix: what is wanted, and what there is of ours. One look-up for each change; with a map for each of the two and for the marks it took 3.5 µs a route. */
  readonly #cells = new PrefixMap<Cell>(randomInt(2 ** 32))
  /** Cells that are marked, in order of age. */
  #queue: Cell[] = []
  #queueAt = 0
  #sets = 0
  #adopted = 0
  #swept = false
  /** By command: nothing of ours is to be there. */
  #flushed = false
  readonly #resolved = new Map<string, Resolution>()
  readonly #learned = new LearnedRoutes((prefix) => {
    const desired = this.#cells.get(prefix)?.desired ?? undefined
    return desired === undefined || leftToFelix(desired, this.#rules) !== '' ? undefined : desired
  })
  /** A wanted route that may be on the way to next hops came, changed or went. */
  #waysChanged = false
  /** More next hops than are kept: nobody knows which of them changed. */
  #tooMany = false
  readonly #listeners: (() => void)[] = []
  #waiters: { readonly upTo: number; readonly resolve: () => void }[] = []
  #unlock: (() => Promise<void>) | null = null
  #phase: 'new' | 'running' | 'stopped' = 'new'
  #loop: Promise<void> | null = null
  /** What has to be looked at before anything else is written. */
  #look: Look = Look.NONE
  #timer: NodeJS.Timeout | null = null
  #timerDueMs = 0
  #timerLook: Look = Look.NONE
  /** A dump is under way: what is told meanwhile comes after it. */
  #dumping = false
  #dumps = 0
  #missed: FibChange[] = []
  /** Prefixes of foreign routes that came or went; looked at together. */
  readonly #foreignChanged = new Set<string>()
  #foreignTimer: NodeJS.Timeout | null = null
  #lastDumpEndMs = 0
  #lastDumpTookMs = 0
  /** Of the last dump of all tables. */
  #allEndMs = 0
  #allTookMs = 0
  #lastRetryMs = 0
  readonly #maxBatch: number
  #batchLimit: number
  #inFlight: Batch | null = null
  #lostInARow = 0
  /** Not told yet. */
  #repaired = 0
  #toldRepairMs = Number.NEGATIVE_INFINITY

  constructor(options: EngineOptions) {
    this.driver = options.name
    this.#options = options
    this.#rules = options.rules
    this.#maxBatch = options.batch ?? MAX_BATCH
    this.#batchLimit = this.#maxBatch
    this.#actual = new ActualTable(options.table)
  }

  async start(): Promise<void> {
    this.#unlock = (await this.#options.lock?.()) ?? null
    try {
      await this.#open()
    } catch (error) {
      await this.#unlock?.()
      throw error
    }
  }

  async #open(): Promise<void> {
    await this.#options.driver.open((trigger) => this.#onTrigger(trigger))
    try {
      await this.#options.tunnel?.keep(true, this.#rules)
      await this.#readAll()
    } catch (error) {
      await this.#options.tunnel?.close()
      await this.#options.driver.close()
      throw error
    }
    let adopted = 0
    for (const cell of this.#cells.values()) {
      if (cell.ours.length === 0) continue
      adopted++
      cell.inherited = true
      if (cell.desired === null) this.#adopt(cell, true)
    }
    this.#phase = 'running'
    this.#options.log({ event: 'fib-start', fields: { driver: this.driver, why: this.#options.why ?? '', adopted } })
    if (this.#swept) this.sweepAdopted()
    // Changes between the dump and the first event of the monitor would go unseen.
    if (this.driver === 'iproute2') this.#lookIn(Look.ALL, FIRST_LOOK_MS)
    this.#replayMissed()
    this.#wake()
    this.#tellListeners()
  }

  set(prefix: string, route: DesiredRoute | null): void {
    const cell = this.#cell(prefix)
    this.#adopt(cell, false)
    const family = route?.family ?? cell.desired?.family
    if (family !== undefined) {
      const by = Number(route !== null) - Number(cell.desired !== null)
      if (this.#learned.change(family, prefix, by)) this.#waysChanged = true
    }
    if (cell.desired === null || route === null) cell.forget()
    if (route === null) cell.inherited = false
    cell.desired = route
    cell.tries = 0
    this.#mark(cell, ++this.#sets)
    this.#wake()
  }

  sweepAdopted(): void {
    this.#swept = true
    if (this.#phase !== 'running') return
    this.#options.log({ event: 'fib-swept', fields: { removed: this.#adopted } })
    for (const cell of this.#cells.values()) {
      if (!cell.adopted && !cell.inherited) continue
      cell.inherited = false
      this.#adopt(cell, false)
      this.#mark(cell, ++this.#sets)
    }
    this.#wake()
  }

  get flushed(): boolean {
    return this.#flushed
  }

  async flush(): Promise<number> {
    if (this.#phase !== 'running') return 0
    const before = this.#countOurs()
    this.#flushed = true
    for (const cell of this.#cells.values()) {
      cell.inherited = false
      this.#adopt(cell, false)
    }
    this.#markAll()
    this.#look = Look.SLOW
    this.#wake()
    await withLimit(this.settled(), FLUSH_LIMIT_MS)
    const left = this.#countOurs()
    if (left > 0)
      this.#trouble(`${left} of our routes could not be removed; see 'ip route show proto ${this.#options.protocol}'`)
    return Math.max(0, before - left)
  }

  restore(): void {
    this.#flushed = false
    this.#markAll()
    this.#look = Look.SLOW
    this.#wake()
  }

  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ upTo: this.#sets, resolve })
      this.#tellWaiters()
    })
  }

  onForeignRoutesChanged(listener: () => void): void {
    this.#listeners.push(listener)
  }

  resolve = (nextHop: string): number => this.#resolution(nextHop).metric

  readonly #resolver = (nextHop: string): Resolution => this.#resolution(nextHop)

  foreignRoutes(): readonly KernelRoute[] {
    return this.#actual.foreignRoutes()
  }

  entries(): readonly FibEntry[] {
    const wanted: FibEntry[] = []
    const adopted: FibEntry[] = []
    for (const cell of this.#cells.values()) {
      const entry = entryOf(cell)
      if (entry !== undefined) (cell.adopted ? adopted : wanted).push(entry)
    }
    return [...wanted, ...adopted]
  }

  entry(prefix: string): FibEntry | undefined {
    const cell = this.#cells.get(prefix)
    return cell === undefined ? undefined : entryOf(cell)
  }

  reconfigure(rules: HopRules): void {
    // Without devices (memory) there is nothing to tunnel through.
    this.#rules = this.driver === 'memory' ? { ...rules, encapsulation: 'never' } : rules
    this.#resolved.clear()
    this.#learned.forget()
    this.#markAll()
    this.#look = Look.SLOW
    this.#wake()
  }

  ownVtep(): OwnVtep | null {
    return this.#options.tunnel?.ownVtep() ?? null
  }

  async stop(mode: 'keep' | 'flush'): Promise<void> {
    if (mode === 'flush') await this.flush()
    const wasRunning = this.#phase === 'running'
    this.#phase = 'stopped'
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#foreignTimer !== null) clearTimeout(this.#foreignTimer)
    this.#foreignTimer = null
    await this.#loop
    if (wasRunning) {
      await this.#options.tunnel?.close()
      await this.#options.driver.close()
      await this.#unlock?.()
    }
    for (const waiter of this.#waiters.splice(0)) waiter.resolve()
  }

  // --- the loop

  #wake(): void {
    if (this.#phase !== 'running' || this.#loop !== null) return
    this.#loop = this.#run().finally(() => {
      this.#loop = null
      this.#tellWaiters()
      // Something may have come in between the last look and here.
      if (this.#hasWork()) this.#wake()
    })
  }

  async #run(): Promise<void> {
    await nextTurn()
    while (this.#hasWork()) {
      if (this.#look !== Look.NONE) {
        await this.#finish()
        if (!(await this.#lookNow())) await delay(DUMP_RETRY_MS)
      } else await this.#applySome()
      this.#tellWaiters()
    }
    await this.#finish()
  }

  #hasWork(): boolean {
    return (
      this.#phase === 'running' &&
      (this.#look !== Look.NONE || this.#queueAt < this.#queue.length || this.#inFlight !== null)
    )
  }

  /** Plans a batch while the one before is under way, and starts it as soon as that one is done. */
  async #applySome(): Promise<void> {
    if (this.#waysChanged) this.#lookAgain()
    const batch = this.#nextBatch()
    const before = this.#inFlight
    if (batch.operations.length === 0) {
      await this.#options.tunnel?.prepare()
      if (before !== null) {
        await this.#finish()
        return
      }
      await this.#tidyTunnels()
      // Many prefixes without anything to do (all are looked at when foreign routes change) must not hold the event loop.
      if (batch.looked >= this.#maxBatch) await nextTurn()
      return
    }
    const outcomes = await before?.outcomes
    await this.#options.tunnel?.prepare()
    this.#inFlight = { ...batch, outcomes: this.#options.driver.apply(batch.operations) }
    if (before !== null) this.#takeAll(before, outcomes!)
    if (this.#lostInARow > 0) await this.#finish()
    else await nextTurn()
  }

  async #finish(): Promise<void> {
    const batch = this.#inFlight
    if (batch === null) return
    const outcomes = await batch.outcomes
    this.#inFlight = null
    this.#takeAll(batch, outcomes)
    await this.#tidyTunnels()
    if (this.#lostInARow > 1) await delay(this.#options.lostDelayMs ?? LOST_DELAY_MS)
  }

  /** Only while nothing is under way: the routes that led to what goes are gone. */
  async #tidyTunnels(): Promise<void> {
    await this.#options.tunnel?.tidy(this.#swept && this.#queueAt === this.#queue.length)
  }

  #nextBatch(): Planned {
    const operations: FibOperation[] = []
    const cells: Cell[] = []
    const marks: number[] = []
    const busy: Cell[] = []
    let looked = 0
    let oldest = Number.POSITIVE_INFINITY
    while (looked < this.#maxBatch && operations.length < this.#batchLimit && this.#queueAt < this.#queue.length) {
      const cell = this.#queue[this.#queueAt++]!
      // What becomes of it now decides what is next.
      if (cell.busy) {
        busy.push(cell)
        continue
      }
      looked++
      const { mark } = cell
      cell.mark = UNMARKED
      const before = operations.length
      for (const operation of this.#judge(cell)) operations.push(operation)
      for (let i = before; i < operations.length; i++) {
        cells.push(cell)
        marks.push(mark)
      }
      if (operations.length === before) this.#dropIfEmpty(cell)
      else if (mark < oldest) oldest = mark
    }
    for (const cell of cells) cell.busy = true
    this.#tidyQueue(busy)
    return { operations, cells, marks, looked, oldest }
  }

  /** What was taken goes from the front now and then; what was passed over comes first. */
  #tidyQueue(again: readonly Cell[]): void {
    if (again.length > 0 || this.#queueAt === this.#queue.length || this.#queueAt > MAX_TAKEN) {
      this.#queue = [...again, ...this.#queue.slice(this.#queueAt)]
      this.#queueAt = 0
    }
  }

  #takeAll({ operations, cells, marks }: Planned, outcomes: readonly FibOutcome[]): void {
    let lost = false
    for (const cell of cells) cell.busy = false
    for (let index = 0; index < operations.length; index++) {
      const outcome = outcomes[index] ?? DONE
      if (outcome.type === 'lost') lost = true
      this.#take(cells[index]!, operations[index]!, outcome, marks[index]!, operations.length === 1)
    }
    if (!lost) {
      this.#lostInARow = 0
      this.#batchLimit = Math.min(this.#maxBatch, this.#batchLimit * 2)
      return
    }
    // One at a time until it goes well again: should one line have ended the driver, it is found.
    this.#batchLimit = 1
    this.#look = Look.SLOW
    this.#lostInARow++
  }

  /** Next hops may be reached another way, through routes that were learned: those that are make their routes be judged again. */
  #lookAgain(): void {
    this.#waysChanged = false
    if (this.#tooMany) {
      this.#tooMany = false
      this.#resolved.clear()
      this.#markAll()
      this.#tellListeners()
      return
    }
    const before = [...this.#resolved]
    this.#resolved.clear()
    const changed = new Set<string>()
    for (const [nextHop, old] of before) if (!isSameResolution(old, this.#resolution(nextHop))) changed.add(nextHop)
    if (changed.size === 0) return
    for (const cell of this.#cells.values())
      if (cell.desired?.nextHops.some((nextHop) => changed.has(nextHop)) === true) this.#mark(cell, this.#sets)
    this.#tellListeners()
  }

  /** What is to be done for a prefix, and its state as far as it is known without doing it. */
  #judge(cell: Cell): readonly FibOperation[] {
    const { desired } = cell
    const { tunnel } = this.#options
    if (desired === null || this.#flushed) tunnel?.want(cell.prefix, NO_FAR_NODES)
    if (desired === null) return this.#plan(cell, null).operations
    if (this.#flushed) {
      cell.planned = null
      this.#change(cell, 'pending', FLUSHED)
      return this.#plan(cell, null).operations
    }
    const left = leftToFelix(desired, this.#rules)
    if (left !== '') {
      cell.planned = null
      tunnel?.want(cell.prefix, NO_FAR_NODES)
      this.#change(cell, 'left', left)
      return this.#plan(cell, null).operations
    }
    const route = this.#withSource(planRoute(desired, this.#rules, this.#resolver))
    tunnel?.want(cell.prefix, typeof route === 'string' ? NO_FAR_NODES : (route.far ?? NO_FAR_NODES))
    if (typeof route === 'string') {
      cell.planned = null
      // The route that its next hop is reached by may come in a moment.
      if (cell.inherited) {
        this.#change(cell, 'unresolved', `${route}; what was found at the start stays until the sweep`)
        return []
      }
      this.#change(cell, 'unresolved', route)
      return this.#plan(cell, null).operations
    }
    cell.planned = route
    const { operations, conflict } = this.#plan(cell, route)
    // What was lost may have been done all the same.
    if (cell.tries >= MAX_TRIES && conflict === null && operations.length > 0) {
      this.#change(cell, 'failed', cell.reason)
      return []
    }
    if (conflict !== null) {
      cell.tries = 0
      this.#change(cell, 'conflict', describeForeign(conflict))
    } else if (operations.length === 0 || isLeft(cell, route, operations)) this.#installed(cell, route)
    else this.#change(cell, 'pending', '')
    return operations
  }

  #take(cell: Cell, operation: FibOperation, outcome: FibOutcome, mark: number, alone: boolean): void {
    const isWanted = cell.desired !== null
    switch (outcome.type) {
      case 'done':
        cell.ours = applyTo(cell.ours, operation)
        if (!isWanted) {
          this.#dropIfEmpty(cell)
          break
        }
        cell.tries = 0
        if (cell.planned === operation.route) this.#installed(cell, operation.route)
        if (cell.state !== 'unresolved' && cell.state !== 'conflict') this.#markIfUnequal(cell, mark)
        break
      case 'exists':
        // Who has it, the dump will tell.
        this.#ask(Look.ALL)
        if (!isWanted) break
        cell.tries++
        cell.reason = 'the kernel says that a route of this prefix and metric is there, and does not show it'
        this.#mark(cell, mark)
        break
      case 'refused':
        if (isWanted && operation.type !== 'delete') this.#change(cell, 'failed', outcome.words)
        else this.#trouble(`cannot remove ${operation.route.prefix}: ${outcome.words}`)
        break
      default:
        if (isWanted && alone) {
          cell.tries++
          cell.reason = outcome.words
        }
        this.#mark(cell, mark)
    }
  }

  /** Looks at what was asked for. False where the tables cannot be read now. */
  async #lookNow(): Promise<boolean> {
    const look = this.#look
    this.#look = Look.NONE
    await this.#options.tunnel?.keep(false, this.#rules)
    return look === Look.DEVICES || (await this.#resync(look))
  }

  /** Reads all tables: ours into the cells, the others into their picture. True where that changed. */
  async #readAll(): Promise<boolean> {
    const startMs = performance.now()
    let came = 0
    this.#actual.beginDump()
    await this.#read('all', (route) => {
      if (this.#actual.add(route)) came++
    })
    const gone = await this.#actual.endDump(nextTurn)
    this.#allEndMs = performance.now()
    this.#allTookMs = this.#allEndMs - startMs
    return came + gone > 0
  }

  /** `foreign` null: those of others are passed over. */
  async #read(scope: DumpScope, foreign: ((route: KernelRoute) => void) | null): Promise<void> {
    const { table, protocol, driver } = this.#options
    const dump = ++this.#dumps
    this.#dumping = true
    try {
      await driver.dump((route) => {
        const taken = this.#isTaken(route)
        if (route.protocol !== protocol && !taken) foreign?.(route)
        // Routes of ours in another table (an earlier configuration) are nobody's next hop and not ours to clean up.
        else if (route.table === table && !(taken && foreign === null)) {
          const cell = this.#cell(route.prefix)
          const found = taken ? { ...route, takenOver: true as const } : route
          if (cell.dump !== dump) cell.found = [found]
          else cell.found = [...cell.found, found]
          cell.dump = dump
        }
      }, scope)
    } finally {
      this.#dumping = false
    }
    for (const cell of this.#cells.values()) {
      // A dump of ours does not show them.
      const taken = foreign === null && this.#takes ? cell.ours.filter(isTaken) : NO_ROUTES
      cell.ours = cell.dump === dump ? cell.found : NO_ROUTES
      if (taken.length > 0) cell.ours = [...cell.ours, ...taken]
      cell.found = NO_ROUTES
    }
  }

  get #takes(): boolean {
    return (this.#options.takeOver?.length ?? 0) > 0
  }

  /** At the start all of the protocols are taken over, later only those that were. */
  #isTaken(route: KernelRoute): boolean {
    const { takeOver, table } = this.#options
    if (takeOver === undefined || !isTakeable(route, takeOver, table)) return false
    return this.#phase === 'new' || this.#cells.get(route.prefix)?.taken(route) === true
  }

  /** Reads the tables again and marks what differs. False where they cannot be read now. */
  async #resync(look: Look): Promise<boolean> {
    const startMs = performance.now()
    const slow = look === Look.SLOW
    let foreignChanged = false
    try {
      if (look === Look.OURS) await this.#read('ours', null)
      else {
        foreignChanged = await this.#readAll()
      }
      this.#replayMissed()
    } catch (error) {
      this.#ask(look)
      this.#trouble(`cannot read the kernel's routes: ${(error as Error).message}`)
      this.#replayMissed()
      return false
    }
    if (foreignChanged) {
      this.#resolved.clear()
      this.#learned.forget()
    }
    const retry = slow || foreignChanged || startMs - this.#lastRetryMs > RETRY_MS
    if (retry) this.#lastRetryMs = startMs
    let repaired = 0
    let sample = ''
    let count = 0
    for (const cell of this.#cells.values()) {
      if (++count % SLICE === 0) await nextTurn()
      if (cell.mark !== UNMARKED) continue
      if (cell.desired === null) this.#judgeUnwanted(cell)
      else if (this.#flushed) {
        if (cell.ours.length > 0) this.#mark(cell, 0)
      } else if (cell.state === 'installed' && cell.planned !== null && !isInPlace(cell, this.#actual)) {
        sample = cell.prefix
        repaired++
        this.#mark(cell, 0)
      } else if (foreignChanged || cell.state === 'conflict' || (retry && cell.state === 'failed')) {
        if (cell.state === 'failed') cell.tries = 0
        this.#mark(cell, 0)
      } else if (cell.state === 'installed') this.#markIfUnequal(cell, 0)
    }
    if (repaired > 0) this.#tellRepair(sample, repaired)
    this.#lastDumpEndMs = performance.now()
    this.#lastDumpTookMs = this.#lastDumpEndMs - startMs
    if (foreignChanged) this.#tellListeners()
    return true
  }

  // --- helpers

  #cell(prefix: string): Cell {
    return this.#cells.obtain(prefix, makeCell)
  }

  #dropIfEmpty(cell: Cell): void {
    if (cell.desired !== null || cell.ours.length > 0 || cell.mark !== UNMARKED || cell.busy) return
    this.#adopt(cell, false)
    this.#cells.delete(cell.prefix)
  }

  /** The kernel would refuse a source address that this node does not have. */
  #withSource(route: PlannedRoute | string): PlannedRoute | string {
    if (typeof route === 'string' || route.source === undefined || this.driver === 'memory') return route
    return isLocalAddress(route.source, this.#actual)
      ? route
      : `source address ${route.source} is not an address of this node: add it, or change fib.sourceAddress`
  }

  #adopt(cell: Cell, adopted: boolean): void {
    if (cell.adopted === adopted) return
    cell.adopted = adopted
    this.#adopted += adopted ? 1 : -1
  }

  /** A route of ours that nobody wants: kept for who may want it, until the sweep. */
  #judgeUnwanted(cell: Cell): void {
    if (cell.ours.length === 0) this.#dropIfEmpty(cell)
    else if (this.#swept || this.#flushed) this.#mark(cell, 0)
    else this.#adopt(cell, true)
  }

  #countOurs(): number {
    let count = 0
    for (const cell of this.#cells.values()) if (cell.ours.length > 0) count++
    return count
  }

  #plan(cell: Cell, wanted: PlannedRoute | null): PrefixPlan {
    return planRoutes(cell.ours, wanted, this.#actual)
  }

  #markIfUnequal(cell: Cell, mark: number): void {
    if (cell.planned === null) return
    if (this.#plan(cell, cell.planned).operations.length > 0) this.#mark(cell, mark)
  }

  #mark(cell: Cell, mark: number): void {
    if (cell.mark === UNMARKED) this.#queue.push(cell)
    else if (cell.mark <= mark) return
    cell.mark = mark
  }

  #markAll(): void {
    for (const cell of this.#cells.values()) {
      // What failed before may go now.
      cell.tries = 0
      this.#mark(cell, ++this.#sets)
    }
  }

  #installed(cell: Cell, { prefix, metric }: PlannedRoute): void {
    cell.inherited = false
    const before = this.#actual.foreignBefore(prefix, metric)
    this.#change(cell, 'installed', before === undefined ? '' : `${describeForeign(before)}; it takes the traffic`)
  }

  #change(cell: Cell, state: FibRouteState, reason: string): void {
    cell.state = state
    cell.reason = reason
    if (state === 'installed' && reason === '') cell.told = ''
    // One that is installed and has a reason stands in the shadow of a foreign one.
    const isConflict = state === 'conflict' || (state === 'installed' && reason !== '')
    if (!isConflict && state !== 'failed') return
    // Once per trouble, however often it is tried again.
    if (cell.told === reason) return
    cell.told = reason
    this.#options.log({ event: isConflict ? 'fib-conflict' : 'fib-failed', fields: { prefix: cell.prefix, reason } })
  }

  /** Somebody who does it again and again is told of now and then. */
  #tellRepair(sample: string, count: number): void {
    this.#repaired += count
    const nowMs = performance.now()
    if (nowMs - this.#toldRepairMs < REPAIR_LOG_MS) return
    this.#toldRepairMs = nowMs
    const others = this.#repaired > 1 ? ` and ${this.#repaired - 1} more` : ''
    this.#repaired = 0
    const text = `kernel routes were changed by somebody else: ${sample}${others}; putting them back`
    this.#options.log({ event: 'notice', fields: { text } })
  }

  #resolution(nextHop: string): Resolution {
    let known = this.#resolved.get(nextHop)
    if (known === undefined) {
      if (this.#resolved.size >= MAX_RESOLVED) {
        this.#resolved.clear()
        this.#tooMany = true
      }
      known = this.#learned.resolve(nextHop, this.#rules, (asked) => this.#options.resolve(asked, this.#actual))
      this.#resolved.set(nextHop, known)
    }
    return known
  }

  #onTrigger(trigger: FibTrigger): void {
    if (typeof trigger === 'object') {
      this.#onChange(trigger)
      return
    }
    if (trigger === 'slow') {
      // With hundreds of thousands of foreign routes a comparison takes seconds: it may cost a hundredth of the time, and ours alone are cheap.
      const isDue = performance.now() - this.#allEndMs >= this.#allTookMs * COMPARE_SHARE
      this.#ask(isDue ? Look.SLOW : Look.OURS)
      this.#wake()
      return
    }
    this.#lookSoon(trigger === 'event' ? Look.ALL : trigger === 'ours' ? Look.OURS : Look.DEVICES)
  }

  #ask(look: Look): void {
    if (look > this.#look) this.#look = look
  }

  /** Between dumps there is a rest that grows with their length: somebody may change routes all the time, and `ip monitor` tells of our own too. */
  #lookSoon(look: Look): void {
    const restMs = this.#lastDumpEndMs + Math.min(MAX_REST_MS, this.#lastDumpTookMs * 4) - performance.now()
    this.#lookIn(look, Math.max(DEBOUNCE_MS, restMs))
  }

  #lookIn(look: Look, ms: number): void {
    if (this.#phase === 'stopped') return
    if (look > this.#timerLook) this.#timerLook = look
    const dueMs = performance.now() + ms
    if (this.#timer !== null) {
      if (this.#timerDueMs <= dueMs) return
      clearTimeout(this.#timer)
    }
    this.#timerDueMs = dueMs
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#ask(this.#timerLook)
      this.#timerLook = Look.NONE
      this.#wake()
    }, ms)
  }

  // --- what others do

  #onChange(change: FibChange): void {
    if (this.#phase === 'stopped') return
    if (this.#dumping || this.#phase === 'new') {
      if (this.#missed.length < MAX_MISSED) this.#missed.push(change)
      else this.#lookSoon(Look.ALL)
      return
    }
    const { type, replaces, route } = change
    const { table, protocol } = this.#options
    const isOurs = route.protocol === protocol
    if (isOurs && route.table !== table) return
    if (!isOurs && this.#takes && this.#cells.get(route.prefix)?.taken(route) === true) {
      const cell = this.#cells.get(route.prefix)!
      const rest = cell.ours.filter((one) => !isTaken(one) || !isSameRoute(one, route))
      if (type === 'put' && rest.length < cell.ours.length) return
      if (type === 'gone') {
        cell.ours = rest
        this.#touched(cell)
        return
      }
    }
    let foreign = false
    if (type === 'put' && replaces) {
      // One of the same prefix and metric had to give way.
      const cell = route.table === table ? this.#cells.get(route.prefix) : undefined
      const rest = cell?.ours.filter((one) => one.metric !== route.metric)
      if (cell !== undefined && rest!.length < cell.ours.length) {
        cell.ours = rest!
        if (!isOurs) this.#touched(cell)
      } else foreign = this.#actual.removeReplaced(route)
    }
    if (isOurs) {
      const cell = this.#cell(route.prefix)
      const others = cell.ours.filter((one) => !isSameRoute(one, route))
      cell.ours = type === 'put' ? [...others, route] : others
      this.#touched(cell)
    } else foreign = (type === 'put' ? this.#actual.add(route) : this.#actual.remove(route)) || foreign
    if (foreign) this.#foreignSoon(route.prefix)
  }

  /** The dump may have it already: a change that is taken twice changes nothing, and the last word is the kernel's last. */
  #replayMissed(): void {
    for (const change of this.#missed.splice(0)) this.#onChange(change)
  }

  /** Somebody changed a route of ours. */
  #touched(cell: Cell): void {
    this.#lookSoon(Look.OURS)
    if (this.#flushed) this.#mark(cell, 0)
    else if (cell.desired === null) this.#judgeUnwanted(cell)
    else if (cell.state === 'installed' && cell.planned !== null) {
      if (!isInPlace(cell, this.#actual)) {
        this.#tellRepair(cell.prefix, 1)
        this.#mark(cell, 0)
      } else this.#markIfUnequal(cell, 0)
    }
    this.#wake()
  }

  #foreignSoon(prefix: string): void {
    this.#foreignChanged.add(prefix)
    if (this.#foreignTimer !== null) return
    this.#foreignTimer = setTimeout(() => {
      this.#foreignTimer = null
      this.#lookAtForeign()
    }, FOREIGN_MS)
  }

  /** Foreign routes came or went: routes of the same prefixes, and all where a next hop may have another way now. */
  #lookAtForeign(): void {
    const prefixes = [...this.#foreignChanged]
    this.#foreignChanged.clear()
    if (prefixes.length > MAX_FOREIGN || this.#leadsToNextHop(prefixes)) {
      this.#resolved.clear()
      for (const cell of this.#cells.values()) {
        if (cell.desired === null) continue
        if (cell.state === 'failed') cell.tries = 0
        this.#mark(cell, 0)
      }
    } else {
      for (const prefix of prefixes) {
        const cell = this.#cells.get(prefix)
        if (cell !== undefined && cell.desired !== null) this.#mark(cell, 0)
      }
    }
    this.#wake()
    this.#tellListeners()
  }

  /** Or to a source address, which may be the node's now, or not any more. */
  #leadsToNextHop(prefixes: readonly string[]): boolean {
    const parsed = prefixes.map((prefix) => parsePrefix(prefix))
    const sources = this.#rules.sources.filter((source) => source !== null)
    for (const text of [...this.#resolved.keys(), ...sources]) {
      const address = addressOf(text)
      if (address === null || parsed.some((prefix) => addressInPrefix(address, prefix))) return true
    }
    return false
  }

  #tellListeners(): void {
    for (const listener of this.#listeners) listener()
  }

  #tellWaiters(): void {
    if (this.#waiters.length === 0 || this.#phase === 'new' || this.#look > Look.DEVICES) return
    this.#waiters = this.#waiters.filter((waiter) => {
      if (this.#isUnder(waiter.upTo)) return true
      waiter.resolve()
      return false
    })
  }

  /** Something that was set then is not done yet. */
  #isUnder(upTo: number): boolean {
    if (this.#inFlight !== null && this.#inFlight.oldest <= upTo) return true
    for (let at = this.#queueAt; at < this.#queue.length; at++) if (this.#queue[at]!.mark <= upTo) return true
    return false
  }

  #trouble(reason: string): void {
    this.#options.log({ event: 'fib-trouble', fields: { reason } })
  }
}

/** What to look at; the more, the higher. */
const Look = Object.freeze({ NONE: 0, DEVICES: 1, OURS: 2, ALL: 3, SLOW: 4 } as const)
type Look = (typeof Look)[keyof typeof Look]

interface Planned {
  readonly operations: readonly FibOperation[]
  /** Per operation: its cell, and the mark that it came from. */
  readonly cells: readonly Cell[]
  readonly marks: readonly number[]
  /** Prefixes looked at, also those without an operation. */
  readonly looked: number
  /** Oldest of the marks. */
  readonly oldest: number
}
interface Batch extends Planned {
  readonly outcomes: Promise<readonly FibOutcome[]>
}

function isSameResolution(a: Resolution, b: Resolution): boolean {
  if (a.metric !== b.metric || a.reason !== b.reason || a.connected !== b.connected) return false
  return a.hops.length === b.hops.length && a.hops.every((hop, index) => isSameHop(hop, b.hops[index]!))
}

/** All about one prefix. */
const makeCell = (prefix: string): Cell => new Cell(prefix)

class Cell {
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

function entryOf({ prefix, desired, planned, state, reason, adopted, ours }: Cell): FibEntry | undefined {
  if (desired !== null) return { prefix, state, hops: planned?.hops ?? [], kind: desired.kind, reason }
  if (!adopted) return undefined
  const route = ours[0]
  const kind = route?.kind === 'blackhole' ? 'blackhole' : 'unicast'
  return { prefix, state: 'adopted', hops: route?.hops ?? [], kind, reason: UNCONFIRMED }
}

/** The route that was planned is there, whatever else is. */
function isInPlace(cell: Cell, actual: ActualTable): boolean {
  const { planned, ours } = cell
  return planned !== null && isLeft(cell, planned, planRoutes(ours, planned, actual).operations)
}

/** The route is there, and the operations do not concern it. */
function isLeft({ ours }: Cell, { metric }: PlannedRoute, operations: readonly FibOperation[]): boolean {
  for (const operation of operations) if (operation.route.metric === metric) return false
  return ours.some((one) => one.metric === metric)
}

function describeForeign(route: KernelRoute): string {
  return `a route of another owner is there (protocol ${protocolName(route.protocol)}, metric ${route.metric}): ${formatHops(route)}`
}

/** Null: not an address. */
function addressOf(nextHop: string): Uint8Array | null {
  const percent = nextHop.indexOf('%')
  try {
    return parseAddress(percent < 0 ? nextHop : nextHop.slice(0, percent))
  } catch {
    return null
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Waits for the promise, not longer than the limit; leaves no timer behind. */
async function withLimit(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([promise, limit])
  clearTimeout(timer)
}

/** Prefixes planned and written in one go: about 20 ms of the driver's work. */
const UNMARKED = -1
const MAX_BATCH = 1000
const SLICE = 2000
/** Taken entries at the front of the queue. */
const MAX_TAKEN = 20_000
const MAX_TRIES = 3
const MAX_RESOLVED = 10_000
const DEBOUNCE_MS = 75
const FIRST_LOOK_MS = 300
const MAX_REST_MS = 2000
const FOREIGN_MS = 20
/** Foreign prefixes that are looked at one by one. */
const MAX_FOREIGN = 200
const MAX_MISSED = 100_000
const RETRY_MS = 1000
const COMPARE_SHARE = 100
const REPAIR_LOG_MS = 10_000
const DUMP_RETRY_MS = 1000
const LOST_DELAY_MS = 500
const UNCONFIRMED = 'found at start, not yet confirmed by a peer'
const FLUSHED = "flushed by command; 'nodebgp fib restore' writes it again"
const FLUSH_LIMIT_MS = 10_000
const NO_FAR_NODES: readonly FarNode[] = Object.freeze([])
