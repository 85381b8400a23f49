/**
 * NOTIFICATION (RFC 4271 §4.5). Codes and subcodes for people, and the shutdown text of RFC 9003. Its content is never an error: a
 * NOTIFICATION is not answered.
 */
import { printable } from '../wire/text.js'
import { encodeMessage } from '../wire/writer.js'
import { HEADER_OCTETS, MessageType, type NotificationMessage } from './message.js'

export function encodeNotification(code: number, subcode: number, data: Uint8Array): Uint8Array {
  return encodeMessage(MessageType.NOTIFICATION, (writer) => {
    writer.u8(code)
    writer.u8(subcode)
    writer.bytes(data.length <= MAX_DATA_OCTETS ? data : data.subarray(0, MAX_DATA_OCTETS))
  })
}

/** buffer[start, end) is a whole message of at least 21 octets. The data is a copy. */
export function decodeNotification(buffer: Uint8Array, start: number, end: number): NotificationMessage {
  const at = start + HEADER_OCTETS
  return {
    type: 'notification',
    code: at < end ? buffer[at]! : 0,
    subcode: at + 1 < end ? buffer[at + 1]! : 0,
    data: Uint8Array.from(buffer.subarray(Math.min(at + 2, end), end)),
  }
}

/** `Cease/Administrative Shutdown`; unknown numbers as `Cease/subcode 77`, `code 99/subcode 1`. */
export function notificationText(code: number, subcode: number): string {
  const row = CODES.get(code)
  if (row === undefined) return `code ${code}/subcode ${subcode}`
  if (subcode === 0) return row.name
  const name = row.subcodes.get(subcode)
  return `${row.name}/${name ?? `subcode ${subcode}`}`
}

/**
 * The operator's text in the data of Cease 6/2 or 6/4 (RFC 9003 §2): length octet, then UTF-8. Control characters become spaces; undefined
 * where there is none or its length does not fit.
 */
export function shutdownText(data: Uint8Array): string | undefined {
  const length = data[0] ?? 0
  if (length === 0 || length > data.length - 1) return undefined
  return printable(new TextDecoder().decode(data.subarray(1, 1 + length)))
}

interface CodeRow {
  readonly name: string
  readonly subcodes: ReadonlyMap<number, string>
}

function row(name: string, subcodes: Readonly<Record<number, string>> = {}): CodeRow {
  return { name, subcodes: new Map(Object.entries(subcodes).map(([number, text]) => [Number(number), text])) }
}

const MAX_DATA_OCTETS = 4096 - 21

/** BGP Error (Notification) Codes and Subcodes, as assigned. */
const CODES: ReadonlyMap<number, CodeRow> = new Map([
  [
    1,
    row('Message Header Error', {
      1: 'Connection Not Synchronized',
      2: 'Bad Message Length',
      3: 'Bad Message Type',
    }),
  ],
  [
    2,
    row('OPEN Message Error', {
      1: 'Unsupported Version Number',
      2: 'Bad Peer AS',
      3: 'Bad BGP Identifier',
      4: 'Unsupported Optional Parameter',
      5: 'Authentication Failure (deprecated)',
      6: 'Unacceptable Hold Time',
      7: 'Unsupported Capability',
      11: 'Role Mismatch',
    }),
  ],
  [
    3,
    row('UPDATE Message Error', {
      1: 'Malformed Attribute List',
      2: 'Unrecognized Well-known Attribute',
      3: 'Missing Well-known Attribute',
      4: 'Attribute Flags Error',
      5: 'Attribute Length Error',
      6: 'Invalid ORIGIN Attribute',
      7: 'AS Routing Loop (deprecated)',
      8: 'Invalid NEXT_HOP Attribute',
      9: 'Optional Attribute Error',
      10: 'Invalid Network Field',
      11: 'Malformed AS_PATH',
    }),
  ],
  [4, row('Hold Timer Expired')],
  [
    5,
    row('Finite State Machine Error', {
      1: 'Receive Unexpected Message in OpenSent State',
      2: 'Receive Unexpected Message in OpenConfirm State',
      3: 'Receive Unexpected Message in Established State',
    }),
  ],
  [
    6,
    row('Cease', {
      1: 'Maximum Number of Prefixes Reached',
      2: 'Administrative Shutdown',
      3: 'Peer De-configured',
      4: 'Administrative Reset',
      5: 'Connection Rejected',
      6: 'Other Configuration Change',
      7: 'Connection Collision Resolution',
      8: 'Out of Resources',
      9: 'Hard Reset',
      10: 'BFD Down',
    }),
  ],
  [7, row('ROUTE-REFRESH Message Error', { 1: 'Invalid Message Length' })],
  [8, row('Send Hold Timer Expired')],
  [9, row('Loss of LSDB Synchronization')],
])
