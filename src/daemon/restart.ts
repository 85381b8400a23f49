/**
 * Our own graceful restart (RFC 4724 §4.1, the restarting speaker): who the peers of the last run were, what our OPENs say of that (R and F bits), how long the
 * first decisions wait for them, and what the next run has to know.
 *
 * While it waits nothing is decided and nothing sent (Engine.hold); sessions come up and tables fill as ever, and the kernel's routes stay as the last run left
 * them. A first start, without a state file, waits for nobody.
 */
import type { Clock } from '../bgp/clock.js'
import type { LocalState } from '../bgp/local-offer.js'
import type { Peer } from '../bgp/peer.js'
import type { PeerManager } from '../bgp/peer-manager.js'
import { PeerRanges } from '../bgp/peer-ranges.js'
import type { SessionState } from '../bgp/session-types.js'
import type { Wakeable } from '../bgp/timers.js'
import type { Config } from '../config/types.js'
import type { Log } from '../log.js'
import { familyRow } from '../net/family.js'
import type { Engine } from './engine.js'
import type { LivePeer } from './peer-routes.js'
import { RestartPeers } from './restart-peers.js'
import { type FibPlace, type KnownPeer, type ReadState, readState, StateWriter } from './state-file.js'

export interface RestartContext {
  readonly clock: Clock
  readonly log: Log
  readonly hostname: string
  readonly live: (peer: Peer) => LivePeer | undefined
  /** The first decisions may be made now. */
  readonly released: () => void
}

export class Restart implements LocalState, Wakeable {
  readonly hostname: string
  queueIndex = -1
  wakeAtMs = Number.POSITIVE_INFINITY
  /** F bit: set by the daemon, which knows the kernel. */
  forwarding = false
  /** By address: of the last run, and of this one. */
  readonly #lastRun: ReadonlyMap<string, KnownPeer>
  readonly #known: Map<string, KnownPeer>
  /** Addresses that were Established in this run. */
  readonly #seen = new Set<string>()
  readonly #context: RestartContext
  readonly #writer: StateWriter | null
  /** Where kernel routes of this run are; none without a kernel. */
  #place: readonly FibPlace[] = []
  /** Where those of earlier runs may be. */
  #left: readonly FibPlace[]
  #awaited: RestartPeers | null = null
  #engine: Engine | null = null
  #startedMs = 0
  #saveDue: NodeJS.Timeout | null = null

  constructor(stateFile: string | null, context: RestartContext) {
    this.#context = context
    this.hostname = context.hostname
    const { peers, places, trouble }: ReadState =
      stateFile === null ? { peers: [], places: [], trouble: null } : readState(stateFile)
    this.#left = places
    const warn = (text: string): void => context.log.write('warning', { text })
    if (trouble !== null) warn(trouble)
    this.#writer = stateFile === null ? null : new StateWriter(stateFile, warn)
    this.#lastRun = new Map(peers.map((peer) => [peer.address, peer]))
    this.#known = new Map(this.#lastRun)
  }

  /** R bit: the peer may hold routes of our last run, and need not wait for our End-of-RIB. */
  restarting(peerAddress: string): boolean {
    return this.#awaited !== null && this.#wasGraceful(peerAddress)
  }

  /** Nothing is decided or sent yet; whom that waits for. */
  get waitsFor(): readonly string[] {
    return this.#awaited?.names ?? []
  }

  /** Peers of the last run that have not sent all End-of-RIB in this one: kernel routes may be theirs. */
  *notLoaded(manager: PeerManager): Generator<string> {
    for (const { address } of this.#lastRun.values()) {
      if (!this.#known.has(address)) continue
      const peer = manager.find(address)[0]
      const live = peer === undefined ? undefined : this.#context.live(peer)
      if (live === undefined || !isLoaded(live)) yield address
    }
  }

  /** There was a last run. */
  get isKnown(): boolean {
    return this.#lastRun.size > 0
  }

  /** Where earlier runs with another configuration have left their kernel routes. */
  get leftPlaces(): readonly FibPlace[] {
    return this.#left
  }

  /** Nothing is left there any more. */
  placeCleared({ table, protocol }: FibPlace): void {
    this.#keepPlaces(this.#left.filter((place) => place.table !== table || place.protocol !== protocol))
    this.#save()
  }

  /** Before the peers are made. */
  begin(config: Config, engine: Engine): void {
    const { clock, log } = this.#context
    const { table, protocol, driver } = config.fib
    this.#place = driver === 'off' || driver === 'memory' ? [] : [{ table, protocol }]
    this.#keepPlaces(this.#left.filter((place) => place.table !== table || place.protocol !== protocol))
    const nowMs = clock.now()
    this.#engine = engine
    this.#startedMs = nowMs
    const configured = new Map(config.neighbors.map((neighbor) => [neighbor.address, neighbor]))
    const ranges = rangesOf(config)
    const awaited = [...this.#lastRun.values()].filter(({ address, families }) => {
      const neighbor = configured.get(address) ?? ranges.find(address)
      return families.length > 0 && neighbor?.shutdown === false
    })
    if (awaited.length === 0 || config.restartDeferralMs === 0) return
    this.#awaited = new RestartPeers(
      awaited.map(({ address, name }) => {
        const neighbor = configured.get(address)
        const dialled = neighbor !== undefined && !neighbor.passive
        const graceMs = dialled ? neighbor.connectRetryMs * RETRY_JITTER : PASSIVE_GRACE_MS
        return { address, name, dialled, answerUntilMs: nowMs + graceMs, up: false }
      }),
      nowMs + config.restartDeferralMs,
    )
    engine.hold()
    log.write('graceful-restart', {
      peer: 'this speaker',
      note: `restarts: waits at most ${config.restartDeferralMs / 1000} s for End-of-RIB of ${someOf(this.#awaited.names)}`,
    })
    clock.schedule(this, this.#awaited.nextMs)
  }

