/**
 * UPDATE octets into Adj-RIB-In (RFC 4271 §9, RFC 4760, RFC 7606). The hot path: no object per message or prefix.
 *
 * What the octets of the attributes say alone stays with the interned set; what depends on peer, configuration or the NLRI carried is judged here once per
 * UPDATE: mandatory attributes, first AS, loops, next hop, RFC 8212. The import policy then speaks per prefix only where it reads the prefix.
 */
import { asPathContains } from '../bgp/attributes/as-path.js'
import { missingMandatory } from '../bgp/attributes/decode.js'
import { type AttributeFault, NO_DATA, NotificationError } from '../bgp/errors.js'
import { AttributeType } from '../bgp/iana.js'
import type { FaultPlace } from '../bgp/message/fault-place.js'
import { HEADER_OCTETS } from '../bgp/message/message.js'
import { hasReachable, isEndOfRib, missingNlriReset, onlyMpUnreach, splitUpdate } from '../bgp/message/update.js'
import { UpdateParts } from '../bgp/message/update-parts.js'
import { Family, familyOf } from '../net/family.js'
import { judgeByRules, refusal, refusedAttribute } from './attribute-rules.js'
import { type AttributeSet, DecodeBits } from './attribute-set.js'
import type { ImportPolicy } from './import-policy.js'
import { isLinkScoped, zoned } from './next-hop.js'
import { isLeak } from './otc.js'
import { PathState } from './path-state.js'
import type { PolicyVerdict } from './policy-types.js'
import type { PrefixTable } from './prefix-table.js'
import type { Rib } from './rib.js'
import type { RibSource } from './source.js'

export interface AdjRibInEvents {
  /** Something in an UPDATE was wrong and the session stays (RFC 7606): for counters and the log. Once an UPDATE, unless something worse follows. */
  fault(source: RibSource, fault: AttributeFault, place: FaultPlace): void
  /** NLRI of a family that was not negotiated were left out. */
  familyIgnored?(source: RibSource, afi: number, safi: number): void
  endOfRib(source: RibSource, family: Family): void
}

/** How the NLRI of one UPDATE and family are to be taken: the same for all of them but for the prefix-dependent part of the policy. */
interface Treatment {
  received: AttributeSet
  /** What the neighbour's list of attributes to discard leaves of `received`. */
  judged: AttributeSet
  effective: AttributeSet | null
  state: PathState
  weight: number
  policy: ImportPolicy | null
  candidates: number
}

