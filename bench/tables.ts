/** Prefix table, decision, and the whole way of a table from UPDATE octets into Adj-RIB-In. */
import { decodePathAttributes } from '../src/bgp/attributes/decode.js'
import { encodePathAttributes } from '../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../src/bgp/attributes/path-attributes.js'
import { splitUpdate } from '../src/bgp/message/update.js'
import { UpdateParts } from '../src/bgp/message/update-parts.js'
import { Family } from '../src/net/family.js'
import { formatPrefix } from '../src/net/prefix.js'
import { ChainIndex, finish, mixWord } from '../src/rib/chain-index.js'
import { PrefixTable } from '../src/rib/prefix-table.js'
import { SourceKind } from '../src/rib/source.js'
import { type NaivePeer, naiveWinner } from '../test/support/naive-rib.js'
import { attributesNumber, PREFIX_LENGTH, ROUTER_ID, tableOf, updateOf, World, wordNumber } from './given.js'
import type { Bench, Variant, Work } from './harness.js'

const PREFIXES = 1_000_000

/** How a table's prefixes lie: everywhere, or in runs of neighbours as Pod blocks and most real ones do. */
const PATTERNS: readonly { name: string; wordOf: (n: number) => number }[] = [
  { name: 'scattered', wordOf: wordNumber },
  { name: 'in runs of 16', wordOf: (n) => ((Math.imul(n >> 4, 0x9e3779b1) & 0x7ffff) << 12) | ((n & 15) << 8) },
]

/** A table of IPv4 prefixes as the benches of it see one: id of a prefix, made when missing. */
interface Interner {
  intern(word: number): number
  find(word: number): number
}

const INTERNERS: readonly { name: string; twin: boolean; make: () => Interner }[] = [
  {
    name: 'PrefixTable (open addressing, key beside id)',
    twin: false,
    make: () => {
      const table = new PrefixTable(Family.IPV4_UNICAST, 7)
      return {
        intern: (word) => table.intern(word, 0, 0, 0, PREFIX_LENGTH),
        find: (word) => table.find(word, 0, 0, 0, PREFIX_LENGTH),
      }
    },
  },
  { name: 'ChainIndex over columns', twin: true, make: () => new ChainedPrefixes() },
  {
    name: 'Map by text',
    twin: true,
    make: () => {
      const ids = new Map<string, number>()
      const key = (word: number): string => `${word}/${PREFIX_LENGTH}`
      return {
        intern: (word) => {
          const text = key(word)
          let id = ids.get(text)
          if (id === undefined) {
            id = ids.size + 1
            ids.set(text, id)
          }
          return id
        },
        find: (word) => ids.get(key(word)) ?? 0,
      }
    },
  },
]

/** What the prefix table was before: ids in chains, keys in arrays of their own. */
class ChainedPrefixes implements Interner {
  readonly #index = new ChainIndex()
  #words = new Int32Array(1024)
  #lengths = new Uint8Array(1024)
  #end = 1

