// Writes the table of fixtures/robustness into docs/robustness.md: node scripts/print-robustness.mjs [FOLDER OF THE BUILD]
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const build = process.argv[2] ?? 'dist'
const { robustnessTable, TABLE_END, TABLE_START } = await import(
  pathToFileURL(resolve(join(build, 'test/robustness/table.js'))).href
)
const text = readFileSync('docs/robustness.md', 'utf8')
const from = text.indexOf(TABLE_START)
const to = text.indexOf(TABLE_END)
if (from < 0 || to < from) throw new Error(`docs/robustness.md has no ${TABLE_START.trim()} … ${TABLE_END}`)
writeFileSync('docs/robustness.md', text.slice(0, from) + TABLE_START + robustnessTable() + text.slice(to))
