/**
 * What goes into a session and comes out of it, and how faults and reasons become events and words.
 */
import type { Family } from '../net/family.js'
import type { Direction } from './collision.js'
import { NO_DATA, type NotificationError } from './errors.js'
import type { FsmAction, FsmEvent } from './fsm.js'
import type { Negotiated, OpenMessage } from './message/message.js'
import type { OpenAnswers } from './open-answers.js'
import type { OpenSettings } from './open-check.js'
import { describeNotification } from './reason.js'
import type { DownReason, PeerCounters, RefreshMark, SessionState } from './session-types.js'
import type { Random } from './timers.js'

export interface SessionOptions extends OpenSettings {
  readonly direction: Direction
  readonly connectRetryMs: number
  /** Our OPEN, encoded; absent: by the settings. */
  readonly ownOpen?: Uint8Array
  /** Shared by sessions whose settings are the same in all that concerns the OPEN. */
  readonly answers?: OpenAnswers
  /** Counted here; may be shared by the connections of one peer. */
  readonly counters: PeerCounters
  readonly random: Random
  /** A whole UPDATE at buffer[start, end), header included. May throw NotificationError. */
  readonly onUpdate: (buffer: Uint8Array, start: number, end: number, nowMs: number) => void
  /** What the peer sent ends the session with this NOTIFICATION: the message, or its header where that is wrong; valid during the call. */
  readonly onError?: (error: NotificationError, octets: Uint8Array) => void
}

export type SessionOutput =
  | { readonly type: 'connect' }
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  /** End the connection (or the attempt); `reset`: at once, else after what was sent. */
  | { readonly type: 'close'; readonly reset: boolean }
  | { readonly type: 'state'; readonly from: SessionState; readonly to: SessionState; readonly reason: string }
  /** The peer's OPEN was accepted: time for collision detection. */
  | { readonly type: 'open'; readonly open: OpenMessage }
  | { readonly type: 'established'; readonly negotiated: Negotiated }
  | { readonly type: 'refresh'; readonly family: Family }
  /** BoRR, EoRR (RFC 7313 §4), or EoRR did not come in time. */
  | { readonly type: 'refreshMark'; readonly family: Family; readonly mark: RefreshMark }
  /** The session is Idle again. */
  | { readonly type: 'down'; readonly reason: DownReason; readonly wasEstablished: boolean }

/** In these states there is a TCP connection, and NOTIFICATIONs can be sent. */
export function hasConnection(state: SessionState): boolean {
  return state === 'OpenSent' || state === 'OpenConfirm' || state === 'Established'
}

/** Which event a fault is (RFC 4271 §8.1.5; a reached limit is AutomaticStop, §8.1.2). */
export function eventOf(error: NotificationError): FsmEvent {
  if (error.code === 1) return 'headerError'
  if (error.code === 2) return 'openError'
  return error.code === 6 ? 'automaticStop' : 'updateError'
}

/** The reason as a value; an FSM error of this transition is the reason itself. */
export function explain(actions: readonly FsmAction[], reason: DownReason | string, from: SessionState): DownReason {
  const fsmError = actions.find((action) => action.startsWith('send 5/'))
  if (fsmError === undefined) return typeof reason === 'string' ? { kind: 'notification-sent', text: reason } : reason
  const subcode = Number(fsmError.slice(-1))
  const what = typeof reason === 'string' ? reason : reason.text
  return {
    kind: 'notification-sent',
    code: 5,
    subcode,
    text: `sent ${describeNotification(5, subcode, NO_DATA)}: ${what} in ${from}`,
  }
}
