/**
 * The decision process (RFC 4271 §9.1.2, RFC 4456 §9): a total order over the usable paths of a prefix, on integers only, independent of the order
 * of arrival. Each comparison names the step that decided it.
 *
 * MED is compared only among paths of one neighbouring AS, which is no total order; so the paths are first reduced to the best of each
 * neighbouring AS, and the winner is chosen among those without MED (the 'deterministic MED' of others, always on).
 */
import { type AttributeSet, CommunityBits } from './attribute-set.js'
import type { AttributeStore } from './attribute-store.js'
import type { NextHopTable } from './next-hop.js'
import type { PathTable } from './path-table.js'
import { type RibSource, SourceKind } from './source.js'

export const DecisionReason = Object.freeze({
  NONE: 0,
  ONLY_PATH: 1,
  LONG_LIVED_STALE: 2,
  WEIGHT: 3,
  LOCAL_PREF: 4,
  LOCAL_ORIGIN: 5,
  AS_PATH_LENGTH: 6,
  ORIGIN: 7,
  MED: 8,
  EBGP: 9,
  IGP_METRIC: 10,
  ROUTER_ID: 11,
  CLUSTER_LENGTH: 12,
  PEER_ADDRESS: 13,
  PATH_ID: 14,
} as const)
export type DecisionReason = (typeof DecisionReason)[keyof typeof DecisionReason]

const TEXTS: readonly string[] = Object.freeze([
  'no usable path',
  'only usable path',
  'the other is long-lived stale (RFC 9494 §4.3)',
  'higher weight',
  'higher LOCAL_PREF',
  'own route',
  'shorter AS_PATH',
  'lower ORIGIN',
  'lower MED',
  'external before internal',
  'lower metric to the next hop',
  'lower router id or ORIGINATOR_ID',
  'shorter CLUSTER_LIST',
  'lower peer address',
  'lower path id, or older session, of the same peer address',
])

export function decisionText(reason: number): string {
  return TEXTS[reason] ?? `reason ${reason}`
}

/** What the decision reads; the tables of one family. */
export interface DecisionTables {
  readonly paths: PathTable
  readonly store: AttributeStore
  readonly nextHops: NextHopTable
  readonly source: (index: number) => RibSource
}

export class Decision {
  readonly #tables: DecisionTables
  /** The step that decided the last compare(). */
  reason: DecisionReason = DecisionReason.NONE
  /** Best path of each neighbouring AS, and where it stands; reused, so that a decision makes no objects. */
  readonly #leaders: number[] = []
  readonly #leaderOfAs = new Map<number, number>()

  constructor(tables: DecisionTables) {
    this.#tables = tables
  }

  /** Usable: accepted by policy, its session lives, its next hop resolves to somebody else. */
  isUsable(path: number): boolean {
    const { paths, store, nextHops, source } = this.#tables
    const effective = paths.effective[path]!
    if (effective === 0) return false
    const from = source(paths.source[path]!)
    if (from.closed) return false
    if (from.index === 0) return true
    const nextHop = store.get(effective).nextHopId
    return nextHop !== 0 && nextHops.metric(nextHop) >= 0 && !nextHops.isOwn(nextHop)
  }

  /** The winner of a prefix, 0 for none; `reason` tells the step that put it before the runner-up. */
  best(prefix: number): number {
    const { paths } = this.#tables
    let first = 0
    let count = 0
    for (let path = paths.firstOfPrefix[prefix]!; path !== 0; path = paths.nextOfPrefix[path]!) {
      if (!this.isUsable(path)) continue
      if (count === 0) first = path
      count++
    }
    if (count <= 1) {
      this.reason = count === 0 ? DecisionReason.NONE : DecisionReason.ONLY_PATH
      return first
    }
    return this.#bestOfMany(prefix)
  }

