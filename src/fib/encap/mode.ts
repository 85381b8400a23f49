/**
 * Which tunnel a route takes (pure): the mode of its prefix, and the hop that a route with that mode is written with.
 *
 * IPIP: via the BGP next hop on the tunnel device, onlink. VXLAN: via the far VTEP's address on the VXLAN device, onlink; the neighbour and FDB entries
 * lead from there to the node. UDP: straight to the TUN device, behind which our own table leads to the node. IPv4 only.
 */
import type { Encapsulation, EncapsulationMode } from '../../config/types.js'
import { parseAddress } from '../../net/address.js'
import { Family } from '../../net/family.js'
import { addressInPrefix, parsePrefix, prefixContains } from '../../net/prefix.js'
import type { Resolution, Resolver } from '../resolve.js'
import type { KernelHop } from '../types.js'
import { ruleAddress, ruleMac } from './rule.js'
import type { FarNode, TunnelRules, Vtep } from './types.js'

export interface Wrapped {
  readonly hop: KernelHop
  readonly far: readonly FarNode[]
}

/** The longest range that holds the prefix decides; outside of all, and for IPv6: never. */
export function modeOf(encapsulation: Encapsulation, family: Family, prefix: string): EncapsulationMode {
  if (family !== Family.IPV4_UNICAST) return 'never'
  if (typeof encapsulation === 'string') return encapsulation
  const inner = parsePrefix(prefix)
  let mode: EncapsulationMode = 'never'
  let longest = -1
  for (const rule of encapsulation) {
    if (rule.within.length <= longest || !prefixContains(rule.within, inner)) continue
    longest = rule.within.length
    mode = rule.mode
  }
  return mode
}

/** The kinds of tunnels that may be needed. */
export function tunnelKinds(encapsulation: Encapsulation): ReadonlySet<'ipip' | 'vxlan' | 'udp'> {
  const modes = typeof encapsulation === 'string' ? [encapsulation] : encapsulation.map(({ mode }) => mode)
  const kinds = modes.filter((mode) => mode !== 'never').map((mode) => mode.split('-')[0] as 'ipip' | 'vxlan' | 'udp')
  return new Set(kinds)
}

/** Null: written plain. A text: why the route cannot be written. */
export function wrap(
  route: { readonly family: Family; readonly prefix: string },
  nextHop: string,
  resolution: Resolution,
  vtep: Vtep | undefined,
  rules: TunnelRules,
  resolve: Resolver,
): Wrapped | string | null {
  const mode = modeOf(rules.encapsulation, route.family, route.prefix)
  if (mode === 'never' || nextHop.includes(':')) return null
  const kind = mode.split('-')[0] as 'ipip' | 'vxlan' | 'udp'
  const endpoint = kind === 'vxlan' ? (vtep?.endpoint ?? nextHop) : nextHop
  const outer = endpoint === nextHop ? resolution : resolve(endpoint)
  if (outer.reason !== '') return `tunnel endpoint ${endpoint}: ${outer.reason}`
  if (mode.endsWith('-cross-subnet') && outer.connected) return null
  const own = [rules.tunnelDevice, rules.vxlan.device, rules.udp.device]
  // The outer packet must not go into a tunnel again.
  const inside = outer.hops.find((hop) => hop.device !== null && own.includes(hop.device))
  if (inside !== undefined) return `the route to next hop ${endpoint} leads into the tunnel ${inside.device} itself`
  // Nor into the route itself: it would be the longest match for its own endpoint.
  const prefix = parsePrefix(route.prefix)
  if (outer.length < prefix.length && addressInPrefix(parseAddress(endpoint), prefix))
    return `next hop ${endpoint} lies in ${route.prefix} itself: its packets would go into the tunnel again`
  switch (kind) {
    case 'ipip':
      return { hop: { gateway: nextHop, device: rules.tunnelDevice, onlink: true }, far: [] }
    case 'udp': {
      const far: FarNode = { kind: 'udp', prefix: route.prefix, endpoint }
      return { hop: { gateway: null, device: rules.udp.device, onlink: false }, far: [far] }
    }
    default: {
      const address = vtep?.address ?? ruleAddress(route.prefix)
      const differs = (said: number | null | undefined, ours: number): number | null =>
        said === undefined || said === null || said === ours ? null : said
      const far: FarNode = {
        kind: 'vxlan',
        address,
        mac: vtep?.mac ?? ruleMac(endpoint),
        endpoint,
        vni: differs(vtep?.vni, rules.vxlan.vni),
        port: differs(vtep?.port, rules.vxlan.port),
      }
      return { hop: { gateway: address, device: rules.vxlan.device, onlink: true }, far: [far] }
    }
  }
}
