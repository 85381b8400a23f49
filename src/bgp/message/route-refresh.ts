/**
 * ROUTE-REFRESH (RFC 2918 §3, subtypes RFC 7313 §3.2): AFI 2, subtype 1 (reserved in RFC 2918), SAFI 1.
 *
 * A wrong length is 7/1 with the whole message as data for BoRR and EoRR (RFC 7313 §5), else 1/2 with the length field (RFC 4271 §6.1).
 * Outbound route filters (RFC 5291) make a longer message; they are not offered, so that length is wrong too.
 */
import { NotificationError } from '../errors.js'
import { encodeMessage } from '../wire/writer.js'
import { HEADER_OCTETS, MessageType, type RouteRefreshMessage } from './message.js'

export const RefreshSubtype = Object.freeze({ REQUEST: 0, BORR: 1, EORR: 2 } as const)

export function encodeRouteRefresh(afi: number, safi: number, subtype = 0): Uint8Array {
  return encodeMessage(MessageType.ROUTE_REFRESH, (writer) => {
    writer.u16(afi)
    writer.u8(subtype)
    writer.u8(safi)
  })
}

/** buffer[start, end) is a whole message. An unknown subtype is returned as it is; RFC 7313 §5 ignores such a message. */
export function decodeRouteRefresh(buffer: Uint8Array, start: number, end: number): RouteRefreshMessage {
  const at = start + HEADER_OCTETS
  if (end - at !== BODY_OCTETS) throw wrongLength(buffer, start, end)
  return {
    type: 'route-refresh',
    afi: (buffer[at]! << 8) | buffer[at + 1]!,
    subtype: buffer[at + 2]!,
    safi: buffer[at + 3]!,
  }
}

function wrongLength(buffer: Uint8Array, start: number, end: number): NotificationError {
  const length = end - start
  const subtypeAt = start + HEADER_OCTETS + 2
  const subtype = subtypeAt < end ? buffer[subtypeAt]! : RefreshSubtype.REQUEST
  if (subtype === RefreshSubtype.BORR || subtype === RefreshSubtype.EORR) {
    const reason = `ROUTE-REFRESH of ${length} octets, not 23 (RFC 7313 §5)`
    return new NotificationError(7, 1, reason, Uint8Array.from(buffer.subarray(start, end)))
  }
  const reason = `ROUTE-REFRESH of ${length} octets, not 23 (RFC 2918 §3)`
  return new NotificationError(1, 2, reason, Uint8Array.of(length >> 8, length & 255))
}

const BODY_OCTETS = 4
