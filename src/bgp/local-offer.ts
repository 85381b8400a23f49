/**
 * What a neighbour is offered in our OPEN, from its configuration and from the state of this speaker.
 */
import type { NeighborConfig } from '../config/types.js'
import { type CapabilityOffer, ROLE_NAMES } from './capabilities/offer.js'

/** What the OPENs of all sessions have in common, and what changes over the life of the daemon. */
export interface LocalState {
  /** Shown to peers (capability 73). */
  readonly hostname: string
  /** R bit (RFC 4724 §4.1): this run follows another one that this peer may still hold routes of. */
  restarting(peerAddress: string): boolean
  /** F bit: the kernel forwards by what the last run wrote, or no kernel table is ours. */
  readonly forwarding: boolean
}

export const PLAIN_STATE: LocalState = Object.freeze({ hostname: '', restarting: () => false, forwarding: false })

export function localOffer(config: NeighborConfig, state: LocalState): CapabilityOffer {
  const { families, gracefulRestart, longLivedStaleSeconds } = config
  const { forwarding } = state
  return {
    extendedMessages: config.extendedMessages,
    enhancedRefresh: config.enhancedRefresh,
    extendedNextHop: config.extendedNextHop,
    linkLocalNextHop: config.linkLocalNextHop === 'single',
    addPath: families.map((family) => {
      const { sendPaths, receive } = config.addPath[family]!
      return { family, receive, send: sendPaths > 0 }
    }),
    gracefulRestart:
      gracefulRestart === null
        ? null
        : {
            restarting: gracefulRestart.restarter && state.restarting(config.address ?? ''),
            notification: gracefulRestart.notification,
            restartTimeSeconds: gracefulRestart.restarter ? gracefulRestart.restartTimeSeconds : 0,
            families: gracefulRestart.restarter ? families.map((family) => ({ family, forwarding })) : [],
          },
    longLived:
      longLivedStaleSeconds === 0
        ? []
        : families.map((family) => ({ family, forwarding, staleTimeSeconds: longLivedStaleSeconds })),
    hostname: config.advertiseHostname ? state.hostname : '',
    role: config.role === null ? null : ROLE_NAMES.indexOf(config.role),
  }
}
