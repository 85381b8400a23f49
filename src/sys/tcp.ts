/**
 * Socket options of TCP as Linux takes them: numbers and structures. Pure; `sys.ts` makes the calls.
 *
 * TCP MD5 (RFC 2385): `struct tcp_md5sig` of linux/tcp.h. A key belongs to an address, or with TCP_MD5SIG_EXT to all addresses of a prefix; the
 * kernel takes the key of the longest prefix.
 */

export const AF_INET = 2
export const AF_INET6 = 10
export const SOCK_STREAM = 1
export const SOCK_NONBLOCK = 0o4000
export const SOCK_CLOEXEC = 0o2000000

export const SOL_SOCKET = 1
export const SO_REUSEADDR = 2
export const SO_BINDTODEVICE = 25

export const IPPROTO_IP = 0
export const IP_TOS = 1
export const IP_TTL = 2
export const IP_MINTTL = 21

export const IPPROTO_IPV6 = 41
export const IPV6_UNICAST_HOPS = 16
export const IPV6_V6ONLY = 26
export const IPV6_TCLASS = 67
export const IPV6_MINHOPCOUNT = 73

export const IPPROTO_TCP = 6
export const TCP_MD5SIG = 14
export const TCP_USER_TIMEOUT = 18
export const TCP_MD5SIG_EXT = 32

/** DSCP CS6, network control: what routing protocols are sent with (RFC 4594 §3.1). */
export const TOS_CS6 = 0xc0

/** Longest key that the kernel takes (TCP_MD5SIG_MAXKEYLEN). */
export const MD5_KEY_MAX_OCTETS = 80

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

/** ::ffff:a.b.c.d, as a socket of IPv6 sees an IPv4 peer. */
export function mapped(ipv4: Uint8Array): Uint8Array {
  const octets = new Uint8Array(16)
  octets.fill(0xff, 10, 12)
  octets.set(ipv4, 12)
  return octets
}

/**
 * Value of TCP_MD5SIG, or of TCP_MD5SIG_EXT where `prefixLength` is not null. An empty key deletes. Of an IPv4-mapped prefix the kernel wants the
 * length of the IPv4 one.
 */
export function md5sig(address: Uint8Array, prefixLength: number | null, key: Uint8Array): Uint8Array {
  const octets = new Uint8Array(MD5SIG_OCTETS)
  octets.set(sockaddr(address))
  if (prefixLength !== null) {
    octets[FLAGS_AT] = FLAG_PREFIX
    octets[PREFIX_LENGTH_AT] = prefixLength
  }
  octets.set(hostOrder16(key.length), KEY_LENGTH_AT)
  octets.set(key, KEY_AT)
  return octets
}

function hostOrder16(value: number): Uint8Array {
  return new Uint8Array(Uint16Array.of(value).buffer)
}

function hostOrder32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer)
}

/** sockaddr_storage 128, flags 1, prefix length 1, key length 2, interface 4, key 80. */
const MD5SIG_OCTETS = 216
const FLAGS_AT = 128
const PREFIX_LENGTH_AT = 129
const KEY_LENGTH_AT = 130
const KEY_AT = 136
const FLAG_PREFIX = 1
