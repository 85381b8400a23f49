/**
 * All peers of the speaker: made from the configuration, or by connections from inside a configured range; found by address when the
 * other end connects.
 *
 * An edge only by what it makes in its constructor (sockets, the clock), which tests may give it instead.
 */
import type { Socket } from 'node:net'
import type { ListenAddress, NeighborConfig } from '../config/types.js'
import { openFilesLimit } from '../sys/open-files.js'
import { Backoff } from './backoff.js'
import { type Clock, RealClock } from './clock.js'
import { NotificationError } from './errors.js'
import type { Dial, Link } from './link.js'
import { Listeners } from './listener.js'
import { type LocalState, PLAIN_STATE } from './local-offer.js'
import { sessionKeysChanged } from './neighbor-keys.js'
import { refuse, shutdownData } from './outgoing.js'
import { OwnOpens } from './own-open.js'
import { Peer, type PeerContext } from './peer.js'
import { PeerRanges } from './peer-ranges.js'
import { Penalties } from './penalties.js'
import { type RefusalCounters, Refusals } from './refusals.js'
import type { PeerEvents, SessionFact } from './session-types.js'
import { SocketOptions } from './socket-options.js'
import { listenPlan, socketSettings } from './socket-settings.js'
import type { Random } from './timers.js'
import { OpenLinks, socketLink, tcpDial } from './transport.js'

export { SESSION_KEYS, sessionKeysChanged } from './neighbor-keys.js'

/** Gives peers their ids. The RIB may have one of its own that waits with the reuse of an id. */
export interface PeerIds {
  /** ≥ 1; not in use. */
  take(): number
  release(id: number): void
}

export interface PeerManagerOptions {
  readonly asn: number
  /** u32. */
  readonly routerId: number
  readonly local?: LocalState
  /** Accepted connections that are not Established, of all peers together; default 10000. May change. */
  readonly maxPendingConnections?: () => number
  /** How many descriptors the process may have open; default: what the system says. */
  readonly maxOpenFiles?: number
  readonly events: PeerEvents<Peer>
  readonly log: (fact: SessionFact) => void
  readonly random?: Random
  readonly ids?: PeerIds
  readonly clock?: Clock
  readonly dial?: Dial
}

export class PeerManager {
  readonly #options: PeerManagerOptions
  readonly #context: PeerContext
  readonly #clock: Clock
  readonly #ids: PeerIds
  readonly #open = new OpenLinks()
  readonly #maxOpenFiles: number
  readonly #sockets = new SocketOptions()
  readonly #listeners: Listeners
  /** Configured peers by name, and all peers by address. */
  readonly #configured = new Map<string, Peer>()
  readonly #byAddress = new Map<string, Peer>()
  #neighbors = new Map<string, NeighborConfig>()
  readonly #ranges = new PeerRanges()
  readonly #penalties = new Penalties()
  readonly #refusals: Refusals
  /** Peers that opened a connection and may not be Established yet; looked through only when they are too many. */
  readonly #pending = new Set<Peer>()
  /** Peers by the name of their range. */
  readonly #ofRange = new Map<string, number>()
  #stopped = false

