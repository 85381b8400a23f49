/**
 * A daemon of plain values behind the API's contract, and a real server on a socket in a temporary directory.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createMetrics } from '../../src/api/metrics.js'
import { type ApiLimits, type ApiServer, startApi } from '../../src/api/server.js'
import {
  type Actions,
  ApiError,
  type BfdView,
  type ErrorView,
  type ExplainView,
  type NeighborView,
  type PathView,
  type PeerSummary,
  type RibQuery,
  type SummaryView,
  type Views,
} from '../../src/api/types.js'
import type { ConfigDiff, HostPort } from '../../src/config/types.js'
import { type Log, silentLog } from '../../src/log.js'

export const torA: PeerSummary = {
  name: 'tor-a',
  address: '192.168.0.1',
  asn: 65001,
  state: 'Established',
  stateText: 'Established',
  dynamic: false,
  range: false,
  messagesReceived: 120,
  messagesSent: 130,
  outQueue: 0,
  upDownSeconds: 93_784,
  prefixesReceived: 3,
  prefixesAccepted: 2,
  prefixesSent: 1,
  description: 'rack 7',
  lastReason: 'session is up',
  errors: { treatedAsWithdraw: 3, attributesDiscarded: 1, sessionResets: 1, familiesIgnored: 0 },
}
export const rr1: PeerSummary = {
  ...torA,
  name: 'rr-1',
  address: '192.168.0.2',
  asn: 64512,
  state: 'Active',
  stateText: 'Active',
  messagesReceived: 0,
  messagesSent: 0,
  upDownSeconds: 61,
  description: '',
  lastReason: 'TCP: connection refused \x1b[31mby a joker',
  errors: { treatedAsWithdraw: 0, attributesDiscarded: 0, sessionResets: 0, familiesIgnored: 0 },
}
export const nodes: PeerSummary = {
  ...rr1,
  name: 'nodes',
  address: '192.168.0.0/16',
  range: true,
  state: 'Idle',
  stateText: 'Idle',
  lastReason: '',
}
export function dynamicPeer(n: number, established = true): PeerSummary {
  return {
    ...torA,
    name: `nodes-${n}`,
    address: `192.168.1.${n}`,
    asn: 64512,
    dynamic: true,
    rangeName: 'nodes',
    state: established ? 'Established' : 'OpenSent',
    stateText: established ? 'Established' : 'OpenSent',
    updateErrors: 1,
    errors: { treatedAsWithdraw: 1, attributesDiscarded: 0, sessionResets: 0, familiesIgnored: 0 },
  }
}
export const torADetail: NeighborView = {
  ...torA,
  port: 179,
  localAddress: '192.168.0.11',
  localAsn: 64512,
  type: 'ebgp',
  routerId: '192.168.0.1',
  families: ['ipv4-unicast', 'ipv6-unicast'],
  negotiatedFamilies: ['ipv4-unicast'],
  holdTimeSeconds: 9,
  keepaliveSeconds: 3,
  capabilities: [{ code: 65, name: '4-octet AS', value: '65001' }],
  as4: true,
  importPolicy: 'from-tor',
  exportPolicy: null,
  messages: {
    received: { open: 1, update: 4, notification: 0, keepalive: 115, routeRefresh: 0 },
    sent: { open: 1, update: 2, notification: 0, keepalive: 127, routeRefresh: 0 },
  },
  establishedCount: 2,
  droppedCount: 1,
  updateErrors: 5,
  notes: ['no export policy: nothing is sent (RFC 8212)'],
  perFamily: [
    { family: 'ipv4-unicast', received: 3, accepted: 2, sent: 1, endOfRibReceived: true, endOfRibSent: true },
  ],
  history: [{ time: '2026-01-02T03:04:05Z', from: 'OpenConfirm', to: 'Established', reason: 'KEEPALIVE received' }],
}
/** The same while it is away: its routes stay (RFC 4724, RFC 8538, RFC 9494). */
export const torAAway: NeighborView = {
  ...torADetail,
  state: 'Active',
  stateText: 'LongLivedStale',
  prefixesSent: 0,
  staleRoutes: 3,
  gracefulRestart: {
    restartTimeSeconds: 120,
    restarting: false,
    notification: true,
    families: [
      { family: 'ipv4-unicast', forwarding: true },
      { family: 'ipv6-unicast', forwarding: false },
    ],
    longLived: [{ family: 'ipv4-unicast', staleTimeSeconds: 3600 }],
    stale: [{ family: 'ipv4-unicast', phase: 'long-lived', routes: 3, remainingSeconds: 3210 }],
  },
  perFamily: [],
}
export const summary: SummaryView = {
  routerId: '192.168.0.11',
  asn: 64512,
  nodeName: 'node-1',
  version: '0.1.0',
  uptimeSeconds: 3661,
  clusterId: null,
  fibDriver: 'iproute2',
  fibDriverReason: 'auto found no netlink: no package koffi',
  families: [{ family: 'ipv4-unicast', prefixes: 2, paths: 3 }],
  attributeSets: 2,
  peers: [torA, rr1, nodes],
}
export const bfd: BfdView = {
  checksHopLimit: true,
  notes: ['BFD cannot listen on UDP port 4784, IPv6: EADDRINUSE'],
  discarded: { 'too short': 2, 'no session': 1 },
  sessions: [
    {
      peer: 'tor-a',
      address: '192.168.0.1',
      dynamic: false,
      state: 'Up',
      lastDown: '',
      session: {
        localAddress: '192.168.0.11',
        multihop: false,
        remoteState: 'Up',
        localDiscriminator: 3735928559,
        remoteDiscriminator: 7,
        diagnostic: 0,
        diagnosticText: 'none',
        remoteDiagnostic: 1,
        remoteDiagnosticText: 'control detection time expired',
        multiplier: 3,
        remoteMultiplier: 3,
        transmitMs: 100,
        receiveMs: 100,
        detectionMs: 300,
        remoteIndependent: false,
        polling: false,
        stateSeconds: 61,
        ups: 2,
        downs: 1,
        packetsReceived: 640,
        packetsSent: 650,
        lateWakes: 0,
        sourcePort: 49200,
      },
    },
    { peer: 'rr-1', address: '192.168.0.2', dynamic: false, state: null, lastDown: '' },
  ],
}
export const best: PathView = {
  prefix: '10.244.1.0/26',
  family: 'ipv4-unicast',
  from: 'tor-a',
  fromAddress: '192.168.0.1',
  best: true,
  multipath: false,
  valid: true,
  reason: 'only path',
  nextHop: '192.168.0.7',
  localPref: 100,
  med: null,
  weight: 0,
  asPath: '65001 64513',
  origin: 'igp',
  communities: ['64512:1'],
  extCommunities: [],
  largeCommunities: [],
  originatorId: null,
  clusterList: [],
  ageSeconds: 59,
}
export const own: PathView = {
  ...best,
  prefix: '10.244.171.0/26',
  from: 'local',
  fromAddress: null,
  nextHop: null,
  localPref: null,
  weight: 32768,
  asPath: '',
  reason: 'own route',
}
export const errors: readonly ErrorView[] = [
  {
    time: '2026-01-02T03:04:06.000Z',
    firstTime: '2026-01-02T03:04:05.000Z',
    count: 3,
    peer: 'tor-a',
    address: '192.168.0.1',
    message: 'UPDATE',
    action: 'treat-as-withdraw',
    rule: 'RFC 7606 §7.4',
    reason: 'MULTI_EXIT_DISC: length 3 is not 4',
    attribute: 4,
    attributeName: 'MULTI_EXIT_DISC',
    notification: null,
    octets: '800403000001',
    octetsLength: 6,
    prefixes: ['10.1.0.0/16', '10.2.0.0/16'],
    prefixCount: 7,
    messageOctets: 'ff'.repeat(60),
    messageLength: 60,
  },
  {
    time: '2026-01-02T03:04:05.000Z',
    firstTime: '2026-01-02T03:04:05.000Z',
    count: 1,
    peer: 'gone',
    address: '192.168.0.9',
    message: 'OPEN',
    action: 'session-reset',
    rule: 'RFC 4271 §6.2',
    reason: 'version 3\x1b[31m',
    attribute: null,
    attributeName: null,
    notification: { code: 2, subcode: 1, name: 'OPEN Message Error/Unsupported Version Number' },
    octets: 'ff'.repeat(256),
    octetsLength: 300,
    prefixes: [],
    prefixCount: 0,
    messageOctets: 'ff'.repeat(300),
    messageLength: 300,
  },
]
const noDiff: ConfigDiff = {
  neighborsAdded: ['tor-b'],
  neighborsRemoved: [],
  neighborsReset: [{ name: 'rr-1', keys: ['asn'] }],
  neighborsChanged: [],
  policiesChanged: ['pods'],
  originateChanged: false,
  fibChanged: [],
  listenChanged: false,
  apiChanged: false,
  reflectorChanged: false,
  logChanged: false,
  restartNeeded: [],
}

