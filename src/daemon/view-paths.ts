/**
 * Views of routes: Loc-RIB, Adj-RIB-In, Adj-RIB-Out as rows for people (src/api/types.ts). Iterables, made row by row; the tables may change between two rows.
 */
import { noNeighbor } from '../api/routes.js'
import { ApiError, type PathView, type RibQuery } from '../api/types.js'
import { formatAsPath } from '../bgp/attributes/as-path.js'
import { decodePathAttributes } from '../bgp/attributes/decode.js'
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import { formatCommunities, formatExtCommunities, formatLargeCommunities } from '../bgp/attributes/text.js'
import type { Peer } from '../bgp/peer.js'
import { formatAddress, formatIpv4, parseAddress } from '../net/address.js'
import { FAMILIES, type Family, familyByName, familyRow } from '../net/family.js'
import { maskHostBits, parsePrefix } from '../net/prefix.js'
import type { SentRow, UpdateGroup } from '../reflector/update-group.js'
import { unusedText } from '../rib/attribute-rules.js'
import { DecisionReason, decisionText } from '../rib/decision.js'
import { forwardingAddress } from '../rib/next-hop.js'
import { PathState } from '../rib/path-state.js'
import type { Rib } from '../rib/rib.js'
import type { RibSource } from '../rib/source.js'
import { prefixText, startsWith } from './fib-feed.js'
import { words } from './own-routes.js'
import type { ViewContext } from './view-context.js'

const ORIGINS = ['igp', 'egp', 'incomplete'] as const

export class PathViews {
  readonly #context: ViewContext

  constructor(context: ViewContext) {
    this.#context = context
  }

  *rib(query: RibQuery): Generator<PathView | null> {
    const from = query.from === undefined ? null : this.#sourcesNamed(query.from)
    let left = query.limit ?? Number.POSITIVE_INFINITY
    for (const { family, prefix } of this.#prefixes(query)) {
      if (left <= 0) return
      if (prefix === 0) {
        yield null
        continue
      }
      const { paths } = this.#context.rib.tables[family]!
      const wanted = this.pathsOf(family, prefix).filter(
        (path) =>
          (query.best !== true || this.winnerOf(family, prefix) === path) &&
          (from === null || from.has(paths.source[path]!)),
      )
      // All rows of a prefix before the first is handed out: while they wait, a path may go, and its id come to another.
      for (const row of this.rows(family, prefix, wanted)) {
        yield row
        if (--left <= 0) return
      }
    }
  }

