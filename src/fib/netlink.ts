/**
 * Edge: the kernel's routing tables through rtnetlink. One descriptor for changes and dumps, one for what the kernel tells of changes by others
 * (netlink-triggers.ts).
 *
 * - Up to 8000 changes per write (200 where the socket's buffers are small), of which only the last asks for an acknowledgement. A thread of the pool
 *   waits for the kernel. With small writes, each of which waits for its turn of a busy event loop, 5000 of 100,000 routes were written while they came in.
 * - A change that fails answers with its own number: each failed route has the kernel's reason.
 * - Events carry the route, so that the picture of the tables follows without a dump. Our own changes are left out by a filter in the kernel.
 * - What the kernel does not tell (a device goes down, the last address goes) is found by reading again after events of devices and addresses.
 */
import { closeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { getSystemErrorMap } from 'node:util'
import { FAMILIES, type Family } from '../net/family.js'
import { decodeLink, encodeLinkDump, type LinkMessage } from '../netlink/link.js'
import { NetlinkWriter } from '../netlink/message.js'
import { MessageFlag, MessageType } from '../netlink/numbers.js'
import type { NetlinkReply } from '../netlink/reply.js'
import { decodeRoute, encodeRoute, encodeRouteDump } from '../netlink/route.js'
import {
  DONE,
  type DumpScope,
  EXISTS,
  type FibDriver,
  type FibFact,
  type FibOperation,
  type FibOutcome,
  type FibTrigger,
  type NeighbourWatch,
} from './driver.js'
import { LinkTable } from './netlink-links.js'
import { NoDeviceError, RouteTranslator, toKernelRoute } from './netlink-routes.js'
import {
  checkInherited,
  NetlinkLostError,
  NetlinkRequests,
  type NetlinkSource,
  openNetlink,
  Sequence,
} from './netlink-socket.js'
import { NetlinkTriggers } from './netlink-triggers.js'
import { FibError, type KernelRoute } from './types.js'

export interface NetlinkOptions {
  readonly source: NetlinkSource
  readonly table: number
  readonly protocol: number
  /** Name of the network namespace to work in; null: our own. */
  readonly netns: string | null
  /** Time between full comparisons. */
  readonly compareMs: number
  readonly log: (fact: FibFact) => void
  /** `poll` is for tests. */
  readonly wait?: 'handle' | 'poll'
}

export class NetlinkDriver implements FibDriver {
  readonly #options: NetlinkOptions
  readonly #writers = [new NetlinkWriter(32_768), new NetlinkWriter(32_768)] as const
  readonly #numbers = new Sequence()
  readonly #translator: RouteTranslator
  readonly #tables: readonly number[]
  readonly #links = new LinkTable()
  #requests: NetlinkRequests | null = null
  readonly #triggers: NetlinkTriggers
  #onTrigger: (trigger: FibTrigger) => void = () => {}
  #compareTimer: NodeJS.Timeout | null = null
  /** The buffers of the descriptor for requests. */
  #large = false

  constructor(options: NetlinkOptions) {
    this.#options = options
    this.#translator = new RouteTranslator(options, this.#links)
    this.#tables = [...new Set([options.table, MAIN_TABLE, LOCAL_TABLE])]
    const { source, netns, protocol, wait } = options
    this.#triggers = new NetlinkTriggers({
      source,
      netns,
      tables: this.#tables,
      protocol,
      links: this.#links,
      ownPort: () => this.#openRequests().port,
      onTrigger: (trigger) => this.#onTrigger(trigger),
      trouble: (reason) => options.log({ event: 'fib-trouble', fields: { reason } }),
      ...(wait === undefined ? {} : { wait }),
    })
  }

  /** How events are waited for, for tests and views; null: they are not heard. */
  get wait(): 'handle' | 'poll' | null {
    return this.#triggers.wait
  }

  async open(onTrigger: (trigger: FibTrigger) => void): Promise<void> {
    this.#onTrigger = onTrigger
    try {
      this.#openRequests()
      await this.#readLinks()
      await this.#checkRight()
      this.#triggers.open()
    } catch (error) {
      await this.close()
      throw error instanceof FibError ? error : new FibError(`the kernel's routes: ${(error as Error).message}`)
    }
    this.#compareTimer = setInterval(() => onTrigger('slow'), this.#options.compareMs)
  }

  async dump(take: (route: KernelRoute) => void, scope: DumpScope = 'all'): Promise<void> {
    const { table, protocol } = this.#options
    await this.#guarded(async () => {
      if (scope === 'all') await this.#readLinks()
      const tables = scope === 'all' ? this.#tables : [table]
      for (const { family } of FAMILIES) {
        for (const one of tables) {
          await takeInSlices(await this.#readTable(family, one, scope === 'all' ? 0 : protocol), take)
        }
      }
    })
  }

  async apply(operations: readonly FibOperation[]): Promise<readonly FibOutcome[]> {
    const outcomes: FibOutcome[] = new Array<FibOutcome>(operations.length).fill(DONE)
    const again = await this.#applyAll(null, operations, outcomes)
    if (again.length === 0) return outcomes
    // A device that is not known: it may be younger than our list of them.
    try {
      await this.#guarded(() => this.#readLinks())
    } catch {
      return outcomes
    }
    await this.#applyAll(again, operations, outcomes)
    return outcomes
  }

  readonly watchNeighbours: NeighbourWatch = (index, changed) => this.#triggers.watchNeighbours(index, changed)

  async close(): Promise<void> {
    if (this.#compareTimer !== null) clearInterval(this.#compareTimer)
    await this.#triggers.close()
    this.#closeRequests()
  }

  // --- changes

  /** `which` null: all. Returns the operations that failed for want of a device. The next portion is encoded while the kernel works on one. */
  async #applyAll(
    which: readonly number[] | null,
    operations: readonly FibOperation[],
    outcomes: FibOutcome[],
  ): Promise<readonly number[]> {
    const noDevice: number[] = []
    let running: Promise<void> | null = null
    const perWrite = this.#large ? PER_LARGE_WRITE : PER_WRITE
    const count = which?.length ?? operations.length
    for (let from = 0, turn = 0; from < count; from += perWrite, turn ^= 1) {
      const writer = this.#writers[turn]!
      const owners = new Int32Array(Math.min(perWrite, count - from))
      for (let i = 0; i < owners.length; i++) owners[i] = which === null ? from + i : which[from + i]!
      const portion = this.#encode(owners, operations, writer, outcomes, noDevice)
      await running
      running = portion.owners.length === 0 ? null : this.#write(portion, writer, operations, outcomes, noDevice)
    }
    await running
    return noDevice
  }

  /** Those that cannot be encoded are taken out of `which`. */
  #encode(
    which: Int32Array,
    operations: readonly FibOperation[],
    writer: NetlinkWriter,
    outcomes: FibOutcome[],
    noDevice: number[],
  ): Portion {
    let count = 0
    const first = this.#numbers.reserve(which.length)
    writer.clear()
    this.#translator.begin()
    for (const index of which) {
      try {
        this.#translator.encode(operations[index]!, first + count, writer)
        which[count++] = index
        outcomes[index] = DONE
      } catch (error) {
        outcomes[index] = { type: 'refused', words: (error as Error).message }
        if (error instanceof NoDeviceError) noDevice.push(index)
      }
    }
    if (count > 0) writer.addFlags(MessageFlag.ACK)
    return { owners: which.subarray(0, count), first }
  }

  /** Never rejects. */
  async #write(
    { owners, first }: Portion,
    writer: NetlinkWriter,
    operations: readonly FibOperation[],
    outcomes: FibOutcome[],
    noDevice: number[],
  ): Promise<void> {
    try {
      const failures = await this.#openRequests().run(writer, first, first + owners.length - 1)
      for (const [sequence, reply] of failures) {
        const index = owners[sequence - first]!
        outcomes[index] = outcomeOf(operations[index]!, reply)
        if (reply.errno === ENODEV) noDevice.push(index)
      }
    } catch (error) {
      if (error instanceof NetlinkLostError) this.#reopenRequests()
      for (const index of owners) outcomes[index] = { type: 'lost', words: (error as Error).message }
    }
  }

  /** Deleting a route that cannot be there shows whether writing is allowed. */
  async #checkRight(): Promise<void> {
    const { table, protocol } = this.#options
    const address = Uint8Array.of(192, 0, 2, 255)
    const probe = { address, length: 32, type: 0, protocol, table, metric: 0xfffffffe, source: null, hops: [] }
    const sequence = this.#numbers.reserve(1)
    const writer = this.#writers[0]
    writer.clear()
    encodeRoute(probe, 'delete', sequence, writer, true)
    const reply = (await this.#openRequests().run(writer, sequence, sequence)).get(sequence)
    if (reply === undefined || reply.errno === ESRCH) return
    if (reply.errno === EPERM || reply.errno === EACCES) {
      throw new FibError(
        'no right to write kernel routes: run as root or with the capability CAP_NET_ADMIN, or set fib.driver: memory to run without kernel routes',
      )
    }
    throw new FibError(`kernel routes cannot be written: ${wordsOf(reply)}`)
  }

  // --- tables

  /** Read again where the table changed meanwhile. */
  async #readTable(family: Family, table: number, protocol: number): Promise<readonly KernelRoute[]> {
    for (let tries = 1; ; tries++) {
      const routes: KernelRoute[] = []
      const requests = this.#openRequests()
      const sequence = this.#numbers.reserve(1)
      const writer = this.#writers[0]
      writer.clear()
      encodeRouteDump(writer, sequence, family, table, protocol)
      const { reply, interrupted } = await requests.dump(writer, sequence, (reader, header) => {
        if (header.type !== MessageType.NEWROUTE) return
        const message = decodeRoute(reader, header)
        // Without strict checking the kernel gives more than was asked for.
        if (message === null || message.family !== family || message.table !== table) return
        if (protocol !== 0 && message.protocol !== protocol) return
        const route = toKernelRoute(message, this.#links)
        if (route !== null) routes.push(route)
      })
      if (reply.errno !== 0 && reply.errno !== ENOENT && !NO_FAMILY.has(reply.errno))
        throw new FibError(`reading table ${table}: ${wordsOf(reply)}`)
      if (!interrupted || tries >= MAX_DUMPS) return routes
    }
  }

  async #readLinks(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const links = new Map<number, LinkMessage>()
      const requests = this.#openRequests()
      const sequence = this.#numbers.reserve(1)
      const writer = this.#writers[0]
      writer.clear()
      encodeLinkDump(writer, sequence)
      const { reply, interrupted } = await requests.dump(writer, sequence, (reader, header) => {
        if (header.type !== MessageType.NEWLINK) return
        const link = decodeLink(reader, header)
        links.set(link.index, link)
      })
      if (reply.errno !== 0) throw new FibError(`reading the network devices: ${wordsOf(reply)}`)
      if (interrupted && tries < MAX_DUMPS) continue
      this.#links.replace(links)
      return
    }
  }

  // --- descriptors

  #openRequests(): NetlinkRequests {
    if (this.#requests !== null) return this.#requests
    const { source, netns } = this.#options
    if (source.type === 'inherited') {
      checkInherited(source.requests)
      this.#requests = new NetlinkRequests(source.requests)
    } else {
      const { fd, port, large } = openNetlink(source.sys, netns, 0)
      this.#large = large
      this.#requests = new NetlinkRequests(fd)
      this.#requests.port = port
    }
    return this.#requests
  }

  #closeRequests(): void {
    const requests = this.#requests
    this.#requests = null
    // An inherited one cannot be had again.
    if (requests !== null && this.#options.source.type === 'sys') closeSync(requests.fd)
  }

  #reopenRequests(): void {
    this.#closeRequests()
    this.#triggers.reopen('replies of the kernel were lost')
  }

  /** Whatever is half read when it fails must not be taken for the next answer. */
  async #guarded(action: () => Promise<void>): Promise<void> {
    try {
      await action()
    } catch (error) {
      if (error instanceof NetlinkLostError) this.#reopenRequests()
      throw error
    }
  }
}

