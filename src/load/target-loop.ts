/** The delay of the target's event loop, as the metrics of a nodebgp tell it. Each reading begins the next one. Pure. */
import type { LoopDelay } from './types.js'

/** Null: the target does not answer just now. */
export type LoopProbe = () => Promise<LoopDelay | null>

/** Null: the text has no such metric. */
export function loopDelayOf(metrics: string): LoopDelay | null {
  const [p50Ms, p99Ms, maxMs] = ['0.5', '0.99', '1'].map((quantile) => millisecondsOf(metrics, quantile))
  if (p50Ms === undefined || p99Ms === undefined || maxMs === undefined) return null
  return { p50Ms, p99Ms, maxMs }
}

function millisecondsOf(metrics: string, quantile: string): number | undefined {
  const name = `${METRIC}{quantile="${quantile}"} `
  const line = metrics.split('\n').find((text) => text.startsWith(name))
  return line === undefined ? undefined : Number(line.slice(name.length)) * 1000
}

const METRIC = 'bgp_eventloop_delay_seconds'
