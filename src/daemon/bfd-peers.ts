/**
 * BFD for BGP (RFC 5882, RFC 9384): a peer with `bfd` gets a BFD session when its BGP session is Established, from the address that this runs over, and keeps it
 * for as long. When the BFD session goes from Up to Down, the BGP session ends at once with Cease 6/10 and its routes go; not when the peer only says AdminDown
 * (RFC 5882 §3.2), nor when no BFD session ever came up: the peer may not speak BFD yet.
 *
 * Graceful restart (RFC 5882 §4.3): our BFD ends with the process that speaks BGP, so our C bit is 0 and BGP has no way to announce a restart: what BFD sees
 * before BGP does is a failure. Where BGP sees the end first, the BFD session is taken down with it and has no say in the restart any more.
 */
import type { BfdSessionView, BfdView } from '../api/types.js'
import { BfdClient, type BfdEvents, type BfdReport } from '../bfd/client.js'
import {
  type BfdChange,
  type BfdRow,
  type BfdSettings,
  type BfdState,
  type BfdTarget,
  diagnosticText,
} from '../bfd/types.js'
import { NotificationError } from '../bgp/errors.js'
import type { Peer } from '../bgp/peer.js'
import type { DownReason, EndedConnection } from '../bgp/session-types.js'
import type { NeighborConfig } from '../config/types.js'
import type { Log } from '../log.js'
import { linkOf } from './local-addresses.js'
import type { PeerErrors } from './peer-errors.js'

export interface BfdPeersContext {
  readonly log: Log
  readonly errors: PeerErrors
  readonly peers: () => Iterable<Peer>
  /** Who runs the sessions; the thread, if left out. */
  readonly client?: (events: BfdEvents) => BfdSessions
}

export type BfdSessions = Pick<BfdClient, 'open' | 'change' | 'close' | 'report' | 'stop'>

interface BfdPeer {
  readonly peer: Peer
  readonly id: number
  readonly target: BfdTarget
  settings: BfdSettings
  state: BfdState
  /** The last time that it went down, in words. */
  lastDown: string
}

export class BfdPeers {
  readonly #context: BfdPeersContext
  readonly #client: BfdSessions
  /** Those of BGP sessions that are Established. */
  readonly #byPeer = new Map<Peer, BfdPeer>()
  /** Those whose BGP session has ended and whose connection has not yet, by address. */
  readonly #leaving = new Map<string, BfdPeer>()
  /** All of them. */
  readonly #byId = new Map<number, BfdPeer>()
  #unchecked: string | null = null
  #trouble = ''

