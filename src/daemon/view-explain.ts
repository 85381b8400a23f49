/**
 * `explain PREFIX`: from which peers, through which policies, why this winner, sent to whom, in which kernel route, and what is missing.
 */
import type { ExplainView } from '../api/types.js'
import { formatAddress } from '../net/address.js'
import type { Family } from '../net/family.js'
import { parsePrefix } from '../net/prefix.js'
import type { GroupMember } from '../reflector/reflector.js'
import type { UpdateGroup } from '../reflector/update-group.js'
import { decisionText } from '../rib/decision.js'
import { PathState } from '../rib/path-state.js'
import { prefixText } from './fib-feed.js'
import type { ViewContext } from './view-context.js'
import { type PathViews, unusedReason } from './view-paths.js'

export function explain(text: string, context: ViewContext, views: PathViews): ExplainView {
  const found = views.find(text)
  const { family, prefix } = found
  const { prefixes, paths } = context.rib.tables[family]!
  const ids = prefix === 0 ? [] : views.pathsOf(family, prefix)
  const shown = prefix === 0 ? text : prefixText(family, prefixes, prefix)
  if (ids.length === 0) return unknown(text, family, context, views)
  const best = views.winnerOf(family, prefix)
  const entry = context.fib.entry(shown) ?? null
  const sent = whoHears(context, views, family, prefix, best)
  return {
    prefix: shown,
    known: true,
    coveredBy: found.exact ? null : shown,
    paths: views.rows(family, prefix, ids),
    policy: ids.map((path) => importVerdict(context, family, path)),
    decision:
      best === 0
        ? 'no path is usable'
        : `${ids.length === 1 ? 'one path' : `${ids.length} paths`}; the winner: ${decisionText(paths.bestReason[prefix]!)}`,
    sentTo: sent.to,
    notSentTo: sent.notTo,
    fib: entry,
    missing: missing(context, family, prefix, best, sent),
  }
}

function unknown(text: string, family: Family, context: ViewContext, views: PathViews): ExplainView {
  const covering = text.includes('/')
    ? views.longestMatch(family, parsePrefix(text).address, parsePrefix(text).length)
    : 0
  const coveredBy = covering === 0 ? null : prefixText(family, context.rib.tables[family]!.prefixes, covering)
  return {
    prefix: text,
    known: false,
    coveredBy,
    paths: [],
    policy: [],
    decision: 'no neighbor announces it, and it is not originated here',
    sentTo: [],
    notSentTo: [],
    fib: context.fib.entry(text) ?? null,
    missing: [
      coveredBy === null
        ? 'no path: see whether the neighbor that should announce it is Established (show summary) and sends it (show adj-in NAME)'
        : `no path of its own; traffic follows ${coveredBy}`,
    ],
  }
}

function importVerdict(context: ViewContext, family: Family, path: number): ExplainView['policy'][number] {
  const { rib } = context
  const { paths } = rib.tables[family]!
  const source = rib.source(paths.source[path]!)!
  const state = paths.state[path]!
  const { importPolicy } = source.options
  const policy = importPolicy === null || importPolicy === 'none' ? null : importPolicy.name
  const verdict =
    state === PathState.USABLE
      ? policy === null
        ? 'accepted (no import policy)'
        : `accepted by policy ${policy}`
      : unusedReason(rib, family, path)
  const name = source.index === 0 ? 'local' : formatAddress(source.options.address)
  return { peer: source.options.name === 'local' ? name : `${source.options.name} (${name})`, policy, verdict }
}

interface Hearers {
  readonly to: { peer: string; address: string; note: string }[]
  readonly notTo: { peer: string; address: string; reason: string }[]
}

