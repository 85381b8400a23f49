/**
 * Edge: one simulated neighbour, a BGP session that is opened from an address of its own, keeps its timers and hands every UPDATE on, in place.
 * It is as small as can be (thousands of them), so that what is measured is the target.
 */
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { localCapabilities, negotiate } from '../bgp/capabilities/negotiate.js'
import { NO_DATA, NotificationError } from '../bgp/errors.js'
import { KEEPALIVE_BYTES } from '../bgp/message/keepalive.js'
import { MAX_MESSAGE_OCTETS, MessageType, type Negotiated } from '../bgp/message/message.js'
import { decodeNotification, encodeNotification } from '../bgp/message/notification.js'
import { decodeOpen, encodeOpen } from '../bgp/message/open.js'
import { describeNotification } from '../bgp/reason.js'
import { Framer } from '../bgp/wire/framer.js'
import type { Family } from '../net/family.js'
import type { Member } from './plan.js'
import { ReadTurns } from './turns.js'

export interface NeighbourSettings {
  readonly host: string
  readonly port: number
  readonly targetAsn: number
  readonly holdTimeSeconds: number
  readonly family: Family
}

/** Why a session, or an attempt at one, is over. */
export interface Ending {
  readonly kind:
    | 'address' // the local address cannot be used
    | 'connect' // no TCP connection
    | 'closed' // by the target, without a word
    | 'notification' // by the target
    | 'protocol' // what the target sent cannot be taken, or nothing came
  readonly text: string
  /** Trying again makes no sense: the two ends are configured differently. */
  readonly isFinal: boolean
}

export interface NeighbourEvents {
  established(neighbour: Neighbour): void
  /** Throws NotificationError where the session has to end. */
  update(neighbour: Neighbour, buffer: Uint8Array, start: number, end: number, nowMs: number): void
  /** All that lay readable was taken. */
  chunkDone(neighbour: Neighbour, nowMs: number): void
  ended(neighbour: Neighbour, ending: Ending, wasEstablished: boolean): void
}

export class Neighbour {
  readonly member: Member
  isEstablished = false
  /** The TCP connection stood, in this attempt. */
  isConnected = false
  negotiated: Negotiated | null = null
  startedMs = 0
  readonly #settings: NeighbourSettings
  readonly #events: NeighbourEvents
  #socket: Socket | null = null
  #framer = new Framer()
  #errorEnding: Ending | null = null
  #heardMs = 0
  #saidMs = 0
  #nowMs = 0

  constructor(member: Member, settings: NeighbourSettings, events: NeighbourEvents) {
    this.member = member
    this.#settings = settings
    this.#events = events
  }

  get isOpen(): boolean {
    return this.#socket !== null
  }

