/**
 * The configuration as the core uses it: checked, defaults filled in, templates applied, free of YAML and JSON. Made by src/config/parse.ts.
 * Units are in the names; addresses are canonical text (RFC 5952 for IPv6); prefixes have their host bits zeroed.
 */
import type { RoleName } from '../bgp/capabilities/offer.js'
import type { Family } from '../net/family.js'
import type { Secret } from './secret.js'

export interface Config {
  readonly asn: number
  /** u32, never 0. */
  readonly routerId: number
  readonly nodeName: string
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent' }
  readonly listen: readonly ListenAddress[]
  readonly api: { readonly socket: string; readonly http: HostPort | null }
  readonly reflector: { readonly clusterId: number } | null
  readonly originate: readonly OriginateRule[]
  readonly neighbors: readonly NeighborConfig[]
  readonly policies: ReadonlyMap<string, PolicyConfig>
  readonly fib: FibConfig
  /** Keeps the graceful peers of the last run (RFC 4724 §4.1); null: nothing is kept. */
  readonly stateFile: string | null
  readonly limits: {
    /** Accepted connections that are not Established, of all peers together. */
    readonly pendingConnections: number
    /** Paths of all peers together, both families. */
    readonly paths: number
  }
  /** How long the first decisions of a restart may wait for End-of-RIB, at most 20 s. */
  readonly restartDeferralMs: number
  /** File it came from, for messages. */
  readonly file: string
}

export interface ListenAddress {
  readonly address: string
  readonly port: number
}
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** An IP prefix as text and parts. */
export interface PrefixText {
  readonly family: Family
  /** Canonical: `10.244.0.0/16`. */
  readonly text: string
  /** 4 or 16 octets, host bits zero. */
  readonly address: Uint8Array
  readonly length: number
}

export type OriginateRule = StaticOriginate | KernelOriginate
export interface StaticOriginate {
  readonly kind: 'static'
  readonly prefix: PrefixText
  /** Also written to the kernel as a blackhole, so that unallocated addresses do not loop. */
  readonly blackhole: boolean
  /** Attributes of the own route. nextHop null: the session's own address. */
  readonly nextHop: string | null
  readonly med: number | null
  readonly localPref: number | null
  readonly communities: readonly string[]
}
export interface KernelOriginate {
  readonly kind: 'fromKernel'
  /** Route protocol numbers (boot = 3, static = 4, kernel = 2, bird = 12, …); empty: any but ours. */
  readonly protocols: readonly number[]
  readonly within: readonly PrefixText[]
  /** Shell patterns with `*`; empty: any. */
  readonly interfaces: readonly string[]
  /** Only routes that lead nowhere (blackhole, unreachable, prohibit), only others, or (null) both. */
  readonly blackhole: boolean | null
  /** Null: each route is announced as it is. */
  readonly aggregate: AggregateRule | null
}
/** Routes of single Pods are announced as the block around them. */
export interface AggregateRule {
  /** Lengths of the blocks. */
  readonly ipv4: number
  readonly ipv6: number
  /** Only blocks that the kernel has a blackhole route of (or `originate` names) are ours; Pods in others are announced one by one. */
  readonly requireBlackhole: boolean
  /** Written to the kernel as a blackhole route. */
  readonly blackhole: boolean
}

