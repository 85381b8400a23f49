/**
 * What a reload changes, from one configuration to the next. Neighbours are matched by name. Pure.
 */
import { sessionKeysChanged } from '../bgp/neighbor-keys.js'
import { encapsulationModes } from './encapsulation.js'
import { Secret } from './secret.js'
import type { Config, ConfigDiff, FibConfig, NeighborConfig } from './types.js'

export function diffConfig(before: Config, after: Config): ConfigDiff {
  const fibChanged = keysChanged(before.fib, after.fib).map((key) => `fib.${key}`)
  return {
    ...diffNeighbors(before.neighbors, after.neighbors),
    policiesChanged: policiesChanged(before, after),
    originateChanged: !same(before.originate, after.originate),
    fibChanged,
    listenChanged: !same(before.listen, after.listen),
    apiChanged: !same(before.api, after.api),
    reflectorChanged: !same(before.reflector, after.reflector),
    logChanged: !same(before.log, after.log),
    restartNeeded: [
      ...RESTART_KEYS.filter((key) => before[key] !== after[key]),
      ...fibChanged.filter((key) => RESTART_FIB_KEYS.has(key) && isInUse(key, before.fib, after.fib)),
    ],
  }
}

/** True where nothing at all changes. */
export function isEmptyDiff(diff: ConfigDiff): boolean {
  return Object.values(diff).every((part) => (Array.isArray(part) ? part.length === 0 : part === false))
}

/** In words, for the log: `neighbors added: a, b; fib: fib.metric`. */
export function formatDiff(diff: ConfigDiff): string {
  if (isEmptyDiff(diff)) return 'nothing changed'
  const parts: string[] = []
  const list = (what: string, names: readonly string[]): void => {
    if (names.length > 0)
      parts.push(
        `${what}: ${names.slice(0, 20).join(', ')}${names.length > 20 ? ` and ${names.length - 20} more` : ''}`,
      )
  }
  list('neighbors added', diff.neighborsAdded)
  list('neighbors removed', diff.neighborsRemoved)
  list(
    'sessions reset',
    diff.neighborsReset.map(({ name, keys }) => `${name} (${keys.join(', ')})`),
  )
  list(
    'neighbors changed',
    diff.neighborsChanged.map(({ name, keys }) => `${name} (${keys.join(', ')})`),
  )
  list('policies changed', diff.policiesChanged)
  list('fib', diff.fibChanged)
  const flags = {
    originate: diff.originateChanged,
    listen: diff.listenChanged,
    api: diff.apiChanged,
    reflector: diff.reflectorChanged,
    log: diff.logChanged,
  }
  for (const [name, changed] of Object.entries(flags)) if (changed) parts.push(`${name} changed`)
  return parts.join('; ')
}

type NeighborDiff = Pick<ConfigDiff, 'neighborsAdded' | 'neighborsRemoved' | 'neighborsReset' | 'neighborsChanged'>

function diffNeighbors(before: readonly NeighborConfig[], after: readonly NeighborConfig[]): NeighborDiff {
  const old = new Map(before.map((neighbor) => [neighbor.name, neighbor]))
  const kept = new Set(after.map((neighbor) => neighbor.name))
  const neighborsReset: { name: string; keys: string[] }[] = []
  const neighborsChanged: { name: string; keys: string[] }[] = []
  for (const neighbor of after) {
    const was = old.get(neighbor.name)
    if (was === undefined) continue
    const session = sessionKeysChanged(was, neighbor)
    const all = keysChanged(was, neighbor)
    if (session.length > 0) neighborsReset.push({ name: neighbor.name, keys: session })
    else if (all.length > 0) neighborsChanged.push({ name: neighbor.name, keys: all })
  }
  return {
    neighborsAdded: after.filter(({ name }) => !old.has(name)).map(({ name }) => name),
    neighborsRemoved: before.filter(({ name }) => !kept.has(name)).map(({ name }) => name),
    neighborsReset,
    neighborsChanged,
  }
}

/** Names of policies that are new, gone or different. */
function policiesChanged(before: Config, after: Config): string[] {
  const names = new Set([...before.policies.keys(), ...after.policies.keys()])
  return [...names].filter((name) => !same(before.policies.get(name), after.policies.get(name)))
}

function keysChanged<T extends NeighborConfig | FibConfig>(before: T, after: T): string[] {
  return Object.keys(after).filter((key) => !same(before[key as keyof T], after[key as keyof T]))
}

/** Plain values (numbers, text, lists, octets and records of these, with their keys in the same order: parse.ts makes both) and secrets. */
function same(a: unknown, b: unknown): boolean {
  if (a instanceof Secret && b instanceof Secret) return a.equals(b)
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}

/** Devices are made when a mode that needs them comes; only those that are there and stay cannot change. */
function isInUse(key: string, before: FibConfig, after: FibConfig): boolean {
  const kinds = TUNNEL_KEYS.get(key)
  if (kinds === undefined) return true
  return [before, after].every(({ encapsulation }) =>
    encapsulationModes(encapsulation).some((mode) => kinds.some((kind) => mode.startsWith(kind))),
  )
}

const TUNNEL_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['fib.tunnelDevice', ['ipip']],
  ['fib.tunnelAddress', ['ipip', 'udp']],
  ['fib.vxlan', ['vxlan']],
  ['fib.udp', ['udp']],
])
const RESTART_KEYS = ['asn', 'routerId', 'nodeName', 'stateFile'] as const
/** What the FIB is opened with; the rest of its keys change at run time. */
const RESTART_FIB_KEYS: ReadonlySet<string> = new Set([
  'fib.driver',
  'fib.table',
  'fib.protocol',
  'fib.takeOver',
  'fib.tunnelDevice',
  'fib.tunnelAddress',
  'fib.vxlan',
  'fib.udp',
])
