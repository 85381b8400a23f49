/**
 * Loaded into the daemon with `node --import`: how late the turns of its event loop are. SIGUSR2 appends a line of JSON to the file that NODEBGP_BENCH_LOOP names,
 * of what was since the signal before, and begins anew. The timer of 1 ms is taken off; it costs about 1.7 % of a core.
 */
import { appendFileSync } from 'node:fs'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'
import type { LoopDelay } from './types.js'

export const LOOP_FILE = 'NODEBGP_BENCH_LOOP'

const RESOLUTION_MS = 1
const SETTLE_MS = 3 * RESOLUTION_MS
const file = process.env[LOOP_FILE]

if (isMainThread && file !== undefined) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  // A turn is counted when the timer fires after it, and the first time after a reset does not count: so there is a pause before and behind.
  process.on('SIGUSR2', () => {
    setTimeout(() => {
      const line = `${JSON.stringify(delayOf(histogram))}\n`
      histogram.reset()
      setTimeout(() => appendFileSync(file, line), SETTLE_MS)
    }, SETTLE_MS)
  })
}

function delayOf(histogram: IntervalHistogram): LoopDelay {
  const turns = histogram.count
  if (turns === 0) return { p50Ms: 0, p99Ms: 0, maxMs: 0, turns }
  const milliseconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
  return {
    p50Ms: milliseconds(histogram.percentile(50)),
    p99Ms: milliseconds(histogram.percentile(99)),
    maxMs: milliseconds(histogram.max),
    turns,
  }
}
