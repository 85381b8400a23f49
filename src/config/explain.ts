/**
 * What a configuration makes the daemon do, in a few lines for people and as a summary for programs (`nodebgp check`).
 */

import { formatIpv4 } from '../net/address.js'
import { familyRow } from '../net/family.js'
import { hostPort } from '../net/host-port.js'
import { explainEncapsulation } from './encapsulation.js'
import type { AggregateRule, Config, NeighborConfig, OriginateRule } from './types.js'

/** One line per subject. */
export function explainConfig(config: Config): readonly string[] {
  const { reflector, listen, api, originate, neighbors, fib } = config
  return [
    `speaker     AS ${config.asn}, router id ${formatIpv4(config.routerId)}, node ${config.nodeName}`,
    `reflector   ${reflector === null ? 'no' : `yes, cluster ${formatIpv4(reflector.clusterId)}, ${count(neighbors.filter((n) => n.reflectorClient).length, 'client entry', 'client entries')}`}`,
    `listens     ${listen.length === 0 ? 'nowhere: connections are only made by us' : listen.map(({ address, port }) => hostPort(address, port)).join(', ')}`,
    `api         ${api.socket}${api.http === null ? '' : `, http://${hostPort(api.http.host, api.http.port)}`}`,
    ...section('originates', originate.map(explainOriginate), 'nothing'),
    ...section('neighbours', neighbors.map(explainNeighbor), 'none'),
    ...section('policies', usedPolicies(config), 'none in use'),
    `kernel      ${explainFib(fib)}`,
  ]
}

export interface ConfigSummary {
  readonly asn: number
  readonly routerId: string
  readonly nodeName: string
  readonly clusterId: string | null
  readonly listen: readonly string[]
  readonly api: { readonly socket: string; readonly http: string | null }
  readonly originate: readonly string[]
  readonly neighbors: readonly {
    readonly name: string
    readonly address: string | null
    readonly range: string | null
    readonly asn: number
    readonly type: 'ebgp' | 'ibgp' | 'ibgp-client'
    readonly families: readonly string[]
    readonly holdTimeSeconds: number
    readonly importPolicy: string | null
    readonly exportPolicy: string | null
    readonly shutdown: boolean
  }[]
  readonly policies: readonly string[]
  readonly fib: {
    readonly driver: string
    readonly table: number
    readonly protocol: number
    readonly accept: readonly string[]
    readonly encapsulation: string | readonly { readonly within: string; readonly mode: string }[]
  }
}

export function summarizeConfig(config: Config): ConfigSummary {
  const { reflector, listen, api, fib } = config
  return {
    asn: config.asn,
    routerId: formatIpv4(config.routerId),
    nodeName: config.nodeName,
    clusterId: reflector === null ? null : formatIpv4(reflector.clusterId),
    listen: listen.map(({ address, port }) => hostPort(address, port)),
    api: { socket: api.socket, http: api.http === null ? null : hostPort(api.http.host, api.http.port) },
    originate: config.originate.map(explainOriginate),
    neighbors: config.neighbors.map((neighbor) => ({
      name: neighbor.name,
      address: neighbor.address,
      range: neighbor.range?.text ?? null,
      asn: neighbor.asn,
      type: typeOf(neighbor),
      families: neighbor.families.map((family) => familyRow(family).name),
      holdTimeSeconds: neighbor.holdTimeSeconds,
      importPolicy: neighbor.importPolicy,
      exportPolicy: neighbor.exportPolicy,
      shutdown: neighbor.shutdown,
    })),
    policies: [...config.policies.keys()],
    fib: {
      driver: fib.driver,
      table: fib.table,
      protocol: fib.protocol,
      accept: fib.accept.map(({ text }) => text),
      encapsulation:
        typeof fib.encapsulation === 'string'
          ? fib.encapsulation
          : fib.encapsulation.map(({ within, mode }) => ({ within: within.text, mode })),
    },
  }
}

