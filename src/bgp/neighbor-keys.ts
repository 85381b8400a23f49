/**
 * Which settings of a neighbour belong to its BGP session: changing one of them ends the session (Cease 6/6, RFC 4486) and starts a new one.
 * All other settings take effect on the live session.
 *
 * `reflectorClient` and `allowOwnAs` are among them because they decide what the routes already received mean.
 * `password` only where one is added or taken away; another one takes effect on the live session. `connectRetryMs`, `passive` and `shutdown` are not: they act on the next connection, `shutdown` at once by itself.
 */
import type { NeighborConfig } from '../config/types.js'

export const SESSION_KEYS = Object.freeze([
  'address',
  'range',
  'port',
  'asn',
  'localAsn',
  'families',
  'holdTimeSeconds',
  'keepaliveSeconds',
  'sourceAddress',
  'reflectorClient',
  'allowOwnAs',
  'addPath',
  'gracefulRestart',
  'longLivedStaleSeconds',
  'extendedNextHop',
  'extendedMessages',
  'enhancedRefresh',
  'advertiseHostname',
  'role',
  'roleStrict',
  'localAsnMode',
  'dualAsn',
  'password',
  'ttlSecurityHops',
  'multihop',
  'bindDevice',
] as const satisfies readonly (keyof NeighborConfig)[])

/** Names of the session settings in which two configurations of one neighbour differ; empty: the session can stay up. */
export function sessionKeysChanged(before: NeighborConfig, after: NeighborConfig): string[] {
  return SESSION_KEYS.filter((key) => textOf(before, key) !== textOf(after, key))
}

function textOf(config: NeighborConfig, key: (typeof SESSION_KEYS)[number]): string {
  if (key === 'range') return config.range?.text ?? ''
  if (key === 'families') return [...config.families].sort((a, b) => a - b).join()
  // Another password goes on with the session.
  if (key === 'password') return config.password === null ? '' : 'set'
  const value = config[key]
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