export interface NeighborConfig {
  readonly name: string
  readonly description: string
  /** Exactly one of address and range. A link-local address carries its zone: `fe80::1%eth0`. */
  readonly address: string | null
  readonly range: PrefixText | null
  readonly port: number
  readonly asn: number
  readonly localAsn: number
  /** localAsn === asn: internal peer. */
  readonly ebgp: boolean
  readonly families: readonly Family[]
  readonly holdTimeSeconds: number
  /** Keepalive interval offered; the negotiated hold time scales it down. */
  readonly keepaliveSeconds: number
  readonly connectRetryMs: number
  readonly sourceAddress: string | null
  /** TCP MD5 (RFC 2385). */
  readonly password: Secret | null
  /** GTSM (RFC 5082): the peer is at most so many hops away, and sends with a TTL of 255; null: not used. */
  readonly ttlSecurityHops: number | null
  /** TTL of what we send, 1 for a neighbour on our link; null: the system's. */
  readonly multihop: number | null
  /** Sessions run over this interface only. */
  readonly bindDevice: string | null
  readonly passive: boolean
  readonly reflectorClient: boolean
  readonly nextHopSelf: boolean
  readonly nextHopKeep: boolean
  readonly weight: number
  readonly maxPrefix: {
    readonly limit: number
    readonly warningPercent: number
    readonly restartMs: number | null
  } | null
  readonly allowOwnAs: number
  readonly importPolicy: string | null
  readonly exportPolicy: string | null
  /** Communities are sent (default true). */
  readonly sendCommunities: boolean
  readonly shutdown: boolean
  /** By Family (RFC 7911). `sendPaths`: 0 none, ADD_PATH_ALL all, else that many of the best. */
  readonly addPath: readonly { readonly sendPaths: number; readonly receive: boolean }[]
  /** null: neither restarter nor helper (RFC 4724, 8538). */
  readonly gracefulRestart: {
    /** We ask the peer to keep our routes over a restart; false: we only keep the peer's. */
    readonly restarter: boolean
    readonly restartTimeSeconds: number
    /** How long a peer that came back may take to its End-of-RIB. */
    readonly staleTimeSeconds: number
    readonly notification: boolean
  } | null
  /** RFC 9494: offered, and the most that we keep stale routes; 0: not used. */
  readonly longLivedStaleSeconds: number
  /** RFC 5880 to 5883; null: not used. */
  readonly bfd: {
    /** Desired Min TX Interval. */
    readonly intervalMs: number
    /** Required Min RX Interval. */
    readonly minReceiveMs: number
    readonly multiplier: number
    /** Null: single hop where the peer is on the link of the session, else multihop. */
    readonly multihop: boolean | null
  } | null
  /** RFC 8950. */
  readonly extendedNextHop: boolean
  /** RFC 8654. */
  readonly extendedMessages: boolean
  /** RFC 7313; false for peers that do not survive the capability. */
  readonly enhancedRefresh: boolean
  /** Form of IPv6 next hops on link-local sessions: `native` ::, link-local; `single` link-local alone; `double` twice. */
  readonly linkLocalNextHop: 'native' | 'single' | 'double'
  readonly advertiseHostname: boolean
  /** Our role towards the peer (RFC 9234); null: none. */
  readonly role: RoleName | null
  /** A peer without a role is refused. */
  readonly roleStrict: boolean
  /** RFC 7947: the peer is a client of this route server. */
  readonly routeServerClient: boolean
  /** AS_PATH from an external peer has to begin with its AS (RFC 4271 §6.3); false towards route servers. */
  readonly enforceFirstAs: boolean
  /**
   * With a localAsn other than ours (RFC 7705): `replace` only localAsn is seen; `prepend` localAsn also on what is received, and our AS behind it on
   * what is sent; `no-prepend` that on what is sent only.
   */
  readonly localAsnMode: 'replace' | 'prepend' | 'no-prepend'
  /** The peer may take us for localAsn or for our own AS: when it refuses the one with 2/2 Bad Peer AS, the other one is tried. */
  readonly dualAsn: boolean
  /** The peer's AS in a path is replaced by ours on the way out. */
  readonly asOverride: boolean
  /** Private AS numbers (RFC 6996) are taken off on the way out, wherever they stand in the path; the peer's own one stays. */
  readonly removePrivateAs: boolean
  /** Attribute types, ascending. */
  readonly discardAttributes: readonly number[]
  readonly treatAsWithdrawAttributes: readonly number[]
  /** The Tunnel Encapsulation attribute is taken from this peer and sent to it (RFC 9012 §11). By default with internal peers only. */
  readonly tunnelEncapsulation: boolean
  /** False: AS_SET and AS_CONFED_SET are treated as withdrawn (RFC 9774). */
  readonly allowAsSets: boolean
  /** Longer paths are treated as withdrawn. AS numbers. */
  readonly maxAsPath: number
  /** Communities of all kinds together; more are treated as withdrawn. */
  readonly maxCommunities: number
  /** Distinct attribute sets that the peer may make us hold, one more for each 512 octets of a set; more end the session (Cease 6/8). */
  readonly maxAttributeSets: number
  /** Everything is sent with GRACEFUL_SHUTDOWN, and what is received is the last choice (RFC 8326 §4). */
  readonly gracefulShutdown: boolean
  /** GRACEFUL_SHUTDOWN from an external peer means LOCAL_PREF 0. */
  readonly honorGracefulShutdown: boolean
  /** Sessions that end within half a minute again and again are held down. */
  readonly damping: boolean
  /** Of a range: how many peers it may have at a time. */
  readonly maxPeers: number
}

/** NeighborConfig.addPath: all paths. */
export const ADD_PATH_ALL = 255

export interface PolicyConfig {
  readonly name: string
  readonly statements: readonly PolicyStatement[]
}
/** All set match fields are ANDed; the values of one field are ORed. The first statement that matches with accept or reject ends the policy;
 * `next` applies `set` and goes on. At the end: reject. */
