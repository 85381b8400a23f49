/**
 * Columns of the tables of paths, groups and kernel routes.
 */
import type { BlockView, GroupView, PathView } from '../../api/types.js'
import type { FibEntry, FibRouteState, KernelHop } from '../../fib/types.js'
import { type Colour, type Column, formatDuration, optional } from '../format.js'

export const PATH_LEGEND = 'St: * valid, > best, = multipath, S stale. Orig: i igp, e egp, ? incomplete\n'

export const PATH_COLUMNS: readonly Column<PathView>[] = [
  { title: 'St', value: pathStatus, colour: (path) => (path.best ? 'green' : path.valid ? undefined : 'red') },
  { title: 'Network', value: (path) => path.prefix },
  { title: 'NextHop', value: (path) => path.nextHop ?? '-' },
  { title: 'LocPrf', align: 'right', value: (path) => optional(path.localPref) },
  { title: 'MED', align: 'right', value: (path) => optional(path.med) },
  { title: 'Weight', align: 'right', value: (path) => String(path.weight) },
  { title: 'Path', value: (path) => path.asPath || '-' },
  { title: 'Orig', value: (path) => ORIGINS[path.origin] },
  { title: 'Age', align: 'right', value: (path) => formatDuration(path.ageSeconds) },
  { title: 'From', value: (path) => (path.pathId === undefined ? path.from : `${path.from} (id ${path.pathId})`) },
]
/** What a neighbour is sent is not kept with its time. */
export const SENT_COLUMNS = PATH_COLUMNS.filter(({ title }) => title !== 'Age')
export const PATH_REASON: Column<PathView> = { title: 'Reason', value: (path) => path.reason }

export const GROUP_COLUMNS: readonly Column<GroupView>[] = [
  { title: 'Group', align: 'right', value: (group) => String(group.id) },
  { title: 'Family', value: (group) => group.family },
  { title: 'Members', align: 'right', value: (group) => String(group.members.length) },
  { title: 'Prefixes', align: 'right', value: (group) => String(group.prefixes) },
  { title: 'Log', align: 'right', value: (group) => String(group.logEntries) },
  { title: 'LogBytes', align: 'right', value: (group) => String(group.logOctets) },
  { title: 'Behind', align: 'right', value: (group) => String(group.behind) },
  { title: 'Key', value: (group) => group.key },
  { title: 'Peers', value: (group) => someOf(group.members) },
]

export const FIB_COLUMNS: readonly Column<FibEntry>[] = [
  { title: 'Network', value: (entry) => entry.prefix },
  { title: 'State', value: (entry) => entry.state, colour: (entry) => FIB_COLOURS[entry.state] },
  { title: 'Via', value: formatHops },
  { title: 'Reason', value: (entry) => entry.reason },
]

export const BLOCK_COLUMNS: readonly Column<BlockView>[] = [
  { title: 'Network', value: (block) => block.prefix },
  { title: 'From', value: blockSource },
  { title: 'Protocol', value: ({ routes }) => distinct(routes.map((route) => route.protocolName)) },
  { title: 'Device', value: ({ routes }) => distinct(routes.flatMap((route) => route.devices)) },
  { title: 'Routes', value: blockRoutes },
  {
    title: 'Blackhole',
    value: ({ blackhole }) => blackhole ?? '-',
    colour: ({ blackhole }) => (blackhole === null ? undefined : FIB_COLOURS[blackhole]),
  },
]

function blockSource({ source, rule, leaving }: BlockView): string {
  if (source === 'announce') return 'command'
  return `${rule}${source === 'kernel' ? ' fromKernel' : ''}${leaving ? ', gone' : ''}`
}

/** How many Pods are behind a block, or what kind of route it is itself. */
function blockRoutes({ prefix, routes, routeCount, aggregated }: BlockView): string {
  if (routeCount === 0) return '-'
  const itself = routes.find((route) => route.prefix === prefix)
  const inside = routeCount - routes.filter((route) => route.prefix === prefix).length
  const parts = [
    ...(itself === undefined ? [] : [itself.kind]),
    ...(aggregated && inside > 0 ? [`${inside} inside`] : []),
  ]
  return parts.join(', ')
}

function distinct(words: readonly string[]): string {
  return someOf([...new Set(words)]) || '-'
}

export function pathStatus(path: PathView): string {
  return `${path.valid ? '*' : ' '}${path.best ? '>' : path.multipath ? '=' : ' '}${path.stale === true ? 'S' : ''}`
}

export function formatHops(entry: Pick<FibEntry, 'kind' | 'hops'>): string {
  if (entry.kind === 'blackhole') return 'blackhole'
  return entry.hops.map(formatHop).join(', ') || '-'
}

function formatHop({ gateway, device, onlink }: KernelHop): string {
  const parts = [gateway, device && `dev ${device}`, onlink && 'onlink']
  return parts.filter(Boolean).join(' ')
}

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_NAMES).join(', ')
  return names.length > SHOWN_NAMES ? `${shown} and ${names.length - SHOWN_NAMES} more` : shown
}

const SHOWN_NAMES = 5
const ORIGINS = { igp: 'i', egp: 'e', incomplete: '?' } as const
const FIB_COLOURS: Readonly<Record<FibRouteState, Colour>> = {
  installed: 'green',
  pending: 'yellow',
  adopted: 'yellow',
  left: 'dim',
  unresolved: 'red',
  conflict: 'red',
  failed: 'red',
}
