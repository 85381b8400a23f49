/**
 * Why a session that is up, or would be, exchanges less than an operator may expect.
 */
import type { NeighborConfig } from '../config/types.js'
import { familyRow } from '../net/family.js'
import type { LivePeer } from './peer-routes.js'

/** A line for each reason. `live`: where it is Established. */
export function peerNotes(neighbor: NeighborConfig, live: LivePeer | undefined): string[] {
  const notes: string[] = []
  if (neighbor.ebgp && neighbor.importPolicy === null)
    notes.push(
      'nothing is accepted: an external neighbor needs an import policy (RFC 8212); set import, for example to accept-all',
    )
  if (neighbor.ebgp && neighbor.exportPolicy === null)
    notes.push(
      'nothing is sent: an external neighbor needs an export policy (RFC 8212); set export, for example to accept-all',
    )
  if (live === undefined) return notes
  for (const family of neighbor.families) {
    if (!live.negotiated.families.includes(family))
      notes.push(`${familyRow(family).name} is configured but the peer did not offer it`)
  }
  for (const family of live.negotiated.families) {
    const { sendPaths, receive } = neighbor.addPath[family]!
    const bit = 1 << family
    if (sendPaths > 0 && (live.negotiated.addPathSend & bit) === 0)
      notes.push(
        `addPath.send of ${familyRow(family).name}: the peer did not offer to receive several paths; it hears the winner`,
      )
    if (receive && (live.negotiated.addPathReceive & bit) === 0)
      notes.push(`addPath.receive of ${familyRow(family).name}: the peer did not offer to send several paths`)
  }
  for (const { group } of live.members) {
    if (group.exporter.options.selfNextHop === null) {
      notes.push(
        `no own next hop for ${familyRow(group.family).name}: the interface of the session has no address of that family; own routes are not sent`,
      )
    }
  }
  return notes
}
