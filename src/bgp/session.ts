/**
 * One BGP connection and its FSM (RFC 4271 §8). Pure: bytes, events and the time go in; outputs come out, in order, by `takeOutputs()`.
 * UPDATEs of an Established session go straight to the handler, in place, without an output; before that call all outputs so far should be
 * taken, because `established` may be among them.
 *
 * Timers are deadlines that are looked at in `handleTimeout`: receiving a message costs one store. All times are monotonic milliseconds.
 * A handler may end the session from inside its call (`fail`), or throw NotificationError; nothing further is delivered then.
 */
import { FAMILIES, type Family, familyOf } from '../net/family.js'
import type { Direction } from './collision.js'
import { NO_DATA, NotificationError, unreachable } from './errors.js'
import { type FsmAction, type FsmEvent, fsmCell } from './fsm.js'
import { asHardReset } from './graceful.js'
import { KEEPALIVE_BYTES } from './message/keepalive.js'
import { MAX_MESSAGE_OCTETS, MessageType, type Negotiated, type OpenMessage } from './message/message.js'
import { decodeNotification, encodeNotification } from './message/notification.js'
import { encodeOpen } from './message/open.js'
import { decodeRouteRefresh, RefreshSubtype } from './message/route-refresh.js'
import { OpenAnswers } from './open-answers.js'
import { localOpen } from './open-check.js'
import { describeNotification, downKind, messageName } from './reason.js'
import { eventOf, explain, hasConnection, type SessionOptions, type SessionOutput } from './session-io.js'
import { SessionTimers } from './session-timers.js'
import type { DownReason, PeerCounters, SessionState } from './session-types.js'
import { LARGE_HOLD_MS } from './timers.js'
import { Framer } from './wire/framer.js'

export type { SessionOptions, SessionOutput } from './session-io.js'

const NEVER = Number.POSITIVE_INFINITY

export class Session {
  readonly direction: Direction
  readonly #options: SessionOptions
  readonly #counters: PeerCounters
  #state: SessionState = 'Idle'
  #negotiated: Negotiated | null = null
  #open: OpenMessage | null = null
  #framer = new Framer()
  #outputs: SessionOutput[] = []
  /** The message being served. */
  #message: Uint8Array = NO_DATA
  #messageStart = 0
  #messageEnd = 0
  /** Time of the call being served. */
  #nowMs = 0
  readonly #timers: SessionTimers
  /** Bit n: the peer has sent BoRR for family n, and not yet EoRR. */
  #refreshing = 0

  constructor(options: SessionOptions) {
    this.#options = options
    this.#counters = options.counters
    this.direction = options.direction
    this.#timers = new SessionTimers(options.random)
  }

  get state(): SessionState {
    return this.#state
  }

  /** The AS that our OPEN tells. */
  get localAsn(): number {
    return this.#options.asn
  }

  /** From the peer's OPEN on. */
  get negotiated(): Negotiated | null {
    return this.#negotiated
  }

  get hasOutputs(): boolean {
    return this.#outputs.length > 0
  }

