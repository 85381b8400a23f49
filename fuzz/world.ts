/**
 * The speaker without its sockets: sessions, RIB and update groups in memory, the model beside them, and the oracles that look at both. A world is what its
 * steps made it: the same steps give the same world.
 */

import { encodePathAttributes, isEncodable } from '../src/bgp/attributes/encode.js'
import { Role } from '../src/bgp/capabilities/offer.js'
import { prefixText } from '../src/daemon/fib-feed.js'
import type { ViewContext } from '../src/daemon/view-context.js'
import { PathViews } from '../src/daemon/view-paths.js'
import { FAMILIES, Family } from '../src/net/family.js'
import { type ExporterOptions, PLAIN_CLIENT } from '../src/reflector/exporter.js'
import { communityForbids, mayAdvertise, outgoingAttributes } from '../src/reflector/reflect.js'
import { type GroupMember, Reflector } from '../src/reflector/reflector.js'
import { AdjRibIn } from '../src/rib/adj-rib-in.js'
import { communityBits } from '../src/rib/attribute-scan.js'
import type { AttributeSet } from '../src/rib/attribute-set.js'
import { PLAIN_INTAKE } from '../src/rib/intake.js'
import { withOtc } from '../src/rib/otc.js'
import { PathState } from '../src/rib/path-state.js'
import { Rib } from '../src/rib/rib.js'
import { type RibSource, SourceKind } from '../src/rib/source.js'
import { type NaivePeer, type NaiveWinner, naiveRanking } from '../test/support/naive-rib.js'
import { Receiver } from '../test/support/update-bytes.js'
import { Finding } from './finding.js'
import { canonicalOf, otcIn } from './model.js'
import { LISTENERS, type Listener, OUR_ASN, ROUTER_ID, SENDERS } from './peers.js'
import { SenderSession } from './sender.js'
import { checkDecodeLine, checkEncoding, checkJson } from './set-oracles.js'
import type { Step } from './step.js'

/** How often the oracles look: `nodebgp decode`, a turn of the speaker, the tables, and what others were sent. In steps. */
const DECODE = 13
const TURN = 32
const TABLES = 128
const DOWNSTREAM = 512

export interface WorldCounters {
  messages: number
  accepted: number
  /** By code and subcode, or how else a session ended. */
  readonly rejected: Map<string, number>
  sets: number
  slowestMs: number
}

export function newCounters(): WorldCounters {
  return { messages: 0, accepted: 0, rejected: new Map(), sets: 0, slowestMs: 0 }
}

interface Heard {
  readonly listener: Listener
  readonly source: RibSource
  readonly receiver: Receiver
  readonly members: GroupMember[]
}

export class World {
  readonly senders: readonly SenderSession[]
  readonly #rib: Rib
  readonly #reflector: Reflector
  readonly #views: PathViews
  readonly #heard: Heard[]
  readonly #counters: WorldCounters
  /** Canonical text of each set that was looked at. */
  readonly #seen = new WeakMap<AttributeSet, string>()
  #steps = 0

