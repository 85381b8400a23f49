/**
 * The UPDATEs that a neighbour sends, encoded before the clock starts: messages packed to 4096 octets, in chunks of up to 256 KiB.
 */
import { encodeSegments } from '../bgp/attributes/as-path.js'
import { encodePathAttributes } from '../bgp/attributes/encode.js'
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import { AttributeType, Flags, SegmentType } from '../bgp/iana.js'
import { HEADER_OCTETS, MAX_MESSAGE_OCTETS, MessageType } from '../bgp/message/message.js'
import { octetsOfU32 } from '../net/address.js'
import { Family, familyRow } from '../net/family.js'
import type { Member, Plan } from './plan.js'
import type { PrefixSpace } from './prefixes.js'
import { Random } from './random.js'

/** The attributes of a set, as its announcer sends them. The seed and the set's number decide. */
export function attributesOf(plan: Plan, member: Member, set: number): PathAttributes {
  const isTable = plan.options.workload === 'table'
  const own = isTable ? tableAttributes(plan, set) : blockAttributes(plan, set)
  const path = plan.ebgp ? [member.asn, ...own.path] : own.path
  return {
    origin: own.origin,
    asPath:
      path.length === 0 ? new Uint8Array(0) : encodeSegments([{ type: SegmentType.AS_SEQUENCE, asNumbers: path }]),
    nextHop: plan.nextHopOf(member.index),
    med: own.med,
    localPref: plan.ebgp ? -1 : 100,
    atomicAggregate: false,
    aggregator: null,
    communities: own.communities.length === 0 ? null : words(own.communities),
    extCommunities: null,
    largeCommunities: null,
    originatorId: -1,
    clusterList: null,
    others: [],
  }
}

/** All that the member announces, with End-of-RIB; in steps, since a whole table takes seconds. */
export function* announcements(plan: Plan, member: Member, as4: boolean): Generator<void, Uint8Array[]> {
  const packer = new Packer(plan.space)
  for (let from = member.from; from < member.to; ) {
    const set = plan.setOf(from)
    let to = from + 1
    while (to < member.to && plan.setOf(to) === set) to++
    packer.announce(attributesOf(plan, member, set), as4, from, to)
    if ((set & STEP_MASK) === STEP_MASK) yield
    from = to
  }
  packer.endOfRib()
  return packer.take()
}

/** Withdraws all that the member announces. */
export function withdrawals(plan: Plan, member: Member): Uint8Array[] {
  const packer = new Packer(plan.space)
  packer.withdraw(member.from, member.to)
  return packer.take()
}

/** One prefix with `version` as its only community (see churn-log.ts). */
export function churnAnnouncement(
  plan: Plan,
  member: Member,
  id: number,
  as4: boolean,
): (version: number) => Uint8Array {
  const packer = new Packer(plan.space)
  const attributes = { ...attributesOf(plan, member, plan.setOf(id)), communities: words([CHURN_MARK]) }
  packer.announce(attributes, as4, id, id + 1)
  const template = packer.take()[0]!
  const at = indexOfWord(template, CHURN_MARK)
  return (version) => {
    const message = Uint8Array.from(template)
    message.set(octetsOfU32(FIRST_CHURN_COMMUNITY + version), at)
    return message
  }
}

/** The first community of a churn is 1:0; versions stay below 2^24. */
export const FIRST_CHURN_COMMUNITY = 0x0001_0000

class Packer {
  readonly #space: PrefixSpace
  readonly #chunks: Uint8Array[] = []
  #chunk = new Uint8Array(SMALL_CHUNK)
  #at = 0

  constructor(space: PrefixSpace) {
    this.#space = space
  }

  /** Prefixes [from, to) with one set of attributes. */
  announce(attributes: PathAttributes, as4: boolean, from: number, to: number): void {
    const isIpv4 = this.#space.family === Family.IPV4_UNICAST
    const block = encodePathAttributes(attributes, { as4, nextHopAttribute: isIpv4 })
    for (let id = from; id < to; ) {
      const start = this.#begin()
      this.#u16(0)
      const lengthAt = this.#at
      this.#u16(0)
      // MP_REACH_NLRI goes first (RFC 7606 §5.1).
      const room = start + MAX_MESSAGE_OCTETS - (isIpv4 ? 0 : block.length)
      if (isIpv4) this.#bytes(block)
      else id = this.#multiprotocol(AttributeType.MP_REACH_NLRI, attributes.nextHop!, id, to, room)
      if (!isIpv4) this.#bytes(block)
      this.#patch(lengthAt, this.#at - lengthAt - 2)
      if (isIpv4) id = this.#nlri(id, to, room)
      this.#end(start)
    }
  }

  withdraw(from: number, to: number): void {
    const isIpv4 = this.#space.family === Family.IPV4_UNICAST
    for (let id = from; id < to; ) {
      const start = this.#begin()
      const lengthAt = this.#at
      const limit = start + MAX_MESSAGE_OCTETS
      if (isIpv4) {
        this.#u16(0)
        id = this.#nlri(id, to, limit - 2)
        this.#patch(lengthAt, this.#at - lengthAt - 2)
        this.#u16(0)
      } else {
        this.#u16(0)
        this.#u16(0)
        id = this.#multiprotocol(AttributeType.MP_UNREACH_NLRI, null, id, to, limit)
        this.#patch(lengthAt + 2, this.#at - lengthAt - 4)
      }
      this.#end(start)
    }
  }

