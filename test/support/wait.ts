/**
 * Waiting for a state of the outside world: asked again every 75 ms until it holds. A failure says what was waited for and what was seen last.
 * Nothing here measures time: the limit only ends a wait that would never end.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { inspect } from 'node:util'

export const LIMIT_MS = 60_000
const INTERVAL_MS = 75

/** A probe that throws (a socket that is not there yet) counts as "not yet". Returns the value that satisfied. */
export async function until<T>(
  description: string,
  probe: () => T | Promise<T>,
  satisfied: (value: T) => boolean = Boolean,
  limitMs: number = LIMIT_MS,
): Promise<T> {
  const end = performance.now() + limitMs
  for (;;) {
    let seen: string
    try {
      const value = await probe()
      if (satisfied(value)) return value
      seen = inspect(value, { depth: 6, breakLength: 160, maxArrayLength: 40 })
    } catch (error) {
      if (error instanceof GaveUp) throw error
      seen = `error: ${error instanceof Error ? error.message : String(error)}`
    }
    if (performance.now() > end) throw new Error(`waited ${limitMs / 1000} s for: ${description}; last seen: ${seen}`)
    await pause(INTERVAL_MS)
  }
}

/** Thrown by a probe when waiting on makes no sense: the process that should answer has ended. */
export class GaveUp extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'GaveUp'
  }
}
