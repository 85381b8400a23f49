/**
 * One of the at most two connections of a peer: a session, and the link that carries it. Does what the session wants of the link, and hands
 * everything else to the peer, in order.
 */
import type { Clock } from './clock.js'
import type { NotificationError } from './errors.js'
import type { Attempt, Dial, DialOptions, Link } from './link.js'
import { Session, type SessionOptions, type SessionOutput } from './session.js'
import type { EndedConnection, SessionState } from './session-types.js'

/** What the peer makes of its connections. */
export interface ConnectionOwner {
  readonly clock: Clock
  readonly dial: Dial
  /** Where to connect to, now. */
  dialOptions(): DialOptions
  /** Connecting took so long that it is tried again. */
  dialUnanswered(): void
  /** An output of the session that is not about the link. */
  sessionOutput(connection: PeerConnection, output: PeerOutput): void
  /** A whole UPDATE at buffer[start, end). May throw NotificationError. */
  update(connection: PeerConnection, buffer: Uint8Array, start: number, end: number, nowMs: number): void
  /** What the peer sent ends the session. */
  wrongMessage(error: NotificationError, octets: Uint8Array): void
  /** The socket can take more after having been full. */
  drained(connection: PeerConnection): void
  /** Deadlines may have changed. */
  reschedule(): void
}

export type PeerOutput = Exclude<SessionOutput, { type: 'connect' | 'send' | 'close' }>

export class PeerConnection implements EndedConnection {
  readonly session: Session
  /** What of the session's state has been reported so far. */
  state: SessionState = 'Idle'
  /** The hold timer is due, and the sockets get one more read pass before it is judged. */
  awaitingReadPass = false
  readonly #owner: ConnectionOwner
  #link: Link | null = null
  /** That the session has ended; the peer may still have to read our last words. */
  #endedLink: Link | null = null
  #attempt: Attempt | null = null
  #draining = false

  constructor(options: Omit<SessionOptions, 'onUpdate' | 'onError'>, owner: ConnectionOwner) {
    this.#owner = owner
    this.session = new Session({
      ...options,
      onUpdate: (buffer, start, end, nowMs) => {
        // `established` may have come in the same chunk.
        if (this.session.hasOutputs) this.drain()
        owner.update(this, buffer, start, end, nowMs)
      },
      onError: (error, octets) => owner.wrongMessage(error, octets),
    })
  }

  get link(): Link | null {
    return this.#link
  }

  onceOver(call: () => void): void {
    const link = this.#endedLink
    if (link?.onceOver === undefined) call()
    else link.onceOver(call)
  }

  /** The TCP connection is there, opened by us or by the peer. */
  attach(link: Link): void {
    const { clock } = this.#owner
    this.#link = link
    this.session.connected(clock.now())
    link.attach({
      data: (chunk) => {
        this.session.receiveBytes(chunk, clock.now())
        if (this.session.hasOutputs) this.#settle()
      },
      drained: () => this.#owner.drained(this),
      closed: (text) => {
        this.#link = null
        this.session.disconnected(text, clock.now())
        this.#settle()
      },
    })
    this.#settle()
  }

  /** Does what the session wants, in order. What handlers add meanwhile is done by the outermost call. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    try {
      while (this.session.hasOutputs) {
        for (const output of this.session.takeOutputs()) this.#handle(output)
      }
    } finally {
      this.#draining = false
    }
  }

  onDeadline(nowMs: number): void {
    if (this.awaitingReadPass) return
    if (this.session.holdDeadlineMs > nowMs) {
      const attempt = this.#attempt
      this.session.handleTimeout(nowMs)
      this.drain()
      if (attempt !== null && this.#attempt !== null && attempt !== this.#attempt) this.#owner.dialUnanswered()
      return
    }
    // What the peer sent in time may still lie in the kernel, because we were busy, or wait for its turn.
    this.awaitingReadPass = true
    this.#owner.clock.afterReadPass(() => {
      this.awaitingReadPass = false
      const nowMs = this.#owner.clock.now()
      if (this.#link?.hasUnread === true) this.session.hasUnread(nowMs)
      this.session.handleTimeout(nowMs)
      this.#settle()
    })
  }

  /** Infinity while nothing is to be woken for. */
  get nextDeadlineMs(): number {
    return this.awaitingReadPass ? Number.POSITIVE_INFINITY : this.session.nextDeadlineMs()
  }

  /** Writes UPDATEs as they are; `onTaken` once the kernel has all. */
  writeUpdates(chunks: readonly Uint8Array[], onTaken: () => void): void {
    const link = this.#link
    if (link === null) return
    this.session.updatesSent(this.#owner.clock.now())
    this.#write(link, chunks, onTaken)
  }

  write(bytes: Uint8Array): void {
    if (this.#link !== null) this.#write(this.#link, [bytes], null)
  }

  /** Every write is watched: the send hold timer runs while octets wait, and starts again when some are taken (RFC 9687 §3.1). */
  #write(link: Link, chunks: readonly Uint8Array[], onTaken: (() => void) | null): void {
    const { clock } = this.#owner
    link.write(chunks, () => {
      if (this.#link !== link) return
      if (link.pendingOctets === 0) this.session.outputTaken()
      else this.session.outputPending(true, clock.now())
      onTaken?.()
    })
    if (link.pendingOctets > 0) this.session.outputPending(false, clock.now())
  }

  #settle(): void {
    this.drain()
    this.#owner.reschedule()
  }

  #handle(output: SessionOutput): void {
    switch (output.type) {
      case 'connect':
        this.#dial()
        return
      case 'send':
        this.write(output.bytes)
        return
      case 'close':
        this.#close(output.reset)
        return
      default:
        this.#owner.sessionOutput(this, output)
    }
  }

  #dial(): void {
    const { clock, dial } = this.#owner
    this.#attempt = dial(
      this.#owner.dialOptions(),
      (link) => {
        this.#attempt = null
        this.attach(link)
      },
      (text) => {
        this.#attempt = null
        this.session.disconnected(text, clock.now())
        this.#settle()
      },
    )
  }

  /** What an attempt under way would be made with has changed. */
  dialAgain(): void {
    if (this.#attempt === null) return
    this.#attempt.cancel()
    this.#dial()
  }

  #close(reset: boolean): void {
    const link = this.#link
    const attempt = this.#attempt
    this.#link = null
    this.#endedLink = link
    this.#attempt = null
    attempt?.cancel()
    if (reset) link?.reset()
    else link?.end()
  }
}
