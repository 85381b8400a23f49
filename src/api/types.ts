/**
 * What the API answers: plain JSON. The daemon implements `Views` and `Actions`; server, metrics and commands only know these.
 * Every view is made on demand. Times are ISO 8601 text or seconds; addresses canonical text.
 */

import type { BfdDiscards, BfdRow, BfdState } from '../bfd/types.js'
import type { ErrorAction } from '../bgp/error-log.js'
import type { SessionState } from '../bgp/session-types.js'
import type { ConfigDiff, ConfigProblem } from '../config/types.js'
import type { FibEntry, FibRouteState } from '../fib/types.js'
import type { FamilyName } from '../net/family.js'
import type { TcpDrops } from '../sys/tcp-counters.js'

export interface SummaryView {
  readonly routerId: string
  readonly asn: number
  readonly nodeName: string
  readonly version: string
  readonly uptimeSeconds: number
  readonly clusterId: string | null
  readonly fibDriver: string
  /** Why this driver; `auto` says what it found. */
  readonly fibDriverReason: string
  readonly families: readonly { readonly family: FamilyName; readonly prefixes: number; readonly paths: number }[]
  readonly attributeSets: number
  /** Connections that were not let in, since the start: of strangers, of known peers (a NOTIFICATION said why), over a limit. */
  readonly connections?: {
    readonly unknownConnections: number
    readonly refusedConnections: number
    readonly limitedConnections: number
  }
  /** After a restart: peers whose End-of-RIB the first decisions still wait for. */
  readonly waitsFor?: readonly string[]
  readonly peers: readonly PeerSummary[]
}
export interface PeerSummary {
  readonly name: string
  /** Remote address; `172.31.0.0/16` for a range neighbour without peers of its own. */
  readonly address: string
  readonly asn: number
  readonly state: SessionState
  /** `Idle(Admin)`, `Idle(Policy)`, `Established`, … as operators know them. */
  readonly stateText: string
  readonly dynamic: boolean
  readonly range: boolean
  readonly messagesReceived: number
  readonly messagesSent: number
  readonly outQueue: number
  /** Since the last state change into or out of Established. */
  readonly upDownSeconds: number
  readonly prefixesReceived: number
  readonly prefixesAccepted: number
  readonly prefixesSent: number
  /** Kept for a peer that is or was away (RFC 4724, RFC 9494); absent: none. */
  readonly staleRoutes?: number
  readonly description: string
  readonly lastReason: string
  /** Dynamic peers: name of the range neighbour they came in by. */
  readonly rangeName?: string
  /** Messages by what was done about them (RFC 7606 §2). */
  readonly errors?: ErrorCounts
  readonly updateErrors?: number
  /** What the peer calls itself (capability 73). */
  readonly hostname?: string
}
/** What both ends of an Established session agreed on, beyond families and AS numbers. */
export interface NegotiatedView {
  /** Octets: 4096, or 65535 (RFC 8654). */
  readonly maxMessageOctets: number
  readonly routeRefresh: boolean
  /** RFC 7313. */
  readonly enhancedRefresh: boolean
  /** IPv4 routes with IPv6 next hops (RFC 8950). */
  readonly extendedNextHop: boolean
  /** A link-local next hop stands alone (capability 77). */
  readonly linkLocalNextHop: boolean
  /** Families with path identifiers (RFC 7911), as seen from here. */
  readonly addPath: readonly { readonly family: FamilyName; readonly send: boolean; readonly receive: boolean }[]
  /** What the peer calls itself (capability 73); null where it does not say. */
  readonly hostname: string | null
  /** RFC 9234: what each is for the other; null where it does not say. */
  readonly localRole: string | null
  readonly peerRole: string | null
}
export interface NeighborView extends PeerSummary {
  readonly port: number
  readonly localAddress: string | null
  readonly localAsn: number
  readonly type: 'ebgp' | 'ibgp' | 'ibgp-client'
  readonly routerId: string | null
  readonly families: readonly FamilyName[]
  readonly negotiatedFamilies: readonly FamilyName[]
  readonly holdTimeSeconds: number
  readonly keepaliveSeconds: number
  readonly capabilities: readonly { readonly code: number; readonly name: string; readonly value: string }[]
  /** What the peer offers of graceful restart (RFC 4724, 8538, 9494), of the present session or of the last one while its routes are kept. */
  readonly gracefulRestart?: {
    readonly restartTimeSeconds: number
    readonly restarting: boolean
    /** The N bit on both sides. */
    readonly notification: boolean
    readonly families: readonly { readonly family: FamilyName; readonly forwarding: boolean }[]
    readonly longLived: readonly { readonly family: FamilyName; readonly staleTimeSeconds: number }[]
    /** Families with stale routes: restarting (the peer is away), long-lived, returned (waits for End-of-RIB). */
    readonly stale: readonly {
      readonly family: FamilyName
      readonly phase: 'restarting' | 'long-lived' | 'returned'
      readonly routes: number
      readonly remainingSeconds: number
    }[]
  }
  readonly as4: boolean
  /** Null while there is no session. */
  readonly negotiated?: NegotiatedView | null
  readonly importPolicy: string | null
  readonly exportPolicy: string | null
  /** Keys: `open`, `update`, `notification`, `keepalive`, `routeRefresh`. */
  readonly messages: { readonly received: Record<string, number>; readonly sent: Record<string, number> }
  readonly establishedCount: number
  readonly droppedCount: number
  readonly updateErrors: number
  /** ROUTE-REFRESH messages: not understood or not agreed on; answers marked by BoRR and EoRR; those whose EoRR did not come (RFC 7313). */
  readonly refreshes?: { readonly ignored: number; readonly ended: number; readonly timedOut: number }
  /** Absent: not configured. State null: it begins when the BGP session is Established. */
  readonly bfd?: { readonly state: BfdState | null }
  /** What the configuration asks of the sockets; absent: nothing. Of a password only that there is one. */
  readonly sockets?: {
    readonly password?: true
    readonly ttlSecurityHops?: number
    readonly multihop?: number
    readonly bindDevice?: string
  }
  /** Why there is no session (a socket option that cannot be had, segments that the kernel drops), or why it exchanges nothing, e.g. RFC 8212. */
  readonly notes: readonly string[]
  readonly perFamily: readonly {
    readonly family: FamilyName
    readonly received: number
    readonly accepted: number
    readonly sent: number
    /** Where it was negotiated (RFC 7911): how many paths of a prefix the peer is sent (0: it hears the winner without identifier), and whether it sends identifiers. */
    readonly addPath?: { readonly send: number | 'all'; readonly receive: boolean }
    readonly endOfRibReceived: boolean
    readonly endOfRibSent: boolean
    /** Attribute sets that do not fit into a message to peers like this one: their routes are withheld. */
    readonly tooLong?: number
  }[]
  /** Newest first. */
  readonly history: readonly {
    readonly time: string
    readonly from: SessionState
    readonly to: SessionState
    readonly reason: string
  }[]
}
/** BFD of all neighbours that use it (RFC 5880). */
export interface BfdView {
  /** Packets are only taken with hop limit 255 (RFC 5881 §5). Null: the BFD thread does not run: no session has needed it. */
  readonly checksHopLimit: boolean | null
  /** What an operator should know: why hop limits are not checked, the last trouble with sockets. */
  readonly notes: readonly string[]
  readonly sessions: readonly BfdSessionView[]
  /** Packets thrown away, by why (RFC 5880 §6.8.6). */
  readonly discarded: BfdDiscards
}
export interface BfdSessionView {
  readonly peer: string
  readonly address: string
  readonly dynamic: boolean
  readonly rangeName?: string
  /** Null: it begins when the BGP session is Established. */
  readonly state: BfdState | null
  /** Absent without a session. Discriminators are numbers; the counters are of this session. */
  readonly session?: Omit<BfdRow, 'id' | 'address' | 'state'> & {
    readonly diagnosticText: string
    readonly remoteDiagnosticText: string
  }
  /** Why the present session went down last; empty: it has not. */
  readonly lastDown: string
}
export interface ErrorCounts {
  readonly treatedAsWithdraw: number
  readonly attributesDiscarded: number
  readonly sessionResets: number
  readonly familiesIgnored: number
}
/** One fault, or several of the same; the peer may be gone. */
export interface ErrorView {
  /** Of the last one. */
  readonly time: string
  readonly firstTime: string
  readonly count: number
  readonly peer: string
  readonly address: string
  readonly message: string
  readonly action: ErrorAction
  /** `RFC 7606 §7.4`, or the key of the configuration; empty where none is named. */
  readonly rule: string
  readonly reason: string
  readonly attribute: number | null
  readonly attributeName: string | null
  readonly notification: { readonly code: number; readonly subcode: number; readonly name: string } | null
  /** Hex of the attribute, or of the message, of the first one: at most 256 octets of `octetsLength`. */
  readonly octets: string
  readonly octetsLength: number
  /** Of the first one: the first few of `prefixCount`. */
  readonly prefixes: readonly string[]
  readonly prefixCount: number
  /** Hex of the first message, at most 4096 octets of `messageLength`: `nodebgp decode` takes it. */
  readonly messageOctets: string
  readonly messageLength: number
}
export interface PathView {
  readonly prefix: string
  readonly family: FamilyName
  /** With ADD-PATH (RFC 7911): the identifier that the peer sent with it; in adj-out the one that we send. */
  readonly pathId?: number
  /** Name of the neighbour, `local` for own routes. */
  readonly from: string
  readonly fromAddress: string | null
  readonly best: boolean
  readonly multipath: boolean
  readonly valid: boolean
  /** Its peer is away, or has come back and not said it again (RFC 4724, 7313, 9494). */
  readonly stale?: boolean
  /** Why it won, lost, or is not used, in words. */
  readonly reason: string
  readonly nextHop: string | null
  readonly localPref: number | null
  readonly med: number | null
  readonly weight: number
  readonly asPath: string
  readonly origin: 'igp' | 'egp' | 'incomplete'
  readonly communities: readonly string[]
  readonly extCommunities: readonly string[]
  readonly largeCommunities: readonly string[]
  readonly originatorId: string | null
  readonly clusterList: readonly string[]
  readonly ageSeconds: number
}
export interface ExplainView {
  readonly prefix: string
  readonly known: boolean
  /** The covering prefix that forwards the traffic, when the prefix itself is not in the table. */
  readonly coveredBy: string | null
  readonly paths: readonly PathView[]
  readonly policy: readonly { readonly peer: string; readonly policy: string | null; readonly verdict: string }[]
  readonly decision: string
  readonly sentTo: readonly { readonly peer: string; readonly address: string; readonly note: string }[]
  readonly notSentTo: readonly { readonly peer: string; readonly address: string; readonly reason: string }[]
  readonly fib: FibEntry | null
  /** What is missing for the route to work, in words; empty when all is well. */
  readonly missing: readonly string[]
}
export interface GroupView {
  readonly id: number
  readonly family: FamilyName
  readonly key: string
  readonly members: readonly string[]
  readonly prefixes: number
  readonly logEntries: number
  readonly logOctets: number
  readonly behind: number
}
/** A prefix that this speaker announces by itself, and where it comes from. */
export interface BlockView {
  readonly prefix: string
  readonly family: FamilyName
  /** `originate`: a prefix of the configuration; `kernel`: a `fromKernel` rule; `announce`: by command. */
  readonly source: 'originate' | 'kernel' | 'announce'
  /** The rule, such as `originate[1]`; null: by command. */
  readonly rule: string | null
  /** A block around routes of the kernel. */
  readonly aggregated: boolean
  /** The kernel has lost it a moment ago; it is withdrawn unless it comes back. */
  readonly leaving: boolean
  /** State of the blackhole route that we write for it; null: none is asked for. */
  readonly blackhole: FibRouteState | null
  /** The kernel's routes behind it: the first few of `routeCount`. */
  readonly routes: readonly BlockRouteView[]
  readonly routeCount: number
}
export interface BlockRouteView {
  readonly prefix: string
  /** unicast, blackhole, unreachable or prohibit. */
  readonly kind: string
  readonly protocol: number
  /** `boot (3)`; the number alone where it has no name. */
  readonly protocolName: string
  readonly devices: readonly string[]
}
export interface RibQuery {
  readonly family?: FamilyName
  /** Exact prefix, or an address (longest match). */
  readonly prefix?: string
  readonly longer?: boolean
  readonly best?: boolean
  readonly from?: string
  readonly limit?: number
}

