/**
 * What follows from a peer's OPEN. The nodes of a cluster say the same in theirs but for the BGP Identifier: the last one is kept, decoded and negotiated, so that
 * the next one that is equal to it in all other octets shares its capabilities (gain: bench/README.md, 'What was tried').
 */

import { HEADER_OCTETS, type Negotiated, type OpenMessage } from './message/message.js'
import { decodeOpen } from './message/open.js'
import { acceptOpen, type OpenSettings } from './open-check.js'

export interface OpenAnswer {
  readonly open: OpenMessage
  readonly negotiated: Negotiated
}

export class OpenAnswers {
  #octets: Uint8Array | null = null
  #answer: OpenAnswer | null = null

  /**
   * buffer[start, end) is a whole OPEN. Throws NotificationError 2/x. `settings` have to be the same in every call, but for what is no part of OpenSettings.
   */
  accept(buffer: Uint8Array, start: number, end: number, settings: OpenSettings): OpenAnswer {
    const known = this.#answer
    if (known !== null && this.#isSame(buffer, start, end)) {
      const bgpId = bgpIdAt(buffer, start)
      // Identifiers that are refused, and refused with what reason, is for the long way to say.
      if (bgpId !== 0 && bgpId !== settings.routerId)
        return { open: { ...known.open, bgpId }, negotiated: { ...known.negotiated, peerBgpId: bgpId } }
    }
    const open = decodeOpen(buffer, start, end)
    const answer = { open, negotiated: acceptOpen(open, settings) }
    this.#octets = Uint8Array.from(buffer.subarray(start, end))
    this.#answer = answer
    return answer
  }

  #isSame(buffer: Uint8Array, start: number, end: number): boolean {
    const octets = this.#octets!
    const length = octets.length
    if (end - start !== length) return false
    for (let at = HEADER_OCTETS; at < length; at++) {
      if (at === BGP_ID_AT) at += 4
      if (octets[at] !== buffer[start + at]) return false
    }
    return true
  }
}

/** u32. */
function bgpIdAt(buffer: Uint8Array, start: number): number {
  const at = start + BGP_ID_AT
  return ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!) >>> 0
}

/** Behind version, My Autonomous System and Hold Time (RFC 4271 §4.2). */
const BGP_ID_AT = HEADER_OCTETS + 5
