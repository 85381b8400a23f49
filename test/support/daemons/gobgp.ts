/**
 * GoBGP: own routes exist only in the running daemon, so they are added again after every start. It has a RIB and writes no kernel.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FamilyName } from '../../../src/net/family.js'
import { Process, runIn } from './process.js'
import {
  familyOfText,
  type GracefulTimes,
  gracefulTimes,
  type LearnedRoute,
  type OwnRoute,
  type PeerSpec,
  Speaker,
} from './speaker.js'

export class GoBgp extends Speaker {
  readonly kind = 'gobgp'
  /** 3.10 can answer ROUTE-REFRESH but has no code that sends one: all variants of `softreset` evaluate again what was received. */
  override readonly asksForRefresh = false

  protected async launch(): Promise<Process> {
    const { dir, netns } = this.host
    const file = join(dir, 'g.toml')
    writeFileSync(file, this.#configuration())
    return new Process(netns, join(dir, 'out.log'), 'gobgpd', [
      ...['-f', file, '-p', '--api-hosts', '127.0.0.1:50051', '--pprof-disable'],
    ])
  }

  protected override async started(): Promise<void> {
    for (const route of this.own.values()) await this.announced(route)
  }
  protected async announced(route: OwnRoute): Promise<void> {
    await this.#ask(
      ...['global', 'rib', 'add', route.prefix, 'nexthop', this.ownNextHop(route.prefix), 'origin', 'igp'],
      ...(route.med === undefined ? [] : ['med', String(route.med)]),
      ...(route.asPath?.length ? ['aspath', route.asPath.join(' ')] : []),
      ...(route.communities?.length ? ['community', route.communities.join(',')] : []),
      ...(route.largeCommunities?.length ? ['large-community', route.largeCommunities.join(',')] : []),
      ...['-a', short(familyOfText(route.prefix))],
    )
  }
  protected async withdrawn(prefix: string): Promise<void> {
    await this.#ask('global', 'rib', 'del', prefix, '-a', short(familyOfText(prefix)))
  }

  async sessions(): Promise<Map<string, string>> {
    const sessions = new Map<string, string>()
    // session_state is an enumeration: 6 is Established; text in newer releases.
    for (const { state } of await this.#neighbors()) {
      const up = state.session_state === 6 || /^ESTABLISHED$/i.test(String(state.session_state))
      sessions.set(state.neighbor_address, up ? 'Established' : `state ${state.session_state}`)
    }
    return sessions
  }

  async routes(family: FamilyName): Promise<LearnedRoute[]> {
    const table = JSON.parse(await this.#ask('-j', 'global', 'rib', '-a', short(family))) as Record<string, Path[]>
    return Object.entries(table).flatMap(([prefix, paths]) =>
      paths.filter((path) => /^[0-9a-f.:]+$/.test(path['neighbor-ip'] ?? '')).map((path) => learned(prefix, path)),
    )
  }

  async refresh(address: string): Promise<void> {
    await this.#ask('neighbor', address, 'softresetin')
  }

  async updatesReceived(address: string): Promise<number> {
    const found = (await this.#neighbors()).find(({ state }) => state.neighbor_address === address)
    return Number(found?.state.messages?.received?.update ?? 0)
  }

  /** Cease/Administrative Reset. */
  async reset(address: string): Promise<void> {
    await this.#ask('neighbor', address, 'reset')
  }

  async #ask(...args: string[]): Promise<string> {
    return runIn(this.host.netns, 'gobgp', ...args)
  }
  async #neighbors(): Promise<Neighbor[]> {
    return JSON.parse(await this.#ask('-j', 'neighbor')) as Neighbor[]
  }

  #configuration(): string {
    const { spec, host } = this
    return `[global.config]
  as = ${spec.asn}
  router-id = "${spec.routerId ?? host.v4}"
  port = 179
  local-address-list = ["${host.v4}", "${host.v6}"]
${spec.peers.map((peer) => this.#neighbor(peer)).join('')}`
  }

  #neighbor(peer: PeerSpec): string {
    const { spec, host } = this
    const reflector = peer.client
      ? `  [neighbors.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "${spec.clusterId ?? spec.routerId ?? host.v4}"
`
      : ''
    const { send, receive } = peer.addPath ?? {}
    const times = gracefulTimes(peer)
    const addPaths =
      send || receive
        ? `    [neighbors.afi-safis.add-paths.config]\n      send-max = ${send ? 8 : 0}\n      receive = ${receive ?? false}\n`
        : ''
    return `[[neighbors]]
  [neighbors.config]
    neighbor-address = "${peer.address}"
    peer-as = ${peer.asn}
  [neighbors.transport.config]
    local-address = "${this.localAddress(peer)}"
    passive-mode = ${peer.passive ?? false}
  [neighbors.timers.config]
    connect-retry = 1
    hold-time = ${peer.holdSeconds ?? 9}
    keepalive-interval = ${Math.floor((peer.holdSeconds ?? 9) / 3)}
    idle-hold-time-after-reset = 1
${reflector}${times === null ? '' : graceful(times)}${peer.families
  .map(
    (family) =>
      `  [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = "${family}"\n${addPaths}${times === null ? '' : gracefulFamily(times)}`,
  )
  .join('')}`
  }
}

