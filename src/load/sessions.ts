/** Edge: all simulated neighbours. Opens so many at a time, tries again what failed, keeps their timers, and counts why sessions end. */
import { performance } from 'node:perf_hooks'
import { type Ending, Neighbour, type NeighbourSettings } from './neighbour.js'
import { percentile } from './percentile.js'
import type { Member } from './plan.js'
import type { SetupResult } from './types.js'

export interface SessionEvents {
  /** Throws NotificationError where the session has to end. */
  update(member: Member, buffer: Uint8Array, start: number, end: number, nowMs: number): void
  chunkDone(member: Member, nowMs: number): void
  established(neighbour: Neighbour): void
  /** An Established session is gone without having been told to. */
  lost(member: Member): void
  /** More stand, or one is given up. */
  changed(): void
}

export class Sessions {
  readonly all: readonly Neighbour[]
  /** Lost sessions are opened again, and do not count as dropped. */
  reopens = false
  drops = 0
  established = 0
  /** Given up, all tries used. */
  failed = 0
  /** Why no session can be had at all. */
  fatal: string | null = null
  readonly #events: SessionEvents
  readonly #window: number
  readonly #reasons = new Map<string, number>()
  readonly #tries: Uint32Array
  readonly #setupMs: number[] = []
  readonly #retryTimers = new Set<NodeJS.Timeout>()
  readonly #ticker: NodeJS.Timeout
  #waiting: Neighbour[] = []
  #opening = 0
  #everConnected = false
  #retries = 0
  #startedMs = 0
  #setupDoneMs = 0
  #lastTickMs = 0
  #isClosing = false

  constructor(members: readonly Member[], settings: NeighbourSettings, window: number, events: SessionEvents) {
    this.#events = events
    this.#window = window
    this.#tries = new Uint32Array(members.length)
    const neighbourEvents = {
      update: (neighbour: Neighbour, buffer: Uint8Array, start: number, end: number, nowMs: number) =>
        events.update(neighbour.member, buffer, start, end, nowMs),
      chunkDone: (neighbour: Neighbour, nowMs: number) => events.chunkDone(neighbour.member, nowMs),
      established: (neighbour: Neighbour) => this.#stands(neighbour),
      ended: (neighbour: Neighbour, ending: Ending, wasEstablished: boolean) =>
        this.#ended(neighbour, ending, wasEstablished),
    }
    this.all = members.map((member) => new Neighbour(member, settings, neighbourEvents))
    this.#ticker = setInterval(() => this.#tick(), TICK_MS)
  }

  start(): void {
    this.#startedMs = performance.now()
    this.#lastTickMs = this.#startedMs
    this.#waiting = [...this.all].reverse()
    this.#openMore()
  }

  setup(): SetupResult {
    const sorted = Float64Array.from(this.#setupMs).sort()
    const ok = this.established === this.all.length
    return {
      ok,
      established: this.established,
      seconds: ok ? (this.#setupDoneMs - this.#startedMs) / 1000 : null,
      p50Ms: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
      maxMs: percentile(sorted, 1),
      retries: this.#retries,
    }
  }

  /** Why sessions were lost or refused, most frequent first. */
  reasons(): { text: string; count: number }[] {
    return [...this.#reasons].map(([text, count]) => ({ text, count })).sort((a, b) => b.count - a.count)
  }

  async close(): Promise<void> {
    this.#isClosing = true
    clearInterval(this.#ticker)
    for (const timer of this.#retryTimers) clearTimeout(timer)
    await Promise.all(this.all.map((neighbour) => neighbour.close()))
  }

  #openMore(): void {
    while (this.#opening < this.#window && !this.#isClosing && this.fatal === null) {
      const neighbour = this.#waiting.pop()
      if (neighbour === undefined) return
      this.#opening++
      neighbour.open()
    }
  }

  #stands(neighbour: Neighbour): void {
    const nowMs = performance.now()
    this.#opening--
    this.#everConnected = true
    this.#tries[neighbour.member.index] = 0
    this.established++
    this.#setupMs.push(nowMs - neighbour.startedMs)
    if (this.established === this.all.length) this.#setupDoneMs = nowMs
    this.#events.established(neighbour)
    this.#openMore()
    this.#events.changed()
  }

  #ended(neighbour: Neighbour, ending: Ending, wasEstablished: boolean): void {
    if (this.#isClosing) return
    if (wasEstablished) {
      this.established--
      if (this.reopens) {
        this.#retry(neighbour, RETRY_MS)
      } else {
        this.drops++
        this.#count(`session lost: ${ending.text}`)
      }
      this.#events.lost(neighbour.member)
    } else {
      this.#opening--
      this.#notOpened(neighbour, ending)
      this.#openMore()
    }
    this.#events.changed()
  }

  #notOpened(neighbour: Neighbour, ending: Ending): void {
    if (neighbour.isConnected) this.#everConnected = true
    const tries = ++this.#tries[neighbour.member.index]!
    if (this.reopens) {
      this.#retry(neighbour, RETRY_MS)
      return
    }
    this.#count(`session not opened: ${ending.text}`)
    if (ending.kind === 'address') this.fatal = ending.text
    const triedLong = performance.now() - this.#startedMs > GIVE_UP_MS
    if (ending.kind === 'connect' && !this.#everConnected && triedLong) this.fatal = ending.text
    if (ending.isFinal || tries >= MAX_TRIES) this.failed++
    else this.#retry(neighbour, RETRY_MS * tries)
  }

  /** Later by up to twice the time, so that thousands do not come back in the same instant. */
  #retry(neighbour: Neighbour, afterMs: number): void {
    const timer = setTimeout(
      () => {
        this.#retryTimers.delete(timer)
        this.#retries++
        this.#waiting.unshift(neighbour)
        this.#openMore()
      },
      afterMs * (1 + 2 * Math.random()),
    )
    this.#retryTimers.add(timer)
  }

  #count(text: string): void {
    this.#reasons.set(text, (this.#reasons.get(text) ?? 0) + 1)
  }

  #tick(): void {
    const nowMs = performance.now()
    // A late tick: what came in meanwhile may not have been read yet.
    const judgesHold = nowMs - this.#lastTickMs < 4 * TICK_MS
    this.#lastTickMs = nowMs
    for (const neighbour of this.all) neighbour.tick(nowMs, judgesHold)
  }
}

const TICK_MS = 250
const RETRY_MS = 100
/** Nobody listens: no more tries after this time. */
const GIVE_UP_MS = 1000
const MAX_TRIES = 10
