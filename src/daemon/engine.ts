/**
 * The turn: everything that was read in this pass of the event loop is decided, encoded and sent in slices of a few milliseconds, so that KEEPALIVEs and
 * timers are never kept waiting for long.
 */
import { FAMILIES, type Family } from '../net/family.js'
import type { Reflector } from '../reflector/reflector.js'
import { BATCH_PREFIXES, type Rib } from '../rib/rib.js'

/** Takes the winners of a batch. */
export type WinnersListener = (family: Family, ids: Int32Array, count: number) => void

/** Work of several slices that is not part of a turn: returns true when it is done. */
export type Job = () => boolean

export class Engine {
  readonly #rib: Rib
  readonly #reflector: Reflector
  readonly #onWinners: WinnersListener
  readonly #jobs: Job[] = []
  #scheduled = false
  #stopped = false
  #held = false
  /** By family: prefixes marked before release() that are not decided yet. Until then nothing is sent: End-of-RIB has to come behind all of them. */
  readonly #owed: number[] = FAMILIES.map(() => 0)
  #idleWaiters: (() => void)[] = []
  /** Until then sessions that come up go before routes; 0: no session came up since the last turn that left nothing to do. */
  #settledAtMs = 0
  /** Prefixes that are decided in one go. Few at first: the code is not compiled yet. */
  #batch = FIRST_BATCH
  #settlesSinceMs = 0
  #settleTimer: NodeJS.Timeout | null = null

  constructor(rib: Rib, reflector: Reflector, onWinners: WinnersListener) {
    this.#rib = rib
    this.#reflector = reflector
    this.#onWinners = onWinners
    reflector.onWork = () => this.schedule()
  }

  /** Runs a turn after the readable input of this pass of the loop has been taken. */
  schedule(): void {
    if (this.#scheduled || this.#stopped) return
    this.#scheduled = true
    setImmediate(this.#run)
  }

  /** Nothing is decided or sent until release(); what changes is marked, and sessions go on. */
  hold(): void {
    this.#held = true
  }

  release(): void {
    this.#held = false
    for (const { family, dirty } of this.#rib.tables) this.#owed[family] = dirty.size
    this.schedule()
  }

  /**
   * A session came up: where one does, more do, and each of their announcements by itself would be a write to every other peer. So routes wait until no session
   * has come up for a moment, and a bounded time at most; then all is decided and sent before anything waits again.
   */
  sessionUp(): void {
    const nowMs = performance.now()
    if (this.#settledAtMs === 0) this.#settlesSinceMs = nowMs
    this.#settledAtMs = Math.min(nowMs + SETTLE_QUIET_MS, this.#settlesSinceMs + SETTLE_LIMIT_MS)
    this.schedule()
  }

  addJob(job: Job): void {
    this.#jobs.push(job)
    this.schedule()
  }

  /** Resolves when nothing is left to decide, encode or send for now. */
  idle(): Promise<void> {
    if (!this.#hasWork(false)) return Promise.resolve()
    return new Promise((resolve) => this.#idleWaiters.push(resolve))
  }

  stop(): void {
    this.#stopped = true
    if (this.#settleTimer !== null) clearTimeout(this.#settleTimer)
  }

  readonly #run = (): void => {
    this.#scheduled = false
    if (this.#stopped) return
    const nowMs = performance.now()
    const endMs = nowMs + SLICE_MS
    const isOver = (): boolean => performance.now() >= endMs
    const settles = nowMs < this.#settledAtMs
    while (this.#tables(settles) && !isOver()) {}
    if (!settles && !this.#held && this.#owed.every((count) => count <= 0)) this.#reflector.pump(isOver)
    this.#rib.store.sweep()
    if (this.#hasWork(settles)) this.schedule()
    else if (settles) this.#settleTimer ??= setTimeout(this.#settled, this.#settledAtMs - nowMs)
    else this.#allDone()
  }

  readonly #settled = (): void => {
    this.#settleTimer = null
    this.schedule()
  }

  #allDone(): void {
    this.#settledAtMs = 0
    for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }

  /** One piece of each kind of table work; false when there was none. */
  #tables(settles: boolean): boolean {
    const rib = this.#rib
    let worked = false
    if (rib.hasClearing) {
      rib.clearSlice(BATCH_PREFIXES)
      worked = true
    }
    for (const { family } of this.#held || settles ? [] : FAMILIES) {
      const startMs = performance.now()
      const count = rib.decide(family, this.#batch)
      if (count === 0) continue
      // Oldest first: what was marked since then comes behind them.
      this.#owed[family]! -= count
      this.#reflector.change(family, rib.batch, count)
      this.#onWinners(family, rib.batch, count)
      rib.finish(family, count)
      this.#adaptBatch(count, performance.now() - startMs)
      worked = true
    }
    if (this.#reflector.hasTableWork) {
      this.#reflector.tableSlices()
      worked = true
    }
    const job = this.#jobs[0]
    if (job !== undefined) {
      if (job()) this.#jobs.shift()
      worked = true
    }
    return worked
  }

  /** With kernel routes 4096 prefixes took up to 48 ms. */
  #adaptBatch(count: number, ms: number): void {
    if (ms > SLICE_MS) this.#batch = Math.max(MIN_BATCH, this.#batch >> 1)
    else if (count === this.#batch && ms * 3 < SLICE_MS) this.#batch = Math.min(BATCH_PREFIXES, this.#batch << 1)
  }

  #hasWork(settles: boolean): boolean {
    const rib = this.#rib
    const decides = !this.#held && !settles && (rib.dirtyCount > 0 || this.#reflector.hasQueue)
    return decides || rib.hasClearing || this.#jobs.length > 0 || this.#reflector.hasTableWork
  }
}

/** Longest work before the event loop gets its turn. One batch of prefixes may go over it; the next one is smaller then. */
const SLICE_MS = 4
const FIRST_BATCH = 512
const MIN_BATCH = 256
/** Routes wait for so long after a session has come up, and so long at most while more come up. */
const SETTLE_QUIET_MS = 10
const SETTLE_LIMIT_MS = 50
