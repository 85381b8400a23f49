/**
 * IP prefixes as text and as octets. Host bits are always zero in what is returned.
 */
import type { PrefixText } from '../config/types.js'
import { clip, formatAddress, formatIpv6Words, parseAddress } from './address.js'
import { Family } from './family.js'

export interface ParsePrefixOptions {
  /** Refuse host bits that are set instead of zeroing them. */
  readonly strict?: boolean
  /** An address without a length is taken as /32 or /128. */
  readonly allowHost?: boolean
}

/** `10.244.0.0/16` or `fd00::/64`. Throws an Error that names the text. */
export function parsePrefix(text: string, options: ParsePrefixOptions = {}): PrefixText {
  const slash = text.indexOf('/')
  if (slash < 0 && options.allowHost !== true) {
    throw new Error(`'${clip(text)}' has no prefix length (example: 10.244.0.0/16)`)
  }
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash))
  const bits = address.length * 8
  const length = slash < 0 ? bits : parseLength(text, slash + 1, bits)
  const hadHostBits = maskHostBits(address, length)
  const family = bits === 32 ? Family.IPV4_UNICAST : Family.IPV6_UNICAST
  const canonical = `${formatAddress(address)}/${length}`
  if (hadHostBits && options.strict === true) {
    throw new Error(`'${text}' has bits set after its length; write ${canonical}`)
  }
  return { family, text: canonical, address, length }
}

/**
 * An IPv4 prefix in the form that formatPrefixWords() gives it, as one number: its address times 64, plus its length. -1 for any other text. Without an
 * object, for whoever has 100,000 of them in hand.
 */
export function ipv4PrefixKey(text: string): number {
  let address = 0
  let number = 0
  let digits = 0
  let dots = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= ZERO && code <= NINE) {
      // No leading zeros.
      if (digits > 0 && number === 0) return -1
      number = number * 10 + code - ZERO
      if (++digits > 3 || number > 255) return -1
      continue
    }
    if (digits === 0 || code !== (dots < 3 ? DOT : SLASH) || dots > 3) return -1
    address = address * 256 + number
    dots++
    number = 0
    digits = 0
  }
  if (dots !== 4 || digits === 0 || number > 32) return -1
  const hostBits = number === 0 ? address : (address << number) >>> 0
  return hostBits === 0 || number === 32 ? address * 64 + number : -1
}

/** `bytes` holds at least the octets that the length needs; host bits are shown as zero. */
export function formatPrefix(family: Family, bytes: Uint8Array, length: number): string {
  const address = new Uint8Array(family === Family.IPV4_UNICAST ? 4 : 16)
  address.set(bytes.length > address.length ? bytes.subarray(0, address.length) : bytes)
  maskHostBits(address, length)
  return `${formatAddress(address)}/${length}`
}

/** The address as big-endian u32 words, host bits zero; IPv4 uses w0 alone. */
export function formatPrefixWords(
  family: Family,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  length: number,
): string {
  if (family === Family.IPV4_UNICAST) return formatIpv4Prefix(w0, length)
  return `${formatIpv6Words(w0 >>> 0, w1 >>> 0, w2 >>> 0, w3 >>> 0)}/${length}`
}

/** In two parts, of which the first is mostly that of the prefix before: a fifth of the strings, where 100,000 Pod blocks are written. */
function formatIpv4Prefix(address: number, length: number): string {
  const upper = address >>> 8
  if (upper !== lastUpper) {
    lastUpper = upper
    lastUpperText = `${upper >>> 16}.${(upper >>> 8) & 255}.${upper & 255}.`
  }
  const ending = ((address & 255) << 6) | length
  endings[ending] ??= `${address & 255}/${length}`
  return lastUpperText + endings[ending]
}

let lastUpper = -1
let lastUpperText = ''
/** By last octet times 64, plus length. */
const endings = new Array<string | undefined>(256 * 64)

/** True where every address of `inner` is in `outer`. */
export function prefixContains(outer: PrefixText, inner: PrefixText): boolean {
  return outer.family === inner.family && outer.length <= inner.length && addressInPrefix(inner.address, outer)
}

/** An address of the other family is in no prefix. */
export function addressInPrefix(address: Uint8Array, prefix: PrefixText): boolean {
  if (address.length !== prefix.address.length) return false
  const whole = prefix.length >> 3
  for (let i = 0; i < whole; i++) if (address[i] !== prefix.address[i]) return false
  const rest = prefix.length & 7
  return rest === 0 || ((address[whole]! ^ prefix.address[whole]!) & (0xff00 >> rest) & 255) === 0
}

/** Zeroes the bits after `length` in place; true where one of them was set. */
export function maskHostBits(address: Uint8Array, length: number): boolean {
  let wasSet = false
  for (let i = length >> 3; i < address.length; i++) {
    const keep = i === length >> 3 ? (0xff00 >> (length & 7)) & 255 : 0
    if ((address[i]! & ~keep) !== 0) wasSet = true
    address[i]! &= keep
  }
  return wasSet
}

function parseLength(text: string, from: number, bits: number): number {
  const digits = text.slice(from)
  const length = /^(0|[1-9][0-9]{0,2})$/.test(digits) ? Number(digits) : -1
  if (length < 0 || length > bits) throw new Error(`'${clip(text)}' needs a prefix length of 0 to ${bits}`)
  return length
}

const ZERO = 48
const NINE = 57
const DOT = 46
const SLASH = 47
