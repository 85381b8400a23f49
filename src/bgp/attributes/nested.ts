/**
 * Attributes that this speaker knows but does not use. Their nesting is checked, so that nothing malformed is passed on; then the optional transitive ones
 * go on as they came (known: no Partial bit is added), the non-transitive ones (AIGP, BGP-LS) end here.
 *
 * PMSI_TUNNEL (RFC 6514 §5), TUNNEL_ENCAPSULATION (RFC 9012 §13), AIGP (RFC 7311 §3), BGP-LS (RFC 9552 §8.2.2), NHC (draft-ietf-idr-nhc), PREFIX_SID (RFC 8669
 * §6; SRv6 services RFC 9252 §7), ATTR_SET (RFC 6368 §5, RFC 7606 §7.16).
 *
 * Deviation: a PREFIX_SID from an external peer is taken without having been configured (RFC 8669 §5); `discardAttributes: [PREFIX_SID]` refuses it.
 */
import type { FaultApproach } from '../errors.js'
import { AttributeType, Flags } from '../iana.js'
import type { AttributeRow, Problem } from './descriptor.js'

type Check = (buffer: Uint8Array, start: number, end: number) => string | Problem | undefined

/** Flags 1, tunnel type 1, MPLS label 3, tunnel identifier. */
export const pmsiTunnel = transitive(
  AttributeType.PMSI_TUNNEL,
  'treat-as-withdraw',
  'RFC 6514 §5',
  (_buffer, start, end) => (end - start < 5 ? `length ${end - start} is less than 5` : undefined),
)

/** TLVs of type 2, length 2; in them sub-TLVs of type 1 and length 1, or 2 for types from 128 on (RFC 9012 §2). */
export const tunnelEncapsulation = transitive(
  AttributeType.TUNNEL_ENCAPSULATION,
  'treat-as-withdraw',
  'RFC 9012 §13',
  (buffer, start, end) => {
    if (start === end) return 'no tunnel'
    return checkTlvs(buffer, start, end, TUNNEL, (_type, from, to) => {
      for (let at = from; at < to; ) {
        const header = buffer[at]! < 128 ? 2 : 3
        if (at + header > to) return 'a sub-TLV header is cut'
        const length = header === 2 ? buffer[at + 1]! : (buffer[at + 1]! << 8) | buffer[at + 2]!
        if (at + header + length > to) return `sub-TLV ${buffer[at]} of ${length} octets overruns its tunnel`
        at += header + length
      }
      return undefined
    })
  },
)

/** TLVs of type 1, length 2 that counts the header; type 1 carries 8 octets. */
export const aigp: AttributeRow = {
  type: AttributeType.AIGP,
  flags: Flags.OPTIONAL,
  onFault: 'attribute-discard',
  onWrongFlags: 'attribute-discard',
  rule: 'RFC 7311 §3',
  decode: (_draft, buffer, start, end) =>
    checkTlvs(buffer, start, end, AIGP, (type, from, to) =>
      type === 1 && to - from !== 8 ? `AIGP TLV of ${to - from + 3} octets instead of 11` : undefined,
    ),
  encode: () => null,
}

/** TLVs of type 2, length 2. */
export const bgpLs: AttributeRow = {
  type: AttributeType.BGP_LS,
  flags: Flags.OPTIONAL,
  onFault: 'attribute-discard',
  onWrongFlags: 'attribute-discard',
  rule: 'RFC 9552 §8.2.2',
  decode: (_draft, buffer, start, end) => checkTlvs(buffer, start, end, BGP_LS),
  encode: () => null,
}

/** AFI 2, SAFI 1, length of the next hop 1, next hop, then TLVs of code 2, length 2. */
export const nextHopCharacteristics = transitive(
  AttributeType.NHC,
  'attribute-discard',
  'RFC 7606 §2',
  (buffer, start, end) => {
    if (start + 4 > end) return `length ${end - start} is less than 4`
    const tlvs = start + 4 + buffer[start + 3]!
    if (tlvs > end) return `next hop of ${buffer[start + 3]} octets overruns the attribute`
    return checkTlvs(buffer, tlvs, end, NHC)
  },
)

