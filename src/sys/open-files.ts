/**
 * Edge: how many descriptors this process may have open. Node.js has raised the soft limit to the hard one when it started.
 */
import { readFileSync } from 'node:fs'

/** Infinity where there is no limit, or none is told (not Linux, or without /proc). */
export function openFilesLimit(): number {
  try {
    return parseOpenFiles(readFileSync('/proc/self/limits', 'latin1'))
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/** The soft limit. */
export function parseOpenFiles(text: string): number {
  const limit = Number(/^Max open files +(\d+)/m.exec(text)?.[1])
  return limit > 0 ? limit : Number.POSITIVE_INFINITY
}
