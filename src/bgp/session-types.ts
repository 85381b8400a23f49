/**
 * Values that pass between session, transport and speaker.
 */
import type { Family } from '../net/family.js'
import type { NotificationError } from './errors.js'
import type { Negotiated } from './message/message.js'

export type SessionState = 'Idle' | 'Connect' | 'Active' | 'OpenSent' | 'OpenConfirm' | 'Established'

/** The connection of a session that is over. The peer may still have to read our last words. */
export interface EndedConnection {
  /** Calls when the peer has closed its side too, and so has our NOTIFICATION, or had its time for it; at once when nothing is left of the connection. */
  onceOver(call: () => void): void
}

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
    | 'bfd' // RFC 9384
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
  /** UPDATEs with a fault, whatever was done about it. */
  updateErrors: number
  /** UPDATEs of which routes were treated as withdrawn, or attributes discarded (RFC 7606 §2). */
  treatedAsWithdraw: number
  attributesDiscarded: number
  /** Sessions and attempts that we ended for a wrong message: NOTIFICATION 1/x, 2/x, 3/x. */
  errorResets: number
  /** NLRI fields of families that were not negotiated: left out. */
  familiesIgnored: number
  /** ROUTE-REFRESH messages for families that were not negotiated, or of a subtype we did not offer: ignored (RFC 2918 §4). */
  routeRefreshIgnored: number
  /** Refreshes that the peer has begun with BoRR and ended with EoRR (RFC 7313). */
  refreshesEnded: number
  /** Those whose EoRR did not come in time. */
  refreshesTimedOut: number
}

/** How a peer marks its answer to a refresh. */
export type RefreshMark = 'begin' | 'end' | 'timeout'

export function newPeerCounters(): PeerCounters {
  return {
    received: [0, 0, 0, 0, 0, 0],
    sent: [0, 0, 0, 0, 0, 0],
    octetsReceived: 0,
    octetsSent: 0,
    establishedCount: 0,
    droppedCount: 0,
    updateErrors: 0,
    treatedAsWithdraw: 0,
    attributesDiscarded: 0,
    errorResets: 0,
    familiesIgnored: 0,
    routeRefreshIgnored: 0,
    refreshesEnded: 0,
    refreshesTimedOut: 0,
  }
}

/** One change of state of a peer. */
export interface HistoryEntry {
  /** Monotonic milliseconds, as `performance.now()`. */
  readonly atMs: number
  readonly from: SessionState
  readonly to: SessionState
  readonly reason: string
}

/** A fact for the log: the daemon decides about level and words. */
export interface SessionFact {
  /** Stable name: `listener.unknown-peer`. */
  readonly event: string
  /** One clear line for people. */
  readonly text: string
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly peer?: string
  readonly address?: string
  /** How many more of the same were not reported since the last one. */
  readonly suppressed?: number
}

/** What the session layer tells the speaker. Called synchronously from the event loop. */
export interface PeerEvents<P> {
  established(peer: P, negotiated: Negotiated): void
  /** After established only; the session is gone, its routes have to go. */
  down(peer: P, reason: DownReason, ended: EndedConnection): void
  /**
   * A whole UPDATE lies at buffer[start, end), header included. May throw NotificationError, which ends this session.
   * The buffer belongs to the transport: what has to stay is copied. `nowMs`: when it was read.
   */
  update(peer: P, buffer: Uint8Array, start: number, end: number, nowMs: number): void
  /** What the peer sent ends its session or attempt; `octets`: the message, or its header where that is wrong; valid during the call. */
  wrongMessage?(peer: P, error: NotificationError, octets: Uint8Array): void
  routeRefresh(peer: P, family: Family): void
  /** Between `begin` and one of the others the peer says again all that it has (RFC 7313 §4). */
  refreshMark(peer: P, family: Family, mark: RefreshMark): void
  /** The socket of an Established peer can take more after having been full (see PeerLink.writable). */
  drained(peer: P): void
  /** A range neighbour's peer object was made or is gone for good (never for configured ones). */
  dynamicPeer(peer: P, present: boolean): void
  stateChange(peer: P, from: SessionState, to: SessionState, reason: string): void
}
