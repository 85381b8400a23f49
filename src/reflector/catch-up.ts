/**
 * The present state of a slice of the table, for members that are behind. A slice that a member needs most of is encoded whole, once for all members that need
 * it while nothing in it changes; else what the member needs is encoded for it alone.
 */
import type { AdjRibOut } from './adj-rib-out.js'
import type { Member } from './member.js'
import type { Outgoing } from './outgoing.js'
import { SLICE_PREFIXES } from './prefix-bits.js'
import type { RouteServerPaths } from './route-server.js'
import type { PackedSlab, UpdatePacker } from './update-packer.js'

interface CachedSlice {
  readonly version: number
  /** Rows announced in it. */
  readonly present: number
  readonly slabs: readonly PackedSlab[]
}

export class CatchUp {
  readonly #table: AdjRibOut
  readonly #packer: UpdatePacker
  readonly #routeServer: RouteServerPaths | null
  readonly #ids = new Int32Array(SLICE_PREFIXES)
  readonly #cache = new Map<number, CachedSlice>()

  constructor(table: AdjRibOut, packer: UpdatePacker, routeServer: RouteServerPaths | null) {
    this.#table = table
    this.#packer = packer
    this.#routeServer = routeServer
  }

  /** Nobody is behind: what was encoded is given up. */
  clear(): void {
    this.#cache.clear()
  }

  /** Adds what the member has to hear of a slice, and takes it off its bits. Own routes and what is not announced any more are withdrawn. */
  addSlice(out: Outgoing, member: Member, slice: number): void {
    const ids = this.#ids
    const table = this.#table
    const count = member.bits.takeSlice(slice, ids)
    let announced = 0
    for (let i = 0; i < count; i++) {
      const row = ids[i]!
      const present = table.setOf(row) !== 0
      if (present && table.sourceOf(row) !== member.source) ids[announced++] = row
      else if (!present || !this.#packSecond(row)) this.#packer.withdraw(row)
    }
    for (const slab of this.#packer.take()) out.addSlab(slab, member.source)
    if (announced === 0) return
    for (const slab of this.#whole(slice, announced) ?? this.#some(announced)) out.addSlab(slab, member.source)
  }

  /** The first `count` of the ids at hand. */
  #some(count: number): readonly PackedSlab[] {
    for (let i = 0; i < count; i++) this.#pack(this.#ids[i]!)
    return this.#packer.take()
  }

  /** The whole slice, or null when `wanted` is only a small part of it. */
  #whole(slice: number, wanted: number): readonly PackedSlab[] | null {
    const version = this.#table.versionOf(slice)
    let cached = this.#cache.get(slice)
    if (cached === undefined || cached.version !== version) {
      const start = slice * SLICE_PREFIXES
      const end = Math.min(this.#table.end, start + SLICE_PREFIXES)
      let present = 0
      for (let row = start; row < end; row++) if (this.#table.setOf(row) !== 0) present++
      if (wanted * 2 < present) return null
      for (let row = start; row < end; row++) if (this.#table.setOf(row) !== 0) this.#pack(row)
      cached = { version, present, slabs: this.#packer.take() }
      this.#cache.delete(slice)
      this.#cache.set(slice, cached)
      if (this.#cache.size > CACHED_SLICES) this.#cache.delete(this.#cache.keys().next().value!)
    }
    return wanted * 2 < cached.present ? null : cached.slabs
  }

  /** What the source of the announced path hears instead; false: nothing. */
  #packSecond(prefix: number): boolean {
    const second = this.#routeServer?.secondOf(prefix) ?? 0
    if (second === 0) return false
    this.#packer.announce(prefix, second, this.#routeServer!.secondSourceOf(prefix))
    return true
  }

  #pack(row: number): void {
    this.#packer.announce(row, this.#table.setOf(row), this.#table.sourceOf(row))
  }
}

const CACHED_SLICES = 256
