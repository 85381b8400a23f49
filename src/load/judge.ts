/**
 * Takes every UPDATE that a simulated neighbour receives, writes into the ledger what it now holds, and counts what is wrong with it. Pure. The
 * loops over NLRI make no objects; only the first few faults become text.
 */
import { NotificationError } from '../bgp/errors.js'
import { splitUpdate } from '../bgp/message/update.js'
import { UpdateParts } from '../bgp/message/update-parts.js'
import { formatAddress, formatIpv4, wordAt } from '../net/address.js'
import { Family, familyOf } from '../net/family.js'
import { formatPrefix } from '../net/prefix.js'
import type { ChurnLog } from './churn-log.js'
import { BlockFacts, expectedHashes, NextHopOwner, NextHops } from './expectations.js'
import { Ledger } from './ledger.js'
import type { Member, Plan } from './plan.js'
import { formatId, type PrefixSpace } from './prefixes.js'
import type { Tallies } from './types.js'

export class Judge {
  readonly ledger: Ledger
  readonly tallies: Tallies = {
    updates: 0,
    octets: 0,
    announced: 0,
    withdrawn: 0,
    echoes: 0,
    duplicates: 0,
    surplusWithdrawals: 0,
    otherPrefixes: 0,
    wrongNextHops: 0,
    wrongAttributes: 0,
    malformed: 0,
  }
  /** Attributes can be compared only with targets that know 4-octet ASNs. */
  comparesAttributes: boolean
  /** Set while changes are sent at a rate. */
  churn: ChurnLog | null = null
  readonly #plan: Plan
  readonly #family: Family
  readonly #space: PrefixSpace
  readonly #nextHops: NextHops
  readonly #hashes: Uint32Array
  readonly #parts = new UpdateParts()
  readonly #facts = new BlockFacts()
  readonly #examples = new Map<string, string[]>()

  /** `self`: addresses that the target may set as next hop. */
  constructor(plan: Plan, self: readonly Uint8Array[]) {
    this.#plan = plan
    this.#space = plan.space
    this.#family = plan.space.family
    this.ledger = new Ledger(plan.members.length, plan.space.count)
    this.#nextHops = new NextHops(plan, self)
    this.comparesAttributes = plan.expectAttributes
    this.#hashes = plan.expectAttributes ? expectedHashes(plan) : new Uint32Array(0)
  }

  /** One line each, up to ten of a kind. */
  examples(): string[] {
    return [...this.#examples.values()].flat()
  }

  /** buffer[start, end) is a whole UPDATE. Throws NotificationError where the session has to end. */
  update(member: Member, buffer: Uint8Array, start: number, end: number, nowMs: number): void {
    const { tallies } = this
    const parts = this.#parts
    splitUpdate(buffer, start, end, parts)
    tallies.updates++
    tallies.octets += end - start
    if (parts.fault !== null) {
      tallies.malformed++
      const { reason } = parts.fault
      this.#example('malformed', () => `${member.address} got a malformed UPDATE: ${reason}`)
    }
    if (parts.withdrawnEnd > parts.withdrawnStart) {
      this.#withdrawn(member, buffer, parts.withdrawnStart, parts.withdrawnEnd, Family.IPV4_UNICAST, nowMs)
    }
    if (parts.mpUnreachNlriEnd > parts.mpUnreachNlriStart) {
      const family = familyOf(parts.mpUnreachAfi, parts.mpUnreachSafi)
      this.#withdrawn(member, buffer, parts.mpUnreachNlriStart, parts.mpUnreachNlriEnd, family, nowMs)
    }
    const isPlain = parts.nlriEnd > parts.nlriStart
    const isMp = parts.mpReachNlriEnd > parts.mpReachNlriStart
    if (!isPlain && !isMp) return
    const facts = this.#facts
    facts.read(buffer, parts.attributesStart, parts.attributesEnd)
    if (isPlain) {
      const { nextHopStart, nextHopEnd } = facts
      this.#announced(
        member,
        buffer,
        parts.nlriStart,
        parts.nlriEnd,
        Family.IPV4_UNICAST,
        nextHopStart,
        nextHopEnd,
        nowMs,
      )
    }
    if (isMp) {
      const family = familyOf(parts.mpReachAfi, parts.mpReachSafi)
      const { mpReachNextHopStart: from, mpReachNextHopEnd: to } = parts
      this.#announced(member, buffer, parts.mpReachNlriStart, parts.mpReachNlriEnd, family, from, to, nowMs)
    }
  }

