/** KEEPALIVE (RFC 4271 §4.4): the header alone. The octets are shared: nobody writes into them. */
import { encodeMessage } from '../wire/writer.js'
import { MessageType } from './message.js'

export const KEEPALIVE_BYTES: Uint8Array = encodeMessage(MessageType.KEEPALIVE, () => {}, 0)
