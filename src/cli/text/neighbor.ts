/**
 * One neighbour in full: session, families, capabilities, counters, notes and the last state changes.
 */
import type { NeighborView } from '../../api/types.js'
import { type Column, fields, formatDuration, paint, printable, type Style, table } from '../format.js'
import { stateColour } from './summary.js'

const TYPES = { ebgp: 'external', ibgp: 'internal', 'ibgp-client': 'internal, route reflector client' } as const

/** `5 (3 treated as withdrawn, 2 attributes discarded); show errors has the last ones`. */
function updateErrors({ name, updateErrors: all, errors }: NeighborView): string {
  if (errors === undefined) return String(all)
  const parts = [
    [errors.treatedAsWithdraw, 'treated as withdrawn'],
    [errors.attributesDiscarded, 'with attributes discarded'],
    [errors.sessionResets, 'ended the session'],
    [errors.familiesIgnored, 'with routes of families not negotiated'],
  ].filter(([count]) => count !== 0)
  if (parts.length === 0) return String(all)
  return `${all} (${parts.map((part) => part.join(' ')).join(', ')}); see show errors ${name}`
}

export function formatNeighbor(peer: NeighborView, style: Style): string {
  const up = peer.state === 'Established'
  const head = `${printable(peer.name)} (${peer.address}), AS ${peer.asn}, ${TYPES[peer.type]}: `
  const state = paint(printable(peer.stateText), stateColour(peer), style)
  const since = peer.range ? '' : ` for ${formatDuration(peer.upDownSeconds)}`
  const sections = [
    `${head}${state}${since}\n`,
    fields(
      [
        ['Description', peer.description],
        ['Last reason', peer.lastReason],
        ['Port', peer.port],
        ['Local address', peer.localAddress],
        ['Local AS', peer.localAsn],
        ['Router id', peer.routerId],
        ['Range', peer.rangeName ?? null],
        ['Families', peer.families.join(', ')],
        ['Negotiated', up ? peer.negotiatedFamilies.join(', ') || 'none' : null],
        ['Hold time', `${peer.holdTimeSeconds} s, keepalive ${peer.keepaliveSeconds} s`],
        ['Graceful', graceful(peer)],
        ['BFD', bfdText(peer)],
        ['Sockets', socketsText(peer)],
        ['AS numbers', up ? (peer.as4 ? '4 octets' : '2 octets') : null],
        ...negotiated(peer),
        ['Import policy', peer.importPolicy ?? 'none'],
        ['Export policy', peer.exportPolicy ?? 'none'],
        ['Established', `${peer.establishedCount} times, lost ${peer.droppedCount} times`],
        ['Update errors', updateErrors(peer)],
        ['Out queue', peer.outQueue],
      ],
      '  ',
    ),
    ...peer.notes.map((note) => `  ${paint('Note:', 'yellow', style)} ${printable(note)}\n`),
    block('Stale routes', stale(peer)),
    block('Prefixes', families(peer, style)),
    block('Messages', messages(peer, style)),
    block('Capabilities of the peer', capabilities(peer)),
    block('Last state changes', history(peer)),
  ]
  return sections.join('')
}

/** What was agreed on beyond the plain protocol; nothing for what was not. */
function negotiated({ negotiated: agreed, refreshes }: NeighborView): [string, string | null][] {
  if (agreed == null) return []
  const { maxMessageOctets, routeRefresh, enhancedRefresh, addPath } = agreed
  const marked = refreshes === undefined || refreshes.ended === 0 ? '' : `, ${refreshes.ended} answers received whole`
  const late = refreshes === undefined || refreshes.timedOut === 0 ? '' : `, ${refreshes.timedOut} not ended in time`
  const refresh = enhancedRefresh ? `enhanced${marked}${late}` : routeRefresh ? 'plain' : 'no'
  const directions = (send: boolean, receive: boolean): string => (send ? (receive ? 'both ways' : 'sent') : 'received')
  return [
    ['Host name', agreed.hostname],
    ['Messages', maxMessageOctets > 4096 ? `up to ${maxMessageOctets} octets` : null],
    ['Route refresh', refresh],
    ['Several paths', addPath.map((one) => `${one.family} ${directions(one.send, one.receive)}`).join(', ') || null],
    ['IPv6 next hops', agreed.extendedNextHop ? 'also for IPv4 routes' : null],
    ['Link-local', agreed.linkLocalNextHop ? 'next hops stand alone' : null],
    ['Roles', roles(agreed.localRole, agreed.peerRole)],
  ]
}