  /** Compares every row bit for bit with what it should hold, a row in each step, and keeps examples. Returns how many prefixes differ. */
  *verify(wanted: 'all' | 'none'): Generator<void, number> {
    let differences = 0
    for (const member of this.#plan.members) {
      differences += this.ledger.compare(member.index, wanted === 'all', member.from, member.to, (id) => {
        const owner = this.#plan.members[this.#plan.ownerOf(id)]!
        this.#example(wanted, () =>
          wanted === 'all'
            ? `${member.address} has no route to ${formatId(this.#space, id)}, announced by ${owner.address}`
            : `${member.address} still has ${formatId(this.#space, id)}, withdrawn by ${owner.address}`,
        )
      })
      yield
    }
    return differences
  }

  #withdrawn(
    member: Member,
    buffer: Uint8Array,
    start: number,
    end: number,
    family: Family | undefined,
    nowMs: number,
  ): void {
    const { ledger, churn } = this
    const row = member.index
    const { from: ownFrom, to: ownTo } = member
    let prefixes = 0
    let surplus = 0
    for (let at = start; at < end; at += 1 + ((buffer[at]! + 7) >> 3)) {
      const id = this.#idAt(buffer, at, end, family)
      prefixes++
      if (id >= ownFrom && id < ownTo) continue
      if (id < 0 || !ledger.remove(row, id)) surplus++
      else if (churn !== null) churn.withdrawn(row, this.#slotOf(id), nowMs)
    }
    this.tallies.withdrawn += prefixes
    this.tallies.surplusWithdrawals += surplus
  }

  #announced(
    member: Member,
    buffer: Uint8Array,
    start: number,
    end: number,
    family: Family | undefined,
    nextHopStart: number,
    nextHopEnd: number,
    nowMs: number,
  ): void {
    const { tallies, ledger } = this
    const row = member.index
    const { from: ownFrom, to: ownTo } = member
    const nextHopOwner = this.#nextHops.ownerOf(buffer, nextHopStart, nextHopEnd)
    const owner = nextHopOwner < 0 ? undefined : this.#plan.members[nextHopOwner]
    const isAnybodys = nextHopOwner === NextHopOwner.ANYBODY
    // Prefixes that may have this next hop: all of its owner.
    const from = isAnybodys ? 0 : (owner?.from ?? 0)
    const to = isAnybodys ? this.#space.count : (owner?.to ?? 0)
    const isChange = this.churn !== null && this.#facts.version !== 0
    let first = -1
    let last = -1
    let prefixes = 0
    let echoes = 0
    let duplicates = 0
    for (let at = start; at < end; at += 1 + ((buffer[at]! + 7) >> 3)) {
      const id = this.#idAt(buffer, at, end, family)
      prefixes++
      if (id < 0) {
        this.#other(member, buffer, at, family)
        continue
      }
      if (first < 0) first = id
      last = id
      if (id < from || id >= to) this.#wrongNextHop(member, id, buffer, nextHopStart, nextHopEnd)
      if (id >= ownFrom && id < ownTo) {
        echoes++
        continue
      }
      const isNew = ledger.add(row, id)
      if (isChange ? !this.#isNewVersion(row, id, nowMs) : !isNew) duplicates++
    }
    tallies.announced += prefixes
    tallies.echoes += echoes
    tallies.duplicates += duplicates
    if (first < 0 || !this.comparesAttributes) return
    this.#checkAttributes(member, first)
    if (last !== first) this.#checkAttributes(member, last)
  }

  #isNewVersion(row: number, id: number, nowMs: number): boolean {
    return this.churn?.announced(row, this.#slotOf(id), this.#facts.version, nowMs) === true
  }

  /** The slot of a prefix in the churn: each announcer's first one. -1 where it has none. */
  #slotOf(id: number): number {
    const owner = this.#plan.ownerOf(id)
    return id === this.#plan.members[owner]!.from && owner < (this.churn?.slots ?? 0) ? owner : -1
  }

  #checkAttributes(member: Member, id: number): void {
    const facts = this.#facts
    const owner = this.#plan.members[this.#plan.ownerOf(id)]!
    // A route with a version has that in place of its communities.
    const isSame = facts.hash === this.#hashes[this.#plan.setOf(id)] || (facts.version !== 0 && this.churn !== null)
    const { originatorId } = facts
    if (isSame && (this.#plan.ebgp || originatorId === owner.bgpId)) return
    this.tallies.wrongAttributes++
    this.#example('attributes', () => {
      const what = isSame
        ? `ORIGINATOR_ID ${originatorId < 0 ? 'missing' : formatIpv4(originatorId)}, not ${formatIpv4(owner.bgpId)}`
        : 'ORIGIN, AS_PATH, MULTI_EXIT_DISC, LOCAL_PREF or COMMUNITIES changed on the way'
      return `${member.address} got ${formatId(this.#space, id)} of ${owner.address} with wrong attributes: ${what}`
    })
  }

  #wrongNextHop(member: Member, id: number, buffer: Uint8Array, start: number, end: number): void {
    this.tallies.wrongNextHops++
    this.#example('next-hop', () => {
      const owner = this.#plan.members[this.#plan.ownerOf(id)]!
      const seen = start < 0 ? 'none' : addressText(buffer.subarray(start, end))
      const announced = formatAddress(this.#plan.nextHopOf(owner.index))
      return `${member.address} got ${formatId(this.#space, id)} with next hop ${seen}; ${owner.address} announced ${announced}`
    })
  }

  #other(member: Member, buffer: Uint8Array, at: number, family: Family | undefined): void {
    this.tallies.otherPrefixes++
    this.#example('other', () => {
      const length = buffer[at]!
      const octets = buffer.subarray(at + 1, at + 1 + ((length + 7) >> 3))
      const text = family === undefined ? 'a prefix of a family not asked for' : formatPrefix(family, octets, length)
      return `${member.address} got ${text}, which no neighbour announced`
    })
  }

  #example(kind: string, text: () => string): void {
    const lines = this.#examples.get(kind) ?? []
    if (lines.length >= EXAMPLES) return
    lines.push(text())
    this.#examples.set(kind, lines)
  }

  /** The number of the prefix at buffer[at], or -1. Throws where its length is wrong (RFC 4271 §6.3, RFC 7606 §5.3). */
  #idAt(buffer: Uint8Array, at: number, end: number, family: Family | undefined): number {
    const length = buffer[at]!
    const octets = (length + 7) >> 3
    if (family === undefined) return -1
    if (octets > (family === Family.IPV4_UNICAST ? 4 : 16) || at + 1 + octets > end) {
      throw new NotificationError(3, 10, `prefix of length ${length} is cut or too long (RFC 7606 §5.3)`)
    }
    if (family !== this.#family || octets > 8) return -1
    // By far the most frequent lengths first.
    if (octets === 4) return this.#space.find(wordAt(buffer, at + 1), 0, length)
    if (octets === 3) {
      return this.#space.find(
        ((buffer[at + 1]! << 24) | (buffer[at + 2]! << 16) | (buffer[at + 3]! << 8)) >>> 0,
        0,
        length,
      )
    }
    let w0 = 0
    let w1 = 0
    for (let i = 0; i < octets; i++) {
      if (i < 4) w0 |= buffer[at + 1 + i]! << (24 - 8 * i)
      else w1 |= buffer[at + 1 + i]! << (56 - 8 * i)
    }
    return this.#space.find(w0 >>> 0, w1 >>> 0, length)
  }
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 32) return formatAddress(bytes.subarray(0, 16))
  return bytes.length === 4 || bytes.length === 16 ? formatAddress(bytes) : `of ${bytes.length} octets`
}

const EXAMPLES = 10
