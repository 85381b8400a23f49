/** Views of peers: summary and neighbours (src/api/types.ts). */
import {
  ApiError,
  type ErrorCounts,
  type NegotiatedView,
  type NeighborView,
  type PeerSummary,
  type SummaryView,
} from '../api/types.js'
import { capabilityName } from '../bgp/capabilities/describe.js'
import { roleName } from '../bgp/capabilities/offer.js'
import { MessageType, type Negotiated } from '../bgp/message/message.js'
import type { Peer } from '../bgp/peer.js'
import type { PeerCounters } from '../bgp/session-types.js'
import { ADD_PATH_ALL, type NeighborConfig } from '../config/types.js'
import { formatIpv4 } from '../net/address.js'
import { FAMILIES, familyRow } from '../net/family.js'
import type { UpdateGroup } from '../reflector/update-group.js'
import { SourceKind } from '../rib/source.js'
import { version } from '../version.js'
import { peerNotes } from './peer-notes.js'
import { peerKind } from './peer-rules.js'
import type { ViewContext } from './view-context.js'
import { WallClock } from './wall-clock.js'

/** Prefixes announced to each group, by the source they came from; made once per view. */
type Counts = Map<number, { readonly total: number; readonly bySource: Map<number, number> }>

export class PeerViews {
  readonly #context: ViewContext
  readonly #wallClock = new WallClock()
  #counted: Counts | null = null

  constructor(context: ViewContext) {
    this.#context = context
  }

  summary(): SummaryView {
    const { rib, manager, fib, nowSeconds } = this.#context
    const config = this.#context.config()
    const counts = this.#counts()
    const peers = [...manager.peers()].map((peer) => this.#summaryOf(peer, counts))
    const withPeers = new Set([...manager.peers()].map((peer) => peer.rangeName))
    const idleRanges = manager.ranges().filter((range) => !withPeers.has(range.name))
    return {
      routerId: formatIpv4(config.routerId),
      asn: config.asn,
      nodeName: config.nodeName,
      version,
      uptimeSeconds: Math.round(nowSeconds()),
      clusterId: config.reflector === null ? null : formatIpv4(config.reflector.clusterId),
      fibDriver: fib.driver,
      fibDriverReason: fib.driverReason,
      families: rib.tables.map(({ family, paths }) => ({
        family: familyRow(family).name,
        prefixes: paths.prefixes,
        paths: paths.size,
      })),
      attributeSets: rib.store.size,
      connections: { ...manager.counters },
      ...(this.#context.restart.waitsFor.length > 0 ? { waitsFor: this.#context.restart.waitsFor } : {}),
      peers: [...peers, ...idleRanges.map((range) => rangeSummary(range, manager.refusal(range)))],
    }
  }

  /** Made one by one as they are taken: thousands of them take longer than a short hold time. */
  *neighbors(nameOrAddress?: string): Generator<NeighborView> {
    const { manager } = this.#context
    const peers = nameOrAddress === undefined ? [...manager.peers()] : manager.find(nameOrAddress)
    const range = peers.length > 0 ? undefined : manager.ranges().find(({ name }) => name === nameOrAddress)
    if (range !== undefined) throw new ApiError(404, `range ${range.name} has no peers now`)
    const counts = this.#counts()
    for (const peer of peers) yield this.#neighbor(peer, counts)
  }

  /** The same until the loop turns: metrics ask for each configured neighbour by itself (a third of a scrape with 1000 of them). */
  #counts(): Counts {
    if (this.#counted !== null) return this.#counted
    const counts: Counts = new Map()
    this.#counted = counts
    setImmediate(() => {
      this.#counted = null
    })
    for (const group of this.#context.reflector.groups())
      counts.set(group.id, { total: group.prefixCount, bySource: group.countsBySource() })
    return counts
  }

  #summaryOf(peer: Peer, counts: Counts): PeerSummary {
    const live = this.#context.routes.entry(peer)
    const families = FAMILIES.map(({ family }) => family)
    const stale = this.#stale(peer).reduce((all, { routes }) => all + routes, 0)
    const sum = (of: (family: number) => number): number =>
      families.reduce<number>((total, family) => total + of(family), 0)
    return {
      name: peer.name,
      address: peer.address,
      asn: peer.config.asn,
      state: peer.state,
      stateText: this.#stateText(peer),
      dynamic: peer.dynamic,
      range: false,
      messagesReceived: total(peer.counters.received),
      messagesSent: total(peer.counters.sent),
      outQueue: peer.pendingOctets,
      upDownSeconds: Math.max(0, Math.round((performance.now() - peer.stateSinceMs) / 1000)),
      prefixesReceived: live === undefined ? 0 : sum((family) => live.source.received[family]!),
      prefixesAccepted: live === undefined ? 0 : sum((family) => live.source.accepted[family]!),
      prefixesSent:
        live === undefined
          ? 0
          : live.members.reduce((all, { group }) => all + sentTo(counts, group.id, live.source.index), 0),
      ...(stale === 0 ? {} : { staleRoutes: stale }),
      description: peer.config.description,
      lastReason: peer.lastReason,
      updateErrors: peer.counters.updateErrors,
      errors: errorCounts(peer.counters),
      ...(peer.rangeName === null ? {} : { rangeName: peer.rangeName }),
      ...(peer.negotiated === null || peer.negotiated.hostname === '' ? {} : { hostname: peer.negotiated.hostname }),
    }
  }

  #stateText(peer: Peer): string {
    if (this.#context.routes.live.has(peer)) return stateText(peer)
    const [first] = this.#context.routes.stale.view(peer)
    if (first === undefined) return stateText(peer)
    return first.phase === 'long-lived' ? 'LongLivedStale' : 'Restarting'
  }

  #graceful(peer: Peer): Pick<NeighborView, 'gracefulRestart'> {
    const live = this.#context.routes.entry(peer)
    const offer = live?.negotiated.gracefulRestart ?? null
    if (live === undefined || offer === null) return {}
    const { negotiated } = live
    return {
      gracefulRestart: {
        restartTimeSeconds: offer.restartTimeSeconds,
        restarting: offer.restarting,
        notification: negotiated.gracefulNotification,
        families: offer.families.map(({ family, forwarding }) => ({ family: familyRow(family).name, forwarding })),
        longLived: negotiated.longLived.map(({ family, staleTimeSeconds }) => ({
          family: familyRow(family).name,
          staleTimeSeconds,
        })),
        stale: this.#stale(peer),
      },
    }
  }

  /** While the peer is away all of its routes are; those that it has not said again yet are counted one by one. */
  #stale(peer: Peer): NonNullable<NeighborView['gracefulRestart']>['stale'] {
    const { rib, routes } = this.#context
    const source = routes.entry(peer)?.source
    if (source === undefined) return []
    return routes.stale.view(peer).map(({ family, phase, remainingSeconds }) => ({
      family: familyRow(family).name,
      phase,
      routes: phase === 'returned' ? rib.countStale(family, source) : source.received[family]!,
      remainingSeconds,
    }))
  }

