/**
 * Opening the API's sockets (edge). A busy port, a path that cannot be used or a daemon that is already there each give one clear line.
 */

import { lstatSync, mkdirSync, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { HostPort } from '../config/types.js'
import { hostPort } from '../net/host-port.js'

/** sun_path of Linux holds 108 octets with the final zero. */
const MAX_SOCKET_PATH_OCTETS = 107
/** Reading and writing for owner and group. */
const SOCKET_UMASK = 0o117

/** Start-up failure that is told to the operator as it is. */
export class ListenError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ListenError'
  }
}

export async function listenOnSocket(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_OCTETS)
    throw new ListenError(`api.socket ${path} is longer than ${MAX_SOCKET_PATH_OCTETS} octets; choose a shorter path`)
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  } catch (error) {
    throw new ListenError(`cannot create the folder of api.socket ${path}: ${words(error)}; ${SOCKET_ADVICE}`)
  }
  await removeStale(path)
  // The mode is right from the first moment on: Node binds within this call.
  const umask = process.umask(SOCKET_UMASK)
  let listening: Promise<void>
  try {
    listening = listen(server, { path })
  } finally {
    process.umask(umask)
  }
  try {
    await listening
  } catch (error) {
    throw new ListenError(`cannot open api.socket ${path}: ${words(error)}; ${SOCKET_ADVICE}`)
  }
}

export async function listenOnPort(server: Server, { host, port }: HostPort): Promise<void> {
  try {
    await listen(server, { host, port })
  } catch (error) {
    throw new ListenError(`cannot open api.http ${hostPort(host, port)}: ${words(error)}; set another api.http`)
  }
}

function listen(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** A socket file is removed only when nobody answers behind it. */
async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return
  if (!stat.isSocket())
    throw new ListenError(`api.socket ${path} is there and is not a socket; remove it or choose another path`)
  const answer = await probe(path)
  if (answer === 'answers')
    throw new ListenError(`already running: another nodebgp answers on ${path}; stop it, or set another api.socket`)
  if (answer !== 'ECONNREFUSED' && answer !== 'ENOENT')
    throw new ListenError(`cannot tell whether another nodebgp lives on ${path} (${answer}); ${SOCKET_ADVICE}`)
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new ListenError(`cannot remove the stale ${path}: ${words(error)}; ${SOCKET_ADVICE}`)
  }
}

/** A connection that is taken or waits in a backlog means that somebody lives there. */
function probe(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket.on('connect', () => {
      socket.destroy()
      resolve('answers')
    })
    socket.on('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EAGAIN' ? 'answers' : (error.code ?? error.message)),
    )
  })
}

function words(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return (code && WORDS[code]) || message
}

const WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses it already',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  ENOTDIR: 'a part of the path is not a folder',
  EROFS: 'the file system is read-only',
  ENOTFOUND: 'the host name is not known',
}
const SOCKET_ADVICE = 'run as root, or set api.socket to a path that this user may use'
