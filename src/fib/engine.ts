/**
 * The FIB's engine: keeps a driver's table equal to the routes that are wanted. Single-minded loop: dump when something may have changed, plan
 * the prefixes that are marked, apply, and again until nothing is left to do. Dumps and changes never overlap, so the picture is exact between them; while
 * the driver works on one batch, the next one is planned.
 *
 * What others do comes as events. Those that carry the route bring the picture up to date at once. Where our own routes are concerned a dump of them
 * follows all the same: an event may have been under way while we wrote that route ourselves.
 */
import { parseAddress } from '../net/address.js'
import { addressInPrefix, parsePrefix } from '../net/prefix.js'
import { ActualTable } from './actual.js'
import {
  DONE,
  type FibChange,
  type FibDriver,
  type FibFact,
  type FibOperation,
  type FibOutcome,
  type FibTrigger,
} from './driver.js'
import { planPrefix } from './plan.js'
import { protocolName } from './protocols.js'
import { formatHops, type HopRules, planRoute, type Resolution } from './resolve.js'
import type { DesiredRoute, Fib, FibEntry, FibRouteState, KernelRoute, PlannedRoute } from './types.js'

export interface EngineOptions {
  readonly name: 'netlink' | 'iproute2' | 'memory'
  /** Why this driver, for the log. */
  readonly why?: string
  readonly driver: FibDriver
  readonly table: number
  readonly protocol: number
  readonly rules: HopRules
  readonly resolve: (nextHop: string, actual: ActualTable) => Resolution
  /** Looks after the tunnel device; called at the start (may reject with a FibError) and with every dump (never rejects). */
  readonly tunnel: ((first: boolean, rules: HopRules) => Promise<void>) | null
  readonly log: (fact: FibFact) => void
  /** Pause where the driver loses changes twice in a row; 500. */
  readonly lostDelayMs?: number
}

export class FibEngine implements Fib {
  readonly driver: 'netlink' | 'iproute2' | 'memory'
  readonly #options: EngineOptions
  #rules: HopRules
  #actual: ActualTable
  readonly #wanted = new Map<string, Wanted>()
  /** Prefix → number of the `set` that marked it; in order of age. */
  #dirty = new Map<string, number>()
  #sets = 0
  readonly #adopted = new Set<string>()
  #swept = false
  /** By command: nothing of ours is to be there. */
  #flushed = false
  readonly #resolved = new Map<string, Resolution>()
  readonly #listeners: (() => void)[] = []
  #waiters: { readonly upTo: number; readonly resolve: () => void }[] = []
  #phase: 'new' | 'running' | 'stopped' = 'new'
  #loop: Promise<void> | null = null
  /** What has to be looked at before anything else is written. */
  #look: Look = Look.NONE
  #timer: NodeJS.Timeout | null = null
  #timerDueMs = 0
  #timerLook: Look = Look.NONE
  /** A dump is under way: what is told meanwhile comes after it. */
  #dumping = false
  #missed: FibChange[] = []
  /** Prefixes of foreign routes that came or went; looked at together. */
  readonly #foreignChanged = new Set<string>()
  #foreignTimer: NodeJS.Timeout | null = null
  #lastDumpEndMs = 0
  #lastDumpTookMs = 0
  #lastRetryMs = 0
  #batchLimit = MAX_BATCH
  #inFlight: Batch | null = null
  #lostInARow = 0
  /** Not told yet. */
  #repaired = 0
  #toldRepairMs = Number.NEGATIVE_INFINITY

  constructor(options: EngineOptions) {
    this.driver = options.name
    this.#options = options
    this.#rules = options.rules
    this.#actual = new ActualTable(options.table, options.protocol)
  }

