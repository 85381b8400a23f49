/**
 * The naive twin of Adj-RIB-In: one plain map for each peer, filled by reading each UPDATE the slow way (RFC 4271 §4.3, RFC 4760, RFC 7606, RFC 7911). Only
 * the attribute decoder is shared with the speaker; where the parts of an UPDATE lie, what is reachable, what is thrown and which state a path has is said
 * here once more.
 */
import { asPathContains, decodeSegments, firstAs } from '../src/bgp/attributes/as-path.js'
import { decodePathAttributes, faultOfUpdate, missingMandatory } from '../src/bgp/attributes/decode.js'
import { encodePathAttributes } from '../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../src/bgp/attributes/path-attributes.js'
import { Role } from '../src/bgp/capabilities/offer.js'
import type { AttributeFault } from '../src/bgp/errors.js'
import type { Family } from '../src/net/family.js'
import { formatPrefix } from '../src/net/prefix.js'
import type { AttributeRules } from '../src/rib/attribute-rules.js'
import { isMartianNextHop } from '../src/rib/next-hop.js'
import { PathState } from '../src/rib/path-state.js'
import { MAX_PATHS_OF_PREFIX } from '../src/rib/rib.js'
import { concat, NONE } from './update-tree.js'

export interface ModelSpeaker {
  readonly asn: number
  readonly routerId: number
  readonly clusterId: number
}

/** What was negotiated with a peer. */
export interface ModelPeer {
  readonly external: boolean
  readonly asn: number
  readonly as4: boolean
  /** Bit n for each negotiated family. */
  readonly families: number
  /** Bit n: its NLRI of family n carry path identifiers. */
  readonly addPath: number
  readonly extendedNextHop: boolean
  /** What we are for it (RFC 9234); null: no roles. */
  readonly role: Role | null
  readonly rules: AttributeRules
}

export interface ModelSet {
  /** Without what the operator takes off. */
  readonly attributes: PathAttributes
  readonly state: PathState
  /** Canonical octets and next hop of what was received, and of what is left of it. */
  readonly canonical: string
  readonly effective: string
}

interface Decoded {
  readonly attributes: PathAttributes
  readonly fault: AttributeFault | null
  readonly present: number
  readonly asSets: boolean
}

/** Ends the session with this NOTIFICATION. */
class Reset {
  readonly notification: string
  constructor(notification: string) {
    this.notification = notification
  }
}

interface Multiprotocol {
  readonly family: Family | undefined
  readonly nextHop: Uint8Array
  readonly nlri: Uint8Array
}

export class ModelTable {
  /** `family prefix`, with `@pathId` where it is not 0. */
  readonly routes = new Map<string, ModelSet>()
  readonly #counts = new Map<string, number>()
  readonly #speaker: ModelSpeaker
  readonly #peer: ModelPeer

  constructor(speaker: ModelSpeaker, peer: ModelPeer) {
    this.#speaker = speaker
    this.#peer = peer
  }

  /** Code and subcode of the NOTIFICATION that ends the session, or null. */
  update(message: Uint8Array): string | null {
    try {
      this.#update(message)
      return null
    } catch (error) {
      if (error instanceof Reset) return error.notification
      throw error
    }
  }

