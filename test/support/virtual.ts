/**
 * Virtual time and TCP connections in memory, for whole peers. Everything happens in `clock.run` and `clock.advance`, in one order.
 */
import type { Clock } from '../../src/bgp/clock.js'
import type { Dial, DialOptions, Link, LinkEvents } from '../../src/bgp/link.js'
import { DeadlineQueue, type Wakeable } from '../../src/bgp/timers.js'

export class VirtualClock implements Clock {
  readonly #queue = new DeadlineQueue()
  readonly #tasks: { atMs: number; readonly order: number; readonly task: () => void }[] = []
  #order = 0
  #nowMs = 1_000

  now(): number {
    return this.#nowMs
  }

  schedule(item: Wakeable, atMs: number): void {
    this.#queue.schedule(item, atMs)
  }

  cancel(item: Wakeable): void {
    this.#queue.cancel(item)
  }

  afterReadPass(callback: () => void): void {
    this.after(0, callback)
  }

  after(delayMs: number, task: () => void): void {
    this.#tasks.push({ atMs: this.#nowMs + delayMs, order: this.#order++, task })
    this.#tasks.sort((a, b) => a.atMs - b.atMs || a.order - b.order)
  }

  /** Everything that is due now. */
  run(): void {
    this.advance(0)
  }

  advance(ms: number): void {
    const end = this.#nowMs + ms
    for (;;) {
      const task = this.#tasks[0]
      if (task !== undefined && task.atMs <= end && task.atMs <= this.#queue.nextMs) {
        this.#nowMs = Math.max(this.#nowMs, task.atMs)
        this.#tasks.shift()
        task.task()
        continue
      }
      if (this.#queue.nextMs > end) break
      this.#nowMs = Math.max(this.#nowMs, this.#queue.nextMs)
      this.#queue.takeDue(this.#nowMs)!.onDeadline(this.#nowMs)
    }
    this.#nowMs = end
  }

  /** The loop was busy: time passes, and nothing was done in it. Then everything that is due happens, timers first as in the real loop. */
  lag(ms: number): void {
    this.#nowMs += ms
    for (let item = this.#queue.takeDue(this.#nowMs); item !== undefined; item = this.#queue.takeDue(this.#nowMs)) {
      item.onDeadline(this.#nowMs)
    }
    this.run()
  }
}

/** Anything that accepts connections, by its address. */
export interface Acceptor {
  accept(link: Link): void
}

export class MemoryNetwork {
  readonly clock: VirtualClock
  readonly links: MemoryLink[] = []
  readonly #acceptors = new Map<string, Acceptor>()
  readonly #latencyMs: () => number

  constructor(clock: VirtualClock, latencyMs: () => number = () => 0) {
    this.clock = clock
    this.#latencyMs = latencyMs
  }

  listen(address: string, acceptor: Acceptor): void {
    this.#acceptors.set(address, acceptor)
  }

  close(address: string): void {
    this.#acceptors.delete(address)
  }

  /** The dialling side of a speaker with this address. */
  dialFrom(localAddress: string): Dial {
    return (options: DialOptions, connected, failed) => {
      let cancelled = false
      this.clock.after(this.#latencyMs(), () => {
        if (cancelled) return
        const acceptor = this.#acceptors.get(options.address)
        if (acceptor === undefined) {
          failed(`connection refused: nothing listens on ${options.address}`)
          return
        }
        const [near, far] = this.#newLinks(localAddress, options.address)
        this.clock.after(this.#latencyMs(), () => acceptor.accept(far))
        connected(near)
      })
      return {
        cancel: () => {
          cancelled = true
        },
      }
    }
  }

  /** A raw connection to a listener: what arrives is in `received`. */
  connect(localAddress: string, address: string): RawEnd {
    const [near, far] = this.#newLinks(localAddress, address)
    const raw = new RawEnd(near)
    this.#acceptors.get(address)!.accept(far)
    return raw
  }

  /** Links of which neither end is closed. */
  get openLinks(): number {
    return this.links.filter((link) => !link.isClosed && !link.other.isClosed).length / 2
  }

  #newLinks(near: string, far: string): [MemoryLink, MemoryLink] {
    const latency = this.#latencyMs()
    const a = new MemoryLink(this.clock, near, far, latency)
    const b = new MemoryLink(this.clock, far, near, latency)
    a.other = b
    b.other = a
    this.links.push(a, b)
    return [a, b]
  }
}

export class MemoryLink implements Link {
  readonly localAddress: string
  readonly remoteAddress: string
  readonly #clock: VirtualClock
  readonly #latencyMs: number
  other!: MemoryLink
  isClosed = false
  /** As a link whose octets wait for a later pass. */
  hasUnread = false
  #paused = false
  #full = false
  #events: LinkEvents | null = null
  /** What arrived and was not read, in order. */
  #inbox: (() => void)[] = []
  pendingOctets = 0

  constructor(clock: VirtualClock, localAddress: string, remoteAddress: string, latencyMs: number) {
    this.#clock = clock
    this.localAddress = localAddress
    this.remoteAddress = remoteAddress
    this.#latencyMs = latencyMs
  }

  write(chunks: readonly Uint8Array[], onTaken: (() => void) | null): boolean {
    for (const [i, chunk] of chunks.entries()) {
      const bytes = Uint8Array.from(chunk)
      this.pendingOctets += bytes.length
      this.#toOther(() => {
        this.pendingOctets -= bytes.length
        this.other.#events?.data(bytes)
        if (i === chunks.length - 1 && !this.isClosed) onTaken?.()
        if (this.pendingOctets > 0 || !this.#full) return
        this.#full = false
        this.#events?.drained()
      })
    }
    this.#full ||= this.pendingOctets > HIGH_WATER_OCTETS
    return !this.#full
  }

  /** The connection breaks: both ends see it. */
  cut(): void {
    for (const end of [this, this.other]) {
      const events = end.#events
      end.#events = null
      end.isClosed = true
      events?.closed('the TCP connection was reset by the peer')
    }
  }

  end(): void {
    this.#close('the peer closed the TCP connection')
  }

  reset(): void {
    this.#close('the TCP connection was reset by the peer')
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#read()
  }

  attach(events: LinkEvents): void {
    this.#events = events
    this.#read()
  }

  #close(text: string): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#events = null
    this.#toOther(() => {
      const events = this.other.#events
      this.other.#events = null
      this.other.isClosed = true
      events?.closed(text)
    })
  }

  #toOther(what: () => void): void {
    this.#clock.after(this.#latencyMs, () => {
      this.other.#inbox.push(what)
      this.other.#read()
    })
  }

  #read(): void {
    while (!this.#paused && (this.#events !== null || this.isClosed)) {
      const next = this.#inbox.shift()
      if (next === undefined) return
      next()
    }
  }
}

/** The end of a connection that a test plays by hand. */
export class RawEnd {
  readonly link: MemoryLink
  readonly received: Uint8Array[] = []
  closedText: string | null = null

  constructor(link: MemoryLink) {
    this.link = link
    link.attach({
      data: (chunk) => this.received.push(Uint8Array.from(chunk)),
      drained: () => {},
      closed: (text) => {
        this.closedText = text
      },
    })
  }

  send(...messages: Uint8Array[]): void {
    this.link.write(messages, null)
  }
}

const HIGH_WATER_OCTETS = 16_384