  async start(): Promise<void> {
    await this.#options.driver.open((trigger) => this.#onTrigger(trigger))
    try {
      await this.#options.tunnel?.(true, this.#rules)
      await this.#readAll(this.#actual)
    } catch (error) {
      await this.#options.driver.close()
      throw error
    }
    let adopted = 0
    for (const prefix of this.#actual.ourPrefixes()) {
      adopted++
      if (!this.#wanted.has(prefix)) this.#adopted.add(prefix)
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
    if (this.#adopted.size > 0) this.#adopted.delete(prefix)
    if (route === null) this.#wanted.delete(prefix)
    else {
      const known = this.#wanted.get(prefix)
      if (known === undefined) {
        this.#wanted.set(prefix, { desired: route, planned: null, state: 'pending', reason: '', told: '', tries: 0 })
      } else {
        known.desired = route
        known.tries = 0
      }
    }
    this.#mark(prefix, ++this.#sets)
    this.#wake()
  }

  sweepAdopted(): void {
    this.#swept = true
    if (this.#phase !== 'running') return
    for (const prefix of this.#adopted) this.#mark(prefix, ++this.#sets)
    this.#options.log({ event: 'fib-swept', fields: { removed: this.#adopted.size } })
    this.#adopted.clear()
    this.#wake()
  }

  get flushed(): boolean {
    return this.#flushed
  }

  async flush(): Promise<number> {
    if (this.#phase !== 'running') return 0
    const before = [...this.#actual.ourPrefixes()]
    this.#flushed = true
    this.#adopted.clear()
    for (const prefix of before) this.#mark(prefix, ++this.#sets)
    this.#markAll()
    this.#look = Look.SLOW
    this.#wake()
    await withLimit(this.settled(), FLUSH_LIMIT_MS)
    const left = [...this.#actual.ourPrefixes()].length
    if (left > 0)
      this.#trouble(`${left} of our routes could not be removed; see 'ip route show proto ${this.#options.protocol}'`)
    return Math.max(0, before.length - left)
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

  foreignRoutes(): readonly KernelRoute[] {
    return this.#actual.foreignRoutes()
  }

  entries(): readonly FibEntry[] {
    const list: FibEntry[] = []
    for (const prefix of this.#wanted.keys()) list.push(this.entry(prefix)!)
    for (const prefix of this.#adopted) list.push(this.entry(prefix)!)
    return list
  }

  entry(prefix: string): FibEntry | undefined {
    const wanted = this.#wanted.get(prefix)
    if (wanted !== undefined) {
      const { state, reason, planned, desired } = wanted
      return { prefix, state, hops: planned?.hops ?? [], kind: desired.kind, reason }
    }
    if (!this.#adopted.has(prefix)) return undefined
    const route = this.#actual.ours(prefix)[0]
    const kind = route?.kind === 'blackhole' ? 'blackhole' : 'unicast'
    return {
      prefix,
      state: 'adopted',
      hops: route?.hops ?? [],
      kind,
      reason: 'found at start, not yet confirmed by a peer',
    }
  }

  reconfigure(rules: HopRules): void {
    // Without devices (memory) there is nothing to tunnel through.
    this.#rules = this.driver === 'memory' ? { ...rules, encapsulation: 'never' } : rules
    this.#resolved.clear()
    this.#markAll()
    this.#look = Look.SLOW
    this.#wake()
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
    if (wasRunning) await this.#options.driver.close()
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
    return this.#phase === 'running' && (this.#look !== Look.NONE || this.#dirty.size > 0 || this.#inFlight !== null)
  }

  /** Plans a batch while the one before is under way, and starts it as soon as that one is done. */
  async #applySome(): Promise<void> {
    const batch = this.#nextBatch()
    const before = this.#inFlight
    if (batch.operations.length === 0) {
      if (before !== null) await this.#finish()
      // Many prefixes without anything to do (all are looked at when foreign routes change) must not hold the event loop.
      else if (batch.looked >= MAX_BATCH) await nextTurn()
      return
    }
    const outcomes = await before?.outcomes
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
    if (this.#lostInARow > 1) await delay(this.#options.lostDelayMs ?? LOST_DELAY_MS)
  }

  #nextBatch(): Planned {
    const operations: FibOperation[] = []
    const prefixes: string[] = []
    const marks: number[] = []
    const busy = this.#inFlight?.busy
    let looked = 0
    let oldest = Number.POSITIVE_INFINITY
    for (const [prefix, mark] of this.#dirty) {
      if (looked >= MAX_BATCH || operations.length >= this.#batchLimit) break
      // What becomes of it now decides what is next.
      if (busy?.has(prefix) === true) continue
      looked++
      this.#dirty.delete(prefix)
      const before = operations.length
      for (const operation of this.#judge(prefix)) operations.push(operation)
      for (let i = before; i < operations.length; i++) {
        prefixes.push(prefix)
        marks.push(mark)
      }
      if (operations.length > before && mark < oldest) oldest = mark
    }
    return { operations, prefixes, marks, looked, oldest, busy: new Set(prefixes) }
  }

  #takeAll({ operations, prefixes, marks }: Planned, outcomes: readonly FibOutcome[]): void {
    let lost = false
    for (let index = 0; index < operations.length; index++) {
      const outcome = outcomes[index] ?? DONE
      if (outcome.type === 'lost') lost = true
      this.#take(prefixes[index]!, operations[index]!, outcome, marks[index]!, operations.length === 1)
    }
    if (!lost) {
      this.#lostInARow = 0
      this.#batchLimit = Math.min(MAX_BATCH, this.#batchLimit * 2)
      return
    }
    // One at a time until it goes well again: should one line have ended the driver, it is found.
    this.#batchLimit = 1
    this.#look = Look.SLOW
    this.#lostInARow++
  }

  /** What is to be done for a prefix, and its state as far as it is known without doing it. */
  #judge(prefix: string): readonly FibOperation[] {
    const wanted = this.#wanted.get(prefix)
    if (wanted === undefined) return planPrefix(prefix, null, this.#actual).operations
    if (this.#flushed) {
      wanted.planned = null
      this.#change(prefix, wanted, 'pending', FLUSHED)
      return planPrefix(prefix, null, this.#actual).operations
    }
    if (wanted.tries >= MAX_TRIES) {
      this.#change(prefix, wanted, 'failed', wanted.reason)
      return []
    }
    const route = planRoute(wanted.desired, this.#rules, (nextHop) => this.#resolution(nextHop))
    if (typeof route === 'string') {
      wanted.planned = null
      this.#change(prefix, wanted, 'unresolved', route)
      return planPrefix(prefix, null, this.#actual).operations
    }
    wanted.planned = route
    const { operations, conflict } = planPrefix(prefix, route, this.#actual)
    if (conflict !== null) {
      wanted.tries = 0
      this.#change(prefix, wanted, 'conflict', describeForeign(conflict))
    } else if (operations.length === 0 || this.#isInPlace(prefix, route)) this.#installed(prefix, wanted, route)
    else this.#change(prefix, wanted, 'pending', '')
    return operations
  }

  #take(prefix: string, operation: FibOperation, outcome: FibOutcome, mark: number, alone: boolean): void {
    const wanted = this.#wanted.get(prefix)
    switch (outcome.type) {
      case 'done':
        this.#actual.applied(operation)
        if (wanted === undefined) break
        wanted.tries = 0
        if (wanted.planned === operation.route) this.#installed(prefix, wanted, operation.route)
        if (wanted.state !== 'unresolved' && wanted.state !== 'conflict') this.#markIfUnequal(prefix, wanted, mark)
        break
      case 'exists':
        // Who has it, the dump will tell.
        this.#ask(Look.ALL)
        if (wanted === undefined) break
        wanted.tries++
        wanted.reason = 'the kernel says that a route of this prefix and metric is there, and does not show it'
        this.#mark(prefix, mark)
        break
      case 'refused':
        if (wanted !== undefined && operation.type !== 'delete') this.#change(prefix, wanted, 'failed', outcome.words)
        else this.#trouble(`cannot remove ${operation.route.prefix}: ${outcome.words}`)
        break
      default:
        if (wanted !== undefined && alone) {
          wanted.tries++
          wanted.reason = outcome.words
        }
        this.#mark(prefix, mark)
    }
  }

  /** Looks at what was asked for. False where the tables cannot be read now. */
  async #lookNow(): Promise<boolean> {
    const look = this.#look
    this.#look = Look.NONE
    await this.#options.tunnel?.(false, this.#rules)
    return look === Look.DEVICES || (await this.#resync(look))
  }

  /** Fills a table from the driver. */
  async #readAll(table: ActualTable): Promise<void> {
    this.#dumping = true
    try {
      await this.#options.driver.dump((route) => table.add(route))
    } finally {
      this.#dumping = false
    }
  }

  async #readOurs(): Promise<void> {
    const { table, protocol } = this.#options
    const routes: KernelRoute[] = []
    this.#dumping = true
    try {
      await this.#options.driver.dump((route) => {
        if (route.protocol === protocol && route.table === table) routes.push(route)
      }, 'ours')
    } finally {
      this.#dumping = false
    }
    this.#actual.replaceOurs(routes)
  }

  /** Reads the tables again and marks what differs. False where they cannot be read now. */
  async #resync(look: Look): Promise<boolean> {
    const startMs = performance.now()
    const slow = look === Look.SLOW
    let foreignChanged = false
    try {
      if (look === Look.OURS) await this.#readOurs()
      else {
        const next = new ActualTable(this.#options.table, this.#options.protocol)
        await this.#readAll(next)
        foreignChanged = !next.sameForeign(this.#actual)
        this.#actual = next
      }
      this.#replayMissed()
    } catch (error) {
      this.#ask(look)
      this.#trouble(`cannot read the kernel's routes: ${(error as Error).message}`)
      this.#replayMissed()
      return false
    }
    const next = this.#actual
    if (foreignChanged) this.#resolved.clear()
    const retry = slow || foreignChanged || startMs - this.#lastRetryMs > RETRY_MS
    if (retry) this.#lastRetryMs = startMs
    let repaired = 0
    let sample = ''
    let count = 0
    for (const [prefix, wanted] of this.#wanted) {
      if (++count % SLICE === 0) await nextTurn()
      if (this.#dirty.has(prefix)) continue
      if (wanted.state === 'installed' && wanted.planned !== null && !this.#isInPlace(prefix, wanted.planned)) {
        sample = prefix
        repaired++
        this.#mark(prefix, 0)
      } else if (foreignChanged || wanted.state === 'conflict' || (retry && wanted.state === 'failed')) {
        if (wanted.state === 'failed') wanted.tries = 0
        this.#mark(prefix, 0)
      } else if (wanted.state === 'installed') this.#markIfUnequal(prefix, wanted, 0)
    }
    for (const prefix of this.#adopted) if (next.ours(prefix).length === 0) this.#adopted.delete(prefix)
    for (const prefix of next.ourPrefixes()) {
      if (++count % SLICE === 0) await nextTurn()
      if ((this.#wanted.has(prefix) && !this.#flushed) || this.#dirty.has(prefix)) continue
      if (this.#swept || this.#flushed) this.#mark(prefix, 0)
      else this.#adopted.add(prefix)
    }
    if (repaired > 0) this.#tellRepair(sample, repaired)
    this.#lastDumpEndMs = performance.now()
    this.#lastDumpTookMs = this.#lastDumpEndMs - startMs
    if (foreignChanged) this.#tellListeners()
    return true
  }

  // --- helpers

  #isInPlace(prefix: string, route: PlannedRoute): boolean {
    return (
      planPrefix(prefix, route, this.#actual).operations.every(
        (operation) => operation.route.metric !== route.metric,
      ) && this.#actual.ours(prefix).some((one) => one.metric === route.metric)
    )
  }

  #markIfUnequal(prefix: string, wanted: Wanted, mark: number): void {
    if (wanted.planned === null) return
    if (planPrefix(prefix, wanted.planned, this.#actual).operations.length > 0) this.#mark(prefix, mark)
  }

  #mark(prefix: string, mark: number): void {
    const known = this.#dirty.get(prefix)
    if (known === undefined || known > mark) this.#dirty.set(prefix, mark)
  }

  #markAll(): void {
    for (const prefix of this.#wanted.keys()) this.#mark(prefix, ++this.#sets)
  }

  #installed(prefix: string, wanted: Wanted, { metric }: PlannedRoute): void {
    const before = this.#actual.foreignBefore(prefix, metric)
    this.#change(
      prefix,
      wanted,
      'installed',
      before === undefined ? '' : `${describeForeign(before)}; it takes the traffic`,
    )
  }

  #change(prefix: string, wanted: Wanted, state: FibRouteState, reason: string): void {
    wanted.state = state
    wanted.reason = reason
    if (state === 'installed' && reason === '') wanted.told = ''
    // One that is installed and has a reason stands in the shadow of a foreign one.
    const isConflict = state === 'conflict' || (state === 'installed' && reason !== '')
    if (!isConflict && state !== 'failed') return
    // Once per trouble, however often it is tried again.
    if (wanted.told === reason) return
    wanted.told = reason
    this.#options.log({ event: isConflict ? 'fib-conflict' : 'fib-failed', fields: { prefix, reason } })
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
      if (this.#resolved.size >= MAX_RESOLVED) this.#resolved.clear()
      known = this.#options.resolve(nextHop, this.#actual)
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
      this.#ask(Look.SLOW)
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
    const { ours, foreign } = this.#actual.change(change)
    if (ours || change.route.protocol === this.#options.protocol) this.#touched(change.route.prefix)
    if (foreign) this.#foreignSoon(change.route.prefix)
  }

  /** The dump may have it already: a change that is taken twice changes nothing, and the last word is the kernel's last. */
  #replayMissed(): void {
    for (const change of this.#missed.splice(0)) this.#onChange(change)
  }

  /** Somebody changed a route of ours. */
  #touched(prefix: string): void {
    this.#lookSoon(Look.OURS)
    const wanted = this.#wanted.get(prefix)
    if (this.#flushed) this.#mark(prefix, 0)
    else if (wanted === undefined) {
      if (this.#actual.ours(prefix).length === 0) this.#adopted.delete(prefix)
      else if (this.#swept) this.#mark(prefix, 0)
      else this.#adopted.add(prefix)
    } else if (wanted.state === 'installed' && wanted.planned !== null) {
      if (!this.#isInPlace(prefix, wanted.planned)) {
        this.#tellRepair(prefix, 1)
        this.#mark(prefix, 0)
      } else this.#markIfUnequal(prefix, wanted, 0)
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
      for (const [prefix, wanted] of this.#wanted) {
        if (wanted.state === 'failed') wanted.tries = 0
        this.#mark(prefix, 0)
      }
    } else for (const prefix of prefixes) if (this.#wanted.has(prefix)) this.#mark(prefix, 0)
    this.#wake()
    this.#tellListeners()
  }

  #leadsToNextHop(prefixes: readonly string[]): boolean {
    const parsed = prefixes.map((prefix) => parsePrefix(prefix))
    for (const nextHop of this.#resolved.keys()) {
      const address = addressOf(nextHop)
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
    for (const mark of this.#dirty.values()) if (mark <= upTo) return true
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
  /** Per operation: its prefix, and the mark that it came from. */
  readonly prefixes: readonly string[]
  readonly marks: readonly number[]
  readonly busy: ReadonlySet<string>
  /** Prefixes looked at, also those without an operation. */
  readonly looked: number
  /** Oldest of the marks. */
  readonly oldest: number
}
interface Batch extends Planned {
  readonly outcomes: Promise<readonly FibOutcome[]>
}

interface Wanted {
  desired: DesiredRoute
  planned: PlannedRoute | null
  state: FibRouteState
  reason: string
  /** Reason that was logged last, while it lasts. */
  told: string
  /** Rounds in a row that led nowhere. */
  tries: number
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
const MAX_BATCH = 1000
const SLICE = 2000
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
const REPAIR_LOG_MS = 10_000
const DUMP_RETRY_MS = 1000
const LOST_DELAY_MS = 500
const FLUSHED = "flushed by command; 'nodebgp fib restore' writes it again"
const FLUSH_LIMIT_MS = 10_000
