/**
 * A naive route reflector for IPv4, as a target whose faults a test chooses: it passes every UPDATE on to all other neighbours at once and
 * remembers nothing.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { HEADER_OCTETS, MessageType } from '../../src/bgp/message/message.js'
import { splitUpdate } from '../../src/bgp/message/update.js'
import { UpdateParts } from '../../src/bgp/message/update-parts.js'
import { Framer } from '../../src/bgp/wire/framer.js'
import { KEEPALIVE, open, update } from '../robustness/client.js'

/** An UPDATE as hex: prefixes and whole attributes. */
export interface Update {
  readonly withdrawn: readonly string[]
  readonly attributes: readonly string[]
  readonly nlri: readonly string[]
}

/** Neighbours are numbered in the order of their addresses: 127.1.0.1 is 0. */
export interface Faults {
  /** What neighbour `to` is sent in place of this UPDATE of neighbour `from`. */
  readonly pass?: (one: Update, from: number, to: number) => readonly Update[]
  /** The originator is sent its own UPDATE too. */
  readonly echoes?: boolean
  /** Octets (hex) sent to neighbour `to` after each UPDATE of `from`; 'close' closes its session. */
  readonly after?: (from: number, to: number, count: number) => string | 'close' | undefined
  /** Sends no KEEPALIVE after the one that answers the OPEN. */
  readonly silent?: boolean
  /** Answers the OPEN. Default: an OPEN of AS 64512 and a KEEPALIVE. */
  readonly answer?: string
}

export class FakeSpeaker {
  readonly #server: Server
  readonly #sockets = new Map<number, Socket>()
  readonly #faults: Faults
  /** NOTIFICATIONs that came, as code/subcode. */
  readonly notifications: string[] = []
  keepalives = 0
  #updates = 0

  constructor(faults: Faults) {
    this.#faults = faults
    this.#server = createServer((socket) => this.#accept(socket))
  }

  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => resolve((this.#server.address() as { port: number }).port))
    })
  }

  close(): Promise<void> {
    for (const socket of this.#sockets.values()) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  #accept(socket: Socket): void {
    const index = Number(socket.remoteAddress?.split('.')[3]) - 1
    this.#sockets.set(index, socket)
    const framer = new Framer()
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(index))
    socket.on('data', (chunk: Buffer) => {
      framer.push(
        chunk,
        (buffer, start, end, type) => this.#message(socket, index, Buffer.from(buffer.slice(start, end)), type),
        4096,
      )
    })
  }

  #message(socket: Socket, index: number, whole: Buffer, type: number): void {
    if (type === MessageType.OPEN) socket.write(Buffer.from(this.#faults.answer ?? open() + KEEPALIVE, 'hex'))
    if (type === MessageType.KEEPALIVE) {
      this.keepalives++
      if (this.#faults.silent !== true) socket.write(Buffer.from(KEEPALIVE, 'hex'))
    }
    if (type === MessageType.NOTIFICATION)
      this.notifications.push(`${whole[HEADER_OCTETS]}/${whole[HEADER_OCTETS + 1]}`)
    if (type === MessageType.UPDATE) this.#update(index, whole)
  }

  #update(from: number, whole: Buffer): void {
    const one = parse(whole, from)
    // End-of-RIB is not passed on.
    if (one.withdrawn.length + one.nlri.length === 0) return
    const count = ++this.#updates
    for (const [to, socket] of this.#sockets) {
      if (to === from && this.#faults.echoes !== true) continue
      for (const passed of this.#faults.pass?.(one, from, to) ?? [one]) {
        const { withdrawn, attributes, nlri } = passed
        socket.write(Buffer.from(update(withdrawn.join(''), attributes.join(''), nlri.join('')), 'hex'))
      }
      const more = this.#faults.after?.(from, to, count)
      if (more === 'close') socket.destroy()
      else if (more !== undefined) socket.write(Buffer.from(more, 'hex'))
    }
  }
}

/** ORIGINATOR_ID and CLUSTER_LIST are added (RFC 4456 §8). */
function parse(whole: Buffer, from: number): Update {
  const parts = new UpdateParts()
  splitUpdate(whole, 0, whole.length, parts)
  const attributes: string[] = []
  for (let at = parts.attributesStart; at < parts.attributesEnd; ) {
    const next = at + 3 + whole[at + 2]!
    attributes.push(whole.toString('hex', at, next))
    at = next
  }
  const address = (0x7f010001 + from).toString(16)
  if (attributes.length > 0) attributes.push(`800904${address}`, '800a040a0a0a0a')
  return {
    withdrawn: prefixes(whole, parts.withdrawnStart, parts.withdrawnEnd),
    attributes,
    nlri: prefixes(whole, parts.nlriStart, parts.nlriEnd),
  }
}

function prefixes(whole: Buffer, start: number, end: number): string[] {
  const found: string[] = []
  for (let at = start; at < end; ) {
    const next = at + 1 + ((whole[at]! + 7) >> 3)
    found.push(whole.toString('hex', at, next))
    at = next
  }
  return found
}
