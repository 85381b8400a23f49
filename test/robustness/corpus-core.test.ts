/** The corpus through the decoder, and through a session with RIB and a client downstream in memory; whole, octet by octet, and in odd pieces. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { decodeLine } from '../../src/bgp/decode-json.js'
import { projectRoot } from '../support/root.js'
import { behaviours, CORPUS_FILES, corpusFiles, difference, type Fixture, fixtures, hexOf, point } from './fixtures.js'
import { runLive } from './live.js'
import { robustnessTable, TABLE_END, TABLE_START } from './table.js'

t.test('the corpus is complete and readable', async (t) => {
  t.same(corpusFiles(), [...CORPUS_FILES, 'behaviour'].map((name) => `${name}.yaml`).sort())
  const ids = [...fixtures, ...behaviours].map(({ id }) => id)
  t.equal(new Set(ids).size, ids.length, 'no id is there twice')
  const wanted = [
    ...numbers('O', 14),
    ...numbers('N', 4),
    ...numbers('C', 3),
    ...numbers('R', 3),
    ...numbers('U', 21),
    ...numbers('A', 16),
    ...numbers('F', 4),
    ...numbers('D', 9),
  ]
  t.same(
    wanted.filter((shape) => !ids.some((id) => new RegExp(`^${shape}[a-z]*$`).test(id))),
    [],
    'every shape has a fixture',
  )
})

for (const fixture of fixtures) {
  t.test(`${fixture.id}: ${fixture.shape}`, async (t) => {
    point(t, fixture, 'decoder', decoderDifference(fixture))
    const whole = runLive(fixture, Number.POSITIVE_INFINITY)
    point(t, fixture, 'session', difference(fixture, whole))
    t.ok(whole.notifications <= 1, `${whole.notifications} NOTIFICATIONs`)
    t.equal(whole.left, 0, 'nothing is left of it')
    if (fixture.ignored !== undefined) t.same(whole.ignored, [fixture.ignored], 'NLRI of this family were left out')
    for (const octets of [1, 7, 100]) t.same(runLive(fixture, octets), whole, `the same in pieces of ${octets} octets`)
  })
}

t.test('behaviours: the test that is named is there', async (t) => {
  for (const { id, file, test } of behaviours) {
    const path = join(projectRoot, file)
    t.ok(existsSync(path) && readFileSync(path, 'utf8').includes(test), `${id}: ${file} has '${test}'`)
  }
})

t.test('docs/robustness.md has the table of all fixtures', async (t) => {
  const text = readFileSync(join(projectRoot, 'docs/robustness.md'), 'utf8')
  const table = text.slice(text.indexOf(TABLE_START) + TABLE_START.length, text.indexOf(TABLE_END))
  t.equal(table, robustnessTable(), 'update it with: node scripts/print-robustness.mjs')
})

function decoderDifference(fixture: Fixture): string | null {
  const { peer, options } = fixture
  const hex = hexOf(fixture)
  const line = {
    hex,
    kind: isOneMessage(hex) ? 'message' : 'stream',
    as4: peer !== 'internal-as2',
    ebgp: peer === 'external',
    extendedMessage: options?.extended === true,
    addpath: options?.addpath ?? [],
  }
  const { result, notify } = decodeLine(JSON.stringify(line))
  if (result !== fixture.decode) return `result ${result}, expected ${fixture.decode}`
  const [wire = '', data] = fixture.session.split(' ')
  if (result !== 'error' || !wire.includes('/')) return null
  const found = `${notify?.code}/${notify?.subcode}`
  if (found !== wire) return `NOTIFICATION ${found}, expected ${wire}`
  return data === undefined || data === notify?.data ? null : `data ${notify?.data}, expected ${data}`
}

function isOneMessage(hex: string): boolean {
  const length = Number.parseInt(hex.slice(32, 36), 16)
  return hex.length <= 2 * length || length < 19
}

function numbers(letter: string, last: number): string[] {
  return Array.from({ length: last }, (_, n) => `${letter}${n + 1}`)
}
