/**
 * Next hops that are reached through learned routes (pure; RFC 4271 §9.1.2.1): where a route of ours is a longer match for a next hop than any foreign one, its
 * hops are taken, as they would be written.
 *
 * Loop guard: a route is never resolved through itself, nor two through each other. What would lead back is passed over, and the next shorter match is asked, so
 * that the answer does not depend on which route came first; where none is left, the next hop is unresolved.
 */
import { addressOrNull } from '../net/address.js'
import { Family } from '../net/family.js'
import { formatPrefix, maskHostBits } from '../net/prefix.js'
import { type HopRules, planRoute, type Resolution } from './resolve.js'
import { IPV6, type RoutePrefix } from './route-prefix.js'
import type { DesiredRoute } from './types.js'

/** How the routes of others answer for a next hop. */
export type ForeignResolver = (nextHop: string) => Resolution

/** The wanted routes, as far as next hops need them. */
export class LearnedRoutes {
  readonly #find: (prefix: string) => DesiredRoute | undefined
  /** By family and prefix length: how many routes are wanted. */
  readonly #counts = [new Uint32Array(33), new Uint32Array(129)] as const
  /** The next hops that were asked for, by what a prefix around them begins with: one octet or group, and three. */
  readonly #asked = new Set<string | number>()
  #resolutions = 0

  constructor(find: (prefix: string) => DesiredRoute | undefined) {
    this.#find = find
  }

  /** A route came (+1), went (-1) or changed (0). True: it may be on the way to a next hop that was asked for (quick, and true too often). */
  change(to: RoutePrefix, by: number): boolean {
    const { ipv4, ipv4Length } = to
    if (ipv4Length === IPV6) return this.#changeIpv6(to.prefix, by)
    this.#counts[0][ipv4Length]! += by
    if (this.#asked.size === 0) return false
    if (this.#asked.size > MAX_ASKED || ipv4Length < 8) return true
    if (!this.#asked.has(ipv4 >>> 24)) return false
    return ipv4Length < 24 || this.#asked.has(threeOctets(ipv4))
  }

  #changeIpv6(prefix: string, by: number): boolean {
    const length = lengthOf(prefix)
    this.#counts[1][length]! += by
    if (this.#asked.size === 0) return false
    if (this.#asked.size > MAX_ASKED || length < 16) return true
    if (!this.#asked.has(firstGroup(prefix))) return false
    return length < 48 || this.#asked.has(threeGroups(prefix))
  }

  /** Nobody asks any more; asked anew, the next hops are remembered again. */
  forget(): void {
    this.#asked.clear()
  }

  resolve(nextHop: string, rules: HopRules, foreign: ForeignResolver): Resolution {
    this.#resolutions = 0
    return this.#resolve(nextHop, rules, foreign, [])
  }

  #resolve(nextHop: string, rules: HopRules, foreign: ForeignResolver, through: readonly string[]): Resolution {
    const direct = foreign(nextHop)
    const address = addressOrNull(nextHop)
    if (address === null || through.length >= MAX_DEPTH) return direct
    this.#ask(nextHop, address)
    const family = address.length === 4 ? Family.IPV4_UNICAST : Family.IPV6_UNICAST
    const counts = this.#counts[family]
    let passedOver = ''
    for (let length = address.length * 8; length > direct.length; length--) {
      if (counts[length] === 0) continue
      maskHostBits(address, length)
      const prefix = formatPrefix(family, address, length)
      const route = this.#find(prefix)
      if (route === undefined) continue
      if (route.kind === 'blackhole') return unreachable(`the route to next hop ${nextHop} is our blackhole ${prefix}`)
      if (through.includes(prefix) || route.nextHops.includes(nextHop) || ++this.#resolutions > MAX_RESOLUTIONS) {
        passedOver = prefix
        continue
      }
      const planned = planRoute(prefix, route, rules, (further) =>
        this.#resolve(further, rules, foreign, [...through, prefix]),
      )
      if (typeof planned !== 'string') return { metric: 0, hops: planned.hops, connected: false, reason: '', length }
      passedOver = prefix
    }
    if (direct.reason === '' || passedOver === '') return direct
    return unreachable(`next hop ${nextHop} lies in ${passedOver}, which leads back to itself or is not resolved`)
  }

  #ask(nextHop: string, address: Uint8Array): void {
    if (this.#asked.size > MAX_ASKED) return
    const isIpv4 = address.length === 4
    this.#asked.add(isIpv4 ? address[0]! : firstGroup(nextHop))
    this.#asked.add(
      isIpv4 ? threeOctets((address[0]! << 24) | (address[1]! << 16) | (address[2]! << 8)) : threeGroups(nextHop),
    )
  }
}

function unreachable(reason: string): Resolution {
  return { metric: -1, hops: [], connected: false, reason, length: -1 }
}

/** Of canonical text, without a text of its own: every route of a table comes by here. */
function lengthOf(prefix: string): number {
  let length = 0
  let unit = 1
  for (let at = prefix.length - 1; ; at--, unit *= 10) {
    const digit = prefix.charCodeAt(at) - ZERO
    if (digit < 0 || digit > 9) return length
    length += digit * unit
  }
}

function firstGroup(text: string): string {
  return text.slice(0, text.indexOf(':'))
}

/** Of an IPv4 address; no number of one octet. */
function threeOctets(ipv4: number): number {
  return (ipv4 >>> 8) + 256
}

function threeGroups(text: string): string {
  const slash = text.indexOf('/')
  const address = addressOrNull(slash < 0 ? text : text.slice(0, slash))
  return address === null ? '' : Buffer.from(address.subarray(0, 6)).toString('hex')
}

const MAX_DEPTH = 8
/** More are not told apart: every route may then be on the way. */
const MAX_ASKED = 50_000
/** Of one next hop; more only in tables that are made to be costly. */
const MAX_RESOLUTIONS = 256
const ZERO = 48
