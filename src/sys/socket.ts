/**
 * Sockets that Node.js cannot make, or not with the options they need before they are bound: numbers and addresses as Linux takes them, and how one is opened.
 */
import { O_CLOEXEC, O_NONBLOCK, type Sys } from './sys.js'

export const AF_INET = 2
export const AF_INET6 = 10
export const AF_NETLINK = 16

export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
const SOCK_RAW = 3

export const SOL_SOCKET = 1
export const SO_REUSEADDR = 2
export const SO_RCVBUF = 8
export const SO_BINDTODEVICE = 25
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33

export const IPPROTO_IP = 0
export const IP_TOS = 1
export const IP_TTL = 2
export const IP_MINTTL = 21

export const IPPROTO_IPV6 = 41
export const IPV6_UNICAST_HOPS = 16
export const IPV6_V6ONLY = 26
export const IPV6_TCLASS = 67
export const IPV6_MINHOPCOUNT = 73

/** A non-blocking socket, as `prepare` hands it on. Where that throws, it is closed again, and the error goes on. */
export function openSocket<T>(sys: Sys, domain: number, type: number, protocol: number, prepare: (fd: number) => T): T {
  const fd = sys.socket(domain, type | O_CLOEXEC | O_NONBLOCK, protocol)
  try {
    return prepare(fd)
  } catch (error) {
    sys.close(fd)
    throw error
  }
}

/** The same of rtnetlink: devices, addresses, routes. The kernel gives it a port with its first request, unless `prepare` binds it. */
export function openRouteSocket<T>(sys: Sys, prepare: (fd: number) => T): T {
  return openSocket(sys, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, prepare)
}

/** sockaddr_in or sockaddr_in6. `address`: 4 or 16 octets. `scope`: number of the interface of a link-local address. */
export function sockaddr(address: Uint8Array, port = 0, scope = 0): Uint8Array {
  const isIpv6 = address.length === 16
  const octets = new Uint8Array(isIpv6 ? 28 : 16)
  octets.set(hostOrder16(isIpv6 ? AF_INET6 : AF_INET))
  new DataView(octets.buffer).setUint16(2, port)
  octets.set(address, isIpv6 ? 8 : 4)
  if (isIpv6) octets.set(hostOrder32(scope), 24)
  return octets
}

/** sockaddr_nl. `groups`: the multicast groups as bits. */
export function netlinkSockaddr(port: number, groups: number): Uint8Array {
  const octets = new Uint8Array(12)
  octets.set(hostOrder16(AF_NETLINK))
  octets.set(hostOrder32(port), 4)
  octets.set(hostOrder32(groups), 8)
  return octets
}

export function hostOrder16(value: number): Uint8Array {
  return new Uint8Array(Uint16Array.of(value).buffer)
}

function hostOrder32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer)
}

const NETLINK_ROUTE = 0
