/**
 * A neighbour: one that is configured, or one that came from inside a configured range. It owns at most two connections (one that we
 * opened, one that the peer opened) until collision detection leaves one (RFC 4271 §6.8), decides when to connect again, and is what the
 * RIB and the update groups know of a session.
 *
 * When to try again: after ConnectRetryTime ± 25 %; after protocol errors and max-prefix by the back-off, and only then are connections of
 * the peer refused meanwhile (Cease 6/5).
 *
 * All calls into PeerEvents are synchronous and may call back into the peer.
 */
import type { NeighborConfig } from '../config/types.js'
import type { Family } from '../net/family.js'
import { familyRow } from '../net/family.js'
import type { Backoff } from './backoff.js'
import type { Clock } from './clock.js'
import type { Direction, Speaker } from './collision.js'
import { DualAsn } from './dual-asn.js'
import { NotificationError, unreachable } from './errors.js'
import { mayRestart } from './graceful.js'
import { HoldDown } from './hold-down.js'
import type { Dial, Link } from './link.js'
import { MessageType, type Negotiated } from './message/message.js'
import { encodeRouteRefresh } from './message/route-refresh.js'
import { countUpdates, refuse, shutdownData } from './outgoing.js'
import type { OwnOpens } from './own-open.js'
import { type ConnectionOwner, PeerConnection, type PeerOutput } from './peer-connection.js'
import { PeerConnections } from './peer-connections.js'
import { PeerSockets, type PeerSocketsContext } from './peer-sockets.js'
import { PeerState } from './peer-state.js'
import { refusesAsn, refusesCapabilities } from './reason.js'
import {
  type DownReason,
  type HistoryEntry,
  newPeerCounters,
  type PeerCounters,
  type PeerEvents,
  type SessionState,
} from './session-types.js'
import { socketSettings } from './socket-settings.js'
import { jitterAround, type Random, type Wakeable } from './timers.js'

/** What all peers of a speaker share. */
export interface PeerContext extends PeerSocketsContext {
  /** Our own AS, where a neighbour's localAsn is another one. */
  readonly asn: number
  /** u32. */
  readonly routerId: number
  readonly clock: Clock
  readonly random: Random
  readonly dial: Dial
  readonly ownOpens: OwnOpens
  readonly events: PeerEvents<Peer>
  /** A dynamic peer has no connection any more and is not held down: it can be forgotten. */
  readonly dynamicGone: (peer: Peer) => void
}

const NEVER = Number.POSITIVE_INFINITY

export class Peer implements Wakeable {
  /** Dense small integer ≥ 1, unique among live peers. */
  readonly id: number
  readonly dynamic: boolean
  /** Name of the range neighbour that a dynamic peer belongs to. */
  readonly rangeName: string | null
  readonly address: string
  readonly counters: PeerCounters = newPeerCounters()
  queueIndex = -1
  wakeAtMs = NEVER

  readonly #context: PeerContext
  readonly #owner: ConnectionOwner
  readonly #holdDown: HoldDown
  readonly #state: PeerState
  readonly #sockets: PeerSockets
  #config: NeighborConfig
  /** The range that the configuration was copied from. */
  #range: NeighborConfig | null
  #lastReason = ''
  #adminDown: boolean
  #adminText = ''
  #removed = false
  #started = false
  /** The peer answered our capabilities with 2/4: the next OPEN has none (RFC 5492 §3). */
  #withoutCapabilities = false
  readonly #connections = new PeerConnections()
  readonly #localAsn: DualAsn
  /** When the neighbour is shut down after its routes have moved (RFC 8326); NEVER: it stays. */
  #drainedAtMs = NEVER
  #drainText = ''
  #establishedAtMs = 0
  #probedAtMs = Number.NEGATIVE_INFINITY
  #retryAtMs = NEVER
  #giveUpRoutes: (() => void) | null = null

