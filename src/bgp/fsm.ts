/**
 * The finite state machine of one BGP connection as a table (RFC 4271 §8.2.2, RFC 6608, RFC 9687 §3.2). Pure: state and event in, next
 * state and actions out. Nothing else changes the state of a session. docs/fsm.md is the print of this table.
 *
 * A peer that both sides dial has two of these for a moment (RFC 4271 §6.8); the peer decides which one gets event 23.
 *
 * Deviations, each for a reason:
 * - Connect, event 18 goes to Active and tries again after ConnectRetryTime, also without DelayOpenTimer: what operators know, and what every
 *   other speaker does.
 * - A NOTIFICATION is never answered with a NOTIFICATION: OpenSent, event 25 closes without 5/1.
 * - OpenConfirm, event 19: a second OPEN on one connection cannot be the other connection's, so it is an unexpected message (5/2); the OPEN
 *   of the other connection is judged by the peer.
 * - Established, events 21 and 22 send the code of the fault (RFC 4271 §6.1) instead of an FSM error.
 * - The ConnectRetryCounter is the peer's back-off (src/bgp/backoff.ts), because it has to survive the connection.
 */
import type { SessionState } from './session-types.js'

/** Number, name in RFC 4271 §8.1, and why an optional event is never raised here (empty: it is). */
interface EventRow {
  readonly number: number
  readonly rfcName: string
  readonly unused: string
}

const used = (number: number, rfcName: string): EventRow => Object.freeze({ number, rfcName, unused: '' })
const notUsed = (number: number, rfcName: string, unused: string): EventRow =>
  Object.freeze({ number, rfcName, unused })

export const FSM_EVENTS = Object.freeze({
  manualStart: used(1, 'ManualStart'),
  manualStop: used(2, 'ManualStop'),
  automaticStart: used(3, 'AutomaticStart'),
  manualStartPassive: notUsed(4, 'ManualStart_with_PassiveTcpEstablishment', 'a passive peer starts by its connection'),
  automaticStartPassive: used(5, 'AutomaticStart_with_PassiveTcpEstablishment'),
  automaticStartDamped: notUsed(6, 'AutomaticStart_with_DampPeerOscillations', 'event 13 ends the back-off'),
  automaticStartDampedPassive: notUsed(
    7,
    'AutomaticStart_with_DampPeerOscillations_and_PassiveTcpEstablishment',
    'event 13 ends the back-off',
  ),
  automaticStop: used(8, 'AutomaticStop'),
  connectRetryTimerExpires: used(9, 'ConnectRetryTimer_Expires'),
  holdTimerExpires: used(10, 'HoldTimer_Expires'),
  keepaliveTimerExpires: used(11, 'KeepaliveTimer_Expires'),
  delayOpenTimerExpires: notUsed(12, 'DelayOpenTimer_Expires', 'OPEN is never delayed'),
  idleHoldTimerExpires: used(13, 'IdleHoldTimer_Expires'),
  tcpConnectionValid: notUsed(14, 'Tcp_CR_Valid', 'the kernel completes a connection before we see it'),
  tcpConnectionInvalid: notUsed(15, 'Tcp_CR_Invalid', 'the listener closes connections of unknown addresses'),
  tcpConnectionAcked: used(16, 'Tcp_CR_Acked'),
  tcpConnectionConfirmed: used(17, 'TcpConnectionConfirmed'),
  tcpConnectionFails: used(18, 'TcpConnectionFails'),
  openReceived: used(19, 'BGPOpen'),
  openReceivedDelayed: notUsed(20, 'BGPOpen with DelayOpenTimer running', 'OPEN is never delayed'),
  headerError: used(21, 'BGPHeaderErr'),
  openError: used(22, 'BGPOpenMsgErr'),
  collisionDump: used(23, 'OpenCollisionDump'),
  notificationVersionError: used(24, 'NotifMsgVerErr'),
  notificationReceived: used(25, 'NotifMsg'),
  keepaliveReceived: used(26, 'KeepAliveMsg'),
  updateReceived: used(27, 'UpdateMsg'),
  updateError: used(28, 'UpdateMsgErr'),
  sendHoldTimerExpires: used(29, 'SendHoldTimer_Expires (RFC 9687)'),
  /** RFC 2918 gives it no number. */
  routeRefreshReceived: used(0, 'ROUTE-REFRESH message (RFC 2918)'),
} as const)

