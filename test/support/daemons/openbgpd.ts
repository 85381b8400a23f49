/**
 * OpenBGPD (three processes; the children end with their parent). Next hops are not looked up in the kernel by the portable version.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FamilyName } from '../../../src/net/family.js'
import { Process, run } from './process.js'
import { familyOfText, type LearnedRoute, type OwnRoute, type PeerSpec, Speaker } from './speaker.js'

export class OpenBgpd extends Speaker {
  readonly kind = 'openbgpd'
  /** 7.7 logs "AID IPv4 unicast not negotiated" for every ROUTE-REFRESH, whoever asks (seen with FRR and BIRD). */
  override readonly answersRefresh = false
  override readonly showsAbsentMed = false

  protected async launch(): Promise<Process> {
    this.#write()
    // Its children are confined to this folder, which the service file makes where there is systemd.
    mkdirSync('/run/openbgpd', { recursive: true, mode: 0o755 })
    const { dir, netns } = this.host
    return new Process(netns, join(dir, 'out.log'), '/usr/sbin/bgpd', ['-d', '-f', this.#file])
  }

  /** The children first: the one with the sessions would still send a Cease when its parent is gone. */
  override async kill(): Promise<void> {
    if (this.isRunning) {
      // A parent that is stopped reaps none of them, so that all are there to be killed.
      this.process?.signal('SIGSTOP')
      const children = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8').split(' ')
      for (const pid of children.map(Number)) if (pid > 0) process.kill(pid, 'SIGKILL')
    }
    await super.kill()
  }

  protected async announced(): Promise<void> {
    await this.#reload()
  }
  protected async withdrawn(): Promise<void> {
    await this.#reload()
  }

  async sessions(): Promise<Map<string, string>> {
    const sessions = new Map<string, string>()
    for (const neighbor of await this.#neighbors()) sessions.set(neighbor.remote_addr, neighbor.state)
    return sessions
  }

  async routes(family: FamilyName): Promise<LearnedRoute[]> {
    const { rib } = JSON.parse(await this.#ask('-j', 'show', 'rib', 'detail')) as { rib: Path[] }
    return rib
      .filter(
        (path) => path.neighbor?.remote_addr !== undefined && isLearned(path) && familyOfText(path.prefix) === family,
      )
      .map(learned)
  }

  async refresh(address: string): Promise<void> {
    await this.#ask('neighbor', address, 'refresh')
  }

  async updatesReceived(address: string): Promise<number> {
    const neighbor = (await this.#neighbors()).find((one) => one.remote_addr === address)
    return neighbor?.stats?.message?.received?.updates ?? 0
  }

  get #file(): string {
    return join(this.host.dir, 'o.conf')
  }
  async #ask(...args: string[]): Promise<string> {
    return run('bgpctl', '-s', join(this.host.dir, 'o.sock'), ...args)
  }
  async #reload(): Promise<void> {
    this.#write()
    await this.#ask('reload')
  }
  async #neighbors(): Promise<Neighbor[]> {
    return (JSON.parse(await this.#ask('-j', 'show', 'neighbor')) as { neighbors?: Neighbor[] }).neighbors ?? []
  }

  #write(): void {
    const { spec, host } = this
    const text = `AS ${spec.asn}
router-id ${spec.routerId ?? host.v4}
listen on ${host.v4} port 179
listen on ${host.v6} port 179
socket "${join(host.dir, 'o.sock')}"
fib-update no
holdtime 9
holdtime min 3
connect-retry 1
nexthop qualify via default
${[...this.own.values()].map((route) => this.#network(route)).join('\n')}
${spec.peers.map((peer) => this.#neighbor(peer)).join('\n')}
allow from any
allow to any
`
    writeFileSync(this.#file, text, { mode: 0o600 })
  }

  #network(route: OwnRoute): string {
    const set = [
      `nexthop ${this.ownNextHop(route.prefix)}`,
      ...(route.med === undefined ? [] : [`med ${route.med}`]),
      ...(route.communities ?? []).map((text) => `community ${text}`),
      ...(route.largeCommunities ?? []).map((text) => `large-community ${text}`),
    ]
    return `network ${route.prefix} set { ${set.join(' ')} }`
  }

  #neighbor(peer: PeerSpec): string {
    return `neighbor ${peer.address ?? peer.range} {
  remote-as ${peer.asn}
  local-address ${this.localAddress(peer)}
  announce IPv4 ${peer.families.includes('ipv4-unicast') ? 'unicast' : 'none'}
  announce IPv6 ${peer.families.includes('ipv6-unicast') ? 'unicast' : 'none'}
  ${peer.passive ? 'passive' : ''}
  ${peer.as4 === false ? 'announce as-4byte no' : ''}
  ${peer.client ? `route-reflector ${this.spec.clusterId ?? this.spec.routerId ?? this.host.v4}` : ''}
}`.replace(/\n\s*(?=\n)/g, '')
  }
}

interface Neighbor {
  readonly remote_addr: string
  readonly state: string
  readonly stats?: { readonly message?: { readonly received?: { readonly updates?: number } } }
}
interface Path {
  readonly prefix: string
  readonly neighbor?: { readonly remote_addr?: string }
  readonly aspath?: string
  readonly origin?: string
  /** As received; `true_nexthop` is what it was resolved to. */
  readonly exit_nexthop?: string
  readonly metric?: number
  readonly localpref?: number
  readonly announced?: boolean
  readonly source?: string
  readonly attributes?: readonly Attribute[]
  readonly communities?: readonly string[]
  readonly large_communities?: readonly string[]
}
interface Attribute {
  readonly originator?: string
  readonly cluster_list?: readonly string[]
}

function isLearned(path: Path): boolean {
  return path.source !== undefined && path.announced !== true
}

function learned(path: Path): LearnedRoute {
  return {
    prefix: path.prefix,
    from: path.neighbor!.remote_addr!,
    nextHop: path.exit_nexthop ?? '',
    asPath: path.aspath ?? '',
    origin: (path.origin ?? 'igp').toLowerCase() as LearnedRoute['origin'],
    med: path.metric ?? null,
    localPref: path.localpref ?? null,
    communities: [...(path.communities ?? [])].sort(),
    largeCommunities: [...(path.large_communities ?? [])].sort(),
    originatorId: path.attributes?.find((one) => one.originator !== undefined)?.originator ?? null,
    clusterList: path.attributes?.find((one) => one.cluster_list !== undefined)?.cluster_list ?? [],
  }
}
