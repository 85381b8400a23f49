/**
 * YAML text as plain values with a way back to line and column. YAML 1.2 core schema: `off`, `1:30` and `64512:1` are text.
 *
 * Integers in plain decimal form become numbers; every other number stays the text it was (asdot ASNs, hexadecimal, leading zeros).
 * `${NAME}` and `${NAME:-default}` are replaced inside values only, after the structure is known, so that a variable can never add a key;
 * `$${` stands for a literal `${`. Limits below keep hostile files (alias bombs, nesting) from costing more than reading them.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import type { ConfigProblem } from './types.js'

export type Environment = Readonly<Record<string, string | undefined>>
/** Keys and list indexes from the top. */
export type KeyPath = readonly (string | number)[]

export interface YamlSource {
  /** Mappings without prototype, arrays, strings, integers, booleans and null. */
  readonly value: unknown
  /** Faults of syntax and of environment variables. */
  readonly problems: readonly ConfigProblem[]
  /** False: the structure is broken and `value` is not worth looking at. */
  readonly usable: boolean
  problem(path: KeyPath, message: string, at?: 'key' | 'value'): ConfigProblem
  /** What stands at a path, in words for a message; never what an environment variable held. */
  describe(path: KeyPath): string
}

export function readYaml(text: string, file: string, env: Environment): YamlSource {
  const lines = new LineCounter()
  const document = parseSafely(text, lines)
  if (typeof document === 'string') return broken(file, [{ file, line: 1, column: 1, path: '', message: document }])
  const problems: ConfigProblem[] = []
  for (const fault of [...document.errors, ...document.warnings]) {
    problems.push({
      file,
      ...position(lines, fault.pos[0]),
      path: '',
      message: plainMessage(fault.code, fault.message),
    })
  }
  if (problems.length > 0) return broken(file, problems)
  const source = new Source(document, lines, file)
  const reader = new PlainReader(source, env)
  const value = reader.read(document.contents, [])
  return {
    value,
    problems: reader.problems,
    usable: !reader.gaveUp,
    problem: (path, message, at) => source.problem(path, message, at),
    describe: (path) => source.describe(path),
  }
}

/** `neighbors[2].asn` */
export function formatKeyPath(path: KeyPath): string {
  let text = ''
  for (const part of path) {
    text +=
      typeof part === 'number'
        ? `[${part}]`
        : `${text === '' ? '' : '.'}${PLAIN_KEY.test(part) ? part : JSON.stringify(clip(part))}`
  }
  return text
}

export function clip(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}

class Source {
  readonly document: Document
  readonly lines: LineCounter
  readonly file: string
  private readonly pairs = new Map<YAMLMap, Map<unknown, Pair>>()
  constructor(document: Document, lines: LineCounter, file: string) {
    this.document = document
    this.lines = lines
    this.file = file
  }

  problem(path: KeyPath, message: string, at: 'key' | 'value' = 'value'): ConfigProblem {
    const offset = this.locate(path, at)
    return { file: this.file, ...position(this.lines, offset), path: formatKeyPath(path), message }
  }

  at(offset: number, path: KeyPath, message: string): ConfigProblem {
    return { file: this.file, ...position(this.lines, offset), path: formatKeyPath(path), message }
  }

  describe(path: KeyPath): string {
    const last = path.at(-1)
    if (typeof last === 'string' && SECRET_KEY.test(last)) return 'something else'
    const { node, depth } = this.walk(path)
    if (depth < path.length) return 'nothing'
    if (isMap(node)) return 'a mapping'
    if (isSeq(node)) return 'a list'
    if (!isScalar(node) || node.value === null) return 'nothing'
    return `'${clip(String(node.source ?? node.value)).replace(CONTROL, '·')}'`
  }

  /** Offset of the value (or key) at a path; of the deepest part that exists where it does not. */
  private locate(path: KeyPath, at: 'key' | 'value'): number {
    const { offset, keyOffset, depth } = this.walk(path)
    return at === 'key' && depth === path.length ? keyOffset : offset
  }

