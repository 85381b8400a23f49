/**
 * Values that pass between session, transport and speaker.
 */
import type { Family } from '../net/family.js'
import type { Negotiated } from './message/message.js'

export type SessionState = 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established'

/** Why a session ended or a connection was refused, in words and on the wire. */
export interface DownReason {
  readonly kind:
    | 'admin' // neighbor down, deconfigured, daemon stop
    | 'notification-sent'
    | 'notification-received'
    | 'hold-timer'
    | 'send-hold-timer'
    | 'tcp' // closed or failed
    | 'collision'
    | 'reconfigured'
    | 'max-prefix'
  /** One clear line: what, where, what to do. */
  readonly text: string
  readonly code?: number
  readonly subcode?: number
}

export interface PeerCounters {
  /** Messages by MessageType 1..5 (index 0 unused). */
  readonly received: number[]
  readonly sent: number[]
  octetsReceived: number
  octetsSent: number
  establishedCount: number
  droppedCount: number
  updateErrors: number
}

/** What the session layer tells the speaker. Called synchronously from the event loop. */
export interface PeerEvents<P> {
  established(peer: P, negotiated: Negotiated): void
  /** After established only; the session is gone, its routes have to go. */
  down(peer: P, reason: DownReason): void
  /**
   * A whole UPDATE lies at buffer[start, end), header included. May throw NotificationError, which ends this session.
   * The buffer belongs to the transport: what has to stay is copied.
   */
  update(peer: P, buffer: Uint8Array, start: number, end: number): void
  routeRefresh(peer: P, family: Family): void
  /** The socket of an Established peer can take more after having been full (see PeerLink.writable). */
  drained(peer: P): void
  /** A range neighbour's peer object was made or is gone for good (never for configured ones). */
  dynamicPeer(peer: P, present: boolean): void
  stateChange(peer: P, from: SessionState, to: SessionState, reason: string): void
}
