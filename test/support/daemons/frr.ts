/**
 * FRR's bgpd: alone, where every next hop counts as valid, or with zebra, which writes the kernel (`kernel: true`). Attributes of own routes
 * are set by a route map for each.
 */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FamilyName } from '../../../src/net/family.js'
import { until } from '../wait.js'
import { Process, run } from './process.js'
import {
  familyOfText,
  gracefulTimes,
  isIpv6,
  type LearnedRoute,
  type OwnRoute,
  type PeerSpec,
  Speaker,
} from './speaker.js'

export class Frr extends Speaker {
  readonly kind = 'frr'
  /** A `network` takes the metric 0 of its static route. */
  override readonly plainMed = 0
  #zebra: Process | null = null

  override async stop(): Promise<void> {
    await super.stop()
    await this.#zebra?.stop()
  }
  override async kill(): Promise<void> {
    await super.kill()
    await this.#zebra?.kill()
  }

  protected async launch(): Promise<Process> {
    const { dir, netns, v4, v6 } = this.host
    const file = join(dir, 'f.conf')
    writeFileSync(file, this.#configuration())
    const log = join(dir, 'out.log')
    const folder = join(dir, 'zebra')
    const zebra = join(folder, 'z.api')
    if (this.spec.kernel) {
      // zebra gives up root for the user frr, which has to write here.
      mkdirSync(folder, { recursive: true })
      chmodSync(folder, 0o777)
      const options = ['-f', '/dev/null', '-i', join(folder, 'z.pid'), '--vty_socket', folder, '-z', zebra, '-P', '0']
      this.#zebra = new Process(netns, log, '/usr/lib/frr/zebra', options)
      await until('zebra has its socket', () => this.#zebra?.mustRun() ?? existsSync(zebra))
    }
    return new Process(netns, log, '/usr/lib/frr/bgpd', [
      ...['-f', file, '-i', join(dir, 'f.pid'), '--vty_socket', dir, '-S', '-P', '0'],
      ...(this.spec.kernel ? ['-z', zebra] : ['-Z']),
      ...['-l', v4, '-l', v6, '-p', '179'],
    ])
  }

  protected async announced(route: OwnRoute): Promise<void> {
    await this.#configure([
      ...routeMap(route),
      `router bgp ${this.spec.asn}`,
      `address-family ${familyText(familyOfText(route.prefix))}`,
      `network ${route.prefix} route-map ${mapName(route.prefix)}`,
    ])
  }
  protected async withdrawn(prefix: string): Promise<void> {
    await this.#configure([
      `router bgp ${this.spec.asn}`,
      `address-family ${familyText(familyOfText(prefix))}`,
      `no network ${prefix} route-map ${mapName(prefix)}`,
    ])
  }

  async sessions(): Promise<Map<string, string>> {
    const neighbors = JSON.parse(await this.#ask('show bgp neighbors json')) as Record<string, Neighbor>
    const sessions = new Map<string, string>()
    for (const [address, neighbor] of Object.entries(neighbors)) {
      if (neighbor.bgpState !== undefined) sessions.set(address, neighbor.bgpState)
    }
    return sessions
  }

  async routes(family: FamilyName): Promise<LearnedRoute[]> {
    const text = familyText(family)
    const table = JSON.parse((await this.#ask(`show bgp ${text} json`)) || '{}') as { routes?: Record<string, unknown> }
    const routes: LearnedRoute[] = []
    for (const prefix of Object.keys(table.routes ?? {})) {
      const detail = JSON.parse((await this.#ask(`show bgp ${text} ${prefix} json`)) || '{}') as { paths?: Path[] }
      for (const path of detail.paths ?? [])
        if (path.peer.peerId !== '0.0.0.0' && path.peer.peerId !== '::') routes.push(learned(prefix, path))
    }
    return routes
  }

  /** One question for all; routes() asks once for each prefix. */
  override async meds(family: FamilyName): Promise<Map<string, number | null>> {
    const text = await this.#ask(`show bgp ${familyText(family)} json`)
    const { routes = {} } = JSON.parse(text || '{}') as { routes?: Record<string, readonly Row[]> }
    const learned = Object.entries(routes).filter(([, rows]) => rows[0]?.weight !== LOCAL_WEIGHT)
    return new Map(learned.map(([prefix, rows]) => [prefix, rows[0]?.metric ?? null]))
  }

  async refresh(address: string): Promise<void> {
    await this.#ask(`clear bgp ${address} soft in`)
  }

  async updatesReceived(address: string): Promise<number> {
    const neighbors = JSON.parse(await this.#ask(`show bgp neighbors ${address} json`)) as Record<string, Neighbor>
    return neighbors[address]?.messageStats?.updatesRecv ?? 0
  }

  /** `clear bgp`: Cease/Administrative Reset, or a Hard Reset where that is configured (the default). */
  async reset(address: string): Promise<void> {
    await this.#ask(`clear bgp ${address}`)
  }
  /** A line of `router bgp`. */
  async set(line: string): Promise<void> {
    await this.#configure([`router bgp ${this.spec.asn}`, line])
  }

  async #ask(...commands: string[]): Promise<string> {
    return run('vtysh', '--vty_socket', this.host.dir, ...commands.flatMap((command) => ['-c', command]))
  }
  async #configure(commands: readonly string[]): Promise<void> {
    await this.#ask('configure terminal', ...commands)
  }

  #configuration(): string {
    const { spec, host } = this
    const neighbors = spec.peers.flatMap((peer) => [
      `neighbor ${peer.address} remote-as ${peer.asn}`,
      `neighbor ${peer.address} update-source ${this.localAddress(peer)}`,
      `neighbor ${peer.address} timers ${Math.floor((peer.holdSeconds ?? 9) / 3)} ${peer.holdSeconds ?? 9}`,
      `neighbor ${peer.address} timers connect 1`,
      ...(peer.passive ? [`neighbor ${peer.address} passive`] : []),
    ])
    return [
      'frr version 8.4',
      'frr defaults datacenter',
      `log file ${join(host.dir, 'bgpd.log')}`,
      ...[...this.own.values()].flatMap(routeMap),
      // bgpd does not know the interface's addresses without zebra.
      ...['route-map OUT6 permit 10', ` set ipv6 next-hop global ${host.v6}`, 'exit'],
      `router bgp ${spec.asn}`,
      `bgp router-id ${spec.routerId ?? host.v4}`,
      ...['no bgp default ipv4-unicast', 'no bgp ebgp-requires-policy', 'no bgp network import-check'],
      ...(spec.clusterId === undefined ? [] : [`bgp cluster-id ${spec.clusterId}`]),
      ...spec.peers
        .map(gracefulTimes)
        .filter((times) => times !== null)
        .slice(0, 1)
        .flatMap(({ restartSeconds, longLivedSeconds }) => [
          ...['bgp graceful-restart', `bgp graceful-restart restart-time ${restartSeconds}`],
          'bgp graceful-restart preserve-fw-state',
          ...(longLivedSeconds > 0 ? [`bgp long-lived-graceful-restart stale-time ${longLivedSeconds}`] : []),
        ]),
      ...neighbors,
      ...(['ipv4-unicast', 'ipv6-unicast'] as const).flatMap((family) => this.#family(family)),
      '',
    ].join('\n')
  }

  #family(family: FamilyName): string[] {
    const peers = this.spec.peers.filter((peer) => peer.families.includes(family))
    const crossed = (peer: PeerSpec) => family === 'ipv6-unicast' && !isIpv6(peer.address!)
    return [
      `address-family ${familyText(family)}`,
      ...this.ownOf(family).map((route) => `network ${route.prefix} route-map ${mapName(route.prefix)}`),
      ...peers.flatMap((peer) => [
        `neighbor ${peer.address} activate`,
        ...(peer.client ? [`neighbor ${peer.address} route-reflector-client`] : []),
        ...(peer.addPath?.send ? [`neighbor ${peer.address} addpath-tx-all-paths`] : []),
        ...(crossed(peer) ? [`neighbor ${peer.address} route-map OUT6 out`] : []),
      ]),
      'exit-address-family',
    ]
  }
}

interface Neighbor {
  readonly bgpState?: string
  readonly messageStats?: { readonly updatesRecv: number }
}
interface Row {
  readonly metric?: number
  readonly weight?: number
}
interface Path {
  readonly aspath: { readonly string: string }
  readonly origin: string
  readonly metric?: number
  readonly locPrf?: number
  readonly community?: { readonly string: string }
  readonly largeCommunity?: { readonly string: string }
  readonly originatorId?: string
  readonly clusterList?: { readonly list: readonly string[] }
  readonly nexthops: readonly { readonly ip: string; readonly scope?: string }[]
  readonly peer: { readonly peerId: string }
}

function learned(prefix: string, path: Path): LearnedRoute {
  return {
    prefix,
    from: path.peer.peerId,
    nextHop: (path.nexthops.find((hop) => hop.scope === 'global') ?? path.nexthops[0])?.ip ?? '',
    asPath: path.aspath.string === 'Local' ? '' : path.aspath.string,
    origin: path.origin.toLowerCase() as LearnedRoute['origin'],
    med: path.metric ?? null,
    localPref: path.locPrf ?? null,
    communities: words(path.community?.string).map((word) => WELL_KNOWN[word] ?? word),
    largeCommunities: words(path.largeCommunity?.string),
    originatorId: path.originatorId ?? null,
    clusterList: path.clusterList?.list ?? [],
  }
}

function words(text: string | undefined): string[] {
  return (text ?? '')
    .split(' ')
    .filter((word) => word !== '')
    .sort()
}
function familyText(family: FamilyName): string {
  return family === 'ipv6-unicast' ? 'ipv6 unicast' : 'ipv4 unicast'
}
function mapName(prefix: string): string {
  return `OWN-${prefix.replace(/[./:]/g, '-')}`
}
function routeMap(route: OwnRoute): string[] {
  return [
    `route-map ${mapName(route.prefix)} permit 10`,
    ...(route.med === undefined ? [] : [`set metric ${route.med}`]),
    ...(route.communities?.length ? [`set community ${route.communities.join(' ')}`] : []),
    ...(route.largeCommunities?.length ? [`set large-community ${route.largeCommunities.join(' ')}`] : []),
    ...(route.asPath?.length ? [`set as-path prepend ${route.asPath.join(' ')}`] : []),
    'exit',
  ]
}

/** The names that bgpd has for well-known communities. */
const WELL_KNOWN: { readonly [name: string]: string } = { 'llgr-stale': '65535:6', 'no-export': '65535:65281' }
/** Weight of own routes. */
const LOCAL_WEIGHT = 32768
