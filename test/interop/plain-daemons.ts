/** BIRD and FRR with a configuration written by the test, for what the common shape (daemons/speaker.ts) has no words for. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Process, run } from '../support/daemons/process.js'
import type { Host } from '../support/daemons/segment.js'
import { until } from '../support/wait.js'

export class PlainBird {
  readonly host: Host
  #text: string
  #process: Process | null = null

  /** `text` comes behind the router id and `protocol device`. */
  constructor(host: Host, text: string) {
    this.host = host
    this.#text = text
  }

  async start(): Promise<void> {
    const { dir, netns } = this.host
    this.#write()
    const files = ['-c', join(dir, 'b.conf'), '-s', join(dir, 'b.ctl'), '-P', join(dir, 'b.pid')]
    this.#process = new Process(netns, join(dir, 'out.log'), 'bird', ['-f', ...files])
    await until('BIRD answers', () => this.#process!.mustRun() ?? this.ask('show', 'status'))
  }

  /** Another configuration, while it runs. */
  async configure(text: string): Promise<void> {
    this.#text = text
    this.#write()
    const answer = await this.ask('configure')
    if (!answer.includes('Reconfigur')) throw new Error(`BIRD does not take its configuration: ${answer}`)
  }

  #write(): void {
    const { dir, v4 } = this.host
    writeFileSync(join(dir, 'b.conf'), `log stderr all;\nrouter id ${v4};\nprotocol device {}\n${this.#text}\n`)
  }

  ask(...command: string[]): Promise<string> {
    return run('birdc', '-s', join(this.host.dir, 'b.ctl'), ...command)
  }

  /** What it has logged. */
  log(): string {
    return readFileSync(join(this.host.dir, 'out.log'), 'utf8')
  }

  /** Waits until what it says to a command matches. */
  shows(pattern: RegExp, ...command: string[]): Promise<string> {
    return until(
      `BIRD: ${command.join(' ')} ${pattern}`,
      () => this.ask(...command),
      (text) => pattern.test(text),
    )
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.signal(signal)
  }

  async kill(): Promise<void> {
    // A frozen one, too.
    await this.#process?.kill()
  }
}

export class PlainFrr {
  readonly host: Host
  readonly #text: string
  readonly #bfd: boolean
  readonly #processes: Process[] = []

  /** `text` is a bgpd configuration; zebra tells it the addresses of the interfaces. `bfd`: with bfdd. */
  constructor(host: Host, text: string, options: { readonly bfd?: boolean } = {}) {
    this.host = host
    this.#text = text
    this.#bfd = options.bfd ?? false
  }

  async start(): Promise<void> {
    const { dir, netns, v4, v6 } = this.host
    const folder = join(dir, 'zebra')
    mkdirSync(folder, { recursive: true })
    chmodSync(folder, 0o777)
    const socket = join(folder, 'z.api')
    const log = join(dir, 'out.log')
    const zebra = ['-f', '/dev/null', '-i', join(folder, 'z.pid'), '--vty_socket', folder, '-z', socket, '-P', '0']
    this.#processes.push(new Process(netns, log, '/usr/lib/frr/zebra', zebra))
    await until('zebra has its socket', () => existsSync(socket))
    if (this.#bfd) {
      const control = join(folder, 'bfdd.sock')
      const bfdd = ['-f', '/dev/null', '-i', join(folder, 'bfd.pid'), '--vty_socket', folder, '-z', socket, '-P', '0']
      this.#processes.push(new Process(netns, log, '/usr/lib/frr/bfdd', [...bfdd, '--bfdctl', control]))
      await until('bfdd has its socket', () => existsSync(control))
    }
    writeFileSync(join(dir, 'f.conf'), `frr version 8.4\nfrr defaults datacenter\n${this.#text}\n`)
    const bgpd = [
      '-f',
      join(dir, 'f.conf'),
      '-i',
      join(dir, 'f.pid'),
      '--vty_socket',
      dir,
      '-S',
      '-P',
      '0',
      '-z',
      socket,
    ]
    this.#processes.push(new Process(netns, log, '/usr/lib/frr/bgpd', [...bgpd, '-l', v4, '-l', v6, '-p', '179']))
    await until('bgpd answers', () => this.ask('show version'))
  }

  ask(...commands: string[]): Promise<string> {
    return run('vtysh', '--vty_socket', this.host.dir, ...commands.flatMap((command) => ['-c', command]))
  }

  shows(pattern: RegExp, command: string): Promise<string> {
    return until(
      `FRR: ${command} ${pattern}`,
      () => this.ask(command),
      (text) => pattern.test(text),
    )
  }

  /** What bfdd says. */
  askBfd(command: string): Promise<string> {
    return run('vtysh', '--vty_socket', join(this.host.dir, 'zebra'), '-d', 'bfdd', '-c', command)
  }

  async kill(): Promise<void> {
    await Promise.all(this.#processes.reverse().map((one) => one.kill()))
  }
}

/** Timers of a BIRD session that a test need not wait for. */
export const BIRD_TIMERS = 'hold time 9; connect delay time 1; connect retry time 1; error wait time 1,3;'
/** The same for FRR. */
export function frrTimers(address: string): string {
  return `neighbor ${address} timers 3 9\nneighbor ${address} timers connect 1`
}
