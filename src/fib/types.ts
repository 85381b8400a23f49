/**
 * The FIB's values: what the RIB wants in the kernel, what is there, and the seam to the drivers.
 */
import type { FibConfig } from '../config/types.js'
import type { Family } from '../net/family.js'
import type { FarNode, OwnVtep, Vtep } from './encap/types.js'

/** What the Loc-RIB wants in the kernel for a prefix: one object may stand for many prefixes. */
export interface DesiredRoute {
  readonly family: Family
  readonly kind: 'unicast' | 'blackhole'
  /** BGP next hops (canonical text), best first, distinct, at most maxPaths; empty for blackhole. */
  readonly nextHops: readonly string[]
  /** LOCAL_PREF of the winner, where the metric is made from it. */
  readonly localPref?: number
  /** By next hop: what BGP says of the far end of a VXLAN tunnel. */
  readonly vteps?: ReadonlyMap<string, Vtep>
}

/** A route as the kernel has it (any protocol). */
export interface KernelRoute {
  readonly family: Family
  readonly prefix: string
  readonly kind: 'unicast' | 'blackhole' | 'unreachable' | 'prohibit' | 'local' | 'broadcast' | 'other'
  readonly protocol: number
  readonly metric: number
  readonly table: number
  readonly hops: readonly KernelHop[]
  /** Address that this node's own packets get by it (RTA_PREFSRC). */
  readonly source?: string | undefined
  /** Another protocol's, found at the start and taken over (`fib.takeOver`). */
  readonly takenOver?: true
}
export interface KernelHop {
  readonly gateway: string | null
  readonly device: string | null
  readonly onlink: boolean
  /** Share of the traffic, 2 to 256, where there are several and this one has more than 1. */
  readonly weight?: number
}

/** A route in the form it is written in, for one prefix or for many. */
export interface PlannedRoute {
  readonly family: Family
  readonly kind: 'unicast' | 'blackhole'
  readonly hops: readonly KernelHop[]
  readonly metric: number
  readonly source?: string | undefined
  /** What has to be in place before. */
  readonly far?: readonly FarNode[]
}

export type FibRouteState =
  | 'installed'
  | 'pending'
  | 'unresolved' // no route to the next hop
  | 'conflict' // a foreign route of the same prefix and metric is there
  | 'failed' // the kernel refused; reason has its words
  | 'left' // Felix writes it (fib.programClusterRoutes)
  | 'adopted' // found at start, not yet confirmed by a peer
export interface FibEntry {
  readonly prefix: string
  readonly state: FibRouteState
  readonly hops: readonly KernelHop[]
  readonly kind: 'unicast' | 'blackhole'
  readonly reason: string
}

/** How well a BGP next hop resolves (src/rib/next-hop.ts): metric >= 0, or -1 for no route. */
export type ResolveNextHop = (nextHop: string) => number

/** The FIB as the daemon sees it. */
export interface Fib {
  readonly driver: 'netlink' | 'iproute2' | 'memory' | 'off'
  /** Why this driver, in words for an operator. */
  readonly driverReason: string
  /** Opens the driver, reads the kernel's tables, adopts our routes. Rejects with a FibError that says what is missing. */
  start(): Promise<void>
  /** Full set semantics per prefix (canonical text, `10.244.1.0/26`): null removes. Applied soon, batched, atomic per route, repeated until equal. */
  set(prefix: string, route: DesiredRoute | null): void
  /** The same for an IPv4 prefix by its id in the table of prefixes that the FIB was made with; only there. */
  setId(prefix: number, route: DesiredRoute | null): void
  /** All peers of this run have sent End-of-RIB (or the bounded wait is over): adopted routes that nobody confirmed are removed. */
  sweepAdopted(): void
  /** Removes all our routes, also adopted ones, and writes none until `restore`. Resolves with the number removed; `flushed` says so meanwhile. */
  flush(): Promise<number>
  restore(): void
  readonly flushed: boolean
  /** Resolves when what was set so far is applied (or reported as not applicable). */
  settled(): Promise<void>
  /** Kernel routes that are not ours changed: longest match of next hops has to be looked up again. */
  onForeignRoutesChanged(listener: () => void): void
  resolve: ResolveNextHop
  /** Foreign routes of the tables that were read: for originate.fromKernel and for views. */
  foreignRoutes(): readonly KernelRoute[]
  entries(): readonly FibEntry[]
  entry(prefix: string): FibEntry | undefined
  /** Reload of the keys that can change at run time (`accept` is applied by the caller); driver, table and protocol need a restart. */
  reconfigure(
    config: Pick<
      FibConfig,
      | 'metric'
      | 'metricFromLocalPref'
      | 'maxPaths'
      | 'encapsulation'
      | 'tunnelDevice'
      | 'vxlan'
      | 'udp'
      | 'sources'
      | 'programClusterRoutes'
    >,
  ): void
  /** Our own end of VXLAN tunnels, once started; null without one. */
  ownVtep(): OwnVtep | null
  /** `keep`: our routes stay in the kernel and are adopted by the next run. `flush`: they are removed. */
  stop(mode: 'keep' | 'flush'): Promise<void>
}

export class FibError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'FibError'
  }
}
