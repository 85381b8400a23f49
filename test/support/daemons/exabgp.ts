/**
 * ExaBGP: no decision, no RIB. A helper script writes what it is told to a file and feeds it commands from another; the table of
 * learned routes is made here from the recorded updates. A restart begins with empty files and the own routes in the configuration.
 */
import { appendFileSync, chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FamilyName } from '../../../src/net/family.js'
import { Process } from './process.js'
import { familyOfText, type LearnedRoute, type OwnRoute, type PeerSpec, Speaker } from './speaker.js'

export class ExaBgp extends Speaker {
  readonly kind = 'exabgp'

  protected async launch(): Promise<Process> {
    const { dir, netns, v4, v6 } = this.host
    writeFileSync(this.#events, '')
    writeFileSync(this.#commands, '')
    writeFileSync(join(dir, 'helper.sh'), helper(this.#events, this.#commands))
    chmodSync(join(dir, 'helper.sh'), 0o755)
    writeFileSync(join(dir, 'e.conf'), this.#configuration())
    return new Process(netns, join(dir, 'out.log'), 'exabgp', [join(dir, 'e.conf')], {
      'exabgp.daemon.daemonize': 'false',
      'exabgp.daemon.user': 'root',
      'exabgp.tcp.bind': `${v4} ${v6}`,
      'exabgp.tcp.port': '179',
      'exabgp.log.destination': 'stdout',
      'exabgp.api.cli': 'false',
      'exabgp.api.ack': 'false',
    })
  }

  protected async announced(route: OwnRoute): Promise<void> {
    this.#command(`announce route ${this.#route(route)}`)
  }
  protected async withdrawn(prefix: string): Promise<void> {
    this.#command(`withdraw route ${prefix} next-hop ${this.ownNextHop(prefix)}`)
  }

  async sessions(): Promise<Map<string, string>> {
    if (!existsSync(this.#events) || !readFileSync(this.#events, 'utf8').includes('"helper"'))
      throw new Error('helper not started yet')
    const sessions = new Map<string, string>()
    for (const event of this.#read()) {
      if (event.type !== 'state') continue
      sessions.set(
        event.neighbor.address.peer,
        event.neighbor.state === 'up' ? 'Established' : (event.neighbor.state ?? 'down'),
      )
    }
    return sessions
  }

  async routes(family: FamilyName): Promise<LearnedRoute[]> {
    const tables = new Map<string, Map<string, LearnedRoute>>()
    for (const event of this.#read()) {
      const from = event.neighbor.address.peer
      const table = tables.get(from) ?? new Map<string, LearnedRoute>()
      tables.set(from, table)
      if (event.type === 'state' && event.neighbor.state === 'down') table.clear()
      if (event.type === 'update') apply(event, from, table)
    }
    return [...tables.values()]
      .flatMap((table) => [...table.values()])
      .filter((route) => familyOfText(route.prefix) === family)
  }

  async refresh(address: string): Promise<void> {
    const peer = this.spec.peers.find((one) => one.address === address)
    for (const family of peer?.families ?? []) {
      this.#command(`neighbor ${address} announce route-refresh ${family.replace('-', ' ')}`)
    }
  }

  async updatesReceived(address: string): Promise<number> {
    return this.#read().filter((event) => event.type === 'update' && event.neighbor.address.peer === address).length
  }

  get #events(): string {
    return join(this.host.dir, 'events')
  }
  get #commands(): string {
    return join(this.host.dir, 'commands')
  }
  #command(text: string): void {
    appendFileSync(this.#commands, `${text}\n`)
  }
  #read(): Event[] {
    return readFileSync(this.#events, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}') && line.includes('"neighbor"'))
      .map((line) => JSON.parse(line) as Event)
  }

  #configuration(): string {
    return `process recorder { run ${join(this.host.dir, 'helper.sh')}; encoder json; }
${this.spec.peers.map((peer) => this.#neighbor(peer)).join('\n')}
`
  }

  #neighbor(peer: PeerSpec): string {
    const { spec, host } = this
    const routes = peer.families.flatMap((family) => this.ownOf(family))
    return `neighbor ${peer.address} {
  router-id ${spec.routerId ?? host.v4}; local-address ${this.localAddress(peer)}; local-as ${spec.asn}; peer-as ${peer.asn}; hold-time 9;
  ${peer.passive ? 'passive true;' : ''}
  family { ${peer.families.map((family) => `${family.replace('-', ' ')};`).join(' ')} }
  capability { route-refresh enable; asn4 ${peer.as4 === false ? 'disable' : 'enable'}; }
  api { processes [ recorder ]; neighbor-changes; receive { parsed; update; } }
  static { ${routes.map((route) => `route ${this.#route(route)};`).join(' ')} }
}`
  }

  #route(route: OwnRoute): string {
    return [
      `${route.prefix} next-hop ${this.ownNextHop(route.prefix)} origin igp`,
      ...(route.words === undefined ? [] : [route.words]),
      ...(route.med === undefined ? [] : [`med ${route.med}`]),
      ...(route.communities?.length ? [`community [ ${route.communities.join(' ')} ]`] : []),
      ...(route.largeCommunities?.length ? [`large-community [ ${route.largeCommunities.join(' ')} ]`] : []),
      // ExaBGP sends the path as it is given: the speaker's own AS has to stand in front for eBGP.
      ...(route.asPath?.length ? [`as-path [ ${this.#wholePath(route.asPath)} ]`] : []),
    ].join(' ')
  }
  #wholePath(behind: readonly number[]): string {
    const external = this.spec.peers.some((peer) => peer.asn !== this.spec.asn)
    return (external ? [this.spec.asn, ...behind] : behind).join(' ')
  }
}

interface Event {
  readonly type: string
  readonly neighbor: {
    readonly address: { readonly local: string; readonly peer: string }
    readonly state?: string
    readonly message?: { readonly update?: Update }
  }
}
interface Update {
  readonly attribute?: Readonly<Record<string, unknown>>
  readonly announce?: Readonly<Record<string, Readonly<Record<string, readonly ({ nlri: string } | string)[]>>>>
  readonly withdraw?: Readonly<Record<string, readonly ({ nlri: string } | string)[]>>
}

function apply(event: Event, from: string, table: Map<string, LearnedRoute>): void {
  const update = event.neighbor.message?.update
  const prefixOf = (nlri: { nlri: string } | string) => (typeof nlri === 'string' ? nlri : nlri.nlri)
  for (const list of Object.values(update?.withdraw ?? {})) for (const nlri of list) table.delete(prefixOf(nlri))
  for (const byNextHop of Object.values(update?.announce ?? {})) {
    for (const [nextHop, list] of Object.entries(byNextHop)) {
      if (!Array.isArray(list)) continue
      for (const nlri of list)
        table.set(prefixOf(nlri), learned(prefixOf(nlri), from, nextHop, update?.attribute ?? {}))
    }
  }
}

function learned(
  prefix: string,
  from: string,
  nextHop: string,
  attribute: Readonly<Record<string, unknown>>,
): LearnedRoute {
  const list = (name: string) => (attribute[name] ?? []) as readonly unknown[]
  const joined = (name: string) =>
    list(name)
      .map((one) => (Array.isArray(one) ? one.join(':') : String(one)))
      .sort()
  return {
    prefix,
    from,
    nextHop,
    asPath: list('as-path')
      .map((one) => (Array.isArray(one) ? `{${one.join(',')}}` : String(one)))
      .join(' '),
    origin: (attribute['origin'] ?? 'igp') as LearnedRoute['origin'],
    med: (attribute['med'] as number | undefined) ?? null,
    localPref: (attribute['local-preference'] as number | undefined) ?? null,
    communities: joined('community'),
    largeCommunities: joined('large-community'),
    originatorId: (attribute['originator-id'] as string | undefined) ?? null,
    clusterList: list('cluster-list').map(String),
  }
}

/** The loop instead of `cat`: ExaBGP's pipe does not block, and cat ends with an error on that. */
function helper(events: string, commands: string): string {
  return `#!/bin/sh
tail -n +1 -f --pid=$$ ${commands} &
printf '%s\\n' '{"helper":"started"}' >> ${events}
while IFS= read -r line; do printf '%s\\n' "$line" >> ${events}; done
`
}
