/**
 * The commands' side of the API: HTTP over the daemon's unix socket. Every way in which there can be no daemon has its own words.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { CommandError, Exit } from './exit.js'

export const DEFAULT_SOCKET = '/run/nodebgp/nodebgp.sock'
/** Without a sign of life for so long the daemon counts as stuck. */
const SILENCE_MS = 30_000

export interface Where {
  readonly socket: string
  /** How the path was found, for messages. */
  readonly from: '--socket' | '--target-socket' | 'NODEBGP_SOCKET' | 'default'
}

export function findSocket(flag: string | undefined): Where {
  if (flag) return { socket: flag, from: '--socket' }
  const environment = process.env['NODEBGP_SOCKET']
  if (environment) return { socket: environment, from: 'NODEBGP_SOCKET' }
  return { socket: DEFAULT_SOCKET, from: 'default' }
}

export class Client {
  private readonly where: Where

  constructor(where: Where) {
    this.where = where
  }

  /** Answers of any status below 500 that are JSON; `accept` lists statuses that are answers and not errors. */
  async get<T>(path: string): Promise<T> {
    return (await this.whole('GET', path)) as T
  }

  async post<T>(path: string, body?: unknown, accept: readonly number[] = []): Promise<T> {
    return (await this.whole('POST', path, body, accept)) as T
  }

  /** An answer that is no JSON. */
  async text(path: string): Promise<string> {
    const response = await this.open('GET', path)
    const text = await readAll(response).catch((error: unknown) => {
      throw this.broken(error)
    })
    if (response.statusCode !== 200) throw refused(response.statusCode ?? 0, text)
    return text
  }

  /** The rows of a large answer, as they come. */
  async *rows<T>(path: string): AsyncGenerator<T> {
    const response = await this.open('GET', withParameter(path, 'format=ndjson'))
    if (response.statusCode !== 200) throw refused(response.statusCode ?? 0, await readAll(response))
    let line: string
    try {
      for await (line of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
        if (line) yield JSON.parse(line) as T
      }
    } catch (error) {
      if (error instanceof CommandError) throw error
      throw this.broken(error)
    } finally {
      response.destroy()
    }
    if (!response.complete) throw this.broken(new Error('the answer ended early'))
  }

  private async whole(method: string, path: string, body?: unknown, accept: readonly number[] = []): Promise<unknown> {
    const response = await this.open(method, path, body)
    let text: string
    try {
      text = await readAll(response)
    } catch (error) {
      throw this.broken(error)
    }
    const status = response.statusCode ?? 0
    if (status !== 200 && !accept.includes(status)) throw refused(status, text)
    try {
      return JSON.parse(text)
    } catch {
      throw new CommandError(Exit.NO_DAEMON, `what answers on ${this.where.socket} is not nodebgp`)
    }
  }

  private open(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    const bytes = body === undefined ? undefined : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const request = httpRequest({
        socketPath: this.where.socket,
        method,
        path,
        agent: false,
        headers:
          bytes === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(bytes) },
      })
      request.setTimeout(SILENCE_MS, () => request.destroy(new Error(`no answer for ${SILENCE_MS / 1000} s`)))
      request.on('error', (error) => reject(this.broken(error)))
      request.on('response', resolve)
      request.end(bytes)
    })
  }

  private broken(error: unknown): CommandError {
    const { code, message } = error as NodeJS.ErrnoException
    const { socket, from } = this.where
    const looked = from === 'default' ? socket : `${socket} (from ${from})`
    if (code === 'EACCES' || code === 'EPERM')
      return new CommandError(
        Exit.NO_DAEMON,
        `no permission to use ${looked}: run as root, or as a member of the socket's group`,
      )
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK' || code === 'ENOTDIR') {
      const what =
        code === 'ENOENT' ? 'no such socket' : code === 'ECONNREFUSED' ? 'nobody listens there' : 'not a socket'
      return new CommandError(
        Exit.NO_DAEMON,
        `no daemon at ${looked}: ${what}. Start one with 'nodebgp run -c FILE', or name its socket with ${from === '--target-socket' ? from : '--socket'} PATH${from === '--target-socket' ? '' : ' or NODEBGP_SOCKET'}`,
      )
    }
    return new CommandError(Exit.NO_DAEMON, `the daemon at ${looked} did not answer to the end: ${message}`)
  }
}

export function withParameter(path: string, parameter: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}${parameter}`
}

async function readAll(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8')
  let text = ''
  for await (const chunk of response) text += chunk as string
  return text
}

/** The daemon's no: its own words. A question it does not understand is wrong usage only when the CLI let it through, so it is a no as well. */
function refused(status: number, text: string): CommandError {
  let error = `status ${status}`
  try {
    error = (JSON.parse(text) as { error?: string }).error ?? error
  } catch {
    // Not JSON: the status has to do.
  }
  return new CommandError(status === 400 ? Exit.USAGE : Exit.NO, error)
}
