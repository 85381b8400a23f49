/**
 * The routing information base of one speaker: Adj-RIBs-In and Loc-RIB (RFC 4271 §3.2) of both families over the same records.
 *
 * UPDATE octets go in (adj-rib-in.ts), changed prefixes are marked dirty once, `decide()` chooses their winners in batches, and whoever wants to know
 * (update groups, FIB) reads the winners of the batch before `finish()` gives it back.
 */
import { NotificationError } from '../bgp/errors.js'
import type { Family } from '../net/family.js'
import { FAMILIES } from '../net/family.js'
import { AttributeFilter } from './attribute-filter.js'
import type { AttributeRules } from './attribute-rules.js'
import { type AttributeSet, CommunityBits } from './attribute-set.js'
import { AttributeStore, type StoreIdentity } from './attribute-store.js'
import { Decision, DecisionReason } from './decision.js'
import { DirtyList } from './dirty-list.js'
import { ImportPolicy } from './import-policy.js'
import { IntakeEdits, PLAIN_INTAKE } from './intake.js'
import { LongLivedSets } from './long-lived.js'
import { NextHopTable, type Resolver } from './next-hop.js'
import { PathState } from './path-state.js'
import { PathTable } from './path-table.js'
import type { CompiledPolicy } from './policy-types.js'
import { PrefixTable } from './prefix-table.js'
import { RibSource, type SourceOptions } from './source.js'

export interface FamilyTables {
  readonly family: Family
  readonly prefixes: PrefixTable
  readonly paths: PathTable
  readonly decision: Decision
  readonly dirty: DirtyList
}

export interface RibOptions extends StoreIdentity {
  /** Seeds all hash tables. */
  readonly seed: number
  readonly nodeName: string
  /** Seconds, monotonic; for the age of paths. */
  readonly nowSeconds: () => number
}

export class Rib {
  readonly tables: readonly FamilyTables[]
  readonly store: AttributeStore
  readonly nextHops: NextHopTable
  readonly intake: IntakeEdits
  /** The routes of this speaker. */
  readonly local: RibSource
  readonly #sources = new Map<number, RibSource>()
  /** That source() gave last. */
  #lastSource: RibSource
  readonly #closing: RibSource[] = []
  readonly #sweeping: RibSource[] = []
  readonly #longLived: LongLivedSets
  /** A sweep of stale paths has come to its end; `source.swept` says how many went. */
  onSwept: (family: Family, source: RibSource) => void = () => {}
  readonly #policies = new Map<CompiledPolicy, ImportPolicy>()
  /** By their lists. */
  readonly #filters = new Map<string, AttributeFilter>()
  readonly #policyKeys = new Map<string, number>()
  readonly #nowSeconds: () => number
  #nextSource = 1
  /** Prefix ids of the batch that decide() returned. */
  readonly batch = new Int32Array(BATCH_PREFIXES)

