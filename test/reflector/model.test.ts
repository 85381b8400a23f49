/**
 * The model test of the update groups: random announcements, withdrawals, losses, returns, route refreshes, stalls of sockets and changes of group for peers
 * of three kinds and two families; clients of a route server; own routes, 2-octet peers, export policies that read prefix and source, two message limits, ADD-PATH
 * in either direction with all paths or the best two. After every quiet point the decoded stream of each peer equals a naive Adj-RIB-Out of its own.
 */
import t from 'tap'
import { encodeSegments } from '../../src/bgp/attributes/as-path.js'
import { NO_ATTRIBUTES } from '../../src/bgp/attributes/decode.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import { words } from '../../src/daemon/own-routes.js'
import { FAMILIES, Family } from '../../src/net/family.js'
import { parsePrefix } from '../../src/net/prefix.js'
import { type ExporterOptions, PLAIN_CLIENT } from '../../src/reflector/exporter.js'
import type { MemberLink } from '../../src/reflector/member.js'
import type { ExportRules } from '../../src/reflector/reflect.js'
import { type GroupMember, Reflector } from '../../src/reflector/reflector.js'
import { AdjRibIn } from '../../src/rib/adj-rib-in.js'
import { PLAIN_INTAKE } from '../../src/rib/intake.js'
import { Rib } from '../../src/rib/rib.js'
import { type RibSource, SourceKind } from '../../src/rib/source.js'
import { policy, prefixMatch } from '../rib/given.js'
import { type NaivePeer, type NaiveWinner, naiveAdjRibOut, naiveRanking } from '../support/naive-rib.js'
import { announceBytes, Receiver, withdrawBytes } from '../support/update-bytes.js'

const ASN = 65000
const SPEAKER = { routerId: 0x0a000001, clusterId: 0x0a000001 }
const LIMITS = { logOctets: 3000, windowOctets: 400 }

/** xorshift32: the same run for the same seed. */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed | 1
  return (limit) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}

class FakeSocket implements MemberLink {
  readonly receiver: Receiver
  stalled = false
  readonly #queue: { chunk: Uint8Array; taken: (() => void) | null }[] = []

  constructor(addPath: number) {
    this.receiver = new Receiver(addPath)
  }

  send(chunks: readonly Uint8Array[], taken: () => void): void {
    chunks.forEach((chunk, at) => {
      this.#queue.push({ chunk, taken: at === chunks.length - 1 ? taken : null })
    })
  }

  get waiting(): number {
    return this.#queue.length
  }

  take(count: number): void {
    for (let i = 0; i < count && this.#queue.length > 0 && !this.stalled; i++) {
      const { chunk, taken } = this.#queue.shift()!
      this.receiver.receive(chunk)
      taken?.()
    }
  }
}

interface Peer extends NaivePeer {
  nextHopSelf: boolean
  source: RibSource | null
  socket: FakeSocket | null
  members: GroupMember[]
  /** `family identifier` → prefix that it was announced for last. */
  readonly pathIds: Map<string, string>
}

class World {
  readonly rib: Rib
  readonly input: AdjRibIn
  readonly reflector: Reflector
  readonly peers: Peer[] = []
  readonly own: NaivePeer
  readonly random: (limit: number) => number
  violation = ''
  largestLog = 0

  constructor(seed: number) {
    this.random = randomFrom(seed)
    this.rib = new Rib({ asn: ASN, ...SPEAKER, seed, nodeName: 'test', nowSeconds: () => 0 })
    this.input = new AdjRibIn(this.rib, { fault: (_, fault) => t.fail(fault.reason), endOfRib: () => {} })
    this.reflector = new Reflector(this.rib, seed, LIMITS)
    this.own = {
      number: 0,
      kind: SourceKind.LOCAL,
      bgpId: SPEAKER.routerId,
      address: new Uint8Array(0),
      routes: new Map(),
    }
    for (let number = 1; number <= PEERS; number++) {
      const kind = isRouteServerClient(number)
        ? SourceKind.EBGP
        : [SourceKind.CLIENT, SourceKind.CLIENT, SourceKind.NON_CLIENT, SourceKind.EBGP][number % 4]!
      this.peers.push({
        number,
        kind,
        bgpId: 0x0a000100 + number,
        address: Uint8Array.from([10, 0, 1, number]),
        routes: new Map(),
        nextHopSelf: false,
        source: null,
        socket: null,
        members: [],
        pathIds: new Map(),
      })
    }
  }

