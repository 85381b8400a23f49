/**
 * Policies, compiled for the tables (policy-types.ts). A statement is split into what attributes and source decide, asked once per attribute
 * set, and what the prefix decides.
 *
 * Statements always look at the route as it came to the policy, not at what an earlier `next` changed. A route that no statement accepts or
 * rejects is rejected. AS path patterns cannot back-track (policy-pattern.ts).
 */
import { asPathLength, formatAsPath } from '../bgp/attributes/as-path.js'
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import type { PolicyConfig, PolicySet, PolicyStatement } from '../config/types.js'
import { FAMILIES, type Family } from '../net/family.js'
import { addressInPrefix } from '../net/prefix.js'
import { communityLists, hasAny, LARGE_OCTETS, STANDARD_OCTETS } from './policy-communities.js'
import { composeEdits, editsOf, isNoEdit } from './policy-edits.js'
import { type PathPattern, parsePathPattern } from './policy-pattern.js'
import { PrefixList } from './policy-prefixes.js'
import type { AttributeEdits, CompiledPolicy, PolicySource, PolicyVerdict } from './policy-types.js'

export { applyEdits } from './policy-edits.js'

/** The configuration was checked (src/config); a text in it that is none after all throws here. */
export function compilePolicy(config: PolicyConfig): CompiledPolicy {
  return new Policy(config)
}

/** A question about attributes and source. */
type Test = (route: Judged) => boolean

/** The route being judged; the text of its AS path is made when the first statement asks. */
interface Judged {
  readonly attributes: PathAttributes
  readonly family: Family
  readonly source: PolicySource
  pathText: string | null
}

interface Statement {
  readonly tests: readonly Test[]
  readonly prefixes: PrefixList | null
  readonly action: 'accept' | 'reject' | 'next'
  /** By family, because a next hop of the other family is no change; null: changes nothing. */
  readonly changes: readonly Changes[]
}

/** A way through the policy: the `next` statements that matched so far. Leads to further ones, or to the verdict. */
interface Way {
  readonly edits: AttributeEdits | null
  readonly weight: number | null
  readonly next: (Way | undefined)[]
  /** Index: the statement that ends it; the last one stands for the end of the policy. */
  readonly verdicts: (PolicyVerdict | undefined)[]
}

class Policy implements CompiledPolicy {
  readonly name: string
  readonly readsPrefix: boolean
  readonly readsSource: boolean
  readonly #statements: readonly Statement[]
  /** Up to 30 statements fit into the bits of a small integer; the sets of larger policies are interned, one entry per set ever seen. */
  readonly #fitsBits: boolean
  readonly #candidates: number[][] = []
  readonly #candidateIds = new Map<string, number>()
  readonly #starts: readonly Way[] = FAMILIES.map(() => ({ ...NO_CHANGE, next: [], verdicts: [] }))
  readonly #verdicts = new Map<string, PolicyVerdict>()

  constructor(config: PolicyConfig) {
    this.name = config.name
    this.#statements = config.statements.map(compileStatement)
    this.#fitsBits = this.#statements.length <= 30
    this.readsPrefix = config.statements.some(({ match }) => match.prefix !== null)
    this.readsSource = config.statements.some(({ match }) => match.peer !== null || match.peerType !== null)
  }