  established({ peer, negotiated }: LivePeer): void {
    const { config, address, name } = peer
    const offersRestart = config.gracefulRestart?.restarter === true && negotiated.gracefulRestart !== null
    const families = offersRestart ? negotiated.families.map((family) => familyRow(family).name) : []
    this.#known.set(address, { address, name, families })
    this.#seen.add(address)
    this.#save()
    const { gracefulRestart } = negotiated
    this.#awaited?.established(address, gracefulRestart !== null && !gracefulRestart.restarting)
    this.#look()
  }

  /** A peer has sent End-of-RIB, or its session is down. */
  progress(peers: Iterable<LivePeer>): void {
    if (this.#awaited === null) return
    for (const live of peers) if (isLoaded(live)) this.#awaited.settled(live.peer.address)
    this.#look()
  }

  /** An attempt that led nowhere, or a session that was lost again. */
  stateChange(peer: Peer, from: SessionState, to: SessionState): void {
    if (this.#awaited === null || from === 'Idle' || (to !== 'Idle' && to !== 'Active')) return
    this.#awaited.settled(peer.address)
    this.#look()
  }

  /** The peer is none any more: removed from the configuration, or a peer of a range that is gone for good. */
  forget(address: string): void {
    if (!this.#known.delete(address)) return
    this.#seen.delete(address)
    this.#awaited?.settled(address)
    this.#save()
    this.#look()
  }

  /** What the configuration does not have any more is forgotten. */
  configure(config: Config): void {
    const addresses = new Set(config.neighbors.map(({ address }) => address))
    const ranges = rangesOf(config)
    for (const address of [...this.#known.keys()])
      if (!addresses.has(address) && ranges.find(address) === undefined) this.forget(address)
  }

  onDeadline(nowMs: number): void {
    if (this.#awaited === null) return
    this.#awaited.passed(nowMs)
    this.#look()
    if (this.#awaited !== null) this.#context.clock.schedule(this, this.#awaited.nextMs)
  }

  /** Resolves when the state is written; `write` false: this run never began, and the file may be another daemon's. */
  async stop(write: boolean): Promise<void> {
    this.#context.clock.cancel(this)
    if (this.#saveDue !== null) clearTimeout(this.#saveDue)
    this.#saveDue = null
    if (write) await this.#writer?.write(this.#entries(), true)
  }

  #keepPlaces(left: readonly FibPlace[]): void {
    this.#left = left
    if (this.#writer !== null) this.#writer.places = [...this.#place, ...left]
  }

  #wasGraceful(address: string): boolean {
    return (this.#lastRun.get(address)?.families.length ?? 0) > 0
  }

  #look(): void {
    if (this.#awaited === null || !this.#awaited.isOver) return
    this.#awaited = null
    const { clock, log } = this.#context
    clock.cancel(this)
    const seconds = ((clock.now() - this.#startedMs) / 1000).toFixed(1)
    log.write('graceful-restart', {
      peer: 'this speaker',
      note: `has restarted: decides and announces after ${seconds} s`,
    })
    this.#engine?.release()
    this.#context.released()
  }

  /** For the next run. A peer that has not come back in the longest restart time there is has no routes of ours any more. */
  *#entries(): Generator<KnownPeer> {
    const all = this.#context.clock.now() - this.#startedMs < LONGEST_RESTART_MS
    for (const peer of this.#known.values()) if (all || this.#seen.has(peer.address)) yield peer
  }

  /** Once for all peers that come up or go together, and behind the routes that are sent meanwhile (gain: bench/README.md, 'What was tried'). */
  #save(): void {
    if (this.#writer === null || this.#saveDue !== null) return
    this.#saveDue = setTimeout(() => {
      this.#saveDue = null
      void this.#writer?.write(this.#entries())
    }, SAVE_AFTER_MS)
  }
}

function isLoaded({ negotiated, source }: LivePeer): boolean {
  return negotiated.families.every((family) => source.endOfRib[family] === true)
}

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_NAMES).join(', ')
  return names.length > SHOWN_NAMES ? `${shown} and ${names.length - SHOWN_NAMES} more` : shown
}

/** Neighbours that peers may come from without being configured one by one. */
function rangesOf({ neighbors }: Config): PeerRanges {
  const ranges = new PeerRanges()
  ranges.configure(neighbors)
  return ranges
}

const SHOWN_NAMES = 10
const SAVE_AFTER_MS = 20
/** 4095 s (RFC 4724 §3). */
const LONGEST_RESTART_MS = 4_095_000
/** ConnectRetryTime is up to a quarter longer. */
const RETRY_JITTER = 1.25
/** For peers that connect to us: twice the default ConnectRetryTime. */
const PASSIVE_GRACE_MS = 10_000
