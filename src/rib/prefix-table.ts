/**
 * Interned prefixes of one family: a prefix is a small integer (from 1), its address lies in typed arrays.
 *
 * An id lives as long as it is in use; whoever names it (a path, a group's table, a log, a dirty list, the FIB) retains and releases it.
 * Cost: 4 or 16 octets of address, 1 of length, 4 of use count, and 11 to 23 for the index.
 */
import { NotificationError } from '../bgp/errors.js'
import { Family } from '../net/family.js'
import { finish, mixWord } from './chain-index.js'
import { grown } from './columns.js'
import { KeyIndex } from './key-index.js'

export class PrefixTable {
  readonly family: Family
  readonly #seed: number
  readonly #index: KeyIndex
  readonly #wide: boolean
  #w0 = new Int32Array(INITIAL)
  #w1 = NONE
  #w2 = NONE
  #w3 = NONE
  #length = new Uint8Array(INITIAL)
  #uses = new Int32Array(INITIAL)
  readonly #freeIds: number[] = []
  /** The capacity is larger: for columns that are looked into for every prefix, also one that only the FIB knows. */
  onGrown: (capacity: number) => void = () => {}
  #end = 1
  // The IPv6 address that the index is being asked for.
  #wanted0 = 0
  #wanted1 = 0
  #wanted2 = 0
  #wanted3 = 0