  constructor(counters: WorldCounters) {
    this.#counters = counters
    const identity = { asn: OUR_ASN, routerId: ROUTER_ID, clusterId: ROUTER_ID }
    this.#rib = new Rib({ ...identity, seed: 11, nodeName: 'fuzz', nowSeconds: () => 0 })
    const input = new AdjRibIn(this.#rib, { fault: () => {}, endOfRib: () => {} })
    this.#reflector = new Reflector(this.#rib, 11)
    this.senders = SENDERS.map(
      (sender, number) =>
        new SenderSession(number, sender, this.#rib, input, {
          accepted: () => {
            counters.accepted++
          },
          down: (why) => {
            counters.rejected.set(why, (counters.rejected.get(why) ?? 0) + 1)
          },
          refresh: (family) => {
            for (const { members } of this.#heard) {
              const found = members.find(({ group }) => group.family === family)
              if (found !== undefined) found.group.refresh(found.member)
            }
          },
        }),
    )
    this.#heard = LISTENERS.map((listener, number) => this.#listen(listener, number))
    this.#views = new PathViews({
      config: () => ({ fib: { maxPaths: 4 } }),
      rib: this.#rib,
      reflector: this.#reflector,
      routes: { peerOf: () => undefined, live: new Map() },
      nowSeconds: () => 0,
    } as unknown as ViewContext)
  }

  /** Throws Finding. Returns the time that the speaker took for the octets, milliseconds. */
  step({ sender, bytes, cut }: Step): number {
    const session = this.senders[sender]!
    session.deliver(bytes, cut)
    this.#counters.messages++
    const steps = ++this.#steps
    if (steps % DECODE === 0) {
      const { kind, addPath } = session.sender
      checkDecodeLine(bytes, session.as4, kind === SourceKind.EBGP, addPath.length > 0)
    }
    if (steps % TURN === 0) this.#turn()
    if (steps % TABLES === 0) this.#checkTables()
    if (steps % DOWNSTREAM === 0) this.#checkDownstream()
    return session.spentMs
  }

  /** All oracles, then the end of all sessions, which has to leave nothing. */
  finish(): void {
    this.#turn()
    this.#checkTables()
    this.#checkDownstream()
    for (const sender of this.senders) sender.close()
    this.#quiet()
    for (const { listener, receiver } of this.#heard) {
      if (receiver.routes.size > 0)
        throw new Finding('downstream', `${listener.name} still has ${receiver.routes.size} routes`)
    }
    for (const { members } of this.#heard) for (const member of members) this.#reflector.leave(member)
    this.#quiet()
    const { tables, store, nextHops } = this.#rib
    const left = {
      sets: store.size,
      nextHops: nextHops.size,
      paths: tables.reduce((sum, { paths }) => sum + paths.size, 0),
      prefixes: tables.reduce((sum, { prefixes }) => sum + prefixes.size, 0),
    }
    if (Object.values(left).some((count) => count !== 0)) throw new Finding('memory', JSON.stringify(left))
  }

  #turn(): void {
    const rib = this.#rib
    if (rib.hasClearing) rib.clearSlice(4096)
    for (const { family } of FAMILIES) {
      const count = rib.decide(family)
      if (count === 0) continue
      this.#reflector.change(family, rib.batch, count)
      rib.finish(family, count)
    }
    this.#reflector.tableSlices()
    this.#reflector.pump(() => false)
    rib.store.sweep()
  }

  #quiet(): void {
    const rib = this.#rib
    for (let idle = 0; idle < 2; ) {
      this.#turn()
      const busy = rib.dirtyCount > 0 || rib.hasClearing || this.#reflector.hasQueue || this.#reflector.hasTableWork
      idle = busy ? 0 : idle + 1
    }
  }

  /** Every path of every sender is in its model with the same state and value, and none is missing. */
  #checkTables(): void {
    const { tables } = this.#rib
    for (const { sender, source, model } of this.senders) {
      if (source === null || model === null) continue
      let count = 0
      for (const { family, prefixes, paths } of tables) {
        for (let path = source.head[family]!; path !== 0; path = paths.nextOfSource[path]!) {
          count++
          const prefix = paths.prefix[path]!
          const id = paths.receivedIdOf(path)
          const route = `${family} ${prefixText(family, prefixes, prefix)}${id === 0 ? '' : `@${id}`}`
          const expected = model.routes.get(route)
          if (expected === undefined) throw new Finding('table', `${sender.name}: ${route} is not in the model`)
          if (expected.state !== paths.state[path]) {
            throw new Finding(
              'table',
              `${sender.name}: ${route} has state ${paths.state[path]}, in the model ${expected.state}`,
            )
          }
          const usable = paths.effective[path] !== 0
          if (usable !== (expected.state === PathState.USABLE)) {
            throw new Finding(
              'table',
              `${sender.name}: ${route} is ${usable ? '' : 'not '}used in state ${expected.state}`,
            )
          }
          this.#checkValue(`${sender.name}: ${route}`, expected.canonical, family, prefix, path, paths.received[path]!)
          if (usable)
            this.#checkValue(
              `${sender.name}: ${route}`,
              expected.effective,
              family,
              prefix,
              path,
              paths.effective[path]!,
            )
        }
      }
      if (count !== model.routes.size) {
        throw new Finding('table', `${sender.name}: ${count} paths, ${model.routes.size} in the model`)
      }
    }
  }

  #checkValue(what: string, expected: string, family: Family, prefix: number, path: number, id: number): void {
    const set = this.#rib.store.get(id)
    let canonical = this.#seen.get(set)
    if (canonical === undefined) {
      canonical = this.#checkSet(family, prefix, path, set)
      this.#seen.set(set, canonical)
    }
    if (canonical !== expected) throw new Finding('table', `${what} has other attributes than in the model`)
  }

  #checkSet(family: Family, prefix: number, path: number, set: AttributeSet): string {
    this.#counters.sets++
    const attributes = this.#rib.store.attributes(set)
    try {
      checkEncoding(attributes)
    } catch (error) {
      throw error instanceof Finding ? error : new Finding('encode', String(error))
    }
    try {
      checkJson(this.#views.rows(family, prefix, [path]))
    } catch (error) {
      throw error instanceof Finding ? error : new Finding('show', String(error))
    }
    return canonicalOf(attributes)
  }

  /** What each listener was sent is what the naive reflector makes of the models. */
  #checkDownstream(): void {
    this.#quiet()
    const peers: NaivePeer[] = []
    for (const { sender, source, model, bgpId, number } of this.senders) {
      if (source === null || model === null) continue
      const routes = new Map(
        [...model.routes]
          .filter(([, { state }]) => state === PathState.USABLE)
          .map(([route, set]) => [route, set.attributes]),
      )
      peers.push({ number, kind: sender.kind, bgpId, address: source.options.address, routes })
    }
    const ranking = naiveRanking(peers, { routerId: ROUTER_ID, clusterId: ROUTER_ID })
    for (const { listener, receiver } of this.#heard) {
      const wanted = naiveSent(ranking, listener)
      const found = new Map<string, string>()
      for (const [key, value] of receiver.routes) {
        const route = key.split('@')[0]!
        const before = found.get(route)
        found.set(route, before === undefined ? value : [...before.split(', '), value].sort().join(', '))
      }
      for (const [route, value] of wanted) {
        if (found.get(route) === value) continue
        const sent = found.get(route) ?? 'not there'
        throw new Finding('downstream', `${listener.name}: ${route} is ${sent}, in the model ${value}`)
      }
      if (found.size !== wanted.size) {
        const extra = [...found.keys()].find((route) => !wanted.has(route))
        throw new Finding('downstream', `${listener.name}: ${extra} is not in the model`)
      }
    }
  }

  #listen(listener: Listener, number: number): Heard {
    const receiver = new Receiver(listener.sendPaths > 0 ? 3 : 0)
    const source = this.#rib.openSource({
      name: listener.name,
      kind: listener.kind,
      bgpId: 0x0a000200 + number,
      asn: listener.kind === SourceKind.EBGP ? 65100 : OUR_ASN,
      localAsn: OUR_ASN,
      address: Uint8Array.of(10, 9, 8, number + 1),
      as4: listener.as4,
      weight: 0,
      allowOwnAs: 0,
      intake: PLAIN_INTAKE,
      importPolicy: null,
      addPathReceive: 0,
    })
    const link = {
      send: (chunks: readonly Uint8Array[], taken: () => void) => {
        for (const chunk of chunks) receiver.receive(chunk)
        taken()
      },
    }
    const members = FAMILIES.map(({ family }) =>
      this.#reflector.join(source.index, listener.name, optionsOf(listener, family), link),
    )
    return { listener, source, receiver, members }
  }
}

