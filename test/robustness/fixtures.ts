/** The corpus of fixtures/robustness (fixtures/README.md explains the keys), and how an outcome is compared with what a fixture expects. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { PathState, pathStateText } from '../../src/rib/path-state.js'
import { projectRoot } from '../support/root.js'

export interface Fixture {
  readonly id: string
  readonly shape: string
  /** CVE, issue, RFC section or year of the incident. */
  readonly source: string
  /** What is still to be built; such a fixture is run and reported, and does not fail. */
  readonly pending?: string
  /** In place of the OPEN, or on an Established session that has announced ROUTE. */
  readonly send: 'open' | 'established'
  readonly peer: 'internal' | 'internal-as2' | 'external'
  readonly options?: { readonly addpath?: readonly string[]; readonly extended?: boolean }
  /** Octets, one field a line; `# …` is a comment, `ab * 3` is ab ab ab. */
  readonly hex: string
  /** AFI/SAFI of NLRI that are left out and counted, because the family was not negotiated. */
  readonly ignored?: string
  /** `result` of `nodebgp decode`. */
  readonly decode: string
  /** `kept`, `closed` (without a NOTIFICATION), or the NOTIFICATION: `3/9`, `3/9 DATA`. */
  readonly session: string
  /** Adj-RIB-In of the peer: prefix (and path identifier) to state. */
  readonly rib: Readonly<Record<string, string>>
  /** Prefixes that another client hears from the peer. */
  readonly downstream: readonly string[]
}

/** What is no message but a way to behave: shown by a test of its own. */
export interface Behaviour {
  readonly id: string
  readonly shape: string
  readonly source: string
  readonly outcome: string
  /** Test file, and the title of the test in it. */
  readonly file: string
  readonly test: string
}

export interface Outcome {
  readonly session: string
  readonly rib: Readonly<Record<string, string>>
  readonly downstream: readonly string[]
}

export const CORPUS_FILES = ['open', 'notification', 'update', 'attributes', 'nlri'] as const
export const FOLDER = join(projectRoot, 'fixtures', 'robustness')

export const fixtures: readonly Fixture[] = CORPUS_FILES.flatMap((name) => read<Fixture>(`${name}.yaml`))
export const behaviours: readonly Behaviour[] = read<Behaviour>('behaviour.yaml')

function read<T>(file: string): T[] {
  return parse(readFileSync(join(FOLDER, file), 'utf8')) as T[]
}

export function corpusFiles(): string[] {
  return readdirSync(FOLDER).sort()
}

/** Plain digits. */
export function hexOf(fixture: Fixture): string {
  return fixture.hex
    .split('\n')
    .map((line) => {
      const [octets = '', times] = line.replace(/#.*/, '').split('*')
      const digits = octets.replace(/\s/g, '')
      if (!/^([0-9a-f]{2})*$/.test(digits)) throw new Error(`${fixture.id}: '${line}' is no line of hex digits`)
      return times === undefined ? digits : digits.repeat(Number(times))
    })
    .join('')
}

export function bytesOf(fixture: Fixture): Uint8Array {
  return Uint8Array.from(Buffer.from(hexOf(fixture), 'hex'))
}

/** `usable`, or why a path is not used, in a word. */
export function stateWord(state: number): string {
  return STATE_WORDS.get(state) ?? `state ${state}`
}

/** The same from the reason that a view gives: the words of the state, with numbers and rule behind them, or in place of them. */
export function stateWordOf(view: { readonly valid: boolean; readonly reason: string }): string {
  if (view.valid) return 'usable'
  for (const [state, word] of STATE_WORDS) if (view.reason.startsWith(pathStateText(state))) return word
  if (view.reason.includes('more than maxAsPath')) return 'long-as-path'
  return view.reason.includes('more than maxCommunities') ? 'many-communities' : view.reason
}

const SHORT: Readonly<Record<string, string>> = { TREAT_AS_WITHDRAW: 'withdrawn', MISSING_ATTRIBUTE: 'missing' }
const STATE_WORDS: ReadonlyMap<number, string> = new Map(
  Object.entries(PathState).map(([name, state]) => [state, SHORT[name] ?? name.toLowerCase().replaceAll('_', '-')]),
)

/** What differs from the expected outcome, or null. */
export function difference(expected: Outcome, found: Outcome): string | null {
  const wrong: string[] = []
  const exact = expected.session.includes(' ')
  const session = exact ? found.session : found.session.split(' ')[0]
  if (session !== expected.session) wrong.push(`session ${found.session}, expected ${expected.session}`)
  const rib = text(found.rib)
  if (rib !== text(expected.rib)) wrong.push(`Adj-RIB-In ${rib}, expected ${text(expected.rib)}`)
  const heard = [...found.downstream].sort().join()
  if (heard !== [...expected.downstream].sort().join())
    wrong.push(`downstream hears ${heard || 'nothing'}, expected ${expected.downstream.join() || 'nothing'}`)
  return wrong.length === 0 ? null : wrong.join('; ')
}

function text(rib: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(rib).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A test point for a fixture; a pending one never fails, and says where it stands. */
export function point(
  t: { ok(value: boolean, message: string): unknown; comment(...args: unknown[]): void },
  fixture: Fixture,
  layer: string,
  wrong: string | null,
): void {
  const name = `${fixture.id} ${layer}: ${fixture.shape}`
  if (fixture.pending === undefined) t.ok(wrong === null, wrong === null ? name : `${name}: ${wrong}`)
  else t.comment(`pending ${fixture.pending}: ${name}: ${wrong ?? 'as expected now'}`)
}
