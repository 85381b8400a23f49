/**
 * The routes of this speaker: those of `originate` (static, and read from the kernel), and those of `nodebgp announce`. The union is kept equal to the paths of
 * the local source.
 */

import { NO_ATTRIBUTES } from '../bgp/attributes/decode.js'
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import type { Config, PrefixText, StaticOriginate } from '../config/types.js'
import { matchKernelRoutes } from '../fib/own-blocks.js'
import type { KernelRoute } from '../fib/types.js'
import { parseAddress } from '../net/address.js'
import { communityLists } from '../rib/policy-communities.js'
import type { Rib } from '../rib/rib.js'

export interface OwnRoute {
  readonly prefix: PrefixText
  readonly blackhole: boolean
  readonly origin: 'originate' | 'kernel' | 'announce'
  readonly attributes: PathAttributes
}

export class OwnRoutes {
  readonly #rib: Rib
  readonly #announced = new Map<string, OwnRoute>()
  #configured = new Map<string, OwnRoute>()
  readonly #current = new Map<string, OwnRoute>()
  readonly #ofRules = new WeakMap<StaticOriginate, OwnRoute>()

  constructor(rib: Rib) {
    this.#rib = rib
  }

  get(prefix: string): OwnRoute | undefined {
    return this.#current.get(prefix)
  }

  /** The configuration or the kernel's routes may have changed. */
  update(config: Config, kernelRoutes: readonly KernelRoute[]): void {
    const before = this.#configured
    this.#configured = new Map()
    for (const rule of config.originate) {
      if (rule.kind === 'static') {
        this.#configured.set(rule.prefix.text, this.#ofRule(rule))
        continue
      }
      for (const prefix of matchKernelRoutes(rule, kernelRoutes, config.fib.protocol)) {
        if (this.#configured.has(prefix.text)) continue
        const known = before.get(prefix.text)
        this.#configured.set(prefix.text, known?.origin === 'kernel' ? known : kernelRoute(prefix))
      }
    }
    for (const text of [...this.#current.keys()]) this.#settle(text)
    for (const text of this.#configured.keys()) this.#settle(text)
  }

  announce(rule: StaticOriginate): void {
    this.#announced.set(rule.prefix.text, { ...staticRoute(rule), origin: 'announce' })
    this.#settle(rule.prefix.text)
  }

  /** False: not announced by command. */
  withdraw(prefix: string): boolean {
    const known = this.#announced.delete(prefix)
    this.#settle(prefix)
    return known
  }

  /** Rules live as long as their configuration; the routes made from them stay the same objects. */
  #ofRule(rule: StaticOriginate): OwnRoute {
    let route = this.#ofRules.get(rule)
    if (route === undefined) {
      route = staticRoute(rule)
      this.#ofRules.set(rule, route)
    }
    return route
  }

  /** Makes the RIB say of one prefix what is wanted. */
  #settle(text: string): void {
    const before = this.#current.get(text)
    const wanted = this.#announced.get(text) ?? this.#configured.get(text)
    if (wanted === before) return
    const { family, address, length } = (wanted ?? before)!.prefix
    const [w0, w1, w2, w3] = words(address)
    const { prefixes, dirty } = this.#rib.tables[family]!
    if (wanted === undefined) {
      this.#current.delete(text)
      this.#rib.withdraw(family, this.#rib.local, prefixes.find(w0, w1, w2, w3, length))
      return
    }
    this.#current.set(text, wanted)
    const id = prefixes.intern(w0, w1, w2, w3, length)
    this.#rib.originate(family, id, this.#rib.store.internAttributes(wanted.attributes))
    // For the RIB nothing has changed where only the blackhole comes or goes; the FIB is told with the next decision.
    if (before !== undefined && before.blackhole !== wanted.blackhole) dirty.add(id)
  }
}

function kernelRoute(prefix: PrefixText): OwnRoute {
  return { prefix, blackhole: false, origin: 'kernel', attributes: EMPTY_PATH }
}

function staticRoute(rule: StaticOriginate): OwnRoute {
  const { standard, large } = communityLists(rule.communities)
  const attributes: PathAttributes = {
    ...EMPTY_PATH,
    nextHop: rule.nextHop === null ? null : parseAddress(rule.nextHop),
    med: rule.med ?? -1,
    localPref: rule.localPref ?? -1,
    communities: standard.length === 0 ? null : standard,
    largeCommunities: large.length === 0 ? null : large,
  }
  return { prefix: rule.prefix, blackhole: rule.blackhole, origin: 'originate', attributes }
}

/** An address as big-endian words; 0 beyond its end. */
export function words(address: Uint8Array): [number, number, number, number] {
  const word = (at: number): number =>
    at + 4 > address.length
      ? 0
      : ((address[at]! << 24) | (address[at + 1]! << 16) | (address[at + 2]! << 8) | address[at + 3]!) >>> 0
  return [word(0), word(4), word(8), word(12)]
}

const EMPTY_PATH: PathAttributes = { ...NO_ATTRIBUTES, origin: 0, asPath: new Uint8Array(0) }
