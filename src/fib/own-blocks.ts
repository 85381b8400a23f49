/**
 * `originate: fromKernel` (pure): which of the kernel's routes are announced as our own, such as the blocks that Calico's Felix or another
 * CNI plugin has put there. Routes with our own protocol number are never taken: they are what we learned or wrote ourselves.
 *
 * With `aggregate` the routes of single Pods stand for the block around them, as BIRD announces a Calico node's affine blocks and hides the /32
 * inside. A block is there while one of its Pods is, or a blackhole route of exactly the block. Where the CNI marks its blocks with blackhole
 * routes (`requireBlackhole`), a Pod outside of the marked ones has an address borrowed from another node's block, and stays a /32.
 */
import type { AggregateRule, KernelOriginate, OriginateRule, PrefixText } from '../config/types.js'
import { formatPrefix, parsePrefix, prefixContains } from '../net/prefix.js'
import type { KernelRoute } from './types.js'

/** A prefix that the kernel's routes give us. */
export interface KernelBlock {
  readonly prefix: PrefixText
  /** Index of its rule in `originate`. */
  readonly rule: number
  /** A block around routes; else a route as the kernel has it. */
  readonly aggregated: boolean
  /** We write a blackhole route for it: asked for, and nobody else has one. */
  readonly blackhole: boolean
  /** The kernel's routes that it stands for. */
  readonly routes: readonly KernelRoute[]
}

/** By prefix; the first rule that finds one has it. Blocks of `originate` with a prefix of their own hide the Pods inside too, of rules with `aggregate`. */
export function findKernelBlocks(
  rules: readonly OriginateRule[],
  routes: readonly KernelRoute[],
  ourProtocol: number,
): ReadonlyMap<string, KernelBlock> {
  const found = new Map<string, KernelBlock>()
  const configured = new Set(rules.flatMap((rule) => (rule.kind === 'static' ? [rule.prefix.text] : [])))
  for (const [index, rule] of rules.entries()) {
    if (rule.kind !== 'fromKernel') continue
    const blocks = blocksOf(rule, index, matchKernelRoutes(rule, routes, ourProtocol), configured)
    for (const [text, block] of blocks) if (!found.has(text)) found.set(text, block)
  }
  return found
}

/** A route that a rule takes, and its prefix. */
export interface Match {
  readonly route: KernelRoute
  readonly prefix: PrefixText
}

/** In the order of the routes. */
export function matchKernelRoutes(rule: KernelOriginate, routes: readonly KernelRoute[], ourProtocol: number): Match[] {
  const patterns = rule.interfaces.map(patternToRegExp)
  const found: Match[] = []
  for (const route of routes) {
    const leadsNowhere = NOWHERE.has(route.kind)
    if ((route.kind !== 'unicast' && !leadsNowhere) || route.protocol === ourProtocol) continue
    if (rule.protocols.length > 0 && !rule.protocols.includes(route.protocol)) continue
    if (rule.blackhole !== null && rule.blackhole !== leadsNowhere) continue
    const prefix = parsePrefix(route.prefix)
    // The mark of a block has no device; what it marks has.
    const isMark = leadsNowhere && isBlock(prefix, rule.aggregate)
    if (patterns.length > 0 && !isMark && !hasDevice(route, patterns)) continue
    if (rule.within.length > 0 && !rule.within.some((outer) => prefixContains(outer, prefix))) continue
    found.push({ route, prefix })
  }
  return found
}

interface Growing {
  readonly prefix: PrefixText
  readonly aggregated: boolean
  readonly routes: KernelRoute[]
}

function blocksOf(
  rule: KernelOriginate,
  index: number,
  matches: readonly Match[],
  configured: ReadonlySet<string>,
): ReadonlyMap<string, KernelBlock> {
  const { aggregate } = rule
  const marked = new Set(matches.flatMap(({ route }) => (NOWHERE.has(route.kind) ? [route.prefix] : [])))
  const growing = new Map<string, Growing>()
  for (const { route, prefix } of matches) {
    let block = prefix
    if (aggregate !== null) {
      const around = blockAround(prefix, aggregate)
      if (!aggregate.requireBlackhole || marked.has(around.text) || configured.has(around.text)) block = around
    }
    const known = growing.get(block.text)
    if (known === undefined)
      growing.set(block.text, { prefix: block, aggregated: isBlock(block, aggregate), routes: [route] })
    else known.routes.push(route)
  }
  const blocks = new Map<string, KernelBlock>()
  for (const [text, one] of growing) {
    const blackhole = one.aggregated && aggregate?.blackhole === true && !marked.has(text)
    blocks.set(text, { ...one, rule: index, blackhole })
  }
  return blocks
}

function isBlock(prefix: PrefixText, aggregate: AggregateRule | null): boolean {
  return aggregate !== null && prefix.length === blockLength(prefix, aggregate)
}

/** Routes of a block's size and larger ones stay as they are. */
function blockAround(prefix: PrefixText, aggregate: AggregateRule): PrefixText {
  const length = blockLength(prefix, aggregate)
  return prefix.length <= length ? prefix : parsePrefix(formatPrefix(prefix.family, prefix.address, length))
}

function blockLength({ address }: PrefixText, { ipv4, ipv6 }: AggregateRule): number {
  return address.length === 4 ? ipv4 : ipv6
}

/** Shell pattern: `*` any characters, `?` one. */
function patternToRegExp(pattern: string): RegExp {
  const text = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${text}$`)
}

function hasDevice(route: KernelRoute, patterns: readonly RegExp[]): boolean {
  return route.hops.some((hop) => hop.device !== null && patterns.some((pattern) => pattern.test(hop.device!)))
}

/** Blocks are often such routes, with more specific ones inside. */
const NOWHERE: ReadonlySet<KernelRoute['kind']> = new Set(['blackhole', 'unreachable', 'prohibit'] as const)
