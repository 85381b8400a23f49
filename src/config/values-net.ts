/**
 * Values of the configuration that name something of the network: addresses, prefixes, interfaces. As in values.ts, a ValueError says what is expected.
 */
import { addressOrNull, formatAddress, isLinkLocal } from '../net/address.js'
import { parsePrefix } from '../net/prefix.js'
import { splitZone } from '../net/zone.js'
import { isMartianNextHop } from '../rib/next-hop.js'
import type { HostPort, PrefixText } from './types.js'
import { integer, port, ValueError } from './values.js'

/** Canonical text. */
export function address(value: unknown): string {
  return formatAddress(addressOctets(value))
}

export function addressOctets(value: unknown): Uint8Array {
  const octets = typeof value === 'string' ? addressOrNull(value) : null
  if (octets === null) throw new ValueError('an IP address, such as 192.0.2.1 or 2001:db8::1')
  return octets
}

/** Where packets can be sent to: what peers would refuse as a next hop never leaves the file. */
export function nextHop(value: unknown): string {
  const octets = addressOctets(value)
  if (isMartianNextHop(octets))
    throw new ValueError('the address of a next hop, not an unspecified, loopback, multicast or reserved one')
  return formatAddress(octets)
}

/** The address of a neighbour: unicast, and with a zone where it is link-local (`fe80::1%eth0`). */
export function neighborAddress(value: unknown): string {
  if (typeof value !== 'string') throw new ValueError('an IP address, such as 192.0.2.1 or fe80::1%eth0')
  const [plain, zone] = splitZone(value)
  const octets = addressOctets(plain)
  const linkLocal = isLinkLocal(octets)
  if (linkLocal && (zone === null || !INTERFACE.test(zone))) {
    throw new ValueError('the interface behind a link-local address, as in fe80::1%eth0')
  }
  if (!linkLocal && zone !== null) throw new ValueError('an address without %interface (only link-local ones carry it)')
  if (!isUnicast(octets)) throw new ValueError('the unicast address of a neighbour')
  return zone === null ? formatAddress(octets) : `${formatAddress(octets)}%${zone}`
}

function isUnicast(octets: Uint8Array): boolean {
  if (octets.length === 4) return octets[0]! > 0 && octets[0]! < 224
  return octets[0] !== 0xff && octets.some((octet) => octet !== 0)
}

/** Prefix with its length; host bits that are set are refused with the text that was probably meant. */
export function prefix(value: unknown): PrefixText {
  return parsedPrefix(value, false)
}
/** Also an address alone, as /32 or /128. */
export function prefixOrAddress(value: unknown): PrefixText {
  return parsedPrefix(value, true)
}

function parsedPrefix(value: unknown, allowHost: boolean): PrefixText {
  let found: PrefixText
  try {
    if (typeof value !== 'string') throw new ValueError('text')
    found = parsePrefix(value, { allowHost })
    parsePrefix(value, { allowHost, strict: true })
  } catch {
    if (found! !== undefined) throw new ValueError(`no bits set after the prefix length: ${found.text}`)
    throw new ValueError('a prefix with its length, such as 10.244.0.0/16 or fd00:10::/48')
  }
  return found
}

/** Address of an interface with its length: host bits stay. */
export function interfaceAddress(value: unknown): string {
  const [host, length, more] = typeof value === 'string' ? value.split('/') : []
  if (host === undefined || more !== undefined)
    throw new ValueError('an address with its length, such as 10.244.1.0/32')
  const octets = addressOctets(host)
  return `${formatAddress(octets)}/${integer(0, octets.length * 8, 'a prefix length')(length ?? String(octets.length * 8))}`
}

/** Of one station: `6e:62:c0:a8:00:01`, in lower case. */
export function macAddress(value: unknown): string {
  const text = typeof value === 'string' ? value.toLowerCase().replaceAll('-', ':') : ''
  // The lowest bit of the first octet marks a group (IEEE 802).
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(text) || (Number.parseInt(text.slice(0, 2), 16) & 1) === 1)
    throw new ValueError('a unicast MAC address, such as 6e:62:c0:a8:00:01')
  if (text === '00:00:00:00:00:00') throw new ValueError('a MAC address that is not all zeros')
  return text
}

/** `127.0.0.1:9179` or `[::1]:9179`. */
export function hostPort(value: unknown): HostPort {
  const match = typeof value === 'string' ? HOST_PORT.exec(value) : null
  if (match === null) throw new ValueError('an address and a port, such as 127.0.0.1:9179 or [::1]:9179')
  const bracketed = match[1]
  const octets = addressOctets(bracketed ?? match[2])
  if ((bracketed === undefined) !== (octets.length === 4))
    throw new ValueError('an IPv6 address in brackets: [::1]:9179')
  return { host: formatAddress(octets), port: port(match[3]) }
}

export function interfaceName(value: unknown): string {
  if (typeof value !== 'string' || !INTERFACE.test(value))
    throw new ValueError('the name of an interface, at most 15 characters')
  return value
}

/** `cali*` */
export function interfacePattern(value: unknown): string {
  if (typeof value !== 'string' || !INTERFACE_PATTERN.test(value)) {
    throw new ValueError("an interface name, with '*' for any characters, such as 'cali*'")
  }
  return value
}

const INTERFACE = /^[^\s/:%*]{1,15}$/
const INTERFACE_PATTERN = /^[^\s/:%]{1,15}$/
const HOST_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s[\]]+)):([0-9]{1,5})$/