  constructor(options: PeerManagerOptions) {
    this.#options = options
    this.#clock = options.clock ?? new RealClock()
    this.#ids = options.ids ?? new SmallestFreeIds()
    this.#maxOpenFiles = options.maxOpenFiles ?? openFilesLimit()
    this.#refusals = new Refusals(options.log, () => this.#clock.now())
    this.#listeners = new Listeners(
      (socket) => this.#socketAccepted(socket),
      (text) => options.log({ event: 'listener.error', level: 'error', text }),
      this.#sockets,
    )
    this.#context = {
      asn: options.asn,
      routerId: options.routerId,
      clock: this.#clock,
      random: options.random ?? Math.random,
      dial: options.dial ?? tcpDial(this.#open, this.#sockets),
      ownOpens: new OwnOpens(options.routerId, options.local ?? PLAIN_STATE),
      events: options.events,
      log: options.log,
      refusal: (config) => this.#sockets.refusal(config),
      dynamicGone: (peer) => this.#dynamicGone(peer),
    }
  }

  get counters(): Readonly<RefusalCounters> {
    return this.#refusals.counters
  }

  /** Makes the peers what the configuration says. Sessions whose settings did not change stay up. */
  configure(neighbors: readonly NeighborConfig[]): void {
    const before = this.#neighbors
    const after = new Map(neighbors.map((neighbor) => [neighbor.name, neighbor]))
    this.#neighbors = after
    this.#ranges.configure(neighbors)
    this.#sockets.setPlan(listenPlan(neighbors))
    this.#refusals.neighbors(
      neighbors.map((one) => ({ name: one.name, why: this.#sockets.refusal(one) })).filter(({ why }) => why !== ''),
    )
    for (const [name, config] of before) {
      if (!after.has(name)) this.#removeNeighbor(config)
    }
    for (const [name, config] of after) {
      const earlier = before.get(name)
      if (earlier !== undefined) this.#changeNeighbor(earlier, config)
    }
    for (const [name, config] of after) {
      if (config.address !== null && !this.#configured.has(name)) this.#addConfigured(config)
    }
  }

  /**
   * Listens on exactly these addresses. Rejects with an Error of one line; then all is as before. `neighbors`, where configure() does not know them yet: their passwords
   * are set before the first connection can come.
   */
  async listen(addresses: readonly ListenAddress[], neighbors?: readonly NeighborConfig[]): Promise<void> {
    if (neighbors !== undefined) this.#sockets.setPlan(listenPlan(neighbors))
    try {
      await this.#listeners.listen(addresses)
    } catch (error) {
      this.#sockets.setPlan(listenPlan([...this.#neighbors.values()]))
      throw error
    }
  }

  listenAddresses(): ListenAddress[] {
    return this.#listeners.addresses()
  }

  peers(): Iterable<Peer> {
    return this.#byAddress.values()
  }

  /** By name or address; the name of a range finds all its peers. */
  find(nameOrAddress: string): Peer[] {
    const one = this.#configured.get(nameOrAddress) ?? this.#byAddress.get(nameOrAddress)
    if (one !== undefined) return [one]
    return [...this.#byAddress.values()].filter(
      (peer) => peer.rangeName === nameOrAddress || peer.name === nameOrAddress,
    )
  }

  /** Why no peer of this neighbour can have a session: what it asks of its sockets cannot be had. Empty: it can. */
  refusal(config: NeighborConfig): string {
    return this.#sockets.refusal(config)
  }

  ranges(): NeighborConfig[] {
    return this.#ranges.configs()
  }

  /** The number of peers that it was said to. */
  up(nameOrAddress: string): number {
    return this.#tell(nameOrAddress, (peer) => peer.up()) || this.#forgive(nameOrAddress)
  }

  down(nameOrAddress: string, text = ''): number {
    return this.#tell(nameOrAddress, (peer) => peer.down(text))
  }

  /** As down(), when the routes have had time to move. */
  drain(nameOrAddress: string, text: string, waitMs: number): number {
    return this.#tell(nameOrAddress, (peer) => peer.drain(text, waitMs))
  }

  clear(nameOrAddress: string): number {
    return this.#tell(nameOrAddress, (peer) => peer.clear()) || this.#forgive(nameOrAddress)
  }

  /** A peer of a range that has to wait has no object; its address, or its name as it was. */
  #forgive(nameOrAddress: string): number {
    for (const address of this.#penalties.addresses()) {
      const range = this.#ranges.find(address)
      if (address !== nameOrAddress && `${range?.name}-${address}` !== nameOrAddress) continue
      this.#penalties.forget(address)
      return 1
    }
    return 0
  }

  /** Cease 6/2 to all, with `graceful` but to those that keep our routes for the next run: they only lose the connection. Resolves when the sockets and listeners are closed. */
  async stop(text = '', graceful = false): Promise<void> {
    this.#stopped = true
    const listening = this.#listeners.close()
    const reason = new NotificationError(6, 2, 'the daemon stops', shutdownData(text))
    for (const peer of [...this.#byAddress.values()]) {
      if (graceful && peer.keepsOurRoutes) peer.leave(reason.message)
      this.#removePeer(peer, reason)
    }
    this.#configured.clear()
    await Promise.all([listening, this.#open.drain(STOP_LIMIT_MS)])
  }

  /** A connection that came in, from wherever: also the way in for tests. */
  accept(link: Link): void {
    const address = link.remoteAddress
    if (this.#stopped) {
      link.reset()
      return
    }
    const peer = this.#byAddress.get(address)
    if (peer !== undefined) {
      // One that waits already replaces its own connection: that makes them no more.
      if (!peer.isPending && this.#tooManyPending(link)) return
      // A peer of a range has the password of the range.
      if (!this.#adopt(link, this.#neighbors.get(peer.rangeName ?? '') ?? peer.config)) return
      if (!peer.accept(link)) this.#refusals.counters.refusedConnections++
      else this.#pending.add(peer)
      return
    }
    const range = this.#ranges.find(address)
    if (range === undefined) this.#refusals.unknown(link)
    else if (!this.#tooManyPending(link)) this.#acceptDynamic(range, link)
  }

  /** The neighbour's socket options. False: it cannot have them, and the connection is refused. */
  #adopt(link: Link, config: NeighborConfig): boolean {
    const failed = this.#sockets.refusal(config) || link.adopt?.(socketSettings(config)) || ''
    if (failed !== '') this.#refusals.unfit(link, failed)
    return failed === ''
  }

  /** True: the connection was closed, because too many wait for their OPEN, or descriptors become scarce: what the operator asks for needs some, too. */
  #tooManyPending(link: Link): boolean {
    const files = this.#maxOpenFiles
    if (this.#open.size > files - Math.min(files / 4, RESERVED_FILES)) {
      this.#refusals.limited(
        link,
        `${this.#open.size} connections are open, and the limit of open files is ${files}: raise it (ulimit -n)`,
      )
      link.reset()
      return true
    }
    const limit = this.#options.maxPendingConnections?.() ?? DEFAULT_PENDING
    if (this.#pending.size < limit) return false
    for (const peer of this.#pending) if (!peer.isPending) this.#pending.delete(peer)
    if (this.#pending.size < limit) return false
    this.#refusals.limited(link, `${limit} connections wait to become Established (limits.pendingConnections)`)
    link.reset()
    return true
  }

  #socketAccepted(socket: Socket): void {
    // Gone before we looked.
    if (socket.destroyed || socket.remoteAddress === undefined) {
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    this.accept(socketLink(socket, this.#open, this.#sockets))
  }

  #acceptDynamic(range: NeighborConfig, link: Link): void {
    const address = link.remoteAddress
    const penalty = this.#penalties.find(address)
    if (range.shutdown || (penalty !== undefined && this.#clock.now() < penalty.untilMs)) {
      this.#refusals.counters.refusedConnections++
      refuse(link, 6, range.shutdown ? 2 : 5)
      return
    }
    const known = this.#ofRange.get(range.name) ?? 0
    if (known >= range.maxPeers) {
      this.#refusals.limited(
        link,
        `range ${range.name} has ${known} peers (maxPeers); raise it if all of them are wanted`,
      )
      refuse(link, 6, 5)
      return
    }
    if (!this.#adopt(link, range)) return
    this.#ofRange.set(range.name, known + 1)
    const config = { ...range, name: `${range.name}-${address}`, address, range: null, passive: true }
    const peer = new Peer(this.#ids.take(), config, range, penalty ?? new Backoff(), this.#context)
    this.#byAddress.set(address, peer)
    this.#options.events.dynamicPeer(peer, true)
    peer.start()
    this.#pending.add(peer)
    peer.accept(link)
  }

  #addConfigured(config: NeighborConfig): void {
    const address = config.address!
    // A peer of a range that is now configured by itself.
    const dynamic = this.#byAddress.get(address)
    if (dynamic !== undefined) this.#removePeer(dynamic, new NotificationError(6, 6, 'the neighbor is configured now'))
    const peer = new Peer(this.#ids.take(), config, null, new Backoff(), this.#context)
    this.#configured.set(config.name, peer)
    this.#byAddress.set(address, peer)
    peer.start()
  }

  #removeNeighbor(config: NeighborConfig): void {
    const gone = new NotificationError(6, 3, `neighbor ${config.name} was removed from the configuration`)
    for (const peer of this.#peersOf(config)) this.#removePeer(peer, gone)
  }

  #changeNeighbor(before: NeighborConfig, after: NeighborConfig): void {
    const keys = sessionKeysChanged(before, after)
    const changed = `configuration changed: ${keys.join(', ')}`
    for (const peer of this.#peersOf(before)) {
      const dynamic = peer.dynamic
      if (dynamic && (keys.length > 0 || after.shutdown)) {
        const text = keys.length > 0 ? changed : 'administratively down (shutdown)'
        this.#removePeer(peer, new NotificationError(6, keys.length > 0 ? 6 : 2, text))
      } else if (dynamic) {
        peer.configure({ ...after, name: peer.name, address: peer.address, range: null, passive: true }, after)
      } else if (keys.includes('address')) {
        this.#removePeer(peer, new NotificationError(6, 6, changed)) // configure() makes the new one.
      } else if (keys.length > 0) {
        peer.reset(after, keys)
      } else {
        peer.configure(after)
      }
    }
  }

  #peersOf(config: NeighborConfig): Peer[] {
    const configured = this.#configured.get(config.name)
    if (configured !== undefined) return [configured]
    if (config.range === null) return []
    return [...this.#byAddress.values()].filter((peer) => peer.rangeName === config.name)
  }

  #removePeer(peer: Peer, reason: NotificationError): void {
    if (this.#configured.get(peer.name) === peer) this.#configured.delete(peer.name)
    peer.remove(reason)
    this.#forget(peer)
  }

  #dynamicGone(peer: Peer): void {
    this.#penalties.keep(peer.address, peer.backoff, this.#clock.now())
    this.#forget(peer)
  }

  #forget(peer: Peer): void {
    if (this.#byAddress.get(peer.address) === peer) this.#byAddress.delete(peer.address)
    this.#pending.delete(peer)
    if (peer.rangeName !== null) {
      this.#ofRange.set(peer.rangeName, this.#ofRange.get(peer.rangeName)! - 1)
      this.#options.events.dynamicPeer(peer, false)
    }
    this.#ids.release(peer.id)
  }

  #tell(nameOrAddress: string, say: (peer: Peer) => void): number {
    const peers = this.find(nameOrAddress)
    for (const peer of peers) say(peer)
    return peers.length
  }
}

/** Small ids stay small: arrays are indexed by them. */
class SmallestFreeIds implements PeerIds {
  readonly #free: number[] = []
  #next = 1

  take(): number {
    return this.#free.pop() ?? this.#next++
  }

  release(id: number): void {
    this.#free.push(id)
  }
}

const DEFAULT_PENDING = 10_000
/** For the API, the kernel's files, BFD and connections of ours. */
const RESERVED_FILES = 128
/** After this a socket that does not take our NOTIFICATION is reset. */
const STOP_LIMIT_MS = 3_000
