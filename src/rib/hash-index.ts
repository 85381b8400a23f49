/**
 * A hash index from seeded 32-bit hashes to small integer ids, for keys that lie elsewhere: one table of open addressing, a slot is a hash and an id, 0 for empty.
 *
 * The caller compares keys: `for (let at = index.first(hash); at !== -1; at = index.next(at, hash)) … index.idAt(at) …`.
 * The upper bits of the hash are the home slot, so that a table of twice the size is filled in the order of the old one: both are gone through from front to
 * back, about 5 ns an entry, and no cache miss each. Chains with a bucket more at each insertion (ChainIndex) took 0.06 s of the way in of 1 M prefixes for their
 * splits (bench/README.md, 'What was tried'). Cost: 8 octets a slot at a load of 37 to 75 %, 4 an id.
 */
import { column, grown } from './columns.js'

export class HashIndex {
  #slots = new Int32Array(2 << MIN_LOG)
  /** By id, for delete(). */
  #hashes = new Int32Array(1 << MIN_LOG)
  #shift = 32 - MIN_LOG
  #count = 0

  get size(): number {
    return this.#count
  }

  /** Octets of its arrays. */
  get arrayOctets(): number {
    return this.#slots.byteLength + this.#hashes.byteLength
  }

  /** Place of the first entry with this hash, -1 when there is none. */
  first(hash: number): number {
    return this.#from((hash >>> this.#shift) << 1, hash)
  }

  /** Place of the next one behind `at`. */
  next(at: number, hash: number): number {
    return this.#from((at + 2) & (this.#slots.length - 1), hash)
  }

  idAt(at: number): number {
    return this.#slots[at + 1]!
  }

  add(id: number, hash: number): void {
    if ((this.#count + 1) * 8 > this.#slots.length * 3) this.#grow()
    if (id >= this.#hashes.length) this.#hashes = grown(this.#hashes, id + 1)
    this.#hashes[id] = hash
    place(this.#slots, this.#shift, hash, id)
    this.#count++
  }

  /** Removes an id that is there, and moves back what was pushed over it. */
  delete(id: number): void {
    const slots = this.#slots
    const last = slots.length - 1
    let gap = (this.#hashes[id]! >>> this.#shift) << 1
    while (slots[gap + 1] !== id) gap = (gap + 2) & last
    for (let next = (gap + 2) & last; slots[next + 1] !== 0; next = (next + 2) & last) {
      const home = (slots[next]! >>> this.#shift) << 1
      // It may move when its home is not between the gap and itself.
      if (((next - home) & last) < ((next - gap) & last)) continue
      slots[gap] = slots[next]!
      slots[gap + 1] = slots[next + 1]!
      gap = next
    }
    slots[gap + 1] = 0
    this.#count--
  }

  #from(start: number, hash: number): number {
    const slots = this.#slots
    const last = slots.length - 1
    for (let at = start; slots[at + 1] !== 0; at = (at + 2) & last) if (slots[at] === hash) return at
    return -1
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = column(old.length * 2)
    this.#shift--
    for (let at = 0; at < old.length; at += 2) {
      const id = old[at + 1]!
      if (id !== 0) place(this.#slots, this.#shift, old[at]!, id)
    }
  }
}

/** Into the first empty slot from the home of the hash on. */
function place(slots: Int32Array, shift: number, hash: number, id: number): void {
  const last = slots.length - 1
  let at = (hash >>> shift) << 1
  while (slots[at + 1] !== 0) at = (at + 2) & last
  slots[at] = hash
  slots[at + 1] = id
}

/** Slots of an empty table. */
const MIN_LOG = 10
