/**
 * Edge: the addresses of this machine, for the next hops that we set ourselves and for knowing our own ones.
 */
import { networkInterfaces } from 'node:os'
import type { Config, NeighborConfig } from '../config/types.js'
import { formatAddress, formatIpv4, isLinkLocal, isLoopback, parseAddress } from '../net/address.js'
import { Family } from '../net/family.js'
import { addressInPrefix, parsePrefix } from '../net/prefix.js'
import { splitZone, withoutZone } from '../net/zone.js'
import type { Subnet } from '../reflector/reflect.js'
import { kernelAddresses } from './kernel-addresses.js'

/** Canonical text of all addresses of this machine; link-local ones also with their link, `fe80::1%eth0`. */
export function ownAddresses(): ReadonlySet<string> {
  const own = new Set<string>()
  for (const [name, list] of Object.entries(networkInterfaces())) {
    for (const { address } of list ?? []) {
      const octets = parseAddress(withoutZone(address))
      own.add(formatAddress(octets))
      if (isLinkLocal(octets)) own.add(`${formatAddress(octets)}%${name}`)
    }
  }
  return own
}

/**
 * Addresses that others may have for this node, the likeliest alone where the configuration names it: what sessions come from is the next hop of our
 * routes, and so the source of outer packets.
 */
export function nodeAddresses(config: Pick<Config, 'neighbors' | 'listen' | 'routerId'>): readonly string[] {
  const own = ownAddresses()
  const sources = config.neighbors.map(({ sourceAddress }) => sourceAddress)
  const listens = config.listen.map(({ address }) => address)
  const named = [...sources, ...listens, formatIpv4(config.routerId)]
  const known = named.find((address) => address?.includes('.') && own.has(address))
  return known ? [known] : [...own].filter((address) => !address.includes('%'))
}

/**
 * The next hop that a session sets for its own routes: its own address where the family fits; else an address of that family on the same interface, global
 * ones before link-local ones; null where there is none. `extendedNextHop`: an IPv6 session's own address does for IPv4, too (RFC 8950).
 *
 * On a session between link-local addresses the next hop has the form that the neighbour is configured for: `native` is the interface's global address, or
 * :: where it has none, and the link-local one (RFC 2545 §3).
 */
export function selfNextHop(
  localAddress: string,
  family: Family,
  extendedNextHop = false,
  linkLocalForm: NeighborConfig['linkLocalNextHop'] = 'native',
): Uint8Array | null {
  const local = parseAddress(withoutZone(localAddress))
  const wanted = family === Family.IPV4_UNICAST && !(extendedNextHop && local.length === 16) ? 4 : 16
  if (wanted === 16 && isLinkLocal(local)) return linkLocalNextHop(local, localAddress, linkLocalForm)
  if (local.length === wanted && !isLinkLocal(local)) return local
  for (const list of interfacesWith(local).values()) {
    const addresses = list.map(({ address }) => address)
    if (!addresses.some((address) => Buffer.compare(address, local) === 0)) continue
    const fitting = addresses.filter((address) => address.length === wanted && !isLoopback(address))
    return fitting.find((address) => !isLinkLocal(address)) ?? fitting[0] ?? null
  }
  return local.length === wanted ? local : null
}

function linkLocalNextHop(
  local: Uint8Array,
  localAddress: string,
  form: NeighborConfig['linkLocalNextHop'],
): Uint8Array {
  if (form === 'single') return local
  const both = new Uint8Array(32)
  both.set(local, 16)
  if (form === 'double') {
    both.set(local)
    return both
  }
  for (const { address } of interfacesWith(local).get(zoneOf(localAddress)) ?? []) {
    if (address.length === 4 || isLinkLocal(address) || isLoopback(address)) continue
    both.set(address)
    break
  }
  return both
}

/** Name of the interface that a session runs over without a router between: the zone, or the one whose subnet holds both ends; empty where there is none. */
export function linkOf(localAddress: string, peerAddress: string): string {
  const local = parseAddress(withoutZone(localAddress))
  if (isLinkLocal(local)) return zoneOf(localAddress) || zoneOf(peerAddress)
  return subnetOf(local, parseAddress(withoutZone(peerAddress)))?.name ?? ''
}

function zoneOf(address: string): string {
  return splitZone(address)[1] ?? ''
}

/** The subnet of the interface that holds our end of a session, when the peer is in it too and the family is that of the session; else null. */
export function sharedSubnet(
  localAddress: string,
  peerAddress: string,
  family: Family,
  extendedNextHop = false,
): Subnet | null {
  const local = parseAddress(withoutZone(localAddress))
  const fits = local.length === (family === Family.IPV4_UNICAST ? 4 : 16) || extendedNextHop
  return fits ? (subnetOf(local, parseAddress(withoutZone(peerAddress)))?.subnet ?? null) : null
}

function subnetOf(local: Uint8Array, peer: Uint8Array): { readonly name: string; readonly subnet: Subnet } | null {
  if (isLinkLocal(local) || isLoopback(local)) return null
  for (const [name, list] of interfacesWith(local)) {
    for (const { address, length } of list) {
      if (Buffer.compare(address, local) !== 0) continue
      const subnet = parsePrefix(`${formatAddress(address)}/${length}`)
      if (addressInPrefix(peer, subnet)) return { name, subnet: { address: subnet.address, length: subnet.length } }
    }
  }
  return null
}

interface InterfaceAddress {
  readonly address: Uint8Array
  readonly length: number
}

/** All interfaces by name. Where `local`, an address that a session has, is on none of those that Node.js knows, the kernel is asked itself. */
function interfacesWith(local: Uint8Array): ReadonlyMap<string, readonly InterfaceAddress[]> {
  const known = new Map<string, InterfaceAddress[]>()
  let isThere = false
  const put = (name: string, text: string, length: number): void => {
    const address = parseAddress(withoutZone(text))
    if (Buffer.compare(address, local) === 0) isThere = true
    const list = known.get(name)
    if (list === undefined) known.set(name, [{ address, length }])
    else list.push({ address, length })
  }
  for (const [name, list] of Object.entries(networkInterfaces()))
    for (const { address, cidr } of list ?? []) if (cidr !== null) put(name, address, Number(cidr.split('/')[1]))
  const asked = isThere ? null : kernelAddresses()
  if (asked === null) return known
  known.clear()
  for (const { device, address, length } of asked) put(device, address, length)
  return known
}
