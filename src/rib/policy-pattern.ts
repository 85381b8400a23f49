/**
 * Regular expressions on AS paths that cannot stall the daemon: compiled to a small automaton whose work is bounded by
 * length of the text × size of the pattern, so nothing a peer sends makes it back-track (JavaScript's own RegExp would, for `(\d+ ?)*$`).
 *
 * Syntax: literals, `.`, classes `[0-9]` `[^ ]`, `\d` `\D` `\s` `\S`, groups, `|`, `*` `+` `?` `{n}` `{n,m}` `{n,}`, `^`, `$`, and `_` as in
 * router configurations (start, end, space, comma or bracket). Not anchored unless it says so. `(?:` groups like `(`; other `(?…)` are refused.
 */
export interface PathPattern {
  readonly source: string
  /** True where some part of the text matches. Only the first maxPathText characters are read. */
  test(text: string): boolean
}

export type PatternResult =
  | { readonly ok: true; readonly pattern: PathPattern }
  | { readonly ok: false; readonly message: string }

export const maxPatternText = 256
/** 1,000 ASNs of ten digits; longer paths are matched by their beginning, and never by `$`. */
export const maxPathText = 11_000

export function parsePathPattern(source: string): PatternResult {
  if (source.length > maxPatternText) return { ok: false, message: `it has ${source.length}` }
  try {
    const program = new Compiler(source).compile()
    return { ok: true, pattern: { source, test: (text) => run(program, text) } }
  } catch (error) {
    if (error instanceof PatternError) return { ok: false, message: error.message }
    throw error
  }
}

class PatternError extends Error {}

/** One step of the automaton. `set`: 128 flags, index is the character code. */
type Step =
  | { readonly kind: 'char'; readonly set: Uint8Array; next: number }
  | { readonly kind: 'split'; a: number; b: number }
  | { readonly kind: 'start' | 'end' | 'edge'; next: number }
  | { readonly kind: 'match' }

type Tree =
  | { readonly kind: 'char'; readonly set: Uint8Array }
  | { readonly kind: 'start' | 'end' | 'delimiter' | 'empty' }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Tree[] }
  | { readonly kind: 'repeat'; readonly part: Tree; readonly min: number; readonly max: number }

class Compiler {
  private readonly source: string
  private at = 0
  private depth = 0
  private emitted = 0
  private readonly steps: Step[] = []

  constructor(source: string) {
    this.source = source
  }

  compile(): readonly Step[] {
    const tree = this.choice()
    if (this.at < this.source.length) throw new PatternError(`')' without '(' at character ${this.at + 1}`)
    const match = this.add({ kind: 'match' })
    const start = this.emit(tree, match)
    // The entry point is kept as the last step, where run() looks for it.
    this.add({ kind: 'split', a: start, b: start })
    return this.steps
  }