export interface Given {
  readonly socket: string
  readonly directory: string
  readonly api: ApiServer
  /** Calls of actions, in order. */
  readonly calls: unknown[][]
  /** Queries that rib() got. */
  readonly queries: RibQuery[]
  readonly end: () => Promise<void>
}
export interface GivenOptions {
  readonly views?: Partial<Views>
  readonly actions?: Partial<Actions>
  readonly http?: HostPort
  readonly limits?: Partial<ApiLimits>
  readonly log?: Log
}

export async function givenApi(options: GivenOptions = {}): Promise<Given> {
  const directory = mkdtempSync(join(tmpdir(), 'nodebgp-api-'))
  const socket = join(directory, 'run', 'nodebgp.sock')
  const queries: RibQuery[] = []
  const calls: unknown[][] = []
  const views = { ...fakeViews(queries), ...options.views }
  const metrics = createMetrics(views)
  const api = await startApi({
    socket,
    http: options.http ?? null,
    views,
    actions: { ...fakeActions(calls), ...options.actions },
    metrics,
    log: options.log ?? silentLog,
    ...(options.limits ? { limits: options.limits } : {}),
  })
  const end = async (): Promise<void> => {
    await api.close()
    metrics.close()
    rmSync(directory, { recursive: true, force: true })
  }
  return { socket, directory, api, calls, queries, end }
}

