/** A RIB with its update groups and sockets in memory, turned by hand. */
import { encodeSegments } from '../../src/bgp/attributes/as-path.js'
import { NO_ATTRIBUTES } from '../../src/bgp/attributes/decode.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import { FAMILIES } from '../../src/net/family.js'
import type { GroupLimits } from '../../src/reflector/delivery.js'
import { type ExporterOptions, PLAIN_CLIENT } from '../../src/reflector/exporter.js'
import type { Member, MemberLink } from '../../src/reflector/member.js'
import { type GroupMember, Reflector } from '../../src/reflector/reflector.js'
import type { UpdateGroup } from '../../src/reflector/update-group.js'
import { AdjRibIn } from '../../src/rib/adj-rib-in.js'
import { PLAIN_INTAKE } from '../../src/rib/intake.js'
import { Rib } from '../../src/rib/rib.js'
import { type RibSource, SourceKind, type SourceOptions } from '../../src/rib/source.js'
import { Receiver } from '../support/update-bytes.js'

export const ASN = 65000
export const ROUTER_ID = 0x0a000001

export function attributesWith(given: Partial<PathAttributes> = {}): PathAttributes {
  return {
    ...NO_ATTRIBUTES,
    origin: 0,
    asPath: new Uint8Array(0),
    nextHop: Uint8Array.from([10, 0, 1, 1]),
    localPref: 100,
    ...given,
  }
}

export function sequence(...asNumbers: number[]): Uint8Array {
  return encodeSegments([{ type: 2, asNumbers }])
}

export function exporterOptions(given: Partial<ExporterOptions> = {}): ExporterOptions {
  return {
    ...PLAIN_CLIENT,
    localAsn: ASN,
    clusterId: ROUTER_ID,
    selfNextHop: Uint8Array.from([10, 0, 0, 1]),
    ...given,
  }
}

/** The socket of a peer: what is sent waits until it is taken. */
export class Socket implements MemberLink {
  readonly receiver: Receiver
  stalled = false
  /** Set for a peer with enhanced route refresh. */
  refreshMarked?: () => void
  updates = 0
  readonly #queue: { readonly chunks: readonly Uint8Array[]; readonly taken: () => void }[] = []

  /** `addPath`: bit n where what is sent of family n has path identifiers. */
  constructor(addPath = 0) {
    this.receiver = new Receiver(addPath)
  }

  send(chunks: readonly Uint8Array[], taken: () => void, messages: number): void {
    this.updates += messages
    this.#queue.push({ chunks, taken })
  }

  get waiting(): number {
    return this.#queue.length
  }

  /** The kernel takes up to `count` writes. */
  take(count = Number.POSITIVE_INFINITY): void {
    for (let i = 0; i < count && this.#queue.length > 0 && !this.stalled; i++) {
      const { chunks, taken } = this.#queue.shift()!
      for (const chunk of chunks) this.receiver.receive(chunk)
      taken()
    }
  }
}

/** A peer, its socket being the handle. */
export class PeerSocket extends Socket {
  readonly source: RibSource
  member: GroupMember

  constructor(source: RibSource, join: (socket: Socket) => GroupMember, addPath: number) {
    super(addPath)
    this.source = source
    this.member = join(this)
  }
}

/** What a peer has beside the options of its group. */
export interface PeerMore {
  readonly refreshMarked?: () => void
  readonly source?: Partial<SourceOptions>
}

/** Peers of one family, clients unless said otherwise. */
export class GroupWorld {
  readonly rib: Rib
  readonly input: AdjRibIn
  readonly reflector: Reflector
  readonly sockets: PeerSocket[] = []
  #number = 0

  constructor(limits: GroupLimits) {
    this.rib = new Rib({
      asn: ASN,
      routerId: ROUTER_ID,
      clusterId: ROUTER_ID,
      seed: 7,
      nodeName: 'test',
      nowSeconds: () => 0,
    })
    this.input = new AdjRibIn(this.rib, { fault: () => {}, endOfRib: () => {} })
    this.reflector = new Reflector(this.rib, 7, limits)
  }

  up(name: string, given: Partial<ExporterOptions> = {}, more: PeerMore = {}): PeerSocket {
    const options = exporterOptions(given)
    const number = ++this.#number
    const source = this.rib.openSource({
      name,
      kind: options.kind,
      bgpId: 0x0a000100 + number,
      asn: options.kind === SourceKind.EBGP ? 65100 + number : ASN,
      localAsn: ASN,
      address: Uint8Array.from([10, 0, 1, number]),
      as4: options.as4,
      addPathReceive: 0,
      weight: 0,
      allowOwnAs: 0,
      intake: PLAIN_INTAKE,
      importPolicy: null,
      extendedNextHop: options.extendedNextHop,
      ...(options.role === null ? {} : { role: options.role }),
      ...more.source,
    })
    const socket = new PeerSocket(
      source,
      (link) => {
        if (more.refreshMarked !== undefined) link.refreshMarked = more.refreshMarked
        return this.reflector.join(source.index, name, options, link)
      },
      options.sendPaths > 0 ? 1 << options.family : 0,
    )
    this.sockets.push(socket)
    return socket
  }

  down(socket: PeerSocket): void {
    this.sockets.splice(this.sockets.indexOf(socket), 1)
    this.reflector.leave(socket.member)
    this.rib.closeSource(socket.source)
  }

  /** A reload changed these options of a peer. */
  move(socket: PeerSocket, given: Partial<ExporterOptions>): void {
    socket.member = this.reflector.move(socket.member, { ...socket.member.group.exporter.options, ...given })
  }

  memberOf(socket: PeerSocket): Member {
    return socket.member.member
  }

  /** The only group. */
  group(): UpdateGroup {
    return [...this.reflector.groups()][0]!
  }

  send(socket: PeerSocket, octets: Uint8Array): void {
    this.input.update(socket.source, 3, octets, 0, octets.length)
  }

  /** One pass of the event loop. */
  turn(): void {
    if (this.rib.hasClearing) this.rib.clearSlice(4096)
    for (const { family } of FAMILIES) {
      const count = this.rib.decide(family)
      if (count === 0) continue
      this.reflector.change(family, this.rib.batch, count)
      this.rib.finish(family, count)
    }
    this.reflector.tableSlices()
    this.reflector.pump(() => false)
    this.rib.store.sweep()
  }

  /** Until nothing is left to do for sockets that are not stalled. */
  quiet(): void {
    for (let idle = 0; idle < 3; ) {
      this.turn()
      for (const socket of this.sockets) socket.take()
      const busy =
        this.sockets.some((socket) => socket.waiting > 0 && !socket.stalled) ||
        this.rib.dirtyCount > 0 ||
        this.rib.hasClearing ||
        this.reflector.hasQueue ||
        this.reflector.hasTableWork
      idle = busy ? 0 : idle + 1
    }
  }
}