export interface PolicyStatement {
  readonly match: PolicyMatch
  readonly set: PolicySet
  readonly action: 'accept' | 'reject' | 'next'
}
export interface PolicyMatch {
  readonly prefix: readonly PrefixMatch[] | null
  /** Standard `64512:1`, large `1:2:3`, or names of well-known ones; any of them present. */
  readonly communities: readonly string[] | null
  /** Regular expression on the AS path as text: `^65001( |$)`. */
  readonly asPath: string | null
  readonly asPathLength: { readonly min: number; readonly max: number } | null
  /** Names of neighbours (as configured) the route came from; `local` for own routes. */
  readonly peer: readonly string[] | null
  readonly peerType: 'ebgp' | 'ibgp' | 'local' | null
  readonly family: readonly Family[] | null
  readonly nextHop: readonly PrefixText[] | null
  readonly origin: readonly number[] | null
}
export interface PrefixMatch {
  readonly prefix: PrefixText
  readonly minLength: number
  readonly maxLength: number
}
export interface PolicySet {
  readonly localPref: number | null
  readonly med: number | null
  readonly weight: number | null
  readonly origin: number | null
  readonly communitiesAdd: readonly string[]
  readonly communitiesRemove: readonly string[]
  /** Replaces all when not null. */
  readonly communitiesSet: readonly string[] | null
  /** ASNs in order of the resulting path, in front. */
  readonly prepend: readonly number[]
  /** `self` or an address. */
  readonly nextHop: string | null
}

/** Which routes we write next to Felix: none, those of IPIP ranges, those without encapsulation, all. */
export type ProgramClusterRoutes = 'Disabled' | 'EnabledIPIPOnly' | 'EnabledNoEncapOnly' | 'Enabled'

export interface FibConfig {
  readonly driver: 'auto' | 'netlink' | 'iproute2' | 'memory' | 'off'
  /** Routing table number (main = 254). */
  readonly table: number
  readonly protocol: number
  readonly accept: readonly PrefixText[]
  readonly metric: number
  readonly metricFromLocalPref: boolean
  /** By Family: source-address hint of unicast routes (`src`), or null. */
  readonly sources: readonly [string | null, string | null]
  readonly maxPaths: number
  readonly programClusterRoutes: ProgramClusterRoutes
  /** Protocol numbers whose routes become ours at the start. */
  readonly takeOver: readonly number[]
  readonly encapsulation: Encapsulation
  /** The IPIP device. */
  readonly tunnelDevice: string
  /** Address given to a tunnel device that we create (`10.244.1.0/32`), or null. */
  readonly tunnelAddress: string | null
  readonly vxlan: VxlanConfig
  readonly udp: UdpTunnelConfig
  readonly onExit: 'keep' | 'flush'
  /** How long adopted routes that nobody confirmed wait for peers that do not come, ms. */
  readonly sweepAfterMs: number
}

/** How packets to IPv4 prefixes are wrapped. `-cross-subnet`: not where the next hop is in a directly connected subnet. */
export type EncapsulationMode = 'never' | 'ipip' | 'ipip-cross-subnet' | 'vxlan' | 'vxlan-cross-subnet' | 'udp'
/** One mode for all IPv4 prefixes, or one per range: the longest range that holds the prefix decides, outside of all it is `never`. */
export type Encapsulation = EncapsulationMode | readonly EncapsulationRule[]
export interface EncapsulationRule {
  readonly within: PrefixText
  readonly mode: EncapsulationMode
}

export interface VxlanConfig {
  readonly layout: 'flannel' | 'calico'
  readonly vni: number
  /** UDP port of the outer packets. */
  readonly port: number
  readonly device: string
  /** VTEP address of a device that we create (`10.244.1.0/32`), or null: none. */
  readonly address: string | null
  /** MAC of a device that we create; null: made from the node's address (src/fib/encap/rule.ts). */
  readonly mac: string | null
}

/** Flannel's UDP back end. */
export interface UdpTunnelConfig {
  /** The TUN device. */
  readonly device: string
  readonly port: number
}

/** One fault of a configuration file; all are collected and shown together. */
export interface ConfigProblem {
  readonly file: string
  /** 1-based; 0 where the place is not known. */
  readonly line: number
  readonly column: number
  /** Path of the key: `neighbors[2].asn`. */
  readonly path: string
  /** What is wrong and what is allowed. */
  readonly message: string
}
/** Notes: nothing is wrong, but the operator may not expect it (an eBGP neighbour without policy exchanges nothing). */
export type ConfigResult =
  | { readonly ok: true; readonly config: Config; readonly notes: readonly ConfigProblem[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] }

/** What a reload changes (src/config/diff.ts). Names of neighbours. */
export interface ConfigDiff {
  readonly neighborsAdded: readonly string[]
  readonly neighborsRemoved: readonly string[]
  /** Needs a new session: AS, address, families, timers, … */
  readonly neighborsReset: readonly { readonly name: string; readonly keys: readonly string[] }[]
  /** Takes effect on the live session: policies, description, weight, maxPrefix, nextHopSelf, … */
  readonly neighborsChanged: readonly { readonly name: string; readonly keys: readonly string[] }[]
  readonly policiesChanged: readonly string[]
  readonly originateChanged: boolean
  readonly fibChanged: readonly string[]
  readonly listenChanged: boolean
  readonly apiChanged: boolean
  readonly reflectorChanged: boolean
  readonly logChanged: boolean
  /** Keys that only a restart applies (asn, routerId): the reload is refused when one of them changed. */
  readonly restartNeeded: readonly string[]
}
