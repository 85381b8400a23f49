/**
 * ADD-PATH, sending (RFC 7911): which paths of a prefix a group announces now, and which it has announced.
 *
 * All usable paths that the group may hear, or the best `limit` of them in the order of the decision. A member hears them without its own, so that a peer
 * which is the source of one of the best two hears the other one: it has its own already.
 *
 * Cost: 5 octets a path, 4 a prefix.
 */
import type { AttributeStore } from '../rib/attribute-store.js'
import { grown } from '../rib/columns.js'
import type { FamilyTables } from '../rib/rib.js'
import type { RibSource } from '../rib/source.js'
import type { Exporter } from './exporter.js'

export class AddPathRows {
  readonly #tables: FamilyTables
  readonly #store: AttributeStore
  readonly #source: (index: number) => RibSource | undefined
  readonly #exporter: Exporter
  readonly #limit: number
  /** By prefix: the first path that is announced; the others by path. */
  #first = new Int32Array(1024)
  #next = new Int32Array(1024)
  /** By path: 1 while select() has chosen it. */
  #chosen = new Uint8Array(1024)
  /** After select(): the paths to be announced, and with what. */
  readonly paths: number[] = []
  readonly outs: number[] = []
  /** After select(): the paths to be withdrawn. */
  readonly gone: number[] = []

  constructor(
    tables: FamilyTables,
    store: AttributeStore,
    source: (index: number) => RibSource | undefined,
    exporter: Exporter,
    limit: number,
  ) {
    this.#tables = tables
    this.#store = store
    this.#source = source
    this.#exporter = exporter
    this.#limit = limit
  }

  get arrayOctets(): number {
    return this.#first.byteLength + this.#next.byteLength + this.#chosen.byteLength
  }

  /** Makes the columns long enough for all ids. */
  reserve(): void {
    const { prefixes, paths } = this.#tables
    if (prefixes.capacity > this.#first.length) this.#first = grown(this.#first, prefixes.capacity)
    if (paths.prefix.length <= this.#next.length) return
    this.#next = grown(this.#next, paths.prefix.length)
    this.#chosen = new Uint8Array(this.#next.length)
  }

  /** The first path announced for a prefix, 0 for none. */
  first(prefix: number): number {
    return this.#first[prefix] ?? 0
  }
  next(path: number): number {
    return this.#next[path]!
  }

  /** Chooses what to announce for a prefix: fills `paths`, `outs` and `gone`, and takes it for announced from now on. */
  select(prefix: number): void {
    const { paths, outs, gone } = this
    paths.length = 0
    outs.length = 0
    gone.length = 0
    if (this.#limit >= ALL_PATHS) this.#chooseAll(prefix)
    else this.#chooseBest(prefix)
    for (let path = this.first(prefix); path !== 0; path = this.#next[path]!)
      if (this.#chosen[path] === 0) gone.push(path)
    let first = 0
    for (let at = paths.length - 1; at >= 0; at--) {
      const path = paths[at]!
      this.#chosen[path] = 0
      this.#next[path] = first
      first = path
    }
    this.#first[prefix] = first
  }

  #chooseAll(prefix: number): void {
    const { paths, decision } = this.#tables
    for (let path = paths.firstOfPrefix[prefix]!; path !== 0; path = paths.nextOfPrefix[path]!)
      if (decision.isUsable(path)) this.#choose(prefix, path)
  }

  #chooseBest(prefix: number): void {
    for (const path of this.#tables.decision.ranked(prefix)) {
      this.#choose(prefix, path)
      if (this.paths.length >= this.#limit) return
    }
  }

  /** Chooses the path when the group may hear it. */
  #choose(prefix: number, path: number): void {
    const { paths, prefixes } = this.#tables
    const source = this.#source(paths.source[path]!)!
    const out = this.#exporter.outgoing(this.#store.get(paths.effective[path]!), source, prefixes, prefix)
    if (out === 0) return
    this.#chosen[path] = 1
    this.paths.push(path)
    this.outs.push(out)
  }
}

/** From here on the number of paths is no limit: NeighborConfig.addPath, ADD_PATH_ALL. */
const ALL_PATHS = 255
