/**
 * Between sessions and tables: an Established peer becomes a source of the RIB and a member of its update groups; its UPDATEs go to the Adj-RIB-In; when its
 * session is down, its routes go.
 */
import type { Clock } from '../bgp/clock.js'
import type { AttributeFault } from '../bgp/errors.js'
import { NotificationError } from '../bgp/errors.js'
import type { FaultPlace } from '../bgp/message/fault-place.js'
import { MessageType, type Negotiated } from '../bgp/message/message.js'
import type { Peer } from '../bgp/peer.js'
import type { DownReason, EndedConnection, PeerEvents, RefreshMark, SessionState } from '../bgp/session-types.js'
import type { Config, NeighborConfig } from '../config/types.js'
import type { Log } from '../log.js'
import { FAMILIES, type Family, familyRow } from '../net/family.js'
import type { ExporterOptions } from '../reflector/exporter.js'
import type { GroupMember, Reflector } from '../reflector/reflector.js'
import type { UpdateGroup } from '../reflector/update-group.js'
import { AdjRibIn } from '../rib/adj-rib-in.js'
import { sameIntake } from '../rib/intake.js'
import type { Rib } from '../rib/rib.js'
import type { RibSource } from '../rib/source.js'
import type { BfdPeers } from './bfd-peers.js'
import type { Engine } from './engine.js'
import type { PeerErrors } from './peer-errors.js'
import { peerNotes } from './peer-notes.js'
import { exportOptionsOf, sourceOptionsOf } from './peer-rules.js'
import type { Policies } from './policies.js'
import type { Restart } from './restart.js'
import { StalePeers } from './stale-peers.js'

/** An Established peer in the tables. */
export interface LivePeer {
  readonly peer: Peer
  readonly negotiated: Negotiated
  readonly source: RibSource
  /** Bit n for each negotiated family. */
  readonly families: number
  members: GroupMember[]
  warnedMaxPrefix: boolean
  /** Bit n: the peer is saying again what it has in family n (RFC 7313). */
  refreshing: number
}

export interface PeerRoutesContext {
  readonly rib: Rib
  readonly reflector: Reflector
  readonly policies: Policies
  readonly config: () => Config
  readonly log: Log
  readonly errors: PeerErrors
  readonly clock: Clock
  readonly restart: Restart | null
  readonly bfd: BfdPeers | null
  /** A peer has sent End-of-RIB, or came up, or went down: who waits for that may look again. */
  readonly progress: () => void
}

export class PeerRoutes implements PeerEvents<Peer> {
  readonly live = new Map<Peer, LivePeer>()
  /** Peers that are away, or have just come back, gracefully. */
  readonly stale: StalePeers
  readonly #context: PeerRoutesContext
  readonly #adjRibIn: AdjRibIn
  readonly #peerOfSource = new Map<number, Peer>()
  #engine: Engine | null = null
  #stopping = false
  /** Of any session, by performance.now(). */
  lastStateChangeMs = Number.NEGATIVE_INFINITY

