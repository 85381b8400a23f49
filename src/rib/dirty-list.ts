/** Prefixes to decide again, each once, in the order in which they became dirty. */
import { grown } from './columns.js'
import type { PrefixTable } from './prefix-table.js'

export class DirtyList {
  readonly #prefixes: PrefixTable
  #queue = new Int32Array(4096)
  #from = 0
  #to = 0
  #flags = new Uint8Array(1024)

  constructor(prefixes: PrefixTable) {
    this.#prefixes = prefixes
  }

  get size(): number {
    return this.#to - this.#from
  }

  /** Octets of its arrays. */
  get arrayOctets(): number {
    return this.#queue.byteLength + this.#flags.byteLength
  }

  has(prefix: number): boolean {
    return this.#flags[prefix] === 1
  }

  /** Retains the prefix until done() is told of it. */
  add(prefix: number): void {
    if (prefix >= this.#flags.length) {
      this.#flags = grown(this.#flags, Math.max(this.#prefixes.capacity, prefix + 1), 1)
    }
    if (this.#flags[prefix] === 1) return
    this.#flags[prefix] = 1
    this.#prefixes.retain(prefix)
    if (this.#to === this.#queue.length) this.#makeRoom()
    this.#queue[this.#to++] = prefix
  }

  /** Moves up to `limit` prefixes into `target` and returns how many. They may become dirty again from now on. */
  take(target: Int32Array, limit: number): number {
    const count = Math.min(limit, this.#to - this.#from, target.length)
    for (let i = 0; i < count; i++) {
      const prefix = this.#queue[this.#from++]!
      this.#flags[prefix] = 0
      target[i] = prefix
    }
    if (this.#from === this.#to) {
      this.#from = 0
      this.#to = 0
    }
    return count
  }

  /** The prefixes of a take() have gone through groups and FIB. */
  done(taken: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) this.#prefixes.release(taken[i]!)
  }

  #makeRoom(): void {
    const pending = this.#queue.subarray(this.#from, this.#to)
    const queue = pending.length * 2 > this.#queue.length ? new Int32Array(this.#queue.length * 2) : this.#queue
    if (queue === this.#queue) queue.copyWithin(0, this.#from, this.#to)
    else queue.set(pending)
    this.#queue = queue
    this.#to -= this.#from
    this.#from = 0
  }
}
