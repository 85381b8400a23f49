/**
 * All BFD sessions of a system: which of them a packet is for (RFC 5880 §6.3, §6.8.6), and when each has to be looked at. Pure: the owner brings datagrams and
 * the time, and wakes it at `nextMs`.
 *
 * The peer is only judged in `judge`, which the owner calls when it has read all that lies in its sockets. A program that was late itself (a starved
 * thread, a machine that slept) first hears what came meanwhile.
 */

import { DeadlineQueue, type Wakeable } from '../bgp/timers.js'
import { formatAddress, parseAddress } from '../net/address.js'
import { decodePacket } from './packet.js'
import { BfdSession } from './session.js'
import type { BfdChange, BfdDiscards, BfdRow, BfdSettings, BfdTarget } from './types.js'

export interface BfdTableOptions {
  /** 0 ≤ value < 1. */
  readonly random: () => number
  /** 1 to 2^32 - 1, hard to guess: whoever knows it can bring a session down from where the hop limit is not looked at. */
  readonly newDiscriminator: () => number
  readonly send: (id: number, octets: Uint8Array) => void
  readonly changed: (id: number, change: BfdChange) => void
  /** The session has said goodbye for long enough: its socket can be closed. */
  readonly ended: (id: number) => void
  /** The hop limit of what arrives is known to be 255 where it has to be. */
  readonly checksHopLimit: boolean
}

/** Where a datagram came from. */
export interface Sender {
  readonly address: string
  /** It came to the multihop port. */
  readonly multihop: boolean
}

class Entry implements Wakeable {
  queueIndex = -1
  wakeAtMs = Number.POSITIVE_INFINITY
  readonly id: number
  readonly target: BfdTarget
  readonly session: BfdSession
  /** It only says goodbye, until then. */
  endsAtMs = Number.POSITIVE_INFINITY
  /** The peer has been silent for too long, which was seen so much too late; null: it has not. */
  suspectLateMs: number | null = null

  constructor(id: number, target: BfdTarget, session: BfdSession) {
    this.id = id
    this.target = target
    this.session = session
  }

  get nextMs(): number {
    const { sendAtMs, silentAtMs } = this.session
    // A suspect is judged by the owner's read pass, not by the time.
    return Math.min(sendAtMs, this.suspectLateMs === null ? silentAtMs : Number.POSITIVE_INFINITY, this.endsAtMs)
  }

  onDeadline(): void {
    // The table looks at what it takes from the queue itself.
  }
}

/** Belongs to the table. */
export type Suspect = object

export class BfdTable {
  readonly #options: BfdTableOptions
  readonly #byId = new Map<number, Entry>()
  readonly #byDiscriminator = new Map<number, Entry>()
  readonly #byAddress = new Map<string, Entry>()
  /** Those that say goodbye, by address. */
  readonly #leaving = new Map<string, Entry>()
  readonly #queue = new DeadlineQueue()
  readonly #discards = new Map<string, number>()
  /** To be judged after a read pass. */
  #suspects: Entry[] = []
  /** Datagrams seen; tells whether a read pass found something. */
  received = 0

  constructor(options: BfdTableOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#byId.size
  }

  get nextMs(): number {
    return this.#queue.nextMs
  }