  constructor(
    id: number,
    config: NeighborConfig,
    range: NeighborConfig | null,
    backoff: Backoff,
    context: PeerContext,
  ) {
    this.id = id
    this.#config = config
    this.address = config.address ?? ''
    this.#range = range
    this.rangeName = range === null ? null : range.name
    this.dynamic = range !== null
    this.#holdDown = new HoldDown(backoff, context.random)
    this.#context = context
    this.#adminDown = config.shutdown
    this.#localAsn = new DualAsn(context.asn, config.localAsn)
    this.#sockets = new PeerSockets(this.address, context)
    this.#state = new PeerState(context.clock.now())
    this.#owner = {
      clock: context.clock,
      dial: context.dial,
      dialOptions: () => ({
        address: this.address,
        port: this.#config.port,
        sourceAddress: this.#config.sourceAddress,
        settings: socketSettings(this.#config),
      }),
      dialUnanswered: () => {
        this.#lastReason = this.#sockets.unanswered(this.#config)
      },
      sessionOutput: (connection, output) => this.#sessionOutput(connection, output),
      update: (connection, buffer, start, end, nowMs) => {
        if (this.#connections.current === connection) context.events.update(this, buffer, start, end, nowMs)
      },
      wrongMessage: (error, octets) => context.events.wrongMessage?.(this, error, octets),
      drained: (connection) => {
        if (this.#connections.current === connection) context.events.drained(this)
      },
      reschedule: () => this.#reschedule(),
    }
  }

  get name(): string {
    return this.#config.name
  }

  get config(): NeighborConfig {
    return this.#config
  }

  get state(): SessionState {
    return this.#state.current
  }

  /** Monotonic milliseconds, as `performance.now()`. */
  get stateSinceMs(): number {
    return this.#state.sinceMs
  }

  /** When the peer last became or ceased to be Established, or was made; the same clock. */
  get upDownSinceMs(): number {
    return this.#state.upDownSinceMs
  }

  /** Why the last session or attempt ended; empty before that. */
  get lastReason(): string {
    return this.#lastReason
  }

  /** Newest last. */
  get history(): readonly HistoryEntry[] {
    return this.#state.history
  }

  /** The AS that the peer takes us for; with dualAsn the one that it took last. */
  get localAsn(): number {
    return this.#connections.current?.session.localAsn ?? this.#localAsn.next
  }

  /** Held down because it sent more prefixes than maxPrefix allows. */
  get waitsForMaxPrefix(): boolean {
    return this.#holdDown.isOverMaxPrefix(this.#now())
  }

  /** The neighbour is about to be shut down: routes are moved away from it. */
  get isDraining(): boolean {
    return this.#drainedAtMs !== NEVER
  }

  /** The peer opened a connection that is not Established yet. */
  get isPending(): boolean {
    return this.#connections.accepted !== null && this.#connections.current === null
  }

  /** Held down because its sessions came and went too often. */
  get isDamped(): boolean {
    return this.#holdDown.isDamped(this.#now())
  }

  get adminDown(): boolean {
    return this.#adminDown
  }

  /** While now is before this, the peer pays for a protocol error; -Infinity: nothing to pay. */
  get backoffUntilMs(): number {
    return this.#holdDown.untilMs
  }

  get backoff(): Backoff {
    return this.#holdDown.backoff
  }

  /** Of the Established session, else null. */
  get negotiated(): Negotiated | null {
    return this.#connections.current?.session.negotiated ?? null
  }

  /** Our address of the Established connection. */
  get localAddress(): string | null {
    return this.#connections.current?.link?.localAddress ?? null
  }

  /** Octets given to the socket of the Established session that the kernel has not taken. */
  get pendingOctets(): number {
    return this.#connections.current?.link?.pendingOctets ?? 0
  }

  /** Why the peer cannot have a session before something is changed; empty: it can. */
  get refusal(): string {
    return this.#sockets.refusal
  }

  /** Starts to connect, or to wait for the peer. Once, by the owner. */
  start(): void {
    this.#started = true
    if (this.#adminDown) this.#lastReason = 'administratively down (shutdown)'
    this.#judgeSockets()
    this.#tryAt(this.#now())
    this.#refreshState(this.#config.passive ? 'waiting for the peer to connect' : 'started')
    this.#reschedule()
  }

  /** A session without what was asked of its sockets is never begun. True: what is said of it has changed. */
  #judgeSockets(): boolean {
    const changed = this.#sockets.judge(this.#config)
    if (this.refusal !== '') this.#lastReason = this.refusal
    return changed
  }

  /**
   * Writes whole messages of an Established session as they are, in one go. `onTaken` when the kernel has taken all; never once the session
   * is down. KEEPALIVEs wait behind what is given: keep it to a few hundred kilobytes. `updates`: how many messages, when known.
   */
  send(chunks: readonly Uint8Array[], onTaken: () => void, updates = countUpdates(chunks)): void {
    const connection = this.#connections.current
    if (connection === null) return
    for (const chunk of chunks) this.counters.octetsSent += chunk.length
    this.counters.sent[MessageType.UPDATE]! += updates
    connection.writeUpdates(chunks, () => {
      if (this.#connections.current === connection) onTaken()
    })
    this.#reschedule()
  }

  /** Ends the session with this NOTIFICATION (max-prefix 6/1, out of resources 6/8). May be called from inside an event. */
  fail(error: NotificationError): void {
    this.#connections.each((connection) => connection.session.fail(error, this.#now()))
  }

  /**
   * Routes of the ended session wait for the next one (RFC 4724 §4.2): until this is said again with null, a dynamic peer lives on without a connection.
   * `giveUp` is called where an operator decides otherwise.
   */
  awaitReturn(giveUp: (() => void) | null): void {
    this.#giveUpRoutes = giveUp
    if (giveUp === null) this.#goneIfDynamic()
  }

  /** Established, and our restart is one that the peer helps us with (RFC 4724 §4.2). */
  get keepsOurRoutes(): boolean {
    return this.#config.gracefulRestart?.restarter === true && this.negotiated?.gracefulRestart != null
  }

  /** The daemon stops, and the peer keeps our routes for the next run: it only loses the TCP connection (RFC 4724 §4.1). */
  leave(text: string): void {
    this.#connections.current?.session.disconnected(text, this.#now())
    this.#connections.current?.drain()
  }

  /** False: not Established, or not negotiated. */
  sendRouteRefresh(family: Family): boolean {
    const connection = this.#connections.current
    const negotiated = this.negotiated
    if (connection === null || negotiated === null) return false
    if (!negotiated.routeRefresh || !negotiated.families.includes(family)) return false
    const { afi, safi } = familyRow(family)
    const bytes = encodeRouteRefresh(afi, safi)
    this.counters.sent[MessageType.ROUTE_REFRESH]! += 1
    this.counters.octetsSent += bytes.length
    connection.write(bytes)
    return true
  }

  /** Stops reading from the peer (back pressure). Its hold timer stands still. */
  pauseReading(): void {
    this.#connections.current?.link?.pause()
    this.#connections.current?.session.pauseHold(this.#now())
  }

  resumeReading(): void {
    this.#connections.current?.link?.resume()
    this.#connections.current?.session.resumeHold(this.#now())
    this.#reschedule()
  }

  /** Operator: shuts the neighbour down until `up`. The text goes to the peer (RFC 9003, at most 255 octets). */
  down(text = ''): void {
    this.#drainedAtMs = NEVER
    this.#adminDown = true
    this.#adminText = text
    const words = text === '' ? 'administratively down' : `administratively down: ${text}`
    this.#stopAll(new NotificationError(6, 2, words, shutdownData(text)))
    this.#giveUpRoutes?.()
    this.#retryAtMs = NEVER
    this.#lastReason = words
    this.#refreshState(words)
    this.#reschedule()
  }

  /** Operator: as `down`, after a time in which the routes move away (RFC 8326 §4.2); the owner makes them do so. Without a session at once. */
  drain(text: string, waitMs: number): void {
    if (this.negotiated === null) {
      this.down(text)
      return
    }
    this.#drainText = text
    this.#drainedAtMs = this.#now() + waitMs
    this.#reschedule()
  }

  /** Operator: ends `down`, `drain` and any back-off, and tries at once. */
  up(): void {
    this.#drainedAtMs = NEVER
    this.#adminDown = false
    this.#adminText = ''
    this.#holdDown.clear()
    this.#soon(0, 'brought up by the operator')
    this.#goneIfDynamic()
  }

  /** Operator: a new session (6/4), without back-off. */
  clear(): void {
    this.#holdDown.clear()
    this.#withoutCapabilities = false
    this.#stopAll(new NotificationError(6, 4, 'cleared by the operator'))
    this.#giveUpRoutes?.()
    if (!this.#adminDown) this.#soon(SOON_MS, 'cleared by the operator')
  }

  /** New settings that the live session can take; `range`: those that they were copied from. */
  configure(config: NeighborConfig, range: NeighborConfig | null = null): void {
    const before = this.#config
    this.#config = config
    this.#range = range
    if (this.#judgeSockets()) this.#soon(0, this.refusal || 'its socket options can be had now')
    this.#sockets.changeKey(before, config, this.#connections)
    if (config.shutdown !== before.shutdown) {
      if (config.shutdown) this.down('')
      else this.up()
    } else if (config.passive !== before.passive) {
      const { dialled, current } = this.#connections
      if (config.passive && dialled !== null && dialled !== current) {
        dialled.session.stop(new NotificationError(6, 6, 'the neighbor is passive now'), this.#now())
        dialled.drain()
      }
      this.#tryAt(this.#now())
      this.#refreshState('configuration changed')
      this.#reschedule()
    }
  }

  /** New settings that need a new session (Cease 6/6). `keys`: which ones. */
  reset(config: NeighborConfig, keys: readonly string[]): void {
    // What the operator said by hand stays, unless the file says something new.
    if (config.shutdown !== this.#config.shutdown) this.#adminDown = config.shutdown
    this.#config = config
    this.#localAsn.configure(config.localAsn)
    this.#withoutCapabilities = false
    this.#holdDown.clear()
    this.#stopAll(new NotificationError(6, 6, `configuration changed: ${keys.join(', ')}`))
    this.#judgeSockets()
    this.#giveUpRoutes?.()
    this.#soon(SOON_MS, 'configuration changed')
  }

  /** The end of the peer: removed from the configuration (6/3), or the daemon stops (6/2). */
  remove(error: NotificationError): void {
    this.#removed = true
    this.#retryAtMs = NEVER
    this.#stopAll(error)
    this.#giveUpRoutes?.()
    this.#refreshState(error.message)
    this.#context.clock.cancel(this)
  }

  /** The peer opened a connection. False: it was refused, with a NOTIFICATION. */
  accept(link: Link): boolean {
    const nowMs = this.#now()
    if (this.#adminDown || this.#removed) {
      refuse(link, 6, 2, shutdownData(this.#adminText))
      return false
    }
    if (nowMs < this.#holdDown.untilMs || this.refusal !== '') {
      refuse(link, 6, 5)
      return false
    }
    const current = this.#connections.current
    // Not where both have just come up: then it is the loser of a collision that comes late.
    if (current !== null && mayRestart(this.negotiated) && nowMs - this.#establishedAtMs >= SETTLED_MS) {
      const connection = this.#newConnection('in')
      this.#connections.challenge(connection, nowMs)
      connection.session.start(nowMs)
      connection.attach(link)
      return true
    }
    if (current !== null) {
      refuse(link, 6, 7)
      // The peer may have lost the old connection without our knowing: its kernel answers a KEEPALIVE with a RST then.
      if (nowMs - this.#probedAtMs < PROBE_EVERY_MS) return false
      this.#probedAtMs = nowMs
      current.session.probe(nowMs)
      current.drain()
      return false
    }
    const connection = this.#newConnection('in')
    this.#connections.accept(connection, nowMs)
    connection.session.start(nowMs)
    connection.attach(link)
    return true
  }

  onDeadline(nowMs: number): void {
    this.#connections.onDeadline(nowMs)
    if (this.#drainedAtMs <= nowMs) this.down(this.#drainText)
    if (this.#retryAtMs <= nowMs) this.#connect(nowMs)
    this.#reschedule()
  }

  #now(): number {
    return this.#context.clock.now()
  }

  #connect(nowMs: number): void {
    this.#retryAtMs = NEVER
    if (!this.#dials()) {
      this.#refreshState('waiting for the peer to connect')
      return
    }
    if (!this.#connections.noneOfOurs) return
    // A connection of the peer is about to be Established: not another one beside it.
    if (this.#connections.accepted?.state === 'OpenConfirm') {
      this.#tryAt(nowMs + this.#config.connectRetryMs)
      return
    }
    const connection = this.#newConnection('out')
    this.#connections.dialled = connection
    connection.session.start(nowMs, this.#holdDown.untilMs > 0 ? 'idleHoldTimerExpires' : 'automaticStart')
    connection.drain()
  }

  #dials(): boolean {
    if (this.refusal !== '') return false
    return this.#started && !this.#removed && !this.#adminDown && !this.#config.passive && !this.dynamic
  }

  /** A peer that we do not dial is woken at the end of its back-off, to show that it may come again. */
  #tryAt(atMs: number): void {
    const { untilMs } = this.#holdDown
    if (this.#dials()) this.#retryAtMs = Math.max(atMs, untilMs)
    else this.#retryAtMs = !this.#adminDown && untilMs > this.#now() ? untilMs : NEVER
  }

  #soon(delayMs: number, reason: string): void {
    // A peer of a range goes with its session.
    if (this.#removed) return
    if (this.#connections.noneOfOurs) this.#tryAt(this.#now() + delayMs)
    this.#refreshState(reason)
    this.#reschedule()
  }

  #local(): Speaker {
    return { bgpId: this.#context.routerId, asn: this.#localAsn.next }
  }

  #newConnection(direction: Direction): PeerConnection {
    const config = this.#config
    const sendCapabilities = !this.#withoutCapabilities
    const open = this.#context.ownOpens.of(config, this.#range, this.#localAsn.next, sendCapabilities)
    const options = {
      direction,
      asn: this.#localAsn.next,
      routerId: this.#context.routerId,
      peerAsn: config.asn,
      families: config.families,
      holdTimeSeconds: config.holdTimeSeconds,
      keepaliveSeconds: config.keepaliveSeconds,
      connectRetryMs: config.connectRetryMs,
      sendCapabilities,
      offer: open.offer,
      ownOpen: open.octets,
      answers: open.answers,
      roleStrict: config.roleStrict,
      counters: this.counters,
      random: this.#context.random,
    }
    return new PeerConnection(options, this.#owner)
  }

  #sessionOutput(connection: PeerConnection, output: PeerOutput): void {
    switch (output.type) {
      case 'state':
        this.#sessionState(connection, output.to, output.reason)
        return
      case 'open':
        if (this.#connections.challenger === connection) this.#connections.replaceCurrent(this.#now())
        else this.#connections.resolveCollision(connection, this.#local(), output.open, this.#now())
        return
      case 'established':
        if (connection.session.state === 'Established') this.#establish(connection, output.negotiated)
        return
      case 'refresh':
        if (this.#connections.current === connection) this.#context.events.routeRefresh(this, output.family)
        return
      case 'refreshMark':
        if (this.#connections.current === connection) this.#context.events.refreshMark(this, output.family, output.mark)
        return
      case 'down':
        this.#sessionDown(connection, output.reason)
        return
      default:
        unreachable(output)
    }
  }

  #sessionState(connection: PeerConnection, to: SessionState, reason: string): void {
    const from = connection.state
    connection.state = to
    // Reported with all that follows from it, when the session says that it is down.
    if (to === 'Idle') return
    // Ended by the collision rule before we came to report it.
    if (to === 'Established' && connection.session.state !== 'Established') return
    if (connection === this.#connections.challenger) {
      // Lost before its OPEN came: the Established one stays as if nothing had been.
      if (to === 'Active' && from === 'OpenSent') this.#connections.forget(connection)
      return
    }
    if (to === 'Active' && from !== 'Idle') this.#lastReason = reason
    // The connection that the peer opened is already there.
    if (connection.session.direction === 'in' && from === 'Idle') return
    if (connection === this.#connections.accepted && to === 'Active' && from === 'OpenSent')
      this.#connections.forget(connection)
    this.#refreshState(reason)
    this.#goneIfDynamic()
  }

  #establish(connection: PeerConnection, negotiated: Negotiated): void {
    this.#establishedAtMs = this.#now()
    this.#retryAtMs = NEVER
    this.#sockets.answered()
    this.#localAsn.taken(connection.session.localAsn)
    this.#connections.establish(connection, this.#establishedAtMs)
    this.#context.events.established(this, negotiated)
  }

  #sessionDown(connection: PeerConnection, reason: DownReason): void {
    const nowMs = this.#now()
    const wasCurrent = this.#connections.forget(connection)
    if (wasCurrent) this.counters.droppedCount++
    const otherAsn =
      this.#config.dualAsn &&
      refusesAsn(reason) &&
      this.#localAsn.refused(connection.session.localAsn, this.#config.localAsn)
    const lastedMs = wasCurrent ? nowMs - this.#establishedAtMs : null
    if (this.#holdDown.ended(reason, lastedMs, otherAsn, this.#config, nowMs)) this.#tellDamped(nowMs)
    if (refusesCapabilities(reason)) this.#withoutCapabilities = true
    if (reason.kind !== 'collision') this.#lastReason = reason.text
    if (this.#connections.noneOfOurs) {
      this.#tryAt(nowMs + (otherAsn ? 0 : jitterAround(this.#config.connectRetryMs, this.#context.random)))
    }
    this.#refreshState(reason.text)
    if (wasCurrent) this.#context.events.down(this, reason, connection)
    this.#goneIfDynamic()
  }

  #tellDamped(nowMs: number): void {
    const text = this.#holdDown.dampedText(this.name, nowMs)
    this.#context.log({ event: 'peer.damped', level: 'warn', peer: this.name, address: this.address, text })
  }

  #goneIfDynamic(): void {
    if (!this.dynamic || this.#removed || this.#adminDown || this.#connections.accepted !== null) return
    // What an operator has asked for comes true although the session is lost meanwhile.
    if (this.#giveUpRoutes !== null || this.isDraining) return
    this.#removed = true
    this.#context.clock.cancel(this)
    this.#context.dynamicGone(this)
  }

  #stopAll(error: NotificationError): void {
    this.#connections.each((connection) => connection.session.stop(error, this.#now()))
  }

  /** The peer is where its farthest connection is; without one it waits (Active: for the peer; Idle: for its time, or for `up`). */
  #refreshState(reason: string): void {
    const to = this.#computeState()
    const from = this.#state.current
    if (to === from) return
    this.#state.change(to, reason, this.#now())
    this.#context.events.stateChange(this, from, to, reason)
  }

  #computeState(): SessionState {
    const farthest = this.#connections.farthest
    if (farthest !== 'Idle') return farthest
    const waits = this.#config.passive || this.dynamic
    if (!waits || this.#adminDown || this.#removed || !this.#started || this.refusal !== '') return 'Idle'
    return this.#now() < this.#holdDown.untilMs ? 'Idle' : 'Active'
  }

  #reschedule(): void {
    if (this.#removed) return
    this.#context.clock.schedule(this, Math.min(this.#retryAtMs, this.#drainedAtMs, this.#connections.nextDeadlineMs))
  }
}

/** After `clear` or a changed configuration. */
const SOON_MS = 1_000
const PROBE_EVERY_MS = 1_000
/** Connections opened by both sides at once are sorted out long before this. */
const SETTLED_MS = 5_000