/** TLVs of type 1, length 2. Faults within SRv6 services (types 5, 6) withdraw, all others discard the attribute. Type 0 is reserved. */
export const prefixSid = transitive(
  AttributeType.PREFIX_SID,
  'attribute-discard',
  'RFC 8669 §6',
  (buffer, start, end) => {
    if (start === end) return 'no TLV'
    let service: string | undefined
    const problem = checkTlvs(buffer, start, end, PREFIX_SID, (type, from, to) => {
      const length = to - from
      if (type === 0) return 'TLV type 0 is reserved'
      if (type === 1 && length !== 7) return `Label-Index TLV of ${length} octets instead of 7`
      if (type === 3 && (length < 8 || (length - 2) % 6 !== 0)) return `Originator SRGB TLV of ${length} octets`
      if (type === 5 || type === 6) service ??= checkSrv6Service(buffer, from, to)
      return undefined
    })
    if (service !== undefined) return { approach: 'treat-as-withdraw', text: `${service} (RFC 9252 §7)` }
    return problem
  },
)

/** The AS of the customer, then path attributes. They are not used; their lengths have to fit. */
export const attrSet = transitive(
  AttributeType.ATTR_SET,
  'treat-as-withdraw',
  'RFC 7606 §7.16',
  (buffer, start, end) => {
    if (start + 4 > end) return `length ${end - start} is less than 4`
    for (let at = start + 4; at < end; ) {
      const header = (buffer[at]! & Flags.EXTENDED_LENGTH) === 0 ? 3 : 4
      if (at + header > end) return 'the header of an inner attribute is cut'
      const type = buffer[at + 1]!
      const length = header === 3 ? buffer[at + 2]! : (buffer[at + 2]! << 8) | buffer[at + 3]!
      if (at + header + length > end) return `inner attribute ${type} of ${length} octets overruns the set`
      at += header + length
    }
    return undefined
  },
)

/** Reserved 1, then sub-TLVs of type 1, length 2: SRv6 SID Information (type 1) has 21 octets and sub-sub-TLVs of the same form. */
function checkSrv6Service(buffer: Uint8Array, start: number, end: number): string | undefined {
  if (start === end) return 'SRv6 service TLV without its reserved octet'
  return checkTlvs(buffer, start + 1, end, SRV6, (type, from, to) => {
    if (type !== 1) return undefined
    if (to - from < 21) return `SRv6 SID Information of ${to - from} octets is less than 21`
    return checkTlvs(buffer, from + 21, to, SRV6, (inner, at, until) => {
      if (inner !== 1) return undefined
      if (until - at !== 6) return `SRv6 SID Structure of ${until - at} octets instead of 6`
      // RFC 9252 §3.2.1: block, node, function and argument are parts of a 128-bit SID.
      const bits = buffer[at]! + buffer[at + 1]! + buffer[at + 2]! + buffer[at + 3]!
      return bits > 128 ? `SRv6 SID Structure of ${bits} bits is more than 128` : undefined
    })
  })
}

/** Octets of the fields, and whether the length counts them. */
interface TlvForm {
  readonly type: 1 | 2
  readonly length: 2
  readonly withHeader: boolean
}

/** What is wrong with the TLVs of buffer[start, end), or undefined. Each step goes on by at least the header. */
function checkTlvs(
  buffer: Uint8Array,
  start: number,
  end: number,
  form: TlvForm,
  check: (type: number, from: number, to: number) => string | undefined = accept,
): string | undefined {
  const header = form.type + form.length
  for (let at = start; at < end; ) {
    const value = at + header
    if (value > end) return `a TLV header is cut: ${end - at} octets are left`
    const type = form.type === 1 ? buffer[at]! : (buffer[at]! << 8) | buffer[at + 1]!
    const length = (buffer[value - 2]! << 8) | buffer[value - 1]!
    if (form.withHeader && length < header) return `TLV ${type} of ${length} octets is less than its header`
    const next = form.withHeader ? at + length : value + length
    if (next > end) return `TLV ${type} of ${length} octets overruns the attribute`
    const problem = check(type, value, next)
    if (problem !== undefined) return problem
    at = next
  }
  return undefined
}

function accept(): undefined {
  return undefined
}

function transitive(type: number, onFault: FaultApproach, rule: string, check: Check): AttributeRow {
  return {
    type,
    flags: Flags.OPTIONAL | Flags.TRANSITIVE,
    onFault,
    ...(onFault === 'attribute-discard' ? { onWrongFlags: onFault } : {}),
    rule,
    opaque: true,
    decode: (_draft, buffer, start, end) => check(buffer, start, end),
    encode: () => null,
  }
}

const TUNNEL: TlvForm = { type: 2, length: 2, withHeader: false }
const AIGP: TlvForm = { type: 1, length: 2, withHeader: true }
const BGP_LS: TlvForm = { type: 2, length: 2, withHeader: false }
const NHC: TlvForm = { type: 2, length: 2, withHeader: false }
const PREFIX_SID: TlvForm = { type: 1, length: 2, withHeader: false }
const SRV6: TlvForm = { type: 1, length: 2, withHeader: false }
