/**
 * Connections that are turned away, and neighbours that cannot have one: answered, counted, and told of in a log that cannot be flooded.
 */
import type { Link } from './link.js'
import { refuse } from './outgoing.js'
import { RateLimit } from './rate-limit.js'
import type { SessionFact } from './session-types.js'

export interface RefusalCounters {
  /** Connections from addresses that no neighbour has: closed before anything is read. */
  unknownConnections: number
  /** Connections of known peers answered with a NOTIFICATION at once: shut down, paying for an error, or one is Established. */
  refusedConnections: number
  /** Connections closed because a limit was reached: limits.pendingConnections, maxPeers of a range, or the limit of open files. */
  limitedConnections: number
}

export class Refusals {
  readonly counters: RefusalCounters = { unknownConnections: 0, refusedConnections: 0, limitedConnections: 0 }
  readonly #log: (fact: SessionFact) => void
  readonly #nowMs: () => number
  readonly #unknownLimit = new RateLimit(LOG_EVERY_MS)
  readonly #otherLimit = new RateLimit(LOG_EVERY_MS)

  constructor(log: (fact: SessionFact) => void, nowMs: () => number) {
    this.#log = log
    this.#nowMs = nowMs
  }

  /** No neighbour has its address. */
  unknown(link: Link): void {
    this.counters.unknownConnections++
    link.reset()
    const text = `connection from ${link.remoteAddress} to ${link.localAddress} closed: no neighbor has this address; add one to neighbors, or correct the sourceAddress of the other end`
    this.#tell('listener.unknown-peer', link, text, this.#unknownLimit)
  }

  /** A limit was reached; the caller closes it. */
  limited(link: Link, why: string): void {
    this.counters.limitedConnections++
    this.#tell('listener.limit', link, `connection from ${link.remoteAddress} closed: ${why}`, this.#otherLimit)
  }

  /** It cannot have the socket options that its neighbour asks for (Cease 6/5). */
  unfit(link: Link, why: string): void {
    this.counters.refusedConnections++
    refuse(link, 6, 5)
    this.#tell('peer.refused', link, `connection from ${link.remoteAddress} refused: ${why}`, this.#otherLimit)
  }

  /** Neighbours of a new configuration that cannot have a session, and why. */
  neighbors(refused: readonly { readonly name: string; readonly why: string }[]): void {
    for (const { name, why } of refused.slice(0, MAX_TOLD)) {
      const text = `neighbor ${name} stays down: ${why}`
      this.#log({ event: 'peer.refused', level: 'error', peer: name, text })
    }
    if (refused.length <= MAX_TOLD) return
    const text = `${refused.length - MAX_TOLD} more neighbors stay down for the like; show neighbors says why`
    this.#log({ event: 'peer.refused', level: 'error', text })
  }

  #tell(event: string, { remoteAddress: address }: Link, text: string, limit: RateLimit): void {
    const suppressed = limit.take(this.#nowMs())
    if (suppressed !== null) this.#log({ event, level: 'warn', address, suppressed, text })
  }
}

/** Lines of the log for neighbours that cannot have what they ask for. */
const MAX_TOLD = 5
const LOG_EVERY_MS = 10_000