function whoHears(context: ViewContext, views: PathViews, family: Family, prefix: number, best: number): Hearers {
  const { rib, routes } = context
  const { paths, prefixes } = rib.tables[family]!
  const to: Hearers['to'] = []
  const notTo: Hearers['notTo'] = []
  for (const [peer, live] of routes.live) {
    const member = live.members.find(({ group }) => group.family === family)
    const where = { peer: peer.name, address: peer.address }
    if (member === undefined) {
      notTo.push({ ...where, reason: 'the address family was not negotiated' })
    } else if (best === 0) {
      notTo.push({ ...where, reason: 'no usable path' })
    } else if (member.group.sendsPathIds) {
      const { paths: sent, refusal } = pathsTo(context, views, member.group, family, prefix, live.source.index)
      if (sent === '') notTo.push({ ...where, reason: refusal })
      else to.push({ ...where, note: `${sent}${isPending(member) ? '; being sent' : ''}` })
    } else if (member.group.exporter.options.routeServerClient) {
      const heard = member.group.sentTo(prefix, live.source.index)[0]
      const other = heard !== undefined && heard.source !== paths.source[best]
      const note = other ? `hears the path of ${rib.source(heard.source)?.options.name}` : ''
      if (heard === undefined) notTo.push({ ...where, reason: 'no path that this client of the route server may hear' })
      else to.push({ ...where, note: isPending(member) ? 'being sent' : note })
    } else if (paths.source[best] === live.source.index) {
      notTo.push({ ...where, reason: 'the winner is its own route' })
    } else {
      const source = rib.source(paths.source[best]!)!
      const refusal = member.group.exporter.refusal(rib.store.get(paths.effective[best]!), source, prefixes, prefix)
      const pending = isPending(member)
      if (refusal !== null) notTo.push({ ...where, reason: refusal })
      else to.push({ ...where, note: pending ? 'being sent' : '' })
    }
  }
  return { to, notTo }
}

function isPending({ group, member }: GroupMember): boolean {
  return member.state === 'behind' || member.position < group.log.head
}

/** ADD-PATH: what a member of the group is sent, by identifier and source; `refusal`: why it is sent nothing. */
function pathsTo(
  context: ViewContext,
  views: PathViews,
  group: UpdateGroup,
  family: Family,
  prefix: number,
  own: number,
): { readonly paths: string; readonly refusal: string } {
  const { rib } = context
  const { paths, prefixes, decision } = rib.tables[family]!
  const sent = group
    .sentRows(prefix)
    .filter((row) => group.sentSource(row) !== own)
    .map((row) => {
      const source = rib.source(group.sentSource(row))
      return `path ${row} from ${source === undefined ? 'a session that is gone' : views.nameOf(source)}`
    })
  const other = decision.ranked(prefix).find((path) => paths.source[path] !== own)
  if (other === undefined)
    return { paths: sent.join(', '), refusal: 'all its paths are the own routes of the neighbor' }
  const source = rib.source(paths.source[other]!)!
  const refusal = group.exporter.refusal(rib.store.get(paths.effective[other]!), source, prefixes, prefix)
  const better = `the best ${group.exporter.options.sendPaths} of its paths are the own routes of the neighbor`
  return { paths: sent.join(', '), refusal: refusal ?? better }
}

function missing(context: ViewContext, family: Family, prefix: number, best: number, sent: Hearers): string[] {
  const { rib, fib, feed, own } = context
  const { paths, prefixes } = rib.tables[family]!
  const text = prefixText(family, prefixes, prefix)
  if (best === 0) return ['no path is usable; each path says why']
  const found: string[] = []
  const isOwn = paths.source[best] === 0
  const entry = fib.entry(text)
  if (entry !== undefined && (entry.state !== 'installed' || entry.reason !== ''))
    found.push(`kernel route ${entry.state}: ${entry.reason}`)
  if (!isOwn && fib.driver !== 'off' && entry === undefined) {
    found.push(
      feed.accepts(family, prefix)
        ? 'not given to the kernel yet'
        : 'fib.accept does not cover it: it stays out of the kernel',
    )
  }
  if (isOwn && own.get(text)?.blackhole === true && fib.driver !== 'off' && entry === undefined)
    found.push('its blackhole route is not in the kernel yet')
  if (isOwn && sent.to.length === 0) found.push('nobody hears it: no Established neighbor takes it')
  return found
}
