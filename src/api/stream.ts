/**
 * Large answers in slices (edge): a million rows never hold the event loop, a slow reader holds back the walk, and a reader that
 * went away, or takes nothing for a minute, ends it.
 */

import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Written at once, at the latest when a slice ends. */
const CHUNK_CHARS = 32 * 1024
const SLICE_ROWS = 256
/** A slice also ends here, for rows that are expensive to make. */
const SLICE_MS = 4

/** JSON array, or one JSON value a line. */
export type RowFormat = 'array' | 'ndjson'

/** Rows to the client; null among them is a chance to pause. Resolves to false when the client did not stay to the end. */
export async function streamRows(
  response: ServerResponse,
  rows: Iterator<unknown>,
  format: RowFormat,
  stallMs: number,
): Promise<boolean> {
  const opening = format === 'array' ? '[' : ''
  const separator = format === 'array' ? ',\n' : '\n'
  let chunk = opening
  let any = false
  try {
    for (;;) {
      const ended = fillSlice(rows, (row) => {
        chunk += any ? separator : ''
        chunk += JSON.stringify(row)
        any = true
        return chunk.length < CHUNK_CHARS
      })
      if (ended) break
      if (chunk.length > 0 && !response.write(chunk) && !(await drained(response, stallMs))) return false
      chunk = ''
      await nextTurn()
      if (response.destroyed) return false
    }
  } finally {
    rows.return?.()
  }
  response.end(chunk + (format === 'array' ? ']\n' : any ? '\n' : ''))
  return true
}

export async function countRows(response: ServerResponse, rows: Iterator<unknown>): Promise<number> {
  let count = 0
  try {
    while (
      !fillSlice(rows, () => {
        count++
        return true
      })
    ) {
      await nextTurn()
      if (response.destroyed) break
    }
  } finally {
    rows.return?.()
  }
  return count
}

/** Takes rows until the slice is full; true when there are no more. */
function fillSlice(rows: Iterator<unknown>, take: (row: unknown) => boolean): boolean {
  const deadline = performance.now() + SLICE_MS
  for (let n = 0; n < SLICE_ROWS; n++) {
    const next = rows.next()
    if (next.done) return true
    if (next.value !== null && !take(next.value)) return false
    if ((n & 15) === 15 && performance.now() > deadline) return false
  }
  return false
}

function drained(response: ServerResponse, stallMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (ok: boolean): void => {
      clearTimeout(timer)
      response.off('drain', onDrain)
      response.off('close', onClose)
      resolve(ok)
    }
    const onDrain = (): void => finish(true)
    const onClose = (): void => finish(false)
    const timer = setTimeout(() => {
      response.destroy()
      finish(false)
    }, stallMs)
    response.on('drain', onDrain)
    response.on('close', onClose)
    if (response.destroyed) finish(false)
  })
}
