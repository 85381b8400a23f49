/**
 * Says why a session with a password or ttlSecurity does not come up. The kernel drops the segments without a word to either end; it only counts them, for the
 * whole network namespace. So the counters are looked at while a session is down, and what rises is told of the neighbours that it may be about.
 */
import { socketSettings } from '../bgp/socket-settings.js'
import type { NeighborConfig } from '../config/types.js'
import type { Log } from '../log.js'
import { TCP_DROPS, type TcpDrop, type TcpDrops } from '../sys/tcp-counters.js'

/** A neighbour without a session. */
export interface WaitingPeer {
  readonly name: string
  readonly config: NeighborConfig
}

export interface SocketWatchOptions {
  readonly read: () => TcpDrops | null
  readonly nowMs: () => number
  /** Configured neighbours and ranges whose session is not Established, or of whose range more may come. */
  readonly waiting: () => readonly WaitingPeer[]
  readonly log: Pick<Log, 'write'>
}

interface Rise {
  count: number
  lastMs: number
  /** Names of those that the log has told of, each once while it goes on. */
  readonly told: Set<string>
}

export class SocketWatch {
  readonly #options: SocketWatchOptions
  readonly #rising = new Map<TcpDrop, Rise>()
  #known: TcpDrops | null
  #lookedMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | null = null

  constructor(options: SocketWatchOptions) {
    this.#options = options
    this.#known = options.read()
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS)
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  /** The counters as they are; null where the kernel does not tell. */
  counters(): TcpDrops | null {
    return this.#options.read()
  }

  /** Notices what has risen since the last look. */
  look(): void {
    const { read, waiting, nowMs } = this.#options
    const now = read()
    const before = this.#known
    this.#known = now
    if (now === null || before === null) return
    const at = nowMs()
    this.#lookedMs = at
    for (const drop of TCP_DROPS) {
      const count = now[drop] - before[drop]
      const rise = this.#rising.get(drop)
      if (count <= 0) {
        if (rise !== undefined && at - rise.lastMs > QUIET_MS) this.#rising.delete(drop)
        continue
      }
      const peers = waiting().filter(({ config }) => CONCERNS[drop](config))
      // Nobody of ours: somebody else's sockets.
      if (peers.length === 0) continue
      const told = rise?.told ?? new Set()
      const untold = peers.filter(({ name }) => !told.has(name))
      if (untold.length > 0) this.#tell(drop, count, untold)
      for (const { name } of untold) told.add(name)
      this.#rising.set(drop, { count: (rise?.count ?? 0) + count, lastMs: at, told })
    }
  }

  /** What may keep this neighbour, which has no session, from having one. */
  hints(config: NeighborConfig): string[] {
    // A view asks for thousands of neighbours at once.
    if (this.#options.nowMs() - this.#lookedMs > FRESH_MS) this.look()
    return [...this.#rising].flatMap(([drop, { count }]) =>
      CONCERNS[drop](config)
        ? [`${TEXTS[drop]} (${COUNTERS[drop]}: ${count} since it began; of all sockets here)`]
        : [],
    )
  }

  #tell(drop: TcpDrop, count: number, peers: readonly WaitingPeer[]): void {
    const names = peers.slice(0, MAX_NAMES).map(({ name }) => name)
    const more = peers.length > MAX_NAMES ? ` and ${peers.length - MAX_NAMES} more` : ''
    const text = `${TEXTS[drop]} (${COUNTERS[drop]}: ${count} more); without a session and concerned: ${names.join(', ')}${more}`
    this.#options.log.write('warning', { text })
  }
}

/** Whom a counter may be about. */
const CONCERNS: Readonly<Record<TcpDrop, (config: NeighborConfig) => boolean>> = {
  md5Failure: ({ password }) => password !== null,
  md5NotFound: ({ password }) => password !== null,
  md5Unexpected: ({ password }) => password === null,
  minTtl: (config) => socketSettings(config).minTtl > 0,
}

const TEXTS: Readonly<Record<TcpDrop, string>> = {
  md5Failure: 'the kernel drops segments that are signed with another password: it differs here and at the other end',
  md5NotFound: 'the kernel drops segments without a signature: a password is configured here, and not at the other end',
  md5Unexpected: 'the kernel drops segments that are signed: a password is configured at the other end, and not here',
  minTtl:
    'the kernel drops packets whose TTL is too low: the other end does not send with 255 (is ttlSecurity on there?), or is more hops away',
}

const COUNTERS: Readonly<Record<TcpDrop, string>> = {
  md5Failure: 'TCPMD5Failure',
  md5NotFound: 'TCPMD5NotFound',
  md5Unexpected: 'TCPMD5Unexpected',
  minTtl: 'TCPMinTTLDrop',
}

const LOOK_EVERY_MS = 5_000
const FRESH_MS = 250
/** A peer tries again sooner than that. */
const QUIET_MS = 180_000
const MAX_NAMES = 5
