/**
 * Edge: what the kernel tells of changes by others, as triggers for the engine. A descriptor of its own, bound to the groups of devices, addresses and routes; a filter in the
 * kernel leaves our own changes out. Events that were lost (the socket overran) are a new descriptor, and reading all again.
 */
import { Family } from '../net/family.js'
import { decodeLink, decodeNeighbourDevice } from '../netlink/link.js'
import { forEachMessage, type MessageHeader, NetlinkReader } from '../netlink/message.js'
import { AddressFamily, Group, MessageFlag, MessageType } from '../netlink/numbers.js'
import { decodeRoute, type RouteMessage } from '../netlink/route.js'
import type { FibTrigger } from './driver.js'
import { NetlinkEvents } from './netlink-events.js'
import type { LinkTable } from './netlink-links.js'
import { toKernelRoute } from './netlink-routes.js'
import { checkInherited, ignoreOwn, joinNeighbours, type NetlinkSource, openNetlink } from './netlink-socket.js'
import type { KernelRoute } from './types.js'

export interface TriggerOptions {
  readonly source: NetlinkSource
  readonly netns: string | null
  /** Whose routes are told of. */
  readonly tables: readonly number[]
  /** Ours, of routes. */
  readonly protocol: number
  /** Kept as the events tell. */
  readonly links: LinkTable
  /** Port of the descriptor that changes are written to; opens one where there is none. Throws a FibError. */
  readonly ownPort: () => number
  readonly onTrigger: (trigger: FibTrigger) => void
  /** One line for the operator. */
  readonly trouble: (reason: string) => void
  /** `poll` is for tests. */
  readonly wait?: 'handle' | 'poll'
}

export class NetlinkTriggers {
  readonly #options: TriggerOptions
  #events: NetlinkEvents | null = null
  #timer: NodeJS.Timeout | null = null
  #ownPort = 0
  #neighbours = { index: 0, changed: () => {} }
  #closed = false

  constructor(options: TriggerOptions) {
    this.#options = options
  }

  /** How events are waited for, for tests and views; null: they are not heard. */
  get wait(): 'handle' | 'poll' | null {
    return this.#events?.wait ?? null
  }

  /** Throws a FibError. */
  open(): void {
    const { source, netns, ownPort, wait } = this.#options
    this.#ownPort = ownPort()
    let fd: number
    if (source.type === 'inherited') {
      if (source.events === null) {
        this.#lookByTimer()
        return
      }
      checkInherited(source.events)
      fd = source.events
    } else {
      fd = openNetlink(source.sys, netns, this.#neighbours.index === 0 ? EVENT_GROUPS : EVENT_GROUPS | Group.NEIGH).fd
      try {
        ignoreOwn(source.sys, fd, this.#ownPort)
      } catch {
        // They are left out by their port then.
      }
    }
    const events = new NetlinkEvents(fd, {
      take: (bytes) => this.#take(bytes),
      lost: (words) => {
        if (this.#events === events) this.#events = null
        this.#openSoon(words)
      },
      ...(wait === undefined ? {} : { wait }),
    })
    this.#events = events
  }

  /** See NeighbourWatch. What groups an inherited descriptor hears is up to whoever opened it. */
  watchNeighbours(index: number, changed: () => void): boolean {
    const { source } = this.#options
    if (source.type === 'inherited') return false
    this.#neighbours = { index, changed }
    try {
      // A node has many neighbours that come and go: they are heard only where somebody asks. A descriptor that is yet to be opened has the right groups from the start.
      if (this.#events !== null) joinNeighbours(source.sys, this.#events.fd, index !== 0)
      return true
    } catch {
      return false
    }
  }

  /** Changes have another descriptor now: the filter has to know its port. */
  reopen(words: string): void {
    if (this.#events === null || this.#options.source.type === 'inherited') return
    const events = this.#events
    this.#events = null
    void events.close()
    this.#openSoon(words)
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#events?.close()
    this.#events = null
  }

  #openSoon(words: string): void {
    if (this.#closed || this.#timer !== null) return
    const { source, onTrigger, trouble } = this.#options
    if (source.type === 'inherited') {
      trouble(
        `events of the kernel were lost (${words}), and an inherited descriptor cannot be opened again: reading the tables every second; restart the daemon`,
      )
      this.#lookByTimer()
      return
    }
    trouble(`events of the kernel were lost (${words}): reading its tables again`)
    this.#timer = setTimeout(() => {
      this.#timer = null
      try {
        this.open()
      } catch (error) {
        this.#openSoon((error as Error).message)
        return
      }
      // Only now: a change between the dump and the first event would go unseen.
      onTrigger('event')
    }, REOPEN_MS)
  }

  #lookByTimer(): void {
    this.#timer = setInterval(() => this.#options.onTrigger('ours'), LOOK_MS)
  }

  /** Whatever the octets are, at worst the tables are read again. */
  #take(bytes: Uint8Array): void {
    if (this.#closed) return
    const { onTrigger } = this.#options
    const reader = new NetlinkReader(bytes)
    try {
      if (!forEachMessage(reader, bytes.length, (header) => this.#takeMessage(reader, header))) onTrigger('event')
    } catch {
      onTrigger('event')
    }
  }

  #takeMessage(reader: NetlinkReader, header: MessageHeader): void {
    const { links, onTrigger } = this.#options
    switch (header.type) {
      case MessageType.NEWROUTE:
      case MessageType.DELROUTE:
        if (header.port === 0 || header.port !== this.#ownPort) this.#takeRoute(reader, header)
        return
      case MessageType.NEWLINK:
      case MessageType.DELLINK: {
        const trigger = links.take(decodeLink(reader, header), header.type === MessageType.DELLINK)
        if (trigger !== null) onTrigger(trigger)
        return
      }
      case MessageType.NEWADDR:
        // With the first IPv4 address of a device its dead paths live again without a word.
        onTrigger(reader.u8(header.start) === AddressFamily.INET ? 'ours' : 'devices')
        return
      case MessageType.DELADDR:
        // With the last address of a device its routes go without a word.
        onTrigger('event')
        return
      case MessageType.DELNEXTHOP:
        // So do the routes through the object (`ip nexthop`), or its path out of those through its group.
        onTrigger('event')
        return
      case MessageType.NEWNEIGH:
      case MessageType.DELNEIGH:
        if (decodeNeighbourDevice(reader, header) === this.#neighbours.index) this.#neighbours.changed()
        return
      case MessageType.OVERRUN:
        onTrigger('event')
        return
      default:
    }
  }

  #takeRoute(reader: NetlinkReader, header: MessageHeader): void {
    const { tables, protocol, links, onTrigger } = this.#options
    const message = decodeRoute(reader, header)
    if (message === null || !tables.includes(message.table)) return
    const route = toKernelRoute(message, links)
    if (route === null) return
    const replaces = (header.flags & MessageFlag.REPLACE) !== 0
    if (isPartial(message, header) || hasUnknownDevice(route, message)) {
      // What had to give way may be another's.
      onTrigger(message.protocol === protocol && !replaces ? 'ours' : 'event')
      return
    }
    onTrigger({
      type: header.type === MessageType.NEWROUTE ? 'put' : 'gone',
      replaces,
      appended: (header.flags & MessageFlag.APPEND) !== 0,
      route,
    })
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

const REOPEN_MS = 50
const LOOK_MS = 1000
const EVENT_GROUPS =
  Group.LINK | Group.IPV4_IFADDR | Group.IPV4_ROUTE | Group.IPV6_IFADDR | Group.IPV6_ROUTE | Group.NEXTHOP