  rules(peer: Peer, family: Family): ExportRules {
    return {
      ...PLAIN_CLIENT,
      kind: peer.kind as ExportRules['kind'],
      localAsn: ASN,
      clusterId: SPEAKER.clusterId,
      selfNextHop:
        family === Family.IPV4_UNICAST
          ? Uint8Array.from([10, 0, 0, 1])
          : Uint8Array.from([0x20, 1, ...new Array(13).fill(0), 1]),
      nextHopSelf: peer.nextHopSelf,
      routeServerClient: isRouteServerClient(peer.number),
    }
  }

  options(peer: Peer, family: Family): ExporterOptions {
    const { as4, maxMessageOctets, sendPaths } = variant(peer.number)
    const exportPolicy = hasPolicy(peer.number) ? EXPORT_POLICY : null
    return {
      ...PLAIN_CLIENT,
      ...this.rules(peer, family),
      family,
      as4,
      maxMessageOctets,
      sendPaths: sendPaths[family]!,
      exportPolicy,
    }
  }

  up(peer: Peer): void {
    if (peer.source !== null) return
    const { as4, sendPaths, addPathReceive } = variant(peer.number)
    const socket = new FakeSocket(sendPaths.reduce((bits, paths, family) => bits | (paths > 0 ? 1 << family : 0), 0))
    peer.socket = socket
    peer.source = this.rib.openSource({
      name: `p${peer.number}`,
      kind: peer.kind,
      bgpId: peer.bgpId,
      asn: peer.kind === SourceKind.EBGP ? 65100 + peer.number : ASN,
      localAsn: ASN,
      address: peer.address,
      as4,
      addPathReceive,
      weight: 0,
      allowOwnAs: 0,
      intake: PLAIN_INTAKE,
      importPolicy: null,
    })
    const own = mark(peer.source.index)
    socket.receiver.onAnnounce = (route, attributes) => {
      if (attributes.includes(own)) this.violation = `peer ${peer.number} was sent its own ${route}`
      const [prefix, id] = route.split('@') as [string, string?]
      if (id !== undefined) this.checkPathId(peer, prefix, id)
    }
    peer.members = FAMILIES.map(({ family }) =>
      this.reflector.join(peer.source!.index, `p${peer.number}`, this.options(peer, family), socket),
    )
  }

  /** An identifier names a path of one prefix from its announcement to its withdrawal. */
  checkPathId(peer: Peer, prefix: string, id: string): void {
    const key = `${prefix[0]} ${id}`
    const known = peer.pathIds.get(key)
    if (known !== undefined && known !== prefix && peer.socket!.receiver.routes.has(`${known}@${id}`))
      this.violation = `peer ${peer.number}: identifier ${id} of ${known} announced for ${prefix}`
    peer.pathIds.set(key, prefix)
  }

  down(peer: Peer): void {
    if (peer.source === null) return
    for (const member of peer.members) this.reflector.leave(member)
    this.rib.closeSource(peer.source)
    peer.source = null
    peer.socket = null
    peer.routes.clear()
    peer.pathIds.clear()
  }

  announce(peer: Peer): void {
    if (peer.source === null) return
    const family = this.random(3) === 0 ? Family.IPV6_UNICAST : Family.IPV4_UNICAST
    const attributes = this.attributes(peer, family)
    const prefixes = Array.from({ length: 1 + this.random(6) }, () => this.nlriOf(peer, family))
    this.send(peer, announceBytes(prefixes, attributes, variant(peer.number).as4))
    for (const prefix of prefixes) peer.routes.set(`${family} ${prefix}`, attributes)
  }

  withdraw(peer: Peer): void {
    if (peer.source === null) return
    const family = this.random(3) === 0 ? Family.IPV6_UNICAST : Family.IPV4_UNICAST
    const prefixes = Array.from({ length: 1 + this.random(4) }, () => this.nlriOf(peer, family))
    this.send(peer, withdrawBytes(prefixes))
    for (const prefix of prefixes) peer.routes.delete(`${family} ${prefix}`)
  }

