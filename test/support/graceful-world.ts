/**
 * A speaker from sessions to update groups in virtual time: peer manager, tables and groups, without sockets, kernel and API. The peers are played by hand.
 */
import { localCapabilities } from '../../src/bgp/capabilities/negotiate.js'
import { type CapabilityOffer, NO_OFFER } from '../../src/bgp/capabilities/offer.js'
import { KEEPALIVE_BYTES } from '../../src/bgp/message/keepalive.js'
import { encodeNotification } from '../../src/bgp/message/notification.js'
import { decodeOpen, encodeOpen } from '../../src/bgp/message/open.js'
import { PeerManager } from '../../src/bgp/peer-manager.js'
import type { Config, NeighborConfig } from '../../src/config/types.js'
import { Engine } from '../../src/daemon/engine.js'
import { prefixText } from '../../src/daemon/fib-feed.js'
import { PeerErrors } from '../../src/daemon/peer-errors.js'
import { PeerRoutes } from '../../src/daemon/peer-routes.js'
import { Policies } from '../../src/daemon/policies.js'
import { Restart } from '../../src/daemon/restart.js'
import { type Log, silentLog } from '../../src/log.js'
import { parseAddress } from '../../src/net/address.js'
import { Family } from '../../src/net/family.js'
import { parsePrefix } from '../../src/net/prefix.js'
import { Reflector } from '../../src/reflector/reflector.js'
import { Rib } from '../../src/rib/rib.js'
import { attributesWith } from '../reflector/given.js'
import { announceBytes, message, Receiver, withdrawBytes } from './update-bytes.js'
import { MemoryNetwork, type RawEnd, VirtualClock } from './virtual.js'

export const SELF = '10.0.0.1'
export const ASN = 64512

export interface WorldOptions {
  /** Of an earlier run. */
  readonly stateFile?: string
  readonly latencyMs?: number
}

export class GracefulWorld {
  readonly clock = new VirtualClock()
  readonly network: MemoryNetwork
  readonly notes: string[] = []
  readonly rib: Rib
  readonly reflector: Reflector
  readonly engine: Engine
  readonly routes: PeerRoutes
  readonly manager: PeerManager
  readonly restart: Restart | null
  neighbors: readonly NeighborConfig[]

  constructor(neighbors: readonly NeighborConfig[], options: WorldOptions = {}) {
    this.neighbors = neighbors
    this.network = new MemoryNetwork(this.clock, () => options.latencyMs ?? 0)
    const log: Log = {
      ...silentLog,
      write: (event, fields) => {
        if (event === 'graceful-restart') this.notes.push((fields as { note: string }).note)
      },
    }
    const routerId = 0x0a000001
    this.rib = new Rib({
      asn: ASN,
      routerId,
      clusterId: routerId,
      seed: 7,
      nodeName: 'test',
      nowSeconds: () => this.clock.now() / 1000,
    })
    this.rib.setResolver(() => 1, new Set())
    this.reflector = new Reflector(this.rib, 7)
    this.restart =
      options.stateFile === undefined
        ? null
        : new Restart(options.stateFile, {
            clock: this.clock,
            log,
            hostname: 'test',
            live: (peer) => this.routes.live.get(peer),
            released: () => {},
          })
    if (this.restart !== null) this.restart.forwarding = true
    const policies = new Policies()
    const config = () =>
      ({
        asn: ASN,
        routerId,
        reflector: { clusterId: routerId },
        policies: new Map(),
        limits: { pendingConnections: 1000, paths: 1_000_000 },
      }) as unknown as Config
    this.routes = new PeerRoutes({
      rib: this.rib,
      reflector: this.reflector,
      policies,
      config,
      log,
      errors: new PeerErrors(log),
      clock: this.clock,
      restart: this.restart,
      bfd: null,
      progress: () => this.restart?.progress(this.routes.live.values()),
    })
    this.engine = new Engine(this.rib, this.reflector, () => {})
    this.routes.start(this.engine)
    this.manager = new PeerManager({
      asn: ASN,
      routerId,
      events: this.routes,
      log: () => {},
      random: () => 0.5,
      clock: this.clock,
      dial: this.network.dialFrom(SELF),
      ...(this.restart === null ? {} : { local: this.restart }),
    })
    this.network.listen(SELF, this.manager)
  }

  /** After the constructor, so that a test can listen first. */
  start(): this {
    const fib = { driver: 'off', table: 254, protocol: 179 }
    const config = { neighbors: this.neighbors, restartDeferralMs: 20_000, fib } as Config
    this.restart?.begin(config, this.engine)
    this.manager.configure(this.neighbors)
    return this
  }

  /** Until nothing moves at this time. */
  async settle(): Promise<void> {
    for (let pass = 0; pass < 12; pass++) {
      this.clock.run()
      await new Promise((resolve) => setImmediate(resolve))
      await this.engine.idle()
    }
  }

  async advance(seconds: number): Promise<void> {
    this.clock.advance(seconds * 1000)
    await this.settle()
  }

