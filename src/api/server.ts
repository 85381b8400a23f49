/**
 * The API server (edge): HTTP on a unix socket for everything, and on `api.http` for health, metrics and read-only views.
 *
 * Nothing a client sends throws out of here: every answer is a status with JSON, errors as `{ "error": "…" }`. Clients that are slow,
 * half-open, too many or too talkative are bounded by time, number and size.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { HostPort } from '../config/types.js'
import type { Log } from '../log.js'
import { hostPort } from '../net/host-port.js'
import { listenOnPort, listenOnSocket } from './listen.js'
import type { Metrics } from './metrics.js'
import { parseJson } from './requests.js'
import { type Answer, findRoutes, ROUTES, type RouteContext } from './routes.js'
import { countRows, streamRows } from './stream.js'
import { type Actions, ApiError, type Views } from './types.js'

export { ListenError } from './listen.js'

export interface ApiOptions {
  /** Path of the unix socket. */
  readonly socket: string
  readonly http: HostPort | null
  readonly views: Views
  readonly actions: Actions
  readonly metrics: Metrics
  readonly log: Log
  readonly limits?: Partial<ApiLimits>
}
export interface ApiLimits {
  readonly bodyOctets: number
  /** Whole request, headers and body. */
  readonly requestMs: number
  /** A reader that takes nothing of an answer for so long is cut off. */
  readonly stallMs: number
  readonly socketConnections: number
  readonly httpConnections: number
}
export interface ApiServer {
  /** Where `api.http` really listens (port 0 takes a free one); null when off. */
  readonly http: HostPort | null
  /** Moves to other addresses; what stays the same keeps its connections. On an error the old ones stay. */
  reconfigure(where: { readonly socket: string; readonly http: HostPort | null }): Promise<void>
  /** Stops accepting, gives running answers a second, removes the socket file. */
  close(): Promise<void>
}

export const DEFAULT_LIMITS: ApiLimits = Object.freeze({
  bodyOctets: 64 * 1024,
  requestMs: 10_000,
  stallMs: 60_000,
  socketConnections: 128,
  httpConnections: 64,
})
const CLOSE_MS = 1000

/** Throws ListenError with one line for the operator. */
export async function startApi(options: ApiOptions): Promise<ApiServer> {
  const limits: ApiLimits = { ...DEFAULT_LIMITS, ...options.limits }
  const { views, actions, metrics, log } = options
  const context: RouteContext = { views, actions, renderMetrics: (wanted) => metrics.render(wanted) }
  const open = {
    socket: async (path: string): Promise<Server> => {
      const server = makeServer(context, log, limits, true)
      await listenOnSocket(server, path)
      log.write('api-listen', { where: path })
      return server
    },
    http: async (where: HostPort): Promise<Server> => {
      const server = makeServer(context, log, limits, false)
      await listenOnPort(server, where)
      log.write('api-listen', { where: `http://${hostPort(where.host, where.port)}` })
      return server
    },
  }
  let socketPath = options.socket
  let httpWanted = options.http
  let onSocket = await open.socket(socketPath)
  let onHttp: Server | null = null
  try {
    onHttp = httpWanted && (await open.http(httpWanted))
  } catch (error) {
    await closeServer(onSocket)
    throw error
  }

  return {
    get http() {
      if (!onHttp || !httpWanted) return null
      return { host: httpWanted.host, port: (onHttp.address() as AddressInfo).port }
    },
    async reconfigure(where) {
      const sameHttp = where.http?.host === httpWanted?.host && where.http?.port === httpWanted?.port
      const newHttp = sameHttp || !where.http ? null : await open.http(where.http)
      let newSocket: Server | null = null
      try {
        newSocket = where.socket === socketPath ? null : await open.socket(where.socket)
      } catch (error) {
        if (newHttp) await closeServer(newHttp)
        throw error
      }
      // The request that asked for this may run on the old socket: its answer gets the second of grace, and nobody waits for it here.
      if (newSocket) void closeServer(onSocket)
      if (!sameHttp && onHttp) void closeServer(onHttp)
      if (newSocket) onSocket = newSocket
      if (!sameHttp) onHttp = newHttp
      socketPath = where.socket
      httpWanted = where.http
    },
    async close() {
      await Promise.all([closeServer(onSocket), onHttp && closeServer(onHttp)])
    },
  }
}