export class AdjRibIn {
  readonly #rib: Rib
  readonly #events: AdjRibInEvents
  readonly #parts = new UpdateParts()
  readonly #treatment: Treatment = {
    received: undefined as unknown as AttributeSet,
    judged: undefined as unknown as AttributeSet,
    effective: null,
    state: PathState.USABLE,
    weight: 0,
    policy: null,
    candidates: 0,
  }
  /** False while paths are judged again: their faults were reported when they came. */
  #tells = true
  /** Of the UPDATE being taken in. */
  #buffer: Uint8Array = NO_DATA
  /** Strength of the faults told of this UPDATE: 0 none, 1 attribute discard, 2 treat as withdraw. */
  #told = 0
  #scratch = new Uint8Array(4096)
  #nowSeconds = 0

  constructor(rib: Rib, events: AdjRibInEvents) {
    this.#rib = rib
    this.#events = events
  }

  /**
   * Takes in the UPDATE at buffer[start, end), header included. `families`: bit n for each negotiated family; others are ignored.
   * `nowSeconds`: when it was read, by the clock of the RIB: asked once a chunk, not once an UPDATE (0.15 µs each).
   * Throws NotificationError where the RFCs end the session; then the session's routes go anyway.
   */
  update(
    source: RibSource,
    families: number,
    buffer: Uint8Array,
    start: number,
    end: number,
    nowSeconds = this.#rib.nowSeconds(),
  ): void {
    const parts = this.#parts
    splitUpdate(buffer, start, end, parts, source.options.extendedNextHop === true, families)
    source.updatesReceived++
    this.#nowSeconds = nowSeconds
    this.#buffer = buffer
    this.#told = 0
    const ipv4 = (families & 1) !== 0
    if (!ipv4 && (parts.withdrawnEnd > parts.withdrawnStart || parts.nlriEnd > parts.nlriStart))
      this.#events.familyIgnored?.(source, 1, 1)
    if (parts.withdrawnEnd > parts.withdrawnStart && ipv4) {
      this.#walk(Family.IPV4_UNICAST, buffer, parts.withdrawnStart, parts.withdrawnEnd, source, null, 10)
    }
    if (parts.mpUnreachAttributeStart >= 0) {
      const family = familyOf(parts.mpUnreachAfi, parts.mpUnreachSafi)
      if (family !== undefined && (families & (1 << family)) !== 0) {
        this.#walk(family, buffer, parts.mpUnreachNlriStart, parts.mpUnreachNlriEnd, source, null, 9)
      } else if (parts.mpUnreachNlriEnd > parts.mpUnreachNlriStart) {
        this.#events.familyIgnored?.(source, parts.mpUnreachAfi, parts.mpUnreachSafi)
      }
    }
    if (!hasReachable(parts)) {
      this.#withoutReachable(source, families, buffer)
      return
    }
    if (parts.fault !== null) this.#report(source, parts.fault, parts.nlriEnd > parts.nlriStart)
    if (parts.nlriEnd > parts.nlriStart && ipv4) {
      const set = this.#intern(source, buffer, null)
      this.#judge(Family.IPV4_UNICAST, source, set, true)
      this.#walk(Family.IPV4_UNICAST, buffer, parts.nlriStart, parts.nlriEnd, source, this.#treatment, 10)
    }
    if (parts.mpReachAttributeStart >= 0) {
      const family = familyOf(parts.mpReachAfi, parts.mpReachSafi)
      if (family === undefined || (families & (1 << family)) === 0) {
        this.#events.familyIgnored?.(source, parts.mpReachAfi, parts.mpReachSafi)
        return
      }
      let nextHop = buffer.subarray(parts.mpReachNextHopStart, parts.mpReachNextHopEnd)
      const { link } = source.options
      if (link !== undefined && isLinkScoped(nextHop, link.linkLocalSession)) nextHop = zoned(nextHop, link.zone)
      const set = this.#intern(source, buffer, nextHop)
      this.#judge(family, source, set, false)
      this.#walk(family, buffer, parts.mpReachNlriStart, parts.mpReachNlriEnd, source, this.#treatment, 9)
    }
  }

  /**
   * The import side of these sources changed: their paths with ids in [from, from + limit) are judged again. Returns where to go on, -1 at the end.
   */
  judgeAgain(family: Family, sources: ReadonlySet<number>, from: number, limit: number): number {
    const { paths, prefixes } = this.#rib.tables[family]!
    const end = Math.min(paths.end, from + limit)
    this.#parts.fault = null
    this.#tells = false
    this.#nowSeconds = this.#rib.nowSeconds()
    for (let path = from; path < end; path++) {
      const source = this.#rib.source(paths.source[path]!)
      if (source === undefined || source.closed || !sources.has(source.index)) continue
      const prefix = paths.prefix[path]!
      // A free record names its last prefix and source; the table knows whether it lives.
      const pathId = paths.receivedIdOf(path)
      if (paths.find(prefix, source.index, pathId) !== path) continue
      // The fault was in the MP attribute, which is not kept.
      if (paths.state[path] === PathState.MP_FLAGS) continue
      const generation = paths.generation[path]!
      const set = this.#rib.store.get(paths.received[path]!)
      this.#judge(family, source, set, (set.decodeClass & DecodeBits.MP_NEXT_HOP) === 0)
      const [w0, w1, w2, w3] = [
        prefixes.word0(prefix),
        prefixes.word(prefix, 1),
        prefixes.word(prefix, 2),
        prefixes.word(prefix, 3),
      ]
      this.#announce(family, prefixes, source, this.#treatment, w0, w1, w2, w3, prefixes.lengthOf(prefix), pathId)
      // The peer has not said it again: what is stale stays stale.
      paths.generation[path] = generation
      if ((source.longLived & (1 << family)) !== 0 && generation !== source.generation[family])
        this.#rib.makePathLongLived(family, source, path)
    }
    this.#tells = true
    return end >= paths.end ? -1 : end
  }

  /** End-of-RIB, a plain withdrawal, or attributes without anything they could belong to (RFC 7606 §5.2). */
  #withoutReachable(source: RibSource, families: number, buffer: Uint8Array): void {
    const parts = this.#parts
    const family = isEndOfRib(parts)
    if (parts.fault !== null) this.#report(source, parts.fault, false)
    if (family !== undefined) {
      if ((families & (1 << family)) === 0) return
      source.endOfRib[family] = true
      this.#events.endOfRib(source, family)
      return
    }
    if (parts.attributesEnd === parts.attributesStart || onlyMpUnreach(parts)) return
    const { fault } = this.#filtered(source, this.#intern(source, buffer, null))
    if (fault === null) return
    if (fault.approach !== 'attribute-discard') throw missingNlriReset(fault)
    this.#report(source, fault, false)
  }

  /** The attribute set of the message's attributes around the MP ones. Throws Cease 6/8 where the peer holds too many of them. */
  #intern(source: RibSource, buffer: Uint8Array, nextHop: Uint8Array | null): AttributeSet {
    const set = this.#internAttributes(source, buffer, nextHop)
    const { attributeRules } = source.options
    if (attributeRules !== undefined && source.held.units > attributeRules.maxSets)
      throw tooManySets(attributeRules.maxSets)
    return set
  }

  #internAttributes(source: RibSource, buffer: Uint8Array, nextHop: Uint8Array | null): AttributeSet {
    const { held } = source
    const parts = this.#parts
    const { as4 } = source.options
    const { store } = this.#rib
    if (parts.mpReachAttributeStart < 0 && parts.mpUnreachAttributeStart < 0) {
      return store.intern(buffer, parts.attributesStart, parts.attributesEnd, nextHop, as4, source.isEbgp, held)
    }
    if (parts.mpUnreachAttributeStart < 0 && parts.mpReachAttributeStart === parts.attributesStart) {
      return store.intern(buffer, parts.mpReachAttributeEnd, parts.attributesEnd, nextHop, as4, source.isEbgp, held)
    }
    const length = this.#gatherAround(buffer)
    return store.intern(this.#scratch, 0, length, nextHop, as4, source.isEbgp, held)
  }

  /** Copies the attributes without MP_REACH_NLRI and MP_UNREACH_NLRI into the scratch buffer. */
  #gatherAround(buffer: Uint8Array): number {
    const parts = this.#parts
    if (this.#scratch.length < parts.attributesEnd - parts.attributesStart) this.#scratch = new Uint8Array(65536)
    let length = 0
    for (let at = parts.attributesStart; at < parts.attributesEnd; ) {
      if (at === parts.mpReachAttributeStart) at = parts.mpReachAttributeEnd
      else if (at === parts.mpUnreachAttributeStart) at = parts.mpUnreachAttributeEnd
      else this.#scratch[length++] = buffer[at++]!
    }
    return length
  }

  /** Fills #treatment. */
  #judge(family: Family, source: RibSource, received: AttributeSet, nextHopAttribute: boolean): void {
    const treatment = this.#treatment
    const { options } = source
    const set = this.#filtered(source, received)
    treatment.received = received
    treatment.judged = set
    treatment.effective = null
    treatment.policy = null
    treatment.weight = options.weight
    treatment.state = this.#stateOf(source, received, set, nextHopAttribute)
    if (treatment.state !== PathState.USABLE) return
    const policy = options.importPolicy
    if (policy === null) {
      treatment.effective = set
      this.#adjust(source)
    } else if (policy === 'none') {
      treatment.state = PathState.NO_POLICY
    } else {
      const memo = this.#rib.importPolicyOf(policy)
      treatment.candidates = memo.candidates(set, family, source)
      if (policy.readsPrefix) treatment.policy = memo
      else {
        this.#applyVerdict(
          policy.evaluatePrefix(treatment.candidates, family, 0, 0, 0, 0, 0),
          memo,
          set,
          family,
          options.weight,
        )
        this.#adjust(source)
      }
    }
  }

  /** What is judged: the received set without the attributes that the operator has taken off. */
  #filtered(source: RibSource, received: AttributeSet): AttributeSet {
    const { attributeRules } = source.options
    if (attributeRules === undefined) return received
    const { discard, tunnelEncapsulation } = attributeRules
    const set = discard.length === 0 ? received : this.#rib.attributeFilterOf(attributeRules).apply(received).set
    // Almost no route carries it: one bit tells, without a look into the filter's memo.
    if (tunnelEncapsulation || (set.present & TUNNEL_BIT) === 0) return set
    const malformed = set.fault !== null && set.fault.approach !== 'attribute-discard'
    return malformed ? set : this.#rib.attributeFilterOf(WITHOUT_TUNNELS).apply(set).set
  }

  #stateOf(source: RibSource, received: AttributeSet, set: AttributeSet, nextHopAttribute: boolean): PathState {
    if (set.fault !== null) {
      this.#report(source, set.fault, nextHopAttribute)
      if (set.fault.approach === 'session-reset') {
        const wire = set.fault.notification
        throw new NotificationError(wire?.code ?? 3, wire?.subcode ?? 1, set.fault.reason, wire?.data)
      }
    }
    if (set.fault?.approach === 'treat-as-withdraw') return PathState.TREAT_AS_WITHDRAW
    if (this.#parts.fault !== null) return PathState.MP_FLAGS
    const { options } = source
    const missing = missingMandatory(set.present, nextHopAttribute, source.isEbgp)
    if (missing !== null) {
      this.#report(source, missing, nextHopAttribute)
      return PathState.MISSING_ATTRIBUTE
    }
    if (options.attributeRules !== undefined) {
      const state = this.#stateByRules(source, received, set, nextHopAttribute)
      if (state !== PathState.USABLE) return state
    }
    // Without enforceFirstAs any AS will do, but there has to be one.
    if (
      source.isEbgp &&
      (options.intake.enforceFirstAs ? set.neighborAs >>> 0 !== options.asn : set.asPathLength === 0)
    )
      return PathState.FIRST_AS
    if (this.#ownAsCount(source, set) > options.allowOwnAs) return PathState.AS_LOOP
    if (!source.isEbgp && set.loopsOriginator) return PathState.ORIGINATOR_LOOP
    if (!source.isEbgp && set.loopsCluster) return PathState.CLUSTER_LOOP
    if (set.otc !== 0 && isLeak(set.otc, options)) return PathState.ROUTE_LEAK
    return set.nextHopMartian || set.nextHopId === 0 ? PathState.NEXT_HOP_INVALID : PathState.USABLE
  }

  #stateByRules(source: RibSource, received: AttributeSet, set: AttributeSet, nextHopAttribute: boolean): PathState {
    const rules = source.options.attributeRules!
    if (rules.withdraw.length > 0) {
      const { refused } = this.#rib.attributeFilterOf(rules).apply(received)
      if (refused !== -1) {
        this.#report(source, refusedAttribute(refused), nextHopAttribute)
        return PathState.REFUSED_ATTRIBUTE
      }
    }
    const state = judgeByRules(set, rules)
    if (state !== PathState.USABLE && this.#tells) this.#report(source, refusal(state, set, rules), nextHopAttribute)
    return state
  }

  /** `ipv4Fields`: it concerns the NLRI at the end of the UPDATE, else those in MP_REACH_NLRI. */
  #report(source: RibSource, fault: AttributeFault, ipv4Fields: boolean): void {
    const strength = fault.approach === 'attribute-discard' ? 1 : 2
    if (!this.#tells || strength <= this.#told) return
    this.#told = strength
    if (strength === 2) source.treatedAsWithdraw++
    const parts = this.#parts
    const { attributesStart, attributesEnd } = parts
    const [messageStart, messageEnd] = [parts.withdrawnStart - HEADER_OCTETS - 2, parts.nlriEnd]
    const mpFamily = parts.mpReachAttributeStart < 0 ? undefined : familyOf(parts.mpReachAfi, parts.mpReachSafi)
    const family = ipv4Fields ? Family.IPV4_UNICAST : (mpFamily ?? Family.IPV4_UNICAST)
    const [nlriStart, nlriEnd] = ipv4Fields
      ? [parts.nlriStart, parts.nlriEnd]
      : mpFamily === undefined
        ? [0, 0]
        : [parts.mpReachNlriStart, parts.mpReachNlriEnd]
    this.#events.fault(source, fault, {
      buffer: this.#buffer,
      messageStart,
      messageEnd,
      attributesStart,
      attributesEnd,
      family,
      nlriStart,
      nlriEnd,
    })
  }

  #ownAsCount(source: RibSource, set: AttributeSet): number {
    const { localAsn } = source.options
    if (localAsn === this.#rib.local.options.asn) return set.ownAsCount
    const { asPath } = this.#rib.store.attributes(set)
    return set.ownAsCount + (asPath === null ? 0 : asPathContains(asPath, localAsn))
  }

  #applyVerdict(verdict: PolicyVerdict, memo: ImportPolicy, set: AttributeSet, family: Family, weight: number): void {
    const treatment = this.#treatment
    treatment.effective = verdict.accept ? memo.effective(set, family, verdict) : null
    treatment.state = !verdict.accept
      ? PathState.POLICY
      : treatment.effective === null
        ? PathState.TOO_LONG
        : PathState.USABLE
    treatment.weight = verdict.weight ?? weight
  }

  /** Behind the policy: what the neighbour's settings make of the route. */
  #adjust(source: RibSource): void {
    const treatment = this.#treatment
    const { effective } = treatment
    const { intake } = source.options
    if (effective === null || !this.#rib.intake.applies(intake, effective)) return
    treatment.effective = this.#rib.intake.edited(intake, effective)
    if (treatment.effective === null) treatment.state = PathState.TOO_LONG
    // Weight comes before LOCAL_PREF.
    if (intake.drained) treatment.weight = 0
  }

  /**
   * NLRI at buffer[at, end), each with a path identifier in front where the peer sends them (RFC 7911 §3): withdrawn where `treatment` is null. A syntax error
   * is NOTIFICATION 3/`subcode` (RFC 7606 §5.3).
   */
  #walk(
    family: Family,
    buffer: Uint8Array,
    at: number,
    end: number,
    source: RibSource,
    treatment: Treatment | null,
    subcode: number,
  ): void {
    const { prefixes } = this.#rib.tables[family]!
    const maxBits = family === Family.IPV4_UNICAST ? 32 : 128
    const withIds = (source.options.addPathReceive & (1 << family)) !== 0
    let pathId = 0
    while (at < end) {
      if (withIds) {
        if (at + 5 > end) throw new NotificationError(3, subcode, 'NLRI ends within a path identifier')
        pathId = wordAt(buffer, at, end, 32)
        at += 4
      }
      const bits = buffer[at]!
      const next = at + 1 + ((bits + 7) >>> 3)
      if (bits > maxBits || next > end) {
        throw new NotificationError(
          3,
          subcode,
          bits > maxBits ? `prefix length ${bits} in NLRI` : 'NLRI ends within a prefix',
        )
      }
      const w0 = wordAt(buffer, at + 1, next, bits)
      const w1 = bits > 32 ? wordAt(buffer, at + 5, next, bits - 32) : 0
      const w2 = bits > 64 ? wordAt(buffer, at + 9, next, bits - 64) : 0
      const w3 = bits > 96 ? wordAt(buffer, at + 13, next, bits - 96) : 0
      at = next
      if (treatment === null) this.#rib.withdraw(family, source, prefixes.find(w0, w1, w2, w3, bits), pathId)
      else this.#announce(family, prefixes, source, treatment, w0, w1, w2, w3, bits, pathId)
    }
  }

  #announce(
    family: Family,
    prefixes: PrefixTable,
    source: RibSource,
    treatment: Treatment,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    bits: number,
    pathId: number,
  ): void {
    const { policy } = treatment
    if (policy !== null) {
      const verdict = policy.policy.evaluatePrefix(
        treatment.candidates,
        family,
        w0 >>> 0,
        w1 >>> 0,
        w2 >>> 0,
        w3 >>> 0,
        bits,
      )
      this.#applyVerdict(verdict, policy, treatment.judged, family, source.options.weight)
      this.#adjust(source)
    }
    const prefix = prefixes.intern(w0, w1, w2, w3, bits)
    this.#rib.announce(
      family,
      source,
      prefix,
      treatment.received,
      treatment.effective,
      treatment.state,
      treatment.weight,
      pathId,
      this.#nowSeconds,
    )
  }
}

/** RFC 4486 §4: Out of Resources. */
function tooManySets(limit: number): NotificationError {
  return new NotificationError(
    6,
    8,
    `the peer fills more than maxAttributeSets ${limit} of the attribute store; raise neighbors[].maxAttributeSets or find out why it sends so many different attributes`,
  )
}

/** Up to 32 bits of an address, left-aligned, host bits zero (RFC 4271 §4.3: trailing bits are irrelevant). */
function wordAt(buffer: Uint8Array, at: number, end: number, bits: number): number {
  if (bits <= 0) return 0
  let word = buffer[at]! << 24
  if (at + 1 < end) word |= buffer[at + 1]! << 16
  if (at + 2 < end) word |= buffer[at + 2]! << 8
  if (at + 3 < end) word |= buffer[at + 3]!
  return bits >= 32 ? word : word & (-1 << (32 - bits))
}

const TUNNEL_BIT = 1 << AttributeType.TUNNEL_ENCAPSULATION
const WITHOUT_TUNNELS = { discard: [AttributeType.TUNNEL_ENCAPSULATION], withdraw: [] }
