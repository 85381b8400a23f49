/**
 * Policies as written in the file: `accept`, `reject`, or a list of statements { match, set, action }. Gives statements in the core's form.
 */
import type { z } from 'zod'
import { choose, fault, isMapping, list, mapping, oneOrMore, optional, value } from './shapes.js'
import type { PolicyMatch, PolicySet, PolicyStatement, PrefixMatch } from './types.js'
import * as v from './values.js'
import * as net from './values-net.js'

type Range = { readonly min?: number | undefined; readonly max?: number | undefined }

/** `26`, or `{ min: 26, max: 32 }` with either end left out. */
function numberRange(max: number, what: string) {
  return choose<Range>((input) => {
    if (!isMapping(input)) {
      return value((number) => {
        const exact = v.integer(0, max, `${what}, or { min, max } with ends`)(number)
        return { min: exact, max: exact }
      })
    }
    return mapping({ min: optional(v.integer(0, max, what)), max: optional(v.integer(0, max, what)) })
  })
}

/** A prefix alone matches exactly; with `in` it matches what lies inside, and `length` bounds that. */
const prefixMatch = choose<PrefixMatch>((input) => {
  if (!isMapping(input)) {
    return value((text) => {
      const prefix = net.prefix(text)
      return { prefix, minLength: prefix.length, maxLength: prefix.length }
    })
  }
  const inside = mapping({ in: value(net.prefix), length: numberRange(128, 'a prefix length').optional() })
  return inside.transform(({ in: prefix, length }, context): PrefixMatch => {
    const bits = prefix.address.length * 8
    const minLength = length?.min ?? prefix.length
    const maxLength = length?.max ?? bits
    if (maxLength > bits) fault(context, ['length'], `lengths of ${prefix.text} end at ${bits}`, { whole: true })
    else if (minLength > maxLength)
      fault(context, ['length'], `min ${minLength} is larger than max ${maxLength}`, { whole: true })
    else if (maxLength < prefix.length) {
      fault(context, ['length'], `nothing inside ${prefix.text} is shorter than /${prefix.length}`, { whole: true })
    }
    return { prefix, minLength: Math.max(minLength, prefix.length), maxLength }
  })
})

const pathLength = numberRange(1000, 'a number of ASNs').transform((range, context) => {
  const [min, max] = [range.min ?? 0, range.max ?? Number.MAX_SAFE_INTEGER]
  if (min > max) fault(context, [], `min ${min} is larger than max ${max}`, { whole: true })
  return { min, max }
})

const matchShape = {
  prefix: oneOrMore(prefixMatch, 'prefixes').optional(),
  communities: oneOrMore(value(v.community), 'communities').optional(),
  asPath: optional(v.pathPattern),
  asPathLength: pathLength.optional(),
  peer: oneOrMore(value(v.name), 'neighbour names').optional(),
  peerType: optional(v.oneOf('ebgp', 'ibgp', 'local')),
  family: oneOrMore(value(v.family), 'ipv4-unicast, ipv6-unicast').optional(),
  nextHop: oneOrMore(value(net.prefixOrAddress), 'addresses and prefixes').optional(),
  origin: oneOrMore(value(v.origin), v.ORIGINS.join(', ')).optional(),
}

const communityList = oneOrMore(value(v.community), 'communities')
const setShape = {
  localPref: optional(v.u32),
  med: optional(v.u32),
  weight: optional(v.integer(0, 32767)),
  origin: optional(v.origin),
  communities: mapping({
    add: communityList.optional(),
    remove: communityList.optional(),
    set: list(value(v.community), 'communities').optional(),
  }).optional(),
  prepend: oneOrMore(value(v.asn), 'AS numbers').optional(),
  nextHop: optional((input) => (input === 'self' ? 'self' : selfOrAddress(input))),
}

function selfOrAddress(input: unknown): string {
  try {
    return net.address(input)
  } catch {
    throw new v.ValueError('self or an IP address')
  }
}

const statement = mapping({
  match: mapping(matchShape).optional(),
  set: mapping(setShape).optional(),
  action: value(v.oneOf('accept', 'reject', 'next')),
}).transform((keys, context): PolicyStatement => {
  if (keys.action === 'reject' && keys.set !== undefined) {
    fault(context, ['set'], 'set changes nothing where the action is reject; remove one of them', {
      at: 'key',
      whole: true,
    })
  }
  if ((keys.set?.prepend?.length ?? 0) > MAX_PREPEND) {
    fault(context, ['set', 'prepend'], `at most ${MAX_PREPEND} AS numbers can be put in front`, { whole: true })
  }
  return { match: toMatch(keys.match), set: toSet(keys.set), action: keys.action }
})

export const policySchema: z.ZodType<readonly PolicyStatement[]> = choose((input) => {
  if (Array.isArray(input)) return list(statement, 'statements')
  return value((word) => {
    if (word === 'accept' || word === 'reject')
      return [{ match: toMatch(undefined), set: toSet(undefined), action: word } as const]
    throw new v.ValueError('accept, reject, or a list of statements { match, set, action }')
  })
})

type MatchKeys = z.output<ReturnType<typeof mapping<typeof matchShape>>>
type SetKeys = z.output<ReturnType<typeof mapping<typeof setShape>>>

function toMatch(keys: MatchKeys | undefined): PolicyMatch {
  return {
    prefix: keys?.prefix ?? null,
    communities: keys?.communities ?? null,
    asPath: keys?.asPath ?? null,
    asPathLength: keys?.asPathLength ?? null,
    peer: keys?.peer ?? null,
    peerType: keys?.peerType ?? null,
    family: keys?.family ?? null,
    nextHop: keys?.nextHop ?? null,
    origin: keys?.origin ?? null,
  }
}

function toSet(keys: SetKeys | undefined): PolicySet {
  return {
    localPref: keys?.localPref ?? null,
    med: keys?.med ?? null,
    weight: keys?.weight ?? null,
    origin: keys?.origin ?? null,
    communitiesAdd: keys?.communities?.add ?? [],
    communitiesRemove: keys?.communities?.remove ?? [],
    communitiesSet: keys?.communities?.set ?? null,
    prepend: keys?.prepend ?? [],
    nextHop: keys?.nextHop ?? null,
  }
}

export const MATCH_KEYS = Object.keys(matchShape)
export const SET_KEYS = Object.keys(setShape)

const MAX_PREPEND = 32
