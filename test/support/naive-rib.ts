/**
 * The simple twin of RIB and reflector: every peer's announcements in plain maps, winners by sorting, and a full Adj-RIB-Out per peer made anew on each
 * question. Only the attribute transformation is shared with the code under test; it has tests of its own.
 */
import { asPathLength, firstAs } from '../../src/bgp/attributes/as-path.js'
import { encodePathAttributes } from '../../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import { Family } from '../../src/net/family.js'
import { type ExportRules, outgoingAttributes } from '../../src/reflector/reflect.js'
import { SourceKind } from '../../src/rib/source.js'

export interface NaivePeer {
  readonly number: number
  readonly kind: SourceKind
  readonly bgpId: number
  readonly address: Uint8Array
  /** `family prefix`, with ADD-PATH `family prefix@id` → attributes. */
  readonly routes: Map<string, PathAttributes>
}

export interface NaiveSpeaker {
  readonly routerId: number
  readonly clusterId: number
}

/** What a target is sent beyond the rules: encoding, limit, policy. */
export interface NaiveExport {
  readonly as4: boolean
  readonly maxMessageOctets: number
  readonly accepts: (source: NaivePeer, route: string) => boolean
  /** ADD-PATH: at most so many paths; 0 without it. */
  readonly sendPaths: number
  /** RFC 7947 §2.3: the best of the paths that the target may hear. */
  readonly routeServer?: boolean
}

const EVERYTHING: NaiveExport = { as4: true, maxMessageOctets: 4096, accepts: () => true, sendPaths: 0 }

function usable(peer: NaivePeer, attributes: PathAttributes, speaker: NaiveSpeaker): boolean {
  if (peer.kind === SourceKind.EBGP || peer.kind === SourceKind.LOCAL) return true
  if (attributes.originatorId === speaker.routerId) return false
  const list = Buffer.from(attributes.clusterList ?? [])
  for (let at = 0; at < list.length; at += 4) if (list.readUInt32BE(at) === speaker.clusterId) return false
  return true
}

/** RFC 4271 §9.1.2.2 and RFC 4456 §9 by comparison of lists; MED first within each neighbouring AS. */
function better(a: NaiveWinner, b: NaiveWinner, med: boolean): number {
  const keyA = key(a, med)
  const keyB = key(b, med)
  for (let i = 0; i < keyA.length; i++) if (keyA[i] !== keyB[i]) return keyA[i]! - keyB[i]!
  return Buffer.compare(a.peer.address, b.peer.address) || a.pathId - b.pathId
}

export interface NaiveWinner {
  readonly peer: NaivePeer
  readonly attributes: PathAttributes
  /** As it was received, 0 without ADD-PATH. */
  readonly pathId: number
}

function key({ peer, attributes }: NaiveWinner, med: boolean): number[] {
  return [
    // LLGR_STALE (RFC 9494 §4.3).
    Buffer.from(attributes.communities ?? [])
      .toString('hex')
      .match(/.{8}/g)
      ?.includes('ffff0006') === true
      ? 1
      : 0,
    -(attributes.localPref < 0 ? 100 : attributes.localPref),
    asPathLength(attributes.asPath!),
    attributes.origin,
    med ? Math.max(0, attributes.med) : 0,
    peer.kind === SourceKind.EBGP ? 0 : 1,
    attributes.originatorId >= 0 ? attributes.originatorId : peer.bgpId,
    (attributes.clusterList?.length ?? 0) / 4,
  ]
}

/** The winner of one route of peers without ADD-PATH. */
export function naiveWinner(peers: readonly NaivePeer[], route: string, speaker: NaiveSpeaker): NaiveWinner | null {
  const candidates: NaiveWinner[] = []
  for (const peer of peers) {
    const attributes = peer.routes.get(route)
    if (attributes !== undefined && usable(peer, attributes, speaker)) candidates.push({ peer, attributes, pathId: 0 })
  }
  return best(candidates)
}

