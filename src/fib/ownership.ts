/**
 * Which routes are ours to write (pure). Calico's `programClusterRoutes`: on a node where Felix runs, it writes the routes of some IP pools and the BGP daemon
 * those of the others; both must be set so that each pool has one of them. VXLAN is Felix's unless all are ours.
 */
import type { ProgramClusterRoutes } from '../config/types.js'
import type { Family } from '../net/family.js'
import { parsePrefix, prefixContains } from '../net/prefix.js'
import { modeOf } from './encap/mode.js'
import type { HopRules } from './resolve.js'
import type { RoutePrefix } from './route-prefix.js'
import type { DesiredRoute, KernelRoute } from './types.js'

/** Why the route is not ours to write; empty when it is. Blackholes of own blocks, and what lies in no range of `fib.encapsulation`, are always ours. */
export function leftToFelix(to: RoutePrefix, route: DesiredRoute, rules: HopRules): string {
  const value = rules.programClusterRoutes
  if (value === 'Enabled' || route.kind === 'blackhole') return ''
  const through = classOf(to.prefix, route.family, rules)
  if (through === null || CLASSES[value].includes(through)) return ''
  return `left to Felix (fib.programClusterRoutes: ${value}): ${WORDS[through]}`
}

type RouteClass = 'plain' | 'ipip' | 'other'

/**
 * By what is configured for the range, not by the way the route takes: a route in the same subnet belongs to its pool too. Null: outside of all ranges, where there
 * are any.
 */
function classOf(prefix: string, family: Family, { encapsulation }: HopRules): RouteClass | null {
  if (
    typeof encapsulation !== 'string' &&
    !encapsulation.some(({ within }) => prefixContains(within, parsePrefix(prefix)))
  )
    return null
  const mode = modeOf(encapsulation, family, prefix)
  if (mode === 'never') return 'plain'
  return mode.startsWith('ipip') ? 'ipip' : 'other'
}

/** True where a route found at the start becomes ours by `fib.takeOver`. */
export function isTakeable(route: KernelRoute, protocols: readonly number[], table: number): boolean {
  return protocols.includes(route.protocol) && route.table === table && TAKEABLE.has(route.kind)
}

const CLASSES: Readonly<Record<ProgramClusterRoutes, readonly RouteClass[]>> = {
  Disabled: [],
  EnabledIPIPOnly: ['ipip'],
  EnabledNoEncapOnly: ['plain'],
  Enabled: ['plain', 'ipip', 'other'],
}
const WORDS: Readonly<Record<RouteClass, string>> = {
  plain: 'a route without encapsulation',
  ipip: 'a route of an IPIP range',
  other: 'a route of a VXLAN or UDP range',
}
const TAKEABLE: ReadonlySet<KernelRoute['kind']> = new Set(['unicast', 'blackhole', 'unreachable', 'prohibit'] as const)
