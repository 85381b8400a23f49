/** The peers that fixtures are sent by: their OPEN, and what they announce before and after. */
import { familyByName, familyRow } from '../../src/net/family.js'
import { AS_PATH, hex8, hex16, hex32, LOCAL_PREF, NEXT_HOP, nlri, ORIGIN, open, update } from './client.js'
import type { Fixture } from './fixtures.js'

export const OUR_ASN = 64512
export const EXTERNAL_ASN = 65010
/** Announced before the octets of a fixture. */
export const ROUTE = '10.66.1.0/24'
/** Announced after them: where it is heard, the session has stayed, and all before it was taken in. */
export const PROBE = '10.77.0.0/16'

/** OPEN of the fixture's peer: both families, route refresh, and what the fixture asks for. */
export function openFor({ peer, options }: Fixture, id = '127.66.0.1'): string {
  const asn = peer === 'external' ? EXTERNAL_ASN : OUR_ASN
  let capabilities = '010400010001' + '010400020001' + '0200'
  if (peer !== 'internal-as2') capabilities += `4104${hex32(asn)}`
  if (options?.extended === true) capabilities += '0600'
  const addPath = (options?.addpath ?? []).map((name) => {
    const { afi, safi } = familyRow(familyByName(name)!)
    return `${hex16(afi)}${hex8(safi)}02`
  })
  if (addPath.length > 0) capabilities += `45${hex8(addPath.length * 4)}${addPath.join('')}`
  return open({ asn, id, capabilities })
}

export function announcement({ peer, options }: Fixture, prefix: string): string {
  const attributes =
    peer === 'external'
      ? `${ORIGIN}4002060201${hex32(EXTERNAL_ASN)}${NEXT_HOP}`
      : `${ORIGIN}${AS_PATH}${NEXT_HOP}${LOCAL_PREF}`
  const pathId = options?.addpath?.includes('ipv4-unicast') === true ? '00000000' : ''
  return update('', attributes, pathId + nlri(prefix))
}