export type FsmEvent = keyof typeof FSM_EVENTS

/**
 * What a session does, in this order. `send given` sends the NOTIFICATION that the event carries. `close` ends the connection after what
 * was written (FIN), `reset` at once (RST).
 */
export type FsmAction =
  | 'start connectRetry'
  | 'stop connectRetry'
  | 'dial'
  | 'send OPEN'
  | 'start large hold'
  | 'negotiate'
  | 'send KEEPALIVE'
  | 'start hold and keepalive'
  | 'restart hold'
  | 'established'
  | 'deliver UPDATE'
  | 'deliver ROUTE-REFRESH'
  | 'send given'
  | 'send 4/0'
  | 'send 5/1'
  | 'send 5/2'
  | 'send 5/3'
  | 'send 8/0'
  | 'close'
  | 'reset'

export interface FsmCell {
  readonly next: SessionState
  readonly actions: readonly FsmAction[]
}

type FsmRow = { readonly [event in FsmEvent]?: FsmCell } & { readonly otherwise: FsmCell }

const to = (next: SessionState, ...actions: FsmAction[]): FsmCell =>
  Object.freeze({ next, actions: Object.freeze(actions) })

export const FSM_STATES: readonly SessionState[] = Object.freeze([
  'Idle',
  'Connect',
  'Active',
  'OpenSent',
  'OpenConfirm',
  'Established',
])

const closeQuietly = to('Idle', 'stop connectRetry', 'close')
const closeWithGiven = to('Idle', 'send given', 'stop connectRetry', 'close')
const closeWithHoldExpired = to('Idle', 'send 4/0', 'stop connectRetry', 'close')

