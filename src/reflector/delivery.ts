/**
 * How the members of an update group get what the group has to say: those that follow read its log, those that are behind hear the present state of the table slice by slice, and
 * each is given no more than its socket takes. What is said, and of which rows, is the group's (update-group.ts).
 */
import { encodeRouteRefresh, RefreshSubtype } from '../bgp/message/route-refresh.js'
import { type Family, familyRow } from '../net/family.js'
import type { CatchUp } from './catch-up.js'
import { Member, type MemberLink } from './member.js'
import { Outgoing } from './outgoing.js'
import { UpdateLog } from './update-log.js'
import { endOfRibMessage } from './update-packer.js'

export interface GroupLimits {
  /** The log may hold so much before the slowest members fall behind. */
  readonly logOctets: number
  /** A socket is given at most so much beyond what it has taken, so that a KEEPALIVE never waits long. */
  readonly windowOctets: number
}

/** The group as its delivery sees it. */
export interface DeliveringGroup {
  readonly family: Family
  /** The table is not complete yet. */
  isLoading(): boolean
  /** Sets the bits of all rows that the member is to hear. */
  markTable(member: Member): void
  /** Entries of the log were passed, or nobody is behind any more: rows that were kept for them may go. */
  passed(): void
  /** Asks for pump(member) soon. */
  wake(member: Member): void
}

export class Delivery {
  /** By the source of the same session. */
  readonly members = new Map<number, Member>()
  readonly log = new UpdateLog()
  /** Members that are behind. */
  behind = 0
  readonly #limits: GroupLimits
  readonly #catchUpWith: CatchUp
  readonly #group: DeliveringGroup

  constructor(limits: GroupLimits, catchUp: CatchUp, group: DeliveringGroup) {
    this.#limits = limits
    this.#catchUpWith = catchUp
    this.#group = group
  }

  /** How many members read the log. */
  get followers(): number {
    return this.members.size - this.behind
  }

  join(source: number, name: string, link: MemberLink): Member {
    const member = new Member(source, name, link)
    this.members.set(source, member)
    this.behind++
    this.#group.markTable(member)
    this.#group.wake(member)
    return member
  }

  leave(member: Member): void {
    if (member.gone) return
    member.gone = true
    this.members.delete(member.source)
    this.#passReading(member)
    if (member.state === 'behind') this.behind--
    else this.log.pass(member.position, this.log.head)
    this.#group.passed()
    if (this.behind === 0) this.#catchUpWith.clear()
  }

  /** All members in this state. */
  wake(state: Member['state']): void {
    if ((state === 'behind' ? this.behind : this.followers) === 0) return
    for (const member of this.members.values()) if (member.state === state) this.#group.wake(member)
  }

  /**
   * ROUTE-REFRESH (RFC 2918): the member hears the whole table again, between BoRR and EoRR where its peer knows them (RFC 7313). Asked again meanwhile, it
   * begins again with another BoRR. What was asked is noted only: a peer can ask thousands of times in a message, and the table is marked once (pump).
   */
  refresh(member: Member): void {
    if (member.link.refreshMarked !== undefined && member.owesEndOfRib) {
      member.refreshAfterEndOfRib = true
      return
    }
    member.refreshDue = true
    this.#group.wake(member)
  }

