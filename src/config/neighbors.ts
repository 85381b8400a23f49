/**
 * Neighbours: templates applied, defaults filled in, and everything checked that needs more than one key: contradictions, what another
 * section has to say, names and addresses used twice.
 */

import { parseAddress } from '../net/address.js'
import { Family, familyRow } from '../net/family.js'
import { splitZone } from '../net/zone.js'
import { checkPasswords, passwordOf, type SecretSources } from './passwords.js'
import type { Report } from './report.js'
import { type BfdKeys, type GracefulRestartKeys, neighborSchema } from './schema.js'
import { isMapping } from './shapes.js'
import type { KeyPath } from './source.js'
import type { MergedKeys, Templates } from './templates.js'
import type { ListenAddress, NeighborConfig, PrefixText } from './types.js'

export interface NeighborContext {
  /** 0 where the file's own has a fault: then nothing is said about internal and external neighbours. */
  readonly asn: number
  readonly listen: readonly ListenAddress[]
  readonly isReflector: boolean
  /** Routes to other nodes go through VXLAN tunnels. */
  readonly usesVxlan: boolean
  readonly templates: Templates
  readonly secrets: SecretSources
  readonly report: Report
}

export function buildNeighbors(written: readonly unknown[], context: NeighborContext): readonly NeighborConfig[] {
  const taken = new Map<string, KeyPath>()
  const neighbors: NeighborConfig[] = []
  const placed: { neighbor: NeighborConfig; keys: MergedKeys }[] = []
  for (const [index, value] of written.entries()) {
    const path = ['neighbors', index]
    const own = context.report.check(neighborSchema, value, path)
    if (own === undefined) {
      takeNames(value, path, taken)
      continue
    }
    const merged = context.templates.merge(own, path)
    const neighbor = buildNeighbor(merged, path, context)
    if (neighbor === undefined) continue
    checkNames(neighbor, merged, taken, context.report)
    neighbors.push(neighbor)
    placed.push({ neighbor, keys: merged })
  }
  checkPasswords(placed, context.report)
  return neighbors
}

function buildNeighbor(merged: MergedKeys, path: KeyPath, context: NeighborContext): NeighborConfig | undefined {
  const { keys } = merged
  const { report } = context
  const where = target(merged, path, report)
  if (keys.asn === undefined && merged.complete)
    report.problem(path, 'asn is missing: give the AS number of the neighbour')
  if (where === undefined || keys.asn === undefined) return undefined
  const localAsn = keys.localAsn ?? context.asn
  const holdTimeSeconds = keys.holdTime ?? DEFAULT_HOLD_SECONDS
  const neighbor: NeighborConfig = {
    name: keys.name ?? where.text,
    description: keys.description ?? '',
    address: where.address,
    range: where.range,
    port: keys.port ?? BGP_PORT,
    asn: keys.asn,
    localAsn,
    ebgp: localAsn !== keys.asn,
    families: keys.families === undefined ? [where.family] : [...new Set(keys.families)].sort(),
    holdTimeSeconds,
    keepaliveSeconds: keys.keepalive ?? (holdTimeSeconds === 0 ? 0 : Math.max(1, Math.floor(holdTimeSeconds / 3))),
    connectRetryMs: keys.connectRetry ?? 5000,
    sourceAddress: keys.sourceAddress ?? null,
    password: passwordOf(merged, context.secrets, report),
    ttlSecurityHops: keys.ttlSecurity || null,
    multihop: keys.multihop || null,
    bindDevice: keys.bindDevice ?? null,
    passive: keys.passive ?? where.range !== null,
    reflectorClient: keys.reflectorClient ?? false,
    nextHopSelf: keys.nextHopSelf ?? false,
    nextHopKeep: keys.nextHopKeep ?? false,
    weight: keys.weight ?? 0,
    maxPrefix: maxPrefixOf(keys.maxPrefix),
    allowOwnAs: keys.allowOwnAs ?? 0,
    importPolicy: keys.import ?? null,
    exportPolicy: keys.export ?? null,
    sendCommunities: keys.communities ?? true,
    shutdown: keys.shutdown ?? false,
    addPath: (keys.addPath ?? [NO_ADD_PATH, NO_ADD_PATH]).map(({ send, receive }) => ({ sendPaths: send, receive })),
    gracefulRestart: gracefulRestartOf(keys.gracefulRestart),
    longLivedStaleSeconds: keys.longLivedGracefulRestart ?? 0,
    bfd: bfdOf(keys.bfd),
    extendedNextHop: keys.extendedNextHop ?? false,
    extendedMessages: keys.extendedMessages ?? true,
    enhancedRefresh: keys.enhancedRefresh ?? true,
    linkLocalNextHop: keys.linkLocalNextHop ?? 'native',
    advertiseHostname: keys.advertiseHostname ?? true,
    role: keys.role ?? null,
    roleStrict: keys.roleStrict ?? false,
    routeServerClient: keys.routeServerClient ?? false,
    enforceFirstAs: keys.enforceFirstAs ?? keys.role !== 'rs-client',
    localAsnMode: keys.localAsnMode ?? 'replace',
    dualAsn: keys.dualAsn ?? false,
    asOverride: keys.asOverride ?? false,
    removePrivateAs: keys.removePrivateAs ?? false,
    discardAttributes: ascending(keys.discardAttributes),
    treatAsWithdrawAttributes: ascending(keys.treatAsWithdrawAttributes),
    tunnelEncapsulation: keys.tunnelEncapsulation ?? localAsn === keys.asn,
    allowAsSets: keys.allowAsSets ?? false,
    maxAsPath: keys.maxAsPath ?? 1000,
    maxCommunities: keys.maxCommunities ?? 1000,
    maxAttributeSets: keys.maxAttributeSets ?? DEFAULT_ATTRIBUTE_SETS,
    gracefulShutdown: keys.gracefulShutdown ?? false,
    honorGracefulShutdown: keys.honorGracefulShutdown ?? true,
    damping: keys.damping ?? true,
    maxPeers: keys.maxPeers ?? 20_000,
  }
  checkTimers(neighbor, merged, report)
  checkRole(neighbor, merged, context)
  noteTunnels(neighbor, merged, context)
  checkConnection(neighbor, merged, where.family, context)
  return neighbor
}