  /**
   * The usable paths of a prefix in the order of the decision: the winner, then the winner among those that are left, and so on. It makes arrays: for who
   * needs more than the winner (ADD-PATH, best of those that a peer may hear).
   */
  ranked(prefix: number): number[] {
    const { paths, store } = this.#tables
    const listOfAs = new Map<number, number[]>()
    for (let path = paths.firstOfPrefix[prefix]!; path !== 0; path = paths.nextOfPrefix[path]!) {
      if (!this.isUsable(path)) continue
      const { neighborAs } = store.get(paths.effective[path]!)
      const list = listOfAs.get(neighborAs)
      if (list === undefined) listOfAs.set(neighborAs, [path])
      else list.push(path)
    }
    // With MED within each neighbouring AS, without it among the best ones that are left of each. The best of a list, and the best list, stand last.
    const lists = [...listOfAs.values()]
    for (const list of lists) list.sort((a, b) => this.compare(b, a, true))
    if (lists.length <= 1) return lists[0]?.reverse() ?? []
    const better = (a: number[], b: number[]): number => this.compare(a.at(-1)!, b.at(-1)!, false)
    lists.sort((a, b) => better(b, a))
    const ranked: number[] = []
    for (let list = lists.pop(); list !== undefined; list = lists.pop()) {
      ranked.push(list.pop()!)
      if (list.length === 0) continue
      let low = 0
      for (let high = lists.length; low < high; ) {
        const middle = (low + high) >>> 1
        if (better(lists[middle]!, list) > 0) low = middle + 1
        else high = middle
      }
      lists.splice(low, 0, list)
    }
    return ranked
  }

  /**
   * Below 0 when path a is better than b, above 0 when b is; never 0 for two paths. `throughIgp`: only the steps down to the IGP metric, then 0
   * for equal ones (multipath).
   */
  compare(a: number, b: number, useMed: boolean, throughIgp = false): number {
    const { paths, store, nextHops, source } = this.#tables
    const setA = store.get(paths.effective[a]!)
    const setB = store.get(paths.effective[b]!)
    const sourceA = source(paths.source[a]!)
    const sourceB = source(paths.source[b]!)
    this.reason = DecisionReason.LONG_LIVED_STALE
    let order = (setA.communityBits & CommunityBits.LLGR_STALE) - (setB.communityBits & CommunityBits.LLGR_STALE)
    if (order !== 0) return order
    this.reason = DecisionReason.WEIGHT
    order = paths.weight[b]! - paths.weight[a]!
    if (order !== 0) return order
    this.reason = DecisionReason.LOCAL_PREF
    if (setA.localPref !== setB.localPref) return (setB.localPref >>> 0) - (setA.localPref >>> 0)
    this.reason = DecisionReason.LOCAL_ORIGIN
    order = (sourceA.index === 0 ? 0 : 1) - (sourceB.index === 0 ? 0 : 1)
    if (order !== 0) return order
    this.reason = DecisionReason.AS_PATH_LENGTH
    order = setA.asPathLength - setB.asPathLength
    if (order !== 0) return order
    this.reason = DecisionReason.ORIGIN
    order = setA.origin - setB.origin
    if (order !== 0) return order
    if (useMed && setA.neighborAs === setB.neighborAs && setA.med !== setB.med) {
      this.reason = DecisionReason.MED
      return (setA.med >>> 0) - (setB.med >>> 0)
    }
    this.reason = DecisionReason.EBGP
    order = externalRank(sourceA) - externalRank(sourceB)
    if (order !== 0) return order
    this.reason = DecisionReason.IGP_METRIC
    order = metricOf(nextHops, setA) - metricOf(nextHops, setB)
    if (order !== 0 || throughIgp) return order
    this.reason = DecisionReason.ROUTER_ID
    order =
      (setA.hasOriginator ? setA.originatorId >>> 0 : sourceA.options.bgpId) -
      (setB.hasOriginator ? setB.originatorId >>> 0 : sourceB.options.bgpId)
    if (order !== 0) return order
    this.reason = DecisionReason.CLUSTER_LENGTH
    order = setA.clusterLength - setB.clusterLength
    if (order !== 0) return order
    this.reason = DecisionReason.PEER_ADDRESS
    order = compareAddresses(sourceA.options.address, sourceB.options.address)
    if (order !== 0) return order
    this.reason = DecisionReason.PATH_ID
    return paths.receivedIdOf(a) - paths.receivedIdOf(b) || sourceA.index - sourceB.index || a - b
  }

  /** The prefix has no other path. */
  isAlone(prefix: number, path: number): boolean {
    const { paths } = this.#tables
    return paths.firstOfPrefix[prefix] === path && paths.nextOfPrefix[path] === 0
  }

