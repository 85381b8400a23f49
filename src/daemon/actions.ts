/** What operators may do over the API's unix socket. */
import { type Actions, type AnnounceRequest, ApiError, type ReloadResult } from '../api/types.js'
import type { PeerManager } from '../bgp/peer-manager.js'
import type { StaticOriginate } from '../config/types.js'
import { formatAddress, parseAddress } from '../net/address.js'
import { parsePrefix } from '../net/prefix.js'
import { isMartianNextHop } from '../rib/next-hop.js'
import type { OwnRoutes } from './own-routes.js'
import { noSuchNeighbor } from './view-paths.js'

export interface ActionContext {
  readonly manager: PeerManager
  readonly own: OwnRoutes
  readonly changed: () => void
  readonly reload: (dryRun: boolean) => Promise<ReloadResult>
}

export function createActions({ manager, own, changed, reload }: ActionContext): Actions {
  const tell = (target: string, count: number, result: string): string => {
    if (count === 0) throw noPeer(target)
    return count === 1 ? result : `${result} (${count} peers)`
  }
  const noPeer = (target: string): ApiError =>
    manager.ranges().some(({ name }) => name === target)
      ? new ApiError(409, `range ${target} has no peers now; to keep it shut, set shutdown on it and reload`)
      : noSuchNeighbor(target)
  return {
    neighborUp: (peer) => tell(peer, manager.up(peer), `neighbor ${peer} is brought up`),
    neighborDown: (peer, text) =>
      tell(peer, manager.down(peer, text), `neighbor ${peer} is down until 'neighbor ${peer} up' or a restart`),
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
    reload,
  }
}

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
