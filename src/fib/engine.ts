/**
 * The FIB's engine: keeps a driver's table equal to the routes that are wanted. Single-minded loop: dump when something may have changed, plan
 * the prefixes that are marked, apply, and again until nothing is left to do. Dumps and changes never overlap, so the picture is exact between them; while
 * the driver works on one batch, the next one is planned.
 *
 * What others do comes as events. Those that carry the route bring the picture up to date at once. Where our own routes are concerned a dump of them
 * follows all the same: an event may have been under way while we wrote that route ourselves.
 */
import type { FibTrigger } from './driver.js'
import type { OwnVtep } from './encap/types.js'
import { type Cell, entryOf, hasSurplus, isInPlace, UNMARKED } from './engine/cell.js'
import type { Cells } from './engine/cells.js'
import { Judge } from './engine/judge.js'
import { Others } from './engine/others.js'
import { Reader } from './engine/reader.js'
import { type EngineOptions, EngineState } from './engine/state.js'
import { delay, nextTurn, withLimit } from './engine/turns.js'
import { Look, Watch } from './engine/watch.js'
import { Writer } from './engine/writer.js'
import type { HopRules } from './resolve.js'
import type { DesiredRoute, Fib, FibEntry, KernelRoute } from './types.js'

export class FibEngine implements Fib {
  readonly driver: 'netlink' | 'iproute2' | 'memory'
  readonly driverReason: string
  readonly #options: EngineOptions
  readonly #state: EngineState
  readonly #cells: Cells
  readonly #judge: Judge
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #watch: Watch
  readonly #others: Others
  /** Our end of the tunnels, as the listeners know it. */
  #vtep = JSON.stringify(null)
  readonly #listeners: (() => void)[] = []
  #waiters: { readonly upTo: number; readonly resolve: () => void }[] = []
  #unlock: (() => Promise<void>) | null = null
  #starting: Promise<void> = Promise.resolve()
  #loop: Promise<void> | null = null
  #lastRetryMs = 0

