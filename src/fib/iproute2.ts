/**
 * Edge: the kernel's routing tables through the program `ip` of iproute2. Changes by one persistent `ip -batch` child, tables by
 * `ip -j route show`, changes behind our back by an `ip monitor` child, whose lines are only taken as a reason to look again: the kernel drops
 * routes without a word (a device goes down, an address goes away), and a slow comparison finds what no event told.
 */
import { FAMILIES, Family } from '../net/family.js'
import {
  DONE,
  EXISTS,
  type FibDriver,
  type FibFact,
  type FibOperation,
  type FibOutcome,
  type FibTrigger,
} from './driver.js'
import { IpBatch } from './ip-batch.js'
import { JsonArraySplitter, parseRoute } from './ip-json.js'
import { IpMonitor } from './ip-monitor.js'
import { netnsArgs, runIp } from './ip-run.js'
import { formatOperation } from './ip-text.js'
import { FibError, type KernelRoute } from './types.js'

export interface Iproute2Options {
  readonly table: number
  readonly protocol: number
  /** Name of the network namespace to work in (`ip -n NAME`); null: our own. */
  readonly netns: string | null
  /** Time between full comparisons. */
  readonly compareMs: number
  readonly log: (fact: FibFact) => void
}

export class Iproute2Driver implements FibDriver {
  readonly #options: Iproute2Options
  readonly #prefixArgs: readonly string[]
  readonly #batch: IpBatch
  #monitor: IpMonitor | null = null
  /** `ip` knows objects for next hops, whose end takes routes away without a word. */
  #hasNexthops = false
  #onTrigger: (trigger: FibTrigger) => void = () => {}
  #compareTimer: NodeJS.Timeout | null = null
  #monitorTimer: NodeJS.Timeout | null = null
  #closed = false

  constructor(options: Iproute2Options) {
    this.#options = options
    this.#prefixArgs = netnsArgs(options.netns)
    this.#batch = new IpBatch(this.#prefixArgs, (words) => this.#trouble(`${words}; starting it again`))
  }

