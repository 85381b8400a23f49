/**
 * Communities as text (RFC 1997, 8092, 4360). On output numbers only: `64512:1`, `64512:1:2`, 16 hex digits.
 */
import { octetsOfU32, wordAt } from '../../net/address.js'
import { WELL_KNOWN_COMMUNITIES } from '../iana.js'

/** 4n octets. */
export function formatCommunities(list: Uint8Array): string[] {
  const texts: string[] = []
  for (let at = 0; at + 4 <= list.length; at += 4) texts.push(formatCommunity(wordAt(list, at)))
  return texts
}

export function formatCommunity(value: number): string {
  return `${value >>> 16}:${value & 0xffff}`
}

/** u32 of `64512:1` or a well-known name such as `no-export`. Throws an Error that names the text. */
export function parseCommunity(text: string): number {
  const known = WELL_KNOWN_COMMUNITIES.get(text.toLowerCase())
  if (known !== undefined) return known
  const match = /^(\d{1,5}):(\d{1,5})$/.exec(text)
  const high = Number(match?.[1])
  const low = Number(match?.[2])
  if (match === null || high > 65535 || low > 65535) {
    throw new Error(
      `'${text}' is not a community (examples: 64512:1, ${[...WELL_KNOWN_COMMUNITIES.keys()].slice(-5).join(', ')})`,
    )
  }
  return high * 65536 + low
}

/** 12n octets. */
export function formatLargeCommunities(list: Uint8Array): string[] {
  const texts: string[] = []
  for (let at = 0; at + 12 <= list.length; at += 12) {
    texts.push(`${wordAt(list, at)}:${wordAt(list, at + 4)}:${wordAt(list, at + 8)}`)
  }
  return texts
}

/** 12 octets of `64512:1:2`. Throws an Error that names the text. */
export function parseLargeCommunity(text: string): Uint8Array {
  const parts = /^\d{1,10}:\d{1,10}:\d{1,10}$/.test(text) ? text.split(':').map(Number) : []
  if (parts.length !== 3 || parts.some((part) => part > 0xffffffff)) {
    throw new Error(`'${text}' is not a large community (example: 64512:1:2)`)
  }
  const bytes = new Uint8Array(12)
  parts.forEach((part, i) => {
    bytes.set(octetsOfU32(part), i * 4)
  })
  return bytes
}

/** 8n octets; each as 16 hex digits. */
export function formatExtCommunities(list: Uint8Array): string[] {
  const texts: string[] = []
  for (let at = 0; at + 8 <= list.length; at += 8) texts.push(formatHex(list.subarray(at, at + 8)))
  return texts
}

/** 8 octets of 16 hex digits. Throws an Error that names the text. */
export function parseExtCommunity(text: string): Uint8Array {
  if (!/^[0-9a-fA-F]{16}$/.test(text)) {
    throw new Error(`'${text}' is not an extended community as 16 hex digits (example: 0002fc0000000001)`)
  }
  return Uint8Array.from(Buffer.from(text, 'hex'))
}

export function formatHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
