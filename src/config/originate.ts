/**
 * `originate`: from its keys to rules, and what is wrong with them (parse.ts). Pure.
 */
import type { Report } from './report.js'
import type { FromKernelKeys, StaticKeys } from './schema.js'
import type { KeyPath } from './source.js'
import type { AggregateRule, FibConfig, KernelOriginate, OriginateRule } from './types.js'

export function originateRule(keys: StaticKeys | FromKernelKeys): OriginateRule {
  if ('fromKernel' in keys) {
    const { protocols, within, interfaces, blackhole } = keys.fromKernel
    return {
      kind: 'fromKernel',
      protocols: protocols ?? [],
      within: within ?? [],
      interfaces: interfaces ?? [],
      blackhole: blackhole ?? null,
      aggregate: aggregateRule(keys.aggregate),
    }
  }
  return {
    kind: 'static',
    prefix: keys.prefix,
    blackhole: keys.blackhole ?? false,
    nextHop: keys.nextHop ?? null,
    med: keys.med ?? null,
    localPref: keys.localPref ?? null,
    communities: keys.communities ?? [],
  }
}

/** What each rule alone cannot know. `fib` undefined: that section is faulty. */
export function checkOriginate(rules: readonly OriginateRule[], fib: FibConfig | undefined, report: Report): void {
  const seen = new Map<string, number>()
  for (const [index, rule] of rules.entries()) {
    const path = ['originate', index]
    if (rule.kind === 'static') {
      const first = seen.get(rule.prefix.text)
      if (first !== undefined)
        report.problem([...path, 'prefix'], `${rule.prefix.text} is already originated by originate[${first}]`)
      seen.set(rule.prefix.text, index)
      if (rule.blackhole && (fib?.driver === 'off' || fib?.driver === 'memory')) {
        report.note([...path, 'blackhole'], `blackhole writes nothing to the kernel with driver ${fib.driver}`)
      }
      if (rule.nextHop !== null && rule.nextHop.includes(':') !== rule.prefix.text.includes(':')) {
        report.problem([...path, 'nextHop'], `nextHop ${rule.nextHop} is not of the same family as ${rule.prefix.text}`)
      }
      continue
    }
    checkFromKernel(rule, path, fib, report)
  }
}

/** The sizes of Calico's blocks where none are given. */
function aggregateRule(keys: FromKernelKeys['aggregate']): AggregateRule | null {
  if (keys === undefined || keys === false) return null
  return {
    ipv4: keys.ipv4 ?? 26,
    ipv6: keys.ipv6 ?? 122,
    requireBlackhole: keys.requireBlackhole ?? false,
    blackhole: keys.blackhole ?? false,
  }
}

function checkFromKernel(rule: KernelOriginate, path: KeyPath, fib: FibConfig | undefined, report: Report): void {
  const { blackhole, interfaces, within, aggregate } = rule
  if (blackhole === true && interfaces.length > 0 && aggregate === null) {
    report.problem(
      [...path, 'fromKernel', 'interfaces'],
      'blackhole routes have no interface: with blackhole: true this finds nothing; remove one of them',
    )
  }
  for (const [index, { text, length, address }] of within.entries()) {
    const block = address.length === 4 ? aggregate?.ipv4 : aggregate?.ipv6
    if (block !== undefined && length > block) {
      report.problem(
        [...path, 'fromKernel', 'within', index],
        `the blocks of aggregate (/${block}) are larger than ${text}: they would announce more than it allows`,
      )
    }
  }
  if (aggregate?.requireBlackhole === true && aggregate.blackhole) {
    report.problem(
      [...path, 'aggregate', 'blackhole'],
      'with requireBlackhole somebody else writes the blackhole route of each block; remove one of the two keys',
    )
  }
  if (aggregate?.requireBlackhole === true && blackhole === false) {
    report.problem(
      [...path, 'fromKernel', 'blackhole'],
      'requireBlackhole looks for blackhole routes, and blackhole: false leaves them out; remove one of the two keys',
    )
  }
  if (fib === undefined) return
  if (rule.protocols.includes(fib.protocol)) {
    report.problem(
      [...path, 'fromKernel', 'protocols'],
      `protocol ${fib.protocol} marks the routes that we learned ourselves (fib.protocol); they cannot be originated`,
    )
  }
  if (fib.driver === 'off' || fib.driver === 'memory') {
    report.note([...path, 'fromKernel'], `fromKernel finds nothing with driver ${fib.driver}: the kernel is not read`)
  }
}