function fakeViews(queries: RibQuery[]): Views {
  const known = (name: string): void => {
    if (name !== 'tor-a') throw new ApiError(404, `no neighbour with the name or address '${name}'`)
  }
  const explain: ExplainView = {
    prefix: '10.244.1.0/26',
    known: true,
    coveredBy: null,
    paths: [best],
    policy: [{ peer: 'tor-a', policy: 'from-tor', verdict: 'accepted by statement 1' }],
    decision: 'only path',
    sentTo: [{ peer: 'rr-1', address: '192.168.0.2', note: '' }],
    notSentTo: [{ peer: 'tor-a', address: '192.168.0.1', reason: 'it came from there' }],
    fib: {
      prefix: '10.244.1.0/26',
      state: 'unresolved',
      kind: 'unicast',
      hops: [],
      reason: 'no route to 192.168.0.7',
    },
    missing: ['a route to the next hop 192.168.0.7'],
  }
  return {
    summary: () => summary,
    neighbors: (name) => (name === undefined || name === 'tor-a' || name === '192.168.0.1' ? [torADetail] : []),
    rib: (query) => {
      queries.push(query)
      const rows = [best, null, own].filter((row) => query.prefix === undefined || row?.prefix === query.prefix)
      return rows.slice(0, query.limit ?? rows.length)
    },
    adjIn: function* (peer) {
      known(peer)
      yield { ...best, best: false, valid: false, reason: 'rejected by policy from-tor' }
    },
    adjOut: function* (peer) {
      known(peer)
      yield best
    },
    groups: () => [
      {
        id: 1,
        family: 'ipv4-unicast',
        key: 'ebgp AS65001 pods',
        members: ['tor-a'],
        prefixes: 2,
        logEntries: 1,
        logOctets: 60,
        behind: 0,
      },
    ],
    bfd: () => Promise.resolve(bfd),
    errors: (name) => (name === undefined || name === 'tor-a' || name === 'gone' ? errors : []),
    fib: () => [
      {
        prefix: '10.244.1.0/26',
        state: 'installed',
        kind: 'unicast',
        hops: [{ gateway: '192.168.0.7', device: 'eth0', onlink: false }],
        reason: '',
      },
    ],
    blocks: () => [
      {
        prefix: '10.244.1.0/26',
        family: 'ipv4-unicast',
        source: 'kernel',
        rule: 'originate[1]',
        aggregated: true,
        leaving: false,
        blackhole: 'installed',
        routes: [
          { prefix: '10.244.1.5/32', kind: 'unicast', protocol: 3, protocolName: 'boot (3)', devices: ['cali5'] },
          { prefix: '10.244.1.6/32', kind: 'unicast', protocol: 80, protocolName: 'felix (80)', devices: ['cali6'] },
        ],
        routeCount: 2,
      },
      {
        prefix: '10.9.0.0/16',
        family: 'ipv4-unicast',
        source: 'announce',
        rule: null,
        aggregated: false,
        leaving: false,
        blackhole: null,
        routes: [],
        routeCount: 0,
      },
    ],
    explain: (prefix) => ({ ...explain, prefix, known: prefix === '10.244.1.0/26' }),
    ready: () => ({ ready: false, reasons: ['no session is Established'] }),
  }
}

function fakeActions(calls: unknown[][]): Actions {
  const record =
    (name: string) =>
    (...parameters: unknown[]): string => {
      calls.push([name, ...parameters])
      if (parameters[0] === 'nobody') throw new ApiError(404, "no neighbour with the name or address 'nobody'")
      return `${name} done`
    }
  return {
    neighborUp: record('up'),
    neighborDown: record('down'),
    neighborClear: record('clear'),
    neighborRefresh: record('refresh'),
    announce: record('announce'),
    withdraw: record('withdraw'),
    fibFlush: async () => record('flush')(),
    fibRestore: record('restore'),
    reload: async (dryRun) => {
      calls.push(['reload', dryRun])
      return { ok: true, diff: noDiff, applied: !dryRun }
    },
  }
}

export interface Reply {
  readonly status: number
  readonly text: string
  readonly json: unknown
  readonly headers: Readonly<Record<string, unknown>>
}
export function ask(
  where: { socketPath: string } | HostPort,
  method: string,
  path: string,
  body?: string,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...where, method, path, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        const isJson = String(response.headers['content-type']).startsWith('application/json')
        const json: unknown = isJson && text ? JSON.parse(text) : undefined
        resolve({ status: response.statusCode ?? 0, text, json, headers: response.headers })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}