export const FSM_TABLE: { readonly [state in SessionState]: FsmRow } = Object.freeze({
  Idle: {
    manualStart: to('Connect', 'start connectRetry', 'dial'), //               event 1
    automaticStart: to('Connect', 'start connectRetry', 'dial'), //            event 3
    manualStartPassive: to('Active'), //                                       event 4
    automaticStartPassive: to('Active'), //                                    event 5
    automaticStartDamped: to('Connect', 'start connectRetry', 'dial'), //      event 6
    automaticStartDampedPassive: to('Active'), //                              event 7
    idleHoldTimerExpires: to('Connect', 'start connectRetry', 'dial'), //      event 13, §8.1.1 DampPeerOscillations
    otherwise: to('Idle'),
  },
  Connect: {
    manualStart: to('Connect'), //                                             events 1, 3 to 7: ignored
    automaticStart: to('Connect'),
    manualStartPassive: to('Connect'),
    automaticStartPassive: to('Connect'),
    automaticStartDamped: to('Connect'),
    automaticStartDampedPassive: to('Connect'),
    connectRetryTimerExpires: to('Connect', 'close', 'start connectRetry', 'dial'), // event 9
    tcpConnectionValid: to('Connect'), //                                      event 14
    tcpConnectionInvalid: to('Connect'), //                                    event 15
    tcpConnectionAcked: to('OpenSent', 'stop connectRetry', 'send OPEN', 'start large hold'), // event 16
    tcpConnectionConfirmed: to('OpenSent', 'stop connectRetry', 'send OPEN', 'start large hold'), // event 17
    tcpConnectionFails: to('Active', 'close', 'start connectRetry'), //        event 18
    otherwise: closeQuietly, //                                                events 2, 8, 10 to 13, 19 to 28
  },
  Active: {
    manualStart: to('Active'), //                                              events 1, 3 to 7: ignored
    automaticStart: to('Active'),
    manualStartPassive: to('Active'),
    automaticStartPassive: to('Active'),
    automaticStartDamped: to('Active'),
    automaticStartDampedPassive: to('Active'),
    connectRetryTimerExpires: to('Connect', 'start connectRetry', 'dial'), //  event 9
    tcpConnectionValid: to('Active'), //                                       event 14
    tcpConnectionInvalid: to('Active'), //                                     event 15
    tcpConnectionAcked: to('OpenSent', 'stop connectRetry', 'send OPEN', 'start large hold'), // event 16
    tcpConnectionConfirmed: to('OpenSent', 'stop connectRetry', 'send OPEN', 'start large hold'), // event 17
    otherwise: closeQuietly, //                                                events 2, 8, 10 to 13, 18 to 28
  },
  OpenSent: {
    manualStart: to('OpenSent'), //                                            events 1, 3 to 7: ignored
    automaticStart: to('OpenSent'),
    manualStartPassive: to('OpenSent'),
    automaticStartPassive: to('OpenSent'),
    automaticStartDamped: to('OpenSent'),
    automaticStartDampedPassive: to('OpenSent'),
    manualStop: closeWithGiven, //                                             event 2: Cease
    automaticStop: closeWithGiven, //                                          event 8: Cease
    holdTimerExpires: closeWithHoldExpired, //                                 event 10
    tcpConnectionValid: to('OpenSent'), //                                     event 14: the peer's other session
    tcpConnectionInvalid: to('OpenSent'), //                                   event 15
    tcpConnectionAcked: to('OpenSent'), //                                     event 16: the peer's other session
    tcpConnectionConfirmed: to('OpenSent'), //                                 event 17: the peer's other session
    tcpConnectionFails: to('Active', 'close', 'start connectRetry'), //        event 18
    openReceived: to('OpenConfirm', 'stop connectRetry', 'negotiate', 'send KEEPALIVE', 'start hold and keepalive'), // event 19
    headerError: closeWithGiven, //                                            event 21
    openError: closeWithGiven, //                                              event 22
    collisionDump: closeWithGiven, //                                          event 23: Cease 6/7
    notificationVersionError: closeQuietly, //                                 event 24
    notificationReceived: closeQuietly, //                                     event 25
    otherwise: to('Idle', 'send 5/1', 'stop connectRetry', 'close'), //        events 9, 11 to 13, 20, 26 to 28; RFC 6608
  },
  OpenConfirm: {
    manualStart: to('OpenConfirm'), //                                         events 1, 3 to 7: ignored
    automaticStart: to('OpenConfirm'),
    manualStartPassive: to('OpenConfirm'),
    automaticStartPassive: to('OpenConfirm'),
    automaticStartDamped: to('OpenConfirm'),
    automaticStartDampedPassive: to('OpenConfirm'),
    manualStop: closeWithGiven, //                                             event 2: Cease
    automaticStop: closeWithGiven, //                                          event 8: Cease
    holdTimerExpires: closeWithHoldExpired, //                                 event 10
    keepaliveTimerExpires: to('OpenConfirm', 'send KEEPALIVE'), //             event 11
    tcpConnectionValid: to('OpenConfirm'), //                                  event 14: the peer's other session
    tcpConnectionInvalid: to('OpenConfirm'), //                                event 15
    tcpConnectionAcked: to('OpenConfirm'), //                                  event 16: the peer's other session
    tcpConnectionConfirmed: to('OpenConfirm'), //                              event 17: the peer's other session
    tcpConnectionFails: closeQuietly, //                                       event 18
    headerError: closeWithGiven, //                                            event 21
    openError: closeWithGiven, //                                              event 22
    collisionDump: closeWithGiven, //                                          event 23: Cease 6/7
    notificationVersionError: closeQuietly, //                                 event 24
    notificationReceived: closeQuietly, //                                     event 25
    keepaliveReceived: to('Established', 'restart hold', 'established'), //    event 26
    otherwise: to('Idle', 'send 5/2', 'stop connectRetry', 'close'), //        events 9, 12, 13, 19, 20, 27, 28; RFC 6608
  },
  Established: {
    manualStart: to('Established'), //                                         events 1, 3 to 7: ignored
    automaticStart: to('Established'),
    manualStartPassive: to('Established'),
    automaticStartPassive: to('Established'),
    automaticStartDamped: to('Established'),
    automaticStartDampedPassive: to('Established'),
    manualStop: closeWithGiven, //                                             event 2: Cease
    automaticStop: closeWithGiven, //                                          event 8: Cease, e.g. 6/1
    holdTimerExpires: closeWithHoldExpired, //                                 event 10
    keepaliveTimerExpires: to('Established', 'send KEEPALIVE'), //             event 11
    tcpConnectionValid: to('Established'), //                                  event 14: refused by the peer
    tcpConnectionInvalid: to('Established'), //                                event 15
    tcpConnectionAcked: to('Established'), //                                  event 16: the peer's other session
    tcpConnectionConfirmed: to('Established'), //                              event 17: the peer's other session
    tcpConnectionFails: closeQuietly, //                                       event 18
    headerError: closeWithGiven, //                                            event 21
    openError: closeWithGiven, //                                              event 22
    collisionDump: closeWithGiven, //                                          event 23: Cease 6/7
    notificationVersionError: closeQuietly, //                                 event 24
    notificationReceived: closeQuietly, //                                     event 25
    keepaliveReceived: to('Established', 'restart hold'), //                   event 26
    updateReceived: to('Established', 'restart hold', 'deliver UPDATE'), //    event 27
    updateError: closeWithGiven, //                                            event 28
    sendHoldTimerExpires: to('Idle', 'send 8/0', 'stop connectRetry', 'reset'), // event 29, RFC 9687 §3.2
    routeRefreshReceived: to('Established', 'restart hold', 'deliver ROUTE-REFRESH'),
    otherwise: to('Idle', 'send 5/3', 'stop connectRetry', 'close'), //        events 9, 12, 13, 19, 20; RFC 6608
  },
})

