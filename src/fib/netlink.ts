/**
 * Edge: the kernel's routing tables through rtnetlink. One descriptor for changes and dumps, one for what the kernel tells of changes by others.
 *
 * - Up to 8000 changes per write (200 where the socket's buffers are small), of which only the last asks for an acknowledgement. A thread of the pool
 *   waits for the kernel. With small writes, each of which waits for its turn of a busy event loop, 5000 of 100,000 routes were written while they came in.
 * - A change that fails answers with its own number: each failed route has the kernel's reason.
 * - Events carry the route, so that the picture of the tables follows without a dump. Our own changes are left out by a filter in the kernel.
 * - What the kernel does not tell (a device goes down, the last address goes) is found by reading again after events of devices and addresses; lost
 *   events (the socket overran) by a new descriptor and reading all again.
 */
import { closeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { getSystemErrorMap } from 'node:util'
import { FAMILIES, Family } from '../net/family.js'
import { decodeLink, encodeLinkDump, type LinkMessage } from '../netlink/link.js'
import { forEachMessage, type MessageHeader, NetlinkReader, NetlinkWriter } from '../netlink/message.js'
import { Group, LinkFlag, MessageFlag, MessageType } from '../netlink/numbers.js'
import type { NetlinkReply } from '../netlink/reply.js'
import { decodeRoute, encodeRoute, encodeRouteDump, type RouteMessage } from '../netlink/route.js'
import {
  DONE,
  type DumpScope,
  EXISTS,
  type FibDriver,
  type FibFact,
  type FibOperation,
  type FibOutcome,
  type FibTrigger,
} from './driver.js'
import { NetlinkEvents } from './netlink-events.js'
import { type Devices, NoDeviceError, RouteTranslator, toKernelRoute } from './netlink-routes.js'
import {
  checkInherited,
  ignoreOwn,
  NetlinkLostError,
  NetlinkRequests,
  type NetlinkSource,
  openNetlink,
  Sequence,
} from './netlink-socket.js'
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

export class NetlinkDriver implements FibDriver, Devices {
  readonly #options: NetlinkOptions
  readonly #writers = [new NetlinkWriter(32_768), new NetlinkWriter(32_768)] as const
  readonly #numbers = new Sequence()
  readonly #translator: RouteTranslator
  readonly #tables: readonly number[]
  #links = new Map<number, LinkMessage>()
  #indexes = new Map<string, number>()
  #requests: NetlinkRequests | null = null
  #events: NetlinkEvents | null = null
  #onTrigger: (trigger: FibTrigger) => void = () => {}
  #compareTimer: NodeJS.Timeout | null = null
  #eventsTimer: NodeJS.Timeout | null = null
  /** The buffers of the descriptor for requests. */
  #large = false
  #closed = false

  constructor(options: NetlinkOptions) {
    this.#options = options
    this.#translator = new RouteTranslator(options, this)
    this.#tables = [...new Set([options.table, MAIN_TABLE, LOCAL_TABLE])]
  }

  indexOf(name: string): number {
    return this.#indexes.get(name) ?? 0
  }

  nameOf(index: number): string | null {
    return this.#links.get(index)?.name ?? null
  }

  /** How events are waited for, for tests and views; null: they are not heard. */
  get wait(): 'handle' | 'poll' | null {
    return this.#events?.wait ?? null
  }

  async open(onTrigger: (trigger: FibTrigger) => void): Promise<void> {
    this.#onTrigger = onTrigger
    try {
      this.#openRequests()
      await this.#readLinks()
      await this.#checkRight()
      this.#openEvents()
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
    const again = await this.#applyAll(
      operations.map((_, index) => index),
      operations,
      outcomes,
    )
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

  async close(): Promise<void> {
    this.#closed = true
    if (this.#compareTimer !== null) clearInterval(this.#compareTimer)
    if (this.#eventsTimer !== null) clearTimeout(this.#eventsTimer)
    await this.#events?.close()
    this.#events = null
    this.#closeRequests()
  }

  // --- changes

  /** Returns the operations that failed for want of a device. The next portion is encoded while the kernel works on one. */
  async #applyAll(
    which: readonly number[],
    operations: readonly FibOperation[],
    outcomes: FibOutcome[],
  ): Promise<readonly number[]> {
    const noDevice: number[] = []
    let running: Promise<void> | null = null
    const perWrite = this.#large ? PER_LARGE_WRITE : PER_WRITE
    for (let from = 0, turn = 0; from < which.length; from += perWrite, turn ^= 1) {
      const writer = this.#writers[turn]!
      const portion = this.#encode(which.slice(from, from + perWrite), operations, writer, outcomes, noDevice)
      await running
      running = portion.owners.length === 0 ? null : this.#write(portion, writer, operations, outcomes, noDevice)
    }
    await running
    return noDevice
  }

  #encode(
    which: readonly number[],
    operations: readonly FibOperation[],
    writer: NetlinkWriter,
    outcomes: FibOutcome[],
    noDevice: number[],
  ): Portion {
    const owners: number[] = []
    const first = this.#numbers.reserve(which.length)
    writer.clear()
    this.#translator.begin()
    for (const index of which) {
      try {
        this.#translator.encode(operations[index]!, first + owners.length, writer)
        owners.push(index)
        outcomes[index] = DONE
      } catch (error) {
        outcomes[index] = { type: 'refused', words: (error as Error).message }
        if (error instanceof NoDeviceError) noDevice.push(index)
      }
    }
    if (owners.length > 0) writer.addFlags(MessageFlag.ACK)
    return { owners, first }
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
        const route = toKernelRoute(message, this)
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
      this.#links = links
      this.#indexes = new Map([...links.values()].map((link) => [link.name, link.index]))
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

  /** After lost replies; the events' filter has to know the new port. */
  #reopenRequests(): void {
    this.#closeRequests()
    if (this.#events === null || this.#options.source.type === 'inherited') return
    const events = this.#events
    this.#events = null
    void events.close()
    this.#openEventsSoon('replies of the kernel were lost')
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

  #openEvents(): void {
    const { source, netns } = this.#options
    const port = this.#openRequests().port
    let fd: number
    if (source.type === 'inherited') {
      if (source.events === null) {
        this.#lookByTimer()
        return
      }
      checkInherited(source.events)
      fd = source.events
    } else {
      fd = openNetlink(source.sys, netns, EVENT_GROUPS).fd
      try {
        ignoreOwn(source.sys, fd, port)
      } catch {
        // They are left out by their port then.
      }
    }
    const { wait } = this.#options
    const events = new NetlinkEvents(fd, {
      take: (bytes) => this.#take(bytes),
      lost: (words) => {
        if (this.#events === events) this.#events = null
        this.#openEventsSoon(words)
      },
      ...(wait === undefined ? {} : { wait }),
    })
    this.#events = events
  }

  #openEventsSoon(words: string): void {
    if (this.#closed || this.#eventsTimer !== null) return
    if (this.#options.source.type === 'inherited') {
      this.#trouble(
        `events of the kernel were lost (${words}), and an inherited descriptor cannot be opened again: reading the tables every second; restart the daemon`,
      )
      this.#lookByTimer()
      return
    }
    this.#trouble(`events of the kernel were lost (${words}): reading its tables again`)
    this.#eventsTimer = setTimeout(() => {
      this.#eventsTimer = null
      try {
        this.#openEvents()
      } catch (error) {
        this.#openEventsSoon((error as Error).message)
        return
      }
      // Only now: a change between the dump and the first event would go unseen.
      this.#onTrigger('event')
    }, REOPEN_MS)
  }

  #lookByTimer(): void {
    this.#eventsTimer = setInterval(() => this.#onTrigger('ours'), LOOK_MS)
  }

  // --- events

  /** Whatever the octets are, at worst the tables are read again. */
  #take(bytes: Uint8Array): void {
    if (this.#closed) return
    const reader = new NetlinkReader(bytes)
    try {
      if (!forEachMessage(reader, bytes.length, (header) => this.#takeMessage(reader, header))) this.#onTrigger('event')
    } catch {
      this.#onTrigger('event')
    }
  }

  #takeMessage(reader: NetlinkReader, header: MessageHeader): void {
    switch (header.type) {
      case MessageType.NEWROUTE:
      case MessageType.DELROUTE:
        if (header.port === 0 || header.port !== this.#requests?.port) this.#takeRoute(reader, header)
        return
      case MessageType.NEWLINK:
      case MessageType.DELLINK:
        this.#takeLink(decodeLink(reader, header), header.type === MessageType.DELLINK)
        return
      case MessageType.NEWADDR:
        this.#onTrigger('devices')
        return
      case MessageType.DELADDR:
        // With the last address of a device its routes go without a word.
        this.#onTrigger('event')
        return
      case MessageType.OVERRUN:
        this.#onTrigger('event')
        return
      default:
    }
  }

  #takeRoute(reader: NetlinkReader, header: MessageHeader): void {
    const message = decodeRoute(reader, header)
    if (message === null || !this.#tables.includes(message.table)) return
    const route = toKernelRoute(message, this)
    if (route === null) return
    if (isPartial(message, header) || hasUnknownDevice(route, message)) {
      this.#onTrigger(message.protocol === this.#options.protocol ? 'ours' : 'event')
      return
    }
    this.#onTrigger({
      type: header.type === MessageType.NEWROUTE ? 'put' : 'gone',
      replaces: (header.flags & MessageFlag.REPLACE) !== 0,
      route,
    })
  }

  #takeLink(link: LinkMessage, isGone: boolean): void {
    // A bridge speaks of its ports: a port that leaves is still a device.
    if (link.family !== 0) return
    const known = this.#links.get(link.index)
    if (known !== undefined) this.#indexes.delete(known.name)
    if (isGone) this.#links.delete(link.index)
    else {
      this.#links.set(link.index, link)
      this.#indexes.set(link.name, link.index)
    }
    // Its routes go without a word, or have another name for their device now.
    const wasUp = known !== undefined && (known.flags & LinkFlag.UP) !== 0
    const isUp = !isGone && (link.flags & LinkFlag.UP) !== 0
    if (isGone || (wasUp && !isUp) || (known !== undefined && known.name !== link.name)) this.#onTrigger('event')
    else this.#onTrigger('devices')
  }

  #trouble(reason: string): void {
    this.#options.log({ event: 'fib-trouble', fields: { reason } })
  }
}

interface Portion {
  /** Places in the list of operations. */
  readonly owners: readonly number[]
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

/** IPv6 routes of several hops come and go hop by hop, and an event may carry one of them or all. */
function isPartial({ family, hops }: RouteMessage, { flags }: MessageHeader): boolean {
  if (family !== Family.IPV6_UNICAST) return false
  return hops.length > 1 || (flags & (MessageFlag.APPEND | MessageFlag.REPLACE)) !== 0
}

function hasUnknownDevice(route: KernelRoute, message: RouteMessage): boolean {
  return route.hops.some((hop) => hop.device === null) && message.hops.some((hop) => hop.device !== 0)
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
const REOPEN_MS = 50
const LOOK_MS = 1000
const EVENT_GROUPS = Group.LINK | Group.IPV4_IFADDR | Group.IPV4_ROUTE | Group.IPV6_IFADDR | Group.IPV6_ROUTE
const EPERM = 1
const ENOENT = 2
const ESRCH = 3
const EACCES = 13
const EEXIST = 17
const ENODEV = 19
/** A kernel without IPv6: EOPNOTSUPP, EAFNOSUPPORT. */
const NO_FAMILY: ReadonlySet<number> = new Set([95, 97])
