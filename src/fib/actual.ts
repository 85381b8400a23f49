/**
 * The picture of what others have in the kernel's tables: by prefix, and by longest match. Filled by a dump, kept up to date with what the kernel tells.
 *
 * There may be hundreds of thousands (a full table of a routing daemon beside us): one index serves both, and next hops that many routes share are kept once. That is 180 octets
 * a route, text of the prefix included; with an index by content, one by prefix and one for the match it was 780, and twice the time.
 */

import { Family } from '../net/family.js'
import { formatPrefix, maskHostBits } from '../net/prefix.js'
import { isSameHop } from './plan.js'
import { IPV6, type RoutePrefix, routePrefix } from './route-prefix.js'
import type { KernelHop, KernelRoute } from './types.js'

export class ActualTable {
  readonly #table: number
  /** By prefix length and address: the foreign routes of the prefix, the local table's first (the kernel asks it first), then by metric. */
  readonly #ipv4: Map<number, Found>[] = []
  readonly #ipv6: Map<string, Found>[] = []
  #foreignList: readonly KernelRoute[] | null = null
  /** Devices with the IPv6 link-local subnet, and how many routes say so. */
  readonly #linkLocalDevices = new Map<string, number>()
  readonly #hops = new Map<string, readonly KernelHop[]>()
  /** Number of the dump that is taken, or was taken last. */
  #dump = 0

  /** `table` is the one that we write to. */
  constructor(table: number) {
    this.#table = table
  }

  /** All foreign routes are about to be given to `add` again; `endDump` takes out those that were not. Without it (the dump failed) they stay. */
  beginDump(): void {
    this.#dump++
  }

