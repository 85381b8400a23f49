/** The version of this program, from its package.json, wherever the compiled file lies. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const version: string = readVersion()

function readVersion(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) {
    if (dirname(folder) === folder) return 'unknown'
    folder = dirname(folder)
  }
  const { version: found } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: string }
  return found ?? 'unknown'
}