  #bfd(peer: Peer): Pick<NeighborView, 'bfd'> {
    const bfd = this.#context.bfd.stateOf(peer)
    return bfd === null ? {} : { bfd }
  }

  /** What keeps the sockets of a peer without a session from having one. */
  #socketNotes(peer: Peer): string[] {
    if (peer.state === 'Established' || peer.adminDown) return []
    return peer.refusal === '' ? this.#context.sockets.hints(peer.config) : [peer.refusal]
  }

  #neighbor(peer: Peer, counts: Counts): NeighborView {
    const live = this.#context.routes.entry(peer)
    const { config: neighbor, negotiated } = peer
    const kind = peerKind(neighbor, this.#context.config())
    return {
      ...this.#summaryOf(peer, counts),
      updateErrors: peer.counters.updateErrors,
      port: neighbor.port,
      localAddress: peer.localAddress,
      localAsn: peer.localAsn,
      type: kind === SourceKind.EBGP ? 'ebgp' : kind === SourceKind.CLIENT ? 'ibgp-client' : 'ibgp',
      routerId: negotiated === null ? null : formatIpv4(negotiated.peerBgpId),
      families: neighbor.families.map((family) => familyRow(family).name),
      negotiatedFamilies: (negotiated?.families ?? []).map((family) => familyRow(family).name),
      holdTimeSeconds: negotiated?.holdTimeSeconds ?? neighbor.holdTimeSeconds,
      keepaliveSeconds: negotiated?.keepaliveSeconds ?? neighbor.keepaliveSeconds,
      capabilities: (negotiated?.peerCapabilities ?? []).map(({ code, value }) => ({
        code,
        name: capabilityName(code),
        value: Buffer.from(value).toString('hex'),
      })),
      ...this.#graceful(peer),
      as4: negotiated?.as4 ?? false,
      negotiated: negotiated === null ? null : negotiatedView(negotiated, neighbor),
      importPolicy: neighbor.importPolicy,
      exportPolicy: neighbor.exportPolicy,
      messages: { received: byType(peer.counters.received), sent: byType(peer.counters.sent) },
      establishedCount: peer.counters.establishedCount,
      droppedCount: peer.counters.droppedCount,
      refreshes: {
        ignored: peer.counters.routeRefreshIgnored,
        ended: peer.counters.refreshesEnded,
        timedOut: peer.counters.refreshesTimedOut,
      },
      ...this.#bfd(peer),
      notes: [...this.#socketNotes(peer), ...peerNotes(neighbor, this.#context.routes.live.get(peer))],
      ...socketsOf(neighbor),
      perFamily: (live?.members ?? []).map(({ group, member }) => ({
        family: familyRow(group.family).name,
        received: live!.source.received[group.family]!,
        accepted: live!.source.accepted[group.family]!,
        sent: sentTo(counts, group.id, live!.source.index),
        ...addPathOf(live!.negotiated, group),
        endOfRibReceived: live!.source.endOfRib[group.family] === true,
        endOfRibSent: member.endOfRibSent,
        tooLong: group.exporter.tooLong,
      })),
      history: [...peer.history]
        .reverse()
        .map(({ atMs, from, to, reason }) => ({ time: this.#wallClock.text(atMs), from, to, reason })),
    }
  }
}

/** What is asked of the sockets; of a password only that there is one. */
function socketsOf({ password, ttlSecurityHops, multihop, bindDevice }: NeighborConfig): Pick<NeighborView, 'sockets'> {
  const sockets = {
    ...(password === null ? {} : { password: true as const }),
    ...(ttlSecurityHops === null ? {} : { ttlSecurityHops }),
    ...(multihop === null ? {} : { multihop }),
    ...(bindDevice === null ? {} : { bindDevice }),
  }
  return Object.keys(sockets).length === 0 ? {} : { sockets }
}

function errorCounts(counters: PeerCounters): ErrorCounts {
  const { treatedAsWithdraw, attributesDiscarded, errorResets: sessionResets, familiesIgnored } = counters
  return { treatedAsWithdraw, attributesDiscarded, sessionResets, familiesIgnored }
}

function addPathOf({ addPathReceive, addPathSend }: Negotiated, { family, exporter }: UpdateGroup) {
  const receive = (addPathReceive & (1 << family)) !== 0
  if (!receive && (addPathSend & (1 << family)) === 0) return {}
  const { sendPaths } = exporter.options
  return { addPath: { send: sendPaths === ADD_PATH_ALL ? ('all' as const) : sendPaths, receive } }
}

function negotiatedView(negotiated: Negotiated, neighbor: NeighborConfig): NegotiatedView {
  const { addPathReceive, addPathSend, hostname, peerRole } = negotiated
  const has = (bits: number, family: number): boolean => (bits & (1 << family)) !== 0
  return {
    maxMessageOctets: negotiated.maxMessageOctets,
    routeRefresh: negotiated.routeRefresh,
    enhancedRefresh: negotiated.enhancedRefresh,
    extendedNextHop: negotiated.extendedNextHop,
    linkLocalNextHop: negotiated.linkLocalNextHop,
    addPath: FAMILIES.filter(({ family }) => has(addPathReceive | addPathSend, family)).map(({ family, name }) => ({
      family: name,
      send: has(addPathSend, family),
      receive: has(addPathReceive, family),
    })),
    hostname: hostname === '' ? null : hostname,
    localRole: neighbor.role,
    peerRole: peerRole === null ? null : roleName(peerRole),
  }
}

function sentTo(counts: Counts, group: number, source: number): number {
  const entry = counts.get(group)
  return entry === undefined ? 0 : entry.total - (entry.bySource.get(source) ?? 0)
}

function stateText(peer: Peer): string {
  if (peer.adminDown) return 'Idle(Admin)'
  if (peer.state === 'Idle' && peer.waitsForMaxPrefix) return 'Idle(PfxCt)'
  const { config } = peer
  if (peer.state === 'Idle' && peer.isDamped) return 'Idle(Damped)'
  if (peer.state === 'Established' && config.ebgp && config.importPolicy === null && config.exportPolicy === null)
    return 'Established(Policy)'
  if (peer.state === 'Established' && (peer.isDraining || config.gracefulShutdown)) return 'Established(GShut)'
  return peer.state
}

function rangeSummary(range: NeighborConfig, refusal: string): PeerSummary {
  return {
    name: range.name,
    address: range.range!.text,
    asn: range.asn,
    state: 'Idle',
    stateText: range.shutdown ? 'Idle(Admin)' : refusal === '' ? 'Range' : 'Idle',
    dynamic: false,
    range: true,
    messagesReceived: 0,
    messagesSent: 0,
    outQueue: 0,
    upDownSeconds: 0,
    prefixesReceived: 0,
    prefixesAccepted: 0,
    prefixesSent: 0,
    description: range.description,
    lastReason: refusal || 'waiting for peers to connect',
  }
}

function total(counters: readonly number[]): number {
  return counters.reduce((sum, count) => sum + count, 0)
}

function byType(counters: readonly number[]): Record<string, number> {
  return {
    open: counters[MessageType.OPEN]!,
    update: counters[MessageType.UPDATE]!,
    notification: counters[MessageType.NOTIFICATION]!,
    keepalive: counters[MessageType.KEEPALIVE]!,
    routeRefresh: counters[MessageType.ROUTE_REFRESH]!,
  }
}
