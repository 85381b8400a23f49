/**
 * Encodes an attribute set in canonical form: ascending type, extended length only where needed, low nibble of the flags zero. MP_REACH_NLRI
 * and MP_UNREACH_NLRI are the update packer's.
 *
 * The values are collected first, then written into octets of the right length.
 */
import { Flags } from '../iana.js'
import { attributeOctets, type EncodeOptions, MAX_VALUE_OCTETS, writeAttribute } from './descriptor.js'
import type { OtherAttribute, PathAttributes } from './path-attributes.js'
import { ATTRIBUTE_ROWS } from './table.js'

export function encodePathAttributes(attributes: PathAttributes, options: EncodeOptions): Uint8Array {
  const chosen: OtherAttribute[] = []
  const others = attributes.others
  let next = 0
  for (const row of ATTRIBUTE_ROWS) {
    while (next < others.length && others[next]!.type <= row.type) chosen.push(others[next++]!)
    const value = row.encode(attributes, options)
    if (value !== null) chosen.push({ type: row.type, flags: row.flags, value })
  }
  while (next < others.length) chosen.push(others[next++]!)
  let length = 0
  for (const { value } of chosen) length += attributeOctets(value)
  const octets = new Uint8Array(length)
  let at = 0
  for (const { flags, type, value } of chosen) at = writeAttribute(octets, at, flags & KEPT_FLAGS, type, value)
  return octets
}

/** False where a policy or our own AS made a list longer than its length field can name; encodePathAttributes throws then. */
export function isEncodable(attributes: PathAttributes): boolean {
  const { asPath, communities, extCommunities, largeCommunities, clusterList } = attributes
  const lists = [asPath, communities, extCommunities, largeCommunities, clusterList]
  return lists.every((list) => list === null || list.length <= MAX_VALUE_OCTETS)
}

const KEPT_FLAGS = Flags.OPTIONAL | Flags.TRANSITIVE | Flags.PARTIAL
