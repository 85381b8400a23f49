/**
 * Edge: what the kernel tells on a netlink descriptor bound to multicast groups. The descriptor is put into a Pipe handle of Node.js, which waits for it with
 * epoll: 0.3 ms from the change to us. Where a future Node.js does not let us, it is read by a timer.
 */
import { closeSync, readSync } from 'node:fs'
import type { Socket } from 'node:net'
import { streamOver } from '../sys/descriptor-stream.js'

export interface EventsOptions {
  /** Whole messages, gone after the call. */
  readonly take: (bytes: Uint8Array) => void
  /** Events were lost, and the descriptor is closed. */
  readonly lost: (words: string) => void
  /** `poll` is for tests. */
  readonly wait?: 'handle' | 'poll'
}

export class NetlinkEvents {
  /** How the descriptor is waited for. */
  readonly wait: 'handle' | 'poll'
  readonly fd: number
  readonly #options: EventsOptions
  #socket: Socket | null = null
  #timer: NodeJS.Timeout | null = null
  #closed = false
  readonly #buffer = new Uint8Array(READ_OCTETS)

  constructor(fd: number, options: EventsOptions) {
    this.fd = fd
    this.#options = options
    this.#socket = options.wait === 'poll' ? null : streamOver(fd)
    this.wait = this.#socket === null ? 'poll' : 'handle'
    if (this.#socket === null) this.#timer = setInterval(() => this.#poll(), POLL_MS)
    else this.#listen(this.#socket)
  }

  /** Closes the descriptor. */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#closed = true
    if (this.#timer !== null) {
      clearInterval(this.#timer)
      closeSync(this.fd)
      return Promise.resolve()
    }
    const socket = this.#socket!
    return new Promise((resolve) => {
      socket.once('close', () => resolve())
      socket.destroy()
    })
  }

  #listen(socket: Socket): void {
    let words = 'the descriptor was closed'
    socket.on('data', (chunk: Buffer) => this.#options.take(chunk))
    socket.on('error', (error) => {
      words = error.message
    })
    socket.on('close', () => {
      if (this.#closed) return
      this.#closed = true
      this.#options.lost(words)
    })
  }

  #poll(): void {
    // A flood must not hold the event loop: the rest comes with the next tick.
    for (let i = 0; i < MAX_READS && !this.#closed; i++) {
      try {
        const length = readSync(this.fd, this.#buffer, 0, READ_OCTETS, null)
        this.#options.take(this.#buffer.subarray(0, length))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return
        void this.close()
        this.#options.lost((error as Error).message)
      }
    }
  }
}

const POLL_MS = 150
const MAX_READS = 2000
const READ_OCTETS = 32 << 10
