/** What the benches work on: whole tables as UPDATE octets, and a RIB with update groups whose sockets take everything at once. */
import { encodeSegments } from '../src/bgp/attributes/as-path.js'
import { NO_ATTRIBUTES } from '../src/bgp/attributes/decode.js'
import { encodePathAttributes } from '../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../src/bgp/attributes/path-attributes.js'
import { FAMILIES } from '../src/net/family.js'
import { type ExporterOptions, PLAIN_CLIENT } from '../src/reflector/exporter.js'
import type { MemberLink } from '../src/reflector/member.js'
import { type GroupMember, Reflector } from '../src/reflector/reflector.js'
import { AdjRibIn } from '../src/rib/adj-rib-in.js'
import { PLAIN_INTAKE } from '../src/rib/intake.js'
import { Rib } from '../src/rib/rib.js'
import { type RibSource, SourceKind } from '../src/rib/source.js'

export const ASN = 65000
export const ROUTER_ID = 0x0a000001
const SEED = 7

/** Attribute set number `n` as a table of the Internet has them: a path of 2 to 6, two communities, a MED every fourth time. Distinct for each n. */
export function attributesNumber(n: number, given: Partial<PathAttributes> = {}): PathAttributes {
  const asNumbers = Array.from({ length: 2 + (n % 5) }, (_, hop) => 1 + ((n * 7 + hop * 7919) % 64000))
  return {
    ...NO_ATTRIBUTES,
    origin: n % 3 === 0 ? 2 : 0,
    asPath: encodeSegments([{ type: 2, asNumbers }]),
    nextHop: Uint8Array.of(10, 1, (n >> 4) & 15, 1 + (n & 15)),
    med: n % 4 === 0 ? n % 100 : -1,
    localPref: 100,
    communities: Uint8Array.of(0xfc, 0, n >> 8, n, 0xfc, 1, n >> 24, n >> 16),
    ...given,
  }
}

/** Their octets as an internal peer with 4-octet AS numbers sends them. */
export function blockNumber(n: number): Uint8Array {
  return encodePathAttributes(attributesNumber(n), { as4: true, nextHopAttribute: true })
}

/** Address of prefix number `n` (below 2^23): a /24 in 0.0.0.0/1, distinct for each n and scattered as those of a table that was not sorted. */
export function wordNumber(n: number): number {
  return ((Math.imul(n, 0x9e3779b1) & 0x7fffff) << 8) | 0
}

export const PREFIX_LENGTH = 24

/** An UPDATE (RFC 4271 §4.3) that announces prefixes [from, to) with these attributes; up to 4096 octets are the caller's business. */
export function updateOf(block: Uint8Array, from: number, to: number): Uint8Array {
  const nlriOctets = 1 + PREFIX_LENGTH / 8
  const message = new Uint8Array(23 + block.length + (to - from) * nlriOctets)
  message.fill(255, 0, 16)
  message[16] = message.length >>> 8
  message[17] = message.length
  message[18] = 2
  message[21] = block.length >>> 8
  message[22] = block.length
  message.set(block, 23)
  for (let n = from, at = 23 + block.length; n < to; n++) {
    const word = wordNumber(n)
    message[at++] = PREFIX_LENGTH
    message[at++] = word >>> 24
    message[at++] = word >>> 16
    message[at++] = word >>> 8
  }
  return message
}

/** A table: prefixes [first, first + prefixes) over `sets` attribute sets that start with number `firstSet`, one UPDATE per set or more where they are many. */
export function tableOf(prefixes: number, sets: number, first = 0, firstSet = 0): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let set = 0; set < sets; set++) {
    const block = blockNumber(firstSet + set)
    const end = first + Math.floor(((set + 1) * prefixes) / sets)
    for (let from = first + Math.floor((set * prefixes) / sets); from < end; from += MAX_NLRI)
      messages.push(updateOf(block, from, Math.min(end, from + MAX_NLRI)))
  }
  return messages
}

