/**
 * `show summary`: the header and columns that `show bgp summary` has elsewhere, with what was accepted beside what was received.
 */
import type { PeerSummary, SummaryView } from '../../api/types.js'
import { type Colour, type Column, formatDuration, type Style, table } from '../format.js'

export const SUMMARY_COLUMNS: readonly Column<PeerSummary>[] = [
  { title: 'Neighbor', value: (peer) => peer.address },
  { title: 'Name', value: (peer) => peer.name },
  { title: 'AS', align: 'right', value: (peer) => String(peer.asn) },
  { title: 'MsgRcvd', align: 'right', value: (peer) => String(peer.messagesReceived) },
  { title: 'MsgSent', align: 'right', value: (peer) => String(peer.messagesSent) },
  { title: 'OutQ', align: 'right', value: (peer) => String(peer.outQueue) },
  { title: 'Up/Down', align: 'right', value: (peer) => (peer.range ? '-' : formatDuration(peer.upDownSeconds)) },
  { title: 'State/PfxRcd', align: 'right', value: stateOrPrefixes, colour: stateColour },
  { title: 'PfxAcc', align: 'right', value: (peer) => whenUp(peer, peer.prefixesAccepted) },
  { title: 'PfxSnt', align: 'right', value: (peer) => whenUp(peer, peer.prefixesSent) },
  { title: 'Desc', value: (peer) => peer.description },
]
const REASON: Column<PeerSummary> = { title: 'Last reason', value: (peer) => peer.lastReason }

/** The line above the kernel's routes. */
export function formatDriver({ fibDriver, fibDriverReason }: SummaryView): string {
  return `Driver: ${fibDriver} (${fibDriverReason})\n`
}

export function formatSummary(view: SummaryView, wide: boolean, style: Style): string {
  const peers = view.peers.filter((peer) => !peer.range)
  const established = peers.filter((peer) => peer.state === 'Established').length
  const reflector = view.clusterId === null ? '' : `, route reflector of cluster ${view.clusterId}`
  const head = [
    `BGP router identifier ${view.routerId}, local AS number ${view.asn}${reflector}`,
    `${view.nodeName}, nodebgp ${view.version}, up ${formatDuration(view.uptimeSeconds)}, kernel routes: ${view.fibDriver}`,
    ...view.families.map(({ family, prefixes, paths }) => `${family}: ${prefixes} prefixes, ${paths} paths`),
    ...(view.waitsFor === undefined
      ? []
      : [
          `restarting: nothing is decided or sent yet, waiting for End-of-RIB of ${view.waitsFor.slice(0, 10).join(', ')}`,
        ]),
    `${view.attributeSets} attribute sets; ${peers.length === 1 ? '1 peer' : `${peers.length} peers`}, ${established} Established`,
  ]
  const columns = wide ? [...SUMMARY_COLUMNS, REASON] : SUMMARY_COLUMNS
  const body = view.peers.length > 0 ? table(columns, view.peers, style) : 'no neighbours are configured\n'
  return `${head.join('\n')}\n\n${body}`
}

function stateOrPrefixes(peer: PeerSummary): string {
  if (peer.range) return 'Range'
  // `Established` alone says nothing new; any other wording, such as one for RFC 8212, does.
  if (peer.state === 'Established')
    return peer.stateText === 'Established' ? String(peer.prefixesReceived) : peer.stateText
  return peer.stateText
}

export function stateColour(peer: PeerSummary): Colour | undefined {
  if (peer.range) return 'dim'
  if (peer.state === 'Established') return peer.stateText === 'Established' ? 'green' : 'yellow'
  return peer.stateText.includes('Admin') ? 'dim' : 'red'
}

function whenUp(peer: PeerSummary, count: number): string {
  return peer.state === 'Established' ? String(count) : '-'
}
