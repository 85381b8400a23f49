/**
 * Two BGP sessions joined in memory, in virtual time. `a` opens the connection. Bytes go over when `settle` runs; `toNextDeadline` moves
 * the time. What an end said and did is in `outputs`; the messages it sent in `sent`.
 */
import { Session, type SessionOptions, type SessionOutput } from '../../src/bgp/session.js'
import { newPeerCounters } from '../../src/bgp/session-types.js'
import { Family } from '../../src/net/family.js'

export interface End {
  readonly session: Session
  readonly outputs: SessionOutput[]
  /** Whole messages. */
  readonly sent: Uint8Array[]
  readonly updates: Uint8Array[]
  /** True: what it sends is lost, as with a frozen peer or a dead link. */
  silent: boolean
  connected: boolean
}

export type EndOptions = Partial<SessionOptions>

export class Pair {
  readonly a: End
  readonly b: End
  nowMs = 0

  constructor(a: EndOptions = {}, b: EndOptions = {}) {
    this.a = newEnd({ direction: 'out', asn: 64512, peerAsn: b.asn ?? 64513, routerId: 1, ...a })
    this.b = newEnd({ direction: 'in', asn: 64513, peerAsn: a.asn ?? 64512, routerId: 2, ...b })
  }

  /** Connects and exchanges everything there is to say. */
  open(): this {
    this.b.session.start(this.nowMs)
    this.a.session.start(this.nowMs)
    this.settle()
    return this
  }

  /** Carries bytes and closures over until nothing moves. */
  settle(): void {
    let moved = true
    while (moved) moved = this.#carry(this.a, this.b) || this.#carry(this.b, this.a)
  }

  /** Moves time to the earliest deadline of both, at most `limitMs` ahead, and serves it. False: there is none. */
  toNextDeadline(limitMs = Number.POSITIVE_INFINITY): boolean {
    const next = Math.min(this.a.session.nextDeadlineMs(), this.b.session.nextDeadlineMs())
    if (next > this.nowMs + limitMs || next === Number.POSITIVE_INFINITY) return false
    this.nowMs = Math.max(this.nowMs, next)
    this.a.session.handleTimeout(this.nowMs)
    this.b.session.handleTimeout(this.nowMs)
    this.settle()
    return true
  }

  /** Serves all deadlines of the next `ms`. */
  run(ms: number): void {
    const end = this.nowMs + ms
    while (this.toNextDeadline(end - this.nowMs));
    this.nowMs = end
  }

  #carry(from: End, to: End): boolean {
    const outputs = from.session.takeOutputs()
    for (const output of outputs) {
      from.outputs.push(output)
      if (output.type === 'connect') this.#connect()
      else if (output.type === 'send') this.#send(from, to, output.bytes)
      else if (output.type === 'close') this.#close(from, to)
    }
    return outputs.length > 0
  }

  #connect(): void {
    for (const end of [this.a, this.b]) {
      end.connected = true
      end.session.connected(this.nowMs)
    }
  }

  #send(from: End, to: End, bytes: Uint8Array): void {
    from.sent.push(bytes)
    if (!from.silent && to.connected) to.session.receiveBytes(bytes, this.nowMs)
  }

  #close(from: End, to: End): void {
    from.connected = false
    if (from.silent || !to.connected) return
    to.connected = false
    to.session.disconnected('the peer closed the TCP connection', this.nowMs)
  }
}

function newEnd(options: EndOptions & Pick<SessionOptions, 'direction' | 'asn' | 'peerAsn' | 'routerId'>): End {
  const updates: Uint8Array[] = []
  const session = new Session({
    families: [Family.IPV4_UNICAST],
    holdTimeSeconds: 90,
    keepaliveSeconds: 0,
    connectRetryMs: 5_000,
    sendCapabilities: true,
    counters: newPeerCounters(),
    random: () => 0.5,
    onUpdate: (buffer, start, end) => updates.push(Uint8Array.from(buffer.subarray(start, end))),
    ...options,
  })
  return { session, outputs: [], sent: [], updates, silent: false, connected: false }
}

/** A message from its type and body, in hex: `message(4)`, `message(3, '0602')`. */
export function message(type: number, body = ''): Uint8Array {
  const octets = Buffer.from(body.replace(/\s/g, ''), 'hex')
  const length = 19 + octets.length
  return Uint8Array.from([...new Array<number>(16).fill(255), length >> 8, length & 255, type, ...octets])
}

/** What an end sent, without markers and lengths: type and body in hex. */
export function bodies(messages: readonly Uint8Array[]): string[] {
  return messages.map((bytes) => `${bytes[18]} ${Buffer.from(bytes.subarray(19)).toString('hex')}`.trim())
}
