/**
 * Between the FIB's routes and those of rtnetlink (pure): device names and indexes, text and octets. Every value is checked before it is written.
 */
import { parseAddress } from '../net/address.js'
import { parsePrefix } from '../net/prefix.js'
import type { NetlinkWriter } from '../netlink/message.js'
import { HopFlag, RouteType } from '../netlink/numbers.js'
import { encodeRoute, type HopFields, type RouteFields, type RouteMessage, repeatRoute } from '../netlink/route.js'
import type { FibOperation } from './driver.js'
import { withShares } from './hops.js'
import { IPV6 } from './route-prefix.js'
import { FibError, type KernelHop, type KernelRoute } from './types.js'

export interface NetlinkTarget {
  readonly table: number
  readonly protocol: number
}

/** The devices of the kernel, both ways. */
export interface Devices {
  /** 0: there is none of that name. */
  indexOf(name: string): number
  nameOf(index: number): string | null
}

/**
 * Throws a FibError for a value that must not be written. The next hops of many routes are few: their octets are kept. Where one IPv4 route differs from
 * the one before in its prefix only, that one's request is written again with another prefix: 0.2 µs instead of 1.5.
 */
export class RouteTranslator {
  readonly #target: NetlinkTarget
  readonly #devices: Devices
  readonly #addresses = new Map<string, Uint8Array>()
  /** What the request at `#modelAt` was made of. */
  #model: FibOperation | null = null
  #modelAt = 0
  #modelOctets = 0

  constructor(target: NetlinkTarget, devices: Devices) {
    this.#target = target
    this.#devices = devices
  }

  /** Before the first request of a writer that was cleared. */
  begin(): void {
    this.#model = null
  }

  /** Writes the request for an operation, without asking for an acknowledgement. Where it throws, nothing was written. */
  encode(operation: FibOperation, sequence: number, writer: NetlinkWriter): void {
    const { ipv4, ipv4Length } = operation.to
    if (ipv4Length !== IPV6 && this.#model !== null && isAlike(operation, this.#model)) {
      repeatRoute(this.#modelAt, this.#modelOctets, ipv4, ipv4Length, sequence, writer)
      return
    }
    const fields = this.fields(operation)
    const at = writer.length
    encodeRoute(fields, operation.type, sequence, writer, false)
    if (ipv4Length === IPV6) return
    this.#model = operation
    this.#modelAt = at
    this.#modelOctets = writer.length - at
  }

  fields({ type, to, route, protocol = this.#target.protocol }: FibOperation): RouteFields {
    const { table } = this.#target
    const { address, length } = wordsOf(() => parsePrefix(to.prefix))
    if (!Number.isInteger(route.metric) || route.metric < 0 || route.metric > U32)
      throw new FibError(`metric ${route.metric} is not a whole number from 0 to ${U32}`)
    const isUnicast = route.kind === 'unicast'
    if (type !== 'delete' && isUnicast && route.hops.length === 0) throw new FibError(`${to.prefix} has no next hop`)
    return {
      address,
      length,
      type: isUnicast ? RouteType.UNICAST : RouteType.BLACKHOLE,
      protocol,
      table,
      metric: route.metric,
      source: type === 'delete' || route.source === undefined ? null : this.#octets(route.source),
      hops: type === 'delete' || !isUnicast ? NO_HOPS : route.hops.map((hop) => this.#hop(hop)),
    }
  }

  #hop({ gateway, device, onlink, weight }: KernelHop): HopFields {
    if (device === null) throw new FibError(`next hop ${gateway} has no device`)
    const index = this.#devices.indexOf(device)
    if (index === 0) throw new NoDeviceError(device)
    const fields = { gateway: gateway === null ? null : this.#octets(gateway), device: index, onlink }
    return weight === undefined ? fields : { ...fields, weight: checkedWeight(weight) }
  }

  #octets(text: string): Uint8Array {
    let octets = this.#addresses.get(text)
    if (octets === undefined) {
      if (this.#addresses.size >= MAX_ADDRESSES) this.#addresses.clear()
      octets = wordsOf(() => parseAddress(text))
      this.#addresses.set(text, octets)
    }
    return octets
  }
}

/** The same in everything but the prefix; next hops are shared by the routes that have them. */
function isAlike(a: FibOperation, b: FibOperation): boolean {
  const { route } = a
  const { route: other } = b
  if (a.type !== b.type || a.protocol !== b.protocol) return false
  if (route === other) return true
  if (route.metric !== other.metric) return false
  return (
    a.type === 'delete' || (route.kind === other.kind && route.hops === other.hops && route.source === other.source)
  )
}

/** A device that the kernel did not have when its devices were read last. */
export class NoDeviceError extends FibError {
  constructor(device: string) {
    super(`there is no device '${device.slice(0, 40)}'`)
  }
}

/** Null where it is not a route that matters here: one for a type of service, which nothing of ours has, and no route for a next hop. */
export function toKernelRoute(message: RouteMessage, devices: Devices): KernelRoute | null {
  if (message.tos !== 0) return null
  const kind = KINDS[message.type] ?? 'other'
  const { family, prefix, protocol, metric, table } = message
  const hops: KernelHop[] = []
  // The kernel shows IPv6 ones with a device (lo).
  if (!HOPLESS.has(kind)) {
    for (const hop of message.hops) {
      if ((hop.flags & HopFlag.DEAD) !== 0) continue
      const device = hop.device === 0 ? null : devices.nameOf(hop.device)
      const one = { gateway: hop.gateway, device, onlink: (hop.flags & HopFlag.ONLINK) !== 0 }
      hops.push(hop.weight === 1 ? one : { ...one, weight: hop.weight })
    }
  }
  const route: KernelRoute = { family, prefix, kind, protocol, metric, table, hops: withShares(hops) }
  return message.source === null ? route : { ...route, source: message.source }
}

/** One octet in the message, counted from 1. */
function checkedWeight(weight: number): number {
  if (Number.isInteger(weight) && weight >= 1 && weight <= 256) return weight
  throw new FibError(`weight ${weight} of a next hop is not a whole number from 1 to 256`)
}

function wordsOf<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new FibError((error as Error).message)
  }
}

const NO_HOPS: readonly HopFields[] = Object.freeze([])
const U32 = 0xffffffff
const MAX_ADDRESSES = 10_000
const KINDS: Readonly<Record<number, KernelRoute['kind']>> = Object.freeze({
  [RouteType.UNICAST]: 'unicast',
  [RouteType.LOCAL]: 'local',
  [RouteType.BROADCAST]: 'broadcast',
  [RouteType.BLACKHOLE]: 'blackhole',
  [RouteType.UNREACHABLE]: 'unreachable',
  [RouteType.PROHIBIT]: 'prohibit',
})
const HOPLESS: ReadonlySet<KernelRoute['kind']> = new Set(['blackhole', 'unreachable', 'prohibit'] as const)
