/**
 * The picture of the kernel's tables: our routes by prefix, foreign routes by prefix and by longest match. Filled by a dump, kept up to date
 * with the operations that succeeded and with what the kernel tells of others.
 */

import type { Family } from '../net/family.js'
import { maskHostBits, parsePrefix } from '../net/prefix.js'
import type { FibChange, FibOperation } from './driver.js'
import { type ActualRoutes, isSameRoute } from './plan.js'
import type { KernelRoute, PlannedRoute } from './types.js'

export class ActualTable implements ActualRoutes {
  readonly #table: number
  readonly #protocol: number
  #ours = new Map<string, readonly OurRoute[]>()
  /** By what makes them what they are. */
  readonly #foreign = new Map<string, KernelRoute>()
  readonly #foreignByPrefix = new Map<string, readonly KernelRoute[]>()
  #foreignList: readonly KernelRoute[] | null = null
  /** Per family and prefix length: masked address → foreign routes of the tables that forward, best first. */
  readonly #match: [Map<number, Map<string, KernelRoute[]>>, Map<number, Map<string, KernelRoute[]>>] = [
    new Map(),
    new Map(),
  ]
  readonly #lengths: [number[], number[]] = [[], []]
  /** Devices with the IPv6 link-local subnet, and how many routes say so. */
  readonly #linkLocalDevices = new Map<string, number>()

  constructor(table: number, protocol: number) {
    this.#table = table
    this.#protocol = protocol
  }

  /** Takes one route of a dump. */
  add(route: KernelRoute): void {
    if (route.protocol !== this.#protocol) this.#addForeign(route)
    // Routes of ours in another table (an earlier configuration) are nobody's next hop and not ours to clean up.
    else if (route.table === this.#table) this.#addOurs(route)
  }

  /** Takes a dump of our routes in place of those known. */
  replaceOurs(routes: readonly KernelRoute[]): void {
    this.#ours = new Map()
    for (const route of routes) this.#addOurs(route)
  }

  /** Takes what the kernel tells; says whether our routes or foreign ones are others now. */
  change({ type, replaces, route }: FibChange): { readonly ours: boolean; readonly foreign: boolean } {
    const isOurs = route.protocol === this.#protocol
    if (isOurs && route.table !== this.#table) return { ours: false, foreign: false }
    if (type === 'gone') {
      return isOurs
        ? { ours: this.#removeOurs(route), foreign: false }
        : { ours: false, foreign: this.#removeForeign(signature(route)) }
    }
    let ours = isOurs
    let foreign = !isOurs
    if (replaces) {
      // One of the same prefix and metric had to give way.
      if (route.table === this.#table && this.#removeMetric(route.prefix, route.metric)) ours = true
      else {
        const before = this.#foreignByPrefix
          .get(route.prefix)
          ?.find((one) => one.table === route.table && one.metric === route.metric)
        if (before !== undefined) foreign = this.#removeForeign(signature(before)) || foreign
      }
    }
    if (!isOurs) this.#addForeign(route)
    else if (!this.ours(route.prefix).some((one) => isSameRoute(one, route))) this.#addOurs(route)
    return { ours, foreign }
  }

  ours(prefix: string): readonly OurRoute[] {
    return this.#ours.get(prefix) ?? NONE
  }

  ourPrefixes(): Iterable<string> {
    return this.#ours.keys()
  }

  foreign(prefix: string, metric: number): KernelRoute | undefined {
    return this.#foreignByPrefix.get(prefix)?.find((one) => one.metric === metric && one.table === this.#table)
  }

  /** The foreign route in our table that goes before one of that metric. */
  foreignBefore(prefix: string, metric: number): KernelRoute | undefined {
    return this.#foreignByPrefix.get(prefix)?.find((one) => one.metric < metric && one.table === this.#table)
  }

  foreignRoutes(): readonly KernelRoute[] {
    this.#foreignList ??= [...this.#foreign.values()]
    return this.#foreignList
  }

  /** True where both tables hold the same foreign routes. */
  sameForeign(other: ActualTable): boolean {
    if (this.#foreign.size !== other.#foreign.size) return false
    for (const one of this.#foreign.keys()) if (!other.#foreign.has(one)) return false
    return true
  }

  /** Longest match among foreign routes. `address` is 4 or 16 octets. */
  lookup(family: Family, address: Uint8Array): { readonly route: KernelRoute; readonly length: number } | undefined {
    const masked = Uint8Array.from(address)
    for (const length of this.#lengths[family]) {
      maskHostBits(masked, length)
      const route = this.#match[family].get(length)!.get(masked.join('.'))?.[0]
      if (route !== undefined) return { route, length }
    }
    return undefined
  }

  /** True where link-local addresses can be reached through the device. */
  hasLinkLocal(device: string): boolean {
    return this.#linkLocalDevices.has(device)
  }

  /** An operation succeeded: what is there now. */
  applied({ type, route }: FibOperation): void {
    const known = this.#ours.get(route.prefix)
    // Nearly always there is one route of a prefix.
    if (known === undefined || (known.length === 1 && known[0]!.metric === route.metric)) {
      if (type !== 'delete') this.#ours.set(route.prefix, [route])
      else if (known !== undefined) this.#ours.delete(route.prefix)
      return
    }
    this.#removeMetric(route.prefix, route.metric)
    if (type !== 'delete') this.#addOurs(route)
  }

  #addOurs(route: OurRoute): void {
    const known = this.#ours.get(route.prefix)
    this.#ours.set(route.prefix, known === undefined ? [route] : [...known, route])
  }

  #removeMetric(prefix: string, metric: number): boolean {
    return this.#keepOurs(prefix, (one) => one.metric !== metric)
  }

  #removeOurs(route: KernelRoute): boolean {
    return this.#keepOurs(route.prefix, (one) => !isSameRoute(one, route))
  }

  #keepOurs(prefix: string, keep: (route: OurRoute) => boolean): boolean {
    const known = this.ours(prefix)
    const rest = known.filter(keep)
    if (rest.length === 0) this.#ours.delete(prefix)
    else this.#ours.set(prefix, rest)
    return rest.length < known.length
  }

  #addForeign(route: KernelRoute): void {
    const key = signature(route)
    if (this.#foreign.has(key)) return
    this.#foreign.set(key, route)
    this.#foreignList = null
    this.#foreignByPrefix.set(route.prefix, [...(this.#foreignByPrefix.get(route.prefix) ?? []), route])
    this.#index(route)
  }

  #removeForeign(key: string): boolean {
    const route = this.#foreign.get(key)
    if (route === undefined) return false
    this.#foreign.delete(key)
    this.#foreignList = null
    const rest = this.#foreignByPrefix.get(route.prefix)!.filter((one) => one !== route)
    if (rest.length === 0) this.#foreignByPrefix.delete(route.prefix)
    else this.#foreignByPrefix.set(route.prefix, rest)
    this.#unindex(route)
    return true
  }

  #index(route: KernelRoute): void {
    if (!isMatched(route)) return
    for (const device of linkLocalDevices(route))
      this.#linkLocalDevices.set(device, (this.#linkLocalDevices.get(device) ?? 0) + 1)
    const { address, length } = parsePrefix(route.prefix)
    let byAddress = this.#match[route.family].get(length)
    if (byAddress === undefined) {
      byAddress = new Map()
      this.#match[route.family].set(length, byAddress)
      this.#lengths[route.family].push(length)
      this.#lengths[route.family].sort((a, b) => b - a)
    }
    const key = address.join('.')
    const known = byAddress.get(key)
    if (known === undefined) byAddress.set(key, [route])
    else {
      known.push(route)
      // The kernel asks the local table first.
      known.sort((a, b) => rank(a) - rank(b))
    }
  }

  #unindex(route: KernelRoute): void {
    if (!isMatched(route)) return
    for (const device of linkLocalDevices(route)) {
      const count = this.#linkLocalDevices.get(device)! - 1
      if (count === 0) this.#linkLocalDevices.delete(device)
      else this.#linkLocalDevices.set(device, count)
    }
    const { address, length } = parsePrefix(route.prefix)
    const byAddress = this.#match[route.family].get(length)!
    const key = address.join('.')
    const rest = byAddress.get(key)!.filter((one) => one !== route)
    if (rest.length === 0) byAddress.delete(key)
    else byAddress.set(key, rest)
  }
}

/** As it was read, or as we wrote it: then protocol and table are ours. */
export type OurRoute = KernelRoute | PlannedRoute

function isMatched(route: KernelRoute): boolean {
  return route.kind !== 'broadcast' && route.kind !== 'other'
}

function linkLocalDevices(route: KernelRoute): readonly string[] {
  if (route.prefix !== 'fe80::/64' || route.kind !== 'unicast') return []
  return route.hops.flatMap((hop) => hop.device ?? [])
}

function rank(route: KernelRoute): number {
  return route.kind === 'local' ? -1 : route.metric
}

function signature(route: KernelRoute): string {
  const hops = route.hops.map((hop) => `${hop.gateway}%${hop.device}${hop.onlink ? '!' : ''}`).join(',')
  return `${route.table} ${route.prefix} ${route.metric} ${route.protocol} ${route.kind} ${hops}`
}

const NONE: readonly OurRoute[] = Object.freeze([])
