/**
 * What a group sends for a received set: policy, rules and encoding, memoised per (set, source kind, BGP identifier of the source where it becomes
 * ORIGINATOR_ID, what the policy sees of the source where it reads that, verdict). The memo of a set goes when its id is freed.
 *
 * Without a policy one source per set is the rule, and its memo lies in columns: 9 octets a set instead of an object of 90.
 */
import { encodePathAttributes, isEncodable } from '../bgp/attributes/encode.js'
import { HEADER_OCTETS } from '../bgp/message/message.js'
import { Family } from '../net/family.js'
import { type AttributeSet, CommunityBits } from '../rib/attribute-set.js'
import type { AttributeStore } from '../rib/attribute-store.js'
import { grown } from '../rib/columns.js'
import { globalPart } from '../rib/next-hop.js'
import { mayLeave, otcOf, withOtc } from '../rib/otc.js'
import { applyEdits } from '../rib/policy.js'
import type { CompiledPolicy, PolicyVerdict } from '../rib/policy-types.js'
import type { PrefixTable } from '../rib/prefix-table.js'
import { type RibSource, SourceKind } from '../rib/source.js'
import { PLAIN_AS_PATH, rewriteAsPath } from './as-path-rules.js'
import { NO_NEXT_HOP, type OutSetTable } from './out-set.js'
import {
  asLastResort,
  communityForbids,
  type ExportRules,
  longLivedForbids,
  mayAdvertise,
  outgoingAttributes,
  reflectOctets,
} from './reflect.js'

export interface ExporterOptions extends ExportRules {
  readonly family: Family
  readonly as4: boolean
  readonly maxMessageOctets: number
  /** ADD-PATH (RFC 7911): how many paths of a prefix are sent, ADD_PATH_ALL for all; 0 without it: the winner. */
  readonly sendPaths: number
  /** IPv4 routes may have IPv6 next hops (RFC 8950). */
  readonly extendedNextHop: boolean
  /** The link of a session between link-local addresses; 0 for all others. */
  readonly zone: number
  /** null: everything goes out; 'none': nothing, external peers without policy (RFC 8212). */
  readonly exportPolicy: CompiledPolicy | 'none' | null
}

/** A route reflector client for which nothing is configured. Who we are to it is for the caller to say. */
export const PLAIN_CLIENT: Readonly<Omit<ExporterOptions, 'localAsn' | 'clusterId' | 'selfNextHop'>> = Object.freeze({
  family: Family.IPV4_UNICAST,
  kind: SourceKind.CLIENT,
  as4: true,
  maxMessageOctets: 4096,
  sendPaths: 0,
  extendedNextHop: false,
  zone: 0,
  role: null,
  sharedSubnet: null,
  nextHopSelf: false,
  nextHopKeep: false,
  sendCommunities: true,
  asPath: PLAIN_AS_PATH,
  routeServerClient: false,
  tunnelEncapsulation: true,
  gracefulShutdown: false,
  exportPolicy: null,
})

class Memo {
  sourceKind = 0
  originator = 0
  policyKey = -1
  /** RFC 9234, u32 as int32; 0 for none. */
  otc = 0
  candidates = 0
  /** The out set without a policy, or of verdict 0; 0 for "not sent", undefined while it is not known. */
  first: number | undefined = undefined
  /** Of the verdicts from 1 on, by id; made when the first of them comes up. */
  others: (number | undefined)[] | undefined = undefined
  next: Memo | undefined = undefined
}

export class Exporter {
  readonly options: ExporterOptions
  readonly #store: AttributeStore
  readonly #outSets: OutSetTable
  readonly #policy: CompiledPolicy | null
  readonly #memos: (Memo | undefined)[] = []
  /** By set, of the first source without anything special: its kind, what it has for ORIGINATOR_ID, and the out set, 0 where unknown, -1 for "not sent". */
  #plainKind = new Uint8Array(0)
  #plainOriginator = new Int32Array(0)
  #plainOut = new Int32Array(0)
  /** Attribute sets found too long for a message of this group's peers. */
  tooLong = 0
  /** Called with each of them. */
  onTooLong: () => void = () => {}