  /** RFC 4724 §2. */
  endOfRib(): void {
    const start = this.#begin()
    const { family } = this.#space
    this.#u16(0)
    if (family === Family.IPV4_UNICAST) {
      this.#u16(0)
    } else {
      const { afi, safi } = familyRow(family)
      this.#u16(6)
      this.#bytes(Uint8Array.of(Flags.OPTIONAL, AttributeType.MP_UNREACH_NLRI, 3, 0, afi, safi))
    }
    this.#end(start)
  }

  take(): Uint8Array[] {
    if (this.#at > 0) this.#chunks.push(this.#chunk.slice(0, this.#at))
    this.#at = 0
    return this.#chunks
  }

  #begin(): number {
    if (this.#at + MAX_MESSAGE_OCTETS > this.#chunk.length) {
      if (this.#at > 0) this.#chunks.push(this.#chunk.slice(0, this.#at))
      if (this.#chunks.length > 0) this.#chunk = new Uint8Array(CHUNK)
      this.#at = 0
    }
    const start = this.#at
    this.#chunk.fill(255, start, start + 16)
    this.#chunk[start + 18] = MessageType.UPDATE
    this.#at = start + HEADER_OCTETS
    return start
  }

  #end(start: number): void {
    this.#patch(start + 16, this.#at - start)
  }

  /** Header, family, next hop and as many prefixes as fit; returns the first that did not. */
  #multiprotocol(type: number, nextHop: Uint8Array | null, from: number, to: number, limit: number): number {
    const { afi, safi } = familyRow(this.#space.family)
    this.#bytes(Uint8Array.of(Flags.OPTIONAL | Flags.EXTENDED_LENGTH, type))
    const lengthAt = this.#at
    this.#u16(0)
    this.#u16(afi)
    this.#u8(safi)
    if (nextHop !== null) {
      this.#u8(nextHop.length)
      this.#bytes(nextHop)
      this.#u8(0)
    }
    const next = this.#nlri(from, to, limit)
    this.#patch(lengthAt, this.#at - lengthAt - 2)
    return next
  }

  #nlri(from: number, to: number, limit: number): number {
    let id = from
    for (; id < to; id++) {
      const length = this.#space.lengthOf(id)
      const octets = (length + 7) >> 3
      if (this.#at + 1 + octets > limit) break
      this.#u8(length)
      const w0 = this.#space.w0(id)
      const w1 = this.#space.w1(id)
      for (let i = 0; i < octets; i++) this.#u8((i < 4 ? w0 >>> (24 - 8 * i) : w1 >>> (56 - 8 * i)) & 255)
    }
    return id
  }

  #u8(value: number): void {
    this.#chunk[this.#at++] = value
  }
  #u16(value: number): void {
    this.#u8(value >> 8)
    this.#u8(value & 255)
  }
  #bytes(bytes: Uint8Array): void {
    this.#chunk.set(bytes, this.#at)
    this.#at += bytes.length
  }
  #patch(at: number, value: number): void {
    this.#chunk[at] = value >> 8
    this.#chunk[at + 1] = value & 255
  }
}

interface SetShape {
  readonly origin: number
  readonly path: readonly number[]
  readonly med: number
  readonly communities: readonly number[]
}

/** Pod blocks: nothing but what tells an announcer's sets apart. */
function blockAttributes(plan: Plan, set: number): SetShape {
  const each = plan.sets / plan.announcers
  return { origin: 0, path: [], med: -1, communities: each === 1 ? [] : [0x03e8_0000 + (set % each)] }
}

/** As in the Internet's table: paths of 2 to 7 ASes, 30 % with a MED, 70 % with 1 to 8 communities. */
function tableAttributes(plan: Plan, set: number): SetShape {
  const random = new Random(plan.options.seed + Math.imul(set + 1, 0x9e3779b1))
  const path: number[] = []
  for (let hops = 2 + random.below(6); path.length < hops; ) {
    const asn = random.chance(0.7) ? 1000 + random.below(22_000) : 131_072 + random.below(300_000)
    // The target would see a loop in a path with its own AS.
    if (asn !== plan.options.asn) path.push(asn)
  }
  const communities: number[] = []
  for (let count = random.chance(0.7) ? 1 + random.below(8) : 0; communities.length < count; ) {
    communities.push((1000 + random.below(60_000)) * 65536 + random.below(65_536))
  }
  return {
    origin: random.chance(0.85) ? 0 : 2,
    path,
    med: random.chance(0.3) ? 1 + random.below(1000) : -1,
    communities: [...new Set(communities)].sort((a, b) => a - b),
  }
}

function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4)
  const view = new DataView(bytes.buffer)
  for (const [at, value] of values.entries()) view.setUint32(at * 4, value)
  return bytes
}

function indexOfWord(bytes: Uint8Array, word: number): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(Buffer.from(octetsOfU32(word)))
}

/** Stands where the version goes; no other octets of a message look like it. */
const CHURN_MARK = 0xbadc_0ffe
/** Sets encoded in one step, less one. */
const STEP_MASK = 255
const SMALL_CHUNK = 2 * MAX_MESSAGE_OCTETS
const CHUNK = 256 * 1024
