/** A set of prefix ids as bits, walked in slices of SLICE_PREFIXES ids. Cost: one bit for each id up to the largest. */
export class PrefixBits {
  #words = new Int32Array(32)
  #count = 0

  get size(): number {
    return this.#count
  }

  has(id: number): boolean {
    return (this.#words[id >>> 5]! & (1 << (id & 31))) !== 0
  }

  add(id: number): void {
    const at = id >>> 5
    if (at >= this.#words.length) {
      const words = new Int32Array(Math.max(this.#words.length * 2, at + 1))
      words.set(this.#words)
      this.#words = words
    }
    const word = this.#words[at]!
    const bit = 1 << (id & 31)
    if ((word & bit) !== 0) return
    this.#words[at] = word | bit
    this.#count++
  }

  addAll(other: PrefixBits): void {
    if (other.#words.length > this.#words.length) {
      const words = new Int32Array(other.#words.length)
      words.set(this.#words)
      this.#words = words
    }
    for (let at = 0; at < other.#words.length; at++) {
      const before = this.#words[at]!
      const word = before | other.#words[at]!
      if (word === before) continue
      this.#words[at] = word
      this.#count += bitCount(word & ~before)
    }
  }

  /** First slice from `slice` on that has a member, -1 when there is none. */
  nextSlice(slice: number): number {
    if (this.#count === 0) return -1
    for (let at = slice * SLICE_WORDS; at < this.#words.length; at++)
      if (this.#words[at] !== 0) return Math.floor(at / SLICE_WORDS)
    return -1
  }

  /** Moves the ids of a slice into `target` and returns how many; they are no members any more. */
  takeSlice(slice: number, target: Int32Array): number {
    const end = Math.min(this.#words.length, (slice + 1) * SLICE_WORDS)
    let count = 0
    for (let at = slice * SLICE_WORDS; at < end; at++) {
      let word = this.#words[at]!
      while (word !== 0) {
        const bit = 31 - Math.clz32(word & -word)
        target[count++] = (at << 5) | bit
        word &= word - 1
      }
      this.#words[at] = 0
    }
    this.#count -= count
    return count
  }
}

function bitCount(word: number): number {
  let count = 0
  for (let left = word; left !== 0; left &= left - 1) count++
  return count
}

/** Prefix ids of a slice: 2^10. */
export const SLICE_SHIFT = 10
export const SLICE_PREFIXES = 1 << SLICE_SHIFT
const SLICE_WORDS = SLICE_PREFIXES / 32
