/**
 * The common shape of every BGP speaker in the interop tests: what it is told, and what it can be asked.
 */
import type { FamilyName } from '../../../src/net/family.js'
import { until } from '../wait.js'
import type { Process } from './process.js'
import type { Host } from './segment.js'

export type SpeakerKind = 'nodebgp' | 'bird' | 'frr' | 'gobgp' | 'openbgpd' | 'exabgp'

export interface PeerSpec {
  /** The neighbour's address; absent when `range` is present (nodebgp and BIRD). */
  readonly address?: string
  readonly range?: string
  readonly asn: number
  readonly families: readonly FamilyName[]
  readonly passive?: boolean
  /** The neighbour is a reflector client of ours. */
  readonly client?: boolean
  /** Graceful restart in both roles, and long-lived (nodebgp, BIRD, FRR, GoBGP); true: 60 s and 600 s. FRR has one for all its neighbours. */
  readonly graceful?: boolean | GracefulTimes
  /** Default: 9. */
  readonly holdSeconds?: number
  /** False: this speaker does not offer 4-octet AS numbers (BIRD, ExaBGP, OpenBGPD). */
  readonly as4?: boolean
  /** False: nodebgp does not offer enhanced route refresh (RFC 7313). */
  readonly enhancedRefresh?: boolean
  /** ADD-PATH (nodebgp, BIRD, FRR, GoBGP): all paths are sent, several are received. FRR always receives. */
  readonly addPath?: { readonly send?: boolean | number; readonly receive?: boolean }
}

export interface GracefulTimes {
  readonly restartSeconds: number
  /** 0: no long-lived graceful restart. */
  readonly longLivedSeconds: number
}

export interface OwnRoute {
  readonly prefix: string
  readonly med?: number
  readonly communities?: readonly string[]
  readonly largeCommunities?: readonly string[]
  /** Autonomous systems behind the speaker (all but nodebgp). */
  readonly asPath?: readonly number[]
  /** ExaBGP: further attributes in its own words. */
  readonly words?: string
}

export interface SpeakerSpec {
  readonly host: Host
  readonly asn: number
  /** Default: the host's IPv4 address. */
  readonly routerId?: string
  readonly clusterId?: string
  readonly peers: readonly PeerSpec[]
  readonly routes?: readonly OwnRoute[]
  /** Learned routes are written to the kernel (nodebgp, BIRD). */
  readonly kernel?: boolean
  /** BIRD only: its kernel routes stay when it ends. */
  readonly persist?: boolean
}

/** A route as the speaker holds it, learned from a peer. Absent attributes are null; lists are sorted except clusterList. */
export interface LearnedRoute {
  readonly prefix: string
  readonly from: string
  readonly nextHop: string
  readonly asPath: string
  readonly origin: 'igp' | 'egp' | 'incomplete'
  readonly med: number | null
  readonly localPref: number | null
  readonly communities: readonly string[]
  readonly largeCommunities: readonly string[]
  readonly originatorId: string | null
  readonly clusterList: readonly string[]
}

export abstract class Speaker {
  abstract readonly kind: SpeakerKind
  readonly spec: SpeakerSpec
  /** False where `refresh` asks nobody: the daemon keeps what it received and only evaluates it again. */
  readonly asksForRefresh: boolean = true
  /** False where a ROUTE-REFRESH is taken without an error and nothing follows from it. */
  readonly answersRefresh: boolean = true
  /** MULTI_EXIT_DISC that goes out with own routes that were given none. */
  readonly plainMed: number | null = null
  /** False where the view of routes shows a MED of 0 also for routes without one. */
  readonly showsAbsentMed: boolean = true
  readonly own = new Map<string, OwnRoute>()
  protected process: Process | null = null

  constructor(spec: SpeakerSpec) {
    this.spec = spec
    for (const route of spec.routes ?? []) this.own.set(route.prefix, route)
  }

  get host(): Host {
    return this.spec.host
  }
  get name(): string {
    return `${this.kind} (${this.host.label})`
  }
  get pid(): number {
    return this.process?.pid ?? -1
  }
  get isRunning(): boolean {
    return this.process?.isRunning ?? false
  }
  logTail(): string {
    return this.process?.logTail() ?? ''
  }

