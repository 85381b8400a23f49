/**
 * All path attributes that this speaker understands, one row each, in order of type. MP_REACH_NLRI and MP_UNREACH_NLRI are cut out before
 * (src/bgp/message/update.ts). What has no row is judged by its flags (RFC 4271 §5).
 */
import { wordAt } from '../../net/address.js'
import { AttributeType, Flags } from '../iana.js'
import { aggregator, atomicAggregate } from './aggregator.js'
import { asPath } from './as-path.js'
import { localPref, multiExitDisc, nextHop, origin, originatorId } from './basic.js'
import type { AttributeRow } from './descriptor.js'
import { as4Aggregator, as4Path } from './four-octet-as.js'
import { checkItems, clusterList, communities, extCommunities, largeCommunities } from './lists.js'
import { aigp, attrSet, bgpLs, nextHopCharacteristics, pmsiTunnel, prefixSid, tunnelEncapsulation } from './nested.js'

/** RFC 5701; a bad length withdraws (RFC 7606 §7.15). */
const ipv6ExtCommunities = opaque(AttributeType.IPV6_EXTENDED_COMMUNITIES, 'RFC 7606 §7.15', (_buffer, start, end) =>
  checkItems(start, end, 20),
)

/** Only to Customer (RFC 9234 §5): one AS, malformed withdraws. */
const otc = opaque(AttributeType.OTC, 'RFC 9234 §5', (buffer, start, end) => {
  if (end - start !== 4) return `length ${end - start} is not 4`
  return wordAt(buffer, start) === 0 ? 'AS 0' : undefined
})

export const ATTRIBUTE_ROWS: readonly AttributeRow[] = Object.freeze([
  origin,
  asPath,
  nextHop,
  multiExitDisc,
  localPref,
  atomicAggregate,
  aggregator,
  communities,
  originatorId,
  clusterList,
  extCommunities,
  as4Path,
  as4Aggregator,
  pmsiTunnel,
  tunnelEncapsulation,
  ipv6ExtCommunities,
  aigp,
  bgpLs,
  largeCommunities,
  otc,
  nextHopCharacteristics,
  prefixSid,
  attrSet,
])

/** By type. */
export const ATTRIBUTE_TABLE: readonly (AttributeRow | undefined)[] = Array.from({ length: 256 }, (_, type) =>
  ATTRIBUTE_ROWS.find((row) => row.type === type),
)

/** Checked, then kept in `others` as it is (optional transitive and known: no Partial bit is added). */
function opaque(
  type: number,
  rule: string,
  check: (buffer: Uint8Array, start: number, end: number) => string | undefined,
): AttributeRow {
  return {
    type,
    flags: Flags.OPTIONAL | Flags.TRANSITIVE,
    onFault: 'treat-as-withdraw',
    rule,
    opaque: true,
    decode: (_draft, buffer, start, end) => check(buffer, start, end),
    encode: () => null,
  }
}
