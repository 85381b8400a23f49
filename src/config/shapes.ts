/**
 * The few shapes that the schema is built from, on top of zod: a value, a mapping with known keys, a list, a value or list, a choice.
 * Every fault becomes a zod issue with its path; parse.ts turns those into problems with line and column.
 */
import * as z from 'zod'
import { type Parse, ValueError } from './values.js'

/** What rides on an issue besides path and message. */
export interface IssueParams {
  /** Point at the key instead of the value. */
  readonly at?: 'key'
  /** The message is complete: what was found is not added. */
  readonly whole?: boolean
}

type Context = { readonly issues: z.core.$ZodRawIssue[] }
// biome-ignore lint/suspicious/noExplicitAny: zod's own shape of "any schema"
type Shape = Record<string, z.ZodType<any>>
export type Mapping<S extends Shape> = z.output<z.ZodObject<S>>

export function fault(context: Context, path: PropertyKey[], message: string, params: IssueParams = {}): void {
  context.issues.push({ code: 'custom', path, message, params, input: undefined } as z.core.$ZodRawIssue)
}

/** A required single value. */
export function value<T>(parse: Parse<T>) {
  return z.unknown().transform((input, context): T => {
    try {
      return parse(input)
    } catch (error) {
      if (!(error instanceof ValueError)) throw error
      fault(context, [], `expected ${error.message}`)
      return z.NEVER
    }
  })
}

export function optional<T>(parse: Parse<T>) {
  return value(parse).optional()
}

/**
 * A mapping with exactly these keys. Others are refused: those in `elsewhere` with what stands there (the key is written somewhere else, or is not
 * supported yet), all others with a suggestion.
 */
export function mapping<S extends Shape>(shape: S, elsewhere: Readonly<Record<string, string>> = {}) {
  const object = z.object(shape)
  const allowed = Object.keys(shape)
  return z.unknown().transform((input, context): Mapping<S> => {
    if (!isMapping(input)) {
      fault(context, [], `expected a mapping with the keys ${allowed.join(', ')}`)
      return z.NEVER
    }
    for (const key of Object.keys(input)) {
      if (Object.hasOwn(shape, key)) continue
      const message = Object.hasOwn(elsewhere, key) ? `${key} ${elsewhere[key]}` : unknownKey(key, allowed)
      fault(context, [key], message, { at: 'key', whole: true })
    }
    return forward(object, input, context) as Mapping<S>
  })
}

/** A mapping from names to values of one kind. */
export function named<T>(parseName: Parse<string>, item: z.ZodType<T>, what: string) {
  return z.unknown().transform((input, context): ReadonlyMap<string, T> => {
    if (!isMapping(input)) {
      fault(context, [], `expected a mapping from ${what}`)
      return z.NEVER
    }
    const result = new Map<string, T>()
    for (const [key, element] of Object.entries(input)) {
      try {
        parseName(key)
      } catch (error) {
        if (!(error instanceof ValueError)) throw error
        fault(context, [key], `expected ${error.message}`, { at: 'key' })
      }
      const parsed = forward(item, element, context, [key])
      if (parsed !== z.NEVER) result.set(key, parsed as T)
    }
    return result
  })
}

export function list<T>(item: z.ZodType<T>, what: string) {
  return z.unknown().transform((input, context): readonly T[] => {
    if (!Array.isArray(input)) {
      fault(context, [], `expected a list of ${what}`)
      return z.NEVER
    }
    return input.map((element, index) => forward(item, element, context, [index]) as T)
  })
}

/** One value, or a list of at least one. */
export function oneOrMore<T>(item: z.ZodType<T>, what: string) {
  return z.unknown().transform((input, context): readonly T[] => {
    if (!Array.isArray(input)) return [forward(item, input, context) as T]
    if (input.length === 0) fault(context, [], `expected at least one of ${what}`)
    return input.map((element, index) => forward(item, element, context, [index]) as T)
  })
}

/** The schema for a value is chosen by looking at it, so that faults are those of the form that was meant. */
export function choose<T>(pick: (input: unknown) => z.ZodType<T>) {
  return z.unknown().transform((input, context): T => forward(pick(input), input, context) as T)
}

/** Runs another schema and hands its faults on. `z.NEVER` stands for a value that is not there because of them. */
export function forward<T>(schema: z.ZodType<T>, input: unknown, context: Context, path: PropertyKey[] = []): T {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  for (const issue of result.error.issues) {
    const params = (issue as { params?: IssueParams }).params ?? {}
    fault(context, [...path, ...issue.path], issue.message, params)
  }
  return z.NEVER
}

export function isMapping(input: unknown): input is Record<string, unknown> {
  return typeof input === 'object' && input !== null && !Array.isArray(input)
}

function unknownKey(key: string, allowed: readonly string[]): string {
  const shown = key.length > 60 ? `${key.slice(0, 60)}…` : key
  const near = nearest(key, allowed)
  return `unknown key ${shown};${near === null ? '' : ` did you mean ${near}?`} allowed: ${allowed.join(', ')}`
}

/** The allowed word that a misspelt one stands nearest to, or null. */
export function nearest(word: string, allowed: Iterable<string>): string | null {
  if (word.length > 64) return null
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of allowed) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions, replacements, and neighbours swapped, each counting 1. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(replace, last[j]! + 1, row[j - 1]! + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, beforeLast[j - 2]! + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
