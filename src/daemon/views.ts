/**
 * What the API may ask of a running speaker.
 */
import type { Views } from '../api/types.js'
import { FAMILIES } from '../net/family.js'
import type { PeerErrors } from './peer-errors.js'
import { blockViews } from './view-blocks.js'
import type { ViewContext } from './view-context.js'
import { explain } from './view-explain.js'
import { PathViews } from './view-paths.js'
import { PeerViews } from './view-peers.js'

export function createViews(context: ViewContext, errors: PeerErrors, ready: Views['ready']): Views {
  const { reflector, fib, bfd, sockets } = context
  const paths = new PathViews(context)
  const peers = new PeerViews(context)
  return {
    summary: () => peers.summary(),
    neighbors: (name) => peers.neighbors(name),
    rib: (query) => paths.rib(query),
    adjIn: (name, query) => paths.adjIn(name, query),
    adjOut: (name, query) => paths.adjOut(name, query),
    groups: () =>
      [...reflector.groups()].map((group) => ({
        id: group.id,
        family: FAMILIES[group.family]!.name,
        key: group.key,
        members: [...group.members.values()].map(({ name }) => name),
        prefixes: group.prefixCount,
        logEntries: group.log.length,
        logOctets: group.log.octets,
        behind: group.behindCount,
      })),
    fib: () => fib.entries(),
    blocks: () => blockViews(context),
    bfd: () => bfd.view(),
    tcpDrops: () => sockets.counters(),
    errors: (name) => errors.views(name),
    explain: (prefix) => explain(prefix, context, paths),
    ready,
  }
}