function best(candidates: readonly NaiveWinner[]): NaiveWinner | null {
  const own = candidates.find(({ peer }) => peer.kind === SourceKind.LOCAL)
  if (own !== undefined) return own
  const byAs = new Map<number, NaiveWinner[]>()
  for (const candidate of candidates) {
    const { asPath } = candidate.attributes
    const as = asPath!.length === 0 ? 0 : firstAs(asPath!)
    byAs.set(as, [...(byAs.get(as) ?? []), candidate])
  }
  const leaders = [...byAs.values()].map((group) => group.sort((a, b) => better(a, b, true))[0]!)
  return leaders.sort((a, b) => better(a, b, false))[0] ?? null
}

/** The usable paths of each route. */
function candidatesOf(peers: readonly NaivePeer[], speaker: NaiveSpeaker): Map<string, NaiveWinner[]> {
  const found = new Map<string, NaiveWinner[]>()
  for (const peer of peers) {
    for (const [key, attributes] of peer.routes) {
      if (!usable(peer, attributes, speaker)) continue
      const [route, id] = key.split('@') as [string, string?]
      const list = found.get(route)
      const candidate = { peer, attributes, pathId: Number(id ?? 0) }
      if (list === undefined) found.set(route, [candidate])
      else list.push(candidate)
    }
  }
  return found
}

/** The paths of all routes of these peers, best first: the winner, then the winner of those that are left. */
export function naiveRanking(peers: readonly NaivePeer[], speaker: NaiveSpeaker): Map<string, NaiveWinner[]> {
  const ranking = new Map<string, NaiveWinner[]>()
  for (const [route, candidates] of candidatesOf(peers, speaker)) {
    const ranked: NaiveWinner[] = []
    for (let left = candidates, winner = best(left); winner !== null; winner = best(left)) {
      ranked.push(winner)
      left = left.filter((candidate) => candidate !== winner)
    }
    ranking.set(route, ranked)
  }
  return ranking
}

/** `family prefix` → hex of attributes and next hop, all that `target` has to have heard: one of the winner, with ADD-PATH those of all paths, sorted. */
export function naiveAdjRibOut(
  ranking: ReadonlyMap<string, readonly NaiveWinner[]>,
  target: NaivePeer,
  rulesOf: (family: Family) => ExportRules,
  exportedOf: (family: Family) => NaiveExport = () => EVERYTHING,
): Map<string, string> {
  const out = new Map<string, string>()
  for (const [route, ranked] of ranking) {
    const family = route.startsWith('0 ') ? Family.IPV4_UNICAST : Family.IPV6_UNICAST
    const exported = exportedOf(family)
    const sent: { readonly peer: NaivePeer; readonly text: string }[] = []
    for (const path of exported.sendPaths === 0 && !exported.routeServer ? ranked.slice(0, 1) : ranked) {
      const text = encoded(path, route, family, target, rulesOf(family), exported)
      if (text !== null) sent.push({ peer: path.peer, text })
    }
    const mayHear = exported.routeServer ? sent.filter(({ peer }) => peer !== target) : sent
    const texts = mayHear
      .slice(0, exported.sendPaths === 0 ? 1 : exported.sendPaths)
      .filter(({ peer }) => peer !== target)
      .map(({ text }) => text)
    if (texts.length > 0) out.set(route, texts.sort().join(', '))
  }
  return out
}

/** What is sent of a path to peers of the target's group, null for nothing. */
function encoded(
  path: NaiveWinner,
  route: string,
  family: Family,
  target: NaivePeer,
  rules: ExportRules,
  exported: NaiveExport,
): string | null {
  const { peer } = path
  if (peer.kind === SourceKind.NON_CLIENT && target.kind === SourceKind.NON_CLIENT) return null
  if (!exported.accepts(peer, route)) return null
  const attributes = outgoingAttributes(path.attributes, { kind: peer.kind, bgpId: peer.bgpId }, rules, null)
  const octets = encodePathAttributes(attributes, {
    as4: exported.as4,
    nextHopAttribute: family === Family.IPV4_UNICAST,
  })
  const nlri = (exported.sendPaths > 0 ? 4 : 0) + (family === Family.IPV4_UNICAST ? 5 : 17 + 25)
  if (exported.maxMessageOctets < 19 + 4 + octets.length + nlri) return null
  const hex = Buffer.from(octets).toString('hex')
  return family === Family.IPV4_UNICAST ? hex : `${hex} ${Buffer.from(attributes.nextHop!).toString('hex')}`
}