interface Portion {
  /** Places in the list of operations. */
  readonly owners: Int32Array
  /** Number of the first request. */
  readonly first: number
}

/** Taking hundreds of thousands of routes takes seconds; keepalives have to go out meanwhile. */
async function takeInSlices(routes: readonly KernelRoute[], take: (route: KernelRoute) => void): Promise<void> {
  let taken = 0
  for (const route of routes) {
    take(route)
    if (++taken % TAKE_SLICE === 0) await nextTurn()
  }
}

function outcomeOf(operation: FibOperation, reply: NetlinkReply): FibOutcome {
  if (operation.type === 'delete' && reply.errno === ESRCH) return DONE
  if (operation.type === 'add' && reply.errno === EEXIST) return EXISTS
  return { type: 'refused', words: wordsOf(reply) }
}

/** The kernel's words where it has some, else those of the error number: `Nexthop has invalid gateway (ENETUNREACH)`. */
function wordsOf({ errno, words }: NetlinkReply): string {
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'the kernel refused']
  return `${words === '' ? text : words.replace(/\.$/, '')} (${code})`
}

const MAIN_TABLE = 254
const LOCAL_TABLE = 255
const PER_LARGE_WRITE = 8000
const PER_WRITE = 200
const MAX_DUMPS = 5
const TAKE_SLICE = 1000
const EPERM = 1
const ENOENT = 2
const ESRCH = 3
const EACCES = 13
const EEXIST = 17
const ENODEV = 19
/** A kernel without IPv6: EOPNOTSUPP, EAFNOSUPPORT. */
const NO_FAMILY: ReadonlySet<number> = new Set([95, 97])
