/**
 * What becomes of AS_PATH towards an external peer (RFC 4271 §5.1.2, RFC 7705 §3): before the export policy the peer's AS is replaced and private AS numbers
 * are taken off, so that what a policy prepends stays; behind it our own AS numbers come in front.
 *
 * Private AS numbers (RFC 6996) are taken off wherever they stand, but for the peer's own one: it has to find its loops.
 */
import { decodeSegments, encodeSegments, prependAs } from '../bgp/attributes/as-path.js'

export interface AsPathRules {
  /** Our own AS, shown behind localAsn (RFC 7705 §3.1); 0: only localAsn is seen. */
  readonly innerAsn: number
  /** The AS of the peers where one of the next two needs it, else 0: peers of different AS share a group otherwise. */
  readonly peerAsn: number
  /** The peer's AS in the path becomes ours, so that a site does not take another one of the same AS for a loop. */
  readonly override: boolean
  readonly removePrivate: boolean
}

export const PLAIN_AS_PATH: AsPathRules = Object.freeze({
  innerAsn: 0,
  peerAsn: 0,
  override: false,
  removePrivate: false,
})

/** The path as it came, rewritten; the same object where nothing changes. `localAsn`: the AS that the peer takes us for. */
export function rewriteAsPath(path: Uint8Array, rules: AsPathRules, localAsn: number): Uint8Array {
  const { peerAsn, override, removePrivate } = rules
  if (!override && !removePrivate) return path
  const segments = decodeSegments(path)
  const rewritten = segments.flatMap(({ type, asNumbers }) => {
    const kept = removePrivate ? asNumbers.filter((asn) => asn === peerAsn || !isPrivateAs(asn)) : asNumbers
    if (kept.length === 0) return []
    return [{ type, asNumbers: override ? kept.map((asn) => (asn === peerAsn ? localAsn : asn)) : kept }]
  })
  return encodeSegments(rewritten)
}

/** Our AS numbers in front. */
export function withOwnAs(path: Uint8Array, { innerAsn }: AsPathRules, localAsn: number): Uint8Array {
  return prependAs(path, innerAsn === 0 ? [localAsn] : [localAsn, innerAsn])
}

/** RFC 6996 §5. */
export function isPrivateAs(asn: number): boolean {
  return (asn >= 64512 && asn <= 65534) || (asn >= 4200000000 && asn <= 4294967294)
}
