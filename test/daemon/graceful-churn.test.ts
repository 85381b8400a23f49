/**
 * Peers that restart gracefully in every disorderly way: other families, ADD-PATH or not, refreshes begun and not ended, second connections, operators between.
 * Random, with fixed seeds, in virtual time. After each round the tables are what the peers have said last; at the end nothing is left.
 */
import { strict as assert } from 'node:assert'
import t from 'tap'
import type { CapabilityOffer } from '../../src/bgp/capabilities/offer.js'
import { encodeRouteRefresh } from '../../src/bgp/message/route-refresh.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { ADD_PATH_ALL } from '../../src/config/types.js'
import { prefixText } from '../../src/daemon/fib-feed.js'
import { formatAddress } from '../../src/net/address.js'
import { Family } from '../../src/net/family.js'
import { GracefulWorld, Played } from '../support/graceful-world.js'
import { neighbor, range } from '../support/speaker.js'
import { Receiver } from '../support/update-bytes.js'
import type { RawEnd } from '../support/virtual.js'

const V4 = Family.IPV4_UNICAST
const V6 = Family.IPV6_UNICAST
const ALL: readonly Family[] = [V4, V6]
const POOL = [
  ...Array.from({ length: 12 }, (_, n) => `10.${n}.0.0/16`),
  ...Array.from({ length: 6 }, (_, n) => `2001:db8:${n + 1}::/48`),
]
const SEEDS = (process.env['CHURN_SEEDS'] ?? '1,2,3').split(',').map(Number)
const ROUNDS = 40
const STEPS = 25
const NOTIFICATIONS: readonly (readonly [number, number])[] = [
  [6, 2],
  [6, 9],
  [3, 1],
  [4, 0],
]

function settings(given: Partial<NeighborConfig> & { readonly name: string }): NeighborConfig {
  const both = { sendPaths: ADD_PATH_ALL, receive: true }
  return neighbor({
    passive: true,
    reflectorClient: true,
    families: ALL,
    addPath: [both, both],
    gracefulRestart: { restarter: false, restartTimeSeconds: 120, staleTimeSeconds: 100, notification: true },
    longLivedStaleSeconds: 500,
    damping: false,
    ...given,
  })
}

class Churn {
  readonly world: GracefulWorld
  readonly listener = new Played('10.0.0.9')
  readonly peers: readonly Played[]
  readonly #random: () => number
  /** Connections of the peers, also those that they have forgotten. */
  readonly #opened: RawEnd[] = []

  constructor(seed: number) {
    this.#random = mulberry(seed)
    this.world = new GracefulWorld([
      settings({ name: 'a', address: '10.0.0.11' }),
      settings({ name: 'b', address: '10.0.0.12', maxPrefix: { limit: 60, warningPercent: 80, restartMs: 1000 } }),
      settings({ name: 'r', range: range('10.0.1.0/24'), asn: 64512, maxPeers: 3 }),
      settings({ name: 'l', address: this.listener.address }),
    ]).start()
    this.peers = ['10.0.0.11', '10.0.0.12', '10.0.1.1', '10.0.1.2', '10.0.1.3', '10.0.1.4'].map(
      (address) => new Played(address),
    )
  }

