/**
 * Single values of the configuration: from what YAML gave to what the core uses. Each function throws a ValueError that says what is
 * expected; what was found instead is added where the position is known (parse.ts), and never holds a secret. Addresses, the kernel's
 * numbers, and passwords are in files of their own (values-net.ts, values-kernel.ts, values-secret.ts).
 */
import { ATTRIBUTE_NAMES, attributeName } from '../bgp/iana.js'
import { parseIpv4 } from '../net/address.js'
import { FAMILIES, type Family, familyByName } from '../net/family.js'
import { canonicalCommunity } from '../rib/policy-communities.js'
import { maxPatternText, parsePathPattern } from '../rib/policy-pattern.js'
import { ADD_PATH_ALL } from './types.js'

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

/** A UNIX socket's path: absolute, and short enough for the kernel (107 octets). */
export function socketPath(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('/') || Buffer.byteLength(value) > 107 || value.includes('\0')) {
    throw new ValueError('the absolute path of a socket, at most 107 octets long')
  }
  return value
}

export function origin(value: unknown): number {
  return ORIGINS.indexOf(oneOf(...ORIGINS)(value))
}

/** Percent: `80` or `80%`. */
export function percent(value: unknown): number {
  return integer(1, 100, 'a percentage')(typeof value === 'string' && value.endsWith('%') ? value.slice(0, -1) : value)
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
const DIGITS = /^-?[0-9]{1,16}$/
const ASDOT = /^([0-9]{1,5})\.([0-9]{1,5})$/
const DURATION = /^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$/
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
/** ORIGIN, AS_PATH, NEXT_HOP and the MP attributes; withdrawing by MP_UNREACH_NLRI makes no sense either. */
const UNTOUCHABLE: Readonly<Record<'discard' | 'withdraw', readonly number[]>> = {
  discard: [1, 2, 3, 14, 15],
  withdraw: [1, 2, 3, 14, 15],
}
const RESERVED_ASNS: ReadonlySet<number> = new Set([0, 23456, 65535, 0xffff_ffff])
