/**
 * Peers that are away gracefully, and the routes that stay for them meanwhile (RFC 4724 §4.2, RFC 8538 §4, RFC 9494 §4.3: the receiving speaker). The rules are
 * in src/bgp/graceful.ts, the stale generations in src/rib/rib.ts; here is what happens when.
 *
 * A family of a peer is one of: restarting (until the peer's restart time is over), long-lived (after that, until its long-lived time is over), returned (a
 * session is there again; what it has not announced anew goes with End-of-RIB or when the stale time is over). A peer keeps its source of the RIB through all
 * of that, so that nothing changes for anybody else where it announces the same again.
 */
import type { Clock } from '../bgp/clock.js'
import { type KeptFamily, keptFamilies, staysAfterReturn } from '../bgp/graceful.js'
import type { Negotiated } from '../bgp/message/message.js'
import type { Peer } from '../bgp/peer.js'
import type { DownReason } from '../bgp/session-types.js'
import type { Wakeable } from '../bgp/timers.js'
import type { Log } from '../log.js'
import { type Family, familyRow } from '../net/family.js'
import type { Rib } from '../rib/rib.js'
import type { RibSource, SourceOptions } from '../rib/source.js'
import type { LivePeer } from './peer-routes.js'

export interface StalePeersContext {
  readonly rib: Rib
  readonly clock: Clock
  readonly log: Log
  /** Work in slices; returns true when it is done. */
  readonly addJob: (job: () => boolean) => void
  /** Something in the tables has to be done. */
  readonly schedule: () => void
  /** Nothing of the source is kept any more, and no session has it. */
  readonly gone: (source: RibSource) => void
  /** Stale routes of the source are gone. */
  readonly swept: (source: RibSource) => void
}

export type StalePhase = 'restarting' | 'long-lived' | 'returned'

interface StaleFamily {
  readonly family: Family
  readonly offer: KeptFamily
  phase: StalePhase
  untilMs: number
  /** Its stale routes carry LLGR_STALE. */
  longLived: boolean
}

/** For views. */
export interface StaleView {
  readonly family: Family
  readonly phase: StalePhase
  readonly longLived: boolean
  readonly remainingSeconds: number
}

class StalePeer implements Wakeable {
  queueIndex = -1
  wakeAtMs = NEVER
  readonly peer: Peer
  readonly source: RibSource
  /** The last session. */
  readonly live: LivePeer
  families: StaleFamily[] = []
  /** A session has the source again. */
  isBack = false
  readonly #onDeadline: (stale: StalePeer, nowMs: number) => void

  constructor(live: LivePeer, onDeadline: (stale: StalePeer, nowMs: number) => void) {
    this.peer = live.peer
    this.source = live.source
    this.live = live
    this.#onDeadline = onDeadline
  }

  onDeadline(nowMs: number): void {
    this.#onDeadline(this, nowMs)
  }

  get nextMs(): number {
    return this.families.reduce((next, { untilMs }) => Math.min(next, untilMs), NEVER)
  }
}

const NEVER = Number.POSITIVE_INFINITY

export class StalePeers {
  readonly #context: StalePeersContext
  readonly #peers = new Map<Peer, StalePeer>()
  #dynamicAway = 0

  constructor(context: StalePeersContext) {
    this.#context = context
    context.rib.onSwept = (family, source) => this.#swept(family, source)
  }

  /** The last session of a peer that is away while its routes are kept. */
  away(peer: Peer): LivePeer | undefined {
    const stale = this.#peers.get(peer)
    return stale === undefined || stale.isBack ? undefined : stale.live
  }