  private walk(path: KeyPath): { node: unknown; offset: number; keyOffset: number; depth: number } {
    let node: unknown = this.resolve(this.document.contents)
    let offset = startOf(this.document.contents) ?? 0
    let keyOffset = offset
    let depth = 0
    for (const part of path) {
      let child: unknown
      let childKey: number | undefined
      if (isMap(node)) {
        const pair = this.pairsOf(node).get(part)
        if (pair === undefined) break
        child = pair.value
        childKey = startOf(pair.key)
      } else if (isSeq(node) && typeof part === 'number' && part < node.items.length) {
        child = node.items[part]
      } else break
      offset = startOf(child) ?? childKey ?? offset
      keyOffset = childKey ?? offset
      node = this.resolve(child)
      depth++
    }
    return { node, offset, keyOffset, depth }
  }

  /** First pair of each key; kept, so that a problem in each of many keys does not cost their square. */
  private pairsOf(map: YAMLMap): ReadonlyMap<unknown, Pair> {
    let pairs = this.pairs.get(map)
    if (pairs === undefined) {
      pairs = new Map()
      for (const pair of map.items) {
        const key = keyText(pair.key)
        if (!pairs.has(key)) pairs.set(key, pair)
      }
      this.pairs.set(map, pairs)
    }
    return pairs
  }

  resolve(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.document) : node
  }
}

class PlainReader {
  readonly problems: ConfigProblem[] = []
  gaveUp = false
  private readonly source: Source
  private readonly env: Environment
  private aliasDepth = 0
  /** Nodes made by way of aliases. */
  private expanded = 0
  private readonly open = new Set<unknown>()

  constructor(source: Source, env: Environment) {
    this.source = source
    this.env = env
  }

  read(node: unknown, path: KeyPath): unknown {
    if (this.gaveUp) return null
    if (path.length > MAX_DEPTH) return this.giveUp(node, path, `nested more than ${MAX_DEPTH} levels deep`)
    if (isAlias(node)) return this.readAlias(node, path)
    if (this.aliasDepth > 0 && ++this.expanded > MAX_ALIAS_NODES) {
      return this.giveUp(node, path, `aliases expand to more than ${MAX_ALIAS_NODES} values`)
    }
    if (isMap(node)) return this.readMap(node.items, path)
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...path, index]))
    if (isScalar(node)) return this.readScalar(node, path)
    return null
  }

  private readAlias(node: Node, path: KeyPath): unknown {
    const target = this.source.resolve(node)
    if (target === undefined || this.open.has(target)) {
      return this.giveUp(node, path, 'this alias stands for nothing, or for a part that it is itself in')
    }
    this.open.add(target)
    this.aliasDepth++
    const value = this.read(target, path)
    this.aliasDepth--
    this.open.delete(target)
    return value
  }

  private readMap(items: readonly { key: unknown; value: unknown }[], path: KeyPath): unknown {
    const result: Record<string, unknown> = Object.create(null)
    for (const { key, value } of items) {
      const name = keyText(key)
      const offset = startOf(key) ?? startOf(value) ?? 0
      if (name === null) {
        this.problems.push(this.source.at(offset, path, 'a key has to be plain text'))
      } else if (name === '__proto__') {
        this.problems.push(this.source.at(offset, [...path, name], 'this key is not allowed'))
      } else if (Object.hasOwn(result, name)) {
        const first = this.source.problem([...path, name], '', 'key')
        this.problems.push(
          this.source.at(
            offset,
            [...path, name],
            `key stands here twice; it is already on line ${first.line}, keep one of them`,
          ),
        )
      } else {
        const child = [...path, name]
        result[name] = this.read(value, child)
      }
    }
    return result
  }

  private readScalar(node: { value: unknown; source?: string }, path: KeyPath): unknown {
    const { value } = node
    if (typeof value === 'string') return this.substitute(value, node, path)
    if (typeof value === 'number' || typeof value === 'bigint') {
      const text = node.source ?? String(value)
      return DECIMAL.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : text
    }
    return typeof value === 'boolean' ? value : null
  }

  private substitute(text: string, node: unknown, path: KeyPath): string {
    if (!text.includes('${')) return text
    return text.replace(
      VARIABLE,
      (whole, escaped: string | undefined, name: string | undefined, fallback: string | undefined) => {
        if (escaped !== undefined) return '${'
        const offset = startOf(node) ?? 0
        if (name === undefined) {
          this.problems.push(this.source.at(offset, path, VARIABLE_FORM))
          return whole
        }
        const value = this.env[name]
        if (value !== undefined && (value !== '' || fallback === undefined)) return value
        if (fallback !== undefined) return fallback
        this.problems.push(
          this.source.at(
            offset,
            path,
            `environment variable ${clip(name)} is not set; set it, or give a default: \${${clip(name)}:-default}`,
          ),
        )
        return ''
      },
    )
  }

  private giveUp(node: unknown, path: KeyPath, message: string): null {
    this.gaveUp = true
    this.problems.push(this.source.at(startOf(node) ?? 0, path.slice(0, 8), message))
    return null
  }
}

