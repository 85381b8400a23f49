/** A BGP neighbour that sends whatever octets it is told to, and keeps what it is answered. */
import { connect, type Socket } from 'node:net'

export const MARKER = 'ff'.repeat(16)
export const KEEPALIVE = message(4, '')

/** A message: header and this body, both hex. `length` lies where it is given. */
export function message(type: number, body: string, length = 19 + body.length / 2): string {
  return MARKER + hex16(length) + hex8(type) + body
}

export interface OpenOptions {
  readonly asn?: number
  readonly holdTime?: number
  readonly id?: string
  readonly capabilities?: string
}

/** OPEN with the capabilities of a plain speaker: IPv4 unicast, route refresh, 4-octet AS. */
export function open({ asn = 64512, holdTime = 90, id = '10.0.0.2', capabilities }: OpenOptions = {}): string {
  const offered = capabilities ?? `010400010001020041${hex8(4)}${hex32(asn)}`
  const parameters = offered === '' ? '' : `02${hex8(offered.length / 2)}${offered}`
  return message(1, `04${hex16(asn)}${hex16(holdTime)}${hexIpv4(id)}${hex8(parameters.length / 2)}${parameters}`)
}

/** Prefixes as NLRI octets; attributes hex. */
export function update(withdrawn: string, attributes: string, nlri: string): string {
  return message(2, `${hex16(withdrawn.length / 2)}${withdrawn}${hex16(attributes.length / 2)}${attributes}${nlri}`)
}

export const ORIGIN = '40010100'
export const AS_PATH = '400200'
export const NEXT_HOP = '4003040a090909'
export const LOCAL_PREF = '40050400000064'
export const GOOD = ORIGIN + AS_PATH + NEXT_HOP + LOCAL_PREF

/** `10.1.2.0/24` as NLRI. */
export function nlri(prefix: string): string {
  const [address = '', length = '32'] = prefix.split('/')
  return hex8(Number(length)) + hexIpv4(address).slice(0, 2 * Math.ceil(Number(length) / 8))
}

const LIMIT_MS = 20_000

export class Client {
  readonly address: string
  readonly socket: Socket
  received: Buffer = Buffer.alloc(0)
  octets = 0
  isClosed = false
  error = ''
  /** False: only counts what comes. */
  keeps = true
  onData: (chunk: Buffer) => void = () => {}
  readonly #waiting = new Set<() => void>()

  constructor(port: number, address: string, target = '127.0.0.1') {
    this.address = address
    this.socket = connect({ host: target, port, localAddress: address, noDelay: true })
    this.socket.on('error', (error) => {
      this.error = error.message
    })
    this.socket.on('close', () => {
      this.isClosed = true
      this.#look()
    })
    this.socket.on('connect', () => this.#look())
    this.socket.on('data', (chunk: Buffer) => {
      this.octets += chunk.length
      if (this.keeps) this.received = Buffer.concat([this.received, chunk])
      this.onData(chunk)
      this.#look()
    })
  }

  /** Waits for what comes on the connection. The limit only ends a wait that would never end. */
  until(what: string, probe: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look)
        reject(
          new Error(
            `${this.address}: waited ${LIMIT_MS / 1000} s until it ${what}; ${this.error} ${this.notification()}`,
          ),
        )
      }, LIMIT_MS)
      const look = (): void => {
        if (!probe()) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }

  #look(): void {
    for (const look of [...this.#waiting]) look()
  }

  async connected(): Promise<void> {
    await this.until('is connected', () => this.isClosed || this.socket.readyState === 'open')
    if (this.isClosed) throw new Error(`${this.address}: ${this.error || 'closed'}`)
  }

  send(...messages: string[]): void {
    for (const one of messages) this.socket.write(Buffer.from(one, 'hex'))
  }

  /** Whole messages received so far: type and body hex. */
  messages(): { type: number; body: string }[] {
    const found: { type: number; body: string }[] = []
    for (let at = 0; at + 19 <= this.received.length; ) {
      const length = this.received.readUInt16BE(at + 16)
      if (at + length > this.received.length) break
      found.push({ type: this.received[at + 18]!, body: this.received.toString('hex', at + 19, at + length) })
      at += length
    }
    return found
  }

  /** The NOTIFICATION that came: code, subcode and data, hex. */
  notification(): string {
    return this.messages().find(({ type }) => type === 3)?.body ?? ''
  }

  /** OPEN and KEEPALIVE exchanged. */
  async establish(options: OpenOptions = {}): Promise<this> {
    await this.connected()
    this.send(open({ id: this.address, ...options }), KEEPALIVE)
    await this.until('is Established', () => this.messages().some(({ type }) => type === 4) || this.isClosed)
    if (this.isClosed) throw new Error(`${this.address} was closed: ${this.error} ${this.notification()}`)
    return this
  }

  closed(): Promise<void> {
    return this.until('is closed', () => this.isClosed)
  }

  end(): void {
    this.socket.destroy()
  }
}

function hexIpv4(address: string): string {
  return address
    .split('.')
    .map((octet) => hex8(Number(octet)))
    .join('')
}
export function hex8(value: number): string {
  return value.toString(16).padStart(2, '0')
}
export function hex16(value: number): string {
  return value.toString(16).padStart(4, '0')
}
export function hex32(value: number): string {
  return value.toString(16).padStart(8, '0')
}
