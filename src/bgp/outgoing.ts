/**
 * Small things about outgoing messages.
 */
import { NO_DATA } from './errors.js'
import type { Link } from './link.js'
import { HEADER_OCTETS } from './message/message.js'
import { encodeNotification } from './message/notification.js'

/** How many messages lie in chunks of whole messages. */
export function countUpdates(chunks: readonly Uint8Array[]): number {
  let count = 0
  for (const chunk of chunks) {
    for (let at = 0; at + HEADER_OCTETS <= chunk.length; count++) {
      const length = (chunk[at + 16]! << 8) | chunk[at + 17]!
      at += Math.max(length, HEADER_OCTETS)
    }
  }
  return count
}

/** The data of Cease 6/2 and 6/4 with a text for the operator at the other end (RFC 9003 §2): at most 255 octets of UTF-8. */
export function shutdownData(text: string): Uint8Array {
  if (text === '') return NO_DATA
  const encoded = new Uint8Array(256)
  const { written } = new TextEncoder().encodeInto(text, encoded.subarray(1))
  encoded[0] = written
  return encoded.slice(0, 1 + written)
}

/** An unwanted connection: told why, and closed, before anything of it is read. */
export function refuse(link: Link, code: number, subcode: number, data: Uint8Array = NO_DATA): void {
  link.write([encodeNotification(code, subcode, data)], null)
  link.end()
}