  #update(message: Uint8Array): void {
    const withdrawn = field16(message, 19)
    const attributes = field16(message, 21 + withdrawn.length)
    const nlri = message.subarray(23 + withdrawn.length + attributes.length)
    const block = this.#readBlock(attributes)
    const { reach, unreach } = block
    const reachable = nlri.length > 0 || (reach !== null && reach.nlri.length > 0)
    const onlyUnreach = unreach !== null && block.count === 1
    if (block.fault !== null && !reachable && !onlyUnreach) throw new Reset('3/1')
    const negotiated = (family: Family | undefined): family is Family =>
      family !== undefined && (this.#peer.families & (1 << family)) !== 0
    if (negotiated(0)) for (const route of this.#prefixes(0, withdrawn, '3/10')) this.#withdraw(route)
    if (unreach !== null && negotiated(unreach.family)) {
      for (const route of this.#prefixes(unreach.family, unreach.nlri, '3/9')) this.#withdraw(route)
    }
    if (!reachable) {
      if (attributes.length === 0 || onlyUnreach) return
      const { fault } = this.#decode(this.#filtered(block.rest), null)
      if (fault !== null && fault.approach !== 'attribute-discard') throw new Reset('3/1')
      return
    }
    if (nlri.length > 0 && negotiated(0)) this.#announce(0, nlri, block.rest, null, block.fault, '3/10')
    if (reach !== null && negotiated(reach.family)) {
      this.#announce(reach.family, reach.nlri, block.rest, reach.nextHop, block.fault, '3/9')
    }
  }

  #announce(
    family: Family,
    nlri: Uint8Array,
    rest: Uint8Array,
    nextHop: Uint8Array | null,
    framing: AttributeFault | null,
    syntax: string,
  ): void {
    const left = this.#filtered(rest)
    const decoded = this.#decode(left, nextHop)
    const effective = canonicalOf(decoded.attributes)
    const set = {
      attributes: decoded.attributes,
      state: this.#stateOf(decoded, rest, nextHop === null, framing),
      canonical: left === rest ? effective : canonicalOf(this.#decode(rest, nextHop).attributes),
      effective,
    }
    for (const route of this.#prefixes(family, nlri, syntax)) {
      if (!this.routes.has(route)) this.#count(route, 1)
      this.routes.set(route, set)
    }
  }

  #withdraw(route: string): void {
    if (this.routes.delete(route)) this.#count(route, -1)
  }

  /** Paths of a prefix; beyond the limit the session ends (RFC 4486 §3, Out of Resources). */
  #count(route: string, change: number): void {
    if (this.#peer.addPath === 0) return
    const prefix = route.split('@')[0]!
    const count = (this.#counts.get(prefix) ?? 0) + change
    if (count > MAX_PATHS_OF_PREFIX) throw new Reset('6/8')
    this.#counts.set(prefix, count)
  }

  #decode(rest: Uint8Array, nextHop: Uint8Array | null): Decoded {
    const { as4, external } = this.#peer
    const decoded = decodePathAttributes(rest, 0, rest.length, { as4, ebgp: external })
    const attributes = nextHop === null ? decoded.attributes : { ...decoded.attributes, nextHop }
    const { present, asSets } = decoded
    return { attributes, fault: faultOfUpdate(decoded, nextHop === null), present, asSets }
  }

  #stateOf(
    { attributes, fault, present, asSets }: Decoded,
    rest: Uint8Array,
    nextHopAttribute: boolean,
    framing: AttributeFault | null,
  ): PathState {
    const { external, asn, rules } = this.#peer
    if (fault?.approach === 'treat-as-withdraw') return PathState.TREAT_AS_WITHDRAW
    if (framing !== null) return PathState.MP_FLAGS
    if (missingMandatory(present, nextHopAttribute, external) !== null) return PathState.MISSING_ATTRIBUTE
    if (typesOf(rest).some((type) => rules.withdraw.includes(type) && !rules.discard.includes(type)))
      return PathState.REFUSED_ATTRIBUTE
    if (asSets && !rules.allowAsSets) return PathState.AS_SET
    const asNumbers = decodeSegments(attributes.asPath!).reduce((sum, segment) => sum + segment.asNumbers.length, 0)
    if (asNumbers > rules.maxAsPath) return PathState.LONG_AS_PATH
    if (communitiesIn(attributes) > rules.maxCommunities) return PathState.MANY_COMMUNITIES
    const path = attributes.asPath!
    if (external && (path.length === 0 || firstAs(path) !== asn)) return PathState.FIRST_AS
    if (asPathContains(path, this.#speaker.asn) > 0) return PathState.AS_LOOP
    if (!external && attributes.originatorId === this.#speaker.routerId) return PathState.ORIGINATOR_LOOP
    if (!external && hasCluster(attributes.clusterList, this.#speaker.clusterId)) return PathState.CLUSTER_LOOP
    // Its customer's routes must not have come from a provider or a peer (RFC 9234 §5).
    if (this.#peer.role === Role.PROVIDER && otcIn(attributes) !== 0) return PathState.ROUTE_LEAK
    const { nextHop } = attributes
    return nextHop === null || isMartianNextHop(nextHop) ? PathState.NEXT_HOP_INVALID : PathState.USABLE
  }

  /** Without the attributes that the operator takes off; the same octets where there are none. */
  #filtered(rest: Uint8Array): Uint8Array {
    const { discard } = this.#peer.rules
    if (discard.length === 0) return rest
    const kept: Uint8Array[] = []
    let found = false
    for (const { type, whole } of attributesIn(rest)) {
      if (type !== -1 && discard.includes(type)) found = true
      else kept.push(whole)
    }
    return found ? concat(...kept) : rest
  }

  #readBlock(attributes: Uint8Array) {
    let reach: Multiprotocol | null = null
    let unreach: Multiprotocol | null = null
    let fault: AttributeFault | null = null
    let count = 0
    const rest: Uint8Array[] = []
    for (let at = 0; at < attributes.length; count++) {
      const flags = attributes[at]!
      const header = (flags & 0x10) === 0 ? 3 : 4
      const whole = attributes.subarray(at)
      const length = whole.length < header ? Number.NaN : header === 3 ? whole[2]! : whole[2]! * 256 + whole[3]!
      // A length that is cut, or too long: nothing behind it can be found.
      if (!(header + length <= whole.length)) {
        fault ??= FRAMING
        rest.push(whole)
        count++
        break
      }
      const type = whole[1]!
      const value = whole.subarray(header, header + length)
      if (type === 14) {
        if (reach !== null) throw new Reset('3/1')
        reach = this.#readReach(value)
      } else if (type === 15) {
        if (unreach !== null) throw new Reset('3/1')
        if (value.length < 3) throw new Reset('3/9')
        unreach = { family: familyAt(value), nextHop: NONE, nlri: value.subarray(3) }
      } else {
        rest.push(whole.subarray(0, header + length))
      }
      if ((type === 14 || type === 15) && (flags & 0xc0) !== 0x80) fault ??= FRAMING
      at += header + length
    }
    return { reach, unreach, fault, count, rest: rest.length === 1 ? rest[0]! : concat(...rest) }
  }

  #readReach(value: Uint8Array): Multiprotocol {
    if (value.length < 3) throw new Reset('3/9')
    const family = familyAt(value)
    const length = value[3] ?? 0
    const whole = value.length >= 5 + length
    // Of a family that was not negotiated nothing is looked at, but whether there is something.
    if (family === undefined || (this.#peer.families & (1 << family)) === 0)
      return { family, nextHop: NONE, nlri: value.subarray(whole ? 5 + length : 4) }
    const ipv6 = length === 16 || length === 32
    const isRight = family === 0 ? length === 4 || (ipv6 && this.#peer.extendedNextHop) : ipv6
    if (!whole || !isRight) throw new Reset('3/9')
    return { family, nextHop: value.slice(4, 4 + length), nlri: value.subarray(5 + length) }
  }

  *#prefixes(family: Family, nlri: Uint8Array, syntax: string): Generator<string> {
    const withId = (this.#peer.addPath & (1 << family)) !== 0
    for (let at = 0; at < nlri.length; ) {
      let id = 0
      if (withId) {
        if (at + 5 > nlri.length) throw new Reset(syntax)
        id = nlri[at]! * 0x1000000 + nlri[at + 1]! * 65536 + nlri[at + 2]! * 256 + nlri[at + 3]!
        at += 4
      }
      const bits = nlri[at]!
      const octets = Math.ceil(bits / 8)
      if (bits > (family === 0 ? 32 : 128) || at + 1 + octets > nlri.length) throw new Reset(syntax)
      yield `${family} ${formatPrefix(family, nlri.subarray(at + 1, at + 1 + octets), bits)}${id === 0 ? '' : `@${id}`}`
      at += 1 + octets
    }
  }
}

/** Equal for equal values, however they were written. */
export function canonicalOf(attributes: PathAttributes): string {
  const octets = encodePathAttributes(attributes, { as4: true, nextHopAttribute: false })
  const { nextHop } = attributes
  return `${Buffer.from(octets).toString('latin1')} ${nextHop === null ? '' : Buffer.from(nextHop).toString('latin1')}`
}

/** Whole attributes; the rest of a block that is cut has type -1. */
function attributesIn(block: Uint8Array): { type: number; whole: Uint8Array }[] {
  const found: { type: number; whole: Uint8Array }[] = []
  for (let at = 0; at < block.length; ) {
    const header = (block[at]! & 0x10) === 0 ? 3 : 4
    const length = header === 3 ? block[at + 2]! : block[at + 2]! * 256 + block[at + 3]!
    const isWhole = at + header + length <= block.length
    const whole = isWhole ? block.subarray(at, at + header + length) : block.subarray(at)
    found.push({ type: isWhole ? block[at + 1]! : -1, whole })
    at += whole.length
  }
  return found
}

function typesOf(block: Uint8Array): number[] {
  return attributesIn(block).map(({ type }) => type)
}

function communitiesIn({ communities, extCommunities, largeCommunities, others }: PathAttributes): number {
  const ipv6 = others.filter(({ type }) => type === 25).reduce((sum, { value }) => sum + value.length / 20, 0)
  const octets = (list: Uint8Array | null): number => list?.length ?? 0
  return octets(communities) / 4 + octets(extCommunities) / 8 + octets(largeCommunities) / 12 + ipv6
}

/** u32, 0 for none. */
export function otcIn({ others }: PathAttributes): number {
  const found = others.find(({ type }) => type === 35)
  return found === undefined ? 0 : Buffer.from(found.value).readUInt32BE()
}

/** Two octets of length, and what they count. */
function field16(message: Uint8Array, at: number): Uint8Array {
  if (at + 2 > message.length) throw new Reset('3/1')
  const end = at + 2 + message[at]! * 256 + message[at + 1]!
  if (end > message.length) throw new Reset('3/1')
  return message.subarray(at + 2, end)
}

function familyAt(value: Uint8Array): Family | undefined {
  if (value[0] !== 0 || value[2] !== 1) return undefined
  return value[1] === 1 ? 0 : value[1] === 2 ? 1 : undefined
}

function hasCluster(list: Uint8Array | null, id: number): boolean {
  for (let at = 0; list !== null && at < list.length; at += 4) {
    if (Buffer.from(list.buffer, list.byteOffset + at, 4).readUInt32BE() === id) return true
  }
  return false
}

const FRAMING: AttributeFault = { approach: 'treat-as-withdraw', attribute: -1, reason: 'framing' }
