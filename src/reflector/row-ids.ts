/**
 * What the rows of a group's table stand for. Prefix ids, each with the winner of its prefix; with ADD-PATH path ids, each with that path, and the id is the
 * identifier on the wire (RFC 7911 §3: ours to choose, the same for a path as long as we announce it). Whoever names a row retains it, so that its id is not
 * reused meanwhile (docs/adr/0011-path-ids.md).
 */
import type { PathTable } from '../rib/path-table.js'
import type { PrefixTable } from '../rib/prefix-table.js'

export interface RowIds {
  /** Length that columns indexed by row need. */
  readonly capacity: number
  retain(row: number): void
  release(row: number): void
}

/** Rows that are paths: a path that is held holds its prefix, which a withdrawal has to name. */
export class PathRowIds implements RowIds {
  readonly #paths: PathTable
  readonly #prefixes: PrefixTable

  constructor(paths: PathTable, prefixes: PrefixTable) {
    this.#paths = paths
    this.#prefixes = prefixes
  }

  get capacity(): number {
    return this.#paths.prefix.length
  }

  retain(path: number): void {
    this.#paths.retain(path)
    this.#prefixes.retain(this.#paths.prefix[path]!)
  }

  release(path: number): void {
    const prefix = this.#paths.prefix[path]!
    this.#paths.release(path)
    this.#prefixes.release(prefix)
  }
}
