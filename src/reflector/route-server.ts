/**
 * What a route server sends to its clients (RFC 7947). The attributes go through as they came (§2.2), and where a client may not hear the best path, because it
 * is its own or because the export policy refuses it, it hears the next one that it may hear (§2.3, no path hiding).
 *
 * All members of a group may hear the same paths but for their own. So a group needs two per prefix: the best that may go out, for everybody but its source, and
 * the best of another source, for that one. The second is kept here: 8 octets a prefix, only in groups of route server clients.
 *
 * Deviation: an own route, or one without any AS, gets our AS in front; an external peer takes no empty AS_PATH.
 */
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import type { AttributeStore } from '../rib/attribute-store.js'
import type { FamilyTables } from '../rib/rib.js'
import { type RibSource, SourceKind } from '../rib/source.js'
import { AdjRibOut } from './adj-rib-out.js'
import { withOwnAs } from './as-path-rules.js'
import type { Exporter } from './exporter.js'
import type { OutSetTable } from './out-set.js'
import type { ExportRules, ExportSource } from './reflect.js'

/** §2.2: NEXT_HOP, AS_PATH, MED and communities of all kinds, transitive or not, stay. LOCAL_PREF and what is of a cluster never leave our AS. */
export function toRouteServerClient(
  attributes: PathAttributes,
  source: ExportSource,
  rules: ExportRules,
): PathAttributes {
  const path = attributes.asPath ?? NO_PATH
  const ours = source.kind === SourceKind.LOCAL || path.length === 0
  return {
    ...attributes,
    asPath: ours ? withOwnAs(path, rules.asPath, rules.localAsn) : path,
    nextHop: attributes.nextHop ?? rules.selfNextHop,
    localPref: -1,
    originatorId: -1,
    clusterList: null,
  }
}

export interface RouteServerContext {
  readonly tables: FamilyTables
  readonly store: AttributeStore
  readonly source: (index: number) => RibSource | undefined
}

/** The second path of each prefix of one group, and the choice of both. */
export class RouteServerPaths {
  readonly #context: RouteServerContext
  readonly #exporter: Exporter
  readonly #seconds: AdjRibOut
  /** Of the last choose(): what goes to everybody, what goes to `firstSource` instead; 0 for nothing. */
  first = 0
  firstSource = 0
  #second = 0
  #secondSource = 0

  constructor(context: RouteServerContext, exporter: Exporter, outSets: OutSetTable) {
    this.#context = context
    this.#exporter = exporter
    this.#seconds = new AdjRibOut(context.tables.prefixes, outSets)
  }

  get arrayOctets(): number {
    return this.#seconds.arrayOctets
  }

  /** What the source of the announced path hears of a prefix: its out set's id, 0 for nothing. */
  secondOf(prefix: number): number {
    return this.#seconds.setOf(prefix)
  }
  secondSourceOf(prefix: number): number {
    return this.#seconds.sourceOf(prefix)
  }

  /** Looks for the two paths of a prefix in the order of the decision. */
  choose(prefix: number): void {
    const { tables, store, source: sourceOf } = this.#context
    const { paths, prefixes, decision } = tables
    this.first = 0
    this.#second = 0
    this.firstSource = 0
    this.#secondSource = 0
    for (const path of decision.ranked(prefix)) {
      const source = sourceOf(paths.source[path]!)!
      if (this.first !== 0 && source.index === this.firstSource) continue
      const out = this.#exporter.outgoing(store.get(paths.effective[path]!), source, prefixes, prefix)
      if (out === 0) continue
      if (this.first !== 0) {
        this.#second = out
        this.#secondSource = source.index
        return
      }
      this.first = out
      this.firstSource = source.index
    }
  }

  /** Notes the second path of the last choose(). True where it is another one than before. */
  noteSecond(prefix: number): boolean {
    const { prefixes } = this.#context.tables
    this.#seconds.reserve()
    const known = this.#seconds.setOf(prefix)
    const out = this.#second
    if (out === 0) {
      if (known === 0) return false
      this.#seconds.withdraw(prefix)
      // The group's own table holds the id as long as somebody may have to hear of it.
      prefixes.release(prefix)
      return true
    }
    if (known === out && this.#seconds.sourceOf(prefix) === this.#secondSource) return false
    this.#seconds.announce(prefix, out, this.#secondSource)
    return known !== out
  }

  /** How many prefixes each source hears although the announced path is its own. */
  countsBySource(firstSourceOf: (prefix: number) => number): Map<number, number> {
    const counts = new Map<number, number>()
    for (let prefix = 1; prefix < this.#seconds.end; prefix++) {
      if (this.#seconds.setOf(prefix) === 0) continue
      const source = firstSourceOf(prefix)
      counts.set(source, (counts.get(source) ?? 0) + 1)
    }
    return counts
  }

  closeSlice(limit: number): boolean {
    return this.#seconds.closeSlice(limit)
  }
}

const NO_PATH = new Uint8Array(0)
