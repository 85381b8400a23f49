/**
 * Communities as policies use them: what was written (`64512:1`, `64512:1:2`, `no-export`) as octets, and set arithmetic on those octets.
 */

import {
  formatCommunities,
  formatLargeCommunities,
  parseCommunity,
  parseLargeCommunity,
} from '../bgp/attributes/text.js'
import { octetsOfU32 } from '../net/address.js'
import type { CommunityLists } from './policy-types.js'

/** In the order given, without repetitions. Throws an Error where one of the texts is not a community. */
export function communityLists(texts: readonly string[]): CommunityLists {
  let standard: Uint8Array = EMPTY
  let large: Uint8Array = EMPTY
  for (const text of texts) {
    if (text.split(':').length === 3) large = union(large, parseLargeCommunity(text), LARGE_OCTETS)
    else standard = union(standard, octetsOfU32(parseCommunity(text)), STANDARD_OCTETS)
  }
  return { standard, large }
}

/** Equal communities have equal text: numbers only. */
export function canonicalCommunity(text: string): string {
  const { standard, large } = communityLists([text])
  return (formatCommunities(standard)[0] ?? formatLargeCommunities(large)[0])!
}

/** True where one of the elements of `wanted` is in `list`; both hold elements of `size` octets. */
export function hasAny(list: Uint8Array | null, wanted: Uint8Array, size: number): boolean {
  if (list === null) return false
  for (let i = 0; i + size <= wanted.length; i += size) if (indexOf(list, wanted, i, size) >= 0) return true
  return false
}

/** The elements of `list` that are not in `removed`, in their order. */
export function without(list: Uint8Array, removed: Uint8Array, size: number): Uint8Array {
  const kept: number[] = []
  for (let i = 0; i + size <= list.length; i += size) {
    if (indexOf(removed, list, i, size) < 0) for (let k = 0; k < size; k++) kept.push(list[i + k]!)
  }
  return kept.length === list.length ? list : Uint8Array.from(kept)
}

/** `list` with what it lacks of `added` behind it; the order received stays. */
export function union(list: Uint8Array, added: Uint8Array, size: number): Uint8Array {
  const more = without(added, list, size)
  if (more.length === 0) return list
  const result = new Uint8Array(list.length + more.length)
  result.set(list)
  result.set(more, list.length)
  return result
}

function indexOf(list: Uint8Array, element: Uint8Array, offset: number, size: number): number {
  for (let i = 0; i + size <= list.length; i += size) {
    let same = 0
    while (same < size && list[i + same] === element[offset + same]) same++
    if (same === size) return i
  }
  return -1
}

export const STANDARD_OCTETS = 4
export const LARGE_OCTETS = 12
const EMPTY: Uint8Array = new Uint8Array(0)
