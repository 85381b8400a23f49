/** What operators may do over the API's unix socket. */

import { noNeighbor } from '../api/routes.js'
import { type Actions, type AnnounceRequest, ApiError, type ReloadResult } from '../api/types.js'
import type { Peer } from '../bgp/peer.js'
import type { PeerManager } from '../bgp/peer-manager.js'
import type { StaticOriginate } from '../config/types.js'
import type { Fib } from '../fib/types.js'
import { formatAddress, parseAddress } from '../net/address.js'
import { parsePrefix } from '../net/prefix.js'
import { isMartianNextHop } from '../rib/next-hop.js'
import type { OwnRoutes } from './own-routes.js'

export interface ActionContext {
  readonly manager: PeerManager
  readonly own: OwnRoutes
  readonly fib: Fib
  readonly changed: () => void
  /** Routes move away from these peers, or come back. */
  readonly moved: (peers: readonly Peer[]) => void
  readonly reload: (dryRun: boolean) => Promise<ReloadResult>
}

export function createActions({ manager, own, fib, changed, moved: move, reload }: ActionContext): Actions {
  const moved = (target: string): void => move(manager.find(target))
  const tell = (target: string, count: number, result: string): string => {
    if (count === 0) throw noPeer(target)
    return count === 1 ? result : `${result} (${count} peers)`
  }
  const noPeer = (target: string): ApiError =>
    manager.ranges().some(({ name }) => name === target)
      ? new ApiError(409, `range ${target} has no peers now; to keep it shut, set shutdown on it and reload`)
      : noNeighbor(target)
  return {
    neighborUp: (peer) => {
      const result = tell(peer, manager.up(peer), `neighbor ${peer} is brought up`)
      moved(peer)
      return result
    },
    neighborDown: (peer, { text, graceful, waitSeconds = DRAIN_SECONDS }) => {
      const until = `until 'neighbor ${peer} up' or a restart`
      if (graceful !== true) return tell(peer, manager.down(peer, text), `neighbor ${peer} is down ${until}`)
      const result = `routes move away from neighbor ${peer} (RFC 8326); it is down in ${waitSeconds} s, ${until}`
      const told = tell(peer, manager.drain(peer, text ?? '', waitSeconds * 1000), result)
      moved(peer)
      return told
    },
    neighborClear: (peer) => tell(peer, manager.clear(peer), `session of neighbor ${peer} is cleared`),
    neighborRefresh: (peer) => {
      const peers = manager.find(peer)
      if (peers.length === 0) throw noPeer(peer)
      const asked = peers.flatMap((one) =>
        (one.negotiated?.families ?? []).filter((family) => one.sendRouteRefresh(family)),
      )
      if (asked.length === 0)
        throw new ApiError(409, `neighbor ${peer} is not Established or did not offer route refresh (RFC 2918)`)
      const marks = peers.every((one) => one.negotiated?.enhancedRefresh !== false)
      const how = marks ? '; what it does not send again goes when it says that it is done (RFC 7313)' : ''
      return tell(peer, peers.length, `asked neighbor ${peer} to send its routes again${how}`)
    },
    announce: (request) => {
      const rule = originateRule(request)
      own.announce(rule)
      changed()
      return `${rule.prefix.text} is announced until 'withdraw ${rule.prefix.text}' or a restart`
    },
    withdraw: (prefix) => {
      const { text } = checked(() => parsePrefix(prefix))
      if (!own.withdraw(text)) {
        if (own.get(text) !== undefined)
          throw new ApiError(409, `${text} is originated by the configuration: take it out of originate and reload`)
        throw new ApiError(404, `${text} is not announced by this speaker`)
      }
      changed()
      return own.get(text) === undefined
        ? `${text} is withdrawn`
        : `${text} is announced as the configuration says again`
    },
    fibFlush: async () => {
      if (fib.driver === 'off') throw new ApiError(409, 'fib.driver is off: this daemon writes no kernel routes')
      const removed = await fib.flush()
      return `${removed === 1 ? '1 route is' : `${removed} routes are`} removed; none is written until 'nodebgp fib restore' or a restart`
    },
    fibRestore: () => {
      if (!fib.flushed) throw new ApiError(409, 'the kernel routes of this daemon are not flushed')
      fib.restore()
      return 'the routes are written again'
    },
    reload,
  }
}

/** Of `neighbor X down --graceful`: a few rounds of BGP in a large network. */
const DRAIN_SECONDS = 30

function originateRule(request: AnnounceRequest): StaticOriginate {
  const prefix = checked(() => parsePrefix(request.prefix))
  const nextHop = request.nextHop === undefined ? null : checked(() => parseAddress(request.nextHop!))
  if (nextHop !== null && nextHop.length !== prefix.address.length)
    throw new ApiError(400, `next hop ${request.nextHop} is not of the family of ${prefix.text}`)
  if (nextHop !== null && isMartianNextHop(nextHop))
    throw new ApiError(400, `${request.nextHop} cannot be a next hop: unspecified, loopback, multicast or reserved`)
  return {
    kind: 'static',
    prefix,
    blackhole: request.blackhole ?? false,
    nextHop: nextHop === null ? null : formatAddress(nextHop),
    med: request.med ?? null,
    localPref: request.localPref ?? null,
    communities: request.communities ?? [],
  }
}

function checked<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new ApiError(400, (error as Error).message)
  }
}
