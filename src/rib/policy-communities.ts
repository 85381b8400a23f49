/**
 * Communities as policies name them: standard (RFC 1997) `64512:1`, large (RFC 8092) `64512:1:2`, and well-known names.
 */
import type { CommunityLists } from './policy-types.js'

/** One word is a standard community, three are a large one. */
export type Community = readonly [number] | readonly [number, number, number]

/** Null where the text is not a community. */
export function parseCommunity(text: string): Community | null {
  const known = WELL_KNOWN.get(text)
  if (known !== undefined) return [known]
  const match = COMMUNITY.exec(text)
  if (match === null) return null
  const [high, low, last] = [Number(match[1]), Number(match[2]), match[3] === undefined ? null : Number(match[3])]
  if (last === null) return high <= 0xffff && low <= 0xffff ? [(high * 65536 + low) >>> 0] : null
  return Math.max(high, low, last) <= 0xffff_ffff ? [high, low, last] : null
}

/** Well-known ones by name, so that equal communities have equal text. */
export function formatCommunity(community: Community): string {
  if (community.length === 3) return community.join(':')
  const [value] = community
  for (const [name, known] of WELL_KNOWN) if (known === value) return name
  return `${value >>> 16}:${value & 0xffff}`
}

/** In the order given, without repetitions. The texts were checked with the configuration; a wrong one throws. */
export function communityLists(texts: readonly string[]): CommunityLists {
  const standard: number[] = []
  const large: number[] = []
  for (const text of new Set(texts)) {
    const community = parseCommunity(text)
    if (community === null) throw new Error(`'${text}' is not a community`)
    if (community.length === 1) standard.push(community[0])
    else large.push(...community)
  }
  return { standard: octetsOf(standard), large: octetsOf(large) }
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

function octetsOf(words: readonly number[]): Uint8Array {
  const octets = new Uint8Array(words.length * 4)
  const view = new DataView(octets.buffer)
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word)
  return octets
}

/** RFC 1997, 3765, 7611, 7999, 8326, 9494. */
const WELL_KNOWN: ReadonlyMap<string, number> = new Map([
  ['graceful-shutdown', 0xffff0000],
  ['accept-own', 0xffff0001],
  ['llgr-stale', 0xffff0006],
  ['no-llgr', 0xffff0007],
  ['blackhole', 0xffff029a],
  ['no-export', 0xffffff01],
  ['no-advertise', 0xffffff02],
  ['no-export-subconfed', 0xffffff03],
  ['no-peer', 0xffffff04],
])
const COMMUNITY = /^(0|[1-9][0-9]{0,9}):(0|[1-9][0-9]{0,9})(?::(0|[1-9][0-9]{0,9}))?$/
