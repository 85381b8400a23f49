/**
 * The edge of TCP: links made of sockets, and dialling. Never an unhandled 'error' event; errors become one clear line.
 */

import { connect, Socket } from 'node:net'
import type { Secret } from '../config/secret.js'
import { formatAddress, parseAddress } from '../net/address.js'
import { hostPort } from '../net/host-port.js'
import { splitZone } from '../net/zone.js'
import type { Attempt, Dial, DialOptions, Link, LinkEvents } from './link.js'
import { ReadTurns, type Waiting } from './read-turns.js'
import type { SocketOptions } from './socket-options.js'
import { type SocketSettings, unansweredText } from './socket-settings.js'

/** Open sockets of the process's sessions, so that a stop can wait for their last octets. */
export class OpenLinks {
  readonly turns = new ReadTurns()
  readonly #sockets = new Set<Socket>()
  #holding: SocketLink[] = []

  get size(): number {
    return this.#sockets.size
  }

  add(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /**
   * Lets the link write after a moment and one more look at what lies readable in the sockets: when hundreds come at once, accepting them takes longer than
   * that moment. One timer for all that wait.
   */
  releaseSoon(link: SocketLink): void {
    if (this.#holding.push(link) === 1) setTimeout(this.#releaseAfterReading, HOLD_MS)
  }

  readonly #releaseAfterReading = (): void => {
    // Taken out now: those that come in the pass between have one of their own.
    const links = this.#holding
    this.#holding = []
    setImmediate(() => {
      for (const held of links) held.release()
    })
  }

  /** Resolves when all are closed; what is left after `limitMs` is reset. */
  async drain(limitMs: number): Promise<void> {
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.resetAndDestroy()
    }, limitMs)
    await Promise.all([...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
    clearTimeout(timer)
  }
}

class SocketLink implements Link, Waiting {
  readonly localAddress: string
  readonly remoteAddress: string
  readonly #socket: Socket
  readonly #options: SocketOptions
  readonly #turns: ReadTurns
  /** Read, and not given to the owner yet: the socket is paused until it is. */
  #rest: Buffer | null = null
  #inRow = false
  /** Behind the rest the peer has closed. */
  #isEnd = false
  /** By its owner. */
  #paused = false
  #events: LinkEvents | null = null
  #errorText = ''
  #ended = false
  /** What waits to be written together; null: nothing waits any more. */
  #held: Uint8Array[] | null = null
  #heldTaken: (() => void)[] = []

