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
  /** `family prefix` → attributes. */
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
}

const EVERYTHING: NaiveExport = { as4: true, maxMessageOctets: 4096, accepts: () => true }

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
  return Buffer.compare(a.peer.address, b.peer.address)
}

export interface NaiveWinner {
  readonly peer: NaivePeer
  readonly attributes: PathAttributes
}

function key({ peer, attributes }: NaiveWinner, med: boolean): number[] {
  return [
    -(attributes.localPref < 0 ? 100 : attributes.localPref),
    asPathLength(attributes.asPath!),
    attributes.origin,
    med ? Math.max(0, attributes.med) : 0,
    peer.kind === SourceKind.EBGP ? 0 : 1,
    attributes.originatorId >= 0 ? attributes.originatorId : peer.bgpId,
    (attributes.clusterList?.length ?? 0) / 4,
  ]
}

export function naiveWinner(peers: readonly NaivePeer[], route: string, speaker: NaiveSpeaker): NaiveWinner | null {
  const own = peers.find((peer) => peer.kind === SourceKind.LOCAL && peer.routes.has(route))
  if (own !== undefined) return { peer: own, attributes: own.routes.get(route)! }
  const byAs = new Map<number, NaiveWinner[]>()
  for (const peer of peers) {
    const attributes = peer.routes.get(route)
    if (attributes === undefined || !usable(peer, attributes, speaker)) continue
    const as = attributes.asPath!.length === 0 ? 0 : firstAs(attributes.asPath!)
    byAs.set(as, [...(byAs.get(as) ?? []), { peer, attributes }])
  }
  const leaders = [...byAs.values()].map((group) => group.sort((a, b) => better(a, b, true))[0]!)
  return leaders.sort((a, b) => better(a, b, false))[0] ?? null
}

/** The winners of all routes of these peers. */
export function naiveWinners(peers: readonly NaivePeer[], speaker: NaiveSpeaker): Map<string, NaiveWinner> {
  const winners = new Map<string, NaiveWinner>()
  for (const route of new Set(peers.flatMap((peer) => [...peer.routes.keys()]))) {
    const winner = naiveWinner(peers, route, speaker)
    if (winner !== null) winners.set(route, winner)
  }
  return winners
}

/** `family prefix` → hex of attributes and next hop, all that `target` has to have heard. */
export function naiveAdjRibOut(
  winners: ReadonlyMap<string, NaiveWinner>,
  target: NaivePeer,
  rulesOf: (family: Family) => ExportRules,
  exported: NaiveExport = EVERYTHING,
): Map<string, string> {
  const out = new Map<string, string>()
  for (const [route, winner] of winners) {
    if (winner.peer === target) continue
    if (winner.peer.kind === SourceKind.NON_CLIENT && target.kind === SourceKind.NON_CLIENT) continue
    if (!exported.accepts(winner.peer, route)) continue
    const family = route.startsWith('0 ') ? Family.IPV4_UNICAST : Family.IPV6_UNICAST
    const attributes = outgoingAttributes(
      winner.attributes,
      { kind: winner.peer.kind, bgpId: winner.peer.bgpId },
      rulesOf(family),
      null,
    )
    const octets = encodePathAttributes(attributes, {
      as4: exported.as4,
      nextHopAttribute: family === Family.IPV4_UNICAST,
    })
    if (exported.maxMessageOctets < 19 + 4 + octets.length + (family === Family.IPV4_UNICAST ? 5 : 17 + 25)) continue
    out.set(
      route,
      `${Buffer.from(octets).toString('hex')}${family === Family.IPV4_UNICAST ? '' : ` ${Buffer.from(attributes.nextHop!).toString('hex')}`}`,
    )
  }
  return out
}