  /** Writes the configuration, starts, and waits until the speaker answers. */
  async start(): Promise<this> {
    this.process = await this.launch()
    await until(`${this.name} answers`, async () => {
      this.process?.mustRun()
      await this.sessions()
      return true
    })
    await this.started()
    return this
  }
  async stop(): Promise<void> {
    await this.process?.stop()
  }
  /** kill -9: no NOTIFICATION, the kernel closes the sockets. */
  async kill(): Promise<void> {
    await this.process?.kill()
  }

  /** The process stands still: its peers notice by their hold timers. */
  freeze(): void {
    this.process?.signal('SIGSTOP')
  }
  thaw(): void {
    this.process?.signal('SIGCONT')
  }

  async announce(route: OwnRoute): Promise<void> {
    this.own.set(route.prefix, route)
    await this.announced(route)
  }
  async withdraw(prefix: string): Promise<void> {
    this.own.delete(prefix)
    await this.withdrawn(prefix)
  }

  /** Next hop for own routes of the prefix's family. */
  protected ownNextHop(prefix: string): string {
    return isIpv6(prefix) ? this.host.v6 : this.host.v4
  }
  protected localAddress(peer: PeerSpec): string {
    return isIpv6(peer.address ?? peer.range ?? '') ? this.host.v6 : this.host.v4
  }
  protected ownOf(family: FamilyName): OwnRoute[] {
    return [...this.own.values()].filter((route) => isIpv6(route.prefix) === (family === 'ipv6-unicast'))
  }

  protected abstract launch(): Promise<Process>
  protected abstract announced(route: OwnRoute): Promise<void>
  protected abstract withdrawn(prefix: string): Promise<void>
  /** What can only be told to a running daemon. */
  protected async started(): Promise<void> {}
  /** State by neighbour address. Rejects while the daemon does not answer. */
  abstract sessions(): Promise<ReadonlyMap<string, string>>
  /** Routes learned from peers, all paths. */
  abstract routes(family: FamilyName): Promise<readonly LearnedRoute[]>
  /** MULTI_EXIT_DISC of all routes learned from peers: for large tables. */
  async meds(family: FamilyName): Promise<Map<string, number | null>> {
    return new Map((await this.routes(family)).map(({ prefix, med }) => [prefix, med]))
  }
  /** Asks the neighbour to send its routes again (RFC 2918). */
  abstract refresh(address: string): Promise<void>
  /** Updates (messages or routes, whatever the daemon counts) received from this neighbour since the session came up. */
  abstract updatesReceived(address: string): Promise<number>

  async established(address: string): Promise<void> {
    await until(
      `${this.name}: session with ${address} is Established`,
      () => this.checked(() => this.sessions()),
      (sessions) => sessions.get(address) === 'Established',
    )
  }
  async notEstablished(address: string): Promise<void> {
    await until(
      `${this.name}: session with ${address} is down`,
      () => this.checked(() => this.sessions()),
      (sessions) => sessions.get(address) !== 'Established',
    )
  }
  /** The path of this prefix learned from `from` (any peer when absent), once it is there and `accept` holds for it. */
  async learned(
    prefix: string,
    from?: string,
    accept: (route: LearnedRoute) => boolean = () => true,
  ): Promise<LearnedRoute> {
    const family = familyOfText(prefix)
    const matches = (route: LearnedRoute) =>
      route.prefix === prefix && (from === undefined || route.from === from) && accept(route)
    const routes = await until(
      `${this.name} has ${prefix}${from === undefined ? '' : ` from ${from}`}`,
      () => this.checked(() => this.routes(family)),
      (all) => all.some(matches),
    )
    return routes.find(matches)!
  }
  async lost(prefix: string, from?: string): Promise<void> {
    await until(
      `${this.name} has no longer ${prefix}`,
      () => this.checked(() => this.routes(familyOfText(prefix))),
      (all) => !all.some((route) => route.prefix === prefix && (from === undefined || route.from === from)),
    )
  }

  protected checked<T>(ask: () => Promise<T>): Promise<T> {
    this.process?.mustRun()
    return ask()
  }
}

export function gracefulTimes({ graceful }: PeerSpec): GracefulTimes | null {
  if (graceful === undefined || graceful === false) return null
  return graceful === true ? { restartSeconds: 60, longLivedSeconds: 600 } : graceful
}
export function isIpv6(text: string): boolean {
  return text.includes(':')
}
export function familyOfText(prefix: string): FamilyName {
  return isIpv6(prefix) ? 'ipv6-unicast' : 'ipv4-unicast'
}
