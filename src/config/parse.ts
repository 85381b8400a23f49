/**
 * From the text of a configuration file to a Config, or to all of its problems at once. Pure: files, environment and host come in.
 * Sections and neighbours are checked one by one, so that a fault in one does not hide those of another.
 */
import { createHash } from 'node:crypto'
import { encapsulationModes, encapsulationOf } from './encapsulation.js'
import { buildNeighbors } from './neighbors.js'
import { checkOriginate, originateRule } from './originate.js'
import { buildPolicies, checkPolicyNames } from './policies.js'
import { Report } from './report.js'
import { type FibKeys, sections, topSchema } from './schema.js'
import { isMapping } from './shapes.js'
import { type Environment, type KeyPath, readYaml } from './source.js'
import { Templates } from './templates.js'
import type { Config, ConfigResult, FibConfig, ListenAddress, OriginateRule } from './types.js'

/** What the host knows. */
export interface ParseHooks {
  /** The router id where the file gives none (u32, not 0). */
  defaultRouterId(nodeName: string): number
  /** The node's name where neither file nor NODE_NAME gives one. */
  readonly hostName?: string
  /** Octets of a file that holds a password; throws an Error of a few words. */
  readonly readSecret?: (path: string) => Uint8Array
}

export function parseConfig(text: string, file: string, env: Environment, hooks: ParseHooks): ConfigResult {
  const source = readYaml(text, file, env)
  if (!source.usable) return { ok: false, problems: source.problems }
  const report = new Report(source)
  if (source.value === null) {
    report.problem([], 'the file is empty; bgp.example.yaml shows what belongs in it')
    return { ok: false, problems: report.problems() }
  }
  const config = buildConfig(source.value, file, env, hooks, report)
  if (config === undefined || report.failed) return { ok: false, problems: report.problems() }
  return { ok: true, config, notes: report.notes() }
}

function buildConfig(
  value: unknown,
  file: string,
  env: Environment,
  hooks: ParseHooks,
  report: Report,
): Config | undefined {
  report.check(topSchema, value, [])
  if (!isMapping(value)) return undefined
  const asn = report.check(sections.asn, value['asn'], ['asn'])
  const routerIdKey = report.check(sections.routerId, value['routerId'], ['routerId'])
  const nodeName =
    report.check(sections.nodeName, value['nodeName'], ['nodeName']) ??
    (env['NODE_NAME'] || hooks.hostName || 'localhost')
  const log = report.check(sections.log, value['log'], ['log'])
  const listen = listenOf(report.check(sections.listen, value['listen'], ['listen']), report)
  const api = report.check(sections.api, value['api'], ['api'])
  const reflector = report.check(sections.reflector, value['reflector'], ['reflector'])
  const stateFile = report.check(sections.stateFile, value['stateFile'], ['stateFile'])
  const limits = report.check(sections.limits, value['limits'], ['limits'])
  const restartDeferral = report.check(sections.restartDeferral, value['restartDeferral'], ['restartDeferral'])
  const originate = report.check(sections.originate, value['originate'], ['originate'])
  const rules = (originate ?? []).map(originateRule)
  const fib = fibOf(report.check(sections.fib, value['fib'], ['fib']), value['fib'], rules, report)
  const routerId = routerIdKey === 'hash' ? routerIdHash(nodeName) : (routerIdKey ?? hooks.defaultRouterId(nodeName))

  const templates = new Templates(entriesOf(value['templates']), report)
  const written = Array.isArray(value['neighbors']) ? value['neighbors'] : []
  const secrets = { env, readFile: readOnce(hooks.readSecret ?? noFiles) }
  const isReflector = value['reflector'] !== undefined
  const usesVxlan = encapsulationModes(fib?.encapsulation ?? 'never').some((mode) => mode.startsWith('vxlan'))
  const context = { asn: asn ?? 0, listen, isReflector, usesVxlan, templates, secrets, report }
  const neighbors = buildNeighbors(written, context)
  const policies = buildPolicies(entriesOf(value['policies']), report)
  checkPolicyNames({
    policies,
    definedNames: [...entriesOf(value['policies']).keys()],
    neighbors,
    written,
    templates,
    report,
  })
  checkOriginate(rules, fib, report)
  if (api?.http) noteOpenApi(api.http.host, report)
  if (written.length === 0 && !report.failed)
    report.note(['neighbors'], 'no neighbours: nothing is learned and nothing is sent')
  if (asn === undefined || fib === undefined) return undefined
  return {
    asn,
    routerId,
    nodeName,
    log: { level: log?.level ?? 'info' },
    listen,
    api: { socket: api?.socket ?? DEFAULT_SOCKET, http: api?.http ?? null },
    reflector: reflector === undefined ? null : { clusterId: reflector.clusterId ?? routerId },
    originate: rules,
    neighbors,
    policies,
    fib,
    stateFile: stateFile === undefined ? defaultStateFile(api?.socket ?? DEFAULT_SOCKET) : stateFile,
    limits: { pendingConnections: limits?.pendingConnections ?? 10_000, paths: limits?.paths ?? 10_000_000 },
    restartDeferralMs: restartDeferral ?? 20_000,
    file,
  }
}

