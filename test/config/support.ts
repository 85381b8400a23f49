import { parseConfig } from '../../src/config/parse.js'
import type { Config, ConfigProblem } from '../../src/config/types.js'

const HOOKS = { defaultRouterId: () => 0x0a000001, hostName: 'host-1' }

export function parse(text: string, env: Record<string, string> = {}) {
  return parseConfig(text, 'f.yaml', env, HOOKS)
}

export function problemsOf(text: string, env: Record<string, string> = {}): readonly ConfigProblem[] {
  const result = parse(text, env)
  return result.ok ? [] : result.problems
}

export function configOf(text: string, env: Record<string, string> = {}): Config {
  const result = parse(text, env)
  if (!result.ok) throw new Error(result.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'))
  return result.config
}

export function notesOf(text: string): readonly ConfigProblem[] {
  const result = parse(text)
  if (!result.ok) throw new Error(result.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'))
  return result.notes
}

/** The smallest sound file, with more lines. */
export function sound(lines = ''): string {
  return `asn: 64512\nfib: { driver: off }\n${lines}`
}
