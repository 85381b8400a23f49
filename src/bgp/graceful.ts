/**
 * The rules of graceful restart as pure questions: RFC 4724, RFC 8538 (NOTIFICATIONs), RFC 9494 (long-lived). What follows from the answers is
 * done by src/daemon/stale-peers.ts (we help a peer) and src/daemon/restart.ts (we restart).
 */
import type { Family } from '../net/family.js'
import { NotificationError } from './errors.js'
import type { Negotiated } from './message/message.js'
import type { DownReason } from './session-types.js'

export const CEASE = 6
/** RFC 8538 §3: not graceful, whatever was negotiated; carries the NOTIFICATION that it stands for. */
export const HARD_RESET = 9

/** How long the routes of one family stay without a session. */
export interface KeptFamily {
  readonly family: Family
  /** RFC 4724; 0: not at all. */
  readonly restartSeconds: number
  /** RFC 9494, after that; 0: not at all. */
  readonly longLivedSeconds: number
}

/**
 * The end of this session is one that the peer's routes survive: TCP is lost, or the peer took nothing any more; with the N bit on both sides also an
 * expired hold timer and all NOTIFICATIONs but Hard Reset (RFC 8538 §4). An operator's decision and a limit of ours never are.
 */
export function isGraceful({ kind, code, subcode }: DownReason, negotiated: Negotiated): boolean {
  switch (kind) {
    case 'tcp':
    case 'send-hold-timer':
      return true
    case 'hold-timer':
      return negotiated.gracefulNotification
    case 'notification-sent':
      return negotiated.gracefulNotification && code !== CEASE
    case 'notification-received':
      return negotiated.gracefulNotification && !(code === CEASE && subcode === HARD_RESET)
    default:
      return false
  }
}

/**
 * The families whose routes stay after this end. `longLivedSeconds`: our own limit, 0 for none. A family that only the long-lived capability names has a
 * restart time of 0 (RFC 9494 §4.2).
 */
export function keptFamilies(reason: DownReason, negotiated: Negotiated, longLivedSeconds: number): KeptFamily[] {
  const { gracefulRestart, longLived, families } = negotiated
  if (gracefulRestart === null || !isGraceful(reason, negotiated)) return []
  const kept = families.map((family) => ({
    family,
    restartSeconds: gracefulRestart.families.some((entry) => entry.family === family)
      ? gracefulRestart.restartTimeSeconds
      : 0,
    longLivedSeconds: Math.min(
      longLivedSeconds,
      longLived.find((entry) => entry.family === family)?.staleTimeSeconds ?? 0,
    ),
  }))
  return kept.filter(({ restartSeconds, longLivedSeconds: long }) => restartSeconds > 0 || long > 0)
}

/** The peer is back: it still forwards by the routes that we kept (RFC 4724 §4.2, RFC 9494 §4.3: F bit); else they go at once. */
export function staysAfterReturn(family: Family, negotiated: Negotiated, isLongLived: boolean): boolean {
  if (negotiated.gracefulRestart === null || !negotiated.families.includes(family)) return false
  const offered = isLongLived ? negotiated.longLived : negotiated.gracefulRestart.families
  return offered.some((entry) => entry.family === family && entry.forwarding)
}

/** The peer's capability names families: it restarts, and a new connection of it may take the place of an old one (RFC 4724 §5). */
export function mayRestart(negotiated: Negotiated | null): boolean {
  return (negotiated?.gracefulRestart?.families.length ?? 0) > 0
}

/** What is really sent: Cease becomes a Hard Reset where the peer would take it for graceful else (RFC 8538 §3.1). Collisions never are Established. */
export function asHardReset(given: NotificationError, negotiated: Negotiated | null): NotificationError {
  const { code, subcode } = given
  if (code !== CEASE || subcode === HARD_RESET || negotiated?.gracefulNotification !== true) return given
  return new NotificationError(CEASE, HARD_RESET, given.message, Uint8Array.of(code, subcode, ...given.data))
}