  evaluateAttributes(attributes: PathAttributes, family: Family, source: PolicySource): number {
    const route: Judged = { attributes, family, source, pathText: null }
    const found: number[] = []
    for (let i = 0; i < this.#statements.length; i++) {
      const statement = this.#statements[i]!
      if (!statement.tests.every((test) => test(route))) continue
      found.push(i)
      if (statement.prefixes === null && statement.action !== 'next') break
    }
    if (this.#fitsBits) return found.reduce((bits, index) => bits | (1 << index), 0)
    const key = found.join()
    let id = this.#candidateIds.get(key)
    if (id === undefined) {
      id = this.#candidates.push(found) - 1
      this.#candidateIds.set(key, id)
    }
    return id
  }

  evaluatePrefix(
    candidates: number,
    family: Family,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    length: number,
  ): PolicyVerdict {
    const indexes = this.#fitsBits ? null : this.#candidates[candidates]!
    let way = this.#starts[family]!
    let bits = candidates
    for (let i = 0; indexes === null ? bits !== 0 : i < indexes.length; i++) {
      // In order: the lowest bit first.
      const index = indexes === null ? 31 - Math.clz32(bits & -bits) : indexes[i]!
      bits &= bits - 1
      const statement = this.#statements[index]!
      if (statement.prefixes !== null && !statement.prefixes.has(family, w0, w1, w2, w3, length)) continue
      if (statement.action !== 'next') return way.verdicts[index] ?? this.#verdict(way, index, family)
      way = way.next[index] ?? this.#follow(way, index, family)
    }
    return way.verdicts[this.#statements.length] ?? this.#verdict(way, this.#statements.length, family)
  }

  #follow(way: Way, index: number, family: Family): Way {
    const changes = this.#statements[index]!.changes[family]!
    // A `next` that changes nothing leads nowhere new.
    const target: Way = changes === NO_CHANGE ? way : { ...combined(way, changes), next: [], verdicts: [] }
    way.next[index] = target
    return target
  }

  #verdict(way: Way, index: number, family: Family): PolicyVerdict {
    const statement = this.#statements[index]
    const accept = statement?.action === 'accept'
    const { edits, weight } = accept ? combined(way, statement.changes[family]!) : NO_CHANGE
    const text =
      statement === undefined
        ? `policy ${this.name}, no statement accepts it (reject)`
        : `policy ${this.name}, statement ${index + 1} (${statement.action})`
    const key = JSON.stringify([text, edits, weight], octetsAsText)
    let verdict = this.#verdicts.get(key)
    if (verdict === undefined) {
      verdict = Object.freeze({ id: this.#verdicts.size, accept, text, edits, weight })
      this.#verdicts.set(key, verdict)
    }
    way.verdicts[index] = verdict
    return verdict
  }
}

function compileStatement({ match, set, action }: PolicyStatement): Statement {
  const tests: Test[] = []
  const { family, peer, peerType, origin, asPathLength: hops, communities, nextHop, asPath } = match
  if (family !== null) tests.push((route) => family.includes(route.family))
  if (peerType !== null) tests.push((route) => route.source.type === peerType)
  if (peer !== null) tests.push(peerTest(peer))
  if (origin !== null) tests.push((route) => origin.includes(route.attributes.origin))
  if (hops !== null) {
    tests.push(({ attributes }) => {
      const length = attributes.asPath === null ? 0 : asPathLength(attributes.asPath)
      return length >= hops.min && length <= hops.max
    })
  }
  if (communities !== null) {
    const wanted = communityLists(communities)
    tests.push(
      ({ attributes }) =>
        hasAny(attributes.communities, wanted.standard, STANDARD_OCTETS) ||
        hasAny(attributes.largeCommunities, wanted.large, LARGE_OCTETS),
    )
  }
  if (nextHop !== null) {
    tests.push(({ attributes }) => {
      // Of a pair (RFC 2545) the global address counts.
      const address = attributes.nextHop === null ? null : attributes.nextHop.subarray(0, 16)
      return address !== null && nextHop.some((prefix) => addressInPrefix(address, prefix))
    })
  }
  if (asPath !== null) tests.push(pathTest(asPath))
  return {
    tests,
    prefixes: match.prefix === null ? null : new PrefixList(match.prefix),
    action,
    changes: FAMILIES.map((row) => changesOf(set, row.addressOctets)),
  }
}

function changesOf(set: PolicySet, addressOctets: number): Changes {
  const written = editsOf(set)
  const foreign = written.nextHop instanceof Uint8Array && written.nextHop.length !== addressOctets
  const edits = foreign ? { ...written, nextHop: null } : written
  if (!isNoEdit(edits)) return { edits, weight: set.weight }
  return set.weight === null ? NO_CHANGE : { edits: null, weight: set.weight }
}

function peerTest(names: readonly string[]): Test {
  const wanted = new Set(names)
  return ({ source }) => wanted.has(source.type === 'local' ? 'local' : source.name)
}

function pathTest(source: string): Test {
  const parsed = parsePathPattern(source)
  if (!parsed.ok) throw new Error(`AS path pattern '${source}': ${parsed.message}`)
  const pattern: PathPattern = parsed.pattern
  return (route) => {
    route.pathText ??= route.attributes.asPath === null ? '' : formatAsPath(route.attributes.asPath)
    return pattern.test(route.pathText)
  }
}

function combined(way: Changes, statement: Changes): Changes {
  const edits =
    way.edits === null || statement.edits === null
      ? (way.edits ?? statement.edits)
      : composeEdits(way.edits, statement.edits)
  return { edits, weight: statement.weight ?? way.weight }
}

function octetsAsText(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
}

type Changes = Pick<PolicyVerdict, 'edits' | 'weight'>
const NO_CHANGE: Changes = { edits: null, weight: null }
