/**
 * The ways to next hops: each is resolved once and kept until something changes that may lead to it (pure).
 */

import { addressOrNull } from '../../net/address.js'
import { addressInPrefix, parsePrefix } from '../../net/prefix.js'
import { withoutZone } from '../../net/zone.js'
import { isSameHop } from '../plan.js'
import { LearnedRoutes } from '../recursion.js'
import type { HopRules, Resolution } from '../resolve.js'
import type { RoutePrefix } from '../route-prefix.js'
import type { DesiredRoute } from '../types.js'

/** What the ways are found with. */
export interface WaySource {
  readonly rules: HopRules
  /** The route that is wanted of the prefix, where it is ours to write. */
  wanted(prefix: string): DesiredRoute | undefined
  /** By the routes of others. */
  resolveForeign(nextHop: string): Resolution
}

export class Ways {
  readonly #source: WaySource
  readonly #resolved = new Map<string, Resolution>()
  readonly #learned: LearnedRoutes
  /** A wanted route that may be on the way to next hops came, changed or went. */
  #changed = false
  /** More next hops than are kept: nobody knows which of them changed. */
  #tooMany = false
  #version = 0

  constructor(source: WaySource) {
    this.#source = source
    this.#learned = new LearnedRoutes((prefix) => source.wanted(prefix))
  }

  /** A wanted route came (+1), went (-1) or changed (0). */
  change(to: RoutePrefix, by: number): void {
    if (this.#learned.change(to, by)) this.#changed = true
  }

  /** Another number when what was resolved before may be resolved otherwise now. */
  get version(): number {
    return this.#version
  }

  get changed(): boolean {
    return this.#changed
  }

  /** Resolves the known next hops again. The result: those that are reached another way now; null: any may be. */
  lookAgain(): ReadonlySet<string> | null {
    this.#changed = false
    this.#version++
    if (this.#tooMany) {
      this.#tooMany = false
      this.#resolved.clear()
      return null
    }
    const before = [...this.#resolved]
    this.#resolved.clear()
    const changed = new Set<string>()
    for (const [nextHop, old] of before) if (!isSameResolution(old, this.resolve(nextHop))) changed.add(nextHop)
    return changed
  }

  readonly resolve = (nextHop: string): Resolution => {
    let known = this.#resolved.get(nextHop)
    if (known === undefined) {
      if (this.#resolved.size >= MAX_RESOLVED) {
        this.#resolved.clear()
        this.#tooMany = true
        this.#version++
      }
      known = this.#learned.resolve(nextHop, this.#source.rules, this.#foreign)
      this.#resolved.set(nextHop, known)
    }
    return known
  }

  readonly #foreign = (nextHop: string): Resolution => this.#source.resolveForeign(nextHop)

  /** All are resolved anew when asked for. */
  clear(): void {
    this.#version++
    this.#resolved.clear()
  }

  /** The same, and nobody asks for any. */
  forget(): void {
    this.#version++
    this.#resolved.clear()
    this.#learned.forget()
  }

  /** One of the prefixes is on the way to a next hop, or to a source address, which may be the node's now, or not any more. */
  leadsToNextHop(prefixes: readonly string[]): boolean {
    const parsed = prefixes.map((prefix) => parsePrefix(prefix))
    const sources = this.#source.rules.sources.filter((source) => source !== null)
    for (const text of [...this.#resolved.keys(), ...sources]) {
      const address = addressOrNull(withoutZone(text))
      if (address === null || parsed.some((prefix) => addressInPrefix(address, prefix))) return true
    }
    return false
  }
}

function isSameResolution(a: Resolution, b: Resolution): boolean {
  if (a.metric !== b.metric || a.reason !== b.reason || a.connected !== b.connected) return false
  return a.hops.length === b.hops.length && a.hops.every((hop, index) => isSameHop(hop, b.hops[index]!))
}

const MAX_RESOLVED = 10_000
