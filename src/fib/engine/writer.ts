/**
 * Writes the marked prefixes in batches: while the driver works on one, the next is planned. Both in slices of a few milliseconds: batches are large, so that the
 * driver is not kept waiting.
 */
import { DONE, type FibOperation, type FibOutcome } from '../driver.js'
import { applyTo } from '../plan.js'
import { type Cell, UNMARKED } from './cell.js'
import type { Judge } from './judge.js'
import type { EngineState } from './state.js'
import { delay, nextTurn } from './turns.js'
import { Look, type Watch } from './watch.js'

export class Writer {
  readonly #state: EngineState
  readonly #judge: Judge
  readonly #watch: Watch
  readonly #maxBatch: number
  #batchLimit: number
  #inFlight: Batch | null = null
  /** Done, and not all of its outcomes are taken. */
  #taking: Batch | null = null
  /** Oldest mark of what is being planned. */
  #planningOldest = Number.POSITIVE_INFINITY
  /** Cells until the clock is asked again. */
  #untilLook = 0
  #sliceEndMs = 0
  #lostInARow = 0

  constructor(state: EngineState, judge: Judge, watch: Watch) {
    this.#state = state
    this.#judge = judge
    this.#watch = watch
    this.#maxBatch = state.options.batch ?? MAX_BATCH
    this.#batchLimit = this.#maxBatch
  }

  get hasWork(): boolean {
    return this.#state.cells.hasMarked || this.#inFlight !== null
  }

