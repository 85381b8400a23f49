/**
 * Only to Customer (RFC 9234 §5): a route that came from a provider, a peer or a route server's table carries the AS that it came from in attribute 35, and
 * goes to customers only from then on. Roles are ours towards the neighbour.
 */

import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import { Role } from '../bgp/capabilities/offer.js'
import { AttributeType, Flags } from '../bgp/iana.js'
import { octetsOfU32 } from '../net/address.js'
import type { AttributeSet } from './attribute-set.js'
import type { SourceOptions } from './source.js'

/** Ingress 1 and 2: the route must not have come from there. */
export function isLeak(otc: number, { role, asn }: SourceOptions): boolean {
  if (otc === 0 || role === undefined) return false
  if (role === Role.PROVIDER || role === Role.RS) return true
  return role === Role.PEER && otc >>> 0 !== asn
}

/** The OTC of a route as it is to be seen from now on, u32 as int32; ingress 3 adds the neighbour's AS where it is missing. 0: none. */
export function otcOf(set: AttributeSet, { role, asn }: SourceOptions): number {
  if (set.otc !== 0 || role === undefined) return set.otc
  return role === Role.CUSTOMER || role === Role.PEER || role === Role.RS_CLIENT ? asn | 0 : 0
}

/** Egress 2: a route with OTC does not go to providers, peers and route servers. */
export function mayLeave(otc: number, role: Role | null): boolean {
  return otc === 0 || role === null || role === Role.PROVIDER || role === Role.RS
}

/** What is sent carries OTC: that of the route, else ours towards customers, peers and route server clients (egress 1). */
export function withOtc(attributes: PathAttributes, otc: number, role: Role | null, localAsn: number): PathAttributes {
  const adds = role === Role.PROVIDER || role === Role.PEER || role === Role.RS
  const value = otc !== 0 ? otc : adds ? localAsn : 0
  if (value === 0 || attributes.others.some(({ type }) => type === AttributeType.OTC)) return attributes
  const own = { type: AttributeType.OTC, flags: Flags.OPTIONAL | Flags.TRANSITIVE, value: octetsOfU32(value >>> 0) }
  const others = [...attributes.others, own].sort((a, b) => a.type - b.type)
  return { ...attributes, others }
}
