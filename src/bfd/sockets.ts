/**
 * Edge: the UDP sockets of BFD (RFC 5881 §4, §5; RFC 5883 §3). One for what arrives per family and port; one for each session's packets, with a source port of
 * its own from 49152 on.
 */
import { createSocket, type Socket } from 'node:dgram'
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  openSocket,
  SO_RCVBUF,
  SOCK_DGRAM,
  SOL_SOCKET,
  sockaddr,
} from '../sys/socket.js'
import { findSys, int32, type Sys } from '../sys/sys.js'
import { hopLimitFilter } from './filter.js'
import type { BfdTarget } from './types.js'

export const SINGLE_HOP_PORT = 3784
export const MULTIHOP_PORT = 4784

export interface SocketEvents {
  readonly message: (octets: Uint8Array, address: string, multihop: boolean) => void
  /** One line for the operator. */
  readonly trouble: (text: string) => void
}

interface Outgoing {
  readonly target: BfdTarget
  readonly socket: Socket
  /** Not bound yet: the last packet waits. */
  waiting: Uint8Array | null
  isBound: boolean
  /** That it cannot be had. */
  isTold: boolean
}

export class BfdSockets {
  /** Hop limits are looked at by the kernel; else why not. */
  readonly checksHopLimit: boolean
  readonly why: string
  readonly #sys: Sys | null
  readonly #events: SocketEvents
  readonly #incoming = new Map<string, Socket>()
  readonly #outgoing = new Map<number, Outgoing>()
  readonly #retries = new Set<NodeJS.Timeout>()
  readonly #retryMs: number
  /** Of those that arrive: what cannot be had has been told. */
  readonly #told = new Set<string>()
  #closed = false

  constructor(events: SocketEvents, retryMs = RETRY_MS) {
    const found = findSys()
    this.#events = events
    this.#retryMs = retryMs
    this.#sys = found.sys
    this.checksHopLimit = found.sys !== null
    this.why = found.sys === null ? found.why : ''
  }

  /** Makes what a session needs. */
  open(id: number, target: BfdTarget): void {
    this.#listen(isIpv6(target) ? 6 : 4, target.multihop)
    const socket = createSocket(isIpv6(target) ? 'udp6' : 'udp4')
    const outgoing: Outgoing = { target, socket, waiting: null, isBound: false, isTold: false }
    this.#outgoing.set(id, outgoing)
    this.#bind(id, outgoing, firstPort(), PORTS_TRIED)
  }

  send(id: number, octets: Uint8Array): void {
    const outgoing = this.#outgoing.get(id)
    if (outgoing === undefined) return
    if (!outgoing.isBound) {
      outgoing.waiting = octets
      return
    }
    const { address, multihop } = outgoing.target
    // A packet that cannot be sent is a packet lost: that is what BFD is there to see.
    outgoing.socket.send(octets, multihop ? MULTIHOP_PORT : SINGLE_HOP_PORT, address, ignore)
  }

  sourcePort(id: number): number {
    const outgoing = this.#outgoing.get(id)
    return outgoing?.isBound === true ? outgoing.socket.address().port : 0
  }

  close(id: number): void {
    const outgoing = this.#outgoing.get(id)
    this.#outgoing.delete(id)
    outgoing?.socket.close()
  }

  closeAll(): void {
    this.#closed = true
    for (const retry of this.#retries) clearTimeout(retry)
    for (const id of [...this.#outgoing.keys()]) this.close(id)
    for (const socket of this.#incoming.values()) socket.close()
    this.#incoming.clear()
  }

  #bind(id: number, outgoing: Outgoing, port: number, triesLeft: number): void {
    const { target, socket } = outgoing
    const onError = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EADDRINUSE' && triesLeft > 0) {
        this.#bind(id, outgoing, port === LAST_PORT ? FIRST_PORT : port + 1, triesLeft - 1)
        return
      }
      // Without the port, which is another one each time.
      if (!outgoing.isTold)
        this.#events.trouble(`BFD to ${target.address}: no socket on ${target.localAddress} yet: ${error.code}`)
      outgoing.isTold = true
      this.#later(() => {
        if (this.#outgoing.get(id) === outgoing) this.#bind(id, outgoing, firstPort(), PORTS_TRIED)
      })
    }
    socket.once('error', onError)
    socket.bind({ address: target.localAddress, port, exclusive: true }, () => {
      socket.removeListener('error', onError)
      socket.on('error', (error) => this.#events.trouble(`BFD to ${target.address}: ${error.message}`))
      try {
        // For IPv6 this is the unicast hop limit.
        socket.setTTL(255)
      } catch (error) {
        this.#events.trouble(`BFD to ${target.address}: ${(error as Error).message}`)
      }
      outgoing.isBound = true
      const { waiting } = outgoing
      outgoing.waiting = null
      if (waiting !== null && this.#outgoing.get(id) === outgoing) this.send(id, waiting)
    })
  }

  #later(what: () => void): void {
    const timer = setTimeout(() => {
      this.#retries.delete(timer)
      what()
    }, this.#retryMs)
    this.#retries.add(timer)
  }

  #listen(family: 4 | 6, multihop: boolean): void {
    const key = `${family} ${multihop}`
    if (this.#incoming.has(key)) return
    const socket = createSocket(family === 4 ? { type: 'udp4' } : { type: 'udp6', ipv6Only: true })
    this.#incoming.set(key, socket)
    const port = multihop ? MULTIHOP_PORT : SINGLE_HOP_PORT
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const help =
        error.code === 'EADDRINUSE' ? ` (another BFD runs here; find it with: ss -lunp 'sport = :${port}')` : ''
      if (!this.#told.has(key))
        this.#events.trouble(`BFD cannot listen on UDP port ${port}, IPv${family}: ${error.message}${help}`)
      this.#told.add(key)
      this.#incoming.delete(key)
      socket.close()
      if (!this.#closed) this.#later(() => this.#listen(family, multihop))
    })
    socket.on('listening', () => this.#told.delete(key))
    socket.on('message', (octets, { address }) => this.#events.message(octets, address, multihop))
    const address = family === 4 ? '0.0.0.0' : '::'
    if (this.#sys === null) {
      socket.bind({ address, port, exclusive: true })
      return
    }
    try {
      socket.bind({ fd: boundSocket(this.#sys, family, port, !multihop), exclusive: true })
    } catch (error) {
      socket.emit('error', error as Error)
    }
  }
}

/** With the filter attached before it is bound, so that no packet gets by. */
function boundSocket(sys: Sys, family: 4 | 6, port: number, onlyThisLink: boolean): number {
  return openSocket(sys, family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0, (fd) => {
    if (family === 6) sys.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, int32(1))
    if (onlyThisLink) sys.attachFilter(fd, hopLimitFilter(family))
    sys.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, int32(RECEIVE_OCTETS))
    sys.bind(fd, sockaddr(new Uint8Array(family === 4 ? 4 : 16), port))
    return fd
  })
}

function isIpv6({ address }: BfdTarget): boolean {
  return address.includes(':')
}

function firstPort(): number {
  return FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1))
}

function ignore(): void {}

/** RFC 5881 §4. */
const FIRST_PORT = 49152
const LAST_PORT = 65535
const PORTS_TRIED = 100
/** Who has the port may go away, and an address may come. */
const RETRY_MS = 5000
/** Of thousands of peers, for the time in which the thread does not run; the kernel caps it at net.core.rmem_max. */
const RECEIVE_OCTETS = 4 << 20
