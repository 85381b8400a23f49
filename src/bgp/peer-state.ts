/**
 * The state of a peer, since when, and the last changes of it. All times are monotonic milliseconds, as `performance.now()`.
 */
import { History } from './history.js'
import type { HistoryEntry, SessionState } from './session-types.js'

export class PeerState {
  readonly #history = new History()
  #current: SessionState = 'Idle'
  #sinceMs: number
  #upDownSinceMs: number

  constructor(nowMs: number) {
    this.#sinceMs = this.#upDownSinceMs = nowMs
  }

  get current(): SessionState {
    return this.#current
  }

  get sinceMs(): number {
    return this.#sinceMs
  }

  /** When it last became or ceased to be Established, or was made. */
  get upDownSinceMs(): number {
    return this.#upDownSinceMs
  }

  /** Newest last. */
  get history(): readonly HistoryEntry[] {
    return this.#history.entries
  }

  /** From another state than `to`. */
  change(to: SessionState, reason: string, nowMs: number): void {
    const from = this.#current
    this.#current = to
    this.#sinceMs = nowMs
    if (from === 'Established' || to === 'Established') this.#upDownSinceMs = nowMs
    this.#history.add({ atMs: nowMs, from, to, reason })
  }
}
