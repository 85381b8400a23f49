/** Runs the real command line as a child process. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const mainFile = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

export interface Run {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export function nodebgp(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
  return run(process.execPath, [mainFile, ...args], env)
}

/** In a shell, with `$NODEBGP` for the command. */
export function shell(script: string, env: Readonly<Record<string, string>> = {}): Promise<Run> {
  return run('bash', ['-c', script], { ...env, NODEBGP: `${process.execPath} ${mainFile}` })
}

export function run(program: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Run> {
  return new Promise((resolve, reject) => {
    const inherited = { ...process.env }
    // The surroundings must not decide what is printed.
    for (const name of ['NODEBGP_SOCKET', 'NO_COLOR', 'FORCE_COLOR']) delete inherited[name]
    const child = spawn(program, args, { env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, out, err }))
  })
}
