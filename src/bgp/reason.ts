/**
 * Why sessions end, in words.
 */
import { CEASE, HARD_RESET } from './graceful.js'
import { MessageType } from './message/message.js'
import { notificationText, shutdownText } from './message/notification.js'
import type { DownReason } from './session-types.js'

/** `NOTIFICATION 6/2 (Cease/Administrative Shutdown) "maintenance until 14:00"`. */
export function describeNotification(code: number, subcode: number, data: Uint8Array): string {
  // RFC 8538 §3: the NOTIFICATION that it stands for is its data.
  if (code === CEASE && subcode === HARD_RESET && data.length >= 2)
    return `NOTIFICATION ${code}/${subcode} (${notificationText(code, subcode)}): ${describeInner(data)}`
  const text = code === 6 && (subcode === 2 || subcode === 4) ? shutdownText(data) : undefined
  const said = text !== undefined ? ` "${text}"` : ''
  return `NOTIFICATION ${code}/${subcode} (${notificationText(code, subcode)})${said}`
}

function describeInner(data: Uint8Array): string {
  const [code = 0, subcode = 0] = data
  // Never one inside of another: such a thing is shown by its numbers.
  if (code === CEASE && subcode === HARD_RESET) return `${code}/${subcode}`
  return describeNotification(code, subcode, data.subarray(2)).replace(/^NOTIFICATION /, '')
}

/** The kind of end that a NOTIFICATION of ours stands for. */
export function downKind(code: number, subcode: number): DownReason['kind'] {
  if (code === 4) return 'hold-timer'
  if (code === 8) return 'send-hold-timer'
  if (code !== 6) return 'notification-sent'
  return CEASE_KINDS[subcode] ?? 'notification-sent'
}

/** RFC 4486 §3. */
const CEASE_KINDS: { readonly [subcode: number]: DownReason['kind'] } = Object.freeze({
  1: 'max-prefix',
  2: 'admin',
  3: 'admin',
  4: 'admin',
  6: 'reconfigured',
  7: 'collision',
  // RFC 9384.
  10: 'bfd',
})

/** Ends that are the peer's or our fault in the protocol: only these are answered with the back-off, not with ConnectRetryTime. */
export function isProtocolError(reason: DownReason): boolean {
  if (reason.kind === 'max-prefix' || reason.kind === 'notification-sent') return true
  if (reason.kind !== 'notification-received') return false
  // Cease, expired timers: the peer is restarting, busy or told to.
  return reason.code !== 6 && reason.code !== 4 && reason.code !== 8
}

/** Ends that we brought about ourselves: they say nothing about how steady the peer is. */
export function isOurDoing(reason: DownReason): boolean {
  return reason.kind === 'admin' || reason.kind === 'reconfigured' || reason.kind === 'collision'
}

/** RFC 5492 §3: the peer knows no capabilities and wants an OPEN without optional parameters. */
export function refusesCapabilities(reason: DownReason): boolean {
  return reason.kind === 'notification-received' && reason.code === 2 && reason.subcode === 4
}

/** RFC 4271 §6.2, Bad Peer AS: the peer takes us for another AS. */
export function refusesAsn(reason: DownReason): boolean {
  return reason.kind === 'notification-received' && reason.code === 2 && reason.subcode === 2
}

/** By the type octet of a header. */
export function messageName(type: number): string {
  return (
    Object.entries(MessageType)
      .find(([, value]) => value === type)?.[0]
      .replace('_', '-') ?? `message type ${type}`
  )
}
