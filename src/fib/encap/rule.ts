/**
 * What both ends of a VXLAN tunnel work out by themselves where nothing was said (pure).
 *
 * - VTEP address: the base address of the route's prefix, as Flannel's devices have it. It only names the neighbour entry; packets to Pods do not carry it.
 * - MAC: `6e:62`, then the four octets of the node's IPv4 address, which is the BGP next hop: locally administered, unicast.
 */
import { parseIpv4 } from '../../net/address.js'
import { parsePrefix } from '../../net/prefix.js'

/** `6e:62:c0:a8:00:02` for 192.168.0.2. */
export function ruleMac(nodeAddress: string): string {
  const word = parseIpv4(nodeAddress)
  const octets = [0x6e, 0x62, word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]
  return octets.map((octet) => octet.toString(16).padStart(2, '0')).join(':')
}

/** `10.244.2.0` for 10.244.2.0/26. */
export function ruleAddress(prefix: string): string {
  return parsePrefix(prefix).text.split('/')[0]!
}
