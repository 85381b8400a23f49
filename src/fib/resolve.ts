/**
 * How a BGP next hop is reached (pure): the longest match among the kernel's routes that are not ours, and the hop that a route through it is
 * written with.
 *
 * On-link: via the next hop itself; behind a gateway: via that gateway (RFC 4271 §9.1.2.1). With a tunnel (IPIP): via the BGP next hop, on
 * the tunnel device, onlink; the outer packet then takes the route found here (encap/mode.ts). Link-local next hops carry their device: `fe80::1%eth0`.
 */

import type { ProgramClusterRoutes } from '../config/types.js'
import { addressOrNull, isLinkLocal } from '../net/address.js'
import { Family } from '../net/family.js'
import { splitZone } from '../net/zone.js'
import type { ActualTable } from './actual.js'
import { kernelMetric } from './driver.js'
import { wrap } from './encap/mode.js'
import type { FarNode, TunnelRules } from './encap/types.js'
import { withShares } from './hops.js'
import type { DesiredRoute, KernelHop, KernelRoute, PlannedRoute } from './types.js'

export interface Resolution {
  /** Metric of the route to it, or -1. */
  readonly metric: number
  readonly hops: readonly KernelHop[]
  /** In a subnet that is directly connected to this node. */
  readonly connected: boolean
  /** Why not, in words; empty when resolved. */
  readonly reason: string
  /** Prefix length of the route to it; -1: there is none. */
  readonly length: number
}

export interface HopRules extends TunnelRules {
  readonly maxPaths: number
  readonly metric: number
  /** The metric is made from LOCAL_PREF, as Calico does (the better, the lower). */
  readonly metricFromLocalPref: boolean
  /** By Family: address that this node's own packets get, or null. */
  readonly sources: readonly [string | null, string | null]
  readonly programClusterRoutes: ProgramClusterRoutes
}

export type Resolver = (nextHop: string) => Resolution

/** The kernel's answer for a next hop, from the picture of its tables. */
export function resolveInKernel(nextHop: string, actual: ActualTable): Resolution {
  const [text, zone] = splitZone(nextHop)
  const address = addressOrNull(text)
  if (address === null) return unresolved(`next hop '${nextHop.slice(0, 60)}' is not an IP address`)
  const family = address.length === 4 ? Family.IPV4_UNICAST : Family.IPV6_UNICAST
  if (isLinkLocal(address)) return resolveLinkLocal(text, zone, actual)
  const match = actual.lookup(family, address)
  if (match === undefined) return unresolved(`no route to next hop ${text}`)
  const { route, length } = match
  if (route.kind === 'local') return unresolved(`next hop ${text} is an address of this node`, length)
  if (route.kind !== 'unicast')
    return unresolved(`the route to next hop ${text} is ${route.kind} ${route.prefix}`, length)
  const hops: KernelHop[] = []
  for (const hop of route.hops) {
    if (hop.device === null && hop.gateway === null) continue
    hops.push(hop.gateway === null ? { ...hop, gateway: text, onlink: false } : hop)
  }
  if (hops.length === 0)
    return unresolved(`the route to next hop ${text} (${route.prefix}) has no device that is up`, length)
  const connected = length > 0 && length < address.length * 8 && route.hops[0]!.gateway === null
  return { metric: route.metric, hops, connected, reason: '', length }
}

/** True where the kernel takes packets for the address as its own. */
export function isLocalAddress(text: string, actual: ActualTable): boolean {
  const address = addressOrNull(text)
  if (address === null) return false
  const family = address.length === 4 ? Family.IPV4_UNICAST : Family.IPV6_UNICAST
  return actual.lookup(family, address)?.route.kind === 'local'
}

/** Without a kernel (driver memory): every valid next hop is there, at metric 0. */
export function resolveAnywhere(nextHop: string): Resolution {
  const [text, zone] = splitZone(nextHop)
  if (addressOrNull(text) === null) return unresolved(`next hop '${nextHop.slice(0, 60)}' is not an IP address`)
  return {
    metric: 0,
    hops: [{ gateway: text, device: zone, onlink: false }],
    connected: false,
    reason: '',
    length: 128,
  }
}

/** The route to write, or the reason why there is none yet. */
export function planRoute(
  prefix: string,
  desired: DesiredRoute,
  rules: HopRules,
  resolve: Resolver,
): PlannedRoute | string {
  const { family, kind } = desired
  const metric = kernelMetric(family, metricOf(desired, rules))
  if (kind === 'blackhole') return { family, kind, hops: [], metric }
  let hops: KernelHop[] = []
  const far: FarNode[] = []
  const reasons: string[] = []
  const isAlone = desired.nextHops.length === 1
  for (const nextHop of isAlone ? desired.nextHops : desired.nextHops.slice(0, rules.maxPaths)) {
    const resolution = resolve(nextHop)
    if (resolution.reason !== '') {
      reasons.push(resolution.reason)
      continue
    }
    if (family === Family.IPV6_UNICAST && !nextHop.includes(':')) {
      reasons.push(`IPv4 next hop ${nextHop} for an IPv6 prefix`)
      continue
    }
    const wrapped =
      rules.encapsulation === 'never'
        ? null
        : wrap({ family, prefix }, nextHop, resolution, desired.vteps?.get(nextHop), rules, resolve)
    if (typeof wrapped === 'string') {
      reasons.push(wrapped)
      continue
    }
    if (wrapped === null && isAlone && resolution.hops.length === 1) {
      // Shared by all routes through it, which are most.
      hops = resolution.hops as KernelHop[]
      break
    }
    if (wrapped !== null) far.push(...wrapped.far)
    for (const hop of wrapped === null ? resolution.hops : [wrapped.hop]) {
      const known = hops.some((other) => other.gateway === hop.gateway && other.device === hop.device)
      if (!known && hops.length < rules.maxPaths) hops.push(hop)
    }
  }
  const source = rules.sources[family]
  hops = withShares(hops)
  if (hops.length > 0 && source === null && far.length === 0) return { family, kind, hops, metric }
  if (hops.length > 0)
    return {
      family,
      kind,
      hops,
      metric,
      ...(source === null ? {} : { source }),
      ...(far.length > 0 ? { far } : {}),
    }
  return reasons.length > 0 ? reasons.join('; ') : 'the route has no next hop'
}

/** `fib.metric: localPref`: 2147483647 less LOCAL_PREF, never 0, which is no metric for IPv6. */
function metricOf({ localPref }: DesiredRoute, rules: HopRules): number {
  if (!rules.metricFromLocalPref || localPref === undefined) return rules.metric
  return Math.max(1, MAX_METRIC - localPref)
}

function resolveLinkLocal(text: string, zone: string | null, actual: ActualTable): Resolution {
  if (zone === null) return unresolved(`link-local next hop ${text} without its device (${text}%eth0)`)
  if (!actual.hasLinkLocal(zone))
    return unresolved(`device ${zone} of next hop ${text} is absent, down, or has no IPv6`)
  return { metric: 0, hops: [{ gateway: text, device: zone, onlink: false }], connected: true, reason: '', length: 128 }
}

export function formatHops(route: Pick<KernelRoute, 'kind' | 'hops'>): string {
  if (route.hops.length === 0) return route.kind
  return route.hops
    .map((hop) => [hop.gateway === null ? '' : `via ${hop.gateway}`, hop.device === null ? '' : `dev ${hop.device}`])
    .map((parts) => parts.filter((part) => part !== '').join(' '))
    .join(', ')
}

const MAX_METRIC = 0x7fff_ffff

function unresolved(reason: string, length = -1): Resolution {
  return { metric: -1, hops: [], connected: false, reason, length }
}