  /** A peer connects to us, and is Established. */
  async up(peer: Played, offer: Partial<CapabilityOffer> = {}): Promise<void> {
    peer.connect(this.network, offer)
    await this.settle()
  }

  /** `prefix` of the winners, with `S` where the route is stale; sorted. */
  table(family: Family = Family.IPV4_UNICAST): string[] {
    const { paths, prefixes } = this.rib.tables[family]!
    const rows: string[] = []
    for (let prefix = 1; prefix < prefixes.end; prefix++) {
      const best = paths.best[prefix] ?? 0
      if (best !== 0 && paths.firstOfPrefix[prefix] !== 0)
        rows.push(`${prefixText(family, prefixes, prefix)}${this.rib.isStale(family, best) ? ' S' : ''}`)
    }
    return rows.sort()
  }

  bestOf(text: string): number {
    const { family, address, length } = parsePrefix(text)
    const { paths, prefixes } = this.rib.tables[family]!
    const view = new DataView(Uint8Array.from([...address, ...new Array<number>(16).fill(0)]).buffer)
    const word = (at: number): number => (at * 4 < address.length ? view.getInt32(at * 4) : 0)
    return paths.best[prefixes.find(word(0), word(1), word(2), word(3), length)] ?? 0
  }
}

/** A peer that a test plays by hand, over as many connections as it likes. */
export class Played {
  readonly address: string
  readonly asn: number
  bgpId: number
  /** 0: it need not send KEEPALIVEs. */
  holdTimeSeconds = 0
  raw: RawEnd | null = null
  families: readonly Family[] = [Family.IPV4_UNICAST]
  offer: Partial<CapabilityOffer> = {}
  #read = 0
  /** What we have told it, all sessions of a connection together. */
  receiver = new Receiver()

  constructor(address: string, asn = ASN) {
    this.address = address
    this.asn = asn
    this.bgpId = parseAddress(address).at(-1)! + 0x0a000000
  }

  connect(network: MemoryNetwork, offer: Partial<CapabilityOffer> = {}): void {
    this.open(network)
    this.sayOpen(offer)
    this.raw!.send(KEEPALIVE_BYTES)
  }

  open(network: MemoryNetwork): void {
    this.raw = network.connect(this.address, SELF)
    this.#read = 0
    this.receiver = new Receiver()
  }

  sayOpen(offer: Partial<CapabilityOffer> = {}): void {
    this.offer = offer
    const capabilities = localCapabilities({
      asn: this.asn,
      families: this.families,
      routeRefresh: true,
      offer: { ...NO_OFFER, ...offer },
    })
    this.raw!.send(
      encodeOpen({
        asn: this.asn,
        holdTimeSeconds: this.holdTimeSeconds,
        bgpId: this.bgpId,
        capabilities,
      }),
    )
  }

  announce(prefixes: readonly string[], given: Parameters<typeof attributesWith>[0] = {}): void {
    const v6 = prefixes[0]!.includes(':')
    const nextHop = v6 ? parseAddress('2001:db8:ffff::1') : Uint8Array.from([10, 0, 1, 1])
    this.raw!.send(announceBytes(prefixes, attributesWith({ nextHop, ...given })))
  }

  withdraw(...prefixes: string[]): void {
    this.raw!.send(withdrawBytes(prefixes))
  }

  endOfRib(family: Family = Family.IPV4_UNICAST): void {
    this.raw!.send(
      family === Family.IPV4_UNICAST
        ? message(2, Uint8Array.of(0, 0, 0, 0))
        : message(2, Uint8Array.of(0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1)),
    )
  }

  notify(code: number, subcode: number, data: Uint8Array = new Uint8Array(0)): void {
    this.raw!.send(encodeNotification(code, subcode, data))
    this.raw!.link.end()
  }

  /** The TCP connection breaks. */
  lose(): void {
    this.raw!.link.cut()
  }

  /** Reads what came, and returns the types of the messages since the last call. */
  read(): number[] {
    const types: number[] = []
    for (; this.#read < this.raw!.received.length; this.#read++) {
      const chunk = this.raw!.received[this.#read]!
      this.receiver.receive(chunk)
      for (let at = 0; at < chunk.length; at += (chunk[at + 16]! << 8) | chunk[at + 17]!) types.push(chunk[at + 18]!)
    }
    return types
  }

  /** The capabilities of our OPEN. */
  theirOpen() {
    const open = this.raw!.received.find((chunk) => chunk[18] === 1)!
    return decodeOpen(open, 0, (open[16]! << 8) | open[17]!)
  }

  /** The last NOTIFICATION: code, subcode, data. */
  notification(): number[] {
    const found = this.raw!.received.filter((chunk) => chunk[18] === 3).at(-1)
    return found === undefined ? [] : [...found.subarray(19)]
  }

  /** Prefixes that we announce to it. */
  heard(): string[] {
    this.read()
    return [...this.receiver.routes.keys()].map((route) => route.slice(2)).sort()
  }
}
