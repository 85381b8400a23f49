/**
 * A hash index for prefixes with the key beside the id: open addressing, linear probing, one cache line for most look-ups.
 *
 * A slot is two words: a tag (the IPv4 address itself, or the hash of an IPv6 one) and the id with the prefix length in its low octet; 0 is an empty slot.
 * IPv4 look-ups never touch another array. It replaces chains over the address columns, which cost up to four cache misses a look-up. Of 1 M
 * prefixes in runs of 16, taking in is 1.3 times and finding 3.7 times as fast; of scattered ones 1.0 and 1.3 times (`npm run bench -- prefix`).
 *
 * The table doubles without a pause: after an allocation each insertion moves a few slots of the old half, and look-ups try both meanwhile. A deletion
 * closes its gap; only in the old table, which goes away, it leaves a mark.
 * Ids: 1..2^24-1. Cost: 8 octets a slot at a load of 35 to 70 %.
 */
export class KeyIndex {
  #slots = new Int32Array(MIN_SLOTS * 2)
  #mask = MIN_SLOTS - 1
  #count = 0
  #old: Int32Array | null = null
  #oldMask = 0
  /** Slots of the old table below this have been moved. */
  #moved = 0
  readonly #hashOf: (id: number, tag: number, length: number) => number
  readonly #equals: ((id: number) => boolean) | null

  /**
   * `hashOf`: the hash of an entry, from its id, tag and length. `equals`: whether the entry with this id is the one looked for, asked when tag and length agree;
   * null where they are the whole key.
   */
  constructor(hashOf: (id: number, tag: number, length: number) => number, equals: ((id: number) => boolean) | null) {
    this.#hashOf = hashOf
    this.#equals = equals
  }

  get size(): number {
    return this.#count
  }

  /** Octets of its arrays. */
  get arrayOctets(): number {
    return this.#slots.byteLength + (this.#old?.byteLength ?? 0)
  }

  /** Id of the entry, 0 when there is none. */
  find(hash: number, tag: number, length: number): number {
    const found = this.#probe(this.#slots, this.#mask, hash, tag, length)
    if (found !== -1) return this.#slots[found + 1]! >>> LENGTH_BITS
    if (this.#old === null) return 0
    const at = this.#probe(this.#old, this.#oldMask, hash, tag, length)
    return at === -1 || at < this.#moved * 2 ? 0 : this.#old[at + 1]! >>> LENGTH_BITS
  }

  /** Adds an entry that is not there. */
  add(id: number, hash: number, tag: number, length: number): void {
    if ((this.#count + 1) * 10 > (this.#mask + 1) * 7) this.#grow()
    if (this.#old !== null) this.#moveSome(MOVE_SLOTS)
    this.#place(hash, tag, (id << LENGTH_BITS) | length)
    this.#count++
  }

  /** Removes an entry that is there. */
  delete(hash: number, tag: number, length: number): void {
    this.#count--
    const at = this.#probe(this.#slots, this.#mask, hash, tag, length)
    if (at !== -1) {
      this.#close(at >>> 1)
      return
    }
    this.#old![this.#probe(this.#old!, this.#oldMask, hash, tag, length) + 1] = REMOVED
  }

  #probe(slots: Int32Array, mask: number, hash: number, tag: number, length: number): number {
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const packed = slots[slot * 2 + 1]!
      if (packed === 0) return -1
      if (slots[slot * 2] !== tag || (packed & LENGTH_MASK) !== length || packed === REMOVED) continue
      if (this.#equals === null || this.#equals(packed >>> LENGTH_BITS)) return slot * 2
    }
  }

  #place(hash: number, tag: number, packed: number): void {
    const slots = this.#slots
    let slot = hash & this.#mask
    while (slots[slot * 2 + 1] !== 0) slot = (slot + 1) & this.#mask
    slots[slot * 2] = tag
    slots[slot * 2 + 1] = packed
  }

  /** Empties a slot and moves back what was pushed over it. */
  #close(slot: number): void {
    const slots = this.#slots
    let gap = slot
    for (let next = (gap + 1) & this.#mask; ; next = (next + 1) & this.#mask) {
      const packed = slots[next * 2 + 1]!
      if (packed === 0) break
      const tag = slots[next * 2]!
      const home = this.#hashOf(packed >>> LENGTH_BITS, tag, packed & LENGTH_MASK) & this.#mask
      // It may move when its home is not between the gap and itself.
      if (((next - home) & this.#mask) < ((next - gap) & this.#mask)) continue
      slots[gap * 2] = tag
      slots[gap * 2 + 1] = packed
      gap = next
    }
    slots[gap * 2 + 1] = 0
  }

  #grow(): void {
    if (this.#old !== null) this.#moveSome(this.#oldMask + 1)
    this.#old = this.#slots
    this.#oldMask = this.#mask
    this.#moved = 0
    this.#mask = this.#mask * 2 + 1
    this.#slots = new Int32Array((this.#mask + 1) * 2)
  }

  #moveSome(count: number): void {
    const old = this.#old!
    const end = Math.min(this.#oldMask + 1, this.#moved + count)
    for (let slot = this.#moved; slot < end; slot++) {
      const packed = old[slot * 2 + 1]!
      if (packed === 0 || packed === REMOVED) continue
      const tag = old[slot * 2]!
      this.#place(this.#hashOf(packed >>> LENGTH_BITS, tag, packed & LENGTH_MASK), tag, packed)
    }
    this.#moved = end
    if (end > this.#oldMask) this.#old = null
  }
}

const MIN_SLOTS = 1024
const LENGTH_BITS = 8
const LENGTH_MASK = 0xff
/** A mark that is no entry: length 255. */
const REMOVED = 0xff
/** The old table is gone long before the new one is full. */
const MOVE_SLOTS = 8