export function fsmCell(state: SessionState, event: FsmEvent): FsmCell {
  const row = FSM_TABLE[state]
  return row[event] ?? row.otherwise
}

/** The table as a Markdown document: docs/fsm.md. */
export function printFsm(): string {
  const events = Object.entries(FSM_EVENTS) as [FsmEvent, EventRow][]
  const lines = [
    '# The BGP finite state machine',
    '',
    'Printed from `src/bgp/fsm.ts` by `node scripts/print-fsm.mjs`; a test keeps both equal. RFC 4271 §8.2.2, RFC 6608, RFC 9687.',
    'Each cell: next state, then the actions in order. `·` stays without doing anything.',
    '',
    `| Event | ${FSM_STATES.join(' | ')} |`,
    `|---|${FSM_STATES.map(() => '---').join('|')}|`,
    ...events.map(
      ([event, row]) =>
        `| ${row.number === 0 ? '' : `${row.number} `}${row.rfcName} | ${FSM_STATES.map((state) => cellText(state, event)).join(' | ')} |`,
    ),
    '',
    '## Optional events that this speaker never raises',
    '',
    ...events.filter(([, row]) => row.unused !== '').map(([, row]) => `- ${row.number} ${row.rfcName}: ${row.unused}.`),
    '',
  ]
  return lines.join('\n')
}

function cellText(state: SessionState, event: FsmEvent): string {
  const { next, actions } = fsmCell(state, event)
  if (next === state && actions.length === 0) return '·'
  return [`**${next}**`, ...actions].join(', ')
}
