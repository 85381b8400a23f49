/**
 * Edge: the addresses of this machine, for the next hops that we set ourselves and for knowing our own ones.
 */
import { networkInterfaces } from 'node:os'
import { formatAddress, parseAddress } from '../net/address.js'
import { Family } from '../net/family.js'
import { addressInPrefix, parsePrefix } from '../net/prefix.js'
import type { Subnet } from '../reflector/reflect.js'

/** Canonical text of all addresses of this machine. */
export function ownAddresses(): ReadonlySet<string> {
  const own = new Set<string>()
  for (const list of Object.values(networkInterfaces()))
    for (const { address } of list ?? []) own.add(formatAddress(parseAddress(withoutZone(address))))
  return own
}

/**
 * The next hop that a session sets for its own routes: its own address where the family fits; else an address of that family on the same interface, global
 * ones before link-local ones; null where there is none.
 */
export function selfNextHop(localAddress: string, family: Family): Uint8Array | null {
  const local = parseAddress(withoutZone(localAddress))
  const wanted = family === Family.IPV4_UNICAST ? 4 : 16
  if (local.length === wanted && !isLinkLocal(local)) return local
  for (const list of Object.values(networkInterfaces())) {
    const addresses = (list ?? []).map(({ address }) => parseAddress(withoutZone(address)))
    if (!addresses.some((address) => Buffer.compare(address, local) === 0)) continue
    const fitting = addresses.filter((address) => address.length === wanted && !isLoopback(address))
    return fitting.find((address) => !isLinkLocal(address)) ?? fitting[0] ?? null
  }
  return local.length === wanted ? local : null
}

/** The subnet of the interface that holds our end of a session, when the peer is in it too and the family is that of the session; else null. */
export function sharedSubnet(localAddress: string, peerAddress: string, family: Family): Subnet | null {
  const local = parseAddress(withoutZone(localAddress))
  const peer = parseAddress(withoutZone(peerAddress))
  if (local.length !== (family === Family.IPV4_UNICAST ? 4 : 16) || isLinkLocal(local)) return null
  for (const list of Object.values(networkInterfaces())) {
    for (const { address, cidr } of list ?? []) {
      if (cidr === null || Buffer.compare(parseAddress(withoutZone(address)), local) !== 0) continue
      const subnet = parsePrefix(cidr)
      if (addressInPrefix(peer, subnet)) return { address: subnet.address, length: subnet.length }
    }
  }
  return null
}

export function withoutZone(address: string): string {
  const at = address.indexOf('%')
  return at === -1 ? address : address.slice(0, at)
}

function isLinkLocal(address: Uint8Array): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80
}

function isLoopback(address: Uint8Array): boolean {
  return address.length === 4
    ? address[0] === 127
    : address[15] === 1 && address.subarray(0, 15).every((octet) => octet === 0)
}