  originate(): void {
    const family = this.random(3) === 0 ? Family.IPV6_UNICAST : Family.IPV4_UNICAST
    const prefix = this.prefix(family)
    const { rib } = this
    const id = internPrefix(rib, prefix)
    if (this.random(2) === 0) {
      rib.withdraw(family, rib.local, id)
      rib.tables[family]!.prefixes.collect(id)
      this.own.routes.delete(`${family} ${prefix}`)
      return
    }
    const nextHop =
      this.random(2) === 0 ? null : this.rules(this.peers[0]!, family).selfNextHop!.map((octet) => octet + 1)
    const attributes = { ...NO_ATTRIBUTES, origin: 0, asPath: new Uint8Array(0), nextHop, med: this.random(3) - 1 }
    rib.originate(family, id, rib.store.internAttributes(attributes))
    this.own.routes.set(`${family} ${prefix}`, attributes)
  }

  send(peer: Peer, octets: Uint8Array): void {
    this.input.update(peer.source!, 3, octets, 0, octets.length)
  }

  /** A prefix, with an identifier where the peer sends them. */
  nlriOf(peer: Peer, family: Family): string {
    const prefix = this.prefix(family)
    if ((variant(peer.number).addPathReceive & (1 << family)) === 0) return prefix
    return `${prefix}@${[0, 7, 0xffffffff][this.random(3)]}`
  }

  prefix(family: Family): string {
    const number = 1 + this.random(60)
    return family === Family.IPV4_UNICAST
      ? `10.${number}.0.0/${16 + (number % 9)}`
      : `2001:db8:${number.toString(16)}::/${48 + (number % 3)}`
  }

  attributes(peer: Peer, family: Family): PathAttributes {
    const external = peer.kind === SourceKind.EBGP
    const asns = external ? [65100 + peer.number] : this.random(3) === 0 ? [65201 + this.random(2)] : []
    for (let more = this.random(3); more > 0 && asns.length > 0; more--)
      asns.push(this.random(4) === 0 ? 4200000000 : 65300 + this.random(2))
    const internal = external
      ? {}
      : {
          localPref: 100 + this.random(2),
          originatorId:
            this.random(6) === 0 ? (this.random(3) === 0 ? SPEAKER.routerId : 0x0a000200 + this.random(3)) : -1,
          clusterList: this.random(6) === 0 ? Uint8Array.from([10, 0, 0, 1 + this.random(3)]) : null,
        }
    // Now and then the same octets from whoever sends them.
    if (!external && this.random(4) === 0)
      return {
        ...NO_ATTRIBUTES,
        origin: 0,
        asPath: new Uint8Array(0),
        nextHop: Uint8Array.from(
          family === Family.IPV4_UNICAST ? [10, 0, 9, 9] : [0x20, 1, ...new Array(13).fill(0), 99],
        ),
        localPref: 100 + this.random(2),
      }
    const communities = [0xfd, 0xe8, peer.source!.index >> 8, peer.source!.index & 255]
    // Now and then a set that only just fits, or does not fit any more with what is added on the way out.
    if (this.random(40) === 0)
      for (let extra = 0; extra < 990 + this.random(30); extra++) communities.push(0xfd, 0xe9, extra >> 8, extra & 255)
    return {
      ...NO_ATTRIBUTES,
      origin: this.random(2),
      asPath: encodeSegments(asns.length === 0 ? [] : [{ type: 2, asNumbers: asns }]),
      nextHop:
        family === Family.IPV4_UNICAST
          ? peer.address
          : Uint8Array.from([0x20, 1, ...new Array(13).fill(0), 100 + peer.number]),
      med: this.random(3) - 1,
      communities: Uint8Array.from(communities),
      ...internal,
    }
  }

  /** One pass of the event loop. */
  turn(): void {
    if (this.rib.hasClearing) this.rib.clearSlice(1 + this.random(20))
    for (const { family } of FAMILIES) {
      const count = this.rib.decide(family)
      if (count === 0) continue
      this.reflector.change(family, this.rib.batch, count)
      this.rib.finish(family, count)
    }
    this.reflector.tableSlices()
    this.reflector.pump(() => this.random(4) === 0)
    this.rib.store.sweep()
    for (const group of this.reflector.groups()) {
      const limit = LIMITS.logOctets + group.members.size * (LIMITS.windowOctets + 65536)
      if (group.log.octets > limit) this.violation = `log of ${group.log.octets} octets`
      this.largestLog = Math.max(this.largestLog, group.log.octets)
    }
  }

