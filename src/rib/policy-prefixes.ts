/**
 * A list of prefix matches as a question answered without allocation: per length of the listed prefixes a table by their first word, so
 * that lists of thousands stay cheap.
 */
import type { PrefixMatch } from '../config/types.js'
import { wordAt } from '../net/address.js'
import { FAMILIES, type Family } from '../net/family.js'

interface Entry {
  readonly w1: number
  readonly w2: number
  readonly w3: number
  readonly minLength: number
  readonly maxLength: number
}

/** All listed prefixes of one length. */
interface Level {
  readonly length: number
  readonly masks: readonly [number, number, number, number]
  readonly byFirstWord: ReadonlyMap<number, readonly Entry[]>
}

export class PrefixList {
  private readonly levels: readonly (readonly Level[])[]

  constructor(matches: readonly PrefixMatch[]) {
    this.levels = FAMILIES.map(({ family }) => levelsOf(matches.filter((match) => match.prefix.family === family)))
  }

  /** The address as big-endian u32 words; IPv4 uses w0 alone. */
  has(family: Family, w0: number, w1: number, w2: number, w3: number, length: number): boolean {
    for (const level of this.levels[family]!) {
      if (level.length > length) return false
      const { masks } = level
      const entries = level.byFirstWord.get((w0 & masks[0]) >>> 0)
      if (entries === undefined) continue
      for (const entry of entries) {
        if (length < entry.minLength || length > entry.maxLength) continue
        if (
          (w1 & masks[1]) >>> 0 === entry.w1 &&
          (w2 & masks[2]) >>> 0 === entry.w2 &&
          (w3 & masks[3]) >>> 0 === entry.w3
        ) {
          return true
        }
      }
    }
    return false
  }
}

/** Shortest first. */
function levelsOf(matches: readonly PrefixMatch[]): readonly Level[] {
  const tables = new Map<number, Map<number, Entry[]>>()
  for (const { prefix, minLength, maxLength } of matches) {
    const words = [0, 4, 8, 12].map((at) => (at < prefix.address.length ? wordAt(prefix.address, at) : 0))
    const [w0, w1, w2, w3] = words as [number, number, number, number]
    const table = tables.get(prefix.length) ?? new Map<number, Entry[]>()
    tables.set(prefix.length, table)
    const bucket = table.get(w0) ?? []
    table.set(w0, bucket)
    bucket.push({ w1, w2, w3, minLength, maxLength })
  }
  return [...tables]
    .sort(([a], [b]) => a - b)
    .map(([length, byFirstWord]) => ({
      length,
      masks: [maskWord(length, 0), maskWord(length, 1), maskWord(length, 2), maskWord(length, 3)],
      byFirstWord,
    }))
}

/** The mask of word 0..3 for a prefix of this length. */
function maskWord(length: number, word: number): number {
  const bits = Math.min(32, Math.max(0, length - word * 32))
  return bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0
}
