/**
 * Our own daemon as a child in a network namespace: configuration written from the common shape, questions asked over the unix socket,
 * changes made as an operator makes them (the file and SIGHUP, or a command).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { NeighborView, PathView, SummaryView } from '../../src/api/types.js'
import type { FibEntry } from '../../src/fib/types.js'
import type { LogEvent } from '../../src/log.js'
import type { FamilyName } from '../../src/net/family.js'
import { Process, run } from './daemons/process.js'
import {
  type GracefulTimes,
  gracefulTimes,
  type LearnedRoute,
  type OwnRoute,
  type PeerSpec,
  Speaker,
  type SpeakerSpec,
} from './daemons/speaker.js'
import { shippedCommand } from './root.js'
import { until } from './wait.js'

/** The command as it is shipped: the bundle. */
export const MAIN = shippedCommand

/** Keys of the configuration file that a test wants otherwise: replaces top-level keys. */
export type Overrides = Readonly<Record<string, unknown>>

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

export class Nodebgp extends Speaker {
  readonly kind = 'nodebgp'
  peers: readonly PeerSpec[]
  overrides: Overrides

  constructor(spec: SpeakerSpec, overrides: Overrides = {}) {
    super(spec)
    this.peers = spec.peers
    this.overrides = overrides
  }

  get file(): string {
    return join(this.host.dir, 'bgp.yaml')
  }
  get logFile(): string {
    return join(this.host.dir, 'out.log')
  }
  get socket(): string {
    return join(this.host.dir, 'n.sock')
  }

  protected async launch(): Promise<Process> {
    this.writeConfiguration()
    return new Process(this.host.netns, this.logFile, process.execPath, [MAIN, 'run', '-c', this.file])
  }
  protected async announced(): Promise<void> {
    this.reload()
  }
  protected async withdrawn(): Promise<void> {
    this.reload()
  }

  async sessions(): Promise<Map<string, string>> {
    const { peers } = await this.summary()
    return new Map(peers.filter((peer) => !peer.range).map((peer) => [peer.address, peer.state]))
  }

  async routes(family: FamilyName): Promise<LearnedRoute[]> {
    const paths = await this.rib(family)
    // The others have no view of what they refused; ours, with the reason, is asked for by rib().
    return paths.flatMap((path) => (path.fromAddress === null || !path.valid ? [] : [learned(path, path.fromAddress)]))
  }

  async refresh(address: string): Promise<void> {
    await this.command('neighbor', address, 'refresh')
  }

  async updatesReceived(address: string): Promise<number> {
    return this.messages(address, 'received', /update/i)
  }

  /** Messages of one type on the present or last session. */
  async messages(address: string, direction: 'received' | 'sent', type: RegExp): Promise<number> {
    const counters = (await this.neighbor(address)).messages[direction]
    return Object.entries(counters).find(([name]) => type.test(name))?.[1] ?? 0
  }

  summary(): Promise<SummaryView> {
    return this.get('/v1/summary') as Promise<SummaryView>
  }
  adjIn(address: string): Promise<PathView[]> {
    return this.get(`/v1/adj-in/${address}`) as Promise<PathView[]>
  }
  adjOut(address: string): Promise<PathView[]> {
    return this.get(`/v1/adj-out/${address}`) as Promise<PathView[]>
  }
  rib(family: FamilyName): Promise<PathView[]> {
    return this.get(`/v1/rib?family=${family}`) as Promise<PathView[]>
  }
  fib(): Promise<FibEntry[]> {
    return this.get('/v1/fib') as Promise<FibEntry[]>
  }
  async neighbor(address: string): Promise<NeighborView> {
    const all = (await this.get('/v1/neighbors')) as NeighborView[]
    const found = all.find((one) => one.address === address && !one.range)
    if (found === undefined) throw new Error(`${this.name} has no neighbour ${address}`)
    return found
  }

  /** Lines of the log with this event (src/log.ts), of all runs. */
  logged(event: LogEvent): number {
    const lines = readFileSync(this.logFile, 'utf8').split('\n')
    return lines.filter((line) => line.includes(`"event":"${event}"`)).length
  }

  /** A command as an operator types it; rejects when its exit code is not 0. */
  command(...args: string[]): Promise<string> {
    return run(process.execPath, MAIN, ...args, '--socket', this.socket)
  }

  /** The plain HTTP listener, asked from inside the namespace: api.http has to be 127.0.0.1:9179. */
  async http(path: string): Promise<HttpAnswer> {
    const script = `fetch('http://127.0.0.1:9179${path}').then(async (r) => console.log(JSON.stringify({ status: r.status, body: await r.text() })))`
    const text = await run('ip', 'netns', 'exec', this.host.netns, process.execPath, '-e', script)
    return JSON.parse(text) as HttpAnswer
  }