function explainNeighbor(neighbor: NeighborConfig): string {
  const { name, address, range, asn, port } = neighbor
  const where = range === null ? `${address}${port === 179 ? '' : ` port ${port}`}` : `any of ${range.text}`
  const words = [
    TYPE_WORDS[typeOf(neighbor)],
    neighbor.families.map((family) => familyRow(family).name).join(' and '),
    neighbor.holdTimeSeconds === 0 ? 'no hold time' : `hold time ${neighbor.holdTimeSeconds}s`,
    neighbor.passive ? 'waits for its connection' : 'connects to it',
    ...policyWords(neighbor),
    ...(neighbor.shutdown ? ['shut down'] : []),
  ]
  return `${name === where || name === range?.text ? '' : `${name}: `}${where}, AS ${asn}, ${words.join(', ')}`
}

function policyWords({ ebgp, importPolicy, exportPolicy }: NeighborConfig): string[] {
  const open = ebgp ? 'nothing (no policy)' : 'everything'
  return [`import ${importPolicy ?? open}`, `export ${exportPolicy ?? open}`]
}

/** One line about a rule of `originate`. */
export function explainOriginate(rule: OriginateRule): string {
  if (rule.kind === 'static') return `${rule.prefix.text}${rule.blackhole ? ' (blackhole in the kernel)' : ''}`
  const parts = [
    rule.protocols.length === 0 ? 'any protocol' : `protocol ${rule.protocols.join(' or ')}`,
    ...(rule.within.length === 0 ? [] : [`within ${rule.within.map(({ text }) => text).join(' or ')}`]),
    ...(rule.interfaces.length === 0 ? [] : [`on ${rule.interfaces.join(' or ')}`]),
    ...(rule.blackhole === null ? [] : [rule.blackhole ? 'only blackholes' : 'no blackholes']),
    ...aggregateWords(rule.aggregate),
  ]
  return `routes of the kernel: ${parts.join(', ')}`
}

function aggregateWords(aggregate: AggregateRule | null): string[] {
  if (aggregate === null) return []
  const { ipv4, ipv6, requireBlackhole, blackhole } = aggregate
  return [
    `as blocks of /${ipv4} (IPv6 /${ipv6})${requireBlackhole ? ' where a blackhole marks one' : ''}`,
    ...(blackhole ? ['each with a blackhole in the kernel'] : []),
  ]
}

function usedPolicies({ neighbors, policies }: Config): string[] {
  const used = new Set(neighbors.flatMap(({ importPolicy, exportPolicy }) => [importPolicy, exportPolicy]))
  return [...policies.values()]
    .filter(({ name }) => used.has(name))
    .map(({ name, statements }) => `${name}: ${count(statements.length, 'statement', 'statements')}`)
}

function explainFib(fib: Config['fib']): string {
  const { driver, accept, table, protocol } = fib
  if (driver === 'off') return 'nothing is written (driver off)'
  const routes =
    accept.length === 0 ? 'no learned routes' : `learned routes within ${accept.map(({ text }) => text).join(', ')}`
  if (driver === 'memory') return `nothing is written (driver memory keeps ${routes} to itself)`
  return `${routes} to table ${table === 254 ? 'main' : table}, protocol ${protocol}, driver ${driver}${explainEncapsulation(fib)}`
}

function section(title: string, entries: readonly string[], none: string): string[] {
  const shown = entries.slice(0, MAX_ENTRIES)
  if (entries.length > shown.length) shown.push(`and ${entries.length - shown.length} more`)
  return (shown.length === 0 ? [none] : shown).map((entry, index) => `${(index === 0 ? title : '').padEnd(12)}${entry}`)
}

function typeOf({ ebgp, reflectorClient }: NeighborConfig): 'ebgp' | 'ibgp' | 'ibgp-client' {
  return ebgp ? 'ebgp' : reflectorClient ? 'ibgp-client' : 'ibgp'
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`
}

const TYPE_WORDS = { ebgp: 'external', ibgp: 'internal', 'ibgp-client': 'reflector client' } as const
const MAX_ENTRIES = 50
