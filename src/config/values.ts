/**
 * Single values of the configuration: from what YAML gave to what the core uses. Each function throws a ValueError that says what is
 * expected; what was found instead is added where the position is known (parse.ts), and never holds a secret.
 */

import { ATTRIBUTE_NAMES, attributeName } from '../bgp/iana.js'
import { formatAddress, formatIpv4, parseAddress, parseIpv4 } from '../net/address.js'
import { FAMILIES, type Family, familyByName } from '../net/family.js'
import { parsePrefix } from '../net/prefix.js'
import { isMartianNextHop } from '../rib/next-hop.js'
import { canonicalCommunity } from '../rib/policy-communities.js'
import { maxPatternText, parsePathPattern } from '../rib/policy-pattern.js'
import { Secret } from './secret.js'
import { ADD_PATH_ALL, type HostPort, type PrefixText } from './types.js'

/** `message` reads after `expected `. */
export class ValueError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ValueError'
  }
}

export type Parse<T> = (value: unknown) => T

export function text(maxLength: number): Parse<string> {
  return (value) => {
    const string = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
    if (typeof string !== 'string' || string.length > maxLength || CONTROL.test(string)) {
      throw new ValueError(`one line of text, at most ${maxLength} characters`)
    }
    return string
  }
}

export function nonEmptyText(maxLength: number): Parse<string> {
  const parse = text(maxLength)
  return (value) => {
    const string = parse(value)
    if (string.trim() === '') throw new ValueError(`text of 1 to ${maxLength} characters`)
    return string
  }
}

/** A word of letters, digits and `_ - . : / %`, as names of neighbours, templates and policies are. */
export function name(value: unknown): string {
  const string = typeof value === 'number' ? String(value) : value
  if (typeof string !== 'string' || !NAME.test(string)) {
    throw new ValueError("a name of 1 to 64 letters, digits and '_ - . : / %'")
  }
  return string
}

export function flag(value: unknown): boolean {
  if (value === true || value === 'true') return true
  if (value === false || value === 'false') return false
  throw new ValueError('true or false')
}

export function oneOf<T extends string>(...allowed: readonly T[]): Parse<T> {
  return (value) => {
    if (typeof value === 'string' && (allowed as readonly string[]).includes(value)) return value as T
    throw new ValueError(`one of ${allowed.join(', ')}`)
  }
}

/** Inclusive range. Digits as text (from an environment variable) count too. */
export function integer(min: number, max: number, what = 'a whole number'): Parse<number> {
  return (value) => {
    const number = typeof value === 'string' && DIGITS.test(value) ? Number(value) : value
    if (typeof number !== 'number' || !Number.isInteger(number) || number < min || number > max) {
      throw new ValueError(`${what} from ${min} to ${max}`)
    }
    return number
  }
}

export const port = integer(1, 65535, 'a port')
export const u32 = integer(0, 0xffff_ffff)

/** A metric of kernel routes, or `localPref`. */
export function routeMetric(value: unknown): number | 'localPref' {
  if (value === 'localPref') return value
  try {
    return u32(value)
  } catch {
    throw new ValueError('a whole number from 0 to 4294967295, or localPref')
  }
}

/** An ASN: number, or asdot text `1.10` (RFC 5396). Reserved ones are refused (RFC 7607, RFC 6793, RFC 7300). */
export function asn(value: unknown): number {
  const number = asNumber(value)
  if (RESERVED_ASNS.has(number))
    throw new ValueError('an AS number that is not reserved (0, 23456, 65535 and 4294967295 are)')
  return number
}

function asNumber(value: unknown): number {
  const dotted = typeof value === 'string' ? ASDOT.exec(value) : null
  if (dotted !== null) {
    const high = Number(dotted[1])
    const low = Number(dotted[2])
    if (high <= 65535 && low <= 65535) return high * 65536 + low
  }
  return integer(0, 0xffff_ffff, 'an AS number')(value === 0 ? 0 : value)
}

/** Seconds or milliseconds from `90s`, `1m30s`, `500ms`, `2h`, `1d`; a bare 0 needs no unit. */
export function durationMs(minMs: number, maxMs: number): Parse<number> {
  return (value) => {
    const ms = value === 0 || value === '0' ? 0 : durationOf(value)
    if (ms === null) throw new ValueError('a duration with a unit, such as 90s, 1m30s or 500ms')
    if (ms < minMs || ms > maxMs)
      throw new ValueError(`a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`)
    return ms
  }
}

function durationOf(value: unknown): number | null {
  if (typeof value !== 'string' || value === '' || value.length > 40 || !DURATION.test(value)) return null
  let total = 0
  for (const [, amount, unit] of value.matchAll(/([0-9]+)(ms|s|m|h|d)/g)) total += Number(amount) * UNIT_MS[unit ?? '']!
  return total
}

export function formatDuration(ms: number): string {
  if (ms % 1000 !== 0) return `${ms}ms`
  return `${ms / 1000}s`
}

