/**
 * Winners and their multipath sets to the FIB: those that `fib.accept` lets in, and blackholes for own blocks. Prefixes that never were in the FIB cost a look
 * at one octet.
 */
import { decodeVxlanTunnel, type VxlanTunnel } from '../bgp/attributes/tunnel-encapsulation.js'
import { AttributeType } from '../bgp/iana.js'
import type { FibConfig, PrefixText } from '../config/types.js'
import { tunnelKinds } from '../fib/encap/mode.js'
import type { DesiredRoute, Fib } from '../fib/types.js'
import { FAMILIES, Family } from '../net/family.js'
import { formatPrefixWords } from '../net/prefix.js'
import type { PrefixTable } from '../rib/prefix-table.js'
import type { Rib } from '../rib/rib.js'
import { type OwnRoutes, words } from './own-routes.js'

interface Accepted {
  readonly family: Family
  readonly words: readonly [number, number, number, number]
  readonly length: number
}

export class FibFeed {
  readonly #rib: Rib
  readonly #fib: Fib
  readonly #own: OwnRoutes
  #accept: readonly Accepted[] = []
  #maxPaths = 1
  #vxlan = false
  #stopped = false
  /** By next hop (and LOCAL_PREF): what is wanted of all prefixes that have it alone. */
  readonly #shared: [Map<string, DesiredRoute>, Map<string, DesiredRoute>] = [new Map(), new Map()]
  #localPref = false
  /** By family and prefix id: 1 where the FIB has been given a route. */
  readonly #given: Uint8Array[] = [new Uint8Array(0), new Uint8Array(0)]

  /** `fib` was made with the RIB's IPv4 prefixes. */
  constructor(rib: Rib, fib: Fib, own: OwnRoutes) {
    this.#rib = rib
    this.#fib = fib
    this.#own = own
  }

