/**
 * A hash index from 32-bit hashes to small integer ids: linear hashing with chains in typed arrays.
 *
 * The table grows one bucket per insertion, so that no insertion pays for a rehash of everything; a deletion unlinks, so there are no tombstones.
 * The caller compares keys: `for (let id = index.first(hash); id !== 0; id = index.next(id)) …`. Id 0 means none.
 * Cost: 8 octets per id, 4 per bucket, at one bucket per id. Hashes have to be seeded by the caller, which keeps chains short against chosen keys.
 */
import { grown } from './columns.js'

export class ChainIndex {
  #heads = new Int32Array(MIN_BUCKETS)
  #next = new Int32Array(MIN_BUCKETS)
  #hashes = new Int32Array(MIN_BUCKETS)
  /** Buckets are [0, #mask + 1 + #split). */
  #mask = MIN_BUCKETS - 1
  #split = 0
  #count = 0

  get size(): number {
    return this.#count
  }

  /** Octets of its arrays. */
  get arrayOctets(): number {
    return this.#heads.byteLength + this.#next.byteLength + this.#hashes.byteLength
  }

  /** First id in the chain of this hash; other hashes may share the chain. */
  first(hash: number): number {
    return this.#heads[this.#bucket(hash)]!
  }

  next(id: number): number {
    return this.#next[id]!
  }

  hashOf(id: number): number {
    return this.#hashes[id]!
  }

  add(id: number, hash: number): void {
    if (id >= this.#next.length) this.#growIds(id)
    const bucket = this.#bucket(hash)
    this.#hashes[id] = hash
    this.#next[id] = this.#heads[bucket]!
    this.#heads[bucket] = id
    this.#count++
    if (this.#count > this.#mask + this.#split) this.#splitOne()
  }

  delete(id: number): void {
    const bucket = this.#bucket(this.#hashes[id]!)
    let at = this.#heads[bucket]!
    if (at === id) {
      this.#heads[bucket] = this.#next[id]!
    } else {
      while (this.#next[at] !== id) at = this.#next[at]!
      this.#next[at] = this.#next[id]!
    }
    this.#next[id] = 0
    this.#count--
  }

  #bucket(hash: number): number {
    const bucket = hash & this.#mask
    return bucket < this.#split ? hash & (this.#mask * 2 + 1) : bucket
  }

  /** Distributes the chain of one bucket over itself and a new one. */
  #splitOne(): void {
    const from = this.#split
    const to = from + this.#mask + 1
    if (to >= this.#heads.length) this.#heads = grown(this.#heads, to + 1)
    const wide = this.#mask * 2 + 1
    let stay = 0
    let move = 0
    let id = this.#heads[from]!
    while (id !== 0) {
      const following = this.#next[id]!
      if ((this.#hashes[id]! & wide) === from) {
        this.#next[id] = stay
        stay = id
      } else {
        this.#next[id] = move
        move = id
      }
      id = following
    }
    this.#heads[from] = stay
    this.#heads[to] = move
    this.#split++
    if (this.#split > this.#mask) {
      this.#mask = wide
      this.#split = 0
    }
  }

  #growIds(id: number): void {
    this.#next = grown(this.#next, id + 1)
    this.#hashes = grown(this.#hashes, id + 1)
  }
}

const MIN_BUCKETS = 1024

/**
 * Murmur3 (32 bit) over octets with multipliers that come from the seed: with its public ones anybody can make octets that collide under every seed, which a
 * peer could put into its attributes.
 */
export function hashOctets(octets: Uint8Array, start: number, end: number, seed: number): number {
  const first = finish(seed ^ 0x9e3779b9) | 1
  const second = finish(seed ^ 0x7f4a7c15) | 1
  let h = seed | 0
  let i = start
  for (; i + 4 <= end; i += 4) {
    let k = octets[i]! | (octets[i + 1]! << 8) | (octets[i + 2]! << 16) | (octets[i + 3]! << 24)
    k = Math.imul(k, first)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, second)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  let k = 0
  for (let shift = 0; i < end; i++, shift += 8) k |= octets[i]! << shift
  k = Math.imul(k, first)
  k = (k << 15) | (k >>> 17)
  h ^= Math.imul(k, second)
  return finish(h ^ (end - start))
}

/** One u32 word into a running hash. */
export function mixWord(h: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51)
  k = (k << 15) | (k >>> 17)
  h ^= Math.imul(k, 0x1b873593)
  h = (h << 13) | (h >>> 19)
  return (Math.imul(h, 5) + 0xe6546b64) | 0
}

export function finish(h: number): number {
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
