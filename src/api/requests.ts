/**
 * What clients may ask: bodies and query parameters, checked here so that `Views` and `Actions` only see well-formed questions.
 */
import { isIP } from 'node:net'
import * as z from 'zod'
import type { FamilyName } from '../net/family.js'
import { type AnnounceRequest, ApiError, type DownRequest, type RibQuery } from './types.js'

/** RFC 9003: at most 255 octets of UTF-8. */
const MAX_SHUTDOWN_TEXT_OCTETS = 255

const prefix = z.string().refine(isPrefix, 'is not a prefix such as 10.244.1.0/26')
const uint32 = z.number().int().min(0).max(0xffffffff)

const announceBody = z.strictObject({
  prefix,
  nextHop: z
    .string()
    .refine((text) => isIP(text) !== 0, 'is not an IP address')
    .optional(),
  med: uint32.optional(),
  localPref: uint32.optional(),
  communities: z.array(z.string().max(64)).max(256).optional(),
  blackhole: z.boolean().optional(),
})
const withdrawBody = z.strictObject({ prefix })
const downBody = z.strictObject({
  text: z
    .string()
    .refine(
      (text) => Buffer.byteLength(text) <= MAX_SHUTDOWN_TEXT_OCTETS,
      `is longer than ${MAX_SHUTDOWN_TEXT_OCTETS} octets`,
    )
    .optional(),
  graceful: z.boolean().optional(),
  waitSeconds: z.number().int().min(1).max(3600).optional(),
})
const emptyBody = z.strictObject({})

export function parseAnnounce(body: unknown): AnnounceRequest {
  // zod's optional() also admits an explicit undefined, which JSON cannot hold.
  return check(announceBody, body) as AnnounceRequest
}
export function parseWithdraw(body: unknown): string {
  return check(withdrawBody, body).prefix
}
export function parseDown(body: unknown): DownRequest {
  const request = check(downBody, body ?? {})
  if (request.waitSeconds !== undefined && request.graceful !== true)
    throw new ApiError(400, 'waitSeconds goes only with graceful')
  return request as DownRequest
}
export function parseNothing(body: unknown): void {
  check(emptyBody, body ?? {})
}

/** Bytes of a request body to JSON; undefined where there is none. */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw new ApiError(400, `the body is not JSON: ${(error as Error).message}`)
  }
}

export interface RowQuery {
  readonly rib: RibQuery
  /** Only the number of rows is wanted. */
  readonly count: boolean
}
export function parseRowQuery(params: URLSearchParams): RowQuery {
  for (const key of params.keys()) {
    if (!ROW_PARAMETERS.includes(key))
      throw new ApiError(400, `unknown parameter '${key}'; there is ${ROW_PARAMETERS.join(', ')}`)
  }
  const rib: { -readonly [K in keyof RibQuery]: RibQuery[K] } = {}
  const family = params.get('family')
  if (family !== null) rib.family = parseFamily(family)
  const wanted = params.get('prefix')
  if (wanted !== null) rib.prefix = parsePrefixOrAddress(wanted)
  const from = params.get('from')
  if (from !== null) rib.from = from
  const limit = params.get('limit')
  if (limit !== null) {
    if (!/^[1-9]\d{0,8}$/.test(limit)) throw new ApiError(400, `limit '${limit}' is not a number from 1 to 999999999`)
    rib.limit = Number(limit)
  }
  if (parseFlag(params, 'longer')) rib.longer = true
  if (parseFlag(params, 'best')) rib.best = true
  if (rib.longer && rib.prefix === undefined) throw new ApiError(400, 'longer needs a prefix')
  return { rib, count: parseFlag(params, 'count') }
}

/** `?x`, `?x=1`, `?x=true` against `?x=0`, `?x=false` or nothing. */
export function parseFlag(params: URLSearchParams, name: string): boolean {
  const value = params.get(name)
  if (value === null || value === '0' || value === 'false') return false
  if (value === '' || value === '1' || value === 'true') return true
  throw new ApiError(400, `${name} '${value}' is neither 1 nor 0`)
}

export function parsePrefixOrAddress(text: string): string {
  if (isIP(text) !== 0 || isPrefix(text)) return text
  throw new ApiError(400, `'${text.slice(0, 64)}' is neither a prefix such as 10.244.1.0/26 nor an IP address`)
}

function parseFamily(text: string): FamilyName {
  if (text === 'ipv4-unicast' || text === 'ipv6-unicast') return text
  throw new ApiError(400, `family '${text.slice(0, 64)}' is neither ipv4-unicast nor ipv6-unicast`)
}

function isPrefix(text: string): boolean {
  const [, address = '', length = ''] = /^([0-9a-fA-F.:]{2,45})\/(\d{1,3})$/.exec(text) ?? []
  const version = isIP(address)
  return version !== 0 && Number(length) <= (version === 4 ? 32 : 128)
}

function check<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`)
  throw new ApiError(400, problems.join('; '))
}

const ROW_PARAMETERS = ['family', 'prefix', 'longer', 'best', 'from', 'limit', 'count', 'format']