  constructor(socket: Socket, options: SocketOptions, turns: ReadTurns) {
    this.#socket = socket
    this.#turns = turns
    this.#options = options
    this.localAddress = canonicalAddress(socket.localAddress ?? '')
    this.remoteAddress = canonicalAddress(socket.remoteAddress ?? '')
    socket.setNoDelay(true)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#errorText = errorText(error)
    })
    // 'end' first: with octets of ours still queued, 'close' may take long.
    socket.once('end', () => {
      this.#errorText = 'the peer closed the TCP connection'
      // It comes though the socket is paused. The peer's last words may be in the rest.
      if (this.#rest === null) this.#finish()
      else this.#isEnd = true
    })
    socket.once('close', () => {
      this.#errorText ||= 'the TCP connection was closed'
      if (this.#rest === null) this.#closed(this.#errorText)
      else this.#isEnd = true
    })
    socket.on('drain', () => this.#events?.drained())
  }

  /**
   * For a connection that came in: what we write goes out with the answer to the peer's first octets, or by itself after a moment. Peers that connect send their OPEN
   * at once, so that our OPEN and KEEPALIVE are one segment (gain: bench/README.md, 'What was tried').
   */
  hold(): void {
    this.#held = []
  }

  release(): void {
    const held = this.#held
    if (held === null) return
    this.#held = null
    const taken = this.#heldTaken
    this.#heldTaken = []
    // A few dozen octets: one buffer costs less than a vector.
    if (held.length > 0) this.write([held.length === 1 ? held[0]! : Buffer.concat(held)], () => callAll(taken))
  }

  get pendingOctets(): number {
    let octets = this.#socket.writableLength
    if (this.#held !== null) for (const chunk of this.#held) octets += chunk.length
    return octets
  }

  attach(events: LinkEvents): void {
    this.#events = events
    this.#socket.on('data', (chunk: Buffer) => {
      this.#take(chunk)
      this.release()
    })
    // A connection that died before it got an owner.
    if (this.#socket.destroyed) process.nextTick(() => this.#closed(this.#errorText || 'the TCP connection was closed'))
  }

  /** A few messages are taken at once: there may be hundreds of peers with as many. */
  #take(chunk: Buffer): void {
    this.#turns.begin()
    if (this.#rest !== null) this.#rest = Buffer.concat([this.#rest, chunk])
    else if (chunk.length <= SMALL_OCTETS) this.#events?.data(chunk)
    else {
      this.#rest = chunk
      if (this.#turns.isOver) this.#wait()
      else this.takeSome()
    }
  }

  takeSome(): void {
    this.#inRow = false
    let isFirst = true
    while (this.#rest !== null && !this.#paused) {
      if (!isFirst && this.#turns.isOver) {
        this.#wait()
        return
      }
      isFirst = false
      this.#takePiece(PIECE_OCTETS)
    }
    if (this.#rest !== null) return
    if (this.#isEnd) this.#finish()
    else if (!this.#paused && !this.#ended) this.#socket.resume()
  }

  #finish(): void {
    this.release()
    this.#closed(this.#errorText)
    this.#socket.destroy()
  }

  #takePiece(octets: number): void {
    const rest = this.#rest!
    this.#rest = rest.length > octets ? rest.subarray(octets) : null
    if (this.#events === null) this.#rest = null
    else this.#events.data(rest.length > octets ? rest.subarray(0, octets) : rest)
  }

  #wait(): void {
    this.#socket.pause()
    this.#inRow = true
    this.#turns.wait(this)
  }

  get hasUnread(): boolean {
    return this.#rest !== null
  }

  write(chunks: readonly Uint8Array[], onTaken: (() => void) | null): boolean {
    const socket = this.#socket
    const last = chunks.length - 1
    if (last < 0 || this.#ended || socket.destroyed) return true
    if (this.#held !== null) {
      this.#held.push(...chunks)
      if (onTaken !== null) this.#heldTaken.push(onTaken)
      return true
    }
    const done = onTaken === null ? undefined : (error?: Error | null) => error || this.#ended || onTaken()
    if (last === 0) return socket.write(chunks[0]!, done)
    socket.cork()
    let room = true
    for (let i = 0; i <= last; i++) room = socket.write(chunks[i]!, i === last ? done : undefined)
    socket.uncork()
    return room
  }

  /** What arrives meanwhile is read and thrown away: unread octets would turn the FIN into a RST and could cost the peer our NOTIFICATION. */
  end(): void {
    if (this.#ended) return
    this.release()
    this.#ended = true
    this.#events = null
    this.#rest = null
    const socket = this.#socket
    if (socket.destroyed) return
    socket.on('data', () => {})
    socket.resume()
    socket.end()
    const timer = setTimeout(() => socket.resetAndDestroy(), LINGER_MS)
    socket.once('close', () => clearTimeout(timer))
  }

  reset(): void {
    this.#ended = true
    this.#events = null
    this.#rest = null
    this.#socket.resetAndDestroy()
  }

  onceOver(call: () => void): void {
    if (this.#socket.closed) call()
    else this.#socket.once('close', call)
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#rest === null) {
      if (!this.#ended) this.#socket.resume()
    } else if (!this.#inRow) this.#wait()
  }

  adopt(settings: SocketSettings): string {
    const fd = descriptorOf(this.#socket)
    return fd === null ? NO_DESCRIPTOR : this.#options.adopt(fd, this.#socket.remoteAddress ?? '', settings)
  }

  changeKey(password: Secret): string {
    const fd = descriptorOf(this.#socket)
    return fd === null ? NO_DESCRIPTOR : this.#options.changeKey(fd, this.#socket.remoteAddress ?? '', password.octets)
  }

  #closed(text: string): void {
    const events = this.#events
    this.#events = null
    events?.closed(text)
  }
}

function callAll(callbacks: readonly (() => void)[]): void {
  for (const callback of callbacks) callback()
}

/** Of a connection that came in. */
export function socketLink(socket: Socket, open: OpenLinks, options: SocketOptions): Link {
  open.add(socket)
  const link = new SocketLink(socket, options, open.turns)
  link.hold()
  open.releaseSoon(link)
  return link
}

export function tcpDial(open: OpenLinks, sockets: SocketOptions): Dial {
  return (options: DialOptions, connected: (link: Link) => void, failed: (text: string) => void): Attempt => {
    let over = false
    let socket: Socket
    try {
      socket = connecting(options, sockets)
    } catch (error) {
      const text = `cannot connect to ${hostPort(options.address, options.port)}: ${(error as Error).message}`
      const later = setImmediate(() => failed(text))
      return { cancel: () => clearImmediate(later) }
    }
    open.add(socket)
    const onError = (error: NodeJS.ErrnoException) => {
      if (over) return
      over = true
      failed(dialErrorText(error, options))
    }
    socket.on('error', onError)
    socket.once('connect', () => {
      if (over) return
      over = true
      connected(new SocketLink(socket, sockets, open.turns))
    })
    return {
      cancel() {
        over = true
        socket.destroy()
      },
    }
  }
}

/** On its way. Where system calls can be made the socket is ours, and has its options before it connects. */
function connecting({ address, port, sourceAddress, settings }: DialOptions, sockets: SocketOptions): Socket {
  const source = sourceAddress === null ? {} : { localAddress: sourceAddress }
  const where = { host: address, port, ...source }
  // Hands highWaterMark on to the stream; its type does not say so.
  const stream = { noDelay: true, highWaterMark: HIGH_WATER_OCTETS }
  const fd = sockets.connectingSocket(address, settings)
  return fd === null
    ? connect({ ...where, ...stream })
    : new Socket({ fd, readable: true, writable: true, ...stream }).connect(where)
}

/** Node.js has no public way to it; null where it is not where it used to be. */
function descriptorOf(socket: Socket): number | null {
  const fd = (socket as { _handle?: { readonly fd?: number } | null })._handle?.fd
  return fd === undefined || fd < 0 ? null : fd
}

/** Node's spelling to ours: IPv4-mapped addresses as IPv4, IPv6 as in RFC 5952, the zone kept. */
export function canonicalAddress(text: string): string {
  if (!text.includes(':')) return text
  const [address, zone] = splitZone(text)
  try {
    const canonical = formatAddress(parseAddress(address))
    if (canonical.startsWith('::ffff:') && canonical.includes('.')) return canonical.slice(7)
    return zone === null ? canonical : `${canonical}%${zone}`
  } catch {
    return text
  }
}

function dialErrorText(error: NodeJS.ErrnoException, options: DialOptions): string {
  const { address, port, sourceAddress, settings } = options
  switch (error.code) {
    case 'ETIMEDOUT':
      return unansweredText(address, port, settings)
    case 'EADDRNOTAVAIL':
      return sourceAddress === null
        ? `cannot connect to ${address}: no usable local address`
        : `sourceAddress ${sourceAddress} is not an address of this machine: correct it or add the address`
    case 'EINVAL':
      return `cannot connect to ${address}${sourceAddress === null ? '' : ` from ${sourceAddress}`}: the kernel calls that combination invalid (a link-local address needs its interface: fe80::1%eth0)`
    case 'ECONNREFUSED':
      return `connection refused: nothing listens on ${hostPort(address, port)}`
    default:
      return `cannot connect to ${hostPort(address, port)}: ${errorText(error)}`
  }
}

function errorText(error: NodeJS.ErrnoException): string {
  const known = error.code === undefined ? undefined : ERRNO_TEXTS[error.code]
  return known ?? error.message
}

const ERRNO_TEXTS: { readonly [code: string]: string } = Object.freeze({
  ECONNRESET: 'the TCP connection was reset by the peer',
  EPIPE: 'the TCP connection was closed while sending',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'no route to that host, or it does not answer',
  ENETUNREACH: 'no route to that network',
  EACCES: 'the kernel forbids it (a prohibit route or a firewall)',
  EPERM: 'the kernel forbids it (a firewall)',
  EMFILE: 'too many open files: raise the limit of open files (ulimit -n)',
})

/** Above this `write` says full, and `drained` follows: more than a slab of messages, so that one that the kernel takes at once is not 'full'. */
export const HIGH_WATER_OCTETS = 256 * 1024
/** Up to so many octets are taken whatever the time. */
const SMALL_OCTETS = 4096
/** Of a table: some 1600 prefixes, about a millisecond. */
const PIECE_OCTETS = 8192
/** So long, and one more read pass, the first octets of a connection that came in wait for the peer's. */
const HOLD_MS = 1
const NO_DESCRIPTOR = 'this Node.js does not tell the descriptor of a socket: its options cannot be set'
/** How long a connection that we end may take to deliver our last octets. */
const LINGER_MS = 4_000
