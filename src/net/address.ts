/**
 * IP addresses as text and as octets. IPv4 addresses are also used as u32 (host order of the number, big-endian on the wire).
 *
 * Text is strict: four decimal octets without leading zeros, IPv6 as in RFC 4291 §2.2 (also with a dotted quad at the end), no zone.
 * Output is canonical: RFC 5952, IPv4-mapped addresses as `::ffff:192.0.2.1` (§5).
 */
import { IPv6 } from 'ip-num'

/** 4 or 16 octets. Throws an Error that names the text. */
export function parseAddress(text: string): Uint8Array {
  if (text.includes(':')) return parseIpv6(text)
  const value = ipv4Value(text)
  if (value < 0) throw new Error(`'${clip(text)}' is not an IP address (examples: 192.0.2.1, 2001:db8::1)`)
  return octetsOfU32(value)
}

/** Null where the text is no address. */
export function addressOrNull(text: string): Uint8Array | null {
  try {
    return parseAddress(text)
  } catch {
    return null
  }
}

/** u32. Throws an Error that names the text. */
export function parseIpv4(text: string): number {
  const value = ipv4Value(text)
  if (value < 0) throw new Error(`'${clip(text)}' is not an IPv4 address (example: 192.0.2.1)`)
  return value
}

export function isIpv4Text(text: string): boolean {
  return ipv4Value(text) >= 0
}

/** 4 octets: dotted quad; 16 octets: RFC 5952. Throws for any other length. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`
  if (bytes.length !== 16) throw new Error(`an IP address has 4 or 16 octets, not ${bytes.length}`)
  return formatIpv6Words(wordAt(bytes, 0), wordAt(bytes, 4), wordAt(bytes, 8), wordAt(bytes, 12))
}

export function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`
}

/** Four big-endian u32 words, most significant first. */
export function formatIpv6Words(w0: number, w1: number, w2: number, w3: number): string {
  if (w0 === 0 && w1 === 0 && w2 === 0xffff) return `::ffff:${formatIpv4(w3)}`
  const groups = [w0 >>> 16, w0 & 0xffff, w1 >>> 16, w1 & 0xffff, w2 >>> 16, w2 & 0xffff, w3 >>> 16, w3 & 0xffff]
  const [start, end] = longestZeroRun(groups)
  if (end === start) return hex(groups, 0, 8)
  return `${hex(groups, 0, start)}::${hex(groups, end, 8)}`
}

/** fe80::/10, at an offset. */
export function isLinkLocal(octets: Uint8Array, at = 0): boolean {
  return octets.length >= 16 && octets[at] === 0xfe && (octets[at + 1]! & 0xc0) === 0x80
}

/** 127/8 or ::1. */
export function isLoopback(octets: Uint8Array): boolean {
  return octets.length === 4 ? octets[0] === 127 : octets.every((octet, at) => octet === (at === 15 ? 1 : 0))
}

/** The big-endian u32 at an offset. */
export function wordAt(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0
}

export function octetsOfU32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
}

function parseIpv6(text: string): Uint8Array {
  let value: bigint
  try {
    if (text.length > MAX_IPV6_TEXT || !IPV6_CHARACTERS.test(text)) throw new Error('not IPv6')
    value = IPv6.fromString(text).getValue()
  } catch {
    throw new Error(`'${clip(text)}' is not an IPv6 address (example: 2001:db8::1)`)
  }
  const bytes = new Uint8Array(16)
  for (let i = 15; i >= 0; i--) {
    bytes[i] = Number(value & 255n)
    value >>= 8n
  }
  return bytes
}

/** The u32, or -1 where the text is not an IPv4 address. */
function ipv4Value(text: string): number {
  const length = text.length
  if (length < 7 || length > 15) return -1
  let value = 0
  let octet = -1
  let octets = 0
  for (let i = 0; i <= length; i++) {
    const c = i === length ? DOT : text.charCodeAt(i)
    if (c === DOT) {
      if (octet < 0 || ++octets > 4) return -1
      value = value * 256 + octet
      octet = -1
    } else if (c >= 48 && c <= 57 && octet !== 0) {
      octet = (octet < 0 ? 0 : octet * 10) + c - 48
      if (octet > 255) return -1
    } else {
      return -1
    }
  }
  return octets === 4 ? value : -1
}

/** RFC 5952 §4.2: the first of the longest runs of zero groups, two groups at least. */
function longestZeroRun(groups: readonly number[]): [start: number, end: number] {
  let best: [number, number] = [0, 0]
  let start = 0
  for (let i = 0; i <= 8; i++) {
    if (i < 8 && groups[i] === 0) continue
    if (i - start > 1 && i - start > best[1] - best[0]) best = [start, i]
    start = i + 1
  }
  return best
}

function hex(groups: readonly number[], from: number, to: number): string {
  let text = ''
  for (let i = from; i < to; i++) text += (i === from ? '' : ':') + groups[i]!.toString(16)
  return text
}

/** As much of a text as a message shows. */
export function clip(text: string): string {
  return text.length > 60 ? text.slice(0, 60) + '…' : text
}

const DOT = 46
const MAX_IPV6_TEXT = 45
const IPV6_CHARACTERS = /^[0-9a-fA-F:.]+$/