function optionsOf({ kind, as4, sendPaths, maxMessageOctets }: Listener, family: Family): ExporterOptions {
  return {
    ...PLAIN_CLIENT,
    family,
    kind,
    localAsn: OUR_ASN,
    clusterId: ROUTER_ID,
    as4,
    maxMessageOctets,
    sendPaths,
    selfNextHop: family === Family.IPV4_UNICAST ? Uint8Array.of(10, 0, 0, 1) : SELF_IPV6,
  }
}

/** `family prefix` to what a listener has to have been sent: the winner, with ADD-PATH the best that may be sent to it, sorted. */
function naiveSent(ranking: ReadonlyMap<string, readonly NaiveWinner[]>, listener: Listener): Map<string, string> {
  const sent = new Map<string, string>()
  for (const [route, ranked] of ranking) {
    const family = route.startsWith('0 ') ? Family.IPV4_UNICAST : Family.IPV6_UNICAST
    const count = Math.max(1, listener.sendPaths)
    const texts: string[] = []
    for (const path of listener.sendPaths === 0 ? ranked.slice(0, 1) : ranked) {
      const text = naiveText(path, family, listener)
      if (text !== null && texts.length < count) texts.push(text)
    }
    if (texts.length > 0) sent.set(route, texts.sort().join(', '))
  }
  return sent
}

/** Attributes and MP next hop as the receiver reads them; null where the path is not sent. */
function naiveText({ peer, attributes }: NaiveWinner, family: Family, listener: Listener): string | null {
  const { communities } = attributes
  if (!mayAdvertise(peer.kind, listener.kind)) return null
  if (communities !== null && communityForbids(communityBits(communities, 0, communities.length), listener.kind))
    return null
  const sent = outgoingAttributes(attributes, { kind: peer.kind, bgpId: peer.bgpId }, optionsOf(listener, family), null)
  // What a provider sent is for customers only from here on (RFC 9234 §5).
  const { role, asn } = SENDERS[peer.number]!
  const out = withOtc(sent, otcIn(attributes) || (role === Role.CUSTOMER ? asn : 0), null, OUR_ASN)
  const mp = family !== Family.IPV4_UNICAST
  if (!isEncodable(out)) return null
  const octets = encodePathAttributes(out, { as4: listener.as4, nextHopAttribute: !mp })
  const nextHop = out.nextHop === attributes.nextHop ? keptNextHop(out.nextHop!) : out.nextHop!
  // An IPv6 next hop of an IPv4 route (RFC 8950): no listener takes it.
  if (!mp && nextHop.length !== 4) return null
  // One prefix of full length has to fit beside the attributes.
  const nlri = (listener.sendPaths > 0 ? 4 : 0) + (mp ? 17 + 9 + nextHop.length : 5)
  if (23 + octets.length + nlri > listener.maxMessageOctets) return null
  const hex = Buffer.from(octets).toString('hex')
  return mp ? `${hex} ${Buffer.from(nextHop).toString('hex')}` : hex
}

/** No session here runs over a link: a global address goes on without the link-local one behind it. */
function keptNextHop(nextHop: Uint8Array): Uint8Array {
  const isLinkLocal = nextHop[0] === 0xfe && (nextHop[1]! & 0xc0) === 0x80
  if (nextHop.length !== 32 || isLinkLocal || nextHop.subarray(0, 16).every((octet) => octet === 0)) return nextHop
  return nextHop.subarray(0, 16)
}

const SELF_IPV6 = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff)
