/**
 * Prometheus metrics (metric-table.ts), filled from `Views` when they are scraped: an event costs nothing.
 *
 * Series stay few: configured neighbours have their own; the peers of a range are summed up per range, unless `?peers=all` asks for each.
 * Filling and rendering pause now and then, so that a scrape of thousands of peers does not hold the event loop.
 */

import { readdirSync } from 'node:fs'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Counter, Gauge, Registry } from 'prom-client'
import { BFD_STATES } from '../bfd/types.js'
import type { SessionState } from '../bgp/session-types.js'
import type { FibRouteState } from '../fib/types.js'
import { METRICS, type MetricName } from './metric-table.js'
import type { BfdView, NeighborView, PeerSummary, SummaryView, Views } from './types.js'

export interface Metrics {
  render(options: { readonly allPeers: boolean }): Promise<{ readonly type: string; readonly text: string }>
  /** Stops measuring the event loop. */
  close(): void
}

const PEERS_PER_TURN = 20
/** How often the event loop's delay is sampled. */
const LOOP_SAMPLE_MS = 10

export function createMetrics(views: Views): Metrics {
  const registry = new Registry()
  const fill = makeFill(registry)
  const loop = monitorEventLoopDelay({ resolution: LOOP_SAMPLE_MS })
  loop.enable()
  let running: Promise<unknown> = Promise.resolve()
  const render = async (allPeers: boolean) => {
    registry.resetMetrics()
    fillDaemon(fill, views)
    const summary = views.summary()
    fillSummary(fill, summary)
    fillRanges(fill, summary.peers)
    let filled = 0
    for (const peer of summary.peers) {
      if (peer.range || (peer.dynamic && !allPeers)) continue
      fillPeer(fill, peer)
      if (!peer.dynamic) for (const detail of views.neighbors(peer.name)) fillNeighbor(fill, detail)
      if (++filled % PEERS_PER_TURN === 0) await nextTurn()
    }
    fillBfd(fill, await views.bfd(), allPeers)
    fillGroups(fill, views)
    fillFib(fill, views)
    fillProcess(fill, loop)
    const parts: string[] = []
    for (const { name } of registry.getMetricsAsArray()) {
      parts.push(await registry.getSingleMetricAsString(name))
      await nextTurn()
    }
    return { type: registry.contentType, text: parts.join('\n\n') + '\n' }
  }
  return {
    // One after the other: they share the registry.
    render: ({ allPeers }) => {
      const result = running.then(() => render(allPeers))
      running = result.catch(() => {})
      return result
    },
    close: () => {
      loop.disable()
    },
  }
}

type Labels = Readonly<Record<string, string>>
/** Sets one sample. */
type Fill = (name: MetricName, labels: Labels, value: number) => void

function makeFill(registry: Registry): Fill {
  const set = new Map<string, Fill>()
  for (const [name, [kind, help, labelNames]] of Object.entries(METRICS)) {
    const options = { name, help, labelNames: [...labelNames], registers: [registry] }
    if (kind === 'gauge') {
      const gauge = new Gauge(options)
      set.set(name, (_, labels, value) => gauge.set(labels, value))
    } else {
      const counter = new Counter(options)
      set.set(name, (_, labels, value) => counter.inc(labels, Math.max(0, value)))
    }
  }
  return (name, labels, value) => set.get(name)!(name, labels, value)
}

function fillDaemon(fill: Fill, views: Views): void {
  fill('bgp_ready', {}, views.ready().ready ? 1 : 0)
  const drops = views.tcpDrops?.()
  if (drops == null) return
  for (const [reason, key] of TCP_DROP_METRICS) fill('bgp_tcp_dropped_segments_total', { reason }, drops[key])
}

function fillSummary(fill: Fill, summary: SummaryView): void {
  fill(
    'bgp_info',
    {
      version: summary.version,
      node: summary.nodeName,
      asn: String(summary.asn),
      router_id: summary.routerId,
      cluster_id: summary.clusterId ?? '',
      fib_driver: summary.fibDriver,
    },
    1,
  )
  fill('bgp_uptime_seconds', {}, summary.uptimeSeconds)
  fill('bgp_attr_sets', {}, summary.attributeSets)
  for (const { family, prefixes, paths } of summary.families) {
    fill('bgp_rib_prefixes', { route_family: family }, prefixes)
    fill('bgp_rib_paths', { route_family: family }, paths)
  }
  const states = new Map<SessionState, number>(Object.keys(STATE_NUMBER).map((state) => [state as SessionState, 0]))
  for (const peer of summary.peers) if (!peer.range) states.set(peer.state, states.get(peer.state)! + 1)
  for (const [state, count] of states) fill('bgp_peers', { state: state.toLowerCase() }, count)
}

