/** A stream of pings, 20 a second or at least as many as asked, from start to stop: which of them were answered. */
import { join } from 'node:path'
import { Process } from './daemons/process.js'
import type { Host } from './daemons/segment.js'
import type { Netns } from './netns.js'
import { until } from './wait.js'

export class Pings {
  readonly name: string
  readonly #process: Process

  /** From a Pod of `host` to an address. */
  constructor(host: Pick<Host, 'label' | 'dir'>, pod: Netns, address: string, perSecond = 20) {
    this.name = `${host.label} to ${address}`
    const log = join(host.dir, `ping-${address}.log`)
    this.#process = new Process(pod.name, log, 'ping', ['-n', '-i', String(INTERVAL / perSecond), address], {
      LC_ALL: 'C',
    })
  }

  /** Waits for the answer to a ping that has not been answered yet. */
  async goOn(): Promise<void> {
    const before = this.#answered().size
    await until(
      `another answer: ${this.name}`,
      () => {
        this.#process.mustRun()
        return this.#answered().size
      },
      (count) => count > before,
    )
  }

  /** Numbers of the pings that were sent before the last answered one and never answered themselves. */
  async stop(): Promise<number[]> {
    await this.goOn()
    this.#process.signal('SIGINT')
    await this.#process.ended
    const answered = this.#answered()
    const last = Math.max(...answered)
    return Array.from({ length: last }, (_, index) => index + 1).filter((n) => !answered.has(n))
  }

  async kill(): Promise<void> {
    await this.#process.kill()
  }

  #answered(): Set<number> {
    const text = this.#process.logTail(Number.POSITIVE_INFINITY)
    return new Set([...text.matchAll(/ bytes from .* icmp_seq=(\d+) /g)].map((match) => Number(match[1])))
  }
}

/** In parts of the time that is there: ping rounds its pauses up to the kernel's ticks, and 0.01 s become 0.017. */
const INTERVAL = 0.6