  *adjIn(name: string, query: RibQuery): Generator<PathView | null> {
    yield* this.rib({ ...query, from: this.#livePeer(name).peer.name })
  }

  *adjOut(name: string, query: RibQuery): Generator<PathView | null> {
    const live = this.#livePeer(name)
    let left = query.limit ?? Number.POSITIVE_INFINITY
    for (const { family, prefix } of this.#prefixes(query)) {
      if (left <= 0) return
      if (prefix === 0) {
        yield null
        continue
      }
      const group = live.members.find((member) => member.group.family === family)?.group
      if (group === undefined) continue
      const rows = [...group.sentTo(prefix, live.source.index)]
      if (rows.length > 1) putFirst(rows, this.winnerOf(family, prefix))
      // As in rib(): all rows of a prefix before the first is handed out.
      for (const sent of rows.map((one) => this.#sent(family, prefix, group, one))) {
        yield sent
        if (--left <= 0) return
      }
    }
  }

  /** The paths of a prefix, the winner first. */
  pathsOf(family: Family, prefix: number): number[] {
    const { paths } = this.#context.rib.tables[family]!
    const found: number[] = []
    const best = this.winnerOf(family, prefix)
    for (let path = paths.firstOfPrefix[prefix]!; path !== 0; path = paths.nextOfPrefix[path]!) {
      if (this.#context.rib.source(paths.source[path]!)?.closed !== false) continue
      if (path === best) found.unshift(path)
      else found.push(path)
    }
    return found
  }

  /** The winner as it was decided last, 0 for none; also 0 where it became unusable and is about to be decided again. */
  winnerOf(family: Family, prefix: number): number {
    const { paths, decision } = this.#context.rib.tables[family]!
    const best = paths.best[prefix] ?? 0
    return best !== 0 && decision.isUsable(best) ? best : 0
  }

  /** These paths of a prefix as rows. */
  rows(family: Family, prefix: number, ids: readonly number[]): PathView[] {
    if (ids.length === 0) return []
    const winner = this.winnerOf(family, prefix)
    const { decision } = this.#context.rib.tables[family]!
    const shares = new Set(decision.multipath(prefix, winner, this.#context.config().fib.maxPaths))
    return ids.map((path) => this.#path(family, prefix, path, path === winner, shares.has(path)))
  }

  #path(family: Family, prefix: number, path: number, best: boolean, multipath: boolean): PathView {
    const { rib, nowSeconds } = this.#context
    const { paths, prefixes, decision } = rib.tables[family]!
    const source = rib.source(paths.source[path]!)!
    const received = rib.store.get(paths.effective[path] || paths.received[path]!)
    const usable = decision.isUsable(path)
    return {
      prefix: prefixText(family, prefixes, prefix),
      family: familyRow(family).name,
      ...(source.options.addPathReceive & (1 << family) ? { pathId: paths.receivedIdOf(path) } : {}),
      from: this.nameOf(source),
      fromAddress: source.index === 0 ? null : formatAddress(source.options.address),
      best,
      multipath,
      valid: usable,
      ...(rib.isStale(family, path) ? { stale: true } : {}),
      reason: this.#reason(family, prefix, path, best, usable),
      weight: paths.weight[path]!,
      ageSeconds: Math.max(0, Math.round(nowSeconds() - paths.stampSeconds[path]!)),
      ...attributesView(rib.store.attributes(received)),
      // With its link, where it is a link-local one.
      ...(received.nextHopId === 0 ? {} : { nextHop: rib.nextHops.text(received.nextHopId) }),
    }
  }

  /** Id of a prefix in the tables, 0 when it is unknown; an address finds the longest match that has a path. */
  find(text: string): { readonly family: Family; readonly prefix: number; readonly exact: boolean } {
    if (text.includes('/')) {
      const { family, address, length } = parsePrefixText(text)
      const [w0, w1, w2, w3] = words(address)
      return { family, prefix: this.#context.rib.tables[family]!.prefixes.find(w0, w1, w2, w3, length), exact: true }
    }
    const address = parseAddressText(text)
    const family: Family = address.length === 4 ? 0 : 1
    return { family, prefix: this.longestMatch(family, address, address.length * 8), exact: false }
  }

  /** The longest prefix of at most `longest` bits that covers the address and has a winner; 0 for none. */
  longestMatch(family: Family, address: Uint8Array, longest: number): number {
    const { prefixes } = this.#context.rib.tables[family]!
    for (let length = longest; length >= 0; length--) {
      const masked = Uint8Array.from(address)
      maskHostBits(masked, length)
      const [w0, w1, w2, w3] = words(masked)
      const prefix = prefixes.find(w0, w1, w2, w3, length)
      if (prefix !== 0 && this.winnerOf(family, prefix) !== 0) return prefix
    }
    return 0
  }

  #reason(family: Family, prefix: number, path: number, best: boolean, usable: boolean): string {
    const { paths, decision, store, nextHops } = {
      ...this.#context.rib.tables[family]!,
      store: this.#context.rib.store,
      nextHops: this.#context.rib.nextHops,
    }
    if (paths.state[path] !== PathState.USABLE) return unusedReason(this.#context.rib, family, path)
    if (best) return decisionText(paths.bestReason[prefix]!)
    if (!usable) {
      const nextHop = store.get(paths.effective[path]!).nextHopId
      if (nextHops.isOwn(nextHop)) return `next hop ${nextHops.text(nextHop)} is our own address`
      return `next hop ${nextHops.text(nextHop)} does not resolve: no route to it`
    }
    const winner = this.winnerOf(family, prefix)
    if (winner === 0) return decisionText(DecisionReason.NONE)
    decision.compare(winner, path, true)
    return `another path has: ${decisionText(decision.reason)}`
  }

  #sent(family: Family, prefix: number, group: UpdateGroup, sent: SentRow): PathView {
    const { rib } = this.#context
    const octets = group.outSets.octets(sent.set)
    const nextHop = group.outSets.nextHop(sent.set)
    const { as4 } = group.exporter.options
    const { attributes } = decodePathAttributes(octets, 0, octets.length, { as4, ebgp: false })
    const source = rib.source(sent.source)
    return {
      prefix: prefixText(family, rib.tables[family]!.prefixes, prefix),
      family: familyRow(family).name,
      ...(group.sendsPathIds ? { pathId: sent.row } : {}),
      from: source === undefined ? '' : this.nameOf(source),
      fromAddress: source === undefined || source.index === 0 ? null : formatAddress(source.options.address),
      best: !group.sendsPathIds || sent.row === this.winnerOf(family, prefix),
      multipath: false,
      valid: true,
      reason: 'announced',
      weight: 0,
      ageSeconds: 0,
      ...attributesView(nextHop.length > 0 ? { ...attributes, nextHop } : attributes),
    }
  }

  /** Prefix ids that a query asks for; id 0 is a breath. */
  *#prefixes(query: RibQuery): Generator<{ family: Family; prefix: number }> {
    const wanted = query.family === undefined ? undefined : familyByName(query.family)
    if (query.prefix !== undefined && query.longer !== true) {
      const found = this.find(query.prefix)
      if (found.prefix !== 0 && (wanted === undefined || found.family === wanted)) yield found
      return
    }
    const within = query.prefix === undefined ? null : parsePrefixText(query.prefix)
    const inner = within === null ? null : words(within.address)
    let passed = 0
    for (const { family } of FAMILIES) {
      if (wanted !== undefined && family !== wanted) continue
      if (within !== null && within.family !== family) continue
      const { prefixes, paths } = this.#context.rib.tables[family]!
      for (let prefix = 1; prefix < prefixes.end; prefix++) {
        if ((++passed & 4095) === 0) yield { family, prefix: 0 }
        if ((paths.firstOfPrefix[prefix] ?? 0) === 0) {
          // Announced, though its last path is gone and not yet decided: only adj-out may want it.
          if (!this.#isAnnounced(family, prefix)) continue
        }
        if (
          within !== null &&
          inner !== null &&
          (prefixes.lengthOf(prefix) < within.length || !startsWith(prefixes, prefix, inner, within.length))
        )
          continue
        yield { family, prefix }
      }
    }
  }

  #isAnnounced(family: Family, prefix: number): boolean {
    for (const group of this.#context.reflector.groups())
      if (group.family === family && group.sentRows(prefix).length > 0) return true
    return false
  }

  nameOf(source: RibSource): string {
    return this.#context.routes.peerOf(source.index)?.name ?? source.options.name
  }

  #sourcesNamed(name: string): Set<number> {
    if (name === 'local') return new Set([0])
    const peers = new Set<Peer>(this.#context.manager.find(name))
    if (peers.size === 0 && !this.#context.manager.ranges().some((range) => range.name === name)) throw noNeighbor(name)
    return new Set([...peers].flatMap((peer) => this.#context.routes.entry(peer)?.source.index ?? []))
  }

  #livePeer(name: string) {
    const [peer, other] = this.#context.manager.find(name)
    if (peer === undefined) throw noNeighbor(name)
    if (other !== undefined)
      throw new ApiError(400, `'${name}' is a range with several peers; name one of them (show neighbors ${name})`)
    const live = this.#context.routes.entry(peer)
    if (live === undefined)
      throw new ApiError(409, `neighbor ${name} is not Established (${peer.state}): it has no routes`)
    return live
  }
}

function putFirst(rows: { readonly row: number }[], path: number): void {
  const at = rows.findIndex(({ row }) => row === path)
  if (at > 0) rows.unshift(...rows.splice(at, 1))
}

function parsePrefixText(text: string) {
  try {
    return parsePrefix(text)
  } catch (error) {
    throw new ApiError(400, (error as Error).message)
  }
}

function parseAddressText(text: string): Uint8Array {
  try {
    return parseAddress(text)
  } catch (error) {
    throw new ApiError(400, (error as Error).message)
  }
}

function attributesView(attributes: PathAttributes) {
  const clusters = attributes.clusterList === null ? Buffer.alloc(0) : Buffer.from(attributes.clusterList)
  return {
    nextHop: attributes.nextHop === null ? null : formatAddress(forwardingAddress(attributes.nextHop)),
    localPref: attributes.localPref < 0 ? null : attributes.localPref,
    med: attributes.med < 0 ? null : attributes.med,
    asPath: attributes.asPath === null ? '' : formatAsPath(attributes.asPath),
    origin: ORIGINS[attributes.origin] ?? 'incomplete',
    communities: attributes.communities === null ? [] : formatCommunities(attributes.communities),
    extCommunities: attributes.extCommunities === null ? [] : formatExtCommunities(attributes.extCommunities),
    largeCommunities: attributes.largeCommunities === null ? [] : formatLargeCommunities(attributes.largeCommunities),
    originatorId: attributes.originatorId < 0 ? null : formatIpv4(attributes.originatorId),
    clusterList: Array.from({ length: clusters.length / 4 }, (_, at) => formatIpv4(clusters.readUInt32BE(at * 4))),
  }
}

/** Why a path in the table is not used. */
export function unusedReason(rib: Rib, family: Family, path: number): string {
  const { paths } = rib.tables[family]!
  const { options } = rib.source(paths.source[path]!)!
  return unusedText(paths.state[path] as PathState, rib.store.get(paths.received[path]!), options, rib)
}
