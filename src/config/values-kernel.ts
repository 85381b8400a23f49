/**
 * Values of the configuration that the kernel's routes have: protocol, table, metric. As in values.ts, a ValueError says what is expected.
 */
import { integer, u32, ValueError } from './values.js'

/** A metric of kernel routes, or `localPref`. */
export function routeMetric(value: unknown): number | 'localPref' {
  if (value === 'localPref') return value
  try {
    return u32(value)
  } catch {
    throw new ValueError('a whole number from 0 to 4294967295, or localPref')
  }
}

/** A routing protocol number of the kernel, or its name in /etc/iproute2/rt_protos. */
export function routeProtocol(value: unknown): number {
  if (typeof value === 'string' && Object.hasOwn(ROUTE_PROTOCOLS, value)) return ROUTE_PROTOCOLS[value]!
  try {
    return integer(1, 255)(value)
  } catch {
    throw new ValueError(`a number from 1 to 255 or one of ${Object.keys(ROUTE_PROTOCOLS).join(', ')}`)
  }
}

/** The protocol number of our own routes; those of others are refused, because their owners remove what carries them. */
export function ownProtocol(value: unknown): number {
  const number = integer(1, 255, 'a protocol number')(value)
  const owner = TAKEN_PROTOCOLS[number]
  if (owner !== undefined)
    throw new ValueError(
      `a protocol number that nobody else cleans up (${number} belongs to ${owner}); 179 is the default`,
    )
  return number
}

/** A protocol whose routes are taken over; not those that give the machine its own network, which a sweep would cut off. */
export function takenProtocol(value: unknown): number {
  const number = routeProtocol(value)
  if (number > 4 && number !== 9 && number !== 16) return number
  throw new ValueError(
    `a protocol whose routes a daemon like BIRD writes, such as bird (12): ${number} is among those of the machine itself (kernel, boot, static, ra, dhcp)`,
  )
}

export function routeTable(value: unknown): number {
  if (value === 'main') return 254
  if (value === 'default') return 253
  const number = integer(1, 0xffff_ffff, 'main, default, or a table number')(value)
  if (number === 255) throw new ValueError("a table other than 255 (local), which is the kernel's own")
  return number
}

const ROUTE_PROTOCOLS: Readonly<Record<string, number>> = {
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  gated: 8,
  ra: 9,
  mrt: 10,
  zebra: 11,
  bird: 12,
  dnrouted: 13,
  xorp: 14,
  ntk: 15,
  dhcp: 16,
  mrouted: 17,
  keepalived: 18,
  babel: 42,
  openr: 99,
  bgp: 186,
  isis: 187,
  ospf: 188,
  rip: 189,
  eigrp: 192,
}
const TAKEN_PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'the kernel',
  2: 'the kernel',
  3: 'ip route (boot)',
  4: 'ip route (static)',
  12: 'BIRD',
  17: 'kube-router and GoBGP (zebra)',
  80: 'Felix',
}
