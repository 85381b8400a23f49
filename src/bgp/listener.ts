/**
 * The edge that accepts TCP connections, on any number of addresses, which may change while it runs.
 */

import { createServer, type Server, type Socket } from 'node:net'
import type { ListenAddress } from '../config/types.js'
import { hostPort } from '../net/host-port.js'
import type { SocketOptions } from './socket-options.js'
import { HIGH_WATER_OCTETS } from './transport.js'

export class Listeners {
  readonly #servers = new Map<string, Server>()
  readonly #onConnection: (socket: Socket) => void
  readonly #onError: (text: string) => void
  readonly #sockets: SocketOptions
  /** Of servers that were given their socket. */
  readonly #descriptors = new Map<Server, number>()

  /** `onError`: a listener that fails later; it goes on where it can. */
  constructor(onConnection: (socket: Socket) => void, onError: (text: string) => void, sockets: SocketOptions) {
    this.#sockets = sockets
    this.#onConnection = onConnection
    this.#onError = onError
  }

  /**
   * Listens on exactly these addresses: opens what is new, closes what is gone, leaves the rest alone. Rejects with an Error of one clear
   * line where an address cannot be had; then all is as it was before.
   */
  async listen(addresses: readonly ListenAddress[]): Promise<void> {
    const wanted = new Map(addresses.map((address) => [keyOf(address), address]))
    const surplus = [...this.#servers].filter(([key]) => !wanted.has(key))
    const missing = [...wanted].filter(([key]) => !this.#servers.has(key))
    // `0.0.0.0:179` and `10.0.0.1:179` exclude each other: what goes is closed before what comes is opened.
    for (const [key, server] of surplus) await this.#close(key, server)
    const opened: [string, Server][] = []
    try {
      for (const [key, address] of missing) {
        const server = await this.#open(address, wantsOnlyIpv6(address, addresses))
        opened.push([key, server])
        this.#servers.set(key, server)
      }
    } catch (error) {
      for (const [key, server] of opened) await this.#close(key, server)
      for (const [key] of surplus) await this.#reopen(key)
      throw error
    }
  }

  /** The addresses listened on, with the port that the kernel chose where 0 was asked. */
  addresses(): ListenAddress[] {
    return [...this.#servers.values()].map((server) => {
      const bound = server.address()
      if (bound === null || typeof bound === 'string') return { address: '', port: 0 }
      return { address: bound.address, port: bound.port }
    })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#servers].map(([key, server]) => this.#close(key, server)))
  }

  #open({ address, port }: ListenAddress, ipv6Only: boolean): Promise<Server> {
    return new Promise((resolve, reject) => {
      const server = createServer({ noDelay: true, highWaterMark: HIGH_WATER_OCTETS })
      const failed = (error: NodeJS.ErrnoException): void => reject(new Error(listenErrorText(error, address, port)))
      server.once('error', (error) => {
        // Node.js has closed the descriptor.
        this.#forget(server)
        failed(error)
      })
      let fd: number | null
      try {
        fd = this.#sockets.listeningSocket(address, port, ipv6Only)
      } catch (error) {
        failed(error as NodeJS.ErrnoException)
        return
      }
      if (fd !== null) this.#descriptors.set(server, fd)
      const where = fd === null ? { host: address, port, ipv6Only } : { fd }
      // With a descriptor the backlog counts as an argument only.
      listenWith(server, where, BACKLOG, () => {
        server.removeAllListeners('error')
        server.on('error', (error) => this.#onError(`listening on ${hostPort(address, port)}: ${error.message}`))
        server.on('connection', this.#onConnection)
        resolve(server)
      })
    })
  }

  async #reopen(key: string): Promise<void> {
    const { address, port } = addressOf(key)
    try {
      this.#servers.set(key, await this.#open({ address, port }, false))
    } catch (error) {
      this.#onError((error as Error).message)
    }
  }

  #close(key: string, server: Server): Promise<void> {
    this.#servers.delete(key)
    this.#forget(server)
    return new Promise((resolve) => {
      server.close(() => resolve())
      // Node keeps close() waiting for connections; ours live on without the listener.
      server.unref()
      resolve()
    })
  }

  #forget(server: Server): void {
    const fd = this.#descriptors.get(server)
    if (fd !== undefined) this.#sockets.forgetListening(fd)
    this.#descriptors.delete(server)
  }
}

function listenWith(server: Server, where: object, backlog: number, listening: () => void): void {
  const listen = server.listen as (this: Server, options: object, backlog: number, done: () => void) => void
  listen.call(server, { ...where, backlog }, backlog, listening)
}

function keyOf({ address, port }: ListenAddress): string {
  return `${port} ${address}`
}

function addressOf(key: string): ListenAddress {
  const [port = '0', address = ''] = key.split(' ')
  return { address, port: Number(port) }
}

/** `::` takes IPv4 too, unless `0.0.0.0` is asked for with the same port. */
function wantsOnlyIpv6({ address, port }: ListenAddress, all: readonly ListenAddress[]): boolean {
  if (!address.includes(':')) return false
  return all.some((other) => other.port === port && !other.address.includes(':'))
}

function listenErrorText(error: NodeJS.ErrnoException, address: string, port: number): string {
  const where = hostPort(address, port)
  switch (error.code) {
    case 'EADDRINUSE':
      return `cannot listen on ${where}: the port is in use by another program (find it with: ss -ltnp 'sport = :${port}'), or change listen`
    case 'EACCES':
      return `cannot listen on ${where}: no privilege for this port; run as root or with CAP_NET_BIND_SERVICE, or listen on a port above 1023`
    case 'EADDRNOTAVAIL':
      return `cannot listen on ${where}: ${address} is not an address of this machine; correct listen or add the address`
    case 'EAFNOSUPPORT':
      return `cannot listen on ${where}: this machine has no ${address.includes(':') ? 'IPv6' : 'IPv4'}; take it out of listen`
    default:
      return `cannot listen on ${where}: ${error.message}`
  }
}

/** Thousands of nodes come back at once after a restart. The kernel caps it at net.core.somaxconn. */
const BACKLOG = 4096