/** What the summary has of every peer. */
function fillPeer(fill: Fill, peer: PeerSummary): void {
  const labels = { peer: peer.address, name: peer.name }
  const up = peer.state === 'Established'
  fill('bgp_peer_state', labels, STATE_NUMBER[peer.state])
  fill('bgp_peer_up', labels, up ? 1 : 0)
  fill('bgp_peer_asn', labels, peer.asn)
  fill('bgp_peer_uptime', labels, up ? peer.upDownSeconds : 0)
  fill('bgp_peer_out_queue_count', labels, peer.outQueue)
  fill('bgp_received_message_total', labels, peer.messagesReceived)
  fill('bgp_sent_message_total', labels, peer.messagesSent)
  if (peer.errors !== undefined) {
    for (const [action, key] of ERROR_METRICS) fill('bgp_update_errors_total', { ...labels, action }, peer.errors[key])
  }
  if (!peer.dynamic) return
  fill('bgp_routes_received', { ...labels, route_family: 'all' }, peer.prefixesReceived)
  fill('bgp_routes_accepted', { ...labels, route_family: 'all' }, peer.prefixesAccepted)
  fill('bgp_routes_advertised', { ...labels, route_family: 'all' }, peer.prefixesSent)
  fill('bgp_routes_stale', { ...labels, route_family: 'all' }, peer.staleRoutes ?? 0)
}

/** What only the detailed view of a configured neighbour has. */
function fillNeighbor(fill: Fill, peer: NeighborView): void {
  const labels = { peer: peer.address, name: peer.name }
  fill('bgp_peer_local_asn', labels, peer.localAsn)
  fill('bgp_peer_established_total', labels, peer.establishedCount)
  fill('bgp_peer_flop_count', labels, peer.droppedCount)
  for (const family of peer.perFamily) {
    const familyLabels = { ...labels, route_family: family.family }
    fill('bgp_routes_received', familyLabels, family.received)
    fill('bgp_routes_accepted', familyLabels, family.accepted)
    fill('bgp_routes_advertised', familyLabels, family.sent)
    fill('bgp_routes_stale', familyLabels, 0)
  }
  for (const { family, routes } of peer.gracefulRestart?.stale ?? [])
    fill('bgp_routes_stale', { ...labels, route_family: family }, routes)
  for (const [key, received, sent] of MESSAGE_METRICS) {
    fill(received, labels, peer.messages.received[key] ?? 0)
    fill(sent, labels, peer.messages.sent[key] ?? 0)
  }
}

/** Sums over the peers of each range. They shrink when peers go away, so they are gauges. */
function fillRanges(fill: Fill, peers: readonly PeerSummary[]): void {
  const ranges = new Map<string, PeerSummary[]>()
  for (const peer of peers) if (peer.range) ranges.set(peer.name, [])
  for (const peer of peers) {
    if (!peer.dynamic || peer.range) continue
    const name = peer.rangeName ?? ''
    const members = ranges.get(name)
    if (members) members.push(peer)
    else ranges.set(name, [peer])
  }
  for (const [range, members] of ranges) {
    const sum = (value: (peer: PeerSummary) => number): number =>
      members.reduce((total, peer) => total + value(peer), 0)
    const established = sum((peer) => (peer.state === 'Established' ? 1 : 0))
    fill('bgp_range_peers', { range, state: 'established' }, established)
    fill('bgp_range_peers', { range, state: 'other' }, members.length - established)
    for (const [name, value] of RANGE_METRICS) fill(name, { range }, sum(value))
  }
}

/** Sessions of all peers by state; counters and times of the configured ones, and of those of a range when they are asked for. */
function fillBfd(fill: Fill, { sessions, discarded }: BfdView, allPeers: boolean): void {
  const states = new Map<string, number>()
  for (const { state } of sessions) if (state !== null) states.set(state, (states.get(state) ?? 0) + 1)
  for (const state of BFD_STATES) fill('bgp_bfd_sessions', { state: state.toLowerCase() }, states.get(state) ?? 0)
  for (const [reason, count] of Object.entries(discarded)) fill('bgp_bfd_discarded_total', { reason }, count)
  for (const { peer, address, dynamic, state, session } of sessions) {
    if (dynamic && !allPeers) continue
    const labels = { peer: address, name: peer }
    fill('bgp_bfd_session_up', labels, state === 'Up' ? 1 : 0)
    if (session === undefined) continue
    fill('bgp_bfd_session_uptime_seconds', labels, state === 'Up' ? session.stateSeconds : 0)
    fill('bgp_bfd_detection_seconds', labels, session.detectionMs / 1000)
    fill('bgp_bfd_received_packets_total', labels, session.packetsReceived)
    fill('bgp_bfd_sent_packets_total', labels, session.packetsSent)
    fill('bgp_bfd_session_downs_total', labels, session.downs)
  }
}