export interface Views {
  summary(): SummaryView
  /** An iterable for the same reason as `rib`. */
  neighbors(nameOrAddress?: string): Iterable<NeighborView>
  /**
   * May be large: an iterable, so that the server can stream it in slices. Between two values the table may change, the iterable has to bear that.
   * A search that passes many rows without a hit yields null now and then, so that it does not hold the event loop.
   * A wrong query (unknown peer, bad prefix) throws ApiError at the call or at the first value.
   */
  rib(query: RibQuery): Iterable<PathView | null>
  adjIn(peer: string, query: RibQuery): Iterable<PathView | null>
  adjOut(peer: string, query: RibQuery): Iterable<PathView | null>
  groups(): readonly GroupView[]
  fib(): readonly FibEntry[]
  blocks(): readonly BlockView[]
  bfd(): Promise<BfdView>
  /** The last faults of all peers, or of one by name or address, newest first. */
  errors(nameOrAddress?: string): readonly ErrorView[]
  /** Routes by state, without making the entries; metrics count `fib()` where it is absent. */
  fibStates?(): Readonly<Partial<Record<FibRouteState, number>>>
  explain(prefix: string): ExplainView
  /** Segments that the kernel dropped for their signature or TTL, of the whole network namespace; null where it does not tell. */
  tcpDrops?(): TcpDrops | null
  /** Ready: configuration applied, listening, FIB opened, and (when neighbours are configured) at least one Established. */
  ready(): { readonly ready: boolean; readonly reasons: readonly string[] }
}
/** A wrong question: HTTP 400 or 404, exit code 1. */
export class ApiError extends Error {
  readonly status: 400 | 404 | 409
  constructor(status: 400 | 404 | 409, message: string) {
    super(message)
    this.name = 'ApiError'
    this.status = status
  }
}
export interface AnnounceRequest {
  readonly prefix: string
  readonly nextHop?: string
  readonly med?: number
  readonly localPref?: number
  readonly communities?: readonly string[]
  readonly blackhole?: boolean
}
export interface DownRequest {
  /** Goes out as the shutdown communication (RFC 9003). */
  readonly text?: string
  /** Routes are moved away first (RFC 8326), for waitSeconds (30 without). */
  readonly graceful?: boolean
  readonly waitSeconds?: number
}
export type ReloadResult =
  | { readonly ok: true; readonly diff: ConfigDiff; readonly applied: boolean }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] }
export interface Actions {
  neighborUp(peer: string): string
  neighborDown(peer: string, request: DownRequest): string
  neighborClear(peer: string): string
  neighborRefresh(peer: string): string
  announce(request: AnnounceRequest): string
  withdraw(prefix: string): string
  /** Removes our routes from the kernel, and writes none until `fibRestore`. */
  fibFlush(): Promise<string>
  fibRestore(): string
  reload(dryRun: boolean): Promise<ReloadResult>
}
