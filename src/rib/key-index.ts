/**
 * A hash index for prefixes with the key beside the id: many small tables of open addressing, one for each of 2^16 buckets.
 *
 * A slot is two words: a tag (the IPv4 address itself, or the hash of an IPv6 one) and the id with the prefix length in its low octet; 0 is an empty slot,
 * REMOVED one whose entry went while others lay behind it.
 * The upper half of a hash chooses the bucket, or with `byTag` that of the tag: an IPv4 address's first 16 bits. Then neighbours lie in one small table, which is in
 * the cache while a sorted table of routes comes in, and has its final size before the next one is begun; prefixes of /16 to /32 fill a bucket with 131,071 entries at
 * most. One large table with incremental doubling cost one or two cache misses a prefix (bench/README.md, 'What was tried').
 *
 * A table that is full goes into one of twice the size; the old place is kept for another bucket. No growth moves more than one bucket: the memory is had in chunks,
 * which stay where they are.
 * Ids: 1..2^24-1. Cost: 8 octets a slot at a load of 37 to 75 %, and 512 KiB.
 */
import { column, grown } from './columns.js'

export class KeyIndex {
  /** By bucket: place of its table in units of four slots, and the binary logarithm of its length in slots below; 0 for none. */
  readonly #tables = new Int32Array(BUCKETS)
  /** By bucket: slots that are not empty. */
  readonly #counts = new Int32Array(BUCKETS)
  /** By the upper bits of a unit. A table that is longer than a chunk has one of its own, and the places behind it are empty. */
  readonly #chunks: Int32Array[] = [new Int32Array(INITIAL_UNITS * UNIT_WORDS)]
  #chunkOctets = INITIAL_UNITS * UNIT_WORDS * Int32Array.BYTES_PER_ELEMENT
  /** Unit 0 is nobody's. */
  #endUnit = 1
  /** By logarithm: places of tables that were outgrown. */
  readonly #free: number[][] = []
  #count = 0
  readonly #hashOf: (id: number, tag: number, length: number) => number
  readonly #equals: ((id: number) => boolean) | null
  readonly #byTag: boolean

  /**
   * `hashOf`: the hash of an entry, from its id, tag and length. `equals`: whether the entry with this id is the one looked for, asked when tag and length agree;
   * null where they are the whole key.
   */
  constructor(
    hashOf: (id: number, tag: number, length: number) => number,
    equals: ((id: number) => boolean) | null,
    byTag = false,
  ) {
    this.#hashOf = hashOf
    this.#equals = equals
    this.#byTag = byTag
  }

  get size(): number {
    return this.#count
  }

  /** Octets of its arrays. */
  get arrayOctets(): number {
    return this.#chunkOctets + this.#tables.byteLength + this.#counts.byteLength
  }

  /** Id of the entry, 0 when there is none. */
  find(hash: number, tag: number, length: number): number {
    const table = this.#tables[this.#bucketOf(hash, tag)]!
    const at = this.#probe(table, hash, tag, length)
    return at === -1 ? 0 : this.#slotsOf(table)[at + 1]! >>> LENGTH_BITS
  }

  /** Id of the entry; where there is none, it is added under `id`. */
  findOrAdd(id: number, hash: number, tag: number, length: number): number {
    const bucket = this.#bucketOf(hash, tag)
    let table = this.#tables[bucket]!
    let at = -1
    const slots = this.#slotsOf(table)
    if (table !== 0) {
      const base = baseOf(table)
      const mask = maskOf(table)
      for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
        const packed = slots[base + slot * 2 + 1]!
        if (packed === 0 || packed === REMOVED) {
          if (at === -1) at = base + slot * 2
          if (packed === 0) break
        } else if (slots[base + slot * 2] === tag && (packed & LENGTH_MASK) === length) {
          const found = packed >>> LENGTH_BITS
          if (this.#equals === null || this.#equals(found)) return found
        }
      }
    }
    const packed = (id << LENGTH_BITS) | length
    this.#count++
    if (table === 0 || (this.#counts[bucket]! + 1) * 4 > 3 << (table & LOG_MASK)) {
      this.#renew(bucket)
      table = this.#tables[bucket]!
      this.#place(table, hash, tag, packed)
      this.#counts[bucket]!++
      return id
    }
    if (slots[at + 1] === 0) this.#counts[bucket]!++
    slots[at] = tag
    slots[at + 1] = packed
    return id
  }

  /**
   * Removes an entry that is there. Moving back what lies behind it, as is usual, looks at the whole run, and at the hash of all its entries.
   */
  delete(hash: number, tag: number, length: number): void {
    const bucket = this.#bucketOf(hash, tag)
    const table = this.#tables[bucket]!
    const slots = this.#slotsOf(table)
    const base = baseOf(table)
    const mask = maskOf(table)
    const at = this.#probe(table, hash, tag, length)
    this.#count--
    let slot = (at - base) >>> 1
    if (slots[base + ((slot + 1) & mask) * 2 + 1] !== 0) {
      slots[at + 1] = REMOVED
      return
    }
    // The end of a run: there is nothing left that a search would have to pass by.
    let emptied = 0
    do {
      slots[base + slot * 2 + 1] = 0
      emptied++
      slot = (slot - 1) & mask
    } while (slots[base + slot * 2 + 1] === REMOVED)
    this.#counts[bucket]! -= emptied
  }

  #bucketOf(hash: number, tag: number): number {
    return (this.#byTag ? tag : hash) >>> BUCKET_SHIFT
  }

  #slotsOf(table: number): Int32Array {
    return this.#chunks[table >>> (LOG_BITS + CHUNK_BITS)]!
  }

