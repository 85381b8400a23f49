/**
 * The attributes of RFC 4271 that are one number: ORIGIN (§5.1.1), NEXT_HOP (§5.1.3), MULTI_EXIT_DISC (§5.1.4), LOCAL_PREF (§5.1.5); and
 * ORIGINATOR_ID (RFC 4456 §8). Faults: RFC 7606 §7.1, §7.3, §7.4, §7.5, §7.9.
 */
import { octetsOfU32, wordAt } from '../../net/address.js'
import { AttributeType, Flags } from '../iana.js'
import type { AttributeRow } from './descriptor.js'
import type { DecodeClass } from './path-attributes.js'

export const origin: AttributeRow = {
  type: AttributeType.ORIGIN,
  flags: Flags.TRANSITIVE,
  onFault: 'treat-as-withdraw',
  rule: 'RFC 7606 §7.1',
  decode: (draft, buffer, start, end) => {
    if (end - start !== 1) return `length ${end - start} is not 1`
    if (buffer[start]! > 2) return `value ${buffer[start]} is none of 0, 1, 2`
    draft.origin = buffer[start]!
    return undefined
  },
  encode: ({ origin: value }) => (value < 0 ? null : Uint8Array.of(value)),
}

export const nextHop: AttributeRow = {
  type: AttributeType.NEXT_HOP,
  flags: Flags.TRANSITIVE,
  onFault: 'treat-as-withdraw',
  rule: 'RFC 7606 §7.3',
  decode: (draft, buffer, start, end) => {
    if (end - start !== 4) return `length ${end - start} is not 4`
    const first = buffer[start]!
    // RFC 4271 §6.3: must be a host address. 0/8, 127/8, 224/4 and 240/4 are none.
    if (first === 0 || first === 127 || first >= 224) return `an address in ${first}/8 is no host to send to`
    draft.nextHop = buffer.subarray(start, end)
    return undefined
  },
  encode: ({ nextHop: value }, options) =>
    options.nextHopAttribute && value !== null && value.length === 4 ? value : null,
}

export const multiExitDisc: AttributeRow = {
  type: AttributeType.MULTI_EXIT_DISC,
  flags: Flags.OPTIONAL,
  onFault: 'treat-as-withdraw',
  rule: 'RFC 7606 §7.4',
  decode: (draft, buffer, start, end) => {
    if (end - start !== 4) return `length ${end - start} is not 4`
    draft.med = wordAt(buffer, start)
    return undefined
  },
  encode: ({ med }) => (med < 0 ? null : octetsOfU32(med)),
}

export const localPref: AttributeRow = {
  type: AttributeType.LOCAL_PREF,
  flags: Flags.TRANSITIVE,
  onFault: 'treat-as-withdraw',
  rule: 'RFC 7606 §7.5',
  discard: fromExternalPeer('RFC 7606 §7.5'),
  decode: (draft, buffer, start, end) => {
    if (end - start !== 4) return `length ${end - start} is not 4`
    draft.localPref = wordAt(buffer, start)
    return undefined
  },
  encode: ({ localPref: value }) => (value < 0 ? null : octetsOfU32(value)),
}

export const originatorId: AttributeRow = {
  type: AttributeType.ORIGINATOR_ID,
  flags: Flags.OPTIONAL,
  onFault: 'treat-as-withdraw',
  rule: 'RFC 7606 §7.9',
  discard: fromExternalPeer('RFC 7606 §7.9'),
  decode: (draft, buffer, start, end) => {
    if (end - start !== 4) return `length ${end - start} is not 4`
    draft.originatorId = wordAt(buffer, start)
    return undefined
  },
  encode: ({ originatorId: value }) => (value < 0 ? null : octetsOfU32(value)),
}

/** RFC 7606 §7.5, §7.9, §7.10: these have a meaning inside of an AS only. */
export function fromExternalPeer(rule: string): (cls: DecodeClass) => string | undefined {
  const why = `not valid from an external peer (${rule})`
  return (cls) => (cls.ebgp ? why : undefined)
}
