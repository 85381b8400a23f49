/** Speakers in this process with real sockets on loopback and the FIB in memory; files and sockets lie in a folder of the test. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExplainView, GroupView, NeighborView, PathView, SummaryView } from '../../src/api/types.js'
import { loadConfig } from '../../src/config/load.js'
import { Speaker } from '../../src/daemon/speaker.js'
import type { FibEntry } from '../../src/fib/types.js'
import { createLogger, type Log } from '../../src/log.js'
import { until } from '../support/wait.js'

/** Another one for each process, below the ephemeral ports: the suite may run twice at a time. */
export const PORT = 20_000 + (process.pid % 12_000)

export class Given {
  readonly #folder = mkdtempSync(join(tmpdir(), 'nodebgp-speaker-'))
  readonly #nodes: Node[] = []

  /** A running speaker; `rest`: its file but for the keys that all have. */
  async node(address: string, rest: string): Promise<Node> {
    const node = new Node(this.#folder, address)
    this.#nodes.push(node)
    node.write(rest)
    await node.start()
    return node
  }

  async stop(): Promise<void> {
    for (const node of this.#nodes) await node.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

export interface Answer {
  readonly status: number
  readonly value: unknown
}

export class Node {
  readonly address: string
  readonly file: string
  readonly socket: string
  #speaker: Speaker | null = null
  #log: Log | null = null

  constructor(folder: string, address: string) {
    this.address = address
    this.file = join(folder, `${address}.yaml`)
    this.socket = join(folder, `${address}.sock`)
  }

  write(rest: string): void {
    const common = [
      'asn: 64512',
      `routerId: ${this.address}`,
      `nodeName: n-${this.address}`,
      `listen: [{ address: ${this.address}, port: ${PORT} }]`,
      `api: { socket: ${this.socket} }`,
      'log: { level: silent }',
    ]
    const keys = new Set(rest.split('\n').map((line) => line.split(':')[0]))
    const lines = common.filter((line) => !keys.has(line.split(':')[0]))
    if (!keys.has('fib')) lines.push('fib: { driver: memory, accept: [10.0.0.0/8] }')
    writeFileSync(this.file, [...lines, rest, ''].join('\n'))
  }

  async start(): Promise<void> {
    const result = loadConfig(this.file)
    if (!result.ok) throw new Error(result.problems.map(({ path, message }) => `${path}: ${message}`).join('; '))
    this.#log = createLogger('silent')
    const speaker = new Speaker(result.config, this.#log)
    this.#speaker = speaker
    await speaker.start()
  }

  async stop(): Promise<void> {
    const speaker = this.#speaker
    this.#speaker = null
    await speaker?.stop()
    this.#log?.close()
    this.#log = null
  }

  async get<T>(path: string): Promise<T> {
    const { status, value } = await ask(this.socket, 'GET', path)
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(value)}`)
    return value as T
  }
  post(path: string, body?: unknown): Promise<Answer> {
    return ask(this.socket, 'POST', path, body)
  }
  /** Also answers that are no success. */
  ask(path: string): Promise<Answer> {
    return ask(this.socket, 'GET', path)
  }

  summary = (): Promise<SummaryView> => this.get('/v1/summary')
  rib = (query = ''): Promise<PathView[]> => this.get(`/v1/rib?${query}`)
  groups = (): Promise<GroupView[]> => this.get('/v1/groups')
  fib = (): Promise<FibEntry[]> => this.get('/v1/fib')
  explain = (prefix: string): Promise<ExplainView> => this.get(`/v1/explain?prefix=${encodeURIComponent(prefix)}`)
  adjIn = (peer: string): Promise<PathView[]> => this.get(`/v1/adj-in/${peer}`)
  adjOut = (peer: string): Promise<PathView[]> => this.get(`/v1/adj-out/${peer}`)

  async neighbor(name: string): Promise<NeighborView> {
    return (await this.get<NeighborView[]>(`/v1/neighbors?name=${name}`))[0]!
  }
  async reload(rest: string): Promise<Answer> {
    this.write(rest)
    return this.post('/v1/reload')
  }

  /** Until this neighbour is Established and both ends have sent End-of-RIB. */
  async loaded(name: string): Promise<void> {
    await until(
      `${this.address}: ${name} is loaded`,
      () => this.neighbor(name),
      (peer) =>
        peer?.state === 'Established' &&
        peer.perFamily.length > 0 &&
        peer.perFamily.every((family) => family.endOfRibReceived && family.endOfRibSent),
    )
  }

  /** Until the prefixes of the winners are these. */
  async winners(...prefixes: string[]): Promise<PathView[]> {
    return until(
      `${this.address}: winners are ${prefixes}`,
      () => this.rib('best=true'),
      (rows) =>
        rows
          .map(({ prefix }) => prefix)
          .sort()
          .join() === [...prefixes].sort().join(),
    )
  }
}

/** A neighbour on loopback; the end with the lower address waits. */
export function neighbor(from: string, name: string, address: string, more = ''): string {
  return `  - { name: ${name}, address: ${address}, port: ${PORT}, asn: 64512, sourceAddress: ${from}, connectRetry: 1s${more === '' ? '' : `, ${more}`} }`
}

function ask(socketPath: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      { socketPath, method, path, headers: { 'content-type': 'application/json' }, agent: false },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, value: text === '' ? null : JSON.parse(text) }),
        )
      },
    )
    call.on('error', reject)
    call.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