  intern(word: number): number {
    const hash = hashOf(word)
    const found = this.#find(word, hash)
    if (found !== 0) return found
    const id = this.#end++
    if (id >= this.#words.length) {
      const words = new Int32Array(this.#words.length * 4)
      words.set(this.#words)
      this.#words = words
      const lengths = new Uint8Array(words.length)
      lengths.set(this.#lengths)
      this.#lengths = lengths
    }
    this.#words[id] = word
    this.#lengths[id] = PREFIX_LENGTH
    this.#index.add(id, hash)
    return id
  }

  find(word: number): number {
    return this.#find(word, hashOf(word))
  }

  #find(word: number, hash: number): number {
    for (let id = this.#index.first(hash); id !== 0; id = this.#index.next(id))
      if (this.#words[id] === word && this.#lengths[id] === PREFIX_LENGTH) return id
    return 0
  }
}

function hashOf(word: number): number {
  return finish(mixWord(mixWord(7, word), PREFIX_LENGTH ^ 7))
}

const internPrefixes = PATTERNS.map(
  ({ name: pattern, wordOf }): Bench => ({
    name: `intern ${PREFIXES / 1e6} M new prefixes, ${pattern}`,
    operation: 'prefix',
    once: true,
    variants: INTERNERS.map(({ name, twin, make }) => ({
      name,
      twin,
      prepare: () => {
        const words = wordsOf(PREFIXES, wordOf)
        const table = make()
        return () => internAll(table, words)
      },
    })),
  }),
)

const findPrefixes = PATTERNS.map(
  ({ name: pattern, wordOf }): Bench => ({
    name: `find all of ${PREFIXES / 1e6} M prefixes, ${pattern}`,
    operation: 'prefix',
    variants: INTERNERS.map(({ name, twin, make }) => ({
      name,
      twin,
      prepare: () => {
        const words = wordsOf(PREFIXES, wordOf)
        const table = make()
        internAll(table, words)
        // In another order of the runs than that of their ids, as updates of a table come.
        const asked = words.map((_, n) => words[(((n >> 4) * 7919 * 16) % PREFIXES) + (n & 15)]!)
        return () => {
          for (let i = 0; i < asked.length; i++)
            if (table.find(asked[i]!) === 0) throw new Error('a prefix is not found')
          return asked.length
        }
      },
    })),
  }),
)

function wordsOf(count: number, wordOf: (n: number) => number): Int32Array {
  return Int32Array.from({ length: count }, (_, n) => wordOf(n))
}

function internAll(table: Interner, words: Int32Array): number {
  for (let i = 0; i < words.length; i++) table.intern(words[i]!)
  return words.length
}

/** `paths` clients announce the same prefixes; they differ in MED and neighbouring AS as paths from a few providers do. */
function decisionBench(paths: number): Bench {
  const prefixes = 500
  return {
    name: `decision, ${paths} paths`,
    operation: 'prefix decided',
    variants: [
      {
        name: 'Decision.best',
        twin: false,
        prepare: () => {
          const world = new World()
          for (let n = 0; n < paths; n++) {
            const block = encodePathAttributes(pathNumber(n), { as4: true, nextHopAttribute: true })
            world.receive(world.source(n + 1), [updateOf(block, 0, prefixes)])
          }
          const { decision, prefixes: table } = world.rib.tables[Family.IPV4_UNICAST]!
          const ids = Array.from({ length: prefixes }, (_, n) => table.find(wordNumber(n), 0, 0, 0, PREFIX_LENGTH))
          return () => {
            for (const id of ids) if (decision.best(id) === 0) throw new Error('no path won')
            return ids.length
          }
        },
      },
      {
        name: 'sorted lists of objects',
        twin: true,
        prepare: () => {
          const peers = Array.from({ length: paths }, (_, n): NaivePeer => {
            const routes = new Map<string, PathAttributes>()
            for (let prefix = 0; prefix < prefixes; prefix++) routes.set(`0 ${prefix}`, pathNumber(n))
            return { number: n, kind: SourceKind.CLIENT, bgpId: n + 1, address: Uint8Array.of(10, 2, 0, n), routes }
          })
          const speaker = { routerId: ROUTER_ID, clusterId: ROUTER_ID }
          return () => {
            for (let prefix = 0; prefix < prefixes; prefix++)
              if (naiveWinner(peers, `0 ${prefix}`, speaker) === null) throw new Error('no path won')
            return prefixes
          }
        },
      },
    ],
  }
}

function pathNumber(n: number): PathAttributes {
  const from = attributesNumber(5 * (n % 4))
  return { ...from, origin: 0, med: n % 3, communities: attributesNumber(n).communities }
}

/** One peer's whole table into Adj-RIB-In. */
function ingestBench(prefixes: number, sets: number): Bench {
  const messages = (): Uint8Array[] => tableOf(prefixes, sets)
  const variant = (name: string, twin: boolean, work: (messages: readonly Uint8Array[]) => Work): Variant => {
    let made: Uint8Array[] | null = null
    return {
      name,
      twin,
      prepare: () => {
        made ??= messages()
        return work(made)
      },
    }
  }
  return {
    name: `take in ${prefixes / 1000}k prefixes, ${sets / 1000}k sets`,
    operation: 'prefix',
    once: true,
    ...(prefixes > 500_000 ? { atMost: 5 } : {}),
    variants: [
      variant('AdjRibIn', false, (updates) => {
        const world = new World()
        const source = world.source(1)
        return () => {
          world.receive(source, updates)
          if (source.received[Family.IPV4_UNICAST] !== prefixes) throw new Error('prefixes are missing')
          return prefixes
        }
      }),
      variant('objects in a Map by text', true, (updates) => () => {
        const routes = ingestSimply(updates)
        if (routes.size !== prefixes) throw new Error('prefixes are missing')
        return prefixes
      }),
    ],
  }
}

function ingestSimply(updates: readonly Uint8Array[]): Map<string, PathAttributes> {
  const routes = new Map<string, PathAttributes>()
  const parts = new UpdateParts()
  for (const update of updates) {
    splitUpdate(update, 0, update.length, parts)
    const internal = { as4: true, ebgp: false }
    const { attributes } = decodePathAttributes(update, parts.attributesStart, parts.attributesEnd, internal)
    for (let at = parts.nlriStart; at < parts.nlriEnd; ) {
      const bits = update[at]!
      const next = at + 1 + ((bits + 7) >> 3)
      routes.set(formatPrefix(Family.IPV4_UNICAST, update.subarray(at + 1, next), bits), attributes)
      at = next
    }
  }
  return routes
}

export const TABLE_BENCHES: readonly Bench[] = [
  ...internPrefixes,
  ...findPrefixes,
  ...[2, 8, 64].map(decisionBench),
  ingestBench(200_000, 15_000),
  ingestBench(1_000_000, 150_000),
]
