/**
 * Scripts in user-mode Linux (test/support/uml.sh): a kernel with IPIP inside a process, for machines whose own kernel has none.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { projectRoot } from './root.js'

export interface UmlRun {
  /** Exit status of the script; 99 where the guest did not get that far. */
  readonly status: number
  readonly console: string
  /** A file that the script wrote into $OUT; empty where there is none. */
  file(name: string): string
}

interface Scope {
  teardown(action: () => void): void
}

/** Programs and Debian packages, for requireOrSkip. */
export const UML_REQUIREMENT = {
  commands: ['linux.uml', 'busybox', 'ip', 'gcc'],
  packages: ['user-mode-linux', 'busybox-static', 'iproute2', 'gcc', 'libc6-dev'],
}

/**
 * `script`: relative to the project; `variables` are in its environment. The folder of its results is removed when the test ends.
 */
export async function runInUml(
  t: Scope,
  script: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<UmlRun> {
  const folder = mkdtempSync(join(tmpdir(), 'nodebgp-uml-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const lines = Object.entries(variables).map(([name, value]) => `${name}='${value.replaceAll("'", "'\\''")}'\n`)
  writeFileSync(join(folder, 'variables'), lines.join(''))
  const child = spawn('bash', [join(projectRoot, 'test/support/uml.sh'), join(projectRoot, script), folder], {
    stdio: 'ignore',
    env: { ...process.env, UML_SECONDS: '265' },
  })
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 99))
  })
  const file = (name: string): string => {
    const path = join(folder, name)
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  }
  return { status, console: file('console.log'), file }
}