  /** Something that was set then is not done yet. */
  isUnder(upTo: number): boolean {
    if (this.#planningOldest <= upTo || this.#state.cells.isMarked(upTo)) return true
    return [this.#inFlight, this.#taking].some((batch) => batch !== null && batch.oldest <= upTo)
  }

  /** Plans a batch while the one before is under way, and starts it as soon as that one is done. */
  async applySome(): Promise<void> {
    const { tunnel } = this.#state.options
    const batch = await this.#nextBatch()
    const before = this.#inFlight
    if (batch.operations.length === 0) {
      this.#planningOldest = Number.POSITIVE_INFINITY
      await tunnel?.prepare()
      if (before !== null) {
        await this.finish()
        return
      }
      await this.#tidyTunnels()
      // Many prefixes without anything to do (all are looked at when foreign routes change) must not hold the event loop.
      if (batch.looked >= this.#maxBatch) await this.#nextSlice()
      return
    }
    const waits = before !== null && !before.isDone
    const outcomes = await before?.outcomes
    await tunnel?.prepare()
    if (waits) this.#beginSlice()
    this.#taking = before
    this.#inFlight = this.#start(batch)
    this.#planningOldest = Number.POSITIVE_INFINITY
    await this.#turnIfOver()
    if (before !== null) await this.#takeAll(before, outcomes!)
    if (this.#lostInARow > 0) await this.finish()
    else await this.#turnIfOver()
  }

  #start(planned: Planned): Batch {
    const outcomes = this.#state.options.driver.apply(planned.operations)
    const batch: Batch = { ...planned, outcomes, isDone: false }
    const done = (): void => {
      batch.isDone = true
    }
    outcomes.then(done, done)
    return batch
  }

  /** Until nothing is under way. */
  async finish(): Promise<void> {
    const batch = this.#inFlight
    if (batch === null) {
      // What a look has found of an earlier run may be the rest of a tunnel.
      await this.#tidyTunnels()
      return
    }
    const outcomes = await batch.outcomes
    this.#beginSlice()
    this.#taking = batch
    this.#inFlight = null
    await this.#takeAll(batch, outcomes)
    await this.#tidyTunnels()
    if (this.#lostInARow > 1) await delay(this.#state.options.lostDelayMs ?? LOST_DELAY_MS)
  }

  /** Only while nothing is under way: the routes that led to what goes are gone. */
  async #tidyTunnels(): Promise<void> {
    const { options, swept, cells } = this.#state
    await options.tunnel?.tidy(swept && !cells.hasMarked)
  }

  async #nextBatch(): Promise<Planned> {
    const queue = this.#state.cells
    const operations: FibOperation<Cell>[] = []
    let marks = new Float64Array(this.#batchLimit + SPARE_MARKS)
    const busy: Cell[] = []
    let oldest = Number.POSITIVE_INFINITY
    let looked = 0
    await this.#turnIfOver()
    // What has to be looked at first may be the tunnels of new rules.
    const mayGoOn = (): boolean => queue.hasMarked && this.#watch.wanted === Look.NONE
    while (looked < this.#maxBatch && operations.length < this.#batchLimit && mayGoOn()) {
      if (this.#isSliceOver()) {
        // Whatever there is, the driver has nothing else to do.
        if (operations.length > 0 && (this.#inFlight === null || this.#inFlight.isDone)) break
        await this.#nextSlice()
        continue
      }
      const cell = queue.takeMarked()
      // What becomes of it now decides what is next.
      if (cell.busy) {
        busy.push(cell)
        continue
      }
      looked++
      const { mark } = cell
      cell.mark = UNMARKED
      const before = operations.length
      this.#judge.judge(cell, operations)
      while (operations.length > marks.length) marks = doubled(marks)
      marks.fill(mark, before, operations.length)
      if (operations.length === before) queue.dropIfEmpty(cell)
      else {
        cell.busy = true
        if (mark < oldest) {
          oldest = mark
          this.#planningOldest = mark
        }
      }
    }
    queue.tidyQueue(busy)
    return { operations, marks, looked, oldest }
  }

  async #takeAll({ operations, marks }: Planned, outcomes: readonly FibOutcome[]): Promise<void> {
    let lost = false
    for (let index = 0; index < operations.length; index++) {
      if (this.#isSliceOver()) await this.#nextSlice()
      const operation = operations[index]!
      operation.to.busy = false
      const outcome = outcomes[index] ?? DONE
      if (outcome.type === 'lost') lost = true
      this.#take(operation, outcome, marks[index]!, operations.length === 1)
    }
    this.#taking = null
    if (!lost) {
      this.#lostInARow = 0
      this.#batchLimit = Math.min(this.#maxBatch, this.#batchLimit * 2)
      return
    }
    // One at a time until it goes well again: should one line have ended the driver, it is found.
    this.#batchLimit = 1
    this.#watch.ask(Look.SLOW)
    this.#lostInARow++
  }

  #beginSlice(): void {
    this.#untilLook = LOOK_CELLS
    this.#sliceEndMs = performance.now() + SLICE_MS
  }

  async #turnIfOver(): Promise<void> {
    if (performance.now() >= this.#sliceEndMs) await this.#nextSlice()
  }

  #isSliceOver(): boolean {
    if (--this.#untilLook > 0) return false
    this.#untilLook = LOOK_CELLS
    return performance.now() >= this.#sliceEndMs
  }

  async #nextSlice(): Promise<void> {
    await nextTurn()
    this.#beginSlice()
  }

  #take(operation: FibOperation<Cell>, outcome: FibOutcome, mark: number, alone: boolean): void {
    const cell = operation.to
    const isWanted = cell.desired !== null
    const { cells } = this.#state
    switch (outcome.type) {
      case 'done':
        cell.ours = applyTo(cell.ours, operation)
        if (!isWanted) {
          cells.dropIfEmpty(cell)
          break
        }
        cell.tries = 0
        if (cell.planned === operation.route) this.#judge.installed(cell, operation.route.metric)
        if (cell.state !== 'unresolved' && cell.state !== 'conflict') this.#judge.markIfUnequal(cell, mark)
        break
      case 'exists':
        // Who has it, the dump will tell.
        this.#watch.ask(Look.ALL)
        if (!isWanted) break
        cell.tries++
        cell.reason = 'the kernel says that a route of this prefix and metric is there, and does not show it'
        cells.mark(cell, mark)
        break
      case 'refused':
        if (isWanted && operation.type !== 'delete') this.#judge.refused(cell, operation.route, outcome.words)
        else this.#state.trouble(`cannot remove ${operation.to.prefix}: ${outcome.words}`)
        break
      default:
        if (isWanted && alone) {
          cell.tries++
          cell.reason = outcome.words
        }
        cells.mark(cell, mark)
    }
  }
}

function doubled(marks: Float64Array): Float64Array<ArrayBuffer> {
  const bigger = new Float64Array(marks.length * 2)
  bigger.set(marks)
  return bigger
}

interface Planned {
  readonly operations: readonly FibOperation<Cell>[]
  /** Per operation: the mark that its cell had. */
  readonly marks: Float64Array
  /** Prefixes looked at, also those without an operation. */
  readonly looked: number
  /** Oldest of the marks. */
  readonly oldest: number
}
interface Batch extends Planned {
  readonly outcomes: Promise<readonly FibOutcome[]>
  isDone: boolean
}

/** Prefixes planned and written in one go: about 20 ms of the driver's work. */
const MAX_BATCH = 1000
/** Work between two turns of the event loop. */
const SLICE_MS = 4
/** A prefix may have several operations. */
const SPARE_MARKS = 16
const LOOK_CELLS = 64
const LOST_DELAY_MS = 500