  constructor(family: Family, seed: number) {
    this.family = family
    this.#seed = seed
    this.#wide = family === Family.IPV6_UNICAST
    this.#index = this.#wide
      ? new KeyIndex(
          (_, tag) => tag,
          (id) => this.#isWanted(id),
        )
      : new KeyIndex((_, tag, length) => this.#hash(tag, 0, 0, 0, length), null, true)
    if (this.#wide) {
      this.#w1 = new Int32Array(INITIAL)
      this.#w2 = new Int32Array(INITIAL)
      this.#w3 = new Int32Array(INITIAL)
    }
  }

  /** Prefixes in the table. */
  get size(): number {
    return this.#index.size
  }

  /** Ids are in [1, end). */
  get end(): number {
    return this.#end
  }

  /** Length that columns indexed by prefix id need. */
  get capacity(): number {
    return this.#w0.length
  }

  /** Octets of its arrays. */
  get arrayOctets(): number {
    const words = this.#w0.byteLength + this.#w1.byteLength + this.#w2.byteLength + this.#w3.byteLength
    return words + this.#length.byteLength + this.#uses.byteLength + this.#index.arrayOctets
  }

  /** Id of a prefix (host bits zero), 0 when it is not in the table. IPv4 uses w0 alone. */
  find(w0: number, w1: number, w2: number, w3: number, length: number): number {
    const hash = this.#hash(w0, w1, w2, w3, length)
    return this.#index.find(hash, this.#tag(hash, w0, w1, w2, w3), length)
  }

  /** Id of a prefix, made when missing. A new id has no uses: the caller retains it or gives it back with collect(). */
  intern(w0: number, w1: number, w2: number, w3: number, length: number): number {
    const hash = this.#hash(w0, w1, w2, w3, length)
    const tag = this.#tag(hash, w0, w1, w2, w3)
    const free = this.#freeIds.length
    const id = free === 0 ? this.#end : this.#freeIds[free - 1]!
    if (id === MAX_PREFIXES) {
      const known = this.#index.find(hash, tag, length)
      if (known === 0) throw tooManyPrefixes()
      return known
    }
    const found = this.#index.findOrAdd(id, hash, tag, length)
    if (found !== id) return found
    if (free === 0) this.#end++
    else this.#freeIds.pop()
    if (id >= this.#w0.length) this.#grow()
    this.#w0[id] = w0
    if (this.#wide) {
      this.#w1[id] = w1
      this.#w2[id] = w2
      this.#w3[id] = w3
    }
    this.#length[id] = length
    this.#uses[id] = 0
    return id
  }

  retain(id: number): void {
    this.#uses[id]!++
  }

  /** Gives back one use; the id is free for another prefix when it was the last. */
  release(id: number): void {
    if (--this.#uses[id]! === 0) this.#free(id)
  }

  /** Frees an id that nobody retained after intern(). */
  collect(id: number): void {
    if (this.#uses[id] === 0) this.#free(id)
  }

  usesOf(id: number): number {
    return this.#uses[id]!
  }

  word0(id: number): number {
    return this.#w0[id]! >>> 0
  }
  /** Word 1 to 3 of an IPv6 address; 0 for IPv4. */
  word(id: number, index: 1 | 2 | 3): number {
    if (!this.#wide) return 0
    return (index === 1 ? this.#w1[id]! : index === 2 ? this.#w2[id]! : this.#w3[id]!) >>> 0
  }
  lengthOf(id: number): number {
    return this.#length[id]!
  }

  /** Writes the prefix as NLRI (RFC 4271 §4.3): length in bits, then as few octets as hold it. Returns the offset behind it. */
  writeNlri(id: number, target: Uint8Array, at: number): number {
    const bits = this.#length[id]!
    target[at++] = bits
    let word = this.#w0[id]!
    for (let left = bits, octet = 0; left > 0; left -= 8, octet++) {
      if ((octet & 3) === 0 && octet > 0)
        word = octet === 4 ? this.#w1[id]! : octet === 8 ? this.#w2[id]! : this.#w3[id]!
      target[at++] = word >>> 24
      word <<= 8
    }
    return at
  }

  /** Octets that writeNlri() writes. */
  nlriOctets(id: number): number {
    return 1 + ((this.#length[id]! + 7) >>> 3)
  }

  /** Seeded. */
  #hash(w0: number, w1: number, w2: number, w3: number, length: number): number {
    const h = mixWord(this.#seed, w0)
    if (!this.#wide) return finish(mixWord(h, length))
    return finish(mixWord(mixWord(mixWord(mixWord(h, w1), w2), w3), length ^ this.#seed))
  }

  /** The key's first word in the index; for IPv6 the hash, with the key kept for the comparison. */
  #tag(hash: number, w0: number, w1: number, w2: number, w3: number): number {
    if (!this.#wide) return w0 | 0
    this.#wanted0 = w0 | 0
    this.#wanted1 = w1 | 0
    this.#wanted2 = w2 | 0
    this.#wanted3 = w3 | 0
    return hash
  }

  #isWanted(id: number): boolean {
    return (
      this.#w0[id] === this.#wanted0 &&
      this.#w1[id] === this.#wanted1 &&
      this.#w2[id] === this.#wanted2 &&
      this.#w3[id] === this.#wanted3
    )
  }

  #free(id: number): void {
    const [w0, w1, w2, w3] = [this.#w0[id]!, this.word(id, 1), this.word(id, 2), this.word(id, 3)]
    const hash = this.#hash(w0, w1, w2, w3, this.#length[id]!)
    this.#index.delete(hash, this.#tag(hash, w0, w1, w2, w3), this.#length[id]!)
    this.#freeIds.push(id)
  }

  #grow(): void {
    const size = this.#w0.length * 4
    this.#w0 = grown(this.#w0, size)
    if (this.#wide) {
      this.#w1 = grown(this.#w1, size)
      this.#w2 = grown(this.#w2, size)
      this.#w3 = grown(this.#w3, size)
    }
    this.#uses = grown(this.#uses, size)
    this.#length = grown(this.#length, size)
    this.onGrown(size)
  }
}

/** Ids have 24 bits in the index: what goes beyond ends the session that sends it (RFC 4486 §3, Out of Resources). */
function tooManyPrefixes(): NotificationError {
  return new NotificationError(
    6,
    8,
    `more than ${MAX_PREFIXES - 1} prefixes of a family; set maxPrefix on the neighbors`,
  )
}

const MAX_PREFIXES = 1 << 24
const INITIAL = 1024
const NONE = new Int32Array(0)