function fillGroups(fill: Fill, views: Views): void {
  const groups = views.groups()
  fill('bgp_groups', {}, groups.length)
  for (const group of groups) {
    const labels = { group: String(group.id), route_family: group.family }
    fill('bgp_group_members', labels, group.members.length)
    fill('bgp_group_prefixes', labels, group.prefixes)
    fill('bgp_group_log_entries', labels, group.logEntries)
    fill('bgp_group_log_bytes', labels, group.logOctets)
    fill('bgp_group_behind', labels, group.behind)
  }
}

function fillFib(fill: Fill, views: Views): void {
  const counts = new Map<FibRouteState, number>(FIB_STATES.map((state) => [state, 0]))
  const known = views.fibStates?.()
  if (known) for (const state of FIB_STATES) counts.set(state, known[state] ?? 0)
  else for (const entry of views.fib()) counts.set(entry.state, (counts.get(entry.state) ?? 0) + 1)
  for (const [state, count] of counts) fill('bgp_fib_routes', { state }, count)
}

/** Times since the last scrape; the sampling interval itself is taken off. */
function fillProcess(fill: Fill, loop: IntervalHistogram): void {
  const seconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - LOOP_SAMPLE_MS / 1e3)
  const sampled = loop.count > 0
  fill('bgp_eventloop_delay_seconds', { quantile: '0.5' }, sampled ? seconds(loop.percentile(50)) : 0)
  fill('bgp_eventloop_delay_seconds', { quantile: '0.99' }, sampled ? seconds(loop.percentile(99)) : 0)
  fill('bgp_eventloop_delay_seconds', { quantile: '1' }, sampled ? seconds(loop.max) : 0)
  loop.reset()
  const memory = process.memoryUsage()
  const cpu = process.cpuUsage()
  fill('process_cpu_user_seconds_total', {}, cpu.user / 1e6)
  fill('process_cpu_system_seconds_total', {}, cpu.system / 1e6)
  fill('process_start_time_seconds', {}, Math.round(Date.now() / 1000 - process.uptime()))
  fill('process_resident_memory_bytes', {}, memory.rss)
  fill('nodejs_heap_size_total_bytes', {}, memory.heapTotal)
  fill('nodejs_heap_size_used_bytes', {}, memory.heapUsed)
  fill('nodejs_external_memory_bytes', {}, memory.external)
  try {
    fill('process_open_fds', {}, readdirSync('/proc/self/fd').length)
  } catch {
    // Only Linux has it.
  }
}

/** bgpPeerState of RFC 4273. */
const STATE_NUMBER: Readonly<Record<SessionState, number>> = {
  Idle: 1,
  Connect: 2,
  Active: 3,
  OpenSent: 4,
  OpenConfirm: 5,
  Established: 6,
}
const FIB_STATES: readonly FibRouteState[] = [
  'installed',
  'pending',
  'unresolved',
  'conflict',
  'failed',
  'left',
  'adopted',
]
const MESSAGE_METRICS = [
  ['open', 'bgp_received_open_total', 'bgp_sent_open_total'],
  ['update', 'bgp_received_update_total', 'bgp_sent_update_total'],
  ['notification', 'bgp_received_notification_total', 'bgp_sent_notification_total'],
  ['keepalive', 'bgp_received_keepalive_total', 'bgp_sent_keepalive_total'],
  ['routeRefresh', 'bgp_received_refresh_total', 'bgp_sent_refresh_total'],
] as const

const ERROR_METRICS = [
  ['treat-as-withdraw', 'treatedAsWithdraw'],
  ['attribute-discard', 'attributesDiscarded'],
  ['session-reset', 'sessionResets'],
  ['family-ignored', 'familiesIgnored'],
] as const

const TCP_DROP_METRICS = [
  ['md5-failure', 'md5Failure'],
  ['md5-not-found', 'md5NotFound'],
  ['md5-unexpected', 'md5Unexpected'],
  ['min-ttl', 'minTtl'],
] as const

/** Summed up over the peers of a range. */
const RANGE_METRICS: readonly (readonly [MetricName, (peer: PeerSummary) => number])[] = [
  ['bgp_range_routes_received', (peer) => peer.prefixesReceived],
  ['bgp_range_routes_accepted', (peer) => peer.prefixesAccepted],
  ['bgp_range_routes_advertised', (peer) => peer.prefixesSent],
  ['bgp_range_routes_stale', (peer) => peer.staleRoutes ?? 0],
  ['bgp_range_messages_received', (peer) => peer.messagesReceived],
  ['bgp_range_messages_sent', (peer) => peer.messagesSent],
  ['bgp_range_out_queue_count', (peer) => peer.outQueue],
  ['bgp_range_update_errors', (peer) => peer.updateErrors ?? 0],
]