  async begin(): Promise<void> {
    this.listener.families = ALL
    const addPath = ALL.map((family) => ({ family, receive: true, send: false }))
    await this.world.up(this.listener, { addPath })
    this.listener.receiver = new Receiver(3)
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!
  }
  #chance(share: number): boolean {
    return this.#random() < share
  }

  #offer(families: readonly Family[]): Partial<CapabilityOffer> {
    const some = <T>(make: (family: Family) => T): T[] => ALL.filter(() => this.#chance(0.8)).map(make)
    return {
      enhancedRefresh: this.#chance(0.5),
      addPath: this.#chance(0.5) ? families.map((family) => ({ family, receive: false, send: true })) : [],
      gracefulRestart: this.#chance(0.85)
        ? {
            restarting: this.#chance(0.5),
            notification: this.#chance(0.7),
            restartTimeSeconds: this.#pick([0, 5, 60, 120]),
            families: some((family) => ({ family, forwarding: this.#chance(0.85) })),
          }
        : null,
      longLived: this.#chance(0.5)
        ? some((family) => ({ family, forwarding: this.#chance(0.8), staleTimeSeconds: this.#pick([0, 30, 300]) }))
        : [],
    }
  }

  #connect(peer: Played): void {
    peer.families = this.#pick([ALL, ALL, [V4], [V6]])
    peer.connect(this.world.network, this.#offer(peer.families))
    this.#opened.push(peer.raw!)
  }

  #live(peer: Played) {
    const found = this.world.manager.find(peer.address)[0]
    return found === undefined ? undefined : this.world.routes.live.get(found)
  }

  #told(peer: Played, prefix: string): string {
    const bits = this.#live(peer)?.negotiated.addPathReceive ?? 0
    const family = prefix.includes(':') ? V6 : V4
    return (bits & (1 << family)) === 0 ? prefix : `${prefix}@${Math.floor(this.#random() * 4)}`
  }

  #routes(peer: Played): string[] {
    const families = this.#live(peer)?.negotiated.families ?? []
    const prefix = this.#pick(POOL.filter((one) => families.includes(one.includes(':') ? V6 : V4)))
    return prefix === undefined ? [] : [this.#told(peer, prefix)]
  }

  #cut({ address }: Played): void {
    for (const { link } of this.#opened) if (link.localAddress === address && !link.isClosed) link.cut()
  }

  async step(): Promise<void> {
    const { manager, routes, network } = this.world
    const peer = this.#pick(this.peers)
    const live = this.#live(peer)
    if (live === undefined || peer.raw === null) {
      if (this.#chance(0.6)) this.#connect(peer)
      else if (this.#chance(0.5)) await this.world.advance(this.#pick([1, 6, 40, 130]))
      if (this.#chance(0.7)) await this.world.settle()
      return
    }
    const choice = Math.floor(this.#random() * 22)
    const family = this.#pick(ALL)
    const some = this.#routes(peer)
    if (choice < 7 && some.length > 0) peer.announce(some, { med: Math.floor(this.#random() * 3) })
    else if (choice < 9 && some.length > 0) peer.withdraw(...some)
    else if (choice === 9) peer.endOfRib(family)
    else if (choice < 13) peer.raw.send(encodeRouteRefresh(1 + family, 1, this.#pick([0, 1, 1, 2])))
    else if (choice < 15) peer.lose()
    else if (choice === 15) peer.notify(...this.#pick(NOTIFICATIONS))
    else if (choice === 16) this.#connect(peer)
    else if (choice === 17) await this.world.advance(this.#pick([1, 6, 31, 130]))
    else if (choice === 18) routes.judgeAgain(new Set([...routes.live.values()].map(({ source }) => source)))
    else if (choice === 19) {
      if (this.#chance(0.3)) manager.clear(peer.address)
      else if (this.#chance(0.5)) manager.down(peer.address)
      manager.up(peer.address)
    } else if (choice === 20) {
      this.world.neighbors = this.world.neighbors.map((one) => ({ ...one, weight: Math.floor(this.#random() * 3) }))
      manager.configure(this.world.neighbors)
      const all = [...routes.live.values(), ...routes.stale.allAway()]
      routes.judgeAgain(new Set(all.map((one) => routes.reconfigure(one.peer)).filter((one) => one !== null)))
    } else {
      peer.open(network)
      this.#opened.push(peer.raw!)
    }
    if (this.#chance(0.6)) await this.world.settle()
  }

  /** Disorder; then all come back and say what they have, and no more and no less is there. */
  async round(): Promise<void> {
    for (let n = 0; n < STEPS; n++) await this.step()
    const expected: string[] = []
    for (const peer of this.peers) {
      this.world.manager.up(peer.address)
      this.#cut(peer)
      await this.world.settle()
      this.#connect(peer)
      await this.world.settle()
      const live = this.#live(peer)
      if (live === undefined) continue
      const own = new Set<string>()
      for (const prefix of POOL)
        if (this.#chance(0.5) && live.negotiated.families.includes(prefix.includes(':') ? V6 : V4))
          own.add(this.#told(peer, prefix))
      for (const one of own) peer.announce([one])
      for (const family of ALL) peer.endOfRib(family)
      await this.world.settle()
      expected.push(...[...own].map((one) => `${peer.address} ${one}`))
    }
    await this.world.settle()
    assert.deepEqual(this.#paths(), expected.sort())
    this.listener.read()
    const heard = [...this.listener.receiver.routes.keys()].map((one) => one.slice(2).split('@')[0]!)
    assert.deepEqual(heard.sort(), expected.map((one) => one.split(' ')[1]!.split('@')[0]!).sort())
  }

  #paths(): string[] {
    const rows: string[] = []
    for (const family of ALL) {
      const { paths, prefixes } = this.world.rib.tables[family]!
      for (let prefix = 1; prefix < prefixes.end; prefix++)
        for (let path = paths.firstOfPrefix[prefix] ?? 0; path !== 0; path = paths.nextOfPrefix[path]!) {
          const source = this.world.rib.source(paths.source[path]!)!
          const id = (source.options.addPathReceive & (1 << family)) === 0 ? '' : `@${paths.receivedIdOf(path)}`
          const stale = this.world.rib.isStale(family, path) ? ' stale' : ''
          rows.push(`${formatAddress(source.options.address)} ${prefixText(family, prefixes, prefix)}${id}${stale}`)
        }
    }
    return rows.sort()
  }

  /** All go, and nothing of them is left. */
  async end(): Promise<void> {
    const { manager, rib, reflector } = this.world
    for (const peer of this.peers) this.#cut(peer)
    this.listener.lose()
    await this.world.settle()
    await this.world.advance(130)
    await this.world.advance(600)
    for (const { paths, prefixes } of rib.tables) assert.deepEqual([paths.size, prefixes.size], [0, 0])
    assert.equal(rib.store.size, 0)
    assert.equal([...reflector.groups()].length, 0)
    assert.equal([...manager.peers()].filter(({ dynamic }) => dynamic).length, 0)
    assert.ok(rib.tables.every(({ paths, prefixes }) => paths.end < 1000 && prefixes.end < 200))
  }
}

t.setTimeout(120_000)
for (const seed of SEEDS) {
  t.test(`seed ${seed}`, async (t) => {
    const churn = new Churn(seed)
    await churn.begin()
    for (let n = 0; n < ROUNDS; n++) {
      try {
        await churn.round()
      } catch (error) {
        t.fail(`round ${n}: ${(error as Error).message}`)
        return
      }
    }
    await churn.end()
    t.pass(`${ROUNDS} rounds`)
  })
}

function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