/** First four octets of SHA-256, kept out of 224/3: the router id of a node without IPv4 (as Calico derives it). */
export function routerIdHash(nodeName: string): number {
  const digest = createHash('sha256').update(nodeName).digest()
  if (digest[0]! > 223) digest[0] = digest[0]! - 32
  return digest.readUInt32BE(0) || 1
}

function listenOf(
  keys: ReturnType<(typeof sections)['listen']['parse']> | undefined,
  report: Report,
): readonly ListenAddress[] {
  if (keys === undefined) return DEFAULT_LISTEN
  const listen = keys.map(({ address, port }) => ({ address, port: port ?? 179 }))
  for (const [index, entry] of listen.entries()) {
    const first = listen.findIndex((other) => other.address === entry.address && other.port === entry.port)
    if (first < index)
      report.problem(['listen', index], `${entry.address} port ${entry.port} stands here twice; keep one of them`)
  }
  return listen
}

function fibOf(
  keys: FibKeys | undefined,
  written: unknown,
  rules: readonly OriginateRule[],
  report: Report,
): FibConfig | undefined {
  if (keys === undefined && written !== undefined) return undefined
  const driver = keys?.driver ?? 'auto'
  if (keys?.accept === undefined && driver !== 'off') {
    const path: KeyPath = written === undefined ? [] : ['fib']
    report.problem(
      path,
      'fib.accept is missing: say which learned routes go to the kernel, as in fib: { accept: [10.244.0.0/16] }, or write none with fib: { driver: off }',
    )
  }
  const tunnels = encapsulationOf(keys, rules, report)
  if (keys?.accept?.some((prefix) => prefix.length === 0)) {
    report.note(['fib', 'accept'], 'every learned route goes to the kernel, a default route included')
  }
  return {
    driver,
    table: keys?.table ?? 254,
    protocol: keys?.protocol ?? 179,
    accept: keys?.accept ?? [],
    metric: typeof keys?.metric === 'number' ? keys.metric : 0,
    metricFromLocalPref: keys?.metric === 'localPref',
    sources: sourcesOf(keys?.sourceAddress ?? [], report),
    maxPaths: keys?.maxPaths ?? 16,
    ...tunnels,
    programClusterRoutes: keys?.programClusterRoutes ?? 'Enabled',
    takeOver: takeOverOf(keys, report),
    onExit: keys?.onExit ?? 'keep',
    sweepAfterMs: keys?.sweepAfter ?? 120_000,
  }
}

function takeOverOf(keys: FibKeys | undefined, report: Report): readonly number[] {
  const protocols = [...new Set(keys?.takeOver ?? [])]
  const own = keys?.protocol ?? 179
  if (protocols.includes(own))
    report.problem(['fib', 'takeOver'], `${own} is our own protocol: its routes are ours anyway`)
  return protocols
}

function sourcesOf(addresses: readonly string[], report: Report): FibConfig['sources'] {
  const ipv4 = addresses.filter((address) => !address.includes(':'))
  const ipv6 = addresses.filter((address) => address.includes(':'))
  if (ipv4.length > 1 || ipv6.length > 1)
    report.problem(['fib', 'sourceAddress'], 'at most one IPv4 and one IPv6 address')
  return [ipv4[0] ?? null, ipv6[0] ?? null]
}

function noteOpenApi(host: string, report: Report): void {
  if (host.startsWith('127.') || host === '::1') return
  report.note(
    ['api', 'http'],
    `${host} can be reached from the network: metrics, health and views are read-only, but need no password`,
  )
}

/** A file that many neighbours share is read once. */
function readOnce(read: (path: string) => Uint8Array): (path: string) => Uint8Array {
  const known = new Map<string, Uint8Array>()
  return (path) => {
    const octets = known.get(path) ?? read(path)
    known.set(path, octets)
    return octets
  }
}

function noFiles(path: string): never {
  throw new Error(`${path} cannot be read here`)
}

function entriesOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(isMapping(value) ? Object.entries(value) : [])
}

/** Beside the socket: it has to outlive the process, not the machine. */
function defaultStateFile(socket: string): string {
  return `${socket.replace(/\.sock$/, '')}.state.json`
}

export const DEFAULT_SOCKET = '/run/nodebgp/nodebgp.sock'
const DEFAULT_LISTEN: readonly ListenAddress[] = [{ address: '0.0.0.0', port: 179 }]