  takeOutputs(): readonly SessionOutput[] {
    if (this.#outputs.length === 0) return NO_OUTPUTS
    const outputs = this.#outputs
    this.#outputs = []
    return outputs
  }

  /** Infinity when no timer runs. */
  nextDeadlineMs(): number {
    return this.#timers.nextMs
  }

  /** The hold timer alone: the edge gives the sockets one more read pass before it lets it expire. */
  get holdDeadlineMs(): number {
    return this.#timers.holdAtMs
  }

  /** Connection opened by us: dials now. Opened by the peer: waits for `connected`. */
  start(nowMs: number, event: 'manualStart' | 'automaticStart' | 'idleHoldTimerExpires' = 'automaticStart'): void {
    this.#nowMs = nowMs
    if (this.direction === 'in') this.#apply('automaticStartPassive', 'waiting for the peer to connect')
    else this.#apply(event, 'connecting')
  }

  /** Ends the session by decision of an operator or the daemon: Cease. */
  stop(given: NotificationError, nowMs: number): void {
    this.#nowMs = nowMs
    this.#applyGiven('manualStop', given)
  }

  /** Ends the session with this NOTIFICATION, by decision of the program (a limit, a bad UPDATE). */
  fail(given: NotificationError, nowMs: number): void {
    this.#nowMs = nowMs
    this.#applyGiven(eventOf(given), given)
  }

  /** The other connection with this peer stays (RFC 4271 §6.8): Cease 6/7. */
  collisionDump(text: string, nowMs: number): void {
    this.#nowMs = nowMs
    this.#applyGiven('collisionDump', new NotificationError(6, 7, text))
  }

  /** The TCP connection is there. */
  connected(nowMs: number): void {
    this.#nowMs = nowMs
    this.#framer = new Framer()
    this.#negotiated = null
    this.#open = null
    this.#refreshing = 0
    this.#apply(this.direction === 'out' ? 'tcpConnectionAcked' : 'tcpConnectionConfirmed', 'TCP connection is up')
  }

  /** The TCP connection is gone, or the attempt failed. */
  disconnected(text: string, nowMs: number): void {
    this.#nowMs = nowMs
    this.#apply('tcpConnectionFails', { kind: 'tcp', text })
  }

  receiveBytes(chunk: Uint8Array, nowMs: number): void {
    if (!hasConnection(this.#state)) return
    this.#nowMs = nowMs
    this.#counters.octetsReceived += chunk.length
    try {
      this.#framer.push(chunk, this.#onMessage, this.#negotiated?.maxMessageOctets ?? MAX_MESSAGE_OCTETS)
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error
      this.#tellError(error)
      if (error.code === 1 && this.#framer.faultType === MessageType.NOTIFICATION) this.#malformedNotification(error)
      else this.#applyGiven(eventOf(error), error)
    }
  }

  /** Does whatever is due. */
  handleTimeout(nowMs: number): void {
    this.#nowMs = nowMs
    const timers = this.#timers
    if (timers.holdAtMs <= nowMs) {
      const text = `hold timer expired: nothing received for ${timers.holdSeconds || LARGE_HOLD_MS / 1000} s`
      this.#apply('holdTimerExpires', { kind: 'hold-timer', code: 4, subcode: 0, text })
    }
    if (timers.sendHoldAtMs <= nowMs) {
      const text = `send hold timer expired: the peer took no data for ${timers.sendHoldSeconds} s (RFC 9687)`
      this.#apply('sendHoldTimerExpires', { kind: 'send-hold-timer', code: 8, subcode: 0, text })
    }
    if (timers.keepaliveAtMs <= nowMs) this.#apply('keepaliveTimerExpires', 'keepalive timer')
    if (timers.refreshAtMs <= nowMs) this.#refreshTimedOut()
    if (timers.connectRetryAtMs <= nowMs) this.#apply('connectRetryTimerExpires', 'connect retry timer expired')
  }

  /** UPDATEs were handed to the socket: the next KEEPALIVE can wait (RFC 4271 §8.2.2, Established, event 27). */
  updatesSent(nowMs: number): void {
    if (this.#state === 'Established') this.#timers.restartKeepalive(nowMs)
  }

  /** A KEEPALIVE out of turn: finds out whether the other end of a quiet connection still knows it. */
  probe(nowMs: number): void {
    this.#nowMs = nowMs
    if (this.#state === 'Established') this.#send(KEEPALIVE_BYTES, MessageType.KEEPALIVE)
  }

  /** The socket holds octets that the peer has not taken; `progress`: it took some since the last call (RFC 9687 §3.1). */
  outputPending(progress: boolean, nowMs: number): void {
    if (this.#state === 'Established') this.#timers.outputPending(progress, nowMs)
  }

  outputTaken(): void {
    this.#timers.sendHoldAtMs = NEVER
  }

  /** Something of the peer's waits to be taken: it is not silent, whatever the time. */
  hasUnread(nowMs: number): void {
    this.#timers.restartHold(nowMs)
  }

  /** We stop reading from the peer: its hold timer stands still until we read again. */
  pauseHold(nowMs: number): void {
    this.#timers.pauseHold(nowMs)
  }

  resumeHold(nowMs: number): void {
    this.#timers.resumeHold(nowMs)
  }

  readonly #onMessage = (buffer: Uint8Array, start: number, end: number, type: number): void => {
    this.#message = buffer
    this.#messageStart = start
    this.#messageEnd = end
    this.#counters.received[type] = (this.#counters.received[type] ?? 0) + 1
    switch (type) {
      case MessageType.UPDATE: {
        if (this.#state !== 'Established') {
          this.#unexpected('updateReceived', type)
          return
        }
        this.#timers.restartHold(this.#nowMs)
        this.#options.onUpdate(buffer, start, end, this.#nowMs)
        return
      }
      case MessageType.KEEPALIVE:
        this.#unexpected('keepaliveReceived', type)
        return
      case MessageType.OPEN: {
        if (this.#state !== 'OpenSent') {
          this.#unexpected('openReceived', type)
          return
        }
        const { open, negotiated } = (this.#options.answers ?? new OpenAnswers()).accept(
          buffer,
          start,
          end,
          this.#options,
        )
        this.#negotiated = negotiated
        this.#open = open
        // What lies behind it in the same chunk may be long already (RFC 8654 §4).
        this.#framer.maxOctets = negotiated.maxMessageOctets
        this.#apply('openReceived', 'OPEN received')
        return
      }
      case MessageType.NOTIFICATION:
        this.#notificationReceived(buffer, start, end)
        return
      default:
        if (this.#state !== 'Established') {
          this.#unexpected('routeRefreshReceived', type)
          return
        }
        this.#timers.restartHold(this.#nowMs)
        this.#refresh(buffer, start, end)
        return
    }
  }

  /** The reason is only used where the message is not expected in this state (RFC 6608). */
  #unexpected(event: FsmEvent, type: number): void {
    const reason = event === 'keepaliveReceived' ? 'KEEPALIVE received' : `${messageName(type)} received`
    this.#apply(event, reason, Uint8Array.of(type))
  }

  #refresh(buffer: Uint8Array, start: number, end: number): void {
    const message = decodeRouteRefresh(buffer, start, end)
    const family = familyOf(message.afi, message.safi)
    const known = family !== undefined && this.#negotiated!.families.includes(family)
    if (known && message.subtype === RefreshSubtype.REQUEST) this.#outputs.push({ type: 'refresh', family })
    else if (!known || !this.#refreshMark(family, message.subtype)) this.#counters.routeRefreshIgnored++
  }

  /** False: nothing that was agreed on, or an EoRR without its BoRR (RFC 7313 §4, §5). */
  #refreshMark(family: Family, subtype: number): boolean {
    if (!this.#negotiated!.enhancedRefresh) return false
    const bit = 1 << family
    if (subtype === RefreshSubtype.BORR) {
      this.#refreshing |= bit
      this.#timers.refreshAtMs = this.#nowMs + REFRESH_LIMIT_MS
      this.#outputs.push({ type: 'refreshMark', family, mark: 'begin' })
      return true
    }
    if (subtype !== RefreshSubtype.EORR || (this.#refreshing & bit) === 0) return false
    this.#refreshing &= ~bit
    if (this.#refreshing === 0) this.#timers.refreshAtMs = NEVER
    this.#outputs.push({ type: 'refreshMark', family, mark: 'end' })
    return true
  }

  /** What the peer has not said again by now is as good as withdrawn. */
  #refreshTimedOut(): void {
    this.#timers.refreshAtMs = NEVER
    for (const { family } of FAMILIES)
      if ((this.#refreshing & (1 << family)) !== 0) this.#outputs.push({ type: 'refreshMark', family, mark: 'timeout' })
    this.#refreshing = 0
  }

  /** Never answered, whatever is in it (RFC 4271 §6.4). */
  #notificationReceived(buffer: Uint8Array, start: number, end: number): void {
    const { code, subcode, data } = decodeNotification(buffer, start, end)
    const event = code === 2 && subcode === 1 ? 'notificationVersionError' : 'notificationReceived'
    const text = `received ${describeNotification(code, subcode, data)}`
    this.#apply(event, { kind: 'notification-received', code, subcode, text })
  }

  #tellError(error: NotificationError): void {
    if (error.code === 3) this.#counters.updateErrors++
    if (error.code <= 3) this.#counters.errorResets++
    const header = this.#framer.faultOctets
    const octets = header.length > 0 ? header : this.#message.subarray(this.#messageStart, this.#messageEnd)
    this.#options.onError?.(error, octets)
  }

  #malformedNotification(error: NotificationError): void {
    const text = `received a malformed NOTIFICATION: ${error.message}`
    this.#apply('notificationReceived', { kind: 'notification-received', text })
  }

  #applyGiven(event: FsmEvent, given: NotificationError): void {
    const { code, subcode, message } = given
    const sent = this.#state === 'Established' ? asHardReset(given, this.#negotiated) : given
    const sends = hasConnection(this.#state) && code !== 0
    const text = sends ? `sent ${describeNotification(sent.code, sent.subcode, sent.data)}: ${message}` : message
    this.#apply(event, { kind: downKind(code, subcode), code, subcode, text }, NO_DATA, sent)
  }

  /** The one place where the state changes. */
  #apply(
    event: FsmEvent,
    reason: DownReason | string,
    fsmErrorData = NO_DATA,
    given: NotificationError | null = null,
  ): void {
    const from = this.#state
    const cell = fsmCell(from, event)
    if (cell.next === from) {
      for (const action of cell.actions) this.#act(action, given, fsmErrorData)
      return
    }
    const why = explain(cell.actions, reason, from)
    this.#state = cell.next
    this.#outputs.push({ type: 'state', from, to: cell.next, reason: why.text })
    for (const action of cell.actions) this.#act(action, given, fsmErrorData)
    if (cell.next === 'Idle') {
      this.#timers.stopForConnection()
      this.#timers.connectRetryAtMs = NEVER
      this.#outputs.push({ type: 'down', reason: why, wasEstablished: from === 'Established' })
    }
  }

  #act(action: FsmAction, given: NotificationError | null, fsmErrorData: Uint8Array): void {
    switch (action) {
      case 'start connectRetry':
        // A connection that the peer opened is never dialled again from here.
        if (this.direction === 'out') this.#timers.startConnectRetry(this.#options.connectRetryMs, this.#nowMs)
        return
      case 'stop connectRetry':
        this.#timers.connectRetryAtMs = NEVER
        return
      case 'dial':
        this.#outputs.push({ type: 'connect' })
        return
      case 'send OPEN':
        this.#send(this.#options.ownOpen ?? encodeOpen(localOpen(this.#options)), MessageType.OPEN)
        return
      case 'start large hold':
        this.#timers.startLargeHold(this.#nowMs)
        return
      case 'negotiate':
        this.#negotiate()
        return
      case 'send KEEPALIVE':
        this.#send(KEEPALIVE_BYTES, MessageType.KEEPALIVE)
        this.#timers.restartKeepalive(this.#nowMs)
        return
      case 'start hold and keepalive':
        this.#timers.restartKeepalive(this.#nowMs)
        // Hold time 0 counts from Established on: until then the large one keeps a peer that says no more from staying for ever.
        if (this.#timers.holdSeconds > 0) this.#timers.restartHold(this.#nowMs)
        return
      case 'restart hold':
        this.#timers.restartHold(this.#nowMs)
        return
      case 'established':
        this.#counters.establishedCount++
        this.#outputs.push({ type: 'established', negotiated: this.#negotiated! })
        return
      case 'deliver UPDATE':
      case 'deliver ROUTE-REFRESH':
        return // Done where the message is (#onMessage), without a detour.
      case 'send given':
        if (given !== null) this.#notify(given.code, given.subcode, given.data)
        return
      case 'send 4/0':
        this.#notify(4, 0, NO_DATA)
        return
      case 'send 5/1':
        this.#notify(5, 1, fsmErrorData)
        return
      case 'send 5/2':
        this.#notify(5, 2, fsmErrorData)
        return
      case 'send 5/3':
        this.#notify(5, 3, fsmErrorData)
        return
      case 'send 8/0':
        this.#notify(8, 0, NO_DATA)
        return
      case 'close':
      case 'reset':
        this.#framer.stop()
        this.#timers.stopForConnection()
        this.#outputs.push({ type: 'close', reset: action === 'reset' })
        return
      default:
        unreachable(action)
    }
  }

  #negotiate(): void {
    const { holdTimeSeconds, keepaliveSeconds } = this.#negotiated!
    this.#timers.setNegotiated(holdTimeSeconds, keepaliveSeconds)
    this.#outputs.push({ type: 'open', open: this.#open! })
  }

  #send(bytes: Uint8Array, type: number): void {
    this.#counters.sent[type] = (this.#counters.sent[type] ?? 0) + 1
    this.#counters.octetsSent += bytes.length
    this.#outputs.push({ type: 'send', bytes })
  }

  #notify(code: number, subcode: number, data: Uint8Array): void {
    this.#send(encodeNotification(code, subcode, data), MessageType.NOTIFICATION)
  }
}

/** How long a peer may take from BoRR to EoRR. RFC 7313 §4 leaves the bound to us. */
const REFRESH_LIMIT_MS = 600_000
const NO_OUTPUTS: readonly SessionOutput[] = Object.freeze([])