function makeServer(context: RouteContext, log: Log, limits: ApiLimits, full: boolean): Server {
  const server = createServer({
    requestTimeout: limits.requestMs,
    headersTimeout: limits.requestMs,
    keepAliveTimeout: 5000,
    connectionsCheckingInterval: Math.min(1000, limits.requestMs),
    maxHeaderSize: 8192,
  })
  server.maxConnections = full ? limits.socketConnections : limits.httpConnections
  server.maxHeadersCount = 64
  server.timeout = limits.stallMs
  server.on('request', (request, response) => {
    handle(request, response, context, log, limits, full).catch((error: unknown) => fail(request, response, error, log))
  })
  server.on('clientError', (error, socket) => refuse(error, socket as Socket))
  // Descriptors can run out while the server lives; the daemon goes on without this connection.
  server.on('error', (error) => {
    if (server.listening) log.write('api-error', { path: '(accept)', reason: error.message })
  })
  return server
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  context: RouteContext,
  log: Log,
  limits: ApiLimits,
  full: boolean,
): Promise<void> {
  response.on('error', () => response.destroy())
  const { pathname, params } = parseTarget(request.url ?? '')
  const found = findRoutes(pathname)
  if (!found) {
    const there = ROUTES.filter((row) => full || row.readOnly).map((row) => `${row.method} ${row.path}`)
    return sendJson(response, 404, { error: `no ${pathname.slice(0, 128)} here`, there })
  }
  const method = request.method === 'HEAD' ? 'GET' : request.method
  const row = found.rows.find((candidate) => candidate.method === method)
  if (!row) {
    const allowed = found.rows.map((candidate) => candidate.method).join(', ')
    response.setHeader('Allow', allowed)
    return sendJson(response, 405, { error: `${pathname} is asked with ${allowed}` })
  }
  if (!full && !row.readOnly)
    return sendJson(response, 403, { error: 'actions are taken on the unix socket only (api.socket)' })
  const bytes = await readBody(request, limits.bodyOctets)
  if (bytes === null) {
    response.setHeader('Connection', 'close')
    return sendJson(response, 413, { error: `the body is larger than ${limits.bodyOctets} octets` })
  }
  const answer = await row.answer({ parts: found.parts, params, body: parseJson(bytes) }, context)
  if (!row.readOnly) logAction(log, row.path, found.parts[0] ?? '', answer)
  await send(request, response, answer, params, limits)
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  params: URLSearchParams,
  limits: ApiLimits,
): Promise<void> {
  if (answer.kind === 'json') return sendJson(response, answer.status, answer.value)
  if (answer.kind === 'text') {
    response.writeHead(answer.status, { 'Content-Type': answer.type, ...COMMON_HEADERS })
    response.end(answer.text)
    return
  }
  const rows = answer.rows[Symbol.iterator]()
  if (answer.count) return sendJson(response, 200, { count: await countRows(response, rows) })
  const lines = params.get('format') === 'ndjson' || request.headers.accept === 'application/x-ndjson'
  // The first row is taken before the status goes out: a wrong question shows here.
  const first = rows.next()
  const type = lines ? 'application/x-ndjson' : 'application/json; charset=utf-8'
  response.writeHead(200, { 'Content-Type': type, ...COMMON_HEADERS })
  await streamRows(response, withFirst(first, rows), lines ? 'ndjson' : 'array', limits.stallMs)
}

function withFirst(first: IteratorResult<unknown>, rest: Iterator<unknown>): Iterator<unknown> {
  let pending: IteratorResult<unknown> | null = first
  return {
    next: () => {
      const result = pending ?? rest.next()
      pending = null
      return result
    },
    return: () => rest.return?.() ?? { done: true, value: undefined },
  }
}

/** An ApiError is the client's; anything else is ours: logged, and told without its inside. */
function fail(request: IncomingMessage, response: ServerResponse, error: unknown, log: Log): void {
  const wrong = error instanceof ApiError ? error : null
  if (!wrong && !(error instanceof AbortedRequest)) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    log.write('api-error', { path: (request.url ?? '').slice(0, 128), reason })
  }
  if (response.headersSent || response.destroyed || error instanceof AbortedRequest) {
    response.destroy()
    return
  }
  sendJson(response, wrong?.status ?? 500, {
    error: wrong?.message ?? 'internal error; the log of nodebgp has the reason',
  })
}

/** Bytes that are not HTTP, or a request that took too long. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy())
}

/** The body, or null when it is larger than allowed (the rest of it is then not read). */
function readBody(request: IncomingMessage, maxOctets: number): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let octets = 0
    if (Number(request.headers['content-length'] ?? 0) > maxOctets) {
      resolve(null)
      return
    }
    request.on('data', (chunk: Buffer) => {
      octets += chunk.length
      if (octets > maxOctets) {
        request.pause()
        resolve(null)
      } else chunks.push(chunk)
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', () => reject(new AbortedRequest()))
    request.on('close', () => reject(new AbortedRequest()))
  })
}

class AbortedRequest extends Error {}

function parseTarget(target: string): { pathname: string; params: URLSearchParams } {
  const cut = target.indexOf('?')
  if (cut < 0) return { pathname: target, params: new URLSearchParams() }
  return { pathname: target.slice(0, cut), params: new URLSearchParams(target.slice(cut + 1)) }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', ...COMMON_HEADERS })
  response.end(JSON.stringify(value) + '\n')
}

function logAction(log: Log, path: string, target: string, answer: Answer): void {
  if (answer.kind !== 'json') return
  const { result, error } = answer.value as { result?: string; error?: string }
  const name = path.replace('/v1/', '').replace('/:peer', '')
  // The daemon itself tells of it: config-reloaded, config-rejected.
  if (name === 'reload') return
  log.write('api-action', { action: name, target, result: result ?? error ?? 'done' })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
}

const COMMON_HEADERS = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' } as const
