/** The whole daemon as a child on loopback, for attacks on it: its log, its views, its memory. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import type { NeighborView, PathView, SummaryView } from '../../src/api/types.js'
import { GaveUp, until } from '../support/wait.js'

/** The command of the same build as this test. */
export const MAIN = join(dirname(fileURLToPath(import.meta.url)), '../../src/cli/main.js')

export interface Scope {
  teardown(action: () => void | Promise<void>): void
}

export interface CommandResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

export class Daemon {
  readonly port: number
  readonly folder: string
  config: Record<string, unknown>
  /** Standard error and output, as they came. */
  log = ''
  exit: { readonly code: number | null; readonly signal: string | null } | null = null
  #child: ChildProcess | null = null

  constructor(port: number, folder: string, config: Record<string, unknown>) {
    this.port = port
    this.folder = folder
    this.config = config
  }

  get file(): string {
    return join(this.folder, 'bgp.yaml')
  }
  get socket(): string {
    return join(this.folder, 'n.sock')
  }
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  write(config: Record<string, unknown>): void {
    this.config = config
    const base = {
      asn: 64512,
      routerId: '10.0.0.1',
      nodeName: 'target',
      listen: [{ address: '127.0.0.1', port: this.port }],
      api: { socket: this.socket },
      fib: { driver: 'off' },
    }
    writeFileSync(this.file, stringify({ ...base, ...config }))
  }

  start(...nodeOptions: string[]): void {
    this.write(this.config)
    this.exit = null
    const child = spawn(process.execPath, [...nodeOptions, MAIN, 'run', '-c', this.file])
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text: string) => {
        this.log += text
      })
    }
    child.on('close', (code, signal) => {
      this.exit = { code, signal }
    })
  }

  async ready(): Promise<void> {
    await this.until('is ready', () => this.log.includes('daemon-ready'))
  }

  /** Waits; gives up at once when the daemon is gone. */
  until<T>(what: string, probe: () => T | Promise<T>, accept: (value: T) => boolean = Boolean): Promise<T> {
    return until(
      `the daemon ${what}`,
      () => {
        if (this.exit !== null) throw new GaveUp(`the daemon ended (${JSON.stringify(this.exit)}):\n${this.log}`)
        return probe()
      },
      accept,
    )
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.signal(signal)
    await until('the daemon ends', () => this.exit !== null)
  }

  reload(config: Record<string, unknown>): Promise<CommandResult> {
    this.write(config)
    return this.command('reload')
  }

  command(...args: string[]): Promise<CommandResult> {
    return nodebgp(...args, '--socket', this.socket)
  }

  async get<T>(path: string): Promise<T> {
    const body = await new Promise<string>((resolve, reject) => {
      const asked = request({ socketPath: this.socket, path }, (answer) => {
        const parts: Buffer[] = []
        answer.on('data', (part: Buffer) => parts.push(part))
        answer.on('end', () => resolve(Buffer.concat(parts).toString()))
        answer.on('error', reject)
      })
      asked.on('error', reject)
      asked.end()
    })
    return JSON.parse(body) as T
  }
  summary(): Promise<SummaryView> {
    return this.get('/v1/summary')
  }
  neighbors(): Promise<NeighborView[]> {
    return this.get('/v1/neighbors')
  }
  rib(): Promise<PathView[]> {
    return this.get('/v1/rib')
  }

  /** Resident memory, MiB. */
  residentMiB(): number {
    const line = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))
    return Number(line?.[1] ?? 0) / 1024
  }
}

/** A daemon that ends with the test; `start()` is the caller's. */
export async function makeDaemon(t: Scope, config: Record<string, unknown>): Promise<Daemon> {
  const folder = mkdtempSync(join(tmpdir(), 'nodebgp-robust-'))
  const daemon = new Daemon(await freePort(), folder, config)
  t.teardown(async () => {
    if (daemon.pid !== 0 && daemon.exit === null) await daemon.stop('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  return daemon
}

export async function runningDaemon(t: Scope, config: Record<string, unknown>): Promise<Daemon> {
  const daemon = await makeDaemon(t, config)
  daemon.start()
  await daemon.ready()
  return daemon
}

/** A command as an operator types it. */
export function nodebgp(...args: string[]): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { maxBuffer: 1 << 30 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 255), out, err })
    })
  })
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address()
      server.close(() => resolve(bound !== null && typeof bound === 'object' ? bound.port : 0))
    })
  })
}
