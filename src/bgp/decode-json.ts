/**
 * One line of `nodebgp decode`: hex or JSON in, a plain object out (docs/architecture.md; keys as in `nodebgp decode --help`). Whatever the
 * line holds, the answer is a value.
 */
import { formatIpv4 } from '../net/address.js'
import { type Family, familyByName, formatFamily } from '../net/family.js'
import { formatHex } from './attributes/text.js'
import { capabilityName, describeCapability } from './capabilities/describe.js'
import { type ControlMessage, decodeControlMessage } from './codec.js'
import { NotificationError, unreachable } from './errors.js'
import { describeUpdate } from './message/describe-update.js'
import { HEADER_OCTETS, MAX_MESSAGE_OCTETS, MessageType } from './message/message.js'
import { notificationText, shutdownText } from './message/notification.js'
import { checkHeader, Framer } from './wire/framer.js'

export type DecodeResult = 'ok' | 'error' | 'treat-as-withdraw' | 'attribute-discard' | 'incomplete'

export interface DecodedLine {
  /** As given; null where the line has none. */
  readonly id: unknown
  readonly result: DecodeResult
  /** The NOTIFICATION that a session would send; data as hex. */
  readonly notify: { readonly code: number; readonly subcode: number; readonly data: string } | null
  readonly decoded: Readonly<Record<string, unknown>> | null
  /** What is wrong or was left out, in words. */
  readonly reason?: string
}

/** How bytes are taken; a JSON line says it for itself. */
export interface DecodeOptions {
  readonly kind: 'message' | 'stream'
  readonly as4: boolean
  readonly ebgp: boolean
  readonly extendedMessage: boolean
  readonly addPath: ReadonlySet<Family>
}

export const DEFAULT_DECODE_OPTIONS: DecodeOptions = Object.freeze({
  kind: 'message',
  as4: true,
  ebgp: false,
  extendedMessage: false,
  addPath: new Set<Family>(),
})

export function decodeLine(line: string, defaults: DecodeOptions = DEFAULT_DECODE_OPTIONS): DecodedLine {
  let id: unknown = null
  try {
    const request = line.trimStart().startsWith('{') ? parseJson(line) : { hex: line }
    if (typeof request['id'] === 'string' || typeof request['id'] === 'number') id = request['id']
    const options = parseOptions(request, defaults)
    const bytes = parseHex(request['hex'])
    const outcome = options.kind === 'stream' ? decodeStream(bytes, options) : decodeSingle(bytes, options)
    return { id, ...outcome }
  } catch (error) {
    if (!(error instanceof LineError)) throw error
    return { id, result: 'error', notify: null, decoded: null, reason: error.message }
  }
}

/** Names of families whose NLRI carry path identifiers; `afi/safi` of families that are not read here is accepted. Throws an Error. */
export function parseAddPath(names: readonly unknown[]): Set<Family> {
  const families = new Set<Family>()
  for (const name of names) {
    const family = typeof name === 'string' ? familyByName(name) : undefined
    if (family !== undefined) families.add(family)
    else if (typeof name !== 'string' || !/^\d+\/\d+$/.test(name)) {
      throw new LineError(`addpath takes ipv4-unicast and ipv6-unicast, not ${show(name)}`)
    }
  }
  return families
}

type Outcome = Omit<DecodedLine, 'id'>

/** The line itself cannot be read. */
class LineError extends Error {}

function decodeSingle(bytes: Uint8Array, options: DecodeOptions): Outcome {
  try {
    if (bytes.length < HEADER_OCTETS) return incomplete(`${bytes.length} octets are less than a header`, null)
    const length = checkHeader(bytes, 0, maxOctets(options))
    if (length > bytes.length) return incomplete(`${bytes.length} of ${length} octets are there`, null)
    const outcome = decodeMessage(bytes, 0, length, bytes[18]!, options)
    const extra = bytes.length - length
    if (extra === 0) return outcome
    const ignored = `octets after the message were not read: ${extra} (several messages: kind 'stream')`
    return { ...outcome, reason: outcome.reason === undefined ? ignored : `${outcome.reason}; ${ignored}` }
  } catch (error) {
    return failed(error, null)
  }
}

/** Messages up to the first that ends a session. `messages` counts them, `items` holds their values. */
function decodeStream(bytes: Uint8Array, options: DecodeOptions): Outcome {
  const items: unknown[] = []
  const messageTypes: unknown[] = []
  const decoded = (): Record<string, unknown> => ({ type: 'stream', messages: items.length, messageTypes, items })
  const framer = new Framer()
  let worst: Outcome | null = null
  try {
    framer.push(
      bytes,
      (buffer, start, end, type) => {
        const outcome = decodeMessage(buffer, start, end, type, options)
        items.push(outcome.decoded)
        messageTypes.push(outcome.decoded?.['type'])
        if (worst === null || RANK[outcome.result] > RANK[worst.result]) worst = outcome
      },
      maxOctets(options),
    )
  } catch (error) {
    return failed(error, decoded())
  }
  if (framer.pendingOctets > 0) return incomplete(`${framer.pendingOctets} octets of a further message`, decoded())
  return { ...((worst as Outcome | null) ?? OK), decoded: decoded() }
}