  open(): void {
    const { host, port } = this.#settings
    this.#framer = new Framer()
    this.#errorEnding = null
    this.isConnected = false
    this.negotiated = null
    this.startedMs = performance.now()
    this.#heardMs = this.startedMs
    const socket: Socket = connect({
      host,
      port,
      localAddress: this.member.address,
      noDelay: true,
      // One buffer for all sockets: what is read is taken before the next read.
      onread: { buffer: READ_BUFFER, callback: (octets) => this.#read(socket, octets) },
    })
    this.#socket = socket
    socket.on('connect', () => this.#connected(socket))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#errorEnding = endingOf(error, this.member.address, host, port)
    })
    socket.on('end', () => this.#closed(socket))
    socket.on('close', () => this.#closed(socket))
  }

  /** Octets of whole messages. */
  write(chunks: readonly Uint8Array[]): void {
    const socket = this.#socket
    if (socket === null || chunks.length === 0) return
    this.#saidMs = performance.now()
    if (chunks.length === 1) {
      socket.write(chunks[0]!)
      return
    }
    socket.cork()
    for (const chunk of chunks) socket.write(chunk)
    socket.uncork()
  }

  /** KEEPALIVEs and timeouts. `judgesHold`: there was time to read what came. */
  tick(nowMs: number, judgesHold: boolean): void {
    if (this.#socket === null) return
    const silentMs = nowMs - this.#heardMs
    const { negotiated } = this
    if (negotiated === null) {
      if (silentMs > OPENING_LIMIT_MS) this.#silence()
      return
    }
    if (negotiated.holdTimeSeconds === 0) return
    if (judgesHold && silentMs > negotiated.holdTimeSeconds * 1000) {
      this.#refuse(
        new NotificationError(
          4,
          0,
          `nothing came from the target for its hold time of ${negotiated.holdTimeSeconds} s`,
        ),
      )
      return
    }
    if (nowMs - this.#saidMs >= negotiated.keepaliveSeconds * 1000) this.write([KEEPALIVE_BYTES])
  }

  /** Ends the session with Cease/Administrative Shutdown; nothing is reported. Resolves when the socket is closed. */
  close(): Promise<void> {
    const socket = this.#release()
    if (socket === null) return Promise.resolve()
    this.isEstablished = false
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    if (this.isConnected) endSocket(socket, encodeNotification(6, 2, NO_DATA))
    else socket.destroy()
    return closed
  }

  #connected(socket: Socket): void {
    if (this.#socket !== socket) return
    this.isConnected = true
    this.#heardMs = performance.now()
    const { family, holdTimeSeconds } = this.#settings
    const { asn, bgpId } = this.member
    const capabilities = localCapabilities({ asn, families: [family], routeRefresh: false })
    this.write([encodeOpen({ asn, holdTimeSeconds, bgpId, capabilities })])
  }

  #read(socket: Socket, octets: number): boolean {
    // After the end what still comes is read and thrown away: a RST could cost the target our NOTIFICATION.
    if (this.#socket !== socket) return true
    const nowMs = performance.now()
    this.#nowMs = nowMs
    this.#heardMs = nowMs
    try {
      this.#framer.push(READ_BUFFER.subarray(0, octets), this.#onMessage, MAX_MESSAGE_OCTETS)
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error
      this.#refuse(error)
    }
    this.#events.chunkDone(this, nowMs)
    return octets < READ_BUFFER.length || READ_TURNS.goesOn(socket, nowMs)
  }

  readonly #onMessage = (buffer: Uint8Array, start: number, end: number, type: number): void => {
    if (type === MessageType.UPDATE && this.isEstablished) {
      this.#events.update(this, buffer, start, end, this.#nowMs)
      return
    }
    switch (type) {
      case MessageType.OPEN:
        this.#opened(buffer, start, end)
        break
      case MessageType.KEEPALIVE:
        if (this.negotiated === null) throw new NotificationError(5, 1, 'the target sent KEEPALIVE before OPEN')
        if (this.isEstablished) break
        this.isEstablished = true
        this.#events.established(this)
        break
      case MessageType.NOTIFICATION: {
        const { code, subcode, data } = decodeNotification(buffer, start, end)
        // OPEN Message Error: the two ends do not fit together. Cease: perhaps later.
        const text = describeNotification(code, subcode, data)
        this.#finish({ kind: 'notification', text, isFinal: code === 2 && !this.isEstablished })
        break
      }
      case MessageType.UPDATE:
        throw new NotificationError(
          5,
          this.negotiated === null ? 1 : 2,
          'the target sent UPDATE before the session stood',
        )
    }
  }

  #opened(buffer: Uint8Array, start: number, end: number): void {
    if (this.negotiated !== null) throw new NotificationError(5, this.isEstablished ? 3 : 2, 'a second OPEN')
    const { targetAsn, holdTimeSeconds, family } = this.#settings
    const open = decodeOpen(buffer, start, end)
    if (open.asn !== targetAsn) {
      throw new NotificationError(2, 2, `the target's AS is ${open.asn}, not ${targetAsn}: correct --asn`)
    }
    const offer = {
      asn: this.member.asn,
      families: [family],
      routeRefresh: false,
      holdTimeSeconds,
      keepaliveSeconds: 0,
    }
    const negotiated = negotiate(offer, open)
    if (negotiated.families.length === 0) {
      throw new NotificationError(2, 7, 'the target does not offer the address family: configure it there')
    }
    this.negotiated = negotiated
    this.write([KEEPALIVE_BYTES])
  }

  /** The target has sent what cannot be, or nothing for too long. */
  #refuse(error: NotificationError): void {
    const socket = this.#socket
    if (socket === null) return
    endSocket(socket, encodeNotification(error.code, error.subcode, error.data))
    const isFinal = error.code === 2 && !this.isEstablished
    this.#finish({ kind: 'protocol', text: error.message, isFinal })
  }

  #silence(): void {
    const seconds = OPENING_LIMIT_MS / 1000
    this.#socket?.destroy()
    if (!this.isConnected) this.#finish(unreachable(`no answer to the connection attempt within ${seconds} s`))
    else this.#finish({ kind: 'closed', text: `the target sent no OPEN within ${seconds} s`, isFinal: false })
  }

  #closed(socket: Socket): void {
    if (this.#socket !== socket) return
    socket.destroy()
    const text = this.isEstablished
      ? 'the target closed the TCP connection without a NOTIFICATION'
      : 'the target closed the TCP connection before the session stood: does it know a neighbour of this address?'
    this.#finish(this.#errorEnding ?? { kind: 'closed', text, isFinal: false })
  }

  #finish(ending: Ending): void {
    const wasEstablished = this.isEstablished
    this.isEstablished = false
    this.#framer.stop()
    const socket = this.#release()
    if (ending.kind === 'notification' && socket !== null) endSocket(socket, NO_DATA)
    this.#events.ended(this, ending, wasEstablished)
  }

  #release(): Socket | null {
    const socket = this.#socket
    this.#socket = null
    return socket
  }
}

/** Last octets, FIN, and an end to the waiting for a target that does not close its side. */
function endSocket(socket: Socket, last: Uint8Array): void {
  socket.end(last)
  const timer = setTimeout(() => socket.destroy(), CLOSE_LIMIT_MS)
  socket.once('close', () => clearTimeout(timer))
}

function endingOf(error: NodeJS.ErrnoException, address: string, host: string, port: number): Ending {
  switch (error.code) {
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
    case 'EAFNOSUPPORT': {
      const text = `cannot connect from ${address}: give addresses of this machine that reach ${host} with --local-addresses or --source`
      return { kind: 'address', text, isFinal: true }
    }
    case 'ECONNREFUSED':
      return unreachable(`connection refused: nothing listens on ${host} port ${port}`)
    case 'ECONNRESET':
      return { kind: 'closed', text: 'the target reset the TCP connection', isFinal: false }
    case 'EPIPE':
      return { kind: 'closed', text: 'the target closed the TCP connection while sending', isFinal: false }
    default:
      return unreachable(`cannot connect to ${host} port ${port}: ${error.message}`)
  }
}

function unreachable(text: string): Ending {
  return { kind: 'connect', text, isFinal: false }
}

const READ_BUFFER = Buffer.alloc(256 * 1024)
const READ_TURNS = new ReadTurns()
const OPENING_LIMIT_MS = 10_000
const CLOSE_LIMIT_MS = 2000
