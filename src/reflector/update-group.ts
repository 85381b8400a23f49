/**
 * An update group: the peers of one family whose outgoing updates are equal share one Adj-RIB-Out, one encoding and one log of messages
 * (docs/adr/0003-update-groups.md).
 *
 * A changed prefix is compared with what the group has sent; the difference is encoded once and appended to the log; following members get slices of that
 * memory. A member that joins, asks for a refresh, or is too slow for the log is *behind*: a bit set names the prefixes whose present state it still has to
 * hear, and slices of 1024 prefix ids are encoded for it from the table, shared with the other members that need the same slice.
 *
 * With ADD-PATH (RFC 7911) the rows of all this are paths instead of prefixes, and a changed prefix stands for its paths (add-path-rows.ts). The source of a
 * path never changes, so nobody needs a withdrawal of its own there.
 *
 * Cost: 8 octets a row and group, the log up to GroupLimits.logOctets, and a bit per row for each member behind.
 */
import type { Family } from '../net/family.js'
import type { AttributeStore } from '../rib/attribute-store.js'
import type { FamilyTables } from '../rib/rib.js'
import type { RibSource } from '../rib/source.js'
import { AddPathRows } from './add-path-rows.js'
import { AdjRibOut } from './adj-rib-out.js'
import { CatchUp } from './catch-up.js'
import { Delivery, type GroupLimits } from './delivery.js'
import { Exporter, type ExporterOptions } from './exporter.js'
import type { Member, MemberLink } from './member.js'
import { OutSetTable } from './out-set.js'
import { PrefixBits, SLICE_PREFIXES } from './prefix-bits.js'
import { PrefixLimbo } from './prefix-limbo.js'
import { RouteServerPaths } from './route-server.js'
import { PathRowIds, type RowIds } from './row-ids.js'
import type { UpdateLog } from './update-log.js'
import { type PackedSlab, UpdatePacker } from './update-packer.js'

export interface GroupContext {
  readonly tables: FamilyTables
  readonly store: AttributeStore
  readonly source: (index: number) => RibSource | undefined
  /** Asks for pump(member) soon. */
  readonly wake: (group: UpdateGroup, member: Member) => void
  /** Attributes of a route do not fit into a message of this group: it is withheld (RFC 8654 §4). */
  readonly tooLong: (group: UpdateGroup) => void
  /** Asks for tableSlice() soon. */
  readonly tableWork: () => void
}

/** An announcement as a member has heard it. */
export interface SentRow {
  readonly row: number
  /** Out set. */
  readonly set: number
  readonly source: number
}

export class UpdateGroup {
  readonly id: number
  readonly key: string
  readonly exporter: Exporter
  readonly outSets: OutSetTable
  readonly #context: GroupContext
  readonly #packer: UpdatePacker
  /** For what is not in the log: targeted withdrawals, and members behind. */
  readonly #sidePacker: UpdatePacker
  readonly #sliceIds = new Int32Array(SLICE_PREFIXES)
  readonly #rows: RowIds
  /** With ADD-PATH, else null. */
  readonly #addPath: AddPathRows | null
  readonly #table: AdjRibOut
  readonly #delivery: Delivery
  /** Second paths; only for clients of a route server. */
  readonly #routeServer: RouteServerPaths | null
  readonly #limbo: PrefixLimbo
  /** Withdrawn in this batch: kept when the log has its entries. */
  readonly #limboOfBatch: number[] = []
  /** Grows when the table or what stands in the limbo may have changed. */
  #changes = 0
  /** What members of another group may have heard, found once for all that come over in one reload. */
  #adoption: { readonly from: number; readonly changes: number; readonly heard: PrefixBits } | null = null
  /** Next prefix id to compare with an empty table after the group was made; -1 when done. */
  #loadFrom = 1
  #limboDue = false

