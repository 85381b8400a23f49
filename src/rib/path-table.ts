/**
 * All paths of one family: a path is what one source says of one prefix (RFC 4271 §3.2, Adj-RIB-In), with ADD-PATH under one received path identifier
 * (RFC 7911 §2). Records lie in typed arrays with a free list; a path is in two lists, that of its prefix and that of its source.
 *
 * Cost: 36 octets a path, 9 a prefix. Two columns are made when they are needed first: 4 octets a path for received identifiers, 4 for who holds the record.
 * Path id 0 means none. find() and remove() walk the paths of the prefix: their time grows with how many sources and identifiers it has.
 */
import { grown } from './columns.js'

export class PathTable {
  /** By path id. */
  prefix = new Int32Array(INITIAL)
  source = new Int32Array(INITIAL)
  /** Attribute set as received. */
  received = new Int32Array(INITIAL)
  /** Attribute set after import policy; 0 while the path is not used. */
  effective = new Int32Array(INITIAL)
  nextOfPrefix = new Int32Array(INITIAL)
  nextOfSource = new Int32Array(INITIAL)
  previousOfSource = new Int32Array(INITIAL)
  /** Seconds since the start of the RIB. */
  stampSeconds = new Int32Array(INITIAL)
  /** PathState: why it is not used, 0 when it is. */
  state = new Uint8Array(INITIAL)
  weight = new Uint16Array(INITIAL)
  /** RibSource.generation at the time of the last announcement; another one than the source's now: stale. */
  generation = new Uint8Array(INITIAL)
  /** Identifier under which the peer sent it, as i32; empty until a peer has sent one. */
  #receivedIds = NONE
  /** How many announce the record to somebody, by its id; below 0: as many, and the path is gone. Empty until somebody does. */
  #holds = NONE
  /**
   * By prefix id: the last of its paths that are gone and held; earlier ones by nextOfPrefix, and back by previousOfSource. Announced again, such a path gets its
   * record back.
   */
  readonly #gone = new Map<number, number>()

  /** By prefix id: its first path and its winner. */
  firstOfPrefix = new Int32Array(INITIAL)
  best = new Int32Array(INITIAL)
  /** DecisionReason: the step that made the winner win. */
  bestReason = new Uint8Array(INITIAL)

  readonly #freeIds: number[] = []
  #end = 1
  #count = 0
  #prefixes = 0
  #goneCount = 0

  get size(): number {
    return this.#count
  }
  /** Prefixes that have a path. */
  get prefixes(): number {
    return this.#prefixes
  }
  get end(): number {
    return this.#end
  }
  /** Paths that are gone, and whose ids somebody still announces: they take the same memory. */
  get goneCount(): number {
    return this.#goneCount
  }
  /** Octets of its arrays. */
  get arrayOctets(): number {
    const byPath = this.prefix.length * (8 * WORD_OCTETS + 2 + 2)
    return (
      byPath + this.#receivedIds.byteLength + this.#holds.byteLength + this.firstOfPrefix.length * (2 * WORD_OCTETS + 1)
    )
  }

  /** Makes the columns by prefix long enough. */
  reservePrefixes(capacity: number): void {
    if (capacity <= this.firstOfPrefix.length) return
    this.firstOfPrefix = grown(this.firstOfPrefix, capacity)
    this.best = grown(this.best, capacity)
    this.bestReason = grown(this.bestReason, capacity)
  }

  /** The path of `source` for `prefix` under a received identifier, 0 when there is none. */
  find(prefix: number, source: number, receivedId = 0): number {
    let path = this.firstOfPrefix[prefix]!
    const ids = this.#receivedIds
    const wanted = receivedId | 0
    if (ids.length === 0) {
      if (wanted !== 0) return 0
      while (path !== 0 && this.source[path] !== source) path = this.nextOfPrefix[path]!
      return path
    }
    while (path !== 0 && (this.source[path] !== source || ids[path] !== wanted)) path = this.nextOfPrefix[path]!
    return path
  }

  /** How many paths `source` has for `prefix`. */
  countOf(prefix: number, source: number): number {
    let count = 0
    for (let path = this.firstOfPrefix[prefix]!; path !== 0; path = this.nextOfPrefix[path]!)
      if (this.source[path] === source) count++
    return count
  }

  /** u32: the identifier under which the peer sent the path, 0 without ADD-PATH. */
  receivedIdOf(path: number): number {
    return this.#receivedIds.length === 0 ? 0 : this.#receivedIds[path]! >>> 0
  }

