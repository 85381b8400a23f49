/** Messages of neighbours that are played by hand: sent as they are through raw-client.ts, and what came back, one by one. */
import { fileURLToPath } from 'node:url'
import { runIn } from './daemons/process.js'
import type { Host } from './daemons/segment.js'
import { RAW_CLIENT } from './raw-client.js'

export const MARKER = 'ff'.repeat(16)
export const KEEPALIVE = `${MARKER}001304`

export interface OpenFields {
  readonly asn: number
  readonly version?: number
  readonly holdTimeSeconds?: number
}

/** OPEN without capabilities, 29 octets: an old speaker of IPv4 with 2-octet AS numbers. */
export function rawOpen(identifier: string, { asn, version = 4, holdTimeSeconds = 9 }: OpenFields): string {
  const octets = Buffer.alloc(10)
  octets[0] = version
  octets.writeUInt16BE(asn, 1)
  octets.writeUInt16BE(holdTimeSeconds, 3)
  octets.set(identifier.split('.').map(Number), 5)
  return `${MARKER}001d01${octets.toString('hex')}`
}

export interface RawMessage {
  readonly type: number
  readonly body: Buffer
}

/** What came back until the connection ended; `end` as in raw-client.ts. Octets that make no whole message are left out. */
export async function rawSession(
  from: { readonly host: Host; readonly address: string },
  to: Host,
  end: string,
  chunks: readonly string[],
): Promise<RawMessage[]> {
  const client = [fileURLToPath(RAW_CLIENT), from.address, to.v4, end, ...chunks]
  const received = Buffer.from((await runIn(from.host.netns, process.execPath, ...client)).trim(), 'hex')
  const found: RawMessage[] = []
  let at = 0
  while (at + 19 <= received.length) {
    const next = at + Math.max(19, received.readUInt16BE(at + 16))
    if (next <= received.length) found.push({ type: received[at + 18]!, body: received.subarray(at + 19, next) })
    at = next
  }
  return found
}

/** Hex of the path attributes of the UPDATE with this NLRI, which stands alone in it; undefined when there is none. */
export function attributesOf(messages: readonly RawMessage[], nlri: string): string | undefined {
  const found = messages.filter(({ type, body }) => type === 2 && body.toString('hex').endsWith(nlri))
  if (found.length > 1) throw new Error(`${nlri} was sent ${found.length} times`)
  return found[0]?.body.toString('hex', 4, 4 + found[0].body.readUInt16BE(2))
}

/** One AS_SEQUENCE of 2-octet AS numbers. */
export function asPath(path: readonly number[]): string {
  const value = `02${octets(path.length, 1)}${path.map((asn) => octets(asn, 2)).join('')}`
  return `4002${octets(value.length / 2, 1)}${value}`
}
/** The same with 4 octets: optional transitive, type 17. */
export function as4Path(path: readonly number[]): string {
  const value = `02${octets(path.length, 1)}${path.map((asn) => octets(asn, 4)).join('')}`
  return `c011${octets(value.length / 2, 1)}${value}`
}
function octets(value: number, count: number): string {
  return value.toString(16).padStart(2 * count, '0')
}
