/**
 * What peers did wrong: counted per peer, kept for `show errors`, logged (thinned per peer and rule).
 */
import type { ErrorView } from '../api/types.js'
import { type ErrorAction, type ErrorDetail, type ErrorEntry, ErrorLog } from '../bgp/error-log.js'
import { type AttributeFault, NO_DATA, type NotificationError } from '../bgp/errors.js'
import { attributeName } from '../bgp/iana.js'
import { type FaultPlace, faultyOctets, faultyPrefixes } from '../bgp/message/fault-place.js'
import { HEADER_OCTETS, MessageType } from '../bgp/message/message.js'
import { notificationText } from '../bgp/message/notification.js'
import type { Peer } from '../bgp/peer.js'
import { messageName } from '../bgp/reason.js'
import type { Log } from '../log.js'
import { WallClock } from './wall-clock.js'

export class PeerErrors {
  readonly #errors = new ErrorLog()
  readonly #wallClock = new WallClock()
  readonly #log: Log
  readonly #nowMs: () => number

  constructor(log: Log, nowMs: () => number = () => performance.now()) {
    this.#log = log
    this.#nowMs = nowMs
  }

  /** RFC 7606: the session stays. */
  fault(peer: Peer, fault: AttributeFault, place: FaultPlace, addPath: boolean): void {
    const { counters } = peer
    counters.updateErrors++
    if (fault.approach === 'attribute-discard') counters.attributesDiscarded++
    else counters.treatedAsWithdraw++
    const entry = this.#record(peer, fault.approach, 'UPDATE', fault.attribute, fault.reason, null, () => {
      const { first, count } = faultyPrefixes(place, addPath, PREFIXES_KEPT)
      const whole = place.buffer.subarray(place.messageStart, place.messageEnd)
      return { octets: faultyOctets(place, fault), whole, prefixes: first, prefixCount: count }
    })
    const { action, rule, reason, octets, prefixes, whole } = entry
    this.#log.write('session-update-error', {
      peer: peer.name,
      action,
      rule,
      reason,
      ...(octets === '' ? {} : { octets }),
      ...(prefixes[0] === undefined ? {} : { prefix: prefixes[0] }),
      // Only made for lines that are written.
      get update() {
        return hex(whole)
      },
    })
  }

  familyIgnored(peer: Peer, afi: number, safi: number): void {
    peer.counters.familiesIgnored++
    const entry = this.#record(
      peer,
      'family-ignored',
      'UPDATE',
      -1,
      `routes of AFI ${afi} SAFI ${safi}, which was not negotiated, are left out (RFC 4760 §8)`,
      null,
      () => NO_DETAIL,
    )
    const { rule, reason } = entry
    this.#log.write('session-update-error', { peer: peer.name, action: 'family-ignored', rule, reason })
  }

  /** What the peer sent ended the session. The line of its state change says so in the log. */
  sessionReset(peer: Peer, error: NotificationError, octets: Uint8Array): void {
    const { code, subcode, attribute } = error
    const message = code === 1 ? 'header' : messageName(octets[HEADER_OCTETS - 1] ?? 0)
    this.#record(peer, 'session-reset', message, attribute, error.message, { code, subcode }, () => ({
      ...NO_DETAIL,
      whole: octets,
      octets: attribute >= 0 && error.data.length > 0 ? error.data : faultyPart(octets, error),
    }))
  }

  /** RFC 9384: no message of the peer did it. */
  bfdDown(peer: Peer, error: NotificationError): void {
    const { code, subcode, message } = error
    this.#record(peer, 'session-reset', 'BFD', -1, message, { code, subcode }, () => NO_DETAIL)
  }

  /** Newest first; of one peer by name or address, or of all. */
  views(nameOrAddress?: string): ErrorView[] {
    return this.#errors
      .entries()
      .filter(({ peer, address }) => nameOrAddress === undefined || peer === nameOrAddress || address === nameOrAddress)
      .map((entry) => this.#view(entry))
  }

  #record(
    peer: Peer,
    action: ErrorAction,
    message: string,
    attribute: number,
    reason: string,
    notification: ErrorEntry['notification'],
    detail: () => ErrorDetail,
  ): ErrorEntry {
    const { name, address } = peer
    const fact = { peer: name, address, message, action, attribute, reason, notification, atMs: this.#nowMs() }
    return this.#errors.record(fact, detail)
  }

  #view(entry: ErrorEntry): ErrorView {
    const { firstAtMs, lastAtMs, attribute, notification, whole, wholeLength, ...rest } = entry
    return {
      time: this.#wallClock.text(lastAtMs),
      firstTime: this.#wallClock.text(firstAtMs),
      ...rest,
      attribute: attribute < 0 ? null : attribute,
      attributeName: attribute < 0 ? null : attributeName(attribute),
      notification:
        notification === null
          ? null
          : { ...notification, name: notificationText(notification.code, notification.subcode) },
      messageOctets: hex(whole),
      messageLength: wholeLength,
    }
  }
}

/** The attribute of an UPDATE that is to blame, else the whole message. */
function faultyPart(message: Uint8Array, { attribute, message: reason }: NotificationError): Uint8Array {
  if (attribute < 0 || message[HEADER_OCTETS - 1] !== MessageType.UPDATE) return message
  const lengthAt = HEADER_OCTETS + 2 + (((message[HEADER_OCTETS] ?? 0) << 8) | (message[HEADER_OCTETS + 1] ?? 0))
  const attributesEnd = lengthAt + 2 + (((message[lengthAt] ?? 0) << 8) | (message[lengthAt + 1] ?? 0))
  if (attributesEnd > message.length) return message
  const place = { buffer: message, attributesStart: lengthAt + 2, attributesEnd }
  const found = faultyOctets(place, { attribute, reason })
  return found.length > 0 ? found : message
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('hex')
}

const NO_DETAIL: ErrorDetail = Object.freeze({ octets: NO_DATA, whole: NO_DATA, prefixes: [], prefixCount: 0 })
const PREFIXES_KEPT = 5