  constructor(
    id: number,
    key: string,
    options: ExporterOptions,
    context: GroupContext,
    limits: GroupLimits,
    seed: number,
  ) {
    this.id = id
    this.key = key
    this.#context = context
    this.outSets = new OutSetTable(seed)
    this.exporter = new Exporter(options, context.store, this.outSets)
    this.exporter.onTooLong = () => context.tooLong(this)
    const { tables, store, source } = context
    const { prefixes } = tables
    const paths = options.sendPaths > 0 ? tables.paths : null
    this.#rows = paths === null ? prefixes : new PathRowIds(paths, prefixes)
    this.#addPath = paths === null ? null : new AddPathRows(tables, store, source, this.exporter, options.sendPaths)
    this.#limbo = new PrefixLimbo(this.#rows)
    this.#packer = new UpdatePacker(options.family, prefixes, this.outSets, options.maxMessageOctets, paths)
    this.#sidePacker = new UpdatePacker(options.family, prefixes, this.outSets, options.maxMessageOctets, paths)
    this.#table = new AdjRibOut(this.#rows, this.outSets)
    // With ADD-PATH all paths go out beside each other: none hides another one.
    const transparent = options.routeServerClient && paths === null
    this.#routeServer = transparent ? new RouteServerPaths(context, this.exporter, this.outSets) : null
    this.#delivery = new Delivery(limits, new CatchUp(this.#table, this.#sidePacker, this.#routeServer), {
      family: options.family,
      isLoading: () => this.isLoading,
      markTable: (member) => this.#markTable(member),
      passed: () => this.#releaseLimbo(),
      wake: (member) => context.wake(this, member),
    })
  }

  get family(): Family {
    return this.exporter.options.family
  }
  /** Prefixes that the group announces, with ADD-PATH paths. */
  get prefixCount(): number {
    return this.#table.count
  }
  /** Octets of its columns and of its sets and messages; members behind come on top. */
  get arrayOctets(): number {
    const addPath = this.#addPath === null ? 0 : this.#addPath.arrayOctets
    const second = this.#routeServer === null ? 0 : this.#routeServer.arrayOctets
    const packers = this.#packer.arrayOctets + this.#sidePacker.arrayOctets
    return this.#table.arrayOctets + addPath + second + this.outSets.arrayOctets + this.log.octets + packers
  }
  /** By the source of the same session. */
  get members(): ReadonlyMap<number, Member> {
    return this.#delivery.members
  }
  get log(): UpdateLog {
    return this.#delivery.log
  }
  get behindCount(): number {
    return this.#delivery.behind
  }
  get isLoading(): boolean {
    return this.#loadFrom !== -1
  }
  /** tableSlice() has something to do. */
  get hasTableWork(): boolean {
    return this.#loadFrom !== -1 || this.#limboDue
  }

  /** The rows announced for a prefix: itself, with ADD-PATH its paths. */
  sentRows(prefix: number): readonly number[] {
    if (this.#addPath === null) return this.#table.setOf(prefix) === 0 ? NO_ROWS : [prefix]
    const rows: number[] = []
    for (let path = this.#addPath.first(prefix); path !== 0; path = this.#addPath.next(path)) rows.push(path)
    return rows
  }
  /** The out set that a row is announced with, 0 where it is not. */
  sent(row: number): number {
    return this.#table.setOf(row)
  }
  /** Index of the source whose route is announced; meaningful while sent() is not 0. */
  sentSource(row: number): number {
    return this.#table.sourceOf(row)
  }
  /** Rows are paths, and their ids go out with them. */
  get sendsPathIds(): boolean {
    return this.#addPath !== null
  }

  /** What a member has heard of a prefix when it has heard all. */
  sentTo(prefix: number, member: number): SentRow[] {
    const rows = this.sentRows(prefix)
    const others = rows.filter((row) => this.#table.sourceOf(row) !== member)
    const second = rows.length > others.length ? (this.#routeServer?.secondOf(prefix) ?? 0) : 0
    if (second !== 0) return [{ row: prefix, set: second, source: this.#routeServer!.secondSourceOf(prefix) }]
    return others.map((row) => ({ row, set: this.sent(row), source: this.#table.sourceOf(row) }))
  }

  /** How many rows a member does not hear because they are its own, by its source. */
  countsBySource(): Map<number, number> {
    const counts = this.#table.countsBySource()
    const seconds = this.#routeServer?.countsBySource((prefix) => this.#table.sourceOf(prefix))
    for (const [source, count] of seconds ?? []) counts.set(source, (counts.get(source) ?? 0) - count)
    return counts
  }

  join(source: number, name: string, link: MemberLink): Member {
    return this.#delivery.join(source, name, link)
  }

  leave(member: Member): void {
    this.#delivery.leave(member)
  }

  /** ROUTE-REFRESH (RFC 2918): the member hears the whole table again. */
  refresh(member: Member): void {
    this.#delivery.refresh(member)
  }

  /** Gives a member what its socket can take. Called when woken. */
  pump(member: Member): void {
    this.#delivery.pump(member)
  }

  /**
   * A member of another group joins, because a reload changed what it is to hear: it gets the difference between what it has heard there and this table, once
   * this table is complete. `heard` leaves its old group with this.
   */
  adopt(heard: Member, from: UpdateGroup): Member {
    const member = this.join(heard.source, heard.name, heard.link)
    member.waitsForTable = true
    member.owesEndOfRib = heard.owesEndOfRib
    member.endOfRibSent = heard.endOfRibSent
    // It hears all of this table, so that a refresh under way is complete with it.
    member.refreshAfterEndOfRib = heard.refreshAfterEndOfRib
    member.refreshDue = heard.refreshDue
    member.owesRefreshBegin = heard.owesRefreshBegin
    member.owesRefreshEnd = heard.owesRefreshEnd
    // Its own routes too: it may not have read yet that an earlier winner is gone.
    member.bits.addAll(this.#heardIn(from))
    from.leave(heard)
    return member
  }

  /** All that a member of `from` may have heard. The ids stay in the limbo, and are not reused, while a member here is behind. */
  #heardIn(from: UpdateGroup): PrefixBits {
    const known = this.#adoption
    if (known !== null && known.from === from.id && known.changes === from.#changes) return known.heard
    const heard = new PrefixBits()
    const mark = (row: number): void => {
      heard.add(row)
      this.#rows.retain(row)
      this.#limbo.keep(row, this.log.head - 1)
    }
    for (let row = 1; row < from.#table.end; row++) if (from.#table.setOf(row) !== 0) mark(row)
    for (const row of from.#limbo.prefixes()) mark(row)
    this.#changes++
    this.#adoption = { from: from.id, changes: from.#changes, heard }
    return heard
  }

  /** A few milliseconds of what concerns the whole table: filling it after the group was made, giving back prefix ids. */
  tableSlice(): void {
    if (this.#limboDue) this.#releaseLimbo()
    if (this.#loadFrom !== -1) this.#loadSlice()
  }

  /** Compares the next slice of prefix ids with an empty table. */
  #loadSlice(): void {
    const { prefixes, paths, dirty } = this.#context.tables
    const end = Math.min(prefixes.end, this.#loadFrom + SLICE_PREFIXES)
    paths.reservePrefixes(prefixes.capacity)
    let count = 0
    for (let prefix = this.#loadFrom; prefix < end; prefix++) {
      // A dirty one comes with its new winner anyway; its old one may be gone.
      if (dirty.has(prefix)) continue
      const { first, announced } =
        this.#addPath === null
          ? { first: paths.best[prefix], announced: this.#table.setOf(prefix) }
          : { first: paths.firstOfPrefix[prefix], announced: this.#addPath.first(prefix) }
      if (first !== 0 || announced !== 0) this.#sliceIds[count++] = prefix
    }
    this.#loadFrom = end >= prefixes.end ? -1 : end
    this.change(this.#sliceIds, count)
    if (this.#loadFrom === -1) for (const member of this.members.values()) this.#context.wake(this, member)
  }

  /** The winners of these prefixes may have changed. */
  change(ids: Int32Array, count: number): void {
    this.#changes++
    this.#table.reserve()
    const targeted = new Map<number, number[]>()
    const follows = this.#delivery.followers > 0
    if (this.#addPath !== null) this.#changePaths(this.#addPath, ids, count, follows)
    else this.#changeWinners(ids, count, follows, targeted)
    if (follows) this.#append(targeted)
    else this.#releaseLimbo()
    this.#delivery.wake('behind')
  }

  #changeWinners(ids: Int32Array, count: number, follows: boolean, targeted: Map<number, number[]>): void {
    const { tables, store, source: sourceOf } = this.#context
    const { paths, prefixes } = tables
    const routeServer = this.#routeServer
    const perPrefix = this.exporter.readsPrefix
    // What was found for the prefix before: routes of one UPDATE come one after the other.
    let knownFor = 0
    let knownSource: RibSource | undefined
    let known = 0
    for (let i = 0; i < count; i++) {
      const prefix = ids[i]!
      if (routeServer !== null) {
        this.#changeBoth(routeServer, prefix, targeted, follows)
        continue
      }
      const best = paths.best[prefix]!
      const source = best === 0 ? undefined : sourceOf(paths.source[best]!)
      const effective = best === 0 ? 0 : paths.effective[best]!
      let out = 0
      if (source !== undefined && effective !== 0) {
        if (effective !== knownFor || source !== knownSource || perPrefix) {
          knownFor = effective
          knownSource = source
          known = this.exporter.outgoing(store.get(effective), source, prefixes, prefix)
        }
        out = known
      }
      const oldId = this.#table.setOf(prefix)
      if (out === 0) {
        if (oldId === 0) continue
        this.#withdraw(prefix, follows)
        continue
      }
      const oldSource = this.#table.sourceOf(prefix)
      const sourceIndex = source!.index
      if (oldId === out && oldSource === sourceIndex) continue
      this.#announce(prefix, oldId, out, sourceIndex, follows)
      if (oldId !== 0 && oldSource !== sourceIndex && follows && this.members.get(sourceIndex)?.state === 'following') {
        const list = targeted.get(sourceIndex)
        if (list === undefined) targeted.set(sourceIndex, [prefix])
        else list.push(prefix)
      }
    }
  }

  #changePaths(addPath: AddPathRows, ids: Int32Array, count: number, follows: boolean): void {
    const { paths } = this.#context.tables
    addPath.reserve()
    for (let i = 0; i < count; i++) {
      addPath.select(ids[i]!)
      for (const path of addPath.gone) this.#withdraw(path, follows)
      for (let at = 0; at < addPath.paths.length; at++) {
        const path = addPath.paths[at]!
        const out = addPath.outs[at]!
        const oldId = this.#table.setOf(path)
        if (oldId !== out) this.#announce(path, oldId, out, paths.source[path]!, follows)
      }
    }
  }

  /** As change(), with the path that the source of the announced one hears instead. */
  #changeBoth(both: RouteServerPaths, prefix: number, targeted: Map<number, number[]>, follows: boolean): void {
    both.choose(prefix)
    const { first: out, firstSource } = both
    const second = both.noteSecond(prefix)
    const oldId = this.#table.setOf(prefix)
    if (out === 0) {
      if (oldId !== 0) this.#withdraw(prefix, follows)
      return
    }
    const oldSource = this.#table.sourceOf(prefix)
    const same = oldId === out && oldSource === firstSource
    if (!same) this.#announce(prefix, oldId, out, firstSource, follows)
    if (!second && (same || oldId === 0 || oldSource === firstSource)) return
    const member = this.members.get(firstSource)
    if (member === undefined) return
    if (member.state === 'behind') member.bits.add(prefix)
    else if (!targeted.get(firstSource)?.push(prefix)) targeted.set(firstSource, [prefix])
  }

  /** Releases what the group holds, one slice of it; it has no members any more. True when all is released. */
  closeSlice(): boolean {
    const closed = this.#table.closeSlice(SLICE_PREFIXES * 4)
    const closedSecond = this.#routeServer?.closeSlice(SLICE_PREFIXES * 4) ?? true
    const more = this.#limbo.releaseBefore(Number.POSITIVE_INFINITY, SLICE_PREFIXES)
    if (more || !closed || !closedSecond) return false
    this.exporter.close()
    return true
  }

  #withdraw(row: number, follows: boolean): void {
    this.#table.withdraw(row)
    // The use that the table had of the row's id goes over to the limbo.
    if (follows) {
      this.#limboOfBatch.push(row)
      this.#packer.withdraw(row)
    } else {
      this.#limbo.keep(row, this.log.head - 1)
    }
    if (this.#delivery.behind > 0)
      this.#delivery.markChanged(row, this.#addPath === null ? -1 : this.#table.sourceOf(row))
  }

  #announce(row: number, oldId: number, out: number, source: number, follows: boolean): void {
    this.#table.announce(row, out, source)
    if (follows) this.#packer.announce(row, out, source)
    if (this.#delivery.behind === 0) return
    const hearsSecond = (this.#routeServer?.secondOf(row) ?? 0) !== 0
    this.#delivery.markChanged(row, (oldId === 0 && !hearsSecond) || this.#addPath !== null ? source : -1)
  }

  /** A member is to hear everything but its own routes. */
  #markTable(member: Member): void {
    const table = this.#table
    for (let row = 1; row < table.end; row++) {
      if (table.setOf(row) === 0) continue
      if (table.sourceOf(row) !== member.source || (this.#routeServer?.secondOf(row) ?? 0) !== 0) member.bits.add(row)
    }
  }

  /** Packs the batch, appends it to the log and wakes the followers. */
  #append(targeted: ReadonlyMap<number, readonly number[]>): void {
    if (this.#packer.isEmpty && targeted.size === 0) return
    const { log } = this
    const readers = this.#delivery.followers
    const withdrawals = this.#encodeTargeted(targeted)
    let first = this.#routeServer === null
    // The second path of a prefix may change alone: what is targeted has an entry of its own.
    if (!first && targeted.size > 0) log.append(slabOf(targeted), withdrawals, readers)
    for (const slab of this.#packer.take()) {
      log.append(slab, first ? withdrawals : NONE_TARGETED, readers)
      first = false
    }
    for (const row of this.#limboOfBatch) this.#limbo.keep(row, log.head - 1)
    this.#limboOfBatch.length = 0
    this.#delivery.boundLog()
    this.#delivery.wake('following')
  }

  #encodeTargeted(targeted: ReadonlyMap<number, readonly number[]>): ReadonlyMap<number, Uint8Array> {
    if (targeted.size === 0) return NONE_TARGETED
    const encoded = new Map<number, Uint8Array>()
    for (const [source, prefixes] of targeted) {
      for (const prefix of prefixes) {
        const second = this.#routeServer?.secondOf(prefix) ?? 0
        if (second === 0) this.#sidePacker.withdraw(prefix)
        else this.#sidePacker.announce(prefix, second, this.#routeServer!.secondSourceOf(prefix))
      }
      const slabs = this.#sidePacker.take()
      encoded.set(source, slabs.length === 1 ? slabs[0]!.octets : Buffer.concat(slabs.map((slab) => slab.octets)))
    }
    return encoded
  }

  #releaseLimbo(): void {
    if (this.#delivery.behind > 0) return
    this.#adoption = null
    const tail = this.log.length === 0 ? Number.POSITIVE_INFINITY : this.log.tail
    this.#limboDue = this.#limbo.releaseBefore(tail, SLICE_PREFIXES)
    if (this.#limboDue) this.#context.tableWork()
  }
}

/** An entry without octets for all, which names the prefixes that its targeted messages speak of. */
function slabOf(targeted: ReadonlyMap<number, readonly number[]>): PackedSlab {
  return {
    octets: new Uint8Array(0),
    ranges: new Map(),
    prefixes: Int32Array.from([...targeted.values()].flat()),
    messages: 0,
  }
}

const NO_ROWS: readonly number[] = []
const NONE_TARGETED: ReadonlyMap<number, Uint8Array> = new Map()
