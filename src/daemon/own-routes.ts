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
  #current = new Map<string, OwnRoute>()

  constructor(rib: Rib) {
    this.#rib = rib
  }

  get(prefix: string): OwnRoute | undefined {
    return this.#current.get(prefix)
  }

  /** The configuration or the kernel's routes may have changed. */
  update(config: Config, kernelRoutes: readonly KernelRoute[]): void {
    this.#configured = new Map()
    for (const rule of config.originate) {
      if (rule.kind === 'static') {
        this.#configured.set(rule.prefix.text, staticRoute(rule))
        continue
      }
      for (const prefix of matchKernelRoutes(rule, kernelRoutes, config.fib.protocol)) {
        if (!this.#configured.has(prefix.text))
          this.#configured.set(prefix.text, { prefix, blackhole: false, origin: 'kernel', attributes: EMPTY_PATH })
      }
    }
    this.#apply()
  }

  announce(rule: StaticOriginate): void {
    this.#announced.set(rule.prefix.text, { ...staticRoute(rule), origin: 'announce' })
    this.#apply()
  }

  /** False: not announced by command. */
  withdraw(prefix: string): boolean {
    const known = this.#announced.delete(prefix)
    this.#apply()
    return known
  }

  #apply(): void {
    const wanted = new Map([...this.#configured, ...this.#announced])
    for (const [text, { prefix }] of this.#current) {
      if (wanted.has(text)) continue
      const [w0, w1, w2, w3] = words(prefix.address)
      this.#rib.withdraw(
        prefix.family,
        this.#rib.local,
        this.#rib.tables[prefix.family]!.prefixes.find(w0, w1, w2, w3, prefix.length),
      )
    }
    const before = this.#current
    this.#current = wanted
    for (const { prefix, attributes, blackhole } of wanted.values()) {
      const [w0, w1, w2, w3] = words(prefix.address)
      const { prefixes, dirty } = this.#rib.tables[prefix.family]!
      const id = prefixes.intern(w0, w1, w2, w3, prefix.length)
      this.#rib.originate(prefix.family, id, this.#rib.store.internAttributes(attributes))
      // For the RIB nothing has changed where only the blackhole comes or goes; the FIB is told with the next decision.
      if ((before.get(prefix.text)?.blackhole ?? blackhole) !== blackhole) dirty.add(id)
    }
  }
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
