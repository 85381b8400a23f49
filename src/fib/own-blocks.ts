/**
 * `originate: fromKernel` (pure): which of the kernel's routes are announced as our own, such as the blocks that Calico's Felix or another
 * CNI plugin has put there. Routes with our own protocol number are never taken: they are what we learned or wrote ourselves.
 */
import type { KernelOriginate, PrefixText } from '../config/types.js'
import { parsePrefix, prefixContains } from '../net/prefix.js'
import type { KernelRoute } from './types.js'

/** Distinct prefixes in the order of the routes. */
export function matchKernelRoutes(
  rule: KernelOriginate,
  routes: readonly KernelRoute[],
  ourProtocol: number,
): PrefixText[] {
  const patterns = rule.interfaces.map(patternToRegExp)
  const found = new Map<string, PrefixText>()
  for (const route of routes) {
    if (!FORWARDING.has(route.kind) || route.protocol === ourProtocol || found.has(route.prefix)) continue
    if (rule.protocols.length > 0 && !rule.protocols.includes(route.protocol)) continue
    if (patterns.length > 0 && !hasDevice(route, patterns)) continue
    const prefix = parsePrefix(route.prefix)
    if (rule.within.length > 0 && !rule.within.some((outer) => prefixContains(outer, prefix))) continue
    found.set(route.prefix, prefix)
  }
  return [...found.values()]
}

/** Shell pattern: `*` any characters, `?` one. */
function patternToRegExp(pattern: string): RegExp {
  const text = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${text}$`)
}

function hasDevice(route: KernelRoute, patterns: readonly RegExp[]): boolean {
  return route.hops.some((hop) => hop.device !== null && patterns.some((pattern) => pattern.test(hop.device!)))
}

/** Blocks are often blackhole or unreachable routes with more specific ones inside. */
const FORWARDING: ReadonlySet<KernelRoute['kind']> = new Set(['unicast', 'blackhole', 'unreachable'] as const)
