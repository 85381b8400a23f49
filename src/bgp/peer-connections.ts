/**
 * The at most two connections of a peer, one opened by each side, until collision detection leaves one (RFC 4271 §6.8, RFC 6286 §2.3).
 */
import { type Speaker, survivor } from './collision.js'
import type { PeerConnection } from './peer-connection.js'
import type { SessionState } from './session-types.js'

export class PeerConnections {
  /** Opened by us, or being opened. */
  dialled: PeerConnection | null = null
  /** Opened by the peer. */
  accepted: PeerConnection | null = null
  /** Opened by the peer beside the Established one, which it replaces as soon as its OPEN is there (RFC 4724 §5). */
  challenger: PeerConnection | null = null
  /** The Established one of the first two. */
  current: PeerConnection | null = null

  /** Forgets a connection that ended. True: it was the Established one. */
  forget(connection: PeerConnection): boolean {
    if (this.dialled === connection) this.dialled = null
    if (this.accepted === connection) this.accepted = null
    if (this.challenger === connection) this.challenger = null
    if (this.current !== connection) return false
    this.current = null
    // The Established one was the only one beside it.
    if (this.challenger !== null) this.accepted = this.challenger
    this.challenger = null
    return true
  }

  /** Neither Established nor about to be by our own doing: time to think of the next attempt. */
  get noneOfOurs(): boolean {
    return this.dialled === null && this.current === null
  }

  /** State of the connection that is farthest; Idle without any. */
  get farthest(): SessionState {
    return STATES[Math.max(rankOf(this.dialled), rankOf(this.accepted))]!
  }

  get nextDeadlineMs(): number {
    return Math.min(
      this.dialled?.nextDeadlineMs ?? NEVER,
      this.accepted?.nextDeadlineMs ?? NEVER,
      this.challenger?.nextDeadlineMs ?? NEVER,
    )
  }

  onDeadline(nowMs: number): void {
    this.dialled?.onDeadline(nowMs)
    this.accepted?.onDeadline(nowMs)
    this.challenger?.onDeadline(nowMs)
  }

  each(end: (connection: PeerConnection) => void): void {
    for (const connection of [this.dialled, this.accepted, this.challenger]) {
      if (connection === null) continue
      end(connection)
      connection.drain()
    }
  }

  /** `connection` has the peer's OPEN. When both have, the loser is closed with Cease 6/7. */
  resolveCollision(connection: PeerConnection, local: Speaker, remote: Speaker, nowMs: number): void {
    const other = this.#otherThan(connection)
    if (other === null || other.state !== 'OpenConfirm') return
    const loser = connection.session.direction === survivor(local, remote) ? other : connection
    collide(loser, 'connection collision: the other connection stays (RFC 4271 §6.8)', nowMs)
  }

  /** `connection` is Established: it wins. */
  establish(connection: PeerConnection, nowMs: number): void {
    const other = this.#otherThan(connection)
    this.current = connection
    if (other !== null) collide(other, 'connection collision: the other connection is Established', nowMs)
  }

  /** The peer opened a connection; an earlier one of its own cannot be wanted any more. */
  accept(connection: PeerConnection, nowMs: number): void {
    const earlier = this.accepted
    this.accepted = connection
    if (earlier !== null) collide(earlier, 'the peer opened another connection', nowMs)
  }

  /** The same beside an Established one. */
  challenge(connection: PeerConnection, nowMs: number): void {
    const earlier = this.challenger
    this.challenger = connection
    if (earlier !== null) collide(earlier, 'the peer opened another connection', nowMs)
  }

  /** The challenger has the peer's OPEN: the Established connection is lost, without a word to the peer, which knows it no more. */
  replaceCurrent(nowMs: number): void {
    const { current } = this
    current?.session.disconnected('the peer came back with a new connection (RFC 4724 §5)', nowMs)
    current?.drain()
  }

  #otherThan(connection: PeerConnection): PeerConnection | null {
    return connection === this.dialled ? this.accepted : this.dialled
  }
}

function collide(loser: PeerConnection, text: string, nowMs: number): void {
  loser.session.collisionDump(text, nowMs)
  loser.drain()
}

const NEVER = Number.POSITIVE_INFINITY
const STATES: readonly SessionState[] = ['Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established']

function rankOf(connection: PeerConnection | null): number {
  return connection === null ? 0 : STATES.indexOf(connection.state)
}
