/**
 * One BFD session, asynchronous mode, active role, without echo and authentication (RFC 5880 §6.8). Pure: packets and the time go in, packets and changes of
 * state come out by `takeOutputs()`. Times are monotonic milliseconds, intervals inside of packets microseconds.
 *
 * Chosen where the RFC leaves it open: a packet goes out at once whenever its content changes (§6.8.7 SHOULD); what is known of a peer is forgotten together
 * with its discriminator, its Required Min RX Interval too; our C bit is 0, since BFD ends with the process that speaks BGP.
 */
import { type BfdPacket, encodePacket } from './packet.js'
import { type BfdChange, type BfdSettings, type BfdState, Diagnostic } from './types.js'

/** 0 ≤ value < 1. */
type Random = () => number

export type BfdOutput =
  | { readonly type: 'send'; readonly octets: Uint8Array }
  | { readonly type: 'change'; readonly change: BfdChange }

export interface BfdSessionOptions {
  /** Not 0, and of no other session of this system. */
  readonly discriminator: number
  readonly settings: BfdSettings
  readonly random: Random
  readonly nowMs: number
}

const NEVER = Number.POSITIVE_INFINITY
/** §6.8.3: not more often while the session is not Up. */
const SLOW_US = 1_000_000

export class BfdSession {
  readonly discriminator: number
  readonly #random: Random
  #settings: BfdSettings
  #state: BfdState = 'Down'
  #diagnostic: number = Diagnostic.NONE
  #remoteState: BfdState = 'Down'
  #remoteDiscriminator = 0
  #remoteDiagnostic: number = Diagnostic.NONE
  #remoteMinRxUs = 1
  #remoteMinTxUs = 0
  #remoteMultiplier = 0
  #remoteDemand = false
  #remoteIndependent = false
  /** What our packets say, and what we go by: until the peer has confirmed a slower pace or a shorter detection time, the earlier one (§6.8.3). */
  #desiredUs: number
  #requiredUs: number
  #transmitUs: number
  #receiveUs: number
  #polling = false
  /** Something changed while a Poll Sequence was under way: one more has to follow. */
  #pollAgain = false
  #heardAtMs = Number.NEGATIVE_INFINITY
  #sentAtMs = Number.NEGATIVE_INFINITY
  #sendAtMs: number
  #silentAtMs = NEVER
  /** Let off once since the last packet, because we were late ourselves. */
  #excused = false
  #retired = false
  #outputs: BfdOutput[] = []
  #stateSinceMs: number
  ups = 0
  downs = 0
  packetsReceived = 0
  packetsSent = 0
  lateWakes = 0

  constructor({ discriminator, settings, random, nowMs }: BfdSessionOptions) {
    this.discriminator = discriminator
    this.#random = random
    this.#settings = settings
    this.#desiredUs = this.#transmitUs = Math.max(settings.transmitMs * 1000, SLOW_US)
    this.#requiredUs = this.#receiveUs = settings.receiveMs * 1000
    this.#sendAtMs = nowMs
    this.#stateSinceMs = nowMs
  }

  get state(): BfdState {
    return this.#state
  }
  get remoteState(): BfdState {
    return this.#remoteState
  }
  get diagnostic(): number {
    return this.#diagnostic
  }
  get remoteDiagnostic(): number {
    return this.#remoteDiagnostic
  }
  /** 0: unknown. */
  get remoteDiscriminator(): number {
    return this.#remoteDiscriminator
  }
  get remoteMultiplier(): number {
    return this.#remoteMultiplier
  }
  get remoteIndependent(): boolean {
    return this.#remoteIndependent
  }
  get polling(): boolean {
    return this.#polling
  }
  get stateSinceMs(): number {
    return this.#stateSinceMs
  }
  get settings(): BfdSettings {
    return this.#settings
  }