/** A socket that takes everything at once and counts it. The pump goes on when the group is asked again, not from within the write. */
export class FakeLink implements MemberLink {
  octets = 0
  messages = 0
  /** Set to look at what is sent. */
  onChunk: ((chunk: Uint8Array) => void) | null = null
  readonly #taken: (() => void)[]

  constructor(taken: (() => void)[]) {
    this.#taken = taken
  }

  send(chunks: readonly Uint8Array[], taken: () => void, messages: number): void {
    this.messages += messages
    for (const chunk of chunks) {
      this.octets += chunk.length
      this.onChunk?.(chunk)
    }
    this.#taken.push(taken)
  }
}

export interface Client {
  readonly source: RibSource
  readonly link: FakeLink
  readonly member: GroupMember
}

/** A reflector without sockets, turned by hand. */
export class World {
  readonly rib: Rib
  readonly input: AdjRibIn
  readonly reflector: Reflector
  readonly clients: Client[] = []
  #taken: (() => void)[] = []

  constructor() {
    this.rib = new Rib({
      asn: ASN,
      routerId: ROUTER_ID,
      clusterId: ROUTER_ID,
      seed: SEED,
      nodeName: 'bench',
      nowSeconds: () => 0,
    })
    this.input = new AdjRibIn(this.rib, { fault: () => {}, endOfRib: () => {} })
    this.reflector = new Reflector(this.rib, SEED)
  }

  /** A session without anything that it is told. */
  source(number: number): RibSource {
    return this.rib.openSource({
      name: `client-${number}`,
      kind: SourceKind.CLIENT,
      bgpId: 0x0b000000 + number,
      asn: ASN,
      localAsn: ASN,
      address: Uint8Array.of(10, 2, number >> 8, number),
      as4: true,
      addPathReceive: 0,
      weight: 0,
      allowOwnAs: 0,
      intake: PLAIN_INTAKE,
      importPolicy: null,
    })
  }

  /** A reflector client. `alone`: in an update group of its own. */
  join(alone = false): Client {
    const number = this.clients.length + 1
    const source = this.source(number)
    const link = new FakeLink(this.#taken)
    const options = alone
      ? { ...CLIENT_OPTIONS, selfNextHop: Uint8Array.of(10, 3, number >> 8, number) }
      : CLIENT_OPTIONS
    const member = this.reflector.join(source.index, source.options.name, options, link)
    const client = { source, link, member }
    this.clients.push(client)
    return client
  }

  receive(source: RibSource, messages: readonly Uint8Array[]): void {
    for (const message of messages) this.input.update(source, IPV4_ONLY, message, 0, message.length)
  }

  /** Decides, encodes and sends until nothing is left to do. */
  settle(): void {
    const { rib, reflector } = this
    do {
      if (rib.hasClearing) rib.clearSlice(4096)
      for (const { family } of FAMILIES) {
        const count = rib.decide(family)
        if (count === 0) continue
        reflector.change(family, rib.batch, count)
        rib.finish(family, count)
      }
      if (reflector.hasTableWork) reflector.tableSlices()
      reflector.pump(() => false)
      for (const taken of this.#taken.splice(0)) taken()
      rib.store.sweep()
    } while (
      rib.dirtyCount > 0 ||
      rib.hasClearing ||
      reflector.hasTableWork ||
      reflector.hasQueue ||
      this.#taken.length > 0
    )
  }
}

export const CLIENT_OPTIONS: ExporterOptions = Object.freeze({
  ...PLAIN_CLIENT,
  localAsn: ASN,
  clusterId: ROUTER_ID,
  selfNextHop: Uint8Array.of(10, 0, 0, 1),
})

/** Bit of IPv4 unicast. */
const IPV4_ONLY = 1
/** NLRI of an UPDATE, so that it stays below 4096 octets. */
const MAX_NLRI = 900
