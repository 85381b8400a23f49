/**
 * Edge: the daemon of the bundle, which is one script with what V8 made of it when the bundle was built (docs/adr/0012-bundle.md). Compiling it anew is a quarter of
 * the start. V8 checks by itself that the code is of its own version and flags; where it is not, or is not there, the script is compiled as usual.
 *
 * V8 knows a changed script by its length alone: script and code are written together, by scripts/bundle.mjs, and nobody else.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'

export interface LoadedScript<T> {
  readonly exports: T
  /** For who writes the code. */
  readonly script: Script
}

/** A CommonJS script of which everything is in one file; the code lies beside it, as codeFileOf() says. */
export function loadScript<T>(file: string): LoadedScript<T> {
  const source = `(function(exports,require,module,__filename,__dirname){${readFileSync(file, 'utf8')}\n})`
  const cachedData = readCode(codeFileOf(file))
  const script = new Script(source, cachedData === undefined ? { filename: file } : { filename: file, cachedData })
  const module = { exports: {} as T }
  const run = script.runInThisContext() as (...args: readonly unknown[]) => void
  run(module.exports, createRequire(file), module, file, dirname(file))
  return { exports: module.exports, script }
}

export function codeFileOf(file: string): string {
  return `${file}.code`
}

/** As daemon.ts; takes its place in the bundle. */
export function runDaemon(file: string): Promise<number> {
  const script = fileURLToPath(new URL('./daemon.cjs', import.meta.url))
  return loadScript<typeof import('../daemon.js')>(script).exports.runDaemon(file)
}

function readCode(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
