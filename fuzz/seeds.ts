/** Whole messages of fixtures/messages and fixtures/robustness, for the fuzzer to send and to mutate. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesOf, fixtures } from '../test/robustness/fixtures.js'
import { projectRoot } from '../test/support/root.js'

/** In a fixed order, so that a seed number means the same everywhere. */
export function loadSeeds(): Uint8Array[] {
  const folder = join(projectRoot, 'fixtures', 'messages')
  const samples = readdirSync(folder)
    .filter((file) => file.endsWith('.hex'))
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8').replace(/#.*/g, '').replace(/\s/g, ''))
    .map((digits) => Uint8Array.from(Buffer.from(digits, 'hex')))
  return [...samples, ...fixtures.map(bytesOf)].filter(({ length }) => length >= 19 && length <= 4096)
}
