/** What has to hold of every attribute set that was taken in: it is encoded and decoded to the same value, and it can be shown. */
import { decodePathAttributes } from '../src/bgp/attributes/decode.js'
import { encodePathAttributes } from '../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../src/bgp/attributes/path-attributes.js'
import { decodeLine } from '../src/bgp/decode-json.js'
import { NotificationError } from '../src/bgp/errors.js'
import { describeUpdate } from '../src/bgp/message/describe-update.js'
import { isMartianNextHop } from '../src/rib/next-hop.js'
import { Finding } from './finding.js'
import { canonicalOf } from './model.js'

export function checkEncoding(attributes: PathAttributes): void {
  const { nextHop } = attributes
  const nextHopAttribute = nextHop !== null && nextHop.length === 4 && !isMartianNextHop(nextHop)
  const octets = encodePathAttributes(attributes, { as4: true, nextHopAttribute })
  const again = decodePathAttributes(octets, 0, octets.length, { as4: true, ebgp: false })
  if (again.fault !== null) throw new Finding('encode', `what was encoded has a fault: ${again.fault.reason}`)
  const back = nextHopAttribute ? again.attributes : { ...again.attributes, nextHop }
  for (const key of Object.keys(attributes) as (keyof PathAttributes)[]) {
    if (!isSame(attributes[key], back[key])) {
      throw new Finding('encode', `${key} ${text(attributes[key])} came back as ${text(back[key])}`)
    }
  }
  if (canonicalOf(back) !== canonicalOf(attributes)) throw new Finding('encode', 'encoded again it is not the same')
  const narrow = encodePathAttributes(attributes, { as4: false, nextHopAttribute })
  const old = decodePathAttributes(narrow, 0, narrow.length, { as4: false, ebgp: false })
  if (old.fault !== null) throw new Finding('encode', `for a 2-octet peer it has a fault: ${old.fault.reason}`)
}

/** Any octets, as `nodebgp decode --json` takes them from a line: the answer is a value, whatever they are. */
export function checkDecodeLine(bytes: Uint8Array, as4: boolean, ebgp: boolean, addPath: boolean): void {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
  const addpath = addPath ? ['ipv4-unicast', 'ipv6-unicast'] : []
  try {
    checkJson(decodeLine(JSON.stringify({ id: 1, hex, kind: 'stream', as4, ebgp, addpath, extendedMessage: true })))
  } catch (error) {
    throw error instanceof Finding ? error : new Finding('show', `decode: ${String(error)}`)
  }
}

/** An UPDATE as `nodebgp decode --json` prints it. */
export function checkDescription(
  message: Uint8Array,
  cls: { readonly as4: boolean; readonly ebgp: boolean; readonly addPath: ReadonlySet<0 | 1> },
): void {
  try {
    checkJson(describeUpdate(message, 0, message.length, cls).value)
  } catch (error) {
    if (error instanceof Finding) throw error
    if (!(error instanceof NotificationError)) throw new Finding('show', `decode: ${String(error)}`)
  }
}

/** Every value is there and is finite; the text can be read back. */
export function checkJson(value: unknown): void {
  const json = JSON.stringify(value, (key, one: unknown) => {
    if (one === undefined || (typeof one === 'number' && !Number.isFinite(one))) {
      throw new Finding('show', `${key} is ${one}`)
    }
    return one
  })
  JSON.parse(json)
}

function isSame(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, at) => isSame(one, b[at]))
  if (a !== null && b !== null && typeof a === 'object' && typeof b === 'object') {
    const keys = Object.keys(a)
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
    )
  }
  return a === b
}

function text(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : JSON.stringify(value)
}