  /** Where the entry lies in the slots of its table, -1 when it is not there. */
  #probe(table: number, hash: number, tag: number, length: number): number {
    if (table === 0) return -1
    const slots = this.#slotsOf(table)
    const base = baseOf(table)
    const mask = maskOf(table)
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const at = base + slot * 2
      const packed = slots[at + 1]!
      if (packed === 0) return -1
      if (slots[at] !== tag || (packed & LENGTH_MASK) !== length) continue
      if (this.#equals === null || this.#equals(packed >>> LENGTH_BITS)) return at
    }
  }

  /** Into a table without removed entries. */
  #place(table: number, hash: number, tag: number, packed: number): void {
    const slots = this.#slotsOf(table)
    const base = baseOf(table)
    const mask = maskOf(table)
    let slot = hash & mask
    while (slots[base + slot * 2 + 1] !== 0) slot = (slot + 1) & mask
    slots[base + slot * 2] = tag
    slots[base + slot * 2 + 1] = packed
  }

  /** Moves a bucket into another table where its entries fill a good part of this one: of twice the size, the smallest one of four times. */
  #renew(bucket: number): void {
    const old = this.#tables[bucket]!
    const oldLog = old & LOG_MASK
    const live = old === 0 ? 0 : this.#liveIn(old)
    const log = old === 0 ? MIN_LOG : live * 8 > 3 << oldLog ? Math.max(SECOND_LOG, oldLog + 1) : oldLog
    const table = this.#allocate(log)
    this.#tables[bucket] = table
    this.#counts[bucket] = live
    if (old === 0) return
    const slots = this.#slotsOf(old)
    const base = baseOf(old)
    for (let at = base; at < base + (2 << oldLog); at += 2) {
      const packed = slots[at + 1]!
      if (packed === 0) continue
      slots[at + 1] = 0
      if (packed === REMOVED) continue
      const tag = slots[at]!
      this.#place(table, this.#hashOf(packed >>> LENGTH_BITS, tag, packed & LENGTH_MASK), tag, packed)
    }
    this.#free[oldLog] ??= []
    this.#free[oldLog]!.push(old)
  }

  #liveIn(table: number): number {
    const slots = this.#slotsOf(table)
    const base = baseOf(table)
    let live = 0
    for (let at = base; at < base + (2 << (table & LOG_MASK)); at += 2)
      if (slots[at + 1] !== 0 && slots[at + 1] !== REMOVED) live++
    return live
  }

  /** An empty table of 2^log slots. */
  #allocate(log: number): number {
    const free = this.#free[log]?.pop()
    if (free !== undefined) return free
    const units = 1 << (log - MIN_LOG)
    if ((this.#endUnit & CHUNK_MASK) + units > CHUNK_UNITS) this.#endUnit = this.#chunks.length << CHUNK_BITS
    const unit = this.#endUnit
    this.#endUnit += units
    this.#extend(unit >>> CHUNK_BITS, ((unit & CHUNK_MASK) + units) * UNIT_WORDS)
    return (unit << LOG_BITS) | log
  }

  /** Makes a chunk long enough: the first one grows, others are made as long as they get. */
  #extend(number: number, words: number): void {
    const chunk = this.#chunks[number]
    if (chunk !== undefined && words <= chunk.length) return
    const extended = chunk === undefined ? column(Math.max(words, CHUNK_UNITS * UNIT_WORDS)) : grown(chunk, words, 2)
    this.#chunkOctets += extended.byteLength - (chunk?.byteLength ?? 0)
    this.#chunks[number] = extended
    if (chunk !== undefined) return
    for (let covered = CHUNK_UNITS; covered * UNIT_WORDS < words; covered += CHUNK_UNITS) this.#chunks.push(NO_SLOTS)
  }
}

/** First word of a table in its chunk. */
function baseOf(table: number): number {
  return ((table >>> LOG_BITS) & CHUNK_MASK) * UNIT_WORDS
}

function maskOf(table: number): number {
  return (1 << (table & LOG_MASK)) - 1
}

/** Upper bits of hash or tag. */
const BUCKET_SHIFT = 16
const BUCKETS = 1 << (32 - BUCKET_SHIFT)
const LENGTH_BITS = 8
const LENGTH_MASK = 0xff
/** Id 0, which nobody has, with a length that nothing has. */
const REMOVED = 0xff
/** Smallest table: four slots, a unit. */
const MIN_LOG = 2
/** The next one: with one between them 1 M prefixes took 4 % longer, in the same memory. */
const SECOND_LOG = 4
const UNIT_WORDS = 8
const LOG_BITS = 5
const LOG_MASK = 31
const INITIAL_UNITS = 256
/** A chunk has 2^13 units, 256 KiB. */
const CHUNK_BITS = 13
const CHUNK_UNITS = 1 << CHUNK_BITS
const CHUNK_MASK = CHUNK_UNITS - 1
const NO_SLOTS = new Int32Array(0)
