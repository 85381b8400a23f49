/**
 * The picture of what others have in the kernel's tables: by prefix, and by longest match. Filled by a dump, kept up to date with what the kernel tells.
 */

import type { Family } from '../net/family.js'
import { maskHostBits, parsePrefix } from '../net/prefix.js'
import type { KernelRoute } from './types.js'

export class ActualTable {
  readonly #table: number
  /** By what makes them what they are. */
  readonly #foreign = new Map<string, Held>()
  readonly #foreignByPrefix = new Map<string, readonly KernelRoute[]>()
  /** How many of our table end with those characters (see `ending`): most prefixes that are asked for are none of them, and need no look-up by text. */
  readonly #endings = new Int32Array(ENDINGS)
  #foreignList: readonly KernelRoute[] | null = null
  /** Per family and prefix length: masked address → foreign routes of the tables that forward, best first. */
  readonly #match: [Map<number, Map<AddressKey, KernelRoute[]>>, Map<number, Map<AddressKey, KernelRoute[]>>] = [
    new Map(),
    new Map(),
  ]
  readonly #lengths: [number[], number[]] = [[], []]
  /** Devices with the IPv6 link-local subnet, and how many routes say so. */
  readonly #linkLocalDevices = new Map<string, number>()
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
    for (const [key, held] of this.#foreign) {
      if (++looked % SLICE === 0) await nextTurn()
      if (held.dump !== this.#dump && this.#remove(key)) gone++
    }
    return gone
  }

  /** Takes a route of a dump, or one that came. False where it is known. */
  add(route: KernelRoute): boolean {
    const key = signature(route)
    const held = this.#foreign.get(key)
    if (held !== undefined) {
      held.dump = this.#dump
      return false
    }
    this.#foreign.set(key, { route, dump: this.#dump })
    this.#foreignList = null
    this.#foreignByPrefix.set(route.prefix, [...(this.#foreignByPrefix.get(route.prefix) ?? []), route])
    if (route.table === this.#table) this.#endings[ending(route.prefix)]!++
    this.#index(route)
    return true
  }

  /** Takes out a route that went. False where it is not known. */
  remove(route: KernelRoute): boolean {
    return this.#remove(signature(route))
  }

  /** Takes out the first route that had to give way to `route`. False where there is none. */
  removeReplaced({ prefix, metric, table }: KernelRoute): boolean {
    const before = this.#foreignByPrefix.get(prefix)?.find((one) => one.table === table && one.metric === metric)
    return before !== undefined && this.#remove(signature(before))
  }

  foreign(prefix: string, metric: number): KernelRoute | undefined {
    if (this.#endings[ending(prefix)] === 0) return undefined
    return this.#foreignByPrefix.get(prefix)?.find((one) => one.metric === metric && one.table === this.#table)
  }

  /** The foreign route in our table that goes before one of that metric. */
  foreignBefore(prefix: string, metric: number): KernelRoute | undefined {
    if (this.#endings[ending(prefix)] === 0) return undefined
    return this.#foreignByPrefix.get(prefix)?.find((one) => one.metric < metric && one.table === this.#table)
  }

  foreignRoutes(): readonly KernelRoute[] {
    this.#foreignList ??= Array.from(this.#foreign.values(), ({ route }) => route)
    return this.#foreignList
  }

  /** Longest match among foreign routes. `address` is 4 or 16 octets. */
  lookup(family: Family, address: Uint8Array): { readonly route: KernelRoute; readonly length: number } | undefined {
    const masked = Uint8Array.from(address)
    for (const length of this.#lengths[family]) {
      maskHostBits(masked, length)
      const route = this.#match[family].get(length)!.get(addressKey(masked))?.[0]
      if (route !== undefined) return { route, length }
    }
    return undefined
  }

  /** True where link-local addresses can be reached through the device. */
  hasLinkLocal(device: string): boolean {
    return this.#linkLocalDevices.has(device)
  }

  #remove(key: string): boolean {
    const route = this.#foreign.get(key)?.route
    if (route === undefined) return false
    this.#foreign.delete(key)
    this.#foreignList = null
    const rest = this.#foreignByPrefix.get(route.prefix)!.filter((one) => one !== route)
    if (rest.length === 0) this.#foreignByPrefix.delete(route.prefix)
    else this.#foreignByPrefix.set(route.prefix, rest)
    if (route.table === this.#table) this.#endings[ending(route.prefix)]!--
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
    const key = addressKey(address)
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
    const key = addressKey(address)
    const rest = byAddress.get(key)!.filter((one) => one !== route)
    if (rest.length === 0) byAddress.delete(key)
    else byAddress.set(key, rest)
  }
}

interface Held {
  readonly route: KernelRoute
  /** The last dump that had it. */
  dump: number
}

/** IPv4 addresses as numbers: a string for each of hundreds of thousands of routes costs more than the rest of its place. */
type AddressKey = number | string

function addressKey(address: Uint8Array): AddressKey {
  if (address.length !== 4) return address.join('.')
  return (address[0]! << 24) | (address[1]! << 16) | (address[2]! << 8) | address[3]!
}
/** Length of the text and its last digit. */
function ending(prefix: string): number {
  const { length } = prefix
  return (((length & 31) << 4) | (prefix.charCodeAt(length - 1) & 15)) & (ENDINGS - 1)
}

const ENDINGS = 512

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

const SLICE = 5000
