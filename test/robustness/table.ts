/** The table of docs/robustness.md. */
import { behaviours, type Fixture, fixtures } from './fixtures.js'

export const TABLE_START = '<!-- corpus -->\n'
export const TABLE_END = '<!-- /corpus -->'

const SECTIONS: readonly [string, string][] = [
  ['O', 'OPEN'],
  ['N', 'NOTIFICATION'],
  ['C', 'CAPABILITY'],
  ['R', 'ROUTE-REFRESH'],
  ['U', 'UPDATE'],
  ['A', 'Path attributes'],
  ['F', 'NLRI of other families, path identifiers, next hops'],
]

export function robustnessTable(): string {
  const parts = SECTIONS.map(([letter, title]) => {
    const rows = fixtures.filter(({ id }) => id.startsWith(letter)).map(row)
    return `### ${title}\n\n| id | shape | source | session | Adj-RIB-In | downstream |\n|---|---|---|---|---|---|\n${rows.join('')}`
  })
  const behaves = behaviours.map(
    ({ id, shape, source, outcome, file, test }) =>
      `| ${id} | ${cell(shape)} | ${cell(source)} | ${cell(outcome)} | \`${file}\`: ${cell(test)} |\n`,
  )
  parts.push(`### Behaviour\n\n| id | shape | source | outcome | test |\n|---|---|---|---|---|\n${behaves.join('')}`)
  return `\n${parts.join('\n')}\n`
}

function row(fixture: Fixture): string {
  const { id, shape, source, session, rib, downstream, pending, peer } = fixture
  const what =
    peer === 'internal-as2' || shape.includes('external') || peer !== 'external' ? shape : `${shape} (external)`
  const states = Object.entries(rib).map(([prefix, state]) => `${prefix} ${state}`)
  const heard = downstream.join(', ') || 'nothing'
  const cells = [
    pending === undefined ? id : `${id} (pending: ${pending})`,
    cell(what),
    cell(source),
    sessionText(session),
    states.join(', ') || 'empty',
    heard,
  ]
  return `| ${cells.join(' | ')} |\n`
}

/** Long data is left to the fixture. */
function sessionText(session: string): string {
  const [wire = '', data = ''] = session.split(' ')
  if (wire === 'kept') return 'kept'
  if (wire === 'closed') return 'closed, no NOTIFICATION'
  return data === '' ? wire : `${wire}, data ${data.length <= 20 ? data : 'the message'}`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
