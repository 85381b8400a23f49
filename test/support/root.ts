import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of package.json, wherever the compiled tests lie. */
export const projectRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)))

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const parent = dirname(folder)
  if (parent === folder) throw new Error('no package.json above the compiled tests')
  return findRoot(parent)
}

/** What package.json names as the command. */
export const shippedCommand: string = join(
  projectRoot,
  (JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { bin: { nodebgp: string } }).bin.nodebgp,
)