  /** All of them. */
  *allAway(): Generator<LivePeer> {
    for (const stale of this.#peers.values()) if (!stale.isBack) yield stale.live
  }

  /** Stale routes of the family are among those that the source has. */
  hasStale({ peer, source }: LivePeer, family: Family): boolean {
    return source.sweepAt[family] !== 0 || this.#peers.get(peer)?.families.some((one) => one.family === family) === true
  }

  view(peer: Peer): StaleView[] {
    const nowMs = this.#context.clock.now()
    return (this.#peers.get(peer)?.families ?? []).map(({ family, phase, longLived, untilMs }) => ({
      family,
      phase,
      longLived,
      remainingSeconds: Math.max(0, Math.round((untilMs - nowMs) / 1000)),
    }))
  }

  /** A session is down. True: its source and the routes of some of its families stay, and the peer lives on; false: all has to go. */
  keep(live: LivePeer, reason: DownReason): boolean {
    const { peer, source } = live
    const before = this.#peers.get(peer)
    const kept = this.#mayKeep(peer, before)
      ? keptFamilies(reason, live.negotiated, peer.config.longLivedStaleSeconds).filter(
          ({ family }) => source.received[family]! > 0,
        )
      : []
    if (before !== undefined) this.#forget(before)
    if (kept.length === 0) return false
    const stale = new StalePeer(live, (woken, nowMs) => this.#onDeadline(woken, nowMs))
    const { rib, clock } = this.#context
    const nowMs = clock.now()
    for (const family of live.negotiated.families) {
      const offer = kept.find((entry) => entry.family === family)
      // What was stale goes, what was said since then is stale: never two generations (RFC 4724 §4.2).
      const again = before?.families.some((entry) => entry.family === family) === true || source.sweepAt[family] !== 0
      if (again && offer !== undefined) rib.markStaleAgain(family, source)
      else rib.markStale(family, source)
      source.longLived &= ~(1 << family)
      if (offer === undefined) {
        rib.sweepStale(family, source)
        continue
      }
      const entry: StaleFamily = { family, offer, phase: 'restarting', untilMs: nowMs, longLived: false }
      stale.families.push(entry)
      if (offer.restartSeconds > 0) entry.untilMs = nowMs + offer.restartSeconds * 1000
      else this.#enterLongLived(stale, entry, nowMs)
    }
    this.#peers.set(peer, stale)
    if (peer.dynamic) this.#dynamicAway++
    peer.awaitReturn(() => this.#drop(stale, 'by decision of the operator'))
    this.#note(peer, `is away (${reason.text}); ${stale.families.map((entry) => keptText(entry, source)).join(', ')}`)
    clock.schedule(stale, stale.nextMs)
    return true
  }

  /** The peer is Established again: the source that its routes were kept in, or null. */
  resume(peer: Peer, negotiated: Negotiated, options: SourceOptions): RibSource | null {
    const stale = this.#peers.get(peer)
    if (stale === undefined) return null
    if (!sameIdentity(stale.source.options, options)) {
      this.#drop(stale, 'the peer came back with another identity')
      return null
    }
    const { source } = stale
    if (peer.dynamic) this.#dynamicAway--
    stale.isBack = true
    peer.awaitReturn(null)
    source.options = options
    source.endOfRib.fill(false)
    const untilMs = this.#context.clock.now() + (peer.config.gracefulRestart?.staleTimeSeconds ?? 0) * 1000
    for (const entry of [...stale.families]) {
      if (staysAfterReturn(entry.family, negotiated, entry.longLived)) {
        entry.phase = 'returned'
        entry.untilMs = untilMs
      } else {
        this.#note(peer, `is back and does not forward by its stale routes of ${familyRow(entry.family).name}: they go`)
        this.#end(stale, entry)
      }
    }
    this.#context.clock.schedule(stale, stale.nextMs)
    return source
  }

  /** The peer has said all of its routes again. */
  endOfRib(peer: Peer, family: Family): void {
    const stale = this.#peers.get(peer)
    const entry = stale?.families.find((one) => one.family === family)
    if (stale !== undefined && entry !== undefined) this.#end(stale, entry)
  }

  #onDeadline(stale: StalePeer, nowMs: number): void {
    if (this.#peers.get(stale.peer) !== stale) return
    for (const entry of [...stale.families]) {
      if (entry.untilMs > nowMs) continue
      const { name } = familyRow(entry.family)
      if (entry.phase === 'restarting' && entry.offer.longLivedSeconds > 0) {
        this.#enterLongLived(stale, entry, nowMs)
        this.#note(stale.peer, `did not come back in its restart time: ${keptText(entry, stale.source)}`)
        continue
      }
      const text =
        entry.phase === 'returned'
          ? `has sent no End-of-RIB of ${name} in the stale time: what it did not announce again goes`
          : `did not come back in its ${entry.phase === 'restarting' ? 'restart' : 'long-lived stale'} time: its routes of ${name} go`
      this.#note(stale.peer, text)
      this.#end(stale, entry)
    }
    if (this.#peers.get(stale.peer) === stale) this.#context.clock.schedule(stale, stale.nextMs)
  }

  #enterLongLived({ source }: StalePeer, entry: StaleFamily, nowMs: number): void {
    const { rib, addJob } = this.#context
    const { family } = entry
    entry.phase = 'long-lived'
    entry.longLived = true
    entry.untilMs = nowMs + entry.offer.longLivedSeconds * 1000
    source.longLived |= 1 << family
    let from = 1
    addJob(() => {
      if (source.closed || (source.longLived & (1 << family)) === 0) return true
      from = rib.makeLongLived(family, source, from, SLICE_PATHS)
      return from === -1
    })
  }

  /** Nothing stale of this family stays. */
  #end(stale: StalePeer, entry: StaleFamily): void {
    stale.families = stale.families.filter((other) => other !== entry)
    stale.source.longLived &= ~(1 << entry.family)
    if (stale.families.length === 0) {
      if (!stale.isBack) {
        this.#drop(stale, null)
        return
      }
      this.#forget(stale)
    }
    this.#context.rib.sweepStale(entry.family, stale.source)
    this.#context.schedule()
  }

  /** All that was kept goes at once. */
  #drop(stale: StalePeer, why: string | null): void {
    if (this.#peers.get(stale.peer) !== stale) return
    this.#forget(stale)
    if (why !== null) this.#note(stale.peer, `is not waited for any longer, ${why}: its stale routes go`)
    if (stale.peer.dynamic) this.#dynamicAway--
    this.#context.rib.closeSource(stale.source)
    this.#context.gone(stale.source)
    this.#context.schedule()
    stale.peer.awaitReturn(null)
  }

  #forget(stale: StalePeer): void {
    this.#peers.delete(stale.peer)
    this.#context.clock.cancel(stale)
  }

  /** Peers of ranges that are away are objects that anybody with an address in the range can make. */
  #mayKeep(peer: Peer, before: StalePeer | undefined): boolean {
    return !peer.dynamic || before !== undefined || this.#dynamicAway < MAX_DYNAMIC_AWAY
  }

  #swept(family: Family, source: RibSource): void {
    const { swept } = source
    if (source.closed || swept[family] === 0) return
    const stayed = source.received[family]!
    this.#context.log.write('graceful-restart', {
      peer: source.options.name,
      note: `${swept[family]} stale routes of ${familyRow(family).name} are gone, ${stayed} stayed`,
    })
    this.#context.swept(source)
  }

  #note(peer: Peer, note: string): void {
    this.#context.log.write('graceful-restart', { peer: peer.name, note })
  }
}

/** What routes of the source mean to the decision and to those who hear of them. */
function sameIdentity(before: SourceOptions, after: SourceOptions): boolean {
  return (
    before.kind === after.kind &&
    before.bgpId === after.bgpId &&
    before.asn === after.asn &&
    before.localAsn === after.localAsn &&
    before.as4 === after.as4
  )
}

function keptText({ family, phase, offer }: StaleFamily, source: RibSource): string {
  const seconds = phase === 'long-lived' ? offer.longLivedSeconds : offer.restartSeconds
  const how = phase === 'long-lived' ? 'as long-lived stale ones' : 'as stale ones'
  return `${source.received[family]} routes of ${familyRow(family).name} stay ${how} for ${seconds} s`
}

/** Path ids looked at in one slice. */
const SLICE_PATHS = 8192
const MAX_DYNAMIC_AWAY = 10_000
