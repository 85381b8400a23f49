/**
 * `show bfd`: a line for each neighbour that uses it, and what there is to say of all together.
 */
import type { BfdSessionView, BfdView } from '../../api/types.js'
import { type Colour, type Column, formatDuration, paint, printable, type Style, table } from '../format.js'

const COLUMNS: readonly Column<BfdSessionView>[] = [
  { title: 'Peer', value: ({ peer }) => peer },
  { title: 'Address', value: ({ address }) => address },
  { title: 'State', value: ({ state }) => state ?? 'waits for BGP', colour: ({ state }) => stateColour(state) },
  { title: 'Remote', value: ({ session }) => session?.remoteState ?? '-' },
  { title: 'Since', align: 'right', value: ({ session }) => (session ? formatDuration(session.stateSeconds) : '-') },
  { title: 'Tx', align: 'right', value: ({ session }) => milliseconds(session?.transmitMs ?? null) },
  { title: 'Rx', align: 'right', value: ({ session }) => milliseconds(session?.receiveMs ?? null) },
  { title: 'Detect', align: 'right', value: ({ session }) => milliseconds(session?.detectionMs || null) },
  { title: 'LocalDisc', align: 'right', value: ({ session }) => discriminator(session?.localDiscriminator) },
  { title: 'RemoteDisc', align: 'right', value: ({ session }) => discriminator(session?.remoteDiscriminator) },
  { title: 'Hops', value: ({ session }) => (session ? (session.multihop ? 'multi' : 'single') : '-') },
  { title: 'Received', align: 'right', value: ({ session }) => String(session?.packetsReceived ?? '-') },
  { title: 'Sent', align: 'right', value: ({ session }) => String(session?.packetsSent ?? '-') },
  { title: 'Downs', align: 'right', value: ({ session }) => String(session?.downs ?? '-') },
  { title: 'Diagnostic', value: diagnostic },
]

export function formatBfd(view: BfdView, style: Style): string {
  if (view.sessions.length === 0) return 'no neighbor uses BFD: set bfd: true\n'
  const discarded = Object.entries(view.discarded)
  return [
    table(COLUMNS, view.sessions, style),
    view.checksHopLimit === true ? 'Single hop: only packets with hop limit 255 are taken (RFC 5881).\n' : '',
    discarded.length === 0 ? '' : `Thrown away: ${discarded.map(([why, count]) => `${count} ${why}`).join(', ')}\n`,
    ...view.notes.map((note) => `${paint('Note:', 'yellow', style)} ${printable(note)}\n`),
  ].join('')
}

/** Ours, and what the peer says where that is something else. */
function diagnostic({ session }: BfdSessionView): string {
  if (session === undefined) return '-'
  const { diagnosticText, remoteDiagnostic, remoteDiagnosticText } = session
  return remoteDiagnostic === 0 ? diagnosticText : `${diagnosticText}; the peer: ${remoteDiagnosticText}`
}

function milliseconds(value: number | null): string {
  return value === null ? '-' : `${Math.round(value * 1000) / 1000} ms`
}

function discriminator(value: number | undefined): string {
  return value ? String(value) : '-'
}

function stateColour(state: BfdSessionView['state']): Colour {
  return state === 'Up' ? 'green' : state === null ? 'dim' : 'red'
}