/** RFC 4271 §4.2: 0, or 3 s to 65535 s. */
export function holdTimeSeconds(value: unknown): number {
  const ms = durationMs(0, 65_535_000)(value)
  if (ms % 1000 !== 0 || (ms > 0 && ms < 3000)) {
    throw new ValueError('0 (no keepalives) or whole seconds from 3s to 65535s (RFC 4271 §4.2)')
  }
  return ms / 1000
}

export function keepaliveSeconds(value: unknown): number {
  const ms = durationMs(0, 21_845_000)(value)
  if (ms % 1000 !== 0) throw new ValueError('0 or whole seconds, such as 30s')
  return ms / 1000
}

/** Canonical text. */
export function address(value: unknown): string {
  return formatAddress(addressOctets(value))
}

export function addressOctets(value: unknown): Uint8Array {
  try {
    if (typeof value === 'string') return parseAddress(value)
  } catch {
    // said below, without the text
  }
  throw new ValueError('an IP address, such as 192.0.2.1 or 2001:db8::1')
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
  const cut = value.indexOf('%')
  const zone = cut < 0 ? null : value.slice(cut + 1)
  const octets = addressOctets(cut < 0 ? value : value.slice(0, cut))
  const linkLocal = octets.length === 16 && octets[0] === 0xfe && (octets[1]! & 0xc0) === 0x80
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

/** A router or cluster id: u32, not 0 (RFC 6286). */
export function bgpIdentifier(value: unknown): number {
  try {
    const id = typeof value === 'string' ? parseIpv4(value) : 0
    if (id !== 0) return id
  } catch {
    // said below
  }
  throw new ValueError('four octets as an IPv4 address, not 0.0.0.0')
}

export function family(value: unknown): Family {
  const found = typeof value === 'string' ? familyByName(value) : undefined
  if (found === undefined) throw new ValueError(`one of ${FAMILIES.map((row) => row.name).join(', ')}`)
  return found
}

export function community(value: unknown): string {
  try {
    if (typeof value === 'string') return canonicalCommunity(value)
  } catch {
    // said below, without the text
  }
  throw new ValueError('a community: 64512:1, 64512:1:2 (large), or a name such as no-export')
}

export function pathPattern(value: unknown): string {
  const source = typeof value === 'number' ? String(value) : value
  if (typeof source !== 'string') throw new ValueError("a regular expression on the AS path, such as '^65001( |$)'")
  const parsed = parsePathPattern(source)
  if (!parsed.ok)
    throw new ValueError(`a regular expression of at most ${maxPatternText} characters: ${parsed.message}`)
  return source
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

/** A UNIX socket's path: absolute, and short enough for the kernel (107 octets). */
export function socketPath(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('/') || Buffer.byteLength(value) > 107 || value.includes('\0')) {
    throw new ValueError('the absolute path of a socket, at most 107 octets long')
  }
  return value
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

/** A routing protocol number of the kernel, or its name in /etc/iproute2/rt_protos. */
export function routeProtocol(value: unknown): number {
  if (typeof value === 'string' && Object.hasOwn(ROUTE_PROTOCOLS, value)) return ROUTE_PROTOCOLS[value]!
  try {
    return integer(1, 255)(value)
  } catch {
    throw new ValueError(`a number from 1 to 255 or one of ${Object.keys(ROUTE_PROTOCOLS).join(', ')}`)
  }
}

/** The protocol number of our own routes; those of others are refused, because their owners remove what carries them. */
export function ownProtocol(value: unknown): number {
  const number = integer(1, 255, 'a protocol number')(value)
  const owner = TAKEN_PROTOCOLS[number]
  if (owner !== undefined)
    throw new ValueError(
      `a protocol number that nobody else cleans up (${number} belongs to ${owner}); 179 is the default`,
    )
  return number
}

/** A protocol whose routes are taken over; not those that give the machine its own network, which a sweep would cut off. */
export function takenProtocol(value: unknown): number {
  const number = routeProtocol(value)
  if (number > 4 && number !== 9 && number !== 16) return number
  throw new ValueError(
    `a protocol whose routes a daemon like BIRD writes, such as bird (12): ${number} is among those of the machine itself (kernel, boot, static, ra, dhcp)`,
  )
}

export function routeTable(value: unknown): number {
  if (value === 'main') return 254
  if (value === 'default') return 253
  const number = integer(1, 0xffff_ffff, 'main, default, or a table number')(value)
  if (number === 255) throw new ValueError("a table other than 255 (local), which is the kernel's own")
  return number
}

export function origin(value: unknown): number {
  return ORIGINS.indexOf(oneOf(...ORIGINS)(value))
}

/** Percent: `80` or `80%`. */
export function percent(value: unknown): number {
  return integer(1, 100, 'a percentage')(typeof value === 'string' && value.endsWith('%') ? value.slice(0, -1) : value)
}

export function formatIdentifier(id: number): string {
  return formatIpv4(id)
}

/** Whole seconds as a duration: `120s`, `2m`. */
export function wholeSeconds(min: number, max: number): Parse<number> {
  return (value) => {
    const ms = durationMs(min * 1000, max * 1000)(value)
    if (ms % 1000 !== 0) throw new ValueError('whole seconds, such as 120s')
    return ms / 1000
  }
}

/** `all`, `true`, or how many of the best paths. */
export function addPathSend(value: unknown): number {
  if (value === 'all' || value === true) return ADD_PATH_ALL
  if (value === false) return 0
  return integer(1, ADD_PATH_ALL - 1, 'all, false, or how many of the best paths,')(value)
}

/** An attribute type that an operator may take off or refuse: a number or the name of the RFC, such as 28 or PREFIX_SID. */
export function attributeType(use: 'discard' | 'withdraw'): Parse<number> {
  return (value) => {
    const name = typeof value === 'string' ? value.toUpperCase() : ''
    const named = [...ATTRIBUTE_NAMES].find(([, known]) => known === name)?.[0]
    const type = named ?? integer(1, 255, 'an attribute number or name such as PREFIX_SID,')(value)
    if (UNTOUCHABLE[use].includes(type))
      throw new ValueError(`an attribute other than ${attributeName(type)}, without which no route makes sense`)
    return type
  }
}

/** TCP MD5 (RFC 2385). False: none, where a template has one. The value is never part of a message. */
export function password(value: unknown): Secret | false {
  if (value === false) return false
  const string = typeof value === 'number' ? String(value) : value
  if (typeof string !== 'string') throw new ValueError('a password as text (in quotes), or false')
  return secretOf(new TextEncoder().encode(string))
}

/** What a file or a variable holds; the end of the last line is not part of it. */
export function passwordText(octets: Uint8Array): Secret {
  let end = octets.length
  if (octets[end - 1] === 0x0a) end--
  if (octets[end - 1] === 0x0d && end < octets.length) end--
  return secretOf(octets.slice(0, end))
}

function secretOf(octets: Uint8Array): Secret {
  if (octets.length === 0) throw new ValueError('a password of 1 to 80 octets, not an empty one')
  if (octets.length > PASSWORD_MAX_OCTETS)
    throw new ValueError(
      `a password of 1 to ${PASSWORD_MAX_OCTETS} octets (more do not fit TCP MD5), not of ${octets.length}`,
    )
  if (octets.some((octet) => octet < 0x20 || octet === 0x7f))
    throw new ValueError('a password on one line, without control characters')
  return new Secret(octets)
}

export function secretFile(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('/') || value.length > 4096 || value.includes('\0'))
    throw new ValueError('the absolute path of a file that holds the password')
  return value
}

export function variableName(value: unknown): string {
  if (typeof value !== 'string' || !VARIABLE_NAME.test(value))
    throw new ValueError('the name of an environment variable that holds the password, without $')
  return value
}

/** An absolute path of a file. */
export function filePath(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('/') || value.length > 4096 || value.includes('\0'))
    throw new ValueError('the absolute path of a file, or off')
  return value
}

