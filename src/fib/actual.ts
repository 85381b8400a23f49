/**
 * The picture of the kernel's tables: our routes by prefix, foreign routes by prefix and by longest match. Filled by a dump, kept up to date
 * with the operations that succeeded.
 */

import type { Family } from '../net/family.js'
import { maskHostBits, parsePrefix } from '../net/prefix.js'
import type { FibOperation } from './driver.js'
import type { ActualRoutes } from './plan.js'
import type { KernelRoute } from './types.js'

export class ActualTable implements ActualRoutes {
  readonly #table: number
  readonly #protocol: number
  readonly #ours = new Map<string, readonly KernelRoute[]>()
  readonly #foreignByPrefix = new Map<string, KernelRoute[]>()
  /** Per family and prefix length: masked address → best foreign route (lowest metric) of the tables that forward. */
  readonly #match: [Map<number, Map<string, KernelRoute>>, Map<number, Map<string, KernelRoute>>] = [
    new Map(),
    new Map(),
  ]
  readonly #lengths: [number[], number[]] = [[], []]
  readonly #foreign: KernelRoute[] = []
  readonly #signatures = new Set<string>()
  /** Devices with the IPv6 link-local subnet. */
  readonly #linkLocalDevices = new Set<string>()

  constructor(table: number, protocol: number) {
    this.#table = table
    this.#protocol = protocol
  }

  /** Takes one route of a dump. */
  add(route: KernelRoute): void {
    if (route.protocol === this.#protocol) {
      // Routes of ours in another table (an earlier configuration) are nobody's next hop and not ours to clean up.
      if (route.table === this.#table) this.#ours.set(route.prefix, [...this.ours(route.prefix), route])
      return
    }
    this.#foreign.push(route)
    this.#signatures.add(signature(route))
    if (route.table === this.#table) {
      const known = this.#foreignByPrefix.get(route.prefix)
      if (known === undefined) this.#foreignByPrefix.set(route.prefix, [route])
      else known.push(route)
    }
    this.#index(route)
  }

  ours(prefix: string): readonly KernelRoute[] {
    return this.#ours.get(prefix) ?? NONE
  }

  ourPrefixes(): Iterable<string> {
    return this.#ours.keys()
  }

  foreign(prefix: string, metric: number): KernelRoute | undefined {
    return this.#foreignByPrefix.get(prefix)?.find((route) => route.metric === metric)
  }

  /** The foreign route in our table that goes before one of that metric. */
  foreignBefore(prefix: string, metric: number): KernelRoute | undefined {
    return this.#foreignByPrefix.get(prefix)?.find((route) => route.metric < metric)
  }

  foreignRoutes(): readonly KernelRoute[] {
    return this.#foreign
  }

  /** True where both tables hold the same foreign routes. */
  sameForeign(other: ActualTable): boolean {
    if (this.#signatures.size !== other.#signatures.size) return false
    for (const one of this.#signatures) if (!other.#signatures.has(one)) return false
    return true
  }

  /** Longest match among foreign routes. `address` is 4 or 16 octets. */
  lookup(family: Family, address: Uint8Array): { readonly route: KernelRoute; readonly length: number } | undefined {
    const masked = Uint8Array.from(address)
    for (const length of this.#lengths[family]) {
      maskHostBits(masked, length)
      const route = this.#match[family].get(length)!.get(masked.join('.'))
      if (route !== undefined) return { route, length }
    }
    return undefined
  }

  /** True where link-local addresses can be reached through the device. */
  hasLinkLocal(device: string): boolean {
    return this.#linkLocalDevices.has(device)
  }

  /** An operation succeeded: what is there now. */
  applied(operation: FibOperation): void {
    const { route } = operation
    const rest = this.ours(route.prefix).filter((known) => known.metric !== route.metric)
    if (operation.type !== 'delete') rest.push({ ...route, protocol: this.#protocol, table: this.#table })
    if (rest.length === 0) this.#ours.delete(route.prefix)
    else this.#ours.set(route.prefix, rest)
  }

  #index(route: KernelRoute): void {
    if (route.kind === 'broadcast' || route.kind === 'other') return
    if (route.prefix === 'fe80::/64' && route.kind === 'unicast') {
      for (const hop of route.hops) if (hop.device !== null) this.#linkLocalDevices.add(hop.device)
    }
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
    // The kernel asks the local table first.
    if (known === undefined || rank(route) < rank(known)) byAddress.set(key, route)
  }
}

function rank(route: KernelRoute): number {
  return route.kind === 'local' ? -1 : route.metric
}

function signature(route: KernelRoute): string {
  const hops = route.hops.map((hop) => `${hop.gateway}%${hop.device}${hop.onlink ? '!' : ''}`).join(',')
  return `${route.table} ${route.prefix} ${route.metric} ${route.protocol} ${route.kind} ${hops}`
}

const NONE: readonly KernelRoute[] = Object.freeze([])
