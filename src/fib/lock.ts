/**
 * Edge: one daemon for one table and protocol number. An abstract unix socket is the lock: it is there once per network namespace, and gone with the process,
 * however that ends. Whoever finds it taken asks on it who has it.
 */
import { connect, createServer, type Server } from 'node:net'
import { FibError } from './types.js'

export interface LockOptions {
  readonly table: number
  readonly protocol: number
  /** Namespace that is written to where it is not our own. */
  readonly netns: string | null
  /** What the holder tells of itself: its configuration file. */
  readonly file: string
}

/** Who writes the routes, as it says itself. */
export interface LockHolder {
  readonly pid: number
  readonly file: string
}

/** Takes the lock; resolves with what gives it back. Rejects with a FibError that says who has it. */
export async function takeLock(options: LockOptions): Promise<() => Promise<void>> {
  const name = lockName(options)
  for (let tries = 1; ; tries++) {
    const server = await listen(name, { pid: process.pid, file: options.file })
    if (server !== null) return () => new Promise((resolve) => server.close(() => resolve()))
    const holder = await askHolder(name)
    // It went while we asked.
    if (holder === 'gone' && tries < MAX_TRIES) continue
    const { table, protocol } = options
    const who =
      typeof holder === 'string'
        ? 'another process, which does not say who it is'
        : `process ${holder.pid}${holder.file === '' ? '' : ` (${holder.file})`}`
    throw new FibError(
      `routes of table ${table === 254 ? 'main' : table} with protocol ${protocol} are written by ${who} already: stop it, or give this one another fib.protocol or fib.table`,
    )
  }
}

/** Who has the lock; null: nobody. */
export async function findHolder(options: Omit<LockOptions, 'file'>): Promise<LockHolder | null> {
  const holder = await askHolder(lockName(options))
  if (holder === 'gone') return null
  return holder === 'silent' ? { pid: 0, file: '' } : holder
}

function lockName({ table, protocol, netns }: Omit<LockOptions, 'file'>): string {
  return `\0nodebgp/fib/${table}/${protocol}${netns === null ? '' : `/${netns}`}`
}

/** Null: somebody has it. */
function listen(name: string, self: LockHolder): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.end(JSON.stringify(self))
    })
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null)
      else reject(new FibError(`the lock of the kernel's routes cannot be taken: ${error.message}`))
    })
    server.listen({ path: name }, () => {
      // The lock keeps nobody alive.
      server.unref()
      resolve(server)
    })
  })
}

/** `gone`: nobody has it; `silent`: somebody has it and gives no answer that can be read. */
function askHolder(name: string): Promise<LockHolder | 'gone' | 'silent'> {
  return new Promise((resolve) => {
    const socket = connect({ path: name })
    let text = ''
    const timer = setTimeout(() => {
      socket.destroy()
      resolve('silent')
    }, ANSWER_MS)
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      if (text.length < MAX_ANSWER) text += chunk
    })
    let refused = false
    socket.on('error', (error: NodeJS.ErrnoException) => {
      refused = error.code === 'ECONNREFUSED'
    })
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(refused ? 'gone' : (parseHolder(text) ?? 'silent'))
    })
  })
}

function parseHolder(text: string): LockHolder | null {
  try {
    const { pid, file } = JSON.parse(text) as { pid?: unknown; file?: unknown }
    if (typeof pid !== 'number' || typeof file !== 'string') return null
    return { pid, file: file.replace(/[^\x20-\x7e]/g, '?').slice(0, 200) }
  } catch {
    return null
  }
}

const ANSWER_MS = 1000
const MAX_ANSWER = 4096
const MAX_TRIES = 3