function parseSafely(text: string, lines: LineCounter): Document | string {
  if (text.length > MAX_FILE_CHARACTERS) return `the file is larger than ${MAX_FILE_CHARACTERS / 1_048_576} MiB`
  try {
    return parseDocument(text, {
      version: '1.2',
      schema: 'core',
      prettyErrors: false,
      uniqueKeys: false,
      strict: true,
      lineCounter: lines,
      logLevel: 'error',
    })
  } catch (error) {
    if (error instanceof RangeError) return 'nested too deeply to be read'
    return 'this is not YAML that can be read'
  }
}

function broken(file: string, problems: readonly ConfigProblem[]): YamlSource {
  return {
    value: null,
    problems,
    usable: false,
    problem: (path, message) => ({ file, line: 0, column: 0, path: formatKeyPath(path), message }),
    describe: () => 'something else',
  }
}

function position(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(line, 1), column: Math.max(col, 1) }
}

function startOf(node: unknown): number | undefined {
  const range = (node as { range?: readonly number[] | null } | null | undefined)?.range
  return range?.[0]
}

/** Keys are text as written: `1` and `off` too. */
function keyText(key: unknown): string | null {
  if (!isScalar(key)) return null
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value))
}

/** YAML's own messages, with a hint where they are too short. No text of the file beyond what the parser quotes. */
function plainMessage(code: string, message: string): string {
  const first = message.split('\n', 1)[0] ?? message
  const hint = HINTS[code]
  return `YAML: ${clip160(first)}${hint === undefined ? '' : `; ${hint}`}`
}

function clip160(text: string): string {
  return text.length > 160 ? `${text.slice(0, 160)}…` : text
}

const HINTS: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'use spaces',
  MULTIPLE_DOCS: 'the file has to hold one document',
  TAG_RESOLVE_FAILED: 'tags are not used here',
  BAD_INDENT: 'entries of one list or mapping start in the same column',
}

const VARIABLE_FORM =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the text names the form that is used in the file
  "'${' starts an environment variable: ${NAME} or ${NAME:-default}; write $${ for the characters themselves"
const PLAIN_KEY = /^[A-Za-z0-9_-]{1,64}$/
const SECRET_KEY = /passw|secret|token|key$/i
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g
const DECIMAL = /^-?(0|[1-9][0-9]{0,15})$/
const VARIABLE = /(\$\$\{)|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?/g
const MAX_SHOWN = 60
const MAX_DEPTH = 24
const MAX_ALIAS_NODES = 100_000
const MAX_FILE_CHARACTERS = 16 * 1_048_576