function graceful({ restartSeconds, longLivedSeconds }: GracefulTimes): string {
  return `  [neighbors.graceful-restart.config]
    enabled = true
    notification-enabled = true
    restart-time = ${restartSeconds}
    long-lived-enabled = ${longLivedSeconds > 0}
`
}

function gracefulFamily({ longLivedSeconds }: GracefulTimes): string {
  const longLived = `    [neighbors.afi-safis.long-lived-graceful-restart.config]
      enabled = true
      restart-time = ${longLivedSeconds}
`
  return `    [neighbors.afi-safis.mp-graceful-restart.config]
      enabled = true
${longLivedSeconds > 0 ? longLived : ''}`
}

interface Neighbor {
  readonly state: {
    readonly neighbor_address: string
    readonly session_state?: number | string
    readonly messages?: { readonly received?: { readonly update?: string | number } }
  }
}
interface Path {
  readonly 'neighbor-ip'?: string
  readonly attrs: readonly Attribute[]
}
/** One attribute by its type number; GoBGP names the value differently for each. */
interface Attribute {
  readonly type: number
  readonly value?: unknown
  readonly metric?: number
  readonly nexthop?: string
  readonly communities?: readonly number[]
  readonly as_paths?: readonly { readonly segment_type: number; readonly asns: readonly number[] | null }[] | null
}

function learned(prefix: string, path: Path): LearnedRoute {
  const attribute = (type: number) => path.attrs.find((one) => one.type === type)
  const large = (attribute(32)?.value ?? []) as readonly { ASN: number; LocalData1: number; LocalData2: number }[]
  const segments = attribute(2)?.as_paths ?? []
  return {
    prefix,
    from: path['neighbor-ip']!,
    nextHop: attribute(3)?.nexthop ?? attribute(14)?.nexthop ?? '',
    asPath: segments
      .map(({ segment_type, asns }) => (segment_type === 1 ? `{${asns?.join(',')}}` : (asns ?? []).join(' ')))
      .join(' '),
    origin: (['igp', 'egp', 'incomplete'] as const)[Number(attribute(1)?.value ?? 0)]!,
    med: attribute(4)?.metric ?? null,
    localPref: (attribute(5)?.value as number | undefined) ?? null,
    communities: (attribute(8)?.communities ?? []).map((value) => `${value >>> 16}:${value & 0xffff}`).sort(),
    largeCommunities: large.map((value) => `${value.ASN}:${value.LocalData1}:${value.LocalData2}`).sort(),
    originatorId: (attribute(9)?.value as string | undefined) ?? null,
    clusterList: (attribute(10)?.value as string[] | undefined) ?? [],
  }
}

function short(family: FamilyName): string {
  return family === 'ipv6-unicast' ? 'ipv6' : 'ipv4'
}