  /**
   * The paths that share the load with the winner, the winner first: equal through the IGP metric, external ones of the same neighbouring AS, none that
   * loses to another of its neighbouring AS by MED, with next hops of their own. At most `limit`.
   */
  multipath(prefix: number, winner: number, limit: number): number[] {
    const { paths, store } = this.#tables
    if (winner === 0) return []
    const chosen = [winner]
    // Most prefixes have one path.
    if (this.isAlone(prefix, winner)) return chosen
    const best = store.get(paths.effective[winner]!)
    if (this.#tables.source(paths.source[winner]!).index === 0) return chosen
    const candidates: number[] = []
    const lowestMed = new Map([[best.neighborAs, best.med >>> 0]])
    for (let path = paths.firstOfPrefix[prefix]!; path !== 0; path = paths.nextOfPrefix[path]!) {
      if (path === winner || !this.isUsable(path)) continue
      const order = this.compare(winner, path, false, true)
      if (this.reason <= DecisionReason.ORIGIN) continue
      // As good down to ORIGIN: it counts for the MED of its AS even where a later step puts it out.
      const { neighborAs, med } = store.get(paths.effective[path]!)
      lowestMed.set(neighborAs, Math.min(lowestMed.get(neighborAs) ?? NO_MED, med >>> 0))
      if (order !== 0) continue
      if (neighborAs === best.neighborAs || !this.#tables.source(paths.source[path]!).isEbgp) candidates.push(path)
    }
    const equal = candidates.filter((path) => {
      const { neighborAs, med } = store.get(paths.effective[path]!)
      return lowestMed.get(neighborAs) === med >>> 0
    })
    equal.sort((a, b) => this.compare(a, b, false))
    const seen = new Set([best.nextHopId])
    for (const path of equal) {
      if (chosen.length >= limit) break
      const nextHop = store.get(paths.effective[path]!).nextHopId
      if (seen.has(nextHop)) continue
      seen.add(nextHop)
      chosen.push(path)
    }
    return chosen
  }

  #bestOfMany(prefix: number): number {
    const { paths, store } = this.#tables
    const leaders = this.#leaders
    const leaderOfAs = this.#leaderOfAs
    leaders.length = 0
    leaderOfAs.clear()
    for (let path = paths.firstOfPrefix[prefix]!; path !== 0; path = paths.nextOfPrefix[path]!) {
      if (!this.isUsable(path)) continue
      const neighborAs = store.get(paths.effective[path]!).neighborAs
      const at = leaderOfAs.get(neighborAs)
      if (at === undefined) leaderOfAs.set(neighborAs, leaders.push(path) - 1)
      else if (this.compare(path, leaders[at]!, true) < 0) leaders[at] = path
    }
    let winner = leaders[0]!
    for (let at = 1; at < leaders.length; at++) if (this.compare(leaders[at]!, winner, false) < 0) winner = leaders[at]!
    this.#explain(prefix, winner, leaders)
    return winner
  }

  /** The runner-up is the best of the other leaders, or of the winner's own AS when there is none nearer; the step against it is the reason. */
  #explain(prefix: number, winner: number, leaders: readonly number[]): void {
    const { paths, store } = this.#tables
    let runnerUp = 0
    let reason: DecisionReason = DecisionReason.ONLY_PATH
    for (const leader of leaders) {
      if (leader === winner) continue
      if (runnerUp === 0 || this.compare(leader, runnerUp, false) < 0) runnerUp = leader
    }
    if (runnerUp !== 0) {
      this.compare(winner, runnerUp, false)
      this.reason = maxReason(reason, this.reason)
      reason = this.reason
    }
    const neighborAs = store.get(paths.effective[winner]!).neighborAs
    for (let path = paths.firstOfPrefix[prefix]!; path !== 0; path = paths.nextOfPrefix[path]!) {
      if (path === winner || !this.isUsable(path) || store.get(paths.effective[path]!).neighborAs !== neighborAs)
        continue
      this.compare(winner, path, true)
      reason = maxReason(reason, this.reason)
    }
    this.reason = reason
  }
}

/** Above every MED. */
const NO_MED = 2 ** 32

/** The later step is the closer call. */
function maxReason(a: DecisionReason, b: DecisionReason): DecisionReason {
  return a > b ? a : b
}

function externalRank(source: RibSource): number {
  return source.options.kind === SourceKind.CLIENT || source.options.kind === SourceKind.NON_CLIENT ? 1 : 0
}

function metricOf(nextHops: NextHopTable, set: AttributeSet): number {
  return set.nextHopId === 0 ? 0 : nextHops.metric(set.nextHopId)
}

/** IPv4 before IPv6, then octet by octet. */
export function compareAddresses(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return a.length - b.length
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return 0
}
