/**
 * Writes the marked prefixes in batches: while the driver works on one, the next is planned.
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
  #lostInARow = 0

  constructor(state: EngineState, judge: Judge, watch: Watch) {
    this.#state = state
    this.#judge = judge
    this.#watch = watch
    this.#maxBatch = state.options.batch ?? MAX_BATCH
    // The code is not compiled yet.
    this.#batchLimit = Math.min(this.#maxBatch, FIRST_BATCH)
  }

  get hasWork(): boolean {
    return this.#state.cells.hasMarked || this.#inFlight !== null
  }

  /** Something that was set then is not done yet. */
  isUnder(upTo: number): boolean {
    return (this.#inFlight !== null && this.#inFlight.oldest <= upTo) || this.#state.cells.isMarked(upTo)
  }

  /** Plans a batch while the one before is under way, and starts it as soon as that one is done. */
  async applySome(): Promise<void> {
    const { tunnel, driver } = this.#state.options
    const batch = this.#nextBatch()
    const before = this.#inFlight
    if (batch.operations.length === 0) {
      await tunnel?.prepare()
      if (before !== null) {
        await this.finish()
        return
      }
      await this.#tidyTunnels()
      // Many prefixes without anything to do (all are looked at when foreign routes change) must not hold the event loop.
      if (batch.looked >= this.#maxBatch) await nextTurn()
      return
    }
    const outcomes = await before?.outcomes
    await tunnel?.prepare()
    this.#inFlight = { ...batch, outcomes: driver.apply(batch.operations) }
    if (before !== null) this.#takeAll(before, outcomes!)
    if (this.#lostInARow > 0) await this.finish()
    else await nextTurn()
  }

  /** Until nothing is under way. */
  async finish(): Promise<void> {
    const batch = this.#inFlight
    if (batch === null) return
    const outcomes = await batch.outcomes
    this.#inFlight = null
    this.#takeAll(batch, outcomes)
    await this.#tidyTunnels()
    if (this.#lostInARow > 1) await delay(this.#state.options.lostDelayMs ?? LOST_DELAY_MS)
  }

  /** Only while nothing is under way: the routes that led to what goes are gone. */
  async #tidyTunnels(): Promise<void> {
    const { options, swept, cells } = this.#state
    await options.tunnel?.tidy(swept && !cells.hasMarked)
  }

  #nextBatch(): Planned {
    const queue = this.#state.cells
    const operations: FibOperation[] = []
    const cells: Cell[] = []
    const marks: number[] = []
    const busy: Cell[] = []
    let looked = 0
    let oldest = Number.POSITIVE_INFINITY
    while (looked < this.#maxBatch && operations.length < this.#batchLimit && queue.hasMarked) {
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
      for (const operation of this.#judge.judge(cell)) operations.push(operation)
      for (let i = before; i < operations.length; i++) {
        cells.push(cell)
        marks.push(mark)
      }
      if (operations.length === before) queue.dropIfEmpty(cell)
      else if (mark < oldest) oldest = mark
    }
    for (const cell of cells) cell.busy = true
    queue.tidyQueue(busy)
    return { operations, cells, marks, looked, oldest }
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
    this.#watch.ask(Look.SLOW)
    this.#lostInARow++
  }

  #take(cell: Cell, operation: FibOperation, outcome: FibOutcome, mark: number, alone: boolean): void {
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

/** Prefixes planned and written in one go: about 20 ms of the driver's work. */
const MAX_BATCH = 1000
const FIRST_BATCH = 500
const LOST_DELAY_MS = 500
