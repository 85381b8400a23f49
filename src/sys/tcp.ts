/**
 * Socket options of TCP as Linux takes them: numbers and structures. Pure; `sys.ts` makes the calls.
 *
 * TCP MD5 (RFC 2385): `struct tcp_md5sig` of linux/tcp.h. A key belongs to an address, or with TCP_MD5SIG_EXT to all addresses of a prefix; the
 * kernel takes the key of the longest prefix.
 */
import { hostOrder16, sockaddr } from './socket.js'

export const IPPROTO_TCP = 6
export const TCP_MD5SIG = 14
export const TCP_USER_TIMEOUT = 18
export const TCP_MD5SIG_EXT = 32

/** DSCP CS6, network control: what routing protocols are sent with (RFC 4594 §3.1). */
export const TOS_CS6 = 0xc0

/** Longest key that the kernel takes (TCP_MD5SIG_MAXKEYLEN). */
export const MD5_KEY_MAX_OCTETS = 80

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

/** sockaddr_storage 128, flags 1, prefix length 1, key length 2, interface 4, key 80. */
const MD5SIG_OCTETS = 216
const FLAGS_AT = 128
const PREFIX_LENGTH_AT = 129
const KEY_LENGTH_AT = 130
const KEY_AT = 136
const FLAG_PREFIX = 1
