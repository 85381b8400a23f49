/**
 * A map by prefix, for hundreds of thousands of them (pure). IPv4 prefixes are found by number, all others by their text: with a Map of texts alone, hashing and
 * growing took 1 µs a route.
 */
import { ipv4PrefixKey } from '../net/prefix.js'
import type { PrefixTable } from '../rib/prefix-table.js'
import { addressOf, IPV6, type RoutePrefix } from './route-prefix.js'

export class PrefixMap<V extends RoutePrefix> {
  readonly #table: PrefixTable
  /** By id of an IPv4 prefix; each has a use of its id. */
  readonly #ipv4: (V | undefined)[] = [undefined]
  readonly #others = new Map<string, V>()
  readonly #make: (ipv4: number, ipv4Length: number, text: string | null) => V

  /** `table`: of IPv4 prefixes, perhaps shared with others. `make`: a value for a prefix that is not there; IPv4 ones come without text. */
  constructor(table: PrefixTable, make: (ipv4: number, ipv4Length: number, text: string | null) => V) {
    this.#table = table
    this.#make = make
  }

  get(prefix: string): V | undefined {
    const key = ipv4PrefixKey(prefix)
    if (key < 0) return this.#others.get(prefix)
    return this.#ipv4[this.#table.find(addressOf(key), 0, 0, 0, key % 64)]
  }

  /** What is there, or what is made now. Canonical text. */
  obtain(prefix: string): V {
    const key = ipv4PrefixKey(prefix)
    if (key >= 0) return this.obtainIpv4(addressOf(key), key % 64)
    const known = this.#others.get(prefix)
    if (known !== undefined) return known
    const made = this.#make(0, IPV6, prefix)
    this.#others.set(prefix, made)
    return made
  }

  /** `address`: signed 32 bits, host bits zero. */
  obtainIpv4(address: number, length: number): V {
    return this.obtainId(this.#table.intern(address, 0, 0, 0, length))
  }

  /** By the id that an IPv4 prefix has in the table. */
  obtainId(id: number): V {
    const known = this.#ipv4[id]
    if (known !== undefined) return known
    this.#table.retain(id)
    const made = this.#make(this.#table.word0(id) | 0, this.#table.lengthOf(id), null)
    // Without holes.
    while (this.#ipv4.length < id) this.#ipv4.push(undefined)
    this.#ipv4[id] = made
    return made
  }

  delete(name: RoutePrefix): void {
    const { ipv4, ipv4Length } = name
    if (ipv4Length === IPV6) {
      this.#others.delete(name.prefix)
      return
    }
    const id = this.#table.find(ipv4, 0, 0, 0, ipv4Length)
    if (id === 0 || this.#ipv4[id] === undefined) return
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