  get discards(): BfdDiscards {
    return Object.fromEntries(this.#discards)
  }

  open(id: number, target: BfdTarget, settings: BfdSettings, nowMs: number): void {
    // What it still says would bring the new one down at the peer, which takes both for one.
    const leaving = this.#leaving.get(keyOf(target))
    if (leaving !== undefined) this.#end(leaving)
    let discriminator = this.#options.newDiscriminator()
    while (this.#byDiscriminator.has(discriminator)) discriminator = this.#options.newDiscriminator()
    const session = new BfdSession({ discriminator, settings, random: this.#options.random, nowMs })
    const entry = new Entry(id, target, session)
    this.#byId.set(id, entry)
    this.#byDiscriminator.set(discriminator, entry)
    this.#byAddress.set(keyOf(target), entry)
    session.transmit(nowMs)
    this.#served(entry)
  }

  change(id: number, settings: BfdSettings, nowMs: number): void {
    const entry = this.#byId.get(id)
    if (entry === undefined) return
    entry.session.configure(settings, nowMs)
    this.#served(entry)
  }

  /** The session says AdminDown (or Down, when it has `failed`) for as long as the peer may need to hear it (§6.8.16), and then ends. */
  close(id: number, failed: boolean, nowMs: number): void {
    const entry = this.#byId.get(id)
    if (entry === undefined || entry.endsAtMs !== Number.POSITIVE_INFINITY) return
    entry.session.retire(failed, nowMs)
    entry.endsAtMs = nowMs + GOODBYE_MS
    entry.suspectLateMs = null
    this.#byDiscriminator.delete(entry.session.discriminator)
    this.#byAddress.delete(keyOf(entry.target))
    this.#leaving.set(keyOf(entry.target), entry)
    this.#served(entry)
  }

  closeAll(nowMs: number): void {
    for (const id of this.#byId.keys()) this.close(id, false, nowMs)
  }

  receive(octets: Uint8Array, sender: Sender, nowMs: number): void {
    this.received++
    const packet = decodePacket(octets)
    if (typeof packet === 'string') {
      this.#discard(packet)
      return
    }
    const entry =
      packet.yourDiscriminator === 0
        ? this.#byAddress.get(keyOf({ address: canonical(sender.address), multihop: sender.multihop }))
        : this.#byDiscriminator.get(packet.yourDiscriminator)
    if (entry === undefined || entry.target.multihop !== sender.multihop) {
      this.#discard('no session')
      return
    }
    // Anybody could have sent it, from anywhere: only who knows our discriminator may touch a session that is up, and only from its address.
    if (!this.#options.checksHopLimit && !sender.multihop) {
      const isStranger = packet.yourDiscriminator !== 0 && canonical(sender.address) !== entry.target.address
      if (isStranger || (packet.yourDiscriminator === 0 && entry.session.state === 'Up')) {
        this.#discard('hop limit unknown')
        return
      }
    }
    entry.session.receive(packet, nowMs)
    entry.suspectLateMs = null
    this.#served(entry)
  }

  /** Sends what is due, and ends what has to end. */
  transmit(nowMs: number): void {
    for (let item = this.#queue.takeDue(nowMs); item !== undefined; item = this.#queue.takeDue(nowMs)) {
      const entry = item as Entry
      if (entry.endsAtMs <= nowMs) {
        this.#end(entry)
        continue
      }
      entry.session.transmit(nowMs)
      const lateMs = nowMs - entry.session.silentAtMs
      if (lateMs >= 0 && entry.suspectLateMs === null) {
        entry.suspectLateMs = lateMs
        this.#suspects.push(entry)
      }
      this.#served(entry)
    }
  }

  /** Peers that have been silent for too long, as it seems; null: none. To be given to `judge` when all that lies in the sockets has been received. */
  takeSuspects(): readonly Suspect[] | null {
    if (this.#suspects.length === 0) return null
    const suspects = this.#suspects
    this.#suspects = []
    return suspects
  }

  /** Who has still been silent for too long is down. */
  judge(suspects: readonly Suspect[], nowMs: number): void {
    for (const entry of suspects as readonly Entry[]) {
      const lateMs = entry.suspectLateMs
      if (lateMs === null) continue
      entry.suspectLateMs = null
      entry.session.judge(nowMs, lateMs)
      this.#served(entry)
    }
  }

  rows(nowMs: number, sourcePort: (id: number) => number): BfdRow[] {
    const live = [...this.#byId.values()].filter(({ endsAtMs }) => endsAtMs === Number.POSITIVE_INFINITY)
    return live.map(({ id, target, session }) => ({
      id,
      ...target,
      state: session.state,
      remoteState: session.remoteState,
      localDiscriminator: session.discriminator,
      remoteDiscriminator: session.remoteDiscriminator,
      diagnostic: session.diagnostic,
      remoteDiagnostic: session.remoteDiagnostic,
      multiplier: session.settings.multiplier,
      remoteMultiplier: session.remoteMultiplier,
      transmitMs: Number.isFinite(session.transmitMs) ? session.transmitMs : null,
      receiveMs: session.receiveMs,
      detectionMs: session.detectionMs,
      remoteIndependent: session.remoteIndependent,
      polling: session.polling,
      stateSeconds: Math.max(0, Math.round((nowMs - session.stateSinceMs) / 1000)),
      ups: session.ups,
      downs: session.downs,
      packetsReceived: session.packetsReceived,
      packetsSent: session.packetsSent,
      lateWakes: session.lateWakes,
      sourcePort: sourcePort(id),
    }))
  }

  #end(entry: Entry): void {
    this.#queue.cancel(entry)
    this.#byId.delete(entry.id)
    this.#leaving.delete(keyOf(entry.target))
    this.#options.ended(entry.id)
  }

  /** Hands out what the session made, and queues it again. */
  #served(entry: Entry): void {
    for (const output of entry.session.takeOutputs()) {
      if (output.type === 'send') this.#options.send(entry.id, output.octets)
      else this.#options.changed(entry.id, output.change)
    }
    if (!this.#byId.has(entry.id)) return
    this.#queue.schedule(entry, entry.nextMs)
  }

  #discard(why: string): void {
    this.#discards.set(why, (this.#discards.get(why) ?? 0) + 1)
  }
}

/** A peer is one session on each of the two ports. */
function keyOf({ address, multihop }: Pick<BfdTarget, 'address' | 'multihop'>): string {
  return `${multihop ? 'm' : 's'} ${address}`
}

/** Addresses of the system in our own spelling; the zone stays. */
function canonical(address: string): string {
  if (!address.includes(':')) return address
  const [plain = '', zone] = address.split('%')
  const text = formatAddress(parseAddress(plain))
  return zone === undefined ? text : `${text}%${zone}`
}

/** The peer's detection time, when we are not Up: our interval of a second, times our multiplier, of which one packet is enough. */
const GOODBYE_MS = 3000
