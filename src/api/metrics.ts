/**
 * Prometheus metrics, filled from `Views` when they are scraped: an event costs nothing. GoBGP's names where it has one.
 *
 * Series stay few: configured neighbours have their own; the peers of a range are summed up per range, unless `?peers=all` asks for each.
 * Filling and rendering pause now and then, so that a scrape of thousands of peers does not hold the event loop.
 */
import { readdirSync } from 'node:fs'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, Registry } from 'prom-client'
import { BFD_STATES } from '../bfd/types.js'
import type { SessionState } from '../bgp/session-types.js'
import type { FibRouteState } from '../fib/types.js'
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

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
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
    fill(
      'bgp_range_routes_received',
      { range },
      sum((peer) => peer.prefixesReceived),
    )
    fill(
      'bgp_range_routes_accepted',
      { range },
      sum((peer) => peer.prefixesAccepted),
    )
    fill(
      'bgp_range_routes_advertised',
      { range },
      sum((peer) => peer.prefixesSent),
    )
    fill(
      'bgp_range_routes_stale',
      { range },
      sum((peer) => peer.staleRoutes ?? 0),
    )
    fill(
      'bgp_range_messages_received',
      { range },
      sum((peer) => peer.messagesReceived),
    )
    fill(
      'bgp_range_messages_sent',
      { range },
      sum((peer) => peer.messagesSent),
    )
    fill(
      'bgp_range_out_queue_count',
      { range },
      sum((peer) => peer.outQueue),
    )
    fill(
      'bgp_range_update_errors',
      { range },
      sum((peer) => peer.updateErrors ?? 0),
    )
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