  quiet(): void {
    for (const peer of this.peers) if (peer.socket !== null) peer.socket.stalled = false
    for (let idle = 0; idle < 3; ) {
      this.turn()
      for (const peer of this.peers) peer.socket?.take(1000)
      const waiting = this.peers.some((peer) => (peer.socket?.waiting ?? 0) > 0)
      idle =
        waiting ||
        this.rib.dirtyCount > 0 ||
        this.rib.hasClearing ||
        this.reflector.hasQueue ||
        this.reflector.hasTableWork
          ? 0
          : idle + 1
    }
  }

  step(): void {
    const peer = this.peers[this.random(this.peers.length)]!
    const choice = this.random(100)
    if (choice < 40) this.announce(peer)
    else if (choice < 60) this.withdraw(peer)
    else if (choice < 63) this.down(peer)
    else if (choice < 70) this.up(peer)
    else if (choice < 72 && peer.source !== null) for (const { group, member } of peer.members) group.refresh(member)
    else if (choice < 75 && peer.socket !== null) peer.socket.stalled = !peer.socket.stalled
    else if (choice < 79) this.originate()
    else if (choice < 81 && peer.source !== null) this.changeGroup(peer)
    else if (choice < 90) for (const each of this.peers) each.socket?.take(1 + this.random(3))
    else this.turn()
  }

  changeGroup(peer: Peer): void {
    peer.nextHopSelf = !peer.nextHopSelf
    peer.members = peer.members.map((member, family) =>
      this.reflector.move(member, this.options(peer, family as Family)),
    )
  }
}

/** The community 65000:N in hex, as every route of the session with source N carries it. */
function mark(number: number): string {
  return `fde8${number.toString(16).padStart(4, '0')}`
}

const PEERS = 27

function isRouteServerClient(number: number): boolean {
  return number > 22
}

/** Two of the peers speak with 2-octet ASNs, two take long messages; those from 15 on use ADD-PATH. */
function variant(number: number): Variant {
  return {
    as4: number !== 5 && number !== 6,
    maxMessageOctets: number === 7 || number === 9 ? 65535 : 4096,
    ...(ADD_PATH[number] ?? { sendPaths: [0, 0], addPathReceive: 0 }),
  }
}

interface Variant {
  readonly as4: boolean
  readonly maxMessageOctets: number
  /** By family: how many paths the peer is sent, 0 without identifiers. */
  readonly sendPaths: readonly [number, number]
  /** Bit n: the peer sends identifiers in family n. */
  readonly addPathReceive: number
}

/** All, the best two, one direction only, one family only. Their kinds go by the number, as those of the others. */
const ADD_PATH: Readonly<Record<number, Pick<Variant, 'sendPaths' | 'addPathReceive'>>> = {
  15: { sendPaths: [255, 255], addPathReceive: 3 },
  16: { sendPaths: [255, 255], addPathReceive: 0 },
  17: { sendPaths: [255, 255], addPathReceive: 3 },
  18: { sendPaths: [2, 2], addPathReceive: 0 },
  19: { sendPaths: [2, 2], addPathReceive: 3 },
  20: { sendPaths: [2, 2], addPathReceive: 3 },
  21: { sendPaths: [255, 0], addPathReceive: 2 },
  22: { sendPaths: [255, 2], addPathReceive: 1 },
}

function hasPolicy(number: number): boolean {
  return [8, 11, 12, 13, 22, 24, 25].includes(number)
}

const EXPORT_POLICY = policy(
  [{ peer: ['p3', 'local'], prefix: prefixMatch('10.0.0.0/8', 20, 32) }, 'reject'],
  [{ prefix: [...prefixMatch('10.0.0.0/11', 8, 18), ...prefixMatch('2001:db8::/32', 49, 49)] }, 'reject'],
  [{}, 'accept'],
)