  constructor(options: RibOptions) {
    this.#nowSeconds = options.nowSeconds
    this.nextHops = new NextHopTable(options.seed)
    this.store = new AttributeStore(this.nextHops, options, options.seed)
    this.intake = new IntakeEdits(this.store)
    this.#longLived = new LongLivedSets(this.store)
    this.store.onFree((id) => {
      this.intake.forget(id)
      for (const policy of this.#policies.values()) policy.forget(id)
      for (const filter of this.#filters.values()) filter.forget(id)
    })
    this.local = new RibSource(0, {
      name: 'local',
      kind: 0,
      bgpId: options.routerId,
      asn: options.asn,
      localAsn: options.asn,
      address: new Uint8Array(0),
      as4: true,
      addPathReceive: 0,
      weight: LOCAL_WEIGHT,
      allowOwnAs: 0,
      intake: PLAIN_INTAKE,
      importPolicy: null,
    })
    this.#sources.set(0, this.local)
    this.#lastSource = this.local
    const source = (index: number): RibSource => this.source(index)!
    this.tables = FAMILIES.map(({ family }) => {
      const prefixes = new PrefixTable(family, options.seed + family)
      const paths = new PathTable()
      prefixes.onGrown = (capacity) => paths.reservePrefixes(capacity)
      const decision = new Decision({ paths, store: this.store, nextHops: this.nextHops, source })
      return { family, prefixes, paths, decision, dirty: new DirtyList(prefixes) }
    })
  }

  /** The clock of the paths' ages. */
  nowSeconds(): number {
    return this.#nowSeconds()
  }

  /** Neighbouring prefixes mostly come from the same one: a comparison instead of a look into the map. */
  source(index: number): RibSource | undefined {
    if (this.#lastSource.index === index) return this.#lastSource
    const source = this.#sources.get(index)
    if (source !== undefined) this.#lastSource = source
    return source
  }

  /** A session came up. Indices are never used again. */
  openSource(options: SourceOptions): RibSource {
    const source = new RibSource(this.#nextSource++, options, this.#policyKeyOf(options))
    this.#sources.set(source.index, source)
    return source
  }

  /** The same for all sessions that policies cannot tell apart, so that memos do not grow with every session. */
  #policyKeyOf({ kind, name }: SourceOptions): number {
    const text = `${kind} ${name}`
    let key = this.#policyKeys.get(text)
    if (key === undefined) {
      key = this.#policyKeys.size + 1
      this.#policyKeys.set(text, key)
    }
    return key
  }

  /** A session is gone: its paths count no more from now on, and clearSlice() takes them out. */
  closeSource(source: RibSource): void {
    if (source.closed) return
    source.closed = true
    this.#closing.push(source)
  }

  /**
   * All paths that the source has in the family are stale from now on, until they are announced again (RFC 4724 §4.2, RFC 7313 §4). They are used as before. A
   * sweep under way is given up: what it has not reached is stale again anyway.
   */
  markStale(family: Family, source: RibSource): void {
    // 256 generations: those left over by a sweep that was given up are of the last few.
    source.generation[family] = (source.generation[family]! + 1) & 255
    source.sweepAt[family] = 0
  }

  isStale(family: Family, path: number): boolean {
    const { paths } = this.tables[family]!
    return paths.generation[path] !== this.#sources.get(paths.source[path]!)!.generation[family]
  }

  /** The same where some may be stale still: those go, in slices, and what was announced since then is stale (never two generations of stale paths). */
  markStaleAgain(family: Family, source: RibSource): void {
    const refreshed = source.generation[family]!
    this.markStale(family, source)
    this.#sweep(family, source, refreshed)
  }

  /** Stale paths of the source go, in slices of clearSlice(). */
  sweepStale(family: Family, source: RibSource): void {
    this.#sweep(family, source, -1)
  }

  #sweep(family: Family, source: RibSource, keeps: number): void {
    source.sweepAt[family] = source.head[family]!
    source.sweepKeeps[family] = keeps
    source.swept[family] = 0
    if (source.sweepAt[family] === 0) this.onSwept(family, source)
    else if (!this.#sweeping.includes(source)) this.#sweeping.push(source)
  }

  /** How many paths of the source in this family are stale. Walks through all of them. */
  countStale(family: Family, source: RibSource): number {
    const { paths } = this.tables[family]!
    let count = 0
    for (let path = source.head[family]!; path !== 0; path = paths.nextOfSource[path]!)
      if (paths.generation[path] !== source.generation[family]) count++
    return count
  }

  /**
   * Stale paths of the source with ids in [from, from + limit) become long-lived (RFC 9494 §4.3): LLGR_STALE is added, those with NO_LLGR go. Returns where to go
   * on, -1 at the end.
   */
  makeLongLived(family: Family, source: RibSource, from: number, limit: number): number {
    const { paths } = this.tables[family]!
    const end = Math.min(paths.end, from + limit)
    for (let path = from; path < end; path++) {
      if (
        paths.source[path] !== source.index ||
        paths.find(paths.prefix[path]!, source.index, paths.receivedIdOf(path)) !== path
      )
        continue
      if (paths.generation[path] !== source.generation[family]) this.makePathLongLived(family, source, path)
    }
    return end >= paths.end ? -1 : end
  }

  makePathLongLived(family: Family, source: RibSource, path: number): void {
    const { paths, dirty } = this.tables[family]!
    if ((this.store.get(paths.received[path]!).communityBits & CommunityBits.NO_LLGR) !== 0) {
      this.#removePath(family, source, path)
      return
    }
    if (paths.effective[path] === 0) return
    const before = this.store.get(paths.effective[path]!)
    const after = this.#longLived.marked(before)
    if (after === before) return
    if (after === null) {
      this.#removePath(family, source, path)
      return
    }
    this.store.retain(after)
    this.store.release(before)
    paths.effective[path] = after.id
    dirty.add(paths.prefix[path]!)
  }

  get hasClearing(): boolean {
    return this.#closing.length > 0 || this.#sweeping.length > 0
  }

  /** Removes up to `limit` paths of closed sources, and looks at as many that may be stale. */
  clearSlice(limit: number): void {
    this.#sweepSlice(limit)
    let left = limit
    while (left > 0 && this.#closing.length > 0) {
      const source = this.#closing[0]!
      for (const { family } of FAMILIES) {
        while (left > 0 && source.head[family] !== 0) {
          this.#removePath(family, source, source.head[family]!)
          left--
        }
      }
      if (left > 0) {
        this.#closing.shift()
        this.#sources.delete(source.index)
        this.#lastSource = this.local
      }
    }
  }

  #sweepSlice(limit: number): void {
    const source = this.#sweeping[0]
    if (source === undefined) return
    let left = source.closed ? 0 : limit
    for (const { family } of FAMILIES) {
      const { paths } = this.tables[family]!
      while (left > 0 && source.sweepAt[family] !== 0) {
        left--
        const path = source.sweepAt[family]!
        source.sweepAt[family] = paths.nextOfSource[path]!
        const generation = paths.generation[path]
        if (generation !== source.generation[family] && generation !== source.sweepKeeps[family]) {
          this.#removePath(family, source, path)
          source.swept[family]!++
        }
        if (source.sweepAt[family] === 0) this.onSwept(family, source)
      }
    }
    if (left > 0 || source.closed) this.#sweeping.shift()
  }

  /**
   * A source announces a prefix: the path is made or replaced. `effective` null: not used, `state` says why. Nothing happens where nothing changed.
   * `receivedId`: the path identifier that came with it (RFC 7911), 0 without ADD-PATH. `stampSeconds`: now, which is asked once for a whole UPDATE.
   */
  announce(
    family: Family,
    source: RibSource,
    prefix: number,
    received: AttributeSet,
    effective: AttributeSet | null,
    state: PathState,
    weight: number,
    receivedId = 0,
    stampSeconds = this.#nowSeconds(),
  ): void {
    const { paths, prefixes, dirty } = this.tables[family]!
    paths.reservePrefixes(prefixes.capacity)
    let path = paths.find(prefix, source.index, receivedId)
    const effectiveId = effective === null ? 0 : effective.id
    if (path !== 0) {
      // Said again, also where nothing else changed: not stale any more.
      paths.generation[path] = source.generation[family]!
      if (
        paths.received[path] === received.id &&
        paths.effective[path] === effectiveId &&
        paths.state[path] === state &&
        paths.weight[path] === weight
      )
        return
      this.#releaseSets(paths, path)
      if (paths.effective[path] !== 0) source.accepted[family]!--
    } else {
      if (receivedId !== 0) limitPaths(paths, prefix, source)
      path = paths.insert(prefix, source.index, source.head[family]!, receivedId)
      paths.generation[path] = source.generation[family]!
      source.head[family] = path
      source.received[family]!++
      prefixes.retain(prefix)
    }
    this.store.retain(received)
    if (effective !== null) {
      this.store.retain(effective)
      source.accepted[family]!++
    }
    paths.received[path] = received.id
    paths.effective[path] = effectiveId
    paths.state[path] = state
    paths.weight[path] = weight
    paths.stampSeconds[path] = stampSeconds
    dirty.add(prefix)
  }

  /** A source withdraws a prefix; unknown ones are no error (RFC 4271 §3.1). */
  withdraw(family: Family, source: RibSource, prefix: number, receivedId = 0): void {
    if (prefix === 0) return
    const path = this.tables[family]!.paths.find(prefix, source.index, receivedId)
    if (path !== 0) this.#removePath(family, source, path)
  }

  /** An own route, as `announce` or originate give it. */
  originate(family: Family, prefix: number, set: AttributeSet): void {
    this.announce(family, this.local, prefix, set, set, PathState.USABLE, LOCAL_WEIGHT)
  }

  importPolicyOf(policy: CompiledPolicy): ImportPolicy {
    let found = this.#policies.get(policy)
    if (found === undefined) {
      found = new ImportPolicy(policy, this.store)
      this.#policies.set(policy, found)
    }
    return found
  }

  /** For neighbours with lists of attributes to take off or to refuse. */
  attributeFilterOf({ discard, withdraw }: Pick<AttributeRules, 'discard' | 'withdraw'>): AttributeFilter {
    const key = `${discard.join()}/${withdraw.join()}`
    let found = this.#filters.get(key)
    if (found === undefined) {
      found = new AttributeFilter(this.store, discard, withdraw)
      this.#filters.set(key, found)
    }
    return found
  }

  /** Forgets the memo of a policy that a reload replaced. */
  dropPolicy(policy: CompiledPolicy): void {
    this.#policies.delete(policy)
  }

  /** Marks every prefix dirty (what the FIB makes of winners changed). */
  markAllDirty(family: Family): void {
    const { paths, prefixes, dirty } = this.tables[family]!
    paths.reservePrefixes(prefixes.capacity)
    for (let prefix = 1; prefix < prefixes.end; prefix++) if (paths.firstOfPrefix[prefix] !== 0) dirty.add(prefix)
  }

  setResolver(resolver: Resolver, ownAddresses: ReadonlySet<string>): void {
    this.nextHops.setResolver(resolver)
    this.nextHops.setOwnAddresses(ownAddresses)
    this.resolveAgain()
  }

  /** The kernel's routes changed: prefixes whose next hops moved become dirty. */
  resolveAgain(): void {
    const changed = this.nextHops.resolveAgain()
    if (changed.size === 0) return
    for (const { paths, dirty } of this.tables) {
      for (let path = 1; path < paths.end; path++) {
        const effective = paths.effective[path]!
        // A free record names its last prefix, which may have been freed too: the prefix's own list tells whether the record lives.
        if (effective === 0) continue
        if (changed.has(this.store.get(effective).nextHopId)) dirty.add(paths.prefix[path]!)
      }
    }
  }

  /** Of all sources and families, with those that are gone and still named to somebody. */
  get pathCount(): number {
    let count = 0
    for (const { paths } of this.tables) count += paths.size + paths.goneCount
    return count
  }

  get dirtyCount(): number {
    let count = 0
    for (const { dirty } of this.tables) count += dirty.size
    return count
  }

  /** Decides up to `limit` (at most BATCH_PREFIXES) dirty prefixes of a family; their ids lie in `batch` until finish(). Returns how many. */
  decide(family: Family, limit = BATCH_PREFIXES): number {
    const { dirty, paths, decision, prefixes } = this.tables[family]!
    paths.reservePrefixes(prefixes.capacity)
    const count = dirty.take(this.batch, limit)
    for (let i = 0; i < count; i++) {
      const prefix = this.batch[i]!
      paths.best[prefix] = decision.best(prefix)
      paths.bestReason[prefix] = decision.reason
    }
    return count
  }

  /** Groups and FIB have seen the batch. */
  finish(family: Family, count: number): void {
    this.tables[family]!.dirty.done(this.batch, count)
  }

  #removePath(family: Family, source: RibSource, path: number): void {
    const { paths, prefixes, dirty } = this.tables[family]!
    const prefix = paths.prefix[path]!
    if (source.sweepAt[family] === path) source.sweepAt[family] = paths.nextOfSource[path]!
    if (paths.effective[path] !== 0) source.accepted[family]!--
    source.received[family]!--
    this.#releaseSets(paths, path)
    paths.effective[path] = 0
    source.head[family] = paths.remove(path, source.head[family]!)
    // The id may be another path's before this prefix is decided again.
    if (paths.best[prefix] === path) {
      paths.best[prefix] = 0
      paths.bestReason[prefix] = DecisionReason.NONE
    }
    dirty.add(prefix)
    prefixes.release(prefix)
  }

  #releaseSets(paths: PathTable, path: number): void {
    this.store.release(this.store.get(paths.received[path]!))
    const effective = paths.effective[path]!
    if (effective !== 0) this.store.release(this.store.get(effective))
  }
}

/** One prefix with ever more identifiers would make each further one dearer: a peer that goes beyond ends its session (RFC 4486 §3, Out of Resources). */
function limitPaths(paths: PathTable, prefix: number, source: RibSource): void {
  if (paths.countOf(prefix, source.index) < MAX_PATHS_OF_PREFIX) return
  throw new NotificationError(
    6,
    8,
    `more than ${MAX_PATHS_OF_PREFIX} paths for one prefix; let the peer send its best paths only (RFC 7911), or turn addPath.receive off`,
  )
}

/** Of one peer; a message full of further ones is taken in within a few milliseconds. */
export const MAX_PATHS_OF_PREFIX = 1024
/** Own routes win over learned ones: their weight comes before LOCAL_PREF. */
export const LOCAL_WEIGHT = 32768
/** Prefixes decided and sent in one go: a few milliseconds of work. */
export const BATCH_PREFIXES = 4096
