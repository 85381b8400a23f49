/**
 * Connection collision (RFC 4271 §6.8, RFC 6286 §2.3): of two connections between the same two speakers the one that the speaker with the
 * higher BGP Identifier opened stays; with equal identifiers, the one of the higher AS.
 */

/** Who opened the connection: `out` = we did. */
export type Direction = 'out' | 'in'

export interface Speaker {
  /** u32. */
  readonly bgpId: number
  readonly asn: number
}

/** The connection that stays. Both speakers come to the same one. */
export function survivor(local: Speaker, remote: Speaker): Direction {
  if (local.bgpId !== remote.bgpId) return local.bgpId > remote.bgpId ? 'out' : 'in'
  return local.asn > remote.asn ? 'out' : 'in'
}