  /**
   * Somebody announces the path under its id (RFC 7911 §3): the id is not given to another path before release(), and the record names its prefix until then.
   * The same path, gone and announced again meanwhile, has the same id.
   */
  retain(path: number): void {
    if (this.#holds.length < this.prefix.length) this.#holds = grown(this.#holds, this.prefix.length)
    this.#holds[path]! += this.#holds[path]! < 0 ? -1 : 1
  }

  release(path: number): void {
    const holds = this.#holds[path]!
    this.#holds[path] = holds < 0 ? holds + 1 : holds - 1
    if (holds !== -1) return
    this.#unlinkGone(path)
    this.#freeIds.push(path)
  }

  /** The record of the same path, gone and still held: under its old id, so that a path that comes and goes does not take one id after the other. */
  #goneAgain(prefix: number, source: number, receivedId: number): number {
    let path = this.#gone.get(prefix) ?? 0
    for (let looked = 0; path !== 0 && looked < GONE_LOOKED_AT; looked++, path = this.nextOfPrefix[path]!) {
      if (this.source[path] !== source || this.receivedIdOf(path) !== receivedId >>> 0) continue
      this.#unlinkGone(path)
      this.#holds[path] = -this.#holds[path]!
      return path
    }
    return 0
  }

  #linkGone(path: number): void {
    const prefix = this.prefix[path]!
    const after = this.#gone.get(prefix) ?? 0
    this.nextOfPrefix[path] = after
    this.previousOfSource[path] = 0
    if (after !== 0) this.previousOfSource[after] = path
    this.#gone.set(prefix, path)
    this.#goneCount++
  }

  #unlinkGone(path: number): void {
    const prefix = this.prefix[path]!
    const before = this.previousOfSource[path]!
    const after = this.nextOfPrefix[path]!
    if (after !== 0) this.previousOfSource[after] = before
    if (before !== 0) this.nextOfPrefix[before] = after
    else if (after !== 0) this.#gone.set(prefix, after)
    else this.#gone.delete(prefix)
    this.#goneCount--
  }

  /** A new path in the lists of its prefix and its source. `head` is the first path of the source; the new one becomes it. */
  insert(prefix: number, source: number, head: number, receivedId = 0): number {
    const again = this.#gone.size > 0 && this.#gone.has(prefix) ? this.#goneAgain(prefix, source, receivedId) : 0
    const path = again || (this.#freeIds.pop() ?? this.#end++)
    if (path >= this.prefix.length) this.#grow()
    if (receivedId !== 0 || this.#receivedIds.length > 0) this.#setReceivedId(path, receivedId)
    this.prefix[path] = prefix
    this.source[path] = source
    if (this.firstOfPrefix[prefix] === 0) this.#prefixes++
    this.nextOfPrefix[path] = this.firstOfPrefix[prefix]!
    this.firstOfPrefix[prefix] = path
    this.nextOfSource[path] = head
    this.previousOfSource[path] = 0
    if (head !== 0) this.previousOfSource[head] = path
    this.#count++
    return path
  }

  /** Takes a path out of its lists. Returns the source's new head, given the old one. */
  remove(path: number, head: number): number {
    const prefix = this.prefix[path]!
    let at = this.firstOfPrefix[prefix]!
    if (at === path) {
      this.firstOfPrefix[prefix] = this.nextOfPrefix[path]!
      if (this.nextOfPrefix[path] === 0) this.#prefixes--
    } else {
      while (this.nextOfPrefix[at] !== path) at = this.nextOfPrefix[at]!
      this.nextOfPrefix[at] = this.nextOfPrefix[path]!
    }
    const before = this.previousOfSource[path]!
    const after = this.nextOfSource[path]!
    if (before !== 0) this.nextOfSource[before] = after
    if (after !== 0) this.previousOfSource[after] = before
    if (this.#holds.length > path && this.#holds[path] !== 0) {
      this.#holds[path] = -this.#holds[path]!
      this.#linkGone(path)
    } else this.#freeIds.push(path)
    this.#count--
    return before === 0 ? after : head
  }

  #setReceivedId(path: number, receivedId: number): void {
    if (this.#receivedIds.length < this.prefix.length) this.#receivedIds = grown(this.#receivedIds, this.prefix.length)
    this.#receivedIds[path] = receivedId
  }

  #grow(): void {
    const size = this.prefix.length * 4
    this.prefix = grown(this.prefix, size)
    this.source = grown(this.source, size)
    this.received = grown(this.received, size)
    this.effective = grown(this.effective, size)
    this.nextOfPrefix = grown(this.nextOfPrefix, size)
    this.nextOfSource = grown(this.nextOfSource, size)
    this.previousOfSource = grown(this.previousOfSource, size)
    this.stampSeconds = grown(this.stampSeconds, size)
    this.state = grown(this.state, size)
    this.weight = grown(this.weight, size)
    this.generation = grown(this.generation, size)
  }
}

const NONE = new Int32Array(0)
const INITIAL = 1024
/** Whoever goes through new identifiers while somebody does not read makes this list long. */
const GONE_LOOKED_AT = 1024
const WORD_OCTETS = Int32Array.BYTES_PER_ELEMENT