const PEER = ['peer', 'name']
const PEER_FAMILY = ['peer', 'name', 'route_family']
const GROUP = ['group', 'route_family']
type MetricRow = readonly ['gauge' | 'counter', string, readonly string[]]
type MetricName = keyof typeof METRICS
const METRICS = {
  bgp_info: ['gauge', 'Always 1; what runs here', ['version', 'node', 'asn', 'router_id', 'cluster_id', 'fib_driver']],
  bgp_ready: ['gauge', '1 when /readyz says ready', []],
  bgp_tcp_dropped_segments_total: [
    'counter',
    'TCP segments that the kernel dropped in this network namespace for their MD5 signature (wrong, missing, not asked for) or their TTL (ttlSecurity)',
    ['reason'],
  ],
  bgp_uptime_seconds: ['gauge', 'Seconds since the daemon started', []],
  bgp_peers: ['gauge', 'Peers by session state, dynamic ones included', ['state']],
  bgp_peer_state: [
    'gauge',
    'Session state (RFC 4273): 1 Idle, 2 Connect, 3 Active, 4 OpenSent, 5 OpenConfirm, 6 Established',
    PEER,
  ],
  bgp_peer_up: ['gauge', '1 when Established', PEER],
  bgp_peer_asn: ['gauge', "The peer's AS number", PEER],
  bgp_peer_local_asn: ['gauge', 'Our AS number towards the peer', PEER],
  bgp_peer_uptime: ['gauge', 'Seconds since Established; 0 when it is not', PEER],
  bgp_peer_established_total: ['counter', 'Times the session came up', PEER],
  bgp_peer_flop_count: ['counter', 'Times the session was lost', PEER],
  bgp_peer_out_queue_count: ['gauge', 'Octets given to the socket that the peer has not taken', PEER],
  bgp_routes_received: ['gauge', 'Prefixes received', PEER_FAMILY],
  bgp_routes_accepted: ['gauge', 'Prefixes that passed loop checks and import policy', PEER_FAMILY],
  bgp_routes_advertised: ['gauge', 'Prefixes sent', PEER_FAMILY],
  bgp_routes_stale: ['gauge', 'Stale routes kept in graceful restart, long-lived ones included', PEER_FAMILY],
  bgp_update_errors_total: [
    'counter',
    'Wrong messages by what was done (RFC 7606 §2); family-ignored: routes of families that were not negotiated',
    ['peer', 'name', 'action'],
  ],
  bgp_received_message_total: ['counter', 'Messages received', PEER],
  bgp_sent_message_total: ['counter', 'Messages sent', PEER],
  bgp_received_open_total: ['counter', 'OPEN messages received', PEER],
  bgp_sent_open_total: ['counter', 'OPEN messages sent', PEER],
  bgp_received_update_total: ['counter', 'UPDATE messages received', PEER],
  bgp_sent_update_total: ['counter', 'UPDATE messages sent', PEER],
  bgp_received_notification_total: ['counter', 'NOTIFICATION messages received', PEER],
  bgp_sent_notification_total: ['counter', 'NOTIFICATION messages sent', PEER],
  bgp_received_keepalive_total: ['counter', 'KEEPALIVE messages received', PEER],
  bgp_sent_keepalive_total: ['counter', 'KEEPALIVE messages sent', PEER],
  bgp_received_refresh_total: ['counter', 'ROUTE-REFRESH messages received', PEER],
  bgp_sent_refresh_total: ['counter', 'ROUTE-REFRESH messages sent', PEER],
  bgp_range_peers: ['gauge', 'Dynamic peers of a range neighbour', ['range', 'state']],
  bgp_range_routes_received: ['gauge', 'Prefixes received from the peers of a range', ['range']],
  bgp_range_routes_accepted: ['gauge', 'Prefixes accepted from the peers of a range', ['range']],
  bgp_range_routes_advertised: ['gauge', 'Prefixes sent to the peers of a range', ['range']],
  bgp_range_routes_stale: ['gauge', 'Stale routes kept for the peers of a range', ['range']],
  bgp_range_messages_received: ['gauge', 'Messages received from the present peers of a range', ['range']],
  bgp_range_messages_sent: ['gauge', 'Messages sent to the present peers of a range', ['range']],
  bgp_range_out_queue_count: [
    'gauge',
    'Octets given to the sockets that the peers of a range have not taken',
    ['range'],
  ],
  bgp_range_update_errors: ['gauge', 'Malformed UPDATE messages from the present peers of a range', ['range']],
  bgp_rib_prefixes: ['gauge', 'Prefixes in the table', ['route_family']],
  bgp_rib_paths: ['gauge', 'Paths in the table', ['route_family']],
  bgp_attr_sets: ['gauge', 'Distinct attribute sets', []],
  bgp_groups: ['gauge', 'Update groups', []],
  bgp_group_members: ['gauge', 'Peers of an update group', GROUP],
  bgp_group_prefixes: ['gauge', 'Prefixes an update group sends', GROUP],
  bgp_group_log_entries: ['gauge', "Pieces of encoded messages in an update group's log", GROUP],
  bgp_group_log_bytes: ['gauge', "Octets in an update group's log", GROUP],
  bgp_group_behind: ['gauge', 'Members that are brought up to date from the table instead of the log', GROUP],
  bgp_bfd_sessions: ['gauge', 'BFD sessions by state (RFC 5880)', ['state']],
  bgp_bfd_session_up: ['gauge', '1 when the BFD session is Up', PEER],
  bgp_bfd_session_uptime_seconds: ['gauge', 'Seconds since the BFD session came up; 0 when it is not', PEER],
  bgp_bfd_detection_seconds: ['gauge', 'After so much silence the peer is gone', PEER],
  bgp_bfd_received_packets_total: ['counter', 'BFD packets received in the present session', PEER],
  bgp_bfd_sent_packets_total: ['counter', 'BFD packets sent in the present session', PEER],
  bgp_bfd_session_downs_total: ['counter', 'Times the present BFD session went down', PEER],
  bgp_bfd_discarded_total: ['counter', 'BFD packets thrown away, by why', ['reason']],
  bgp_fib_routes: ['gauge', 'Routes of the kernel table by state', ['state']],
  bgp_eventloop_delay_seconds: ['gauge', 'Delay of the event loop since the last scrape', ['quantile']],
  process_cpu_user_seconds_total: ['counter', 'CPU seconds in user mode', []],
  process_cpu_system_seconds_total: ['counter', 'CPU seconds in the kernel', []],
  process_start_time_seconds: ['gauge', 'Start of the process since the epoch', []],
  process_resident_memory_bytes: ['gauge', 'Resident memory', []],
  process_open_fds: ['gauge', 'Open file descriptors', []],
  nodejs_heap_size_total_bytes: ['gauge', 'JavaScript heap', []],
  nodejs_heap_size_used_bytes: ['gauge', 'JavaScript heap in use', []],
  nodejs_external_memory_bytes: ['gauge', 'Buffers and other memory outside of the heap', []],
} as const satisfies Readonly<Record<string, MetricRow>>
