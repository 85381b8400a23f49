/**
 * What a peer needs of a TCP connection. src/bgp/transport.ts makes these of sockets; tests join two of them in memory.
 */

import type { Secret } from '../config/secret.js'
import type { SocketSettings } from './socket-settings.js'

export interface Link {
  /** Canonical text; a link-local address carries its zone. */
  readonly localAddress: string
  readonly remoteAddress: string
  /** Octets given and not yet taken by the kernel. */
  readonly pendingOctets: number
  /** Something was read that the owner has not been given yet: the peer is not silent. Links in memory have nothing of the kind. */
  readonly hasUnread?: boolean
  /** Takes the chunks as they are, as one write. `onTaken` when the kernel has all of them; it may never come. False: full, wait for `drained`. */
  write(chunks: readonly Uint8Array[], onTaken: (() => void) | null): boolean
  /** Ends the connection after what was written. No more events. */
  end(): void
  /** Ends it at once (RST). No more events. */
  reset(): void
  /** Calls when both ends have closed the connection, or one has given it up; at once when that has been. Links in memory have none: there both end together. */
  onceOver?(call: () => void): void
  pause(): void
  resume(): void
  /** Who gets the events from now on. Until it is called nothing is read. */
  attach(events: LinkEvents): void
  /** Of a connection that came in: what the neighbour asks of its socket. Empty, or what failed in one line. Links in memory have none. */
  adopt?(settings: SocketSettings): string
  /** The connection goes on with another password. Empty, or what failed in one line. */
  changeKey?(password: Secret): string
}

export interface LinkEvents {
  /** The chunk belongs to the link: valid during the call. */
  data(chunk: Uint8Array): void
  /** The socket took everything after having been full. */
  drained(): void
  /** Once; the reason in words. */
  closed(text: string): void
}

export interface DialOptions {
  readonly address: string
  readonly port: number
  readonly sourceAddress: string | null
  readonly settings: SocketSettings
}

export interface Attempt {
  /** Gives up; no more calls. */
  cancel(): void
}

/** Opens a connection. Exactly one of the two is called, later, unless cancelled. */
export type Dial = (options: DialOptions, connected: (link: Link) => void, failed: (text: string) => void) => Attempt
