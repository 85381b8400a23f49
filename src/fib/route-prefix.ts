/**
 * How kernel routes name their prefixes (pure): IPv4 by numbers, so that hundreds of thousands of them need no text until somebody asks for it.
 */
import { Family } from '../net/family.js'
import { formatPrefixWords, ipv4PrefixKey } from '../net/prefix.js'

export interface RoutePrefix {
  /** IPv4: the address as a signed 32-bit number. IPv6: 0. */
  readonly ipv4: number
  /** IPv4: 0 to 32. IPv6: IPV6. */
  readonly ipv4Length: number
  /** Canonical text. */
  readonly prefix: string
}

/** In the place of an IPv4 length: only the text says more. */
export const IPV6 = -1

/** Of canonical text. */
export function routePrefix(prefix: string): RoutePrefix {
  const key = ipv4PrefixKey(prefix)
  return key < 0 ? { ipv4: 0, ipv4Length: IPV6, prefix } : { ipv4: addressOf(key), ipv4Length: key % 64, prefix }
}

/** Address of an `ipv4PrefixKey()`, signed. */
export function addressOf(key: number): number {
  return Math.floor(key / 64) | 0
}

export function ipv4Text(ipv4: number, length: number): string {
  return formatPrefixWords(Family.IPV4_UNICAST, ipv4 >>> 0, 0, 0, 0, length)
}