interface Target {
  readonly address: string | null
  readonly range: PrefixText | null
  readonly text: string
  readonly family: Family
}

function target({ keys, at, complete }: MergedKeys, path: KeyPath, report: Report): Target | undefined {
  const { address, range } = keys
  if (address !== undefined && range !== undefined) {
    report.problem(
      at('range'),
      'address and range are both set; keep address for one neighbour, range for any number of them',
    )
    return undefined
  }
  if (range !== undefined) return { address: null, range, text: range.text, family: range.family }
  if (address !== undefined) {
    return { address, range: null, text: address, family: address.includes(':') ? 1 : 0 }
  }
  if (complete)
    report.problem(path, 'address is missing: give the address of the neighbour, or a range such as 192.168.0.0/16')
  return undefined
}

function maxPrefixOf(keys: MergedKeys['keys']['maxPrefix']): NeighborConfig['maxPrefix'] {
  if (keys === undefined) return null
  return { limit: keys.limit, warningPercent: keys.warning ?? 75, restartMs: keys.restart ?? null }
}

function gracefulRestartOf(keys: GracefulRestartKeys | false | undefined): NeighborConfig['gracefulRestart'] {
  if (keys === false) return null
  return {
    restarter: keys !== undefined,
    restartTimeSeconds: keys?.restartTime ?? 120,
    staleTimeSeconds: keys?.staleTime ?? 360,
    notification: keys?.notification ?? true,
  }
}

function bfdOf(keys: BfdKeys | false | undefined): NeighborConfig['bfd'] {
  if (keys === undefined || keys === false) return null
  const intervalMs = keys.interval ?? DEFAULT_BFD_MS
  return {
    intervalMs,
    minReceiveMs: keys.minReceive ?? intervalMs,
    multiplier: keys.multiplier ?? 3,
    multihop: keys.multihop ?? null,
  }
}

function ascending(types: readonly number[] | undefined): readonly number[] {
  return [...new Set(types ?? [])].sort((a, b) => a - b)
}

const NO_ADD_PATH = Object.freeze({ send: 0, receive: false })

function checkTimers(
  { holdTimeSeconds: hold, keepaliveSeconds: keepalive }: NeighborConfig,
  { keys, at }: MergedKeys,
  report: Report,
): void {
  if (keys.keepalive === undefined) return
  if (hold === 0 ? keepalive !== 0 : keepalive === 0 || keepalive >= hold) {
    const allowed =
      hold === 0 ? '0, as holdTime is 0' : `1s to ${Math.max(1, Math.floor(hold / 3))}s with a holdTime of ${hold}s`
    report.problem(at('keepalive'), `keepalive ${keepalive}s does not fit; allowed: ${allowed}`)
  } else if (keepalive > hold / 3) {
    report.note(
      at('keepalive'),
      `keepalive ${keepalive}s is more than a third of holdTime ${hold}s: one or two lost messages end the session`,
    )
  }
}

