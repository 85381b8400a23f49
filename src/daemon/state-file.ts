/**
 * The state file (an edge): who the peers of this run are, and where its kernel routes are, for the next one. A small JSON document, written beside itself and moved into place, so that a crash
 * leaves the old or the new one. What cannot be read or written is said in the log, and the daemon goes on as if it had none.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { printable } from '../bgp/wire/text.js'
import type { FamilyName } from '../net/family.js'
import { familyByName } from '../net/family.js'
import { canonicalAddress } from './restart-peers.js'

export interface KnownPeer {
  readonly address: string
  readonly name: string
  /** What the peer keeps of ours over a restart; none: not graceful. */
  readonly families: readonly FamilyName[]
}

/** Where kernel routes of ours may be. */
export interface FibPlace {
  readonly table: number
  readonly protocol: number
}

export interface ReadState {
  readonly peers: readonly KnownPeer[]
  readonly places: readonly FibPlace[]
  /** One line about a file that is there and no use; null else. */
  readonly trouble: string | null
}

export function readState(file: string): ReadState {
  try {
    // A pipe in its place must not make us wait.
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = fstatSync(fd)
      if (!stat.isFile()) throw new Error('it is not a file')
      if (stat.size > MAX_OCTETS) throw new Error(`it has ${stat.size} octets, more than ${MAX_OCTETS}`)
      const text = readFileSync(fd, 'utf8')
      return { peers: parseState(text), places: parsePlaces(text), trouble: null }
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { peers: [], places: [], trouble: null }
    return {
      peers: [],
      places: [],
      trouble: `the state of the last run in ${file} is no use (${(error as Error).message}); this counts as a first start; it is written anew`,
    }
  }
}

/** Throws an Error where the text is not a state. */
export function parseState(text: string): KnownPeer[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error('it is not JSON')
  }
  const { version, peers } = (value ?? {}) as { version?: unknown; peers?: unknown }
  if (version !== VERSION || !Array.isArray(peers)) throw new Error(`it is not a state of version ${VERSION}`)
  if (peers.length > MAX_PEERS) throw new Error(`it names ${peers.length} peers, more than ${MAX_PEERS}`)
  return peers.map((peer: unknown) => {
    const { address, name, families } = (peer ?? {}) as Record<string, unknown>
    if (typeof address !== 'string' || !canonicalAddress(address)) throw new Error('a peer in it has no address')
    if (typeof name !== 'string' || !Array.isArray(families)) throw new Error(`its entry of ${address} is not whole`)
    const known = families.filter((family): family is FamilyName => familyByName(String(family)) !== undefined)
    return { address, name: printable(name.slice(0, 256)), families: known }
  })
}

/** Of a text that is a state; files of earlier versions name none. */
function parsePlaces(text: string): FibPlace[] {
  const { fib } = JSON.parse(text) as { fib?: unknown }
  if (!Array.isArray(fib)) return []
  return fib.slice(0, MAX_PLACES).flatMap((place: unknown) => {
    const { table, protocol } = (place ?? {}) as Record<string, unknown>
    if (!isWithin(table, 0xffffffff) || !isWithin(protocol, 255) || FOREIGN_PROTOCOLS.has(protocol)) return []
    return [{ table, protocol }]
  })
}

function isWithin(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max
}

export class StateWriter {
  readonly #file: string
  readonly #trouble: (text: string) => void
  readonly #betweenMs: number
  places: readonly FibPlace[] = []
  #wanted: Iterable<KnownPeer> | null = null
  #written = ''
  #writing: Promise<void> | null = null
  /** When the next write may be, by performance.now(). */
  #dueMs = 0
  readonly #last = new AbortController()

  /** `betweenMs`: between two writes, at least. */
  constructor(file: string, trouble: (text: string) => void, betweenMs = BETWEEN_WRITES_MS) {
    this.#file = file
    this.#trouble = trouble
    this.#betweenMs = betweenMs
  }

  /** Resolves when this, or what came after it, is on the disk or could not be written. `isLast`: nothing comes after it, and it is written at once. */
  write(peers: Iterable<KnownPeer>, isLast = false): Promise<void> {
    this.#wanted = peers
    if (isLast) this.#last.abort()
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null
    })
    return this.#writing
  }

  async #writeAll(): Promise<void> {
    while (this.#wanted !== null) {
      await this.#pause()
      const beganMs = performance.now()
      const text = `${JSON.stringify({ version: VERSION, peers: [...this.#wanted], fib: this.places }, null, 1)}\n`
      this.#wanted = null
      const tookMs = performance.now() - beganMs
      this.#dueMs = beganMs + Math.max(this.#betweenMs, tookMs * PAUSE_PER_WORK)
      if (text !== this.#written) await this.#put(text)
    }
  }

  /** A thousand peers that come up one after the other are a few writes, not a thousand. */
  async #pause(): Promise<void> {
    const ms = this.#dueMs - performance.now()
    const { signal } = this.#last
    if (ms > 0) await setTimeout(ms, undefined, { signal, ref: false }).catch(() => {})
  }

  async #put(text: string): Promise<void> {
    const beside = `${this.#file}.${process.pid}.new`
    try {
      await writeFile(beside, text, { mode: 0o600 })
      await rename(beside, this.#file)
      this.#written = text
    } catch (error) {
      await rm(beside, { force: true }).catch(() => {})
      this.#trouble(
        `cannot write the state file ${this.#file}: ${(error as Error).message}; the next start will not know its graceful peers; correct stateFile or the rights`,
      )
    }
  }
}

const VERSION = 1
const BETWEEN_WRITES_MS = 20
/** Making the text of thousands of peers takes no more than a hundredth of the time. */
const PAUSE_PER_WORK = 100
/** A peer has about 100 octets. */
const MAX_OCTETS = 8 << 20
/** More changes of `fib` than anybody makes before a sweep. */
const MAX_PLACES = 16
/** Never ours, whatever the file says: redirect, kernel, boot, static, bird, dhcp, felix. */
const FOREIGN_PROTOCOLS: ReadonlySet<unknown> = new Set([1, 2, 3, 4, 12, 16, 17, 80])
const MAX_PEERS = 50_000