  constructor(context: PeerRoutesContext) {
    this.#context = context
    context.reflector.onTooLong = (group) => this.#tooLong(group)
    this.#adjRibIn = new AdjRibIn(context.rib, {
      fault: (source, fault, place) => this.#fault(source, fault, place),
      familyIgnored: (source, afi, safi) => this.#familyIgnored(source, afi, safi),
      endOfRib: (source, family) => this.#endOfRib(source, family),
    })
    this.stale = new StalePeers({
      rib: context.rib,
      clock: context.clock,
      log: context.log,
      addJob: (job) => this.#engine?.addJob(job),
      schedule: () => this.#engine?.schedule(),
      gone: (source) => this.#peerOfSource.delete(source.index),
      swept: (source) => this.#limitAgain(source),
    })
  }

  /** The Established session of a peer, or its last one while routes are kept for it. */
  entry(peer: Peer): LivePeer | undefined {
    return this.live.get(peer) ?? this.stale.away(peer)
  }

  /** The peer whose session this source is, while it is Established or its routes are kept. */
  peerOf(source: number): Peer | undefined {
    return this.#peerOfSource.get(source)
  }

  start(engine: Engine): void {
    this.#engine = engine
  }

  established(peer: Peer, negotiated: Negotiated): void {
    const { rib, reflector, log } = this.#context
    const options = sourceOptionsOf(peer, negotiated, this.#context)
    const source = this.stale.resume(peer, negotiated, options) ?? rib.openSource(options)
    const families = negotiated.families.reduce<number>((bits, family) => bits | (1 << family), 0)
    const live: LivePeer = { peer, negotiated, source, families, members: [], warnedMaxPrefix: false, refreshing: 0 }
    this.live.set(peer, live)
    this.#peerOfSource.set(source.index, peer)
    const link = {
      send: (chunks: readonly Uint8Array[], taken: () => void, messages: number) => peer.send(chunks, taken, messages),
      ...(negotiated.enhancedRefresh
        ? { refreshMarked: () => void peer.counters.sent[MessageType.ROUTE_REFRESH]!++ }
        : {}),
    }
    for (const family of negotiated.families)
      live.members.push(reflector.join(source.index, peer.name, this.#exportOptions(live, family), link))
    this.#engine?.sessionUp()
    this.#context.restart?.established(live)
    this.#context.bfd?.established(peer)
    for (const note of peerNotes(peer.config, live)) log.write('session-note', { peer: peer.name, note })
    this.#context.progress()
  }

  down(peer: Peer, reason: DownReason, ended: EndedConnection): void {
    const live = this.live.get(peer)
    if (live === undefined) return
    this.live.delete(peer)
    this.#context.bfd?.down(peer, reason, ended)
    for (const member of live.members) this.#context.reflector.leave(member)
    live.members = []
    if (!this.stale.keep(live, reason)) {
      this.#peerOfSource.delete(live.source.index)
      this.#context.rib.closeSource(live.source)
    }
    this.#engine?.schedule()
    this.#context.progress()
  }

  update(peer: Peer, buffer: Uint8Array, start: number, end: number, nowMs: number): void {
    const live = this.live.get(peer)
    if (live === undefined) return
    this.#adjRibIn.update(live.source, live.families, buffer, start, end, nowMs / 1000)
    if (peer.config.maxPrefix !== null) this.#checkMaxPrefix(live, peer.config.maxPrefix)
    this.#checkPaths()
    this.#engine?.schedule()
  }

  wrongMessage(peer: Peer, error: NotificationError, octets: Uint8Array): void {
    this.#context.errors.sessionReset(peer, error, octets)
  }

  routeRefresh(peer: Peer, family: Family): void {
    const member = this.live.get(peer)?.members.find(({ group }) => group.family === family)
    if (member !== undefined) member.group.refresh(member.member)
  }

  /**
   * BoRR: what the peer has announced is stale until it says it again; EoRR, or its time being over: what is still stale goes (RFC 7313 §4). Before the
   * End-of-RIB of a peer with graceful restart both are ignored.
   */
  refreshMark(peer: Peer, family: Family, mark: RefreshMark): void {
    const live = this.live.get(peer)
    if (live === undefined) return
    const { source, negotiated } = live
    const bit = 1 << family
    if (mark === 'begin') {
      if (negotiated.gracefulRestart !== null && source.endOfRib[family] !== true) {
        peer.counters.routeRefreshIgnored++
        return
      }
      live.refreshing |= bit
      this.#context.rib.markStale(family, source)
      return
    }
    if ((live.refreshing & bit) === 0) {
      peer.counters.routeRefreshIgnored++
      return
    }
    live.refreshing &= ~bit
    if (mark === 'end') peer.counters.refreshesEnded++
    else {
      peer.counters.refreshesTimedOut++
      const note = `the refresh of ${familyRow(family).name} that it began has not ended in time (RFC 7313 §4): routes that it did not send again are taken out`
      this.#context.log.write('session-note', { peer: peer.name, note })
    }
    this.#context.rib.sweepStale(family, source)
    this.#engine?.schedule()
  }

  drained(): void {
    // Each write has its own callback, which is what the groups go by.
  }

  dynamicPeer(peer: Peer, present: boolean): void {
    if (!present && !this.#stopping) this.#context.restart?.forget(peer.address)
  }

  /** The daemon stops: who the peers were is for the next run to know. */
  stop(): void {
    this.#stopping = true
  }

  stateChange(peer: Peer, from: SessionState, to: SessionState, reason: string): void {
    const { log } = this.#context
    this.lastStateChangeMs = performance.now()
    this.#context.restart?.stateChange(peer, from, to)
    log.write('session-state', { peer: peer.name, address: peer.address, from, to, reason, dynamic: peer.dynamic })
  }

  /** A reload changed settings of a live peer: its groups, its import policy. Returns the sources whose paths have to be judged again. */
  reconfigure(peer: Peer): RibSource | null {
    this.#context.bfd?.reconfigure(peer)
    const live = this.entry(peer)
    if (live === undefined) return null
    const before = live.source.options
    live.source.options = sourceOptionsOf(peer, live.negotiated, this.#context)
    live.members = live.members.map((member) =>
      this.#context.reflector.move(member, this.#exportOptions(live, member.group.family)),
    )
    const { importPolicy, weight, allowOwnAs, intake, kind, attributeRules } = live.source.options
    this.#engine?.schedule()
    const same =
      before.importPolicy === importPolicy &&
      before.weight === weight &&
      before.allowOwnAs === allowOwnAs &&
      sameIntake(before.intake, intake) &&
      before.kind === kind &&
      JSON.stringify(before.attributeRules) === JSON.stringify(attributeRules)
    return same ? null : live.source
  }

  /** Judges the paths of these sources again, in slices. */
  judgeAgain(sources: ReadonlySet<RibSource>): void {
    if (sources.size === 0) return
    const indices = new Set([...sources].map(({ index }) => index))
    let family: Family = 0
    let from = 1
    this.#engine?.addJob(() => {
      from = this.#adjRibIn.judgeAgain(family, indices, from, JUDGE_SLICE)
      if (from !== -1) return false
      from = 1
      if (family === FAMILIES.length - 1) return true
      family = (family + 1) as Family
      return false
    })
  }

  #exportOptions({ peer, negotiated }: LivePeer, family: Family): ExporterOptions {
    return exportOptionsOf(peer, negotiated, family, this.#context)
  }

  #endOfRib(source: RibSource, family: Family): void {
    const peer = this.#peerOfSource.get(source.index)
    if (peer !== undefined) this.stale.endOfRib(peer, family)
    this.#context.progress()
  }

  #fault(source: RibSource, fault: AttributeFault, place: FaultPlace): void {
    const peer = this.#peerOfSource.get(source.index)
    if (peer === undefined) return
    const addPath = (this.live.get(peer)!.negotiated.addPathReceive & (1 << place.family)) !== 0
    this.#context.errors.fault(peer, fault, place, addPath)
  }

  #familyIgnored(source: RibSource, afi: number, safi: number): void {
    const peer = this.#peerOfSource.get(source.index)
    if (peer !== undefined) this.#context.errors.familyIgnored(peer, afi, safi)
  }

  /** The bound of memory that all peers share: whoever passes it is told so (RFC 4486 §4, Out of Resources). */
  #checkPaths(): void {
    const limit = this.#context.config().limits.paths
    if (this.#context.rib.pathCount <= limit) return
    throw new NotificationError(
      6,
      8,
      `more than ${limit} paths of all neighbors together (limits.paths); raise it if there is memory for more (about 100 octets each), or set maxPrefix`,
    )
  }

  /** RFC 8654 §4: such a route is withheld. Said of the group's first member; the log thins it out. */
  #tooLong({ family, members, exporter }: UpdateGroup): void {
    const [first] = members.values()
    if (first === undefined) return
    const others = members.size === 1 ? '' : ` (and ${members.size - 1} more neighbors like it)`
    const note = `routes of ${familyRow(family).name} are withheld${others}: their attributes do not fit into a message of ${exporter.options.maxMessageOctets} octets; set extendedMessages on both sides, or see explain PREFIX`
    this.#context.log.write('session-note', { peer: first.name, note })
  }

  /** The leniency while stale routes were there is over: the peer may say nothing for long. */
  #limitAgain(source: RibSource): void {
    const peer = this.#peerOfSource.get(source.index)
    const live = peer === undefined ? undefined : this.live.get(peer)
    if (live === undefined || live.peer.config.maxPrefix === null) return
    try {
      this.#checkMaxPrefix(live, live.peer.config.maxPrefix)
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error
      live.peer.fail(error)
    }
  }

  /** RFC 4486 §4: Cease 6/1 with AFI, SAFI and the limit. */
  #checkMaxPrefix(live: LivePeer, limits: NonNullable<NeighborConfig['maxPrefix']>): void {
    for (const family of live.negotiated.families) {
      const count = live.source.received[family]!
      // Stale routes of a peer that has just come back are among them: judged when they are gone, and never more than twice the limit.
      const limit = this.stale.hasStale(live, family) ? limits.limit * 2 : limits.limit
      if (count > limit) {
        const { afi, safi, name } = familyRow(family)
        const data = new Uint8Array(7)
        new DataView(data.buffer).setUint16(0, afi)
        data[2] = safi
        new DataView(data.buffer).setUint32(3, limits.limit)
        throw new NotificationError(
          6,
          1,
          `more than maxPrefix ${limits.limit} prefixes of ${name}; raise neighbors[].maxPrefix or find out why the peer sends so many`,
          data,
        )
      }
      if (!live.warnedMaxPrefix && count * 100 >= limits.limit * limits.warningPercent) {
        live.warnedMaxPrefix = true
        const note = `${count} prefixes of ${familyRow(family).name}, ${limits.warningPercent} % of maxPrefix ${limits.limit}; at the limit the session ends`
        this.#context.log.write('session-note', { peer: live.peer.name, note })
      }
    }
  }
}

/** Path ids looked at in one slice. */
const JUDGE_SLICE = 8192