function checkRole(neighbor: NeighborConfig, { at }: MergedKeys, { isReflector, report, asn }: NeighborContext): void {
  if (neighbor.reflectorClient && !isReflector) {
    report.problem(
      at('reflectorClient'),
      'reflectorClient needs a reflector: add reflector: { clusterId: … } at the top, or remove this key',
    )
  }
  if (neighbor.reflectorClient && neighbor.ebgp && neighbor.localAsn !== 0) {
    report.problem(
      at('reflectorClient'),
      `reflectorClient is for neighbours in our own AS; ${neighbor.name} is in AS ${neighbor.asn}, and we are AS ${neighbor.localAsn}`,
    )
  }
  if (neighbor.longLivedStaleSeconds > 0 && neighbor.gracefulRestart === null) {
    report.problem(
      at('longLivedGracefulRestart'),
      'longLivedGracefulRestart needs graceful restart (RFC 9494 §4.2); remove gracefulRestart: false, or this key',
    )
  }
  for (const key of ['role', 'routeServerClient', 'asOverride', 'removePrivateAs'] as const) {
    const on = neighbor[key] !== null && neighbor[key] !== false
    if (on && !neighbor.ebgp && neighbor.localAsn !== 0)
      report.problem(at(key), `${key} is for external neighbours; ${neighbor.name} is in our AS ${neighbor.asn}`)
  }
  if (neighbor.roleStrict && neighbor.role === null)
    report.problem(at('roleStrict'), 'roleStrict needs role: say which role we have towards this neighbour')
  if (neighbor.localAsn === asn && (neighbor.localAsnMode !== 'replace' || neighbor.dualAsn))
    report.problem(
      at(neighbor.dualAsn ? 'dualAsn' : 'localAsnMode'),
      'localAsnMode and dualAsn need a localAsn other than asn (RFC 7705)',
    )
  if (neighbor.dualAsn && neighbor.range !== null)
    report.problem(
      at('dualAsn'),
      'dualAsn needs an address: which AS a neighbour of a range takes us for would be forgotten between its connections',
    )
  if (neighbor.dualAsn && neighbor.asn !== 0 && (neighbor.asn === asn || neighbor.asn === neighbor.localAsn))
    report.problem(
      at('dualAsn'),
      `dualAsn is for external neighbours: ${neighbor.name} is in AS ${neighbor.asn}, one of our two; set localAsn alone to the AS that it takes us for (RFC 7705 §4.2)`,
    )
  for (const key of ['nextHopSelf', 'asOverride', 'removePrivateAs'] as const)
    if (neighbor.routeServerClient && neighbor[key])
      report.problem(
        at(key),
        `${key} does not go with routeServerClient: a route server leaves NEXT_HOP and AS_PATH (RFC 7947 §2.2)`,
      )
  if (neighbor.nextHopSelf && neighbor.nextHopKeep) {
    report.problem(at('nextHopKeep'), 'nextHopSelf and nextHopKeep exclude each other; keep one of them')
  }
  if (neighbor.ebgp && neighbor.importPolicy === null && neighbor.exportPolicy === null) {
    report.note(
      at('asn'),
      `eBGP neighbour ${neighbor.name} has neither import nor export policy: it exchanges nothing (RFC 8212); set import and export, for example to accept-all`,
    )
  } else if (neighbor.ebgp && (neighbor.importPolicy === null || neighbor.exportPolicy === null)) {
    const missing = neighbor.importPolicy === null ? 'import' : 'export'
    const effect = missing === 'import' ? 'nothing is accepted from it' : 'nothing is sent to it'
    report.note(at('asn'), `eBGP neighbour ${neighbor.name} has no ${missing} policy: ${effect} (RFC 8212)`)
  }
  if (!neighbor.ebgp && neighbor.localAsn !== asn) {
    report.note(at('localAsn'), `with localAsn ${neighbor.localAsn}, ${neighbor.name} is an internal neighbour`)
  }
}

