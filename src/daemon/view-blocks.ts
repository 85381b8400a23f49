/**
 * `show blocks`: what this speaker announces by itself, and where each prefix comes from.
 */
import type { BlockRouteView, BlockView } from '../api/types.js'
import { protocolName } from '../fib/protocols.js'
import type { KernelRoute } from '../fib/types.js'
import { familyRow } from '../net/family.js'
import type { OwnRoute } from './own-routes.js'
import type { ViewContext } from './view-context.js'

/** In the order of their prefixes. */
export function blockViews(context: Pick<ViewContext, 'config' | 'own' | 'fib'>): readonly BlockView[] {
  const { config, own, fib } = context
  const { kernelBlocks } = own
  const ruleOf = new Map<string, number>()
  for (const [index, rule] of config().originate.entries())
    if (rule.kind === 'static') ruleOf.set(rule.prefix.text, index)
  const view = (route: OwnRoute): BlockView => {
    const { text, family } = route.prefix
    const block = route.origin === 'kernel' ? kernelBlocks.get(text) : undefined
    const rule = route.origin === 'originate' ? ruleOf.get(text) : block?.rule
    const routes = block?.routes ?? []
    return {
      prefix: text,
      family: familyRow(family).name,
      source: route.origin,
      rule: rule === undefined ? null : `originate[${rule}]`,
      aggregated: block?.aggregated === true && routes.some(({ prefix }) => prefix !== text),
      leaving: route.origin === 'kernel' && block === undefined,
      blackhole: route.blackhole && fib.driver !== 'off' ? (fib.entry(text)?.state ?? 'pending') : null,
      routes: routes.slice(0, SHOWN_ROUTES).map(routeView),
      routeCount: routes.length,
    }
  }
  return [...own.all.values()].sort((a, b) => byPrefix(a.prefix, b.prefix)).map(view)
}

function routeView({ prefix, kind, protocol, hops }: KernelRoute): BlockRouteView {
  const devices = [...new Set(hops.flatMap(({ device }) => (device === null ? [] : [device])))]
  return { prefix, kind, protocol, protocolName: protocolName(protocol), devices }
}

function byPrefix(a: OwnRoute['prefix'], b: OwnRoute['prefix']): number {
  if (a.family !== b.family) return a.family - b.family
  return Buffer.compare(a.address, b.address) || a.length - b.length
}

const SHOWN_ROUTES = 256