function roles(local: string | null, peer: string | null): string | null {
  if (local === null && peer === null) return null
  return `we are ${local ?? 'without a role'}, the peer ${peer === null ? 'does not say' : `is ${peer}`}`
}

function socketsText({ sockets }: NeighborView): string | null {
  if (sockets === undefined) return null
  const { password, ttlSecurityHops: hops, multihop, bindDevice } = sockets
  const parts = [
    password === true ? 'password (TCP MD5)' : '',
    hops === undefined ? '' : `ttlSecurity, ${hops} ${hops === 1 ? 'hop' : 'hops'}`,
    multihop === undefined ? '' : `TTL ${multihop}`,
    bindDevice === undefined ? '' : `only over ${bindDevice}`,
  ]
  return parts.filter((part) => part !== '').join('; ')
}

function bfdText({ bfd }: NeighborView): string | null {
  if (bfd === undefined) return null
  return `${bfd.state ?? 'begins when the session is Established'}; see show bfd`
}

function block(title: string, text: string): string {
  if (!text) return ''
  return `  ${title}:\n${text.replace(/^(?=.)/gm, '    ')}`
}

function families(peer: NeighborView, style: Style): string {
  return table(
    [
      { title: 'Family', value: (row) => row.family },
      { title: 'Received', align: 'right', value: (row) => String(row.received) },
      { title: 'Accepted', align: 'right', value: (row) => String(row.accepted) },
      { title: 'Sent', align: 'right', value: (row) => String(row.sent) },
      { title: 'End-of-RIB', value: (row) => eor(row.endOfRibReceived, row.endOfRibSent) },
      ...(peer.perFamily.some((row) => row.addPath) ? [ADD_PATH] : []),
    ],
    peer.perFamily,
    style,
  )
}

const ADD_PATH: Column<NeighborView['perFamily'][number]> = {
  title: 'ADD-PATH',
  value: ({ addPath }) => {
    if (addPath === undefined) return '-'
    const send = addPath.send === 0 ? '' : addPath.send === 'all' ? 'send all' : `send best ${addPath.send}`
    return [send, addPath.receive && 'receive'].filter(Boolean).join(', ')
  },
}

function graceful({ gracefulRestart: offer }: NeighborView): string | null {
  if (offer === undefined) return null
  const families = offer.families.map(({ family, forwarding }) => `${family}${forwarding ? ' (forwards)' : ''}`)
  const parts = [
    families.length === 0 ? 'helps only' : `restart time ${offer.restartTimeSeconds} s for ${families.join(', ')}`,
    offer.notification ? 'NOTIFICATIONs too' : '',
    ...offer.longLived.map(({ family, staleTimeSeconds }) => `long-lived ${staleTimeSeconds} s for ${family}`),
  ]
  return parts.filter((part) => part !== '').join('; ')
}

function stale({ gracefulRestart: offer }: NeighborView): string {
  return (offer?.stale ?? [])
    .map(({ family, phase, routes, remainingSeconds }) => `${family} ${routes} ${phase}, ${remainingSeconds} s left\n`)
    .join('')
}

function eor(received: boolean, sent: boolean): string {
  return [received && 'received', sent && 'sent'].filter(Boolean).join(', ') || '-'
}

function messages(peer: NeighborView, style: Style): string {
  const kinds = [...new Set([...Object.keys(peer.messages.received), ...Object.keys(peer.messages.sent)])]
  return table(
    [
      { title: 'Type', value: (kind) => kind },
      { title: 'Received', align: 'right', value: (kind) => String(peer.messages.received[kind] ?? 0) },
      { title: 'Sent', align: 'right', value: (kind) => String(peer.messages.sent[kind] ?? 0) },
    ],
    kinds,
    style,
  )
}

function capabilities(peer: NeighborView): string {
  return peer.capabilities.map(({ code, name, value }) => `${code} ${printable(`${name} ${value}`).trim()}\n`).join('')
}

function history(peer: NeighborView): string {
  return peer.history.map(({ time, from, to, reason }) => `${time} ${from} to ${to}: ${printable(reason)}\n`).join('')
}