/** Off by default with external neighbours (RFC 9012 §11): right towards a ToR switch, and easily forgotten between nodes. */
function noteTunnels(neighbor: NeighborConfig, { keys, at }: MergedKeys, { usesVxlan, report }: NeighborContext): void {
  const { name, ebgp, families, importPolicy, exportPolicy } = neighbor
  if (!usesVxlan || !ebgp || keys.tunnelEncapsulation !== undefined || !families.includes(Family.IPV4_UNICAST)) return
  if (importPolicy === null && exportPolicy === null) return
  report.note(
    at('asn'),
    `VTEPs are neither taken from external neighbour ${name} nor sent to it (RFC 9012 §11): tunnels to nodes behind it follow the rule of docs/kernel.md; where those have VTEPs of their own, set tunnelEncapsulation: true on both ends; false ends this note`,
  )
}

function checkConnection(
  neighbor: NeighborConfig,
  { keys, at }: MergedKeys,
  family: Family,
  { listen, report }: NeighborContext,
): void {
  const { address, sourceAddress } = neighbor
  if (neighbor.range !== null && keys.passive === false) {
    report.problem(at('passive'), 'a range is always passive: its neighbours connect to us; remove passive: false')
  }
  if (neighbor.range === null && keys.maxPeers !== undefined) {
    report.problem(at('maxPeers'), 'maxPeers is for a range: one address is one peer')
  }
  if (neighbor.range !== null && keys.port !== undefined) {
    report.problem(at('port'), 'port has no meaning for a range: its neighbours connect to us')
  }
  if (sourceAddress !== null && parseAddress(sourceAddress).length !== familyRow(family).addressOctets) {
    report.problem(
      at('sourceAddress'),
      `sourceAddress ${sourceAddress} is not of the same family as ${neighbor.range?.text ?? address}`,
    )
  }
  if (neighbor.ttlSecurityHops !== null && neighbor.multihop !== null) {
    report.problem(
      at('multihop'),
      'ttlSecurity and multihop exclude each other: ttlSecurity says by itself how many hops away the neighbour may be, and sends with a TTL of 255 (RFC 5082)',
    )
  }
  const zone = address === null ? null : splitZone(address)[1]
  if (zone !== null && neighbor.bindDevice !== null && neighbor.bindDevice !== zone) {
    report.problem(at('bindDevice'), `bindDevice ${neighbor.bindDevice} is not the interface of ${address}; remove it`)
  }
  const own =
    address === null ? undefined : listen.find((entry) => entry.address === address && entry.port === neighbor.port)
  if (own !== undefined) {
    report.problem(
      at('address'),
      `${address} port ${own.port} is where this speaker itself listens; a neighbour has another address`,
    )
  }
  const waits = neighbor.passive && !neighbor.shutdown
  // A socket on :: takes IPv4 connections, too.
  const reachable = listen.some((entry) => entry.address === '::' || entry.address.includes(':') === (family === 1))
  if (waits && !reachable) {
    const what = neighbor.range === null ? 'is passive' : 'is a range'
    const fix =
      family === 1 ? "add { address: '::', port: 179 } to listen" : 'add { address: 0.0.0.0, port: 179 } to listen'
    report.problem(
      at(neighbor.range === null ? 'passive' : 'range'),
      `${neighbor.name} ${what}, but nothing listens for ${family === 1 ? 'IPv6' : 'IPv4'}: ${fix}`,
    )
  }
}

function checkNames(
  neighbor: NeighborConfig,
  { keys, at }: MergedKeys,
  taken: Map<string, KeyPath>,
  report: Report,
): void {
  const place = neighbor.address ?? neighbor.range!.text
  const first = taken.get(place)
  const placeAt = at(neighbor.address === null ? 'range' : 'address')
  if (first !== undefined)
    report.problem(placeAt, `${place} stands for two neighbours; the other is on line ${report.lineOf(first)}`)
  taken.set(place, placeAt)
  if (keys.name === undefined || keys.name === place) return
  const same = taken.get(neighbor.name)
  if (same !== undefined)
    report.problem(
      at('name'),
      `two neighbours are called ${neighbor.name}; the other is on line ${report.lineOf(same)}`,
    )
  taken.set(neighbor.name, at('name'))
}

/** A neighbour with faults still holds its name and address. */
function takeNames(value: unknown, path: KeyPath, taken: Map<string, KeyPath>): void {
  if (!isMapping(value)) return
  for (const key of ['name', 'address', 'range']) {
    const text = value[key]
    if (typeof text === 'string' && !taken.has(text)) taken.set(text, [...path, key])
  }
}

const BGP_PORT = 179
const DEFAULT_HOLD_SECONDS = 90
const DEFAULT_BFD_MS = 300
/** A full Internet table has about 150 000 of them. */
const DEFAULT_ATTRIBUTE_SETS = 200_000