  configure(config: FibConfig): void {
    this.#accept = config.accept.map((prefix: PrefixText) => ({
      family: prefix.family,
      words: words(prefix.address),
      length: prefix.length,
    }))
    this.#maxPaths = config.maxPaths
    this.#vxlan = tunnelKinds(config.encapsulation).has('vxlan')
    this.#localPref = config.metricFromLocalPref
  }

  /** The daemon stops: that its sessions go is nothing for the kernel. */
  stop(): void {
    this.#stopped = true
  }

  change(family: Family, ids: Int32Array, count: number): void {
    if (this.#fib.driver === 'off' || this.#stopped) return
    const { prefixes, paths } = this.#rib.tables[family]!
    let given = this.#given[family]!
    if (given.length < prefixes.capacity) {
      const grown = new Uint8Array(prefixes.capacity)
      grown.set(given)
      this.#given[family] = grown
      given = grown
    }
    for (let i = 0; i < count; i++) {
      const prefix = ids[i]!
      const best = paths.best[prefix]!
      const desired = best === 0 ? null : this.#desired(family, prefixes, prefix, best)
      if (desired !== null) {
        given[prefix] = 1
        this.#set(family, prefixes, prefix, desired)
      } else if (given[prefix] === 1) {
        given[prefix] = 0
        this.#set(family, prefixes, prefix, null)
      }
    }
  }

  #set(family: Family, prefixes: PrefixTable, prefix: number, desired: DesiredRoute | null): void {
    if (family === Family.IPV4_UNICAST) this.#fib.setId(prefix, desired)
    else this.#fib.set(prefixText(family, prefixes, prefix), desired)
  }

  /** The winner is of a kind that goes to the FIB, and `fib.accept` covers it; for `explain`. */
  accepts(family: Family, prefix: number): boolean {
    return this.#covered(family, this.#rib.tables[family]!.prefixes, prefix)
  }

  #desired(family: Family, prefixes: PrefixTable, prefix: number, best: number): DesiredRoute | null {
    const { paths, decision } = this.#rib.tables[family]!
    if (paths.source[best] === 0) {
      const text = prefixText(family, prefixes, prefix)
      return this.#own.get(text)?.blackhole === true ? BLACKHOLES[family]! : null
    }
    if (!this.#covered(family, prefixes, prefix)) return null
    const { store, nextHops } = this.#rib
    if ((this.#maxPaths === 1 || decision.isAlone(prefix, best)) && !(this.#vxlan && family === 0)) {
      const { nextHopId, localPref } = store.get(paths.effective[best]!)
      return this.#alone(family, nextHops.text(nextHopId), this.#localPref ? localPref >>> 0 : null)
    }
    return this.#ofSeveral(family, prefix, best)
  }

  /** With all paths that are as good, and what the far ends say of their tunnels. */
  #ofSeveral(family: Family, prefix: number, best: number): DesiredRoute {
    const { store, nextHops } = this.#rib
    const { paths, decision } = this.#rib.tables[family]!
    const chosen = decision.multipath(prefix, best, this.#maxPaths)
    const textOf = (path: number): string => nextHops.text(store.get(paths.effective[path]!).nextHopId)
    const localPref = this.#localPref ? store.get(paths.effective[best]!).localPref >>> 0 : null
    const vteps = this.#vxlan && family === 0 ? this.#vteps(chosen) : null
    if (chosen.length === 1 && vteps === null) return this.#alone(family, textOf(best), localPref)
    return {
      ...desiredRoute(family, chosen.length === 1 ? [textOf(best)] : [...new Set(chosen.map(textOf))], localPref),
      ...(vteps === null ? {} : { vteps }),
    }
  }

  #alone(family: Family, nextHop: string, localPref: number | null): DesiredRoute {
    const shared = this.#shared[family]!
    const key = localPref === null ? nextHop : `${nextHop} ${localPref}`
    let route = shared.get(key)
    if (route === undefined) {
      if (shared.size >= MAX_SHARED) shared.clear()
      route = desiredRoute(family, [nextHop], localPref)
      shared.set(key, route)
    }
    return route
  }

  /** What the far ends say of their tunnels, by next hop. Where it is not to be taken, the effective set is without it (RFC 9012 §11). */
  #vteps(members: readonly number[]): ReadonlyMap<string, VxlanTunnel> | null {
    const { store, nextHops } = this.#rib
    const { paths } = this.#rib.tables[0]!
    const vteps = new Map<string, VxlanTunnel>()
    for (const path of members) {
      const set = store.get(paths.effective[path]!)
      if ((set.present & TUNNEL_BIT) === 0) continue
      const said = store.attributes(set).others.find(({ type }) => type === AttributeType.TUNNEL_ENCAPSULATION)
      const tunnel = said === undefined ? null : decodeVxlanTunnel(said.value)
      const nextHop = nextHops.text(set.nextHopId)
      if (tunnel !== null && !vteps.has(nextHop)) vteps.set(nextHop, tunnel)
    }
    return vteps.size === 0 ? null : vteps
  }

  #covered(family: Family, prefixes: PrefixTable, prefix: number): boolean {
    const length = prefixes.lengthOf(prefix)
    for (const accepted of this.#accept) {
      if (accepted.family !== family || accepted.length > length) continue
      if (startsWith(prefixes, prefix, accepted.words, accepted.length)) return true
    }
    return false
  }
}

/** The first bits of the prefix are those of the address. */
export function startsWith(prefixes: PrefixTable, prefix: number, address: readonly number[], bits: number): boolean {
  let left = bits
  for (let at = 0; left > 0; at++, left -= 32) {
    const word = at === 0 ? prefixes.word0(prefix) : prefixes.word(prefix, at as 1 | 2 | 3)
    const mask = left >= 32 ? -1 : -1 << (32 - left)
    if (((word ^ address[at]!) & mask) !== 0) return false
  }
  return true
}

export function prefixText(family: Family, prefixes: PrefixTable, prefix: number): string {
  return formatPrefixWords(
    family,
    prefixes.word0(prefix),
    prefixes.word(prefix, 1),
    prefixes.word(prefix, 2),
    prefixes.word(prefix, 3),
    prefixes.lengthOf(prefix),
  )
}

function desiredRoute(family: Family, nextHops: readonly string[], localPref: number | null): DesiredRoute {
  return localPref === null ? { family, kind: 'unicast', nextHops } : { family, kind: 'unicast', nextHops, localPref }
}

const BLACKHOLES: readonly DesiredRoute[] = FAMILIES.map(({ family }) => ({ family, kind: 'blackhole', nextHops: [] }))
const MAX_SHARED = 10_000
const TUNNEL_BIT = 1 << AttributeType.TUNNEL_ENCAPSULATION
