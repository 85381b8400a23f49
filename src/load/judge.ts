/**
 * Takes every UPDATE that a simulated neighbour receives, writes into the ledger what it now holds, and counts what is wrong with it. Pure. The
 * loops over NLRI make no objects; only the first few faults become text.
 */
import { NotificationError } from '../bgp/errors.js'
import { splitUpdate } from '../bgp/message/update.js'
import { UpdateParts } from '../bgp/message/update-parts.js'
import { formatAddress, formatIpv4, wordAt } from '../net/address.js'
import { Family, familyOf, familyRow } from '../net/family.js'
import { formatPrefix } from '../net/prefix.js'
import type { ChurnLog } from './churn-log.js'
import { BlockFacts, expectedHashes, NextHopOwner, NextHops } from './expectations.js'
import { Ledger } from './ledger.js'
import type { Member, Plan } from './plan.js'
import { formatId } from './prefixes.js'
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
  readonly #nextHops: NextHops
  readonly #hashes: Uint32Array
  readonly #parts = new UpdateParts()
  readonly #facts = new BlockFacts()
  readonly #examples = new Map<string, string[]>()

  /** `self`: addresses that the target may set as next hop. */
  constructor(plan: Plan, self: readonly Uint8Array[]) {
    this.#plan = plan
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

  /** Compares every row bit for bit with what it should hold, and keeps examples. Returns how many prefixes differ. */
  verify(wanted: 'all' | 'none'): number {
    let differences = 0
    for (const member of this.#plan.members) {
      differences += this.ledger.compare(member.index, wanted === 'all', member.from, member.to, (id) => {
        const owner = this.#plan.members[this.#plan.ownerOf(id)]!
        this.#example(wanted, () =>
          wanted === 'all'
            ? `${member.address} has no route to ${formatId(this.#plan.space, id)}, announced by ${owner.address}`
            : `${member.address} still has ${formatId(this.#plan.space, id)}, withdrawn by ${owner.address}`,
        )
      })
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
    const { tallies, ledger } = this
    for (let at = start; at < end; at += 1 + ((buffer[at]! + 7) >> 3)) {
      const id = this.#idAt(buffer, at, end, family)
      tallies.withdrawn++
      if (id < 0) {
        tallies.surplusWithdrawals++
        continue
      }
      if (id >= member.from && id < member.to) continue
      if (!ledger.remove(member.index, id)) {
        tallies.surplusWithdrawals++
      } else if (this.churn !== null) {
        const slot = this.#slotOf(id)
        if (slot >= 0) this.churn.withdrawn(member.index, slot, nowMs)
      }
    }
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
    const nextHopOwner = this.#nextHops.ownerOf(buffer, nextHopStart, nextHopEnd)
    const isAnybodys = nextHopOwner === NextHopOwner.ANYBODY
    const owner = nextHopOwner < 0 ? undefined : this.#plan.members[nextHopOwner]
    const from = owner === undefined ? 0 : owner.from
    const to = owner === undefined ? 0 : owner.to
    let first = -1
    let last = -1
    for (let at = start; at < end; at += 1 + ((buffer[at]! + 7) >> 3)) {
      const id = this.#idAt(buffer, at, end, family)
      tallies.announced++
      if (id < 0) {
        tallies.otherPrefixes++
        this.#otherExample(member, buffer, at, family)
        continue
      }
      if (first < 0) first = id
      last = id
      if (!isAnybodys && (id < from || id >= to)) this.#wrongNextHop(member, id, buffer, nextHopStart, nextHopEnd)
      if (id >= member.from && id < member.to) {
        tallies.echoes++
        continue
      }
      const isNew = ledger.add(member.index, id)
      if (this.churn !== null && this.#facts.version !== 0) {
        const slot = this.#slotOf(id)
        if (slot < 0 || !this.churn.announced(member.index, slot, this.#facts.version, nowMs)) tallies.duplicates++
      } else if (!isNew) {
        tallies.duplicates++
      }
    }
    if (first < 0 || !this.comparesAttributes) return
    this.#checkAttributes(member, first)
    if (last !== first) this.#checkAttributes(member, last)
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
      return `${member.address} got ${formatId(this.#plan.space, id)} of ${owner.address} with wrong attributes: ${what}`
    })
  }

  #wrongNextHop(member: Member, id: number, buffer: Uint8Array, start: number, end: number): void {
    this.tallies.wrongNextHops++
    this.#example('next-hop', () => {
      const owner = this.#plan.members[this.#plan.ownerOf(id)]!
      const seen = start < 0 ? 'none' : addressText(buffer.subarray(start, end))
      const announced = formatAddress(this.#plan.nextHopOf(owner.index))
      return `${member.address} got ${formatId(this.#plan.space, id)} with next hop ${seen}; ${owner.address} announced ${announced}`
    })
  }

  #otherExample(member: Member, buffer: Uint8Array, at: number, family: Family | undefined): void {
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
    if (length > familyRow(family).addressOctets * 8 || at + 1 + octets > end) {
      throw new NotificationError(3, 10, `prefix of length ${length} is cut or too long (RFC 7606 §5.3)`)
    }
    if (family !== this.#family || octets > 8) return -1
    if (octets === 4) return this.#plan.space.find(wordAt(buffer, at + 1), 0, length)
    let w0 = 0
    let w1 = 0
    for (let i = 0; i < octets; i++) {
      if (i < 4) w0 |= buffer[at + 1 + i]! << (24 - 8 * i)
      else w1 |= buffer[at + 1 + i]! << (56 - 8 * i)
    }
    return this.#plan.space.find(w0 >>> 0, w1 >>> 0, length)
  }
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 32) return formatAddress(bytes.subarray(0, 16))
  return bytes.length === 4 || bytes.length === 16 ? formatAddress(bytes) : `of ${bytes.length} octets`
}

const EXAMPLES = 10