  private choice(): Tree {
    const parts = [this.sequence()]
    while (this.source[this.at] === '|') {
      this.at++
      parts.push(this.sequence())
    }
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts }
  }

  private sequence(): Tree {
    const parts: Tree[] = []
    while (this.at < this.source.length && this.source[this.at] !== '|' && this.source[this.at] !== ')')
      parts.push(this.repeated())
    return parts.length === 0 ? { kind: 'empty' } : { kind: 'sequence', parts }
  }

  private repeated(): Tree {
    let part = this.atom()
    for (;;) {
      const range = this.quantifier()
      if (range === null) return part
      part = { kind: 'repeat', part, min: range[0], max: range[1] }
    }
  }

  private quantifier(): readonly [number, number] | null {
    const c = this.source[this.at]
    const simple = c === '*' ? STAR : c === '+' ? PLUS : c === '?' ? OPTIONAL : null
    if (simple !== null) {
      this.at++
      return simple
    }
    const match = c === '{' ? /^\{([0-9]{1,3})(,([0-9]{0,3}))?\}/.exec(this.source.slice(this.at)) : null
    if (match === null) return null
    this.at += match[0].length
    const min = Number(match[1])
    const max = match[2] === undefined ? min : match[3] === '' ? Number.POSITIVE_INFINITY : Number(match[3])
    if (max < min) throw new PatternError(`${match[0]} has its bounds the wrong way round`)
    return [min, max]
  }

  private atom(): Tree {
    const c = this.source[this.at++]!
    switch (c) {
      case '(':
        return this.group()
      case '[':
        return { kind: 'char', set: this.characterClass() }
      case '.':
        return { kind: 'char', set: setOf(() => true) }
      case '^':
        return { kind: 'start' }
      case '$':
        return { kind: 'end' }
      case '_':
        return { kind: 'delimiter' }
      case '\\':
        return { kind: 'char', set: this.escape() }
      case '*':
      case '+':
      case '?':
        throw new PatternError(`'${c}' with nothing before it at character ${this.at}`)
      default:
        return { kind: 'char', set: one(c) }
    }
  }

  private group(): Tree {
    if (++this.depth > MAX_DEPTH) throw new PatternError(`more than ${MAX_DEPTH} groups inside each other`)
    if (this.source[this.at] === '?') {
      if (this.source[this.at + 1] !== ':') throw new PatternError('look-around and named groups are not supported')
      this.at += 2
    }
    const tree = this.choice()
    if (this.source[this.at] !== ')') throw new PatternError("'(' without ')'")
    this.at++
    this.depth--
    return tree
  }

  private escape(): Uint8Array {
    const c = this.source[this.at++]
    if (c === undefined) throw new PatternError("'\\' at the end")
    if (c === 'd') return setOf(isDigit)
    if (c === 'D') return setOf((code) => !isDigit(code))
    if (c === 's') return one(' ')
    if (c === 'S') return setOf((code) => code !== SPACE)
    if (/[A-Za-z0-9]/.test(c)) throw new PatternError(`'\\${c}' is not supported`)
    return one(c)
  }

  private characterClass(): Uint8Array {
    const negate = this.source[this.at] === '^'
    if (negate) this.at++
    const set = new Uint8Array(128)
    for (let first = true; ; first = false) {
      const c = this.source[this.at++]
      if (c === undefined) throw new PatternError("'[' without ']'")
      if (c === ']' && !first) break
      if (c === '\\') {
        const escaped = this.escape()
        for (let i = 0; i < 128; i++) set[i]! |= escaped[i]!
        continue
      }
      const last =
        this.source[this.at] === '-' && this.source[this.at + 1] !== ']' ? this.source[this.at + 1] : undefined
      if (last !== undefined) this.at += 2
      const from = ascii(c)
      const to = last === undefined ? from : ascii(last)
      if (to < from) throw new PatternError(`'${c}-${last}' has its ends the wrong way round`)
      set.fill(1, from, to + 1)
    }
    return negate ? setOf((code) => set[code] === 0) : set
  }

  /** Emits `tree` in front of `next` and gives the step to enter by. */
  private emit(tree: Tree, next: number): number {
    if (++this.emitted > MAX_STEPS * 10) throw new PatternError(TOO_LARGE)
    switch (tree.kind) {
      case 'char':
        return this.add({ kind: 'char', set: tree.set, next })
      case 'start':
      case 'end':
        return this.add({ kind: tree.kind, next })
      case 'delimiter':
        return this.add({
          kind: 'split',
          a: this.add({ kind: 'char', set: DELIMITERS, next }),
          b: this.add({ kind: 'edge', next }),
        })
      case 'empty':
        return next
      case 'sequence':
        return tree.parts.reduceRight((after, part) => this.emit(part, after), next)
      case 'choice': {
        const entries = tree.parts.map((part) => this.emit(part, next))
        return entries.reduceRight((b, a) => this.add({ kind: 'split', a, b }))
      }
      case 'repeat':
        return this.emitRepeat(tree.part, tree.min, tree.max, next)
      default: {
        const never: never = tree
        return never
      }
    }
  }

  private emitRepeat(part: Tree, min: number, max: number, next: number): number {
    let entry = next
    if (max === Number.POSITIVE_INFINITY) {
      const loop: Step = { kind: 'split', a: next, b: next }
      entry = this.add(loop)
      loop.a = this.emit(part, entry)
    } else {
      for (let i = min; i < max; i++) entry = this.add({ kind: 'split', a: this.emit(part, entry), b: next })
    }
    for (let i = 0; i < min; i++) entry = this.emit(part, entry)
    return entry
  }

  private add(step: Step): number {
    if (this.steps.length >= MAX_STEPS) throw new PatternError(TOO_LARGE)
    return this.steps.push(step) - 1
  }
}

/** Thompson's simulation: the set of steps that are alive moves over the text once. */
function run(steps: readonly Step[], text: string): boolean {
  const length = Math.min(text.length, maxPathText)
  const complete = length === text.length
  const entry = steps.length - 1
  const seen = new Int32Array(steps.length).fill(-1)
  const stack: number[] = []
  let alive: number[] = []
  let following: number[] = []

  for (let at = 0; at <= length; at++) {
    stack.push(entry, ...alive)
    alive.length = 0
    while (stack.length > 0) {
      const index = stack.pop()!
      if (seen[index] === at) continue
      seen[index] = at
      const step = steps[index]!
      if (step.kind === 'match') return true
      if (step.kind === 'split') stack.push(step.b, step.a)
      else if (step.kind === 'char') alive.push(index)
      else {
        const atStart = at === 0 && step.kind !== 'end'
        const atEnd = complete && at === length && step.kind !== 'start'
        if (atStart || atEnd) stack.push(step.next)
      }
    }
    if (at === length) return false
    const code = text.charCodeAt(at)
    following = []
    for (const index of alive) {
      const step = steps[index]!
      if (step.kind === 'char' && code < 128 && step.set[code] === 1) following.push(step.next)
    }
    alive = following
  }
  return false
}

function setOf(has: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => (has(code) ? 1 : 0))
}

function one(c: string): Uint8Array {
  const set = new Uint8Array(128)
  set[ascii(c)] = 1
  return set
}

function ascii(c: string): number {
  const code = c.charCodeAt(0)
  if (code >= 128) throw new PatternError('AS paths hold ASCII characters only')
  return code
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

const SPACE = 32
const STAR = [0, Number.POSITIVE_INFINITY] as const
const PLUS = [1, Number.POSITIVE_INFINITY] as const
const OPTIONAL = [0, 1] as const
const TOO_LARGE = 'it is too large when its repetitions are written out'
const MAX_STEPS = 1000
const MAX_DEPTH = 32
const DELIMITERS = setOf((code) => ' ,{}()[]'.includes(String.fromCharCode(code)))
