/**
 * Problems and notes as lines for people: `FILE:LINE:COL path: message`.
 */
import type { ConfigProblem } from './types.js'

export function formatProblem({ file, line, column, path, message }: ConfigProblem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`
  return path === '' ? `${place}: ${message}` : `${place} ${path}: ${message}`
}