  constructor(options: EngineOptions) {
    this.driver = options.name
    this.driverReason = options.why
    this.#options = options
    this.#state = new EngineState(options)
    this.#cells = this.#state.cells
    this.#judge = new Judge(this.#state)
    this.#reader = new Reader(this.#state)
    this.#watch = new Watch(() => this.#wake())
    this.#writer = new Writer(this.#state, this.#judge, this.#watch)
    this.#others = new Others(this.#state, this.#judge, this.#reader, this.#watch, {
      wake: () => this.#wake(),
      tellForeignChanged: () => this.#tellListeners(),
    })
  }

  start(): Promise<void> {
    const starting = this.#start()
    this.#starting = starting.catch(() => {})
    return starting
  }

  async #start(): Promise<void> {
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
      await this.#options.tunnel?.keep(true, this.#state.rules)
      await this.#reader.readAll()
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
      if (cell.desired === null) this.#cells.adopt(cell, true)
    }
    this.#state.phase = 'running'
    this.#options.log({ event: 'fib-start', fields: { driver: this.driver, why: this.driverReason, adopted } })
    if (this.#state.swept) this.sweepAdopted()
    // Changes between the dump and the first event of the monitor would go unseen.
    if (this.driver === 'iproute2') this.#watch.in(Look.ALL, FIRST_LOOK_MS)
    this.#others.replayMissed()
    this.#wake()
    this.#tellListeners()
  }

  set(prefix: string, route: DesiredRoute | null): void {
    this.#set(this.#cells.obtain(prefix), route)
  }

  setId(prefix: number, route: DesiredRoute | null): void {
    this.#set(this.#cells.obtainId(prefix), route)
  }

  #set(cell: Cell, route: DesiredRoute | null): void {
    const cells = this.#cells
    cells.adopt(cell, false)
    if (route !== null || cell.desired !== null)
      this.#state.ways.change(cell, Number(route !== null) - Number(cell.desired !== null))
    if (cell.desired === null || route === null) cell.forget()
    if (route === null) cell.inherited = false
    cell.desired = route
    cell.tries = 0
    cells.markSet(cell)
    this.#wake()
  }

  sweepAdopted(): void {
    this.#state.swept = true
    if (this.#state.phase !== 'running') return
    this.#options.log({ event: 'fib-swept', fields: { removed: this.#cells.adopted } })
    for (const cell of this.#cells.values()) {
      if (!cell.adopted && !cell.inherited) continue
      cell.inherited = false
      this.#cells.adopt(cell, false)
      this.#cells.markSet(cell)
    }
    this.#wake()
  }

  get flushed(): boolean {
    return this.#state.flushed
  }

  async flush(): Promise<number> {
    if (this.#state.phase !== 'running') return 0
    const before = this.#cells.countOurs()
    this.#state.flushed = true
    for (const cell of this.#cells.values()) {
      cell.inherited = false
      this.#cells.adopt(cell, false)
    }
    this.#lookAtAll()
    await withLimit(this.settled(), FLUSH_LIMIT_MS)
    const left = this.#cells.countOurs()
    if (left > 0)
      this.#state.trouble(
        `${left} of our routes could not be removed; see 'ip route show proto ${this.#options.protocol}'`,
      )
    return Math.max(0, before - left)
  }

  restore(): void {
    this.#state.flushed = false
    this.#lookAtAll()
  }

  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ upTo: this.#cells.sets, resolve })
      this.#tellWaiters()
    })
  }

  onForeignRoutesChanged(listener: () => void): void {
    this.#listeners.push(listener)
  }

  resolve = (nextHop: string): number => this.#state.ways.resolve(nextHop).metric

  foreignRoutes(): readonly KernelRoute[] {
    return this.#state.actual.foreignRoutes()
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
    this.#state.rules = this.driver === 'memory' ? { ...rules, encapsulation: 'never' } : rules
    this.#state.ways.forget()
    this.#lookAtAll()
  }

  ownVtep(): OwnVtep | null {
    return this.#options.tunnel?.ownVtep() ?? null
  }

  async stop(mode: 'keep' | 'flush'): Promise<void> {
    // Half-way, what is open already would stay so.
    await this.#starting
    if (mode === 'flush') await this.flush()
    const wasRunning = this.#state.phase === 'running'
    this.#state.phase = 'stopped'
    this.#watch.stop()
    this.#others.stop()
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
    if (this.#state.phase !== 'running' || this.#loop !== null) return
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
      if (this.#watch.wanted !== Look.NONE) {
        await this.#writer.finish()
        if (!(await this.#lookNow())) await delay(DUMP_RETRY_MS)
      } else {
        if (this.#state.ways.changed) this.#lookAgain()
        await this.#writer.applySome()
      }
      this.#tellWaiters()
    }
    await this.#writer.finish()
  }

  #hasWork(): boolean {
    return this.#state.phase === 'running' && (this.#watch.wanted !== Look.NONE || this.#writer.hasWork)
  }

  /** Next hops may be reached another way, through routes that were learned: those that are make their routes be judged again. */
  #lookAgain(): void {
    const changed = this.#state.ways.lookAgain()
    if (changed === null) this.#cells.markAll()
    else if (changed.size === 0) return
    else
      for (const cell of this.#cells.values())
        if (cell.desired?.nextHops.some((nextHop) => changed.has(nextHop)) === true)
          this.#cells.mark(cell, this.#cells.sets)
    this.#tellListeners()
  }

  #lookAtAll(): void {
    this.#cells.markAll()
    this.#watch.ask(Look.SLOW)
    this.#wake()
  }

  /** Looks at what was asked for. False where the tables cannot be read now. */
  async #lookNow(): Promise<boolean> {
    const look = this.#watch.take()
    await this.#keepTunnel()
    return look === Look.DEVICES || (await this.#resync(look))
  }

  /** Whoever tells other nodes of our end of the tunnels hears when it is another. What is wrong with a device is said of each route through it. */
  async #keepTunnel(): Promise<void> {
    const { tunnel } = this.#options
    if (tunnel === null) return
    const before = JSON.stringify([...tunnel.troubles])
    await tunnel.keep(false, this.#state.rules)
    if (JSON.stringify([...tunnel.troubles]) !== before) this.#cells.markAll()
    const text = JSON.stringify(tunnel.ownVtep())
    if (text === this.#vtep) return
    this.#vtep = text
    this.#tellListeners()
  }

  /** Reads the tables again and marks what differs. False where they cannot be read now. */
  async #resync(look: Look): Promise<boolean> {
    const startMs = performance.now()
    let foreignChanged = false
    try {
      if (look === Look.OURS) await this.#reader.readOurs()
      else foreignChanged = await this.#reader.readAll()
      this.#others.replayMissed()
    } catch (error) {
      this.#watch.ask(look)
      this.#state.trouble(`cannot read the kernel's routes: ${(error as Error).message}`)
      this.#others.replayMissed()
      return false
    }
    if (foreignChanged) this.#state.ways.forget()
    const retry = look === Look.SLOW || foreignChanged || startMs - this.#lastRetryMs > RETRY_MS
    if (retry) this.#lastRetryMs = startMs
    let repaired = 0
    let sample = ''
    let count = 0
    let putOff = false
    for (const cell of this.#cells.values()) {
      if (++count % SLICE === 0) await nextTurn()
      putOff ||= !retry && cell.state === 'failed'
      if (!this.#compare(cell, foreignChanged, retry)) continue
      sample = cell.prefix
      repaired++
    }
    if (repaired > 0) this.#judge.tellRepair(sample, repaired)
    this.#watch.dumped(startMs)
    // What failed while a device was down for a moment goes now, and nothing else may come that would make us look.
    if (putOff) this.#watch.in(Look.OURS, RETRY_MS)
    if (foreignChanged) this.#tellListeners()
    return true
  }

  /** Marks a cell where there is something to do after a dump. True where its route was there and is not any more. */
  #compare(cell: Cell, foreignChanged: boolean, retry: boolean): boolean {
    if (cell.mark !== UNMARKED) return false
    if (cell.desired === null) this.#judge.judgeUnwanted(cell)
    else if (this.#state.flushed) {
      if (cell.ours.length > 0) this.#cells.mark(cell, 0)
    } else if (cell.state === 'installed' && cell.planned !== null && !isInPlace(cell, this.#state.actual)) {
      this.#cells.mark(cell, 0)
      return true
    } else if (foreignChanged || cell.state === 'conflict' || hasSurplus(cell) || (retry && cell.state === 'failed')) {
      if (cell.state === 'failed') cell.tries = 0
      this.#cells.mark(cell, 0)
    } else if (cell.state === 'installed') this.#judge.markIfUnequal(cell, 0)
    return false
  }

  #onTrigger(trigger: FibTrigger): void {
    if (typeof trigger === 'object') {
      this.#others.take(trigger)
      return
    }
    if (trigger === 'slow') {
      this.#watch.ask(this.#reader.isAllDue ? Look.SLOW : Look.OURS)
      this.#wake()
      return
    }
    this.#watch.soon(trigger === 'event' ? Look.ALL : trigger === 'ours' ? Look.OURS : Look.DEVICES)
  }

  #tellListeners(): void {
    for (const listener of this.#listeners) listener()
  }

  #tellWaiters(): void {
    if (this.#waiters.length === 0 || this.#state.phase === 'new' || this.#watch.wanted > Look.DEVICES) return
    this.#waiters = this.#waiters.filter((waiter) => {
      if (this.#writer.isUnder(waiter.upTo)) return true
      waiter.resolve()
      return false
    })
  }
}

const SLICE = 2000
const FIRST_LOOK_MS = 300
const RETRY_MS = 1000
const DUMP_RETRY_MS = 1000
const FLUSH_LIMIT_MS = 10_000