  /** Between our packets, before the jitter (§6.8.2); Infinity: the peer wants none (§6.8.7). */
  get transmitMs(): number {
    const isQuiet = this.#remoteMinRxUs === 0 || this.#isDemanded()
    return isQuiet ? NEVER : Math.max(this.#transmitUs, this.#remoteMinRxUs) / 1000
  }

  /** Between the peer's packets. */
  get receiveMs(): number {
    return Math.max(this.#receiveUs, this.#remoteMinTxUs) / 1000
  }

  /** §6.8.4; 0 while nothing is known of the peer. */
  get detectionMs(): number {
    return this.#remoteMultiplier * this.receiveMs
  }

  takeOutputs(): readonly BfdOutput[] {
    if (this.#outputs.length === 0) return NO_OUTPUTS
    const outputs = this.#outputs
    this.#outputs = []
    return outputs
  }

  /** When the next packet is to be sent. */
  get sendAtMs(): number {
    return this.#sendAtMs
  }

  /** When the peer has been silent for too long. */
  get silentAtMs(): number {
    return this.#silentAtMs
  }

  /** A packet that passed `decodePacket` and was found to be of this session: the rest of §6.8.6. */
  receive(packet: BfdPacket, nowMs: number): void {
    if (this.#retired) return
    this.packetsReceived++
    this.#remoteDiscriminator = packet.myDiscriminator
    this.#remoteState = packet.state
    this.#remoteDiagnostic = packet.diagnostic
    this.#remoteDemand = packet.demand
    this.#remoteIndependent = packet.independent
    this.#remoteMinRxUs = packet.requiredMinRxUs
    this.#remoteMinTxUs = packet.desiredMinTxUs
    this.#remoteMultiplier = packet.multiplier
    const silentMs = nowMs - this.#heardAtMs
    this.#heardAtMs = nowMs
    this.#excused = false
    if (packet.final && this.#polling) this.#pollAnswered()
    this.#silentAtMs = nowMs + this.detectionMs
    const before = this.#state
    this.#step(packet.state, nowMs, Number.isFinite(silentMs) ? silentMs : null)
    if (packet.poll) this.#send(nowMs, true)
    else if (this.#state !== before) this.#send(nowMs, false)
    // The peer may take packets more often than the one that is due allows for, or want none.
    this.#retime(nowMs)
  }

  /** Sends what is due. Never judges the peer: see `judge`. */
  transmit(nowMs: number): void {
    if (nowMs >= this.#sendAtMs) this.#send(nowMs, false)
  }

  /**
   * The detection time may be over (§6.8.4). To be called when all that lies in the socket has been received. `lateMs`: by so much later than wanted, because
   * this program did not run: then nobody can say that the peer was silent, and it is given that time once more, but once.
   */
  judge(nowMs: number, lateMs: number): void {
    if (nowMs < this.#silentAtMs) return
    if (lateMs >= this.receiveMs && !this.#excused) {
      this.#excused = true
      this.lateWakes++
      this.#silentAtMs = nowMs + Math.min(lateMs, this.detectionMs)
      return
    }
    this.#silentAtMs = NEVER
    if (this.#state !== 'Init' && this.#state !== 'Up') {
      this.#forgetPeer()
      return
    }
    this.#diagnostic = Diagnostic.DETECTION_TIME_EXPIRED
    this.#go('Down', nowMs, nowMs - this.#heardAtMs)
    this.#send(nowMs, false)
    // One more of it without a word, and the peer's discriminator is forgotten (§6.8.1).
    this.#silentAtMs = nowMs + this.detectionMs
  }

  /** New settings for the running session: a Poll Sequence tells the peer (§6.8.3). */
  configure(settings: BfdSettings, nowMs: number): void {
    const before = this.#settings
    this.#settings = settings
    const changed = this.#propose()
    if (changed || before.multiplier !== settings.multiplier) this.#send(nowMs, false)
  }

  /**
   * The end: tells the peer AdminDown (§6.8.16), or after a failure goes on to say Down, for as long as the owner lets it transmit. What arrives is no longer
   * of interest.
   */
  retire(failed: boolean, nowMs: number): void {
    if (this.#retired) return
    this.#retired = true
    this.#silentAtMs = NEVER
    this.#polling = false
    if (!failed) {
      this.#diagnostic = Diagnostic.ADMINISTRATIVELY_DOWN
      this.#state = 'AdminDown'
      this.#stateSinceMs = nowMs
      this.#propose()
      this.#polling = false
    }
    this.#send(nowMs, false)
  }

  /** The state machine of §6.2 and §6.8.6. */
  #step(remote: BfdState, nowMs: number, silentMs: number | null): void {
    const next = NEXT[this.#state][remote]
    if (next === this.#state) return
    this.#diagnostic = next === 'Down' ? Diagnostic.NEIGHBOR_SIGNALED_DOWN : this.#diagnostic
    if (next === 'Up') this.#diagnostic = Diagnostic.NONE
    this.#go(next, nowMs, silentMs)
  }

  #go(to: BfdState, nowMs: number, silentMs: number | null): void {
    const from = this.#state
    const detectionMs = this.detectionMs
    this.#state = to
    this.#stateSinceMs = nowMs
    if (to === 'Up') this.ups++
    if (from === 'Up') this.downs++
    const { diagnostic, remoteDiagnostic, remoteState } = this
    const change = { from, to, remoteState, diagnostic, remoteDiagnostic, silentMs, detectionMs }
    this.#outputs.push({ type: 'change', change })
    this.#propose()
  }

  /** Takes over what state and settings ask for. True: packets say something else now, and a Poll Sequence has begun where there is a peer to answer. */
  #propose(): boolean {
    const { transmitMs, receiveMs } = this.#settings
    const isUp = this.#state === 'Up'
    const desiredUs = isUp ? transmitMs * 1000 : Math.max(transmitMs * 1000, SLOW_US)
    const requiredUs = receiveMs * 1000
    if (desiredUs === this.#desiredUs && requiredUs === this.#requiredUs) return false
    this.#desiredUs = desiredUs
    this.#requiredUs = requiredUs
    if (!isUp || desiredUs < this.#transmitUs) this.#transmitUs = desiredUs
    if (!isUp || requiredUs > this.#receiveUs) this.#useReceive(requiredUs)
    if (this.#remoteDiscriminator === 0) return true
    if (this.#polling) this.#pollAgain = true
    this.#polling = true
    return true
  }

  /** F came. An answer to the packets before the last change is not one to the change. */
  #pollAnswered(): void {
    if (this.#pollAgain) {
      this.#pollAgain = false
      return
    }
    this.#polling = false
    this.#transmitUs = this.#desiredUs
    this.#useReceive(this.#requiredUs)
  }

  #useReceive(receiveUs: number): void {
    this.#receiveUs = receiveUs
    if (this.#silentAtMs !== NEVER) this.#silentAtMs = this.#heardAtMs + this.detectionMs
  }

  /** Demand mode of the peer: it hears us only when something changes (§6.8.6, §6.8.7). */
  #isDemanded(): boolean {
    return this.#remoteDemand && this.#state === 'Up' && this.#remoteState === 'Up' && !this.#polling
  }

  #send(nowMs: number, final: boolean): void {
    const packet: BfdPacket = {
      diagnostic: this.#diagnostic,
      state: this.#state,
      // Never both (§6.5).
      poll: this.#polling && !final,
      final,
      independent: false,
      demand: false,
      multiplier: this.#settings.multiplier,
      myDiscriminator: this.discriminator,
      yourDiscriminator: this.#remoteDiscriminator,
      desiredMinTxUs: this.#desiredUs,
      requiredMinRxUs: this.#requiredUs,
      requiredMinEchoRxUs: 0,
    }
    this.#outputs.push({ type: 'send', octets: encodePacket(packet) })
    this.packetsSent++
    this.#sentAtMs = nowMs
    this.#sendAtMs = nowMs + this.transmitMs * this.#jitter()
  }

  #retime(nowMs: number): void {
    const { transmitMs } = this
    const isTooLate = this.#sendAtMs > this.#sentAtMs + transmitMs
    if (isTooLate) this.#sendAtMs = Math.max(nowMs, this.#sentAtMs + transmitMs * this.#jitter())
    else if (transmitMs === NEVER) this.#sendAtMs = NEVER
    else if (this.#sendAtMs < this.#sentAtMs + transmitMs * MIN_JITTER)
      this.#sendAtMs = this.#sentAtMs + transmitMs * this.#jitter()
  }

  /** §6.8.7: 75 to 100 % of the interval; to 90 % with a multiplier of 1. */
  #jitter(): number {
    const most = this.#settings.multiplier === 1 ? 0.9 : 1
    return MIN_JITTER + (most - MIN_JITTER) * this.#random()
  }

  #forgetPeer(): void {
    this.#remoteDiscriminator = 0
    this.#remoteState = 'Down'
    this.#remoteMinRxUs = 1
    this.#remoteMinTxUs = 0
    this.#remoteMultiplier = 0
    this.#remoteDemand = false
    this.#polling = false
    this.#pollAgain = false
    if (this.#sendAtMs === NEVER) this.#sendAtMs = this.#sentAtMs + this.transmitMs
  }
}

/** By our state and the one that the packet says. */
const NEXT: Readonly<Record<BfdState, Readonly<Record<BfdState, BfdState>>>> = Object.freeze({
  AdminDown: { AdminDown: 'AdminDown', Down: 'AdminDown', Init: 'AdminDown', Up: 'AdminDown' },
  Down: { AdminDown: 'Down', Down: 'Init', Init: 'Up', Up: 'Down' },
  Init: { AdminDown: 'Down', Down: 'Init', Init: 'Up', Up: 'Up' },
  Up: { AdminDown: 'Down', Down: 'Down', Init: 'Up', Up: 'Up' },
})
const MIN_JITTER = 0.75
const NO_OUTPUTS: readonly BfdOutput[] = Object.freeze([])
