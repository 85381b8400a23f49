/**
 * Policies by name, the built-in ones included, and whether the names that neighbours and policies use exist.
 */
import type { Report } from './report.js'
import { policySchema } from './schema-policy.js'
import { isMapping, nearest } from './shapes.js'
import type { KeyPath } from './source.js'
import type { Templates } from './templates.js'
import type { NeighborConfig, PolicyConfig } from './types.js'

/** Usable without being defined. */
export const BUILT_IN_POLICIES: readonly PolicyConfig[] = [
  { name: 'accept-all', statements: policySchema.parse('accept') },
  { name: 'reject-all', statements: policySchema.parse('reject') },
]

export function buildPolicies(
  written: ReadonlyMap<string, unknown>,
  report: Report,
): ReadonlyMap<string, PolicyConfig> {
  const policies = new Map(BUILT_IN_POLICIES.map((policy) => [policy.name, policy]))
  for (const [name, value] of written) {
    const path = ['policies', name]
    if (BUILT_IN_POLICIES.some((policy) => policy.name === name)) {
      report.problem(path, `${name} is built in; choose another name`, 'key')
      continue
    }
    const statements = report.check(policySchema, value, path)
    if (statements === undefined) continue
    policies.set(name, { name, statements })
    noteUnreachable(statements, path, report)
  }
  return policies
}

export interface NamesToCheck {
  readonly policies: ReadonlyMap<string, PolicyConfig>
  /** Names under `policies`, also of those with faults. */
  readonly definedNames: readonly string[]
  readonly neighbors: readonly NeighborConfig[]
  readonly written: readonly unknown[]
  readonly templates: Templates
  readonly report: Report
}

export function checkPolicyNames({
  policies,
  definedNames,
  neighbors,
  written,
  templates,
  report,
}: NamesToCheck): void {
  const known = new Set([...policies.keys(), ...definedNames])
  const check = (name: unknown, path: KeyPath): void => {
    if (typeof name !== 'string' || known.has(name)) return
    const near = nearest(name, known)
    report.problem(
      path,
      `no policy is called ${name}${near === null ? '' : `; did you mean ${near}?`}; defined: ${[...known].slice(0, 20).join(', ')}`,
    )
  }
  for (const { keys, at } of templates.entries()) {
    check(keys.import, at('import'))
    check(keys.export, at('export'))
  }
  for (const [index, neighbor] of written.entries()) {
    if (!isMapping(neighbor)) continue
    check(neighbor['import'], ['neighbors', index, 'import'])
    check(neighbor['export'], ['neighbors', index, 'export'])
  }
  checkPeers(policies, neighbors, written, report)
}

/** `match.peer` names neighbours; a name that nobody has would silently never match. */
function checkPeers(
  policies: ReadonlyMap<string, PolicyConfig>,
  neighbors: readonly NeighborConfig[],
  written: readonly unknown[],
  report: Report,
): void {
  const names = new Set(['local', ...neighbors.map((neighbor) => neighbor.name)])
  for (const neighbor of written)
    if (isMapping(neighbor) && typeof neighbor['name'] === 'string') names.add(neighbor['name'])
  for (const { name, statements } of policies.values()) {
    for (const [index, { match }] of statements.entries()) {
      for (const peer of match.peer ?? []) {
        if (names.has(peer)) continue
        const near = nearest(peer, names)
        report.problem(
          ['policies', name, index, 'match', 'peer'],
          `no neighbour is called ${peer}${near === null ? '' : `; did you mean ${near}?`} (own routes are called local)`,
        )
      }
    }
  }
}

function noteUnreachable(statements: PolicyConfig['statements'], path: KeyPath, report: Report): void {
  const last = statements.findIndex(
    ({ match, action }) => action !== 'next' && Object.values(match).every((field) => field === null),
  )
  if (last >= 0 && last < statements.length - 1) {
    report.note([...path, last + 1], `this statement is never reached: the one before it matches every route`)
  }
  if (statements.length === 0) report.note(path, 'a policy without statements rejects every route')
}