  constructor(options: ExporterOptions, store: AttributeStore, outSets: OutSetTable) {
    this.options = options
    this.#store = store
    this.#outSets = outSets
    this.#policy = options.exportPolicy === 'none' ? null : options.exportPolicy
  }

  /** outgoing() may give routes with the same attributes and source different out sets. */
  get readsPrefix(): boolean {
    return this.#policy?.readsPrefix === true
  }

  /** The out set of a winner, or 0 when this group does not hear it. Held by the memo: retain it to keep it. */
  outgoing(set: AttributeSet, source: RibSource, prefixes: PrefixTable, prefix: number): number {
    const { kind, role } = source.options
    if (!mayAdvertise(kind, this.options.kind) || this.options.exportPolicy === 'none') return 0
    if (this.#policy === null && set.otc === 0 && role === undefined) {
      const { id } = set
      const originator = this.#originator(set, source)
      const known = id < this.#plainOut.length ? this.#plainOut[id]! : 0
      if (known === 0) return this.#computePlain(set, source, originator)
      if (this.#plainKind[id] === kind && this.#plainOriginator[id] === originator) return known === -1 ? 0 : known
    }
    const memo = this.#memoOf(set, source)
    const policy = this.#policy
    if (policy === null) {
      memo.first ??= this.#compute(set, source, null)
      return memo.first
    }
    const verdict = this.#verdict(policy, memo.candidates, prefixes, prefix)
    if (verdict.id === 0) {
      memo.first ??= this.#compute(set, source, verdict)
      return memo.first
    }
    memo.others ??= []
    memo.others[verdict.id] ??= this.#compute(set, source, verdict)
    return memo.others[verdict.id]!
  }

  /** Why a route is or is not sent to this group, in words; for `explain`. Null: it is sent. */
  refusal(set: AttributeSet, source: RibSource, prefixes: PrefixTable, prefix: number): string | null {
    const { options } = this
    if (!mayAdvertise(source.options.kind, options.kind))
      return 'internal route of a non-client: goes to clients and external peers only (RFC 4456 §6)'
    if (options.exportPolicy === 'none') return 'external peer without export policy: nothing is sent (RFC 8212)'
    if (this.#forbids(set, source)) return FORBIDDEN
    if (longLivedForbids(set.communityBits, options)) return LONG_LIVED
    let verdict: PolicyVerdict | null = null
    if (this.#policy !== null) {
      const candidates = this.#policy.evaluateAttributes(
        this.#store.attributes(set),
        options.family,
        source.policySource,
      )
      verdict = this.#verdict(this.#policy, candidates, prefixes, prefix)
      if (!verdict.accept) return `${verdict.text}`
    }
    const result = this.#encode(set, source, verdict)
    if (typeof result === 'string') return result
    this.#outSets.release(result)
    return null
  }

  /** The id of a set is about to be reused. */
  forget(setId: number): void {
    const plain = setId < this.#plainOut.length ? this.#plainOut[setId]! : 0
    if (plain > 0) this.#outSets.release(plain)
    if (plain !== 0) this.#plainOut[setId] = 0
    for (let memo = this.#memos[setId]; memo !== undefined; memo = memo.next) this.#drop(memo)
    if (this.#memos[setId] !== undefined) this.#memos[setId] = undefined
  }

  close(): void {
    for (const first of this.#memos) for (let memo = first; memo !== undefined; memo = memo.next) this.#drop(memo)
    this.#memos.length = 0
    for (const out of this.#plainOut) if (out > 0) this.#outSets.release(out)
    this.#plainOut = new Int32Array(0)
  }

  #drop(memo: Memo): void {
    if (memo.first) this.#outSets.release(memo.first)
    for (const result of memo.others ?? []) if (result) this.#outSets.release(result)
  }

  /** What becomes ORIGINATOR_ID, u32 as int32; 0 where that does not depend on the source. */
  #originator(set: AttributeSet, source: RibSource): number {
    const { kind, bgpId } = source.options
    const reflects =
      this.options.kind !== SourceKind.EBGP && (kind === SourceKind.CLIENT || kind === SourceKind.NON_CLIENT)
    return reflects && !set.hasOriginator ? bgpId | 0 : 0
  }

  #computePlain(set: AttributeSet, source: RibSource, originator: number): number {
    const { id } = set
    if (id >= this.#plainOut.length) this.#growPlain(id + 1)
    const out = this.#compute(set, source, null)
    this.#plainKind[id] = source.options.kind
    this.#plainOriginator[id] = originator
    this.#plainOut[id] = out === 0 ? -1 : out
    return out
  }

  #growPlain(atLeast: number): void {
    const size = Math.max(atLeast, this.#plainOut.length * 2, 64)
    this.#plainOut = grown(this.#plainOut, size, 1)
    this.#plainOriginator = grown(this.#plainOriginator, size, 1)
    this.#plainKind = grown(this.#plainKind, size, 1)
  }

  #memoOf(set: AttributeSet, source: RibSource): Memo {
    const { kind } = source.options
    const originator = this.#originator(set, source)
    const policyKey = this.#policy?.readsSource === true ? source.policyKey : -1
    const otc = otcOf(set, source.options)
    const first = this.#memos[set.id]
    for (let memo = first; memo !== undefined; memo = memo.next) {
      if (
        memo.sourceKind === kind &&
        memo.originator === originator &&
        memo.policyKey === policyKey &&
        memo.otc === otc
      )
        return memo
    }
    const memo = new Memo()
    memo.sourceKind = kind
    memo.originator = originator
    memo.policyKey = policyKey
    memo.otc = otc
    memo.next = first
    if (this.#policy !== null)
      memo.candidates = this.#policy.evaluateAttributes(
        this.#store.attributes(set),
        this.options.family,
        source.policySource,
      )
    while (this.#memos.length < set.id) this.#memos.push(undefined)
    this.#memos[set.id] = memo
    return memo
  }

  #verdict(policy: CompiledPolicy, candidates: number, prefixes: PrefixTable, prefix: number): PolicyVerdict {
    const { family } = this.options
    return policy.evaluatePrefix(
      candidates,
      family,
      prefixes.word0(prefix),
      prefixes.word(prefix, 1),
      prefixes.word(prefix, 2),
      prefixes.word(prefix, 3),
      prefixes.lengthOf(prefix),
    )
  }

  /** The out set, retained once for the memo; 0 where the route is not sent. */
  #compute(set: AttributeSet, source: RibSource, verdict: PolicyVerdict | null): number {
    if (verdict !== null && !verdict.accept) return 0
    const encoded = this.#encode(set, source, verdict)
    if (typeof encoded !== 'string') return encoded
    if (encoded === TOO_LONG) {
      this.tooLong++
      this.onTooLong()
    }
    return 0
  }

  /** The out set, retained once for the caller; or why there is none, in words. */
  #encode(set: AttributeSet, source: RibSource, verdict: PolicyVerdict | null): number | string {
    const { options } = this
    if (this.#forbids(set, source)) return FORBIDDEN
    if (longLivedForbids(set.communityBits, options)) return LONG_LIVED
    const lastResort = (set.communityBits & CommunityBits.LLGR_STALE) !== 0 && options.longLived !== true
    const edits = verdict?.edits ?? null
    const { kind, bgpId } = source.options
    const otc = otcOf(set, source.options)
    if (!mayLeave(otc, options.role))
      return 'it carries OTC: it goes to customers only, and this neighbor is a provider, a peer or a route server (RFC 9234 §5)'
    let mp = options.family !== Family.IPV4_UNICAST
    if (
      edits === null &&
      !lastResort &&
      !mp &&
      options.as4 &&
      options.sendCommunities &&
      options.kind !== SourceKind.EBGP &&
      !options.gracefulShutdown &&
      set.fault === null
    ) {
      if ((kind === SourceKind.CLIENT || kind === SourceKind.NON_CLIENT) && set.decodeClass === REFLECTABLE) {
        const length = this.#store.read(set, (octets, start, end) =>
          reflectOctets(octets, bgpId, options.clusterId, SCRATCH, start, end),
        )
        if (length >= 0) return this.#fits(length, 0) ? this.#outSets.intern(SCRATCH, length, NO_NEXT_HOP) : TOO_LONG
      }
    }
    const received = this.#store.attributes(set)
    let attributes = received
    const path = attributes.asPath
    if (path !== null && options.asPath.peerAsn !== 0)
      attributes = { ...attributes, asPath: rewriteAsPath(path, options.asPath, options.localAsn) }
    if (edits !== null) attributes = applyEdits(attributes, edits, { nextHop: options.selfNextHop })
    attributes = outgoingAttributes(attributes, { kind, bgpId }, options, edits)
    if (lastResort) attributes = asLastResort(attributes)
    attributes = withOtc(attributes, otc, options.role, options.localAsn)
    let { nextHop } = attributes
    if (nextHop !== null && nextHop === received.nextHop) nextHop = this.#keptNextHop(nextHop, this.#store.zoneOf(set))
    if (nextHop === null) return 'no next hop of this family'
    if (!mp && nextHop.length !== 4) {
      if (!options.extendedNextHop)
        return 'its next hop is an IPv6 address, and this peer cannot take that for IPv4: set extendedNextHop on both sides (RFC 8950)'
      mp = true
    }
    if (mp && nextHop.length !== 16 && nextHop.length !== 32) return 'no next hop of this family'
    if (!isEncodable(attributes)) return TOO_LONG
    const octets = encodePathAttributes(attributes, { as4: options.as4, nextHopAttribute: !mp })
    if (!this.#fits(octets.length, mp ? nextHop.length : 0)) return TOO_LONG
    return this.#outSets.intern(octets, octets.length, mp ? Uint8Array.from(nextHop) : NO_NEXT_HOP)
  }

  /**
   * A received next hop that stays. A link-local address goes out on its own link alone (RFC 2545 §2): elsewhere the global address beside it does, or we
   * take its place, since we are on that link.
   */
  #keptNextHop(nextHop: Uint8Array, zone: number): Uint8Array | null {
    if (nextHop.length < 16) return nextHop
    const { options } = this
    if (zone !== 0 && zone === options.zone) return nextHop
    const global = globalPart(nextHop)
    if (global !== null) return global
    return zone === 0 ? nextHop : options.selfNextHop
  }

