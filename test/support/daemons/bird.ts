/**
 * BIRD 2. `birdc` answers in text only; a changed configuration is loaded with `configure`.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FamilyName } from '../../../src/net/family.js'
import { Process, run } from './process.js'
import {
  type GracefulTimes,
  gracefulTimes,
  isIpv6,
  type LearnedRoute,
  type OwnRoute,
  type PeerSpec,
  Speaker,
} from './speaker.js'

export class Bird extends Speaker {
  readonly kind = 'bird'

  #started = false

  protected async launch(): Promise<Process> {
    this.#write()
    const recovers = this.#started && this.spec.peers.some(({ graceful }) => graceful)
    this.#started = true
    const { dir, netns } = this.host
    return new Process(netns, join(dir, 'out.log'), 'bird', [
      '-f',
      ...(recovers ? ['-R'] : []),
      '-c',
      this.#file,
      '-s',
      this.#socket,
      '-P',
      join(dir, 'b.pid'),
    ])
  }

  protected async announced(): Promise<void> {
    await this.#configure()
  }
  protected async withdrawn(): Promise<void> {
    await this.#configure()
  }

  /** As an operator ends it before another start: no NOTIFICATION, the kernel's routes stay. */
  async gracefulEnd(): Promise<void> {
    await this.#ask('graceful', 'restart')
    await this.process?.ended
  }

  async sessions(): Promise<Map<string, string>> {
    const sessions = new Map<string, string>()
    for (const [address, block] of await this.#protocols()) sessions.set(address, field(block, 'BGP state') ?? 'Idle')
    return sessions
  }

  async routes(family: FamilyName): Promise<LearnedRoute[]> {
    const text = await this.#ask('show', 'route', 'all', 'table', family === 'ipv6-unicast' ? 'master6' : 'master4')
    const names = new Map<string, string>()
    for (const [address, block] of await this.#protocols()) names.set(block.split(/\s/, 1)[0]!, address)
    return parseRoutes(text, names)
  }

  async refresh(address: string): Promise<void> {
    const name = (await this.#protocols()).get(address)?.split(/\s/, 1)[0]
    await this.#ask('reload', 'in', name ?? 'all')
  }

  /** Routes (not messages) received; also those that change nothing. */
  async updatesReceived(address: string): Promise<number> {
    const block = (await this.#protocols()).get(address) ?? ''
    return [...block.matchAll(/Import updates:\s+(\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0)
  }

  /** Withdrawn routes received from this neighbour since the session came up. */
  async withdrawsReceived(address: string): Promise<number> {
    const block = (await this.#protocols()).get(address) ?? ''
    return [...block.matchAll(/Import withdraws:\s+(\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0)
  }

  get #file(): string {
    return join(this.host.dir, 'b.conf')
  }
  get #socket(): string {
    return join(this.host.dir, 'b.ctl')
  }

  async #ask(...command: string[]): Promise<string> {
    return run('birdc', '-s', this.#socket, ...command)
  }

  async #configure(): Promise<void> {
    this.#write()
    const answer = await this.#ask('configure')
    if (!answer.includes('Reconfigur')) throw new Error(`BIRD does not take its configuration: ${answer}`)
  }

  /** Block of `show protocols all` by neighbour address. */
  async #protocols(): Promise<Map<string, string>> {
    const text = await this.#ask('show', 'protocols', 'all')
    const blocks = new Map<string, string>()
    for (const block of text.split(/\n(?=\S)/)) {
      const address = field(block, 'Neighbor address')
      if (address !== undefined) blocks.set(address.replace(/%.*/, ''), block)
    }
    return blocks
  }

  #write(): void {
    const { spec, host } = this
    const text = [
      `log "${join(host.dir, 'b.log')}" all;`,
      `router id ${spec.routerId ?? host.v4};`,
      // BIRD drops a MED set before the export filter on external sessions.
      'attribute int own_med;',
      'filter outgoing { if source !~ [ RTS_BGP, RTS_STATIC ] then reject; if defined(own_med) then bgp_med = own_med; accept; }',
      'protocol device {}',
      'protocol direct { ipv4; ipv6; interface "eth*", "cali*"; }',
      ...(['ipv4-unicast', 'ipv6-unicast'] as const).map(
        (family) =>
          `protocol static { ${channel(family)}; ${this.ownOf(family)
            .map((route) => `route ${route.prefix} blackhole { ${attributes(route)} };`)
            .join(' ')} }`,
      ),
      ...(spec.kernel
        ? [
            `protocol kernel { ${spec.persist ? 'persist;' : ''} ipv4 { import none; export where source ~ [ RTS_BGP, RTS_STATIC ]; }; }`,
          ]
        : []),
      ...spec.peers.map((peer, index) => this.#protocol(peer, index)),
    ]
    writeFileSync(this.#file, `${text.join('\n')}\n`)
  }

  #protocol(peer: PeerSpec, index: number): string {
    const { spec, host } = this
    const local = this.localAddress(peer)
    const internalReflector = spec.clusterId !== undefined && peer.asn === spec.asn
    const channels = peer.families.map((family) => {
      const crossed = (family === 'ipv6-unicast') !== isIpv6(local)
      const nextHop = crossed ? `next hop address ${family === 'ipv6-unicast' ? host.v6 : host.v4};` : ''
      const { send, receive } = peer.addPath ?? {}
      const addPaths = send && receive ? 'add paths on;' : send ? 'add paths tx;' : receive ? 'add paths rx;' : ''
      return `${channel(family)} { import all; export filter outgoing; ${nextHop} ${addPaths} };`
    })
    return `protocol bgp p${index} {
  local ${local} port 179 as ${spec.asn};
  neighbor ${peer.range === undefined ? peer.address : `range ${peer.range}`} as ${peer.asn};
  ${peer.range === undefined ? '' : `dynamic name "d${index}x";`}
  strict bind on; hold time ${peer.holdSeconds ?? 9}; connect delay time 1; connect retry time 1; error wait time 1,3;
  ${gracefulText(gracefulTimes(peer))}
  ${peer.passive ? 'passive on;' : ''} ${peer.as4 === false ? 'enable as4 off;' : ''}
  ${peer.client ? 'rr client;' : ''} ${internalReflector ? `rr cluster id ${spec.clusterId};` : ''}
  ${channels.join('\n  ')}
}`
  }
}

function gracefulText(times: GracefulTimes | null): string {
  if (times === null) return 'graceful restart off; long lived graceful restart off;'
  const { restartSeconds, longLivedSeconds } = times
  const longLived = longLivedSeconds > 0 ? `on; long lived stale time ${longLivedSeconds}` : 'off'
  return `graceful restart on; graceful restart time ${restartSeconds}; long lived graceful restart ${longLived};`
}

function channel(family: FamilyName): string {
  return family === 'ipv6-unicast' ? 'ipv6' : 'ipv4'
}

function attributes(route: OwnRoute): string {
  return [
    ...(route.med === undefined ? [] : [`own_med = ${route.med};`]),
    ...(route.communities ?? []).map((text) => `bgp_community.add((${text.replaceAll(':', ',')}));`),
    ...(route.largeCommunities ?? []).map((text) => `bgp_large_community.add((${text.replaceAll(':', ',')}));`),
    ...[...(route.asPath ?? [])].reverse().map((asn) => `bgp_path.prepend(${asn});`),
  ].join(' ')
}

function field(block: string, name: string): string | undefined {
  return new RegExp(`${name}:[ \\t]*(.*)`).exec(block)?.[1]?.trim()
}

/** A line `PREFIX unicast [NAME time …] …` starts a path; a line that starts with blanks and a type goes on with the same prefix. */
function parseRoutes(text: string, addressOf: ReadonlyMap<string, string>): LearnedRoute[] {
  const routes: LearnedRoute[] = []
  let prefix = ''
  for (const block of text.split(/\n(?=\S| +(?:unicast|unreachable|blackhole|prohibit) \[)/)) {
    const head = /^(\S*)\s+\w+ \[(\S+) [^\]]*\]/.exec(block)
    if (head === null) continue
    if (head[1] !== '') prefix = head[1]!
    const from = addressOf.get(head[2]!)
    if (from === undefined || !block.includes('Type: BGP')) continue
    const value = (name: string) => field(block, `BGP\\.${name}`)
    routes.push({
      prefix,
      from,
      nextHop: (value('next_hop') ?? '').split(' ')[0]!,
      asPath: value('as_path') ?? '',
      origin: (value('origin') ?? 'igp').toLowerCase() as LearnedRoute['origin'],
      med: number(value('med')),
      localPref: number(value('local_pref')),
      communities: pairs(value('community')),
      largeCommunities: pairs(value('large_community')),
      originatorId: value('originator_id') ?? null,
      clusterList: (value('cluster_list') ?? '').split(' ').filter((id) => id !== ''),
    })
  }
  return routes
}

function number(text: string | undefined): number | null {
  return text === undefined ? null : Number(text)
}

/** `(64512,1) (64512,2)` to `64512:1`, `64512:2`. */
function pairs(text: string | undefined): string[] {
  return [...(text ?? '').matchAll(/\(([^)]*)\)/g)].map((match) => match[1]!.replace(/,\s*/g, ':')).sort()
}
