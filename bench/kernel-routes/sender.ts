/**
 * A process in the namespace across from the daemon: one BGP session that sends what was encoded before. `node sender.js PLAN`, driven over its IPC channel;
 * it ends with its parent.
 */

import { Neighbour, type NeighbourEvents } from '../../src/load/neighbour.js'
import { formatAddress, parseAddress, parseIpv4 } from '../../src/net/address.js'
import { Family } from '../../src/net/family.js'
import { announceAll, withdrawAll } from './messages.js'
import type { Phase } from './types.js'

export interface SenderPlan {
  readonly host: string
  readonly port: number
  readonly asn: number
  readonly address: string
  readonly routes: number
  /** Of `in` and of `replaced`. */
  readonly nextHops: readonly [string, string]
}

export type SenderAnswer =
  | { readonly type: 'established' }
  /** CLOCK_MONOTONIC in nanoseconds, just before the first octet. */
  | { readonly type: 'sent'; readonly startNs: string }
  | { readonly type: 'failed'; readonly text: string }

const plan = JSON.parse(process.argv[2]!) as SenderPlan
const messages: Readonly<Record<Phase, Buffer>> = {
  in: announceAll(plan.routes, parseAddress(plan.nextHops[0])),
  replaced: announceAll(plan.routes, parseAddress(plan.nextHops[1])),
  out: withdrawAll(plan.routes),
}
const answer = (message: SenderAnswer): void => void process.send?.(message)
const deadlineMs = performance.now() + 30_000

const events: NeighbourEvents = {
  established: () => answer({ type: 'established' }),
  update: () => {},
  chunkDone: () => {},
  ended(neighbour, { text, isFinal }, wasEstablished) {
    // Until it listens, and until it takes connections of this neighbour.
    if (!wasEstablished && !isFinal && performance.now() < deadlineMs) setTimeout(() => neighbour.open(), RETRY_MS)
    else answer({ type: 'failed', text })
  },
}
const member = {
  index: 0,
  address: formatAddress(parseAddress(plan.address)),
  asn: plan.asn,
  bgpId: parseIpv4(plan.address),
  from: 0,
  to: plan.routes,
}
const { host, port, asn } = plan
const settings = { host, port, targetAsn: asn, holdTimeSeconds: 90, family: Family.IPV4_UNICAST }
const neighbour = new Neighbour(member, settings, events)

process.on('disconnect', () => process.exit())
process.on('message', (phase: Phase) => {
  const startNs = process.hrtime.bigint()
  neighbour.write([messages[phase]])
  answer({ type: 'sent', startNs: String(startNs) })
})
setInterval(() => neighbour.tick(performance.now(), false), 1000)
neighbour.open()

const RETRY_MS = 100
