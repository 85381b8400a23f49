/**
 * Edge: one call of `ip`, its output as text or in chunks.
 */
import { spawn } from 'node:child_process'

export interface IpResult {
  /** Exit status; null where it was killed or never started. */
  readonly status: number | null
  readonly stdout: string
  /** Without the final line break. */
  readonly stderr: string
  /** `ENOENT` where there is no such program. */
  readonly spawnError: string | null
}

/** Never rejects. With `onChunk` standard output goes there and `stdout` stays empty. */
export function runIp(
  args: readonly string[],
  onChunk?: (chunk: string) => void,
  program: 'ip' | 'bridge' = 'ip',
): Promise<IpResult> {
  return new Promise((resolve) => {
    const child = spawn(program, [...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } })
    let stdout = ''
    let stderr = ''
    let spawnError: string | null = null
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (chunk: string) => {
      if (onChunk === undefined) stdout += chunk
      else onChunk(chunk)
    })
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (chunk: string) => {
      if (stderr.length < 4096) stderr += chunk
    })
    child.on('error', (error: NodeJS.ErrnoException) => {
      spawnError = error.code ?? error.message
    })
    child.on('close', (status) => resolve({ status, stdout, stderr: stderr.trim(), spawnError }))
  })
}

/** Arguments in front of all others: the network namespace. */
export function netnsArgs(netns: string | null): readonly string[] {
  return netns === null ? [] : ['-n', netns]
}
