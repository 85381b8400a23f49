/**
 * The timers of one session (RFC 4271 §8.1.3, RFC 9687), as deadlines that somebody looks at: starting one again is one store. Pure; all
 * times are monotonic milliseconds, Infinity is 'does not run'.
 */
import { jitterAround, jitterDown, LARGE_HOLD_MS, type Random, sendHoldMs } from './timers.js'

const NEVER = Number.POSITIVE_INFINITY

export class SessionTimers {
  connectRetryAtMs = NEVER
  holdAtMs = NEVER
  keepaliveAtMs = NEVER
  sendHoldAtMs = NEVER
  /** When a refresh that the peer has begun counts as ended (RFC 7313 §4). */
  refreshAtMs = NEVER
  readonly #random: Random
  #holdMs = LARGE_HOLD_MS
  #keepaliveMs = 0
  #sendHoldMs = 0
  /** What is left of the hold time while reading is paused; -1 when it is not. */
  #holdLeftMs = -1

  constructor(random: Random) {
    this.#random = random
  }

  get nextMs(): number {
    return Math.min(this.connectRetryAtMs, this.holdAtMs, this.keepaliveAtMs, this.sendHoldAtMs, this.refreshAtMs)
  }

  /** The hold time in force; 0: none. */
  get holdSeconds(): number {
    return this.#holdMs / 1000
  }

  get sendHoldSeconds(): number {
    return this.#sendHoldMs / 1000
  }

  startConnectRetry(intervalMs: number, nowMs: number): void {
    this.connectRetryAtMs = nowMs + jitterAround(intervalMs, this.#random)
  }

  /** While the peer's OPEN is awaited. */
  startLargeHold(nowMs: number): void {
    this.#holdLeftMs = -1
    this.#holdMs = LARGE_HOLD_MS
    this.holdAtMs = nowMs + LARGE_HOLD_MS
  }

  /** 0: neither hold timer nor keepalives (RFC 4271 §4.4). */
  setNegotiated(holdTimeSeconds: number, keepaliveSeconds: number): void {
    this.#holdMs = holdTimeSeconds * 1000
    this.#keepaliveMs = keepaliveSeconds * 1000
    this.#sendHoldMs = sendHoldMs(holdTimeSeconds)
  }

  restartHold(nowMs: number): void {
    if (this.#holdLeftMs >= 0) this.#holdLeftMs = this.#holdMs
    else this.holdAtMs = this.#holdMs === 0 ? NEVER : nowMs + this.#holdMs
  }

  /** We stop reading: the hold timer stands still. */
  pauseHold(nowMs: number): void {
    if (this.#holdLeftMs >= 0 || this.holdAtMs === NEVER) return
    this.#holdLeftMs = Math.max(0, this.holdAtMs - nowMs)
    this.holdAtMs = NEVER
  }

  resumeHold(nowMs: number): void {
    if (this.#holdLeftMs < 0) return
    this.holdAtMs = nowMs + this.#holdLeftMs
    this.#holdLeftMs = -1
  }

  restartKeepalive(nowMs: number): void {
    this.keepaliveAtMs = this.#keepaliveMs === 0 ? NEVER : nowMs + jitterDown(this.#keepaliveMs, this.#random)
  }

  /** Octets wait for the peer; `progress`: it took some since the last call. */
  outputPending(progress: boolean, nowMs: number): void {
    if (progress || this.sendHoldAtMs === NEVER) this.sendHoldAtMs = nowMs + this.#sendHoldMs
  }

  /** The connection is over; ConnectRetryTimer may run on. */
  stopForConnection(): void {
    this.holdAtMs = this.keepaliveAtMs = this.sendHoldAtMs = this.refreshAtMs = NEVER
    this.#holdLeftMs = -1
  }
}
