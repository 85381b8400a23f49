/**
 * A map by prefix in canonical text, for hundreds of thousands of them (pure). IPv4 prefixes are found by number, all others by their text: with a Map of texts alone,
 * hashing and growing took 1 µs a route.
 */
import { Family } from '../net/family.js'
import { ipv4PrefixKey } from '../net/prefix.js'
import { PrefixTable } from '../rib/prefix-table.js'

export class PrefixMap<V> {
  readonly #table: PrefixTable
  /** By id of an IPv4 prefix. */
  readonly #ipv4: (V | undefined)[] = [undefined]
  readonly #others = new Map<string, V>()

  /** `seed`: any 32 bits that nobody outside knows. */
  constructor(seed: number) {
    this.#table = new PrefixTable(Family.IPV4_UNICAST, seed)
  }

  get size(): number {
    return this.#table.size + this.#others.size
  }

  get(prefix: string): V | undefined {
    const key = ipv4PrefixKey(prefix)
    if (key < 0) return this.#others.get(prefix)
    return this.#ipv4[this.#table.find(Math.floor(key / 64), 0, 0, 0, key % 64)]
  }

  /** What is there, or what `make` makes. */
  obtain(prefix: string, make: (prefix: string) => V): V {
    const key = ipv4PrefixKey(prefix)
    if (key < 0) {
      const known = this.#others.get(prefix)
      if (known !== undefined) return known
      const made = make(prefix)
      this.#others.set(prefix, made)
      return made
    }
    const id = this.#table.intern(Math.floor(key / 64), 0, 0, 0, key % 64)
    if (this.#table.usesOf(id) > 0) return this.#ipv4[id]!
    this.#table.retain(id)
    const made = make(prefix)
    if (id === this.#ipv4.length) this.#ipv4.push(made)
    else this.#ipv4[id] = made
    return made
  }

  delete(prefix: string): void {
    const key = ipv4PrefixKey(prefix)
    if (key < 0) {
      this.#others.delete(prefix)
      return
    }
    const id = this.#table.find(Math.floor(key / 64), 0, 0, 0, key % 64)
    if (id === 0) return
    this.#ipv4[id] = undefined
    this.#table.release(id)
  }

  /** In no order. What comes or goes meanwhile may be among them or not; no other is left out or given twice. */
  *values(): IterableIterator<V> {
    for (let id = 1; id < this.#ipv4.length; id++) {
      const value = this.#ipv4[id]
      if (value !== undefined) yield value
    }
    yield* this.#others.values()
  }
}
