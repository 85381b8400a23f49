/**
 * The last faults of all peers, for `show errors`: a bounded ring in which repeats are folded. Entries outlive their peer. Octets and prefixes are only
 * taken when a fault is new: a repeat costs one lookup.
 */
import { splitReason } from './errors.js'

export type ErrorAction = 'treat-as-withdraw' | 'attribute-discard' | 'session-reset' | 'family-ignored'

export interface ErrorEntry {
  readonly peer: string
  readonly address: string
  /** `UPDATE`, `OPEN`, …; `header` where the type is not to be trusted. */
  readonly message: string
  readonly action: ErrorAction
  /** `RFC 7606 §7.4`; empty where none is named. */
  readonly rule: string
  readonly reason: string
  /** Path attribute type, -1 for none. */
  readonly attribute: number
  /** Code and subcode of the NOTIFICATION that ended the session. */
  readonly notification: { readonly code: number; readonly subcode: number } | null
  /** Monotonic milliseconds. */
  readonly firstAtMs: number
  lastAtMs: number
  /** Messages. */
  count: number
  /** Of the first message: the attribute or message as hex, at most OCTETS_KEPT of `octetsLength` octets. */
  readonly octets: string
  readonly octetsLength: number
  /** Of the first message: the first of `prefixCount` prefixes. */
  readonly prefixes: readonly string[]
  readonly prefixCount: number
  /** The first message, at most WHOLE_KEPT octets of it (RFC 7606 §6). */
  readonly whole: Uint8Array
  readonly wholeLength: number
}

/** What happened. `reason` with its rule in parentheses at the end. */
export type ErrorFact = Pick<ErrorEntry, 'peer' | 'address' | 'message' | 'action' | 'attribute' | 'notification'> & {
  readonly reason: string
  readonly atMs: number
}

/** What of the message is kept; asked for once an entry. */
export interface ErrorDetail {
  readonly octets: Uint8Array
  readonly whole: Uint8Array
  readonly prefixes: readonly string[]
  readonly prefixCount: number
}

export class ErrorLog {
  /** In order of the last time. */
  readonly #entries = new Map<string, ErrorEntry>()
  readonly #countOfPeer = new Map<string, number>()

  get size(): number {
    return this.#entries.size
  }

  /** Newest first. */
  entries(): ErrorEntry[] {
    return [...this.#entries.values()].reverse()
  }

  record(fact: ErrorFact, detail: () => ErrorDetail): ErrorEntry {
    const key = `${fact.peer} ${fact.message} ${fact.action} ${fact.attribute} ${fact.reason}`
    const known = this.#entries.get(key)
    if (known !== undefined) {
      known.count++
      known.lastAtMs = fact.atMs
      this.#entries.delete(key)
      this.#entries.set(key, known)
      return known
    }
    const entry = entryOf(fact, detail())
    this.#makeRoom(fact.peer)
    this.#entries.set(key, entry)
    this.#countOfPeer.set(fact.peer, (this.#countOfPeer.get(fact.peer) ?? 0) + 1)
    return entry
  }

  #makeRoom(peer: string): void {
    const full = (this.#countOfPeer.get(peer) ?? 0) >= MAX_ENTRIES_OF_PEER
    if (!full && this.#entries.size < MAX_ENTRIES) return
    for (const [key, entry] of this.#entries) {
      if (full && entry.peer !== peer) continue
      this.#entries.delete(key)
      const left = this.#countOfPeer.get(entry.peer)! - 1
      if (left === 0) this.#countOfPeer.delete(entry.peer)
      else this.#countOfPeer.set(entry.peer, left)
      return
    }
  }
}

function entryOf(fact: ErrorFact, { octets, whole, prefixes, prefixCount }: ErrorDetail): ErrorEntry {
  const { what, rule } = splitReason(fact.reason)
  const { peer, address, message, action, attribute, notification, atMs } = fact
  const kept = octets.subarray(0, OCTETS_KEPT)
  return {
    peer,
    address,
    message,
    action,
    rule,
    reason: what,
    attribute,
    notification,
    firstAtMs: atMs,
    lastAtMs: atMs,
    count: 1,
    octets: Buffer.from(kept.buffer, kept.byteOffset, kept.length).toString('hex'),
    octetsLength: octets.length,
    prefixes,
    prefixCount,
    whole: whole.slice(0, WHOLE_KEPT),
    wholeLength: whole.length,
  }
}

export const MAX_ENTRIES = 256
export const MAX_ENTRIES_OF_PEER = 32
export const OCTETS_KEPT = 256
/** All of a message, but for extended ones: a megabyte for the whole log. */
export const WHOLE_KEPT = 4096