  /** Process ids of the children, for tests. The monitor is below its shell. */
  get childPids(): { readonly batch: number | null; readonly monitor: number | null } {
    return { batch: this.#batch.pid, monitor: this.#monitor?.pid ?? null }
  }

  async open(onTrigger: (trigger: FibTrigger) => void): Promise<void> {
    await this.#checkPossible()
    this.#onTrigger = onTrigger
    this.#startMonitor()
    this.#compareTimer = setInterval(() => onTrigger('slow'), this.#options.compareMs)
  }

  async dump(take: (route: KernelRoute) => void): Promise<void> {
    const dumps = FAMILIES.map(({ family }) => this.#dumpFamily(family, take))
    // All have to end before the outcome is told, lest a late route falls into the next picture.
    const results = await Promise.allSettled(dumps)
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  async apply(operations: readonly FibOperation[]): Promise<readonly FibOutcome[]> {
    const outcomes: FibOutcome[] = new Array<FibOutcome>(operations.length).fill(DONE)
    const lines: string[] = []
    const owners: number[] = []
    for (const [index, operation] of operations.entries()) {
      try {
        lines.push(formatOperation(operation, this.#options))
        owners.push(index)
      } catch (error) {
        outcomes[index] = { type: 'refused', words: (error as Error).message }
      }
    }
    const result = await this.#batch.run(lines)
    for (const [line, index] of owners.entries()) {
      const words = result.failures.get(line)
      if (words !== undefined) outcomes[index] = outcomeOf(operations[index]!, words)
      else if (result.lost !== null) outcomes[index] = { type: 'lost', words: result.lost }
    }
    return outcomes
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#compareTimer !== null) clearInterval(this.#compareTimer)
    if (this.#monitorTimer !== null) clearTimeout(this.#monitorTimer)
    await Promise.all([this.#monitor?.close(), this.#batch.close()])
  }

  async #checkPossible(): Promise<void> {
    const instead = 'or set fib.driver: memory to run without kernel routes'
    if (process.platform !== 'linux') {
      throw new FibError(
        `kernel routes can only be written on Linux, this is ${process.platform}; set fib.driver: memory`,
      )
    }
    const version = await runIp(['-V'])
    if (version.spawnError !== null) {
      throw new FibError(
        `the program 'ip' is missing (${version.spawnError}): install the package iproute2, ${instead}`,
      )
    }
    const words = `${version.stdout}${version.stderr}`
    this.#hasNexthops = NEW_VERSION.test(words)
    if (!words.includes('iproute2')) {
      throw new FibError(`the program 'ip' is not the one of iproute2: install the package iproute2, ${instead}`)
    }
    // Deleting a route that cannot be there shows whether writing is allowed: 'No such process' or 'Operation not permitted'.
    const { table, protocol } = this.#options
    const probe = `route del unreachable 192.0.2.255/32 proto ${protocol} table ${table} metric 4294967294`
    const result = await runIp([...this.#prefixArgs, ...probe.split(' ')])
    if (result.status === 0 || ABSENT.test(result.stderr)) return
    if (/not permitted|Permission denied/i.test(result.stderr)) {
      throw new FibError(
        `no right to write kernel routes: run as root or with the capability CAP_NET_ADMIN, ${instead}`,
      )
    }
    throw new FibError(
      `kernel routes cannot be written: ip says '${result.stderr.slice(0, 200)}'; repair it, ${instead}`,
    )
  }

  /** All tables at once: one process less for each, and tables of others are passed over. */
  async #dumpFamily(family: Family, take: (route: KernelRoute) => void): Promise<void> {
    const { table } = this.#options
    const splitter = new JsonArraySplitter((text) => {
      const route = parseRoute(text, family, MAIN_TABLE)
      if (route === null) return
      if (route.table === table || route.table === MAIN_TABLE || route.table === LOCAL_TABLE) take(route)
    })
    const flag = family === Family.IPV4_UNICAST ? '-4' : '-6'
    const args = [...this.#prefixArgs, flag, '-N', '-j', '-d', 'route', 'show', 'table', 'all']
    const result = await runIp(args, (chunk) => splitter.push(chunk))
    // A kernel without IPv6 has no routes of it.
    if (result.status === 0 || /not supported/i.test(result.stderr)) return
    throw new FibError(`ip route show failed: ${result.spawnError ?? result.stderr.slice(0, 200)}`)
  }

  #startMonitor(): void {
    this.#monitorTimer = null
    if (this.#closed) return
    let end = ''
    const objects = ['route', 'link', 'address', ...(this.#hasNexthops ? ['nexthop'] : [])]
    this.#monitor = new IpMonitor([...this.#prefixArgs, '-o', 'monitor', ...objects], {
      take: (chunk) => {
        const text = end + chunk
        end = text.slice(-LINE_START)
        if (LINK_LINE.test(text)) this.#batch.renew()
        this.#onTrigger('event')
      },
      ended: (how) => {
        this.#monitor = null
        this.#trouble(`ip monitor ended (${how}); starting it again`)
        this.#monitorTimer = setTimeout(() => {
          this.#startMonitor()
          this.#onTrigger('event')
        }, MONITOR_RESTART_MS)
      },
    })
  }

  #trouble(reason: string): void {
    this.#options.log({ event: 'fib-trouble', fields: { reason } })
  }
}

function outcomeOf(operation: FibOperation, words: string): FibOutcome {
  if (operation.type === 'delete' && ABSENT.test(words)) return DONE
  if (operation.type === 'add' && /File exists/i.test(words)) return EXISTS
  return { type: 'refused', words: words.slice(0, 300) }
}

/** ESRCH, or a table without any route. */
const ABSENT = /No such process|FIB table does not exist/i
const MAIN_TABLE = 254
const LOCAL_TABLE = 255
/** `7: v1: <…` and `Deleted 7: v1: <…`; addresses look the same. */
const LINK_LINE = /^(Deleted )?\d+: /m
/** Of a line that is cut in two, so much tells what it is. */
const LINE_START = 24
/** Up to 5.5 it was a date: `iproute2-ss200127`. */
const NEW_VERSION = /iproute2-[v\d]/
const MONITOR_RESTART_MS = 1000
