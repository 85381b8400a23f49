/**
 * Whole messages to values by type, for all but UPDATE (whose bytes go to the RIB; src/bgp/message/update.ts).
 */
import { InvariantError } from './errors.js'
import type { KeepaliveMessage, NotificationMessage, OpenMessage, RouteRefreshMessage } from './message/message.js'
import { MessageType } from './message/message.js'
import { decodeNotification } from './message/notification.js'
import { decodeOpen } from './message/open.js'
import { decodeRouteRefresh } from './message/route-refresh.js'

export type ControlMessage = OpenMessage | NotificationMessage | KeepaliveMessage | RouteRefreshMessage

/** buffer[start, end) is a whole message as the framer hands it out. Throws NotificationError. */
export function decodeControlMessage(buffer: Uint8Array, start: number, end: number, type: number): ControlMessage {
  switch (type) {
    case MessageType.OPEN:
      return decodeOpen(buffer, start, end)
    case MessageType.NOTIFICATION:
      return decodeNotification(buffer, start, end)
    case MessageType.KEEPALIVE:
      return { type: 'keepalive' }
    case MessageType.ROUTE_REFRESH:
      return decodeRouteRefresh(buffer, start, end)
    default:
      throw new InvariantError(`message type ${type} is not for this function`)
  }
}
