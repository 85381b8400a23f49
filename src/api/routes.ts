/**
 * The API's questions and what answers them. A row says method, path, whether it may be asked over TCP, and what makes the answer.
 *
 * Read-only rows are served on `api.socket` and `api.http`; actions on the socket only, whose file mode decides who may.
 */
import {
  parseAnnounce,
  parseDown,
  parseFlag,
  parseNothing,
  parsePrefixOrAddress,
  parseRowQuery,
  parseWithdraw,
} from './requests.js'
import { type Actions, ApiError, type NeighborView, type ReloadResult, type Views } from './types.js'

export type Answer =
  | { readonly kind: 'json'; readonly status: number; readonly value: unknown }
  | { readonly kind: 'text'; readonly status: number; readonly type: string; readonly text: string }
  /** Streamed in slices. */
  | { readonly kind: 'rows'; readonly rows: Iterable<unknown>; readonly count: boolean }

export interface RouteContext {
  readonly views: Views
  readonly actions: Actions
  readonly renderMetrics: (options: {
    readonly allPeers: boolean
  }) => Promise<{ readonly type: string; readonly text: string }>
}
export interface RouteRequest {
  /** Decoded parts of the path that the row names with `:`. */
  readonly parts: readonly string[]
  readonly params: URLSearchParams
  /** JSON value, undefined without a body. */
  readonly body: unknown
}
export interface RouteRow {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Asks and changes nothing: also on api.http. */
  readonly readOnly: boolean
  readonly answer: (request: RouteRequest, context: RouteContext) => Answer | Promise<Answer>
}

export const ROUTES: readonly RouteRow[] = [
  view('/healthz', () => text(200, 'ok\n')),
  view('/readyz', (_, { views }) => {
    const state = views.ready()
    return json(state, state.ready ? 200 : 503)
  }),
  view('/metrics', async ({ params }, { renderMetrics }) => {
    const peers = params.get('peers')
    if (peers !== null && peers !== 'all') throw new ApiError(400, `peers '${peers.slice(0, 64)}' can only be 'all'`)
    const metrics = await renderMetrics({ allPeers: peers === 'all' })
    return text(200, metrics.text, metrics.type)
  }),
  view('/v1/summary', (_, { views }) => json(views.summary())),
  view('/v1/neighbors', ({ params }, { views }) => {
    const name = params.get('name') ?? undefined
    const rows = views.neighbors(name)
    return { kind: 'rows', rows: name === undefined ? rows : someOf(rows, name), count: false }
  }),
  view('/v1/rib', ({ params }, { views }) => {
    const { rib, count } = parseRowQuery(params)
    return { kind: 'rows', rows: views.rib(rib), count }
  }),
  view('/v1/adj-in/:peer', ({ parts, params }, { views }) => {
    const { rib, count } = parseRowQuery(params)
    return { kind: 'rows', rows: views.adjIn(parts[0]!, rib), count }
  }),
  view('/v1/adj-out/:peer', ({ parts, params }, { views }) => {
    const { rib, count } = parseRowQuery(params)
    return { kind: 'rows', rows: views.adjOut(parts[0]!, rib), count }
  }),
  view('/v1/groups', (_, { views }) => json(views.groups())),
  view('/v1/fib', (_, { views }) => ({ kind: 'rows', rows: views.fib(), count: false })),
  view('/v1/blocks', (_, { views }) => ({ kind: 'rows', rows: views.blocks(), count: false })),
  view('/v1/bfd', async (_, { views }) => json(await views.bfd())),
  view('/v1/errors', ({ params }, { views }) => {
    const name = params.get('name') ?? undefined
    const errors = views.errors(name)
    if (name !== undefined && errors.length === 0) someOf(views.neighbors(name), name).next()
    return json(errors)
  }),
  view('/v1/explain', ({ params }, { views }) => {
    const prefix = params.get('prefix')
    if (prefix === null) throw new ApiError(400, 'explain needs ?prefix=')
    return json(views.explain(parsePrefixOrAddress(prefix)))
  }),
  action('/v1/neighbor/:peer/up', ({ parts, body }, { actions }) => {
    parseNothing(body)
    return done(actions.neighborUp(parts[0]!))
  }),
  action('/v1/neighbor/:peer/down', ({ parts, body }, { actions }) =>
    done(actions.neighborDown(parts[0]!, parseDown(body))),
  ),
  action('/v1/neighbor/:peer/clear', ({ parts, body }, { actions }) => {
    parseNothing(body)
    return done(actions.neighborClear(parts[0]!))
  }),
  action('/v1/neighbor/:peer/refresh', ({ parts, body }, { actions }) => {
    parseNothing(body)
    return done(actions.neighborRefresh(parts[0]!))
  }),
  action('/v1/announce', ({ body }, { actions }) => done(actions.announce(parseAnnounce(body)))),
  action('/v1/withdraw', ({ body }, { actions }) => done(actions.withdraw(parseWithdraw(body)))),
  action('/v1/fib/flush', async ({ body }, { actions }) => {
    parseNothing(body)
    return done(await actions.fibFlush())
  }),
  action('/v1/fib/restore', ({ body }, { actions }) => {
    parseNothing(body)
    return done(actions.fibRestore())
  }),
  action('/v1/reload', async ({ params, body }, { actions }) => {
    parseNothing(body)
    return reloaded(await actions.reload(parseFlag(params, 'dryRun')))
  }),
]

/** The row for a path, with the parts it names; undefined when there is none. Parts that are no valid percent-encoding make a 400. */
export function findRoutes(pathname: string): { rows: readonly RouteRow[]; parts: readonly string[] } | undefined {
  const wanted = pathname.split('/')
  const rows = ROUTES.filter((row) => {
    const own = row.path.split('/')
    return own.length === wanted.length && own.every((part, n) => part === wanted[n] || (part[0] === ':' && wanted[n]))
  })
  if (rows.length === 0) return undefined
  const parts = rows[0]!.path.split('/').flatMap((part, n) => (part[0] === ':' ? [decodePart(wanted[n]!)] : []))
  return { rows, parts }
}

/** Throws with the first row where there is none. */
function* someOf(neighbors: Iterable<NeighborView>, name: string): Generator<NeighborView> {
  let any = false
  for (const neighbor of neighbors) {
    any = true
    yield neighbor
  }
  if (!any) throw noNeighbor(name)
}

export function noNeighbor(name: string): ApiError {
  return new ApiError(
    404,
    `no neighbor with the name or address '${name.slice(0, 128)}'; 'nodebgp show summary' lists them`,
  )
}

function view(path: string, answer: RouteRow['answer']): RouteRow {
  return { method: 'GET', path, readOnly: true, answer }
}
function action(path: string, answer: RouteRow['answer']): RouteRow {
  return { method: 'POST', path, readOnly: false, answer }
}
function json(value: unknown, status = 200): Answer {
  return { kind: 'json', status, value }
}
function text(status: number, body: string, type = 'text/plain; charset=utf-8'): Answer {
  return { kind: 'text', status, type, text: body }
}
function done(result: string): Answer {
  return json({ result })
}

/** A refused file is a conflict with what it should have been: 409, with all problems. */
function reloaded(result: ReloadResult): Answer {
  if (result.ok) return json(result)
  const first = result.problems[0]
  const error = first
    ? `${first.line === 0 ? first.file : `${first.file}:${first.line}:${first.column}`}: ${first.path ? `${first.path}: ` : ''}${first.message}`
    : 'bad configuration'
  return json({ ...result, error }, 409)
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new ApiError(400, `'${part.slice(0, 64)}' is not a valid percent-encoding`)
  }
}
