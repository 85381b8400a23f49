/**
 * Address families (RFC 4760 §3). A family is a small integer inside (an index into arrays) and AFI/SAFI on the wire.
 */
export const Family = Object.freeze({ IPV4_UNICAST: 0, IPV6_UNICAST: 1 } as const)
export type Family = (typeof Family)[keyof typeof Family]

export type FamilyName = 'ipv4-unicast' | 'ipv6-unicast'

export interface FamilyRow {
  readonly family: Family
  readonly name: FamilyName
  readonly afi: number
  readonly safi: number
  /** Octets of an address: 4 or 16. */
  readonly addressOctets: number
}

export const FAMILIES: readonly FamilyRow[] = Object.freeze([
  { family: Family.IPV4_UNICAST, name: 'ipv4-unicast', afi: 1, safi: 1, addressOctets: 4 },
  { family: Family.IPV6_UNICAST, name: 'ipv6-unicast', afi: 2, safi: 1, addressOctets: 16 },
])

export const FAMILY_COUNT = FAMILIES.length

/** The family of an AFI and SAFI, or undefined where this speaker has no table for it. */
export function familyOf(afi: number, safi: number): Family | undefined {
  if (safi !== 1) return undefined
  return afi === 1 ? Family.IPV4_UNICAST : afi === 2 ? Family.IPV6_UNICAST : undefined
}

export function familyRow(family: Family): FamilyRow {
  return FAMILIES[family]!
}

export function familyByName(name: string): Family | undefined {
  return FAMILIES.find((row) => row.name === name)?.family
}

/** Name for people: `ipv4-unicast`, or `afi/safi` where the family is not one of ours. */
export function formatFamily(afi: number, safi: number): string {
  const family = familyOf(afi, safi)
  return family === undefined ? `${afi}/${safi}` : familyRow(family).name
}