function decodeMessage(buffer: Uint8Array, start: number, end: number, type: number, options: DecodeOptions): Outcome {
  if (type !== MessageType.UPDATE) {
    return { ...OK, decoded: describe(decodeControlMessage(buffer, start, end, type)) }
  }
  const { value, fault } = describeUpdate(buffer, start, end, options)
  if (fault === null) return { ...OK, decoded: value }
  if (fault.approach === 'session-reset') throw new NotificationError(3, 1, fault.reason)
  return { result: fault.approach, notify: null, decoded: value, reason: fault.reason }
}

function describe(message: ControlMessage): Record<string, unknown> {
  switch (message.type) {
    case 'open':
      return {
        type: 'open',
        version: message.version,
        myAs: message.myAs,
        asn: message.asn,
        holdTime: message.holdTimeSeconds,
        bgpId: formatIpv4(message.bgpId),
        capabilities: message.capabilities.map((capability) => ({
          code: capability.code,
          value: formatHex(capability.value),
          name: capabilityName(capability.code),
          ...describeCapability(capability),
        })),
      }
    case 'notification': {
      const { code, subcode, data } = message
      const text = code === CEASE && (subcode === 2 || subcode === 4) ? shutdownText(data) : undefined
      const value = {
        type: 'notification',
        code,
        subcode,
        data: formatHex(data),
        name: notificationText(code, subcode),
      }
      return text === undefined ? value : { ...value, text }
    }
    case 'keepalive':
      return { type: 'keepalive' }
    case 'route-refresh':
      return { type: 'route-refresh', family: formatFamily(message.afi, message.safi), subtype: message.subtype }
    default:
      return unreachable(message)
  }
}

function incomplete(reason: string, decoded: Outcome['decoded']): Outcome {
  return { result: 'incomplete', notify: null, decoded, reason }
}

function failed(error: unknown, decoded: Outcome['decoded']): Outcome {
  if (!(error instanceof NotificationError)) throw error
  const { code, subcode, data, message } = error
  return { result: 'error', notify: { code, subcode, data: formatHex(data) }, decoded, reason: message }
}

function maxOctets(options: DecodeOptions): number {
  return options.extendedMessage ? 65535 : MAX_MESSAGE_OCTETS
}

function parseJson(line: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch (error) {
    throw new LineError(`the line is not JSON: ${(error as Error).message}`)
  }
}

function parseOptions(request: Readonly<Record<string, unknown>>, defaults: DecodeOptions): DecodeOptions {
  const flag = (name: 'as4' | 'ebgp' | 'extendedMessage'): boolean => {
    const value = request[name] ?? defaults[name]
    if (typeof value !== 'boolean') throw new LineError(`${name} is true or false, not ${show(value)}`)
    return value
  }
  const kind = request['kind'] ?? defaults.kind
  if (kind !== 'message' && kind !== 'stream') {
    throw new LineError(`kind is 'message' or 'stream', not ${show(kind)}`)
  }
  const addpath = request['addpath'] ?? null
  if (addpath !== null && !Array.isArray(addpath)) throw new LineError('addpath is a list of families')
  return {
    kind,
    as4: flag('as4'),
    ebgp: flag('ebgp'),
    extendedMessage: flag('extendedMessage'),
    addPath: addpath === null ? defaults.addPath : parseAddPath(addpath),
  }
}

/** Hex digits; white space and colons between octets are skipped. */
function parseHex(hex: unknown): Uint8Array {
  if (typeof hex !== 'string') throw new LineError('the line has no hex (a text of hex digits)')
  const digits = hex.replace(/[\s:]/g, '')
  const wrong = /[^0-9a-fA-F]/.exec(digits)
  if (wrong !== null) throw new LineError(`${JSON.stringify(wrong[0])} is no hex digit`)
  if (digits.length % 2 !== 0) throw new LineError(`an odd number of hex digits (${digits.length})`)
  return Buffer.from(digits, 'hex')
}

/** A value of a line, for a message about it. Never walks into it: lines may nest deeper than the stack. */
function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? value.slice(0, 40) + '…' : value)
  return typeof value === 'object' ? (Array.isArray(value) ? 'a list' : 'an object') : String(value)
}

const CEASE = 6
const OK = Object.freeze({ result: 'ok', notify: null, decoded: null } as const)
const RANK = Object.freeze({ ok: 0, 'attribute-discard': 1, 'treat-as-withdraw': 2, incomplete: 3, error: 4 })