  #beginRefresh(member: Member): void {
    member.refreshDue = false
    if (member.link.refreshMarked !== undefined) member.owesRefreshBegin = true
    if (member.state === 'following') this.#fallBehind(member)
    this.#group.markTable(member)
  }

  /** Gives a member what its socket can take. Called when woken. */
  pump(member: Member): void {
    if (member.gone) return
    // A peer that does not read what it asked for has its table marked no further time.
    if (member.refreshDue && member.inFlight < this.#limits.windowOctets) this.#beginRefresh(member)
    if (member.state === 'behind') this.#catchUp(member)
    if (member.state === 'following') this.#follow(member)
  }

  /** Members behind have to hear of a row; `except` is a source that never heard of it and need not. */
  markChanged(row: number, except: number): void {
    for (const member of this.members.values())
      if (member.state === 'behind' && member.source !== except) member.bits.add(row)
  }

  /** The log has grown: where it is too long the slowest members leave it. */
  boundLog(): void {
    while (this.log.octets > this.#limits.logOctets && this.#dropSlowest()) {}
  }

  /** The members that hold the oldest entry, unread or not taken by their sockets, leave the log. False when nobody is left to drop. */
  #dropSlowest(): boolean {
    let slowest = this.log.head
    for (const member of this.members.values())
      if (member.state === 'following' && oldestHeld(member) < slowest) slowest = oldestHeld(member)
    if (slowest === this.log.head) return false
    for (const member of this.members.values())
      if (member.state === 'following' && oldestHeld(member) === slowest) this.#fallBehind(member)
    return true
  }

  /**
   * From following to behind: what it has not read becomes bits. What its socket still holds is passed: the socket keeps those octets by itself (a window of
   * them at most), and an entry kept for it would keep all later ones too.
   */
  #fallBehind(member: Member): void {
    this.#passReading(member)
    for (let sequence = member.position; sequence < this.log.head; sequence++) {
      const entry = this.log.entry(sequence)
      for (const row of entry.prefixes) member.bits.add(row)
    }
    const from = member.position
    const to = this.log.head
    member.state = 'behind'
    this.behind++
    this.log.pass(from, to)
  }

  #passReading(member: Member): void {
    for (const { from, to } of member.reading.splice(0)) this.log.pass(from, to)
  }

  #follow(member: Member): void {
    const { windowOctets } = this.#limits
    while (member.position < this.log.head && member.inFlight < windowOctets) {
      const out = new Outgoing()
      const from = member.position
      while (member.position < this.log.head && out.octets + member.inFlight < windowOctets) {
        const entry = this.log.entry(member.position++)
        out.addSlab(entry, member.source)
        const own = entry.targeted.get(member.source)
        if (own !== undefined) out.add(own, 1)
      }
      this.#send(member, out, from, member.position)
    }
  }

  #catchUp(member: Member): void {
    if (member.waitsForTable && this.#group.isLoading()) return
    const { windowOctets } = this.#limits
    const out = new Outgoing()
    if (member.owesRefreshBegin) {
      member.owesRefreshBegin = false
      member.owesRefreshEnd = true
      this.#markRefresh(member, out, RefreshSubtype.BORR)
    }
    let slice = 0
    for (let slices = 0; member.inFlight + out.octets < windowOctets; slices++) {
      slice = member.bits.nextSlice(slice)
      if (slice === -1) break
      if (slices === SLICES_AT_ONCE) {
        this.#group.wake(member)
        break
      }
      this.#catchUpWith.addSlice(out, member, slice)
    }
    if (member.bits.size === 0 && !this.#group.isLoading()) {
      member.state = 'following'
      member.position = this.log.head
      this.behind--
      if (this.behind === 0) {
        this.#catchUpWith.clear()
        this.#group.passed()
      }
      if (member.owesEndOfRib) {
        member.owesEndOfRib = false
        member.endOfRibSent = true
        out.add(endOfRibMessage(this.#group.family), 1)
      }
      if (member.owesRefreshEnd) {
        member.owesRefreshEnd = false
        this.#markRefresh(member, out, RefreshSubtype.EORR)
      }
    }
    if (out.octets > 0) this.#send(member, out, 0, 0)
    if (member.refreshAfterEndOfRib && !member.owesEndOfRib) {
      member.refreshAfterEndOfRib = false
      this.refresh(member)
    }
  }

  #markRefresh(member: Member, out: Outgoing, subtype: number): void {
    const { afi, safi } = familyRow(this.#group.family)
    out.add(encodeRouteRefresh(afi, safi, subtype), 0)
    member.link.refreshMarked?.()
  }

  /** `from` to `to`: the log entries that these octets carry, to be passed when the kernel has taken them. */
  #send(member: Member, out: Outgoing, from: number, to: number): void {
    if (out.octets === 0) {
      this.log.pass(from, to)
      this.#group.passed()
      return
    }
    const { octets } = out
    member.inFlight += octets
    member.octetsSent += octets
    const range = { from, to }
    if (to > from) member.reading.push(range)
    const taken = (): void => {
      member.inFlight -= octets
      if (member.gone) return
      // A member that fell behind meanwhile has passed it already.
      if (member.reading[0] === range) {
        member.reading.shift()
        this.log.pass(from, to)
        this.#group.passed()
      }
      if (this.#hasMore(member)) this.#group.wake(member)
    }
    member.link.send(out.chunks, taken, out.messages)
  }

  #hasMore(member: Member): boolean {
    if (member.refreshDue) return true
    return member.state === 'behind'
      ? member.bits.size > 0 || !this.#group.isLoading()
      : member.position < this.log.head
  }
}

/** The oldest entry that the log keeps for a following member. */
function oldestHeld(member: Member): number {
  return member.reading[0]?.from ?? member.position
}

/** Encoded for one member before the next one has its turn: a few milliseconds. */
const SLICES_AT_ONCE = 4
