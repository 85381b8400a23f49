/**
 * All paths of one family: a path is what one source says of one prefix (RFC 4271 §3.2, Adj-RIB-In). Records lie in typed arrays with a free
 * list; a path is in two lists, that of its prefix and that of its source.
 *
 * Cost: 36 octets a path, 9 a prefix. Path id 0 means none.
 */
import { grown } from './chain-index.js'

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

  /** By prefix id: its first path and its winner. */
  firstOfPrefix = new Int32Array(INITIAL)
  best = new Int32Array(INITIAL)
  /** DecisionReason: the step that made the winner win. */
  bestReason = new Uint8Array(INITIAL)

  readonly #freeIds: number[] = []
  #end = 1
  #count = 0

  get size(): number {
    return this.#count
  }
  get end(): number {
    return this.#end
  }
  /** Octets of its arrays. */
  get arrayOctets(): number {
    const byPath = this.prefix.length * (8 * WORD_OCTETS + 2 + 2)
    return byPath + this.firstOfPrefix.length * (2 * WORD_OCTETS + 1)
  }

  /** Makes the columns by prefix long enough. */
  reservePrefixes(capacity: number): void {
    if (capacity <= this.firstOfPrefix.length) return
    this.firstOfPrefix = grown(this.firstOfPrefix, capacity)
    this.best = grown(this.best, capacity)
    const reasons = new Uint8Array(this.best.length)
    reasons.set(this.bestReason)
    this.bestReason = reasons
  }

  /** The path of `source` for `prefix`, 0 when there is none. */
  find(prefix: number, source: number): number {
    let path = this.firstOfPrefix[prefix]!
    while (path !== 0 && this.source[path] !== source) path = this.nextOfPrefix[path]!
    return path
  }

  /** A new path in the lists of its prefix and its source. `head` is the first path of the source; the new one becomes it. */
  insert(prefix: number, source: number, head: number): number {
    const path = this.#freeIds.pop() ?? this.#end++
    if (path >= this.prefix.length) this.#grow()
    this.prefix[path] = prefix
    this.source[path] = source
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
    } else {
      while (this.nextOfPrefix[at] !== path) at = this.nextOfPrefix[at]!
      this.nextOfPrefix[at] = this.nextOfPrefix[path]!
    }
    const before = this.previousOfSource[path]!
    const after = this.nextOfSource[path]!
    if (before !== 0) this.nextOfSource[before] = after
    if (after !== 0) this.previousOfSource[after] = before
    this.#freeIds.push(path)
    this.#count--
    return before === 0 ? after : head
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
    const states = new Uint8Array(size)
    states.set(this.state)
    this.state = states
    const weights = new Uint16Array(size)
    weights.set(this.weight)
    this.weight = weights
    const generations = new Uint8Array(size)
    generations.set(this.generation)
    this.generation = generations
  }
}

const INITIAL = 1024
const WORD_OCTETS = Int32Array.BYTES_PER_ELEMENT