  /** Between its clients a route server is no border of an AS: communities are theirs (RFC 7947 §2.2). */
  #forbids(set: AttributeSet, source: RibSource): boolean {
    if (this.options.routeServerClient && source.isEbgp) return false
    return communityForbids(set.communityBits, this.options.kind)
  }

  /** One prefix of full length fits beside the attributes into a message. */
  #fits(attributeOctets: number, nextHopOctets: number): boolean {
    const mpReach = nextHopOctets === 0 ? 0 : 9 + nextHopOctets
    const pathId = this.options.sendPaths > 0 ? 4 : 0
    const longest = pathId + (this.options.family === Family.IPV4_UNICAST ? 5 : 17)
    return HEADER_OCTETS + 4 + attributeOctets + mpReach + longest <= this.options.maxMessageOctets
  }
}

/** Decode class of what an internal 4-octet peer sent with a NEXT_HOP attribute: DecodeBits.AS4 alone. */
const REFLECTABLE = 1
const FORBIDDEN = 'a well-known community forbids it (RFC 1997)'
const LONG_LIVED = 'long-lived stale: goes only to peers that know of such routes (RFC 9494 §4.3)'
const TOO_LONG =
  'its attributes do not fit into a message to this peer: set extendedMessages on both sides (RFC 8654), or shorten them'
const SCRATCH = new Uint8Array(1 << 17)