  async get(path: string): Promise<unknown> {
    const answer = await ask(this.socket, path)
    if (answer.status !== 200) throw new Error(`GET ${path}: HTTP ${answer.status}: ${answer.body.slice(0, 500)}`)
    return JSON.parse(answer.body)
  }

  /** Writes the file and sends SIGHUP; what follows from it is waited for by the caller. */
  reload(): void {
    this.writeConfiguration()
    this.hangup()
  }
  hangup(): void {
    this.process?.signal('SIGHUP')
  }

  writeConfiguration(): void {
    writeFileSync(this.file, stringify({ ...this.#configuration(), ...this.overrides }))
  }

  #configuration(): Record<string, unknown> {
    const { spec, host } = this
    const reflects = spec.clusterId !== undefined || this.peers.some((peer) => peer.client)
    return {
      asn: spec.asn,
      routerId: spec.routerId ?? host.v4,
      nodeName: host.label,
      listen: [
        { address: host.v4, port: 179 },
        { address: host.v6, port: 179 },
      ],
      api: { socket: this.socket },
      ...(reflects ? { reflector: { clusterId: spec.clusterId ?? spec.routerId ?? host.v4 } } : {}),
      originate: [...this.own.values()].map((route) => this.#originate(route)),
      neighbors: this.peers.map((peer, index) => this.#neighbor(peer, index)),
      fib: spec.kernel ? { driver: 'auto', accept: ['10.0.0.0/8', 'fd00:244::/32'] } : { driver: 'off' },
    }
  }

  #originate(route: OwnRoute): Record<string, unknown> {
    const communities = [...(route.communities ?? []), ...(route.largeCommunities ?? [])]
    return {
      prefix: route.prefix,
      ...(this.spec.kernel ? { blackhole: true } : {}),
      nextHop: this.ownNextHop(route.prefix),
      ...(route.med === undefined ? {} : { med: route.med }),
      ...(communities.length === 0 ? {} : { communities }),
    }
  }

  #neighbor(peer: PeerSpec, index: number): Record<string, unknown> {
    return {
      name: `p${index}`,
      ...(peer.range === undefined ? { address: peer.address } : { range: peer.range }),
      asn: peer.asn,
      families: peer.families,
      holdTime: `${peer.holdSeconds ?? 9}s`,
      connectRetry: '1s',
      ...(peer.range === undefined ? { sourceAddress: this.localAddress(peer) } : {}),
      ...(peer.passive ? { passive: true } : {}),
      ...(peer.client ? { reflectorClient: true } : {}),
      ...(peer.enhancedRefresh === undefined ? {} : { enhancedRefresh: peer.enhancedRefresh }),
      ...(peer.addPath ? { addPath: { ...peer.addPath, ...(peer.addPath.send === true ? { send: 'all' } : {}) } } : {}),
      ...gracefulKeys(gracefulTimes(peer)),
      // An external neighbour without policies exchanges nothing (RFC 8212).
      ...(peer.asn === this.spec.asn ? {} : { import: 'accept-all', export: 'accept-all' }),
    }
  }

  /** Waits until a view satisfies; for what is not part of the common shape. */
  async summaryShows(description: string, accept: (summary: SummaryView) => boolean): Promise<SummaryView> {
    return until(`${this.name}: ${description}`, () => this.checked(() => this.summary()), accept)
  }
}

function gracefulKeys(times: GracefulTimes | null): Record<string, unknown> {
  if (times === null) return {}
  const { restartSeconds, longLivedSeconds } = times
  const longLived = longLivedSeconds > 0 ? { longLivedGracefulRestart: `${longLivedSeconds}s` } : {}
  return { gracefulRestart: { restartTime: `${restartSeconds}s` }, ...longLived }
}

function learned(path: PathView, from: string): LearnedRoute {
  return {
    prefix: path.prefix,
    from,
    nextHop: path.nextHop ?? '',
    asPath: path.asPath,
    origin: path.origin,
    med: path.med,
    localPref: path.localPref,
    communities: [...path.communities].sort(),
    largeCommunities: [...path.largeCommunities].sort(),
    originatorId: path.originatorId,
    clusterList: path.clusterList,
  }
}

function ask(socketPath: string, path: string): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      response.on('error', reject)
    })
    asked.setTimeout(20_000, () => asked.destroy(new Error(`no answer on ${socketPath} within 20 s`)))
    asked.on('error', reject)
    asked.end()
  })
}