  constructor(context: BfdPeersContext) {
    this.#context = context
    const events: BfdEvents = {
      changed: (id, change) => this.#changed(id, change),
      restarted: () => {
        for (const entry of this.#byId.values()) entry.state = 'Down'
      },
      unchecked: (why) => {
        const text = `the hop limit of BFD packets cannot be checked (RFC 5881 §5): ${why}; until then a session that is up takes only packets with our discriminator from the address of the peer`
        if (this.#unchecked !== text) context.log.write('warning', { text })
        this.#unchecked = text
      },
      trouble: (text) => {
        this.#trouble = text
        context.log.write('warning', { text })
      },
    }
    this.#client = context.client?.(events) ?? new BfdClient(events)
  }

  established(peer: Peer): void {
    if (peer.config.bfd !== null) this.#open(peer, peer.config.bfd)
  }

  /**
   * The peer hears AdminDown when it has closed the connection, and so knows from BGP why: AdminDown that overtook our NOTIFICATION would make it a failure of
   * the path, which some (BIRD) end without graceful restart. Until then BFD goes on, unheard; a BGP session that comes back meanwhile has it again.
   */
  down(peer: Peer, reason: DownReason, ended: EndedConnection): void {
    const entry = this.#byPeer.get(peer)
    if (entry === undefined) return
    if (reason.kind === 'bfd') {
      this.#close(entry, true)
      return
    }
    this.#byPeer.delete(peer)
    this.#leaving.set(peer.address, entry)
    ended.onceOver(() => {
      if (this.#leaving.get(peer.address) === entry) this.#close(entry, false)
    })
  }

  /** A reload: timers change by a Poll Sequence, without a loss; BFD begins or ends on the live session. */
  reconfigure(peer: Peer): void {
    const { bfd } = peer.config
    const entry = this.#byPeer.get(peer)
    if (bfd === null || peer.negotiated === null) {
      if (entry !== undefined) this.#close(entry, false)
      return
    }
    if (entry === undefined) {
      this.#open(peer, bfd)
      return
    }
    if (entry.target.multihop !== this.#isMultihop(peer, bfd)) {
      this.#close(entry, false)
      this.#open(peer, bfd)
      return
    }
    this.#change(entry, settingsOf(bfd))
  }

  /** Tells all peers AdminDown: that we stop is no failure of the path. */
  stop(): Promise<void> {
    this.#byId.clear()
    this.#byPeer.clear()
    this.#leaving.clear()
    return this.#client.stop()
  }

  /** Null: not configured. */
  stateOf(peer: Peer): { readonly state: BfdState | null } | null {
    const entry = this.#byPeer.get(peer)
    if (entry !== undefined) return { state: entry.state }
    return peer.config.bfd === null ? null : { state: null }
  }

  async view(): Promise<BfdView> {
    const peers = [...this.#context.peers()].filter((peer) => peer.config.bfd !== null || this.#byPeer.has(peer))
    const report: BfdReport = await this.#client.report()
    const rows = new Map(report.rows.map((row) => [row.id, row]))
    return {
      checksHopLimit: report.checksHopLimit,
      notes: [this.#unchecked ?? '', this.#trouble].filter((note) => note !== ''),
      discarded: report.discards,
      sessions: peers.map((peer) => sessionView(peer, this.#byPeer.get(peer), rows)),
    }
  }

  #open(peer: Peer, bfd: NonNullable<NeighborConfig['bfd']>): void {
    const { localAddress, address } = peer
    if (localAddress === null) return
    const target = { address, localAddress, multihop: this.#isMultihop(peer, bfd) }
    const settings = settingsOf(bfd)
    const earlier = this.#leaving.get(address)
    if (earlier !== undefined && isSame(earlier.target, target)) {
      this.#leaving.delete(address)
      const entry = { ...earlier, peer }
      this.#keep(entry)
      this.#change(entry, settings)
      return
    }
    if (earlier !== undefined) this.#close(earlier, false)
    const id = this.#client.open(target, settings)
    this.#keep({ peer, id, target, settings, state: 'Down', lastDown: '' })
  }

  #keep(entry: BfdPeer): void {
    this.#byPeer.set(entry.peer, entry)
    this.#byId.set(entry.id, entry)
  }

  #change(entry: BfdPeer, settings: BfdSettings): void {
    if (isSame(settings, entry.settings)) return
    entry.settings = settings
    this.#client.change(entry.id, settings)
  }

  #close(entry: BfdPeer, failed: boolean): void {
    const { peer, id } = entry
    if (this.#byPeer.get(peer) === entry) this.#byPeer.delete(peer)
    else this.#leaving.delete(peer.address)
    this.#byId.delete(id)
    this.#client.close(id, failed)
  }

  /** Not said in the configuration: what is not on the link of the session is over routers. */
  #isMultihop({ localAddress, address }: Peer, { multihop }: NonNullable<NeighborConfig['bfd']>): boolean {
    return multihop ?? linkOf(localAddress ?? '', address) === ''
  }

  #changed(id: number, change: BfdChange): void {
    const entry = this.#byId.get(id)
    if (entry === undefined) return
    const { peer } = entry
    const { from, to, remoteState } = change
    const reason = reasonOf(change, entry)
    entry.state = to
    if (this.#byPeer.get(peer) !== entry) return
    this.#context.log.write('bfd-state', { peer: peer.name, address: peer.address, from, to, reason })
    if (from !== 'Up') return
    entry.lastDown = reason
    if (remoteState === 'AdminDown' || peer.negotiated === null) return
    const error = new NotificationError(6, BFD_DOWN, `BFD is down: ${reason}`)
    this.#context.errors.bfdDown(peer, error)
    peer.fail(error)
  }
}

function settingsOf({ intervalMs, minReceiveMs, multiplier }: NonNullable<NeighborConfig['bfd']>): BfdSettings {
  return { transmitMs: intervalMs, receiveMs: minReceiveMs, multiplier }
}

/** Of two values of one shape. */
function isSame<T extends BfdTarget | BfdSettings>(one: T, other: T): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function reasonOf({ to, diagnostic, remoteState, remoteDiagnostic, silentMs, detectionMs }: BfdChange, entry: BfdPeer) {
  if (to !== 'Down') return `the peer says ${remoteState}`
  if (diagnostic === 1)
    return `nothing heard for ${Math.round(silentMs ?? 0)} ms; the detection time is ${Math.round(detectionMs)} ms`
  if (remoteState === 'AdminDown') return 'the peer has taken it down by decision (AdminDown), which is no failure'
  return `the peer says that its side is ${remoteState} (${diagnosticText(remoteDiagnostic)})${entry.target.multihop ? ', over several hops' : ''}`
}

function sessionView(peer: Peer, entry: BfdPeer | undefined, rows: ReadonlyMap<number, BfdRow>): BfdSessionView {
  const row = entry === undefined ? undefined : rows.get(entry.id)
  return {
    peer: peer.name,
    address: peer.address,
    dynamic: peer.dynamic,
    ...(peer.rangeName === null ? {} : { rangeName: peer.rangeName }),
    state: row?.state ?? entry?.state ?? null,
    ...(row === undefined ? {} : { session: detailOf(row) }),
    lastDown: entry?.lastDown ?? '',
  }
}

function detailOf(row: BfdRow): NonNullable<BfdSessionView['session']> {
  const { id: _, address: _address, state: _state, diagnostic, remoteDiagnostic, ...rest } = row
  return {
    ...rest,
    diagnostic,
    diagnosticText: diagnosticText(diagnostic),
    remoteDiagnostic,
    remoteDiagnosticText: diagnosticText(remoteDiagnostic),
  }
}

/** RFC 9384 §3. */
const BFD_DOWN = 10
