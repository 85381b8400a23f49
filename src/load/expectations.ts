/**
 * What an UPDATE of the target has to carry: the next hop that the owner of its prefixes announced (or the target's own), and attributes that
 * came through unchanged. Attribute values are compared by hash, in any order and encoding of the block.
 */
import { encodePathAttributes } from '../bgp/attributes/encode.js'
import { AttributeType, Flags } from '../bgp/iana.js'
import { wordAt } from '../net/address.js'
import { attributesOf, FIRST_CHURN_COMMUNITY } from './announce.js'
import type { Plan } from './plan.js'

/** Whose next hop it is, besides the index of a member. */
export const NextHopOwner = Object.freeze({ ANYBODY: -2, NOBODY: -1 } as const)

export class NextHops {
  readonly #plan: Plan
  /** By member, and member by the last word of its next hop. */
  readonly #announced: readonly Uint8Array[]
  readonly #byWord = new Map<number, number>()
  /** Addresses of the target, as it may set itself as next hop. */
  readonly #self: readonly Uint8Array[]

  constructor(plan: Plan, self: readonly Uint8Array[]) {
    this.#plan = plan
    this.#self = self
    this.#announced = plan.members.slice(0, plan.announcers).map((member) => plan.nextHopOf(member.index))
    for (const [member, nextHop] of this.#announced.entries()) this.#byWord.set(lastWord(nextHop), member)
  }

  /** buffer[start, end): NEXT_HOP, or the next hop of MP_REACH_NLRI; start -1 where there is none. */
  ownerOf(buffer: Uint8Array, start: number, end: number): number {
    const { expectNextHop } = this.#plan
    if (expectNextHop === 'any') return NextHopOwner.ANYBODY
    if (start < 0) return NextHopOwner.NOBODY
    // A link-local address may follow the global one (RFC 2545 §3).
    const octets = end - start === 32 ? 16 : end - start
    const member = this.#byWord.get(wordAt(buffer, start + octets - 4))
    if (member !== undefined && isSame(this.#announced[member]!, buffer, start, octets)) return member
    if (expectNextHop === 'keep') return NextHopOwner.NOBODY
    return this.#self.some((own) => isSame(own, buffer, start, octets)) ? NextHopOwner.ANYBODY : NextHopOwner.NOBODY
  }
}

/** What is read of an attribute block in one pass. One instance is reused. */
export class BlockFacts {
  nextHopStart = -1
  nextHopEnd = -1
  /** Of ORIGIN, AS_PATH, MULTI_EXIT_DISC (0 counts as absent), LOCAL_PREF and COMMUNITIES. */
  hash = 0
  /** u32; -1 absent. */
  originatorId = -1
  /** Of a churn; 0 where there is none. */
  version = 0

  /** The block's framing is known to be good. */
  read(buffer: Uint8Array, start: number, end: number): void {
    this.nextHopStart = -1
    this.nextHopEnd = -1
    this.originatorId = -1
    this.version = 0
    let hash = 0
    for (let at = start; at + 3 <= end; ) {
      const type = buffer[at + 1]!
      const isLong = (buffer[at]! & Flags.EXTENDED_LENGTH) !== 0
      const valueStart = at + (isLong ? 4 : 3)
      const length = isLong ? (buffer[at + 2]! << 8) | buffer[at + 3]! : buffer[at + 2]!
      at = Math.min(end, valueStart + length)
      switch (type) {
        case AttributeType.NEXT_HOP:
          this.nextHopStart = length === 4 ? valueStart : -1
          this.nextHopEnd = at
          break
        case AttributeType.ORIGINATOR_ID:
          if (length === 4) this.originatorId = wordAt(buffer, valueStart)
          break
        case AttributeType.MULTI_EXIT_DISC:
          if (length === 4 && wordAt(buffer, valueStart) === 0) break
          hash = (hash + hashOf(type, buffer, valueStart, at)) >>> 0
          break
        case AttributeType.COMMUNITIES:
          if (length >= 4) this.version = versionOf(wordAt(buffer, valueStart))
          hash = (hash + hashOf(type, buffer, valueStart, at)) >>> 0
          break
        case AttributeType.ORIGIN:
        case AttributeType.AS_PATH:
        case AttributeType.LOCAL_PREF:
          hash = (hash + hashOf(type, buffer, valueStart, at)) >>> 0
      }
    }
    this.hash = hash
  }
}

/** By attribute set. */
export function expectedHashes(plan: Plan): Uint32Array {
  const hashes = new Uint32Array(plan.sets)
  const facts = new BlockFacts()
  const each = plan.sets / plan.announcers
  for (let set = 0; set < plan.sets; set++) {
    const member = plan.members[Math.floor(set / each)]!
    const block = encodePathAttributes(attributesOf(plan, member, set), { as4: true, nextHopAttribute: true })
    facts.read(block, 0, block.length)
    hashes[set] = facts.hash
  }
  return hashes
}

function versionOf(community: number): number {
  const version = community - FIRST_CHURN_COMMUNITY
  return version > 0 && version < 2 ** 24 ? version : 0
}

/** FNV-1a. */
function hashOf(type: number, buffer: Uint8Array, start: number, end: number): number {
  let hash = Math.imul(0x811c9dc5 ^ type, 0x01000193)
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ buffer[at]!, 0x01000193)
  return hash ^ (hash >>> 15)
}

function isSame(address: Uint8Array, buffer: Uint8Array, start: number, octets: number): boolean {
  if (address.length !== octets) return false
  for (let i = 0; i < octets; i++) if (address[i] !== buffer[start + i]) return false
  return true
}

function lastWord(address: Uint8Array): number {
  return wordAt(address, address.length - 4)
}
