/**
 * When adopted kernel routes that nobody has confirmed may go: as soon as every configured neighbour has sent End-of-RIB, or after a bounded wait, but not while
 * no peer has come up at all.
 */

import type { PeerManager } from '../bgp/peer-manager.js'
import type { Fib } from '../fib/types.js'
import type { Engine } from './engine.js'
import type { PeerRoutes } from './peer-routes.js'
import type { Restart } from './restart.js'

export class Sweep {
  readonly #fib: Fib
  readonly #routes: PeerRoutes
  readonly #manager: PeerManager
  readonly #engine: Engine
  readonly #restart: Restart
  readonly #swept: () => void
  readonly #startedMs = performance.now()
  #timer: NodeJS.Timeout | undefined
  #waited = false
  #done = false
  #looking = false

  /** `swept`: what the kernel has of ours is what this run wants. */
  constructor(fib: Fib, routes: PeerRoutes, manager: PeerManager, engine: Engine, restart: Restart, swept: () => void) {
    this.#swept = swept
    this.#restart = restart
    this.#fib = fib
    this.#routes = routes
    this.#manager = manager
    this.#engine = engine
  }

  /** The longest wait, from the start on. */
  configure(longestWaitMs: number): void {
    clearTimeout(this.#timer)
    if (this.#done) return
    this.#waited = false
    this.#timer = setTimeout(
      () => {
        this.#waited = true
        this.look()
      },
      Math.max(0, this.#startedMs + longestWaitMs - performance.now()),
    )
    this.#timer.unref()
  }

  get isDone(): boolean {
    return this.#done
  }

  /** Something happened that may end the wait: looked at soon, once for many such things. */
  look(): void {
    if (this.#done || this.#looking) return
    this.#looking = true
    setTimeout(() => this.#lookNow(), TOGETHER_MS).unref()
  }

  #lookNow(): void {
    this.#looking = false
    if (this.#done || !this.#mayNow()) return
    this.#done = true
    clearTimeout(this.#timer)
    // From now on the kernel has what this run knows: a session that is lost and returns has lost no forwarding.
    this.#restart.forwarding = true
    // What the last End-of-RIB closed is decided and given to the FIB first.
    void this.#engine.idle().then(async () => {
      this.#fib.sweepAdopted()
      await this.#fib.settled()
      this.#swept()
    })
  }

  stop(): void {
    this.#done = true
    clearTimeout(this.#timer)
  }

  #mayNow(): boolean {
    const peers = [...this.#manager.peers()].filter((peer) => !peer.adminDown)
    const ranges = this.#manager.ranges().length
    if (peers.length === 0 && ranges === 0) return true
    // Nothing is decided yet: all adopted routes would go.
    if (this.#restart.waitsFor.length > 0) return false
    if (this.#routes.live.size === 0) return false
    if (this.#waited) return true
    // Peers of ranges are known from the last run, or not before they come: then, with ranges alone, the wait is bounded by time.
    if (!this.#restart.isKnown && peers.every((peer) => peer.dynamic)) return false
    const loaded = (peer: (typeof peers)[number]): boolean => {
      const entry = this.#routes.live.get(peer)
      return entry?.negotiated.families.every((family) => entry.source.endOfRib[family]) ?? false
    }
    if (!this.#restart.notLoaded(this.#manager).next().done) return false
    return peers.every(loaded)
  }
}

/** A thousand peers that come up together are one look. */
const TOGETHER_MS = 50