  /** The number of routes that are gone. Gives the event loop a turn now and then: there may be hundreds of thousands. */
  async endDump(nextTurn: () => Promise<void>): Promise<number> {
    let looked = 0
    let gone = 0
    for (const found of this.#all()) {
      if (++looked % SLICE === 0) await nextTurn()
      for (const held of listOf(found)) {
        if (held.isOf(this.#dump)) continue
        this.#remove(held)
        gone++
      }
    }
    return gone
  }

  /** Takes a route of a dump. Of those with one prefix and metric the kernel gives the one that counts first. False where it is known. */
  add(route: KernelRoute): boolean {
    const to = routePrefix(route.prefix)
    const found = this.#find(to)
    if (found === undefined) {
      this.#come(to, route, [], [])
      return true
    }
    const known = listOf(found)
    const held = known.find((one) => isSame(one, route))
    if (held === undefined) this.#come(to, route, known, [])
    else {
      held.found(this.#dump)
      if (known.length > 1) this.#put(to, [...known.filter((one) => one !== held), held].sort(byRank))
    }
    return held === undefined
  }

  /** Takes a route that came, before or behind those of its prefix and metric. False where it is known. */
  put(route: KernelRoute, appended: boolean): boolean {
    const to = routePrefix(route.prefix)
    const found = this.#find(to)
    const known = found === undefined ? NONE : listOf(found)
    if (known.some((one) => isSame(one, route))) return false
    this.#come(to, route, appended ? known : [], appended ? [] : known)
    return true
  }

  #come(to: RoutePrefix, route: KernelRoute, before: readonly Held[], behind: readonly Held[]): void {
    const held = new Held(route, this.#shared(route.hops), this.#dump)
    this.#foreignList = null
    this.#put(to, before.length + behind.length === 0 ? held : [...before, held, ...behind].sort(byRank))
    for (const device of linkLocalDevices(route))
      this.#linkLocalDevices.set(device, (this.#linkLocalDevices.get(device) ?? 0) + 1)
  }

  /** Takes out a route that went. False where it is not known. */
  remove(route: KernelRoute): boolean {
    const held = this.#of(route.prefix).find((one) => isSame(one, route))
    if (held !== undefined) this.#remove(held)
    return held !== undefined
  }

  /** Takes out the first route that had to give way to `route`. False where there is none. */
  removeReplaced({ prefix, metric, table }: KernelRoute): boolean {
    const before = this.#of(prefix).find((one) => one.table === table && one.metric === metric)
    if (before !== undefined) this.#remove(before)
    return before !== undefined
  }

  foreign(to: RoutePrefix, metric: number): KernelRoute | undefined {
    const found = this.#find(to)
    if (found === undefined) return undefined
    return listOf(found).find((one) => one.metric === metric && one.table === this.#table)
  }

  /** The foreign route in our table that goes before one of that metric. */
  foreignBefore(to: RoutePrefix, metric: number): KernelRoute | undefined {
    const found = this.#find(to)
    if (found === undefined) return undefined
    return listOf(found).find((one) => one.metric < metric && one.table === this.#table)
  }

  foreignRoutes(): readonly KernelRoute[] {
    if (this.#foreignList === null) {
      const list: KernelRoute[] = []
      for (const found of this.#all()) list.push(...listOf(found))
      this.#foreignList = list
    }
    return this.#foreignList
  }

  /** Longest match among foreign routes. `address` is 4 or 16 octets. */
  lookup(family: Family, address: Uint8Array): { readonly route: KernelRoute; readonly length: number } | undefined {
    const masked = Uint8Array.from(address)
    const isIpv4 = family === Family.IPV4_UNICAST
    for (let length = (isIpv4 ? this.#ipv4 : this.#ipv6).length - 1; length >= 0; length--) {
      const byAddress = isIpv4 ? this.#ipv4[length] : this.#ipv6[length]
      if (byAddress === undefined || byAddress.size === 0) continue
      maskHostBits(masked, length)
      const found = isIpv4
        ? this.#ipv4[length]!.get(wordOf(masked))
        : this.#ipv6[length]!.get(formatPrefix(family, masked, length))
      const route = found === undefined ? undefined : listOf(found).find(isMatched)
      if (route !== undefined) return { route, length }
    }
    return undefined
  }

  /** True where link-local addresses can be reached through the device. */
  hasLinkLocal(device: string): boolean {
    return this.#linkLocalDevices.has(device)
  }

  *#all(): IterableIterator<Found> {
    for (const byAddress of this.#ipv4) if (byAddress !== undefined) yield* byAddress.values()
    for (const byAddress of this.#ipv6) if (byAddress !== undefined) yield* byAddress.values()
  }

  #of(prefix: string): readonly Held[] {
    const found = this.#find(routePrefix(prefix))
    return found === undefined ? NONE : listOf(found)
  }

  #find(to: RoutePrefix): Found | undefined {
    const { ipv4, ipv4Length } = to
    if (ipv4Length === IPV6) return this.#ipv6[lengthOf(to.prefix)]?.get(to.prefix)
    return this.#ipv4[ipv4Length]?.get(ipv4)
  }

  #put(to: RoutePrefix, found: Found): void {
    if (to.ipv4Length === IPV6) at(this.#ipv6, lengthOf(to.prefix)).set(to.prefix, found)
    else at(this.#ipv4, to.ipv4Length).set(to.ipv4, found)
  }

  #remove(held: Held): void {
    const { prefix } = held
    this.#foreignList = null
    const rest = this.#of(prefix).filter((one) => one !== held)
    const to = routePrefix(prefix)
    if (rest.length > 0) this.#put(to, rest)
    else if (to.ipv4Length === IPV6) this.#ipv6[lengthOf(prefix)]!.delete(prefix)
    else this.#ipv4[to.ipv4Length]!.delete(to.ipv4)
    for (const device of linkLocalDevices(held)) {
      const count = this.#linkLocalDevices.get(device)! - 1
      if (count === 0) this.#linkLocalDevices.delete(device)
      else this.#linkLocalDevices.set(device, count)
    }
  }

  /** Most routes have the next hops of many others. */
  #shared(hops: readonly KernelHop[]): readonly KernelHop[] {
    const key = hops.map((hop) => `${hop.gateway}%${hop.device}${hop.onlink ? '!' : ''}*${hop.weight}`).join(',')
    const known = this.#hops.get(key)
    if (known !== undefined) return known
    if (this.#hops.size >= MAX_HOPS) this.#hops.clear()
    this.#hops.set(key, hops)
    return hops
  }
}

/** A route, and the last dump that had it. */
class Held implements KernelRoute {
  readonly family: Family
  readonly prefix: string
  readonly kind: KernelRoute['kind']
  readonly protocol: number
  readonly metric: number
  readonly table: number
  readonly hops: readonly KernelHop[]
  readonly source: string | undefined
  #dump: number

  constructor(route: KernelRoute, hops: readonly KernelHop[], dump: number) {
    this.family = route.family
    this.prefix = route.prefix
    this.kind = route.kind
    this.protocol = route.protocol
    this.metric = route.metric
    this.table = route.table
    this.hops = hops
    this.source = route.source
    this.#dump = dump
  }

  found(dump: number): void {
    this.#dump = dump
  }

  isOf(dump: number): boolean {
    return this.#dump === dump
  }
}

/** Nearly always there is one of a prefix. */
type Found = Held | readonly Held[]

function listOf(found: Found): readonly Held[] {
  return found instanceof Held ? [found] : found
}

/** IPv4 address as a number: a string for each of hundreds of thousands of routes costs more than the rest of its place. */
function wordOf(address: Uint8Array): number {
  return (address[0]! << 24) | (address[1]! << 16) | (address[2]! << 8) | address[3]!
}

function lengthOf(prefix: string): number {
  return Number(prefix.slice(prefix.indexOf('/') + 1))
}

function at<K>(byLength: Map<K, Found>[], length: number): Map<K, Found> {
  byLength[length] ??= new Map()
  return byLength[length]
}

function isMatched(route: KernelRoute): boolean {
  return route.kind !== 'broadcast' && route.kind !== 'other'
}

function linkLocalDevices(route: KernelRoute): readonly string[] {
  if (route.prefix !== 'fe80::/64' || route.kind !== 'unicast') return []
  return route.hops.flatMap((hop) => hop.device ?? [])
}

function byRank(a: KernelRoute, b: KernelRoute): number {
  return rank(a) - rank(b)
}

function rank(route: KernelRoute): number {
  return route.kind === 'local' ? -1 : route.metric
}

/** The hops in the same order; the prefix is the caller's. */
function isSame(a: KernelRoute, b: KernelRoute): boolean {
  if (a.table !== b.table || a.metric !== b.metric || a.protocol !== b.protocol || a.kind !== b.kind) return false
  return a.hops.length === b.hops.length && a.hops.every((hop, index) => isSameHop(hop, b.hops[index]!))
}

const NONE: readonly Held[] = []
const SLICE = 5000
const MAX_HOPS = 1000