export const ORIGINS = ['igp', 'egp', 'incomplete'] as const

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:/%-]{0,63}$/
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/
/** TCP_MD5SIG_MAXKEYLEN */
const PASSWORD_MAX_OCTETS = 80
const DIGITS = /^-?[0-9]{1,16}$/
const ASDOT = /^([0-9]{1,5})\.([0-9]{1,5})$/
const DURATION = /^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$/
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const INTERFACE = /^[^\s/:%*]{1,15}$/
const INTERFACE_PATTERN = /^[^\s/:%]{1,15}$/
const HOST_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s[\]]+)):([0-9]{1,5})$/
/** ORIGIN, AS_PATH, NEXT_HOP and the MP attributes; withdrawing by MP_UNREACH_NLRI makes no sense either. */
const UNTOUCHABLE: Readonly<Record<'discard' | 'withdraw', readonly number[]>> = {
  discard: [1, 2, 3, 14, 15],
  withdraw: [1, 2, 3, 14, 15],
}
const RESERVED_ASNS: ReadonlySet<number> = new Set([0, 23456, 65535, 0xffff_ffff])
const ROUTE_PROTOCOLS: Readonly<Record<string, number>> = {
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  gated: 8,
  ra: 9,
  mrt: 10,
  zebra: 11,
  bird: 12,
  dnrouted: 13,
  xorp: 14,
  ntk: 15,
  dhcp: 16,
  mrouted: 17,
  keepalived: 18,
  babel: 42,
  openr: 99,
  bgp: 186,
  isis: 187,
  ospf: 188,
  rip: 189,
  eigrp: 192,
}
const TAKEN_PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'the kernel',
  2: 'the kernel',
  3: 'ip route (boot)',
  4: 'ip route (static)',
  12: 'BIRD',
  17: 'kube-router and GoBGP (zebra)',
  80: 'Felix',
}