/** What EXPORT_POLICY says, in other words. */
function accepts(source: NaivePeer, route: string): boolean {
  const [, first, length] = /^\d (\w+)\..*\/(\d+)$/.exec(route) ?? []
  if (first === undefined) return !route.endsWith('/49')
  const second = Number(route.split('.')[1])
  if ((source.number === 3 || source.number === 0) && Number(length) >= 20) return false
  return !(second < 32 && Number(length) <= 18)
}

function internPrefix(rib: Rib, text: string): number {
  const { family, address, length } = parsePrefix(text)
  const [w0, w1, w2, w3] = words(address)
  return rib.tables[family]!.prefixes.intern(w0, w1, w2, w3, length)
}

const RUNS = Number(process.env['NODEBGP_MODEL_RUNS'] ?? 5)

/** Runs a world; what is wrong, or null. */
function runWorld(run: number): string | null {
  const world = new World(run * 7919)
  for (const peer of world.peers) if (world.random(2) === 0) world.up(peer)
  for (let point = 0; point < 12; point++) {
    for (let step = 0; step < 150; step++) world.step()
    world.quiet()
    const ranking = naiveRanking([...world.peers, world.own], SPEAKER)
    const wrong =
      world.violation || world.peers.map((peer) => differences(world, peer, ranking)).find((text) => text !== '')
    if (wrong) return `run ${run}, point ${point}: ${wrong}`
  }
  for (const peer of world.peers) world.down(peer)
  for (const route of world.own.routes.keys()) {
    const [family, prefix] = route.split(' ') as [string, string]
    world.rib.withdraw(Number(family) as Family, world.rib.local, internPrefix(world.rib, prefix))
  }
  world.quiet()
  world.turn()
  for (const { prefixes, paths } of world.rib.tables) {
    if (prefixes.size !== 0 || paths.size !== 0)
      return `run ${run}: ${prefixes.size} prefixes and ${paths.size} paths are left`
  }
  const { store, nextHops } = world.rib
  return store.size !== 0 || nextHops.size !== 0
    ? `run ${run}: ${store.size} attribute sets, ${nextHops.size} next hops are left`
    : null
}

function differences(world: World, peer: Peer, ranking: ReadonlyMap<string, readonly NaiveWinner[]>): string {
  if (peer.socket === null) return ''
  const { largest, endOfRib } = peer.socket.receiver
  const routes = withoutIds(peer.socket.receiver.routes)
  const { as4, maxMessageOctets, sendPaths } = variant(peer.number)
  const expected = naiveAdjRibOut(
    ranking,
    peer,
    (family) => world.rules(peer, family),
    (family) => ({
      as4,
      maxMessageOctets,
      sendPaths: sendPaths[family]!,
      routeServer: isRouteServerClient(peer.number),
      accepts: hasPolicy(peer.number) ? accepts : () => true,
    }),
  )
  const wrong = [...expected].filter(([route, attributes]) => routes.get(route) !== attributes).map(([route]) => route)
  const extra = [...routes.keys()].filter((route) => !expected.has(route))
  if (wrong.length > 0 || extra.length > 0)
    return `peer ${peer.number} (kind ${peer.kind}): missing or wrong ${wrong}, surplus ${extra}`
  if (largest > variant(peer.number).maxMessageOctets) return `a message of ${largest} octets`
  return endOfRib[0] === 1 && endOfRib[1] === 1 ? '' : `End-of-RIB ${endOfRib}`
}

/** The attributes of all paths of a route, sorted: which identifiers they have is the sender's affair. */
function withoutIds(routes: ReadonlyMap<string, string>): Map<string, string> {
  const lists = new Map<string, string[]>()
  for (const [key, attributes] of routes) {
    const [route] = key.split('@') as [string]
    const list = lists.get(route)
    if (list === undefined) lists.set(route, [attributes])
    else list.push(attributes)
  }
  return new Map([...lists].map(([route, list]) => [route, list.sort().join(', ')]))
}

t.test(`what each peer has heard equals the naive model (${RUNS} runs)`, async (t) => {
  for (let run = 1; run <= RUNS; run++) {
    const wrong = runWorld(run)
    if (wrong !== null) return t.fail(wrong)
  }
  return t.pass('all runs')
})
