/**
 * The routes of this speaker: those of `originate` (static, and read from the kernel), and those of `nodebgp announce`. The union is kept equal to the paths of
 * the local source.
 *
 * Whoever writes a route into the kernel may take it out and put it back (a Pod that is replaced, a plugin without a replace of its own). What the kernel does not
 * have any more is therefore announced for a moment longer, so that the network does not hear of it twice.
 */

import { NO_ATTRIBUTES } from '../bgp/attributes/decode.js'
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import { encodeVxlanTunnel } from '../bgp/attributes/tunnel-encapsulation.js'
import { AttributeType, Flags } from '../bgp/iana.js'
import type { Config, Encapsulation, PrefixText, StaticOriginate } from '../config/types.js'
import { modeOf } from '../fib/encap/mode.js'
import type { OwnVtep } from '../fib/encap/types.js'
import { findKernelBlocks, type KernelBlock } from '../fib/own-blocks.js'
import type { KernelRoute } from '../fib/types.js'
import { parseAddress, wordAt } from '../net/address.js'
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
  readonly #leaving = new Map<string, Leaving>()
  #timer: NodeJS.Timeout | null = null
  #vtep: OwnVtep | null = null
  #vtepKey = ''
  #wraps: (prefix: PrefixText) => boolean = () => false
  #blocks: ReadonlyMap<string, KernelBlock> = new Map()
  readonly #left: () => void
  readonly #holdMs: number

  /** `left` is called when routes have gone by themselves. `holdMs`: how long one that the kernel lost is still announced. */
  constructor(rib: Rib, left: () => void = () => {}, holdMs = HOLD_MS) {
    this.#rib = rib
    this.#left = left
    this.#holdMs = holdMs
  }

  /** All that is announced, by prefix. */
  get all(): ReadonlyMap<string, OwnRoute> {
    return this.#current
  }

  /** What the kernel's routes give. */
  get kernelBlocks(): ReadonlyMap<string, KernelBlock> {
    return this.#blocks
  }

  get(prefix: string): OwnRoute | undefined {
    return this.#current.get(prefix)
  }

  /** The configuration changed: what it does not have any more goes at once. */
  configure(config: Config, kernelRoutes: readonly KernelRoute[]): void {
    this.#leaving.clear()
    this.#update(config, kernelRoutes, false)
  }

  /** The kernel's routes may have changed. */
  kernelChanged(config: Config, kernelRoutes: readonly KernelRoute[]): void {
    this.#update(config, kernelRoutes, true)
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#leaving.clear()
  }

  #update(config: Config, kernelRoutes: readonly KernelRoute[], hold: boolean): void {
    const before = this.#configured
    this.#configured = new Map()
    for (const rule of config.originate)
      if (rule.kind === 'static') this.#configured.set(rule.prefix.text, this.#ofRule(rule))
    this.#blocks = findKernelBlocks(config.originate, kernelRoutes, config.fib.protocol)
    for (const [text, { prefix, blackhole }] of this.#blocks) {
      if (this.#configured.has(text)) continue
      const known = before.get(text)
      const same = known?.origin === 'kernel' && known.blackhole === blackhole
      this.#configured.set(text, same ? known : kernelRoute(prefix, blackhole))
    }
    if (hold) this.#hold(before)
    for (const text of [...this.#current.keys()]) this.#settle(text)
    for (const text of this.#configured.keys()) this.#settle(text)
  }

  /** What has just gone from the kernel stays for a moment. */
  #hold(before: ReadonlyMap<string, OwnRoute>): void {
    const dueMs = performance.now() + this.#holdMs
    for (const [text, route] of before) {
      if (route.origin !== 'kernel' || this.#configured.has(text)) continue
      const leaving = this.#leaving.get(text)
      if (leaving === undefined) this.#leaving.set(text, { route, dueMs })
      this.#configured.set(text, route)
    }
    for (const text of this.#blocks.keys()) this.#leaving.delete(text)
    this.#expire()
  }

  /** Drops what has been gone for long enough, and waits for the next. */
  #expire(): void {
    const nowMs = performance.now()
    let next = Number.POSITIVE_INFINITY
    for (const [text, { dueMs }] of this.#leaving) {
      if (dueMs > nowMs) next = Math.min(next, dueMs)
      else {
        this.#leaving.delete(text)
        this.#configured.delete(text)
      }
    }
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (next === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => {
      const texts = [...this.#leaving.keys()]
      this.#expire()
      // A timer may come a moment too early: then it waits once more.
      if (this.#leaving.size === texts.length) return
      for (const text of texts) this.#settle(text)
      this.#left()
    }, next - nowMs)
  }

  /**
   * Our end of the VXLAN tunnels, which the routes to prefixes that travel through them carry (RFC 9012). Announced again where it changed.
   */
  setVtep(vtep: OwnVtep | null, encapsulation: Encapsulation): void {
    const key = JSON.stringify([vtep, encapsulation])
    if (key === this.#vtepKey) return
    this.#vtepKey = key
    this.#vtep = vtep
    this.#wraps = (prefix) => modeOf(encapsulation, prefix.family, prefix.text).startsWith('vxlan')
    const texts = [...this.#current.keys()]
    this.#current.clear()
    for (const text of texts) this.#settle(text)
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
    const attributes = withTunnel(wanted, this.#vtep, this.#wraps)
    this.#rib.originate(family, id, this.#rib.store.internAttributes(attributes))
    // For the RIB nothing has changed where only the blackhole comes or goes; the FIB is told with the next decision.
    if (before !== undefined && before.blackhole !== wanted.blackhole) dirty.add(id)
  }
}

interface Leaving {
  readonly route: OwnRoute
  readonly dueMs: number
}

function kernelRoute(prefix: PrefixText, blackhole: boolean): OwnRoute {
  return { prefix, blackhole, origin: 'kernel', attributes: EMPTY_PATH }
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

/** The VTEP's address is left out where the rule gives it: the base address of the prefix. */
function withTunnel(
  { prefix, attributes }: OwnRoute,
  vtep: OwnVtep | null,
  wraps: (prefix: PrefixText) => boolean,
): PathAttributes {
  if (vtep === null || !wraps(prefix)) return attributes
  const address = vtep.address === prefix.text.split('/')[0] ? null : vtep.address
  const value = encodeVxlanTunnel({ ...vtep, address })
  const tunnel = { type: AttributeType.TUNNEL_ENCAPSULATION, flags: Flags.OPTIONAL | Flags.TRANSITIVE, value }
  return { ...attributes, others: [...attributes.others, tunnel].sort((a, b) => a.type - b.type) }
}

/** An address as big-endian words; 0 beyond its end. */
export function words(address: Uint8Array): [number, number, number, number] {
  const word = (at: number): number => (at + 4 > address.length ? 0 : wordAt(address, at))
  return [word(0), word(4), word(8), word(12)]
}

const EMPTY_PATH: PathAttributes = { ...NO_ATTRIBUTES, origin: 0, asPath: new Uint8Array(0) }
/** Beside the debounce of the kernel's events (75 ms) and a dump: gone for good is withdrawn in well under a second. */
const HOLD_MS = 250
