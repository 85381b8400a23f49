/**
 * Measures small pieces of work beside their simple twins. Variants of a bench take turns, so that whatever else the machine does hits all of them;
 * min, median and max over the repetitions say how much it did.
 */
import { cpus, totalmem } from 'node:os'

/** Does the work and returns how many operations that was. */
export type Work = () => number

export interface Variant {
  readonly name: string
  /** The plain way, for comparison; false for the one that the speaker uses. */
  readonly twin: boolean
  /** Makes what the work needs; not timed. Called before each repetition when the bench is `once`, else a single time. */
  readonly prepare: () => Work
}

export interface Bench {
  readonly name: string
  /** What one operation is. */
  readonly operation: string
  readonly variants: readonly Variant[]
  /** The work changes what it works on, so each repetition is one call on new ground; else calls are repeated until a repetition is long enough. */
  readonly once?: boolean
  /** For work of seconds: fewer repetitions than asked for. */
  readonly atMost?: number
}

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

export interface Result {
  readonly bench: string
  readonly operation: string
  readonly variant: string
  readonly twin: boolean
  /** Nanoseconds. */
  readonly nsPerOperation: Spread
  readonly repetitions: number
  /** In one repetition, the first one. */
  readonly operations: number
}

export interface Settings {
  readonly repetitions: number
  /** A repetition takes at least this long, unless the bench is `once`. */
  readonly repetitionMs: number
  /** Nanoseconds, monotonic. */
  readonly nowNs: () => bigint
}

export function measure(bench: Bench, settings: Settings): Result[] {
  const once = bench.once === true
  const repetitions = Math.min(settings.repetitions, bench.atMost ?? settings.repetitions)
  const runs = bench.variants.map((variant) => ({
    variant,
    work: once ? null : variant.prepare(),
    calls: 1,
    operations: 0,
    samples: [] as number[],
  }))
  for (const run of runs) {
    if (run.work === null) timed(run.variant.prepare(), 1, settings)
    else run.calls = callsFor(run.work, settings)
  }
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const run of runs) {
      const { ns, operations } = timed(run.work ?? run.variant.prepare(), run.calls, settings)
      if (repetition === 0) run.operations = operations
      run.samples.push(ns / operations)
    }
  }
  return runs.map(({ variant, operations, samples }) => ({
    bench: bench.name,
    operation: bench.operation,
    variant: variant.name,
    twin: variant.twin,
    nsPerOperation: spreadOf(samples),
    repetitions,
    operations,
  }))
}

/** The median of an even number of samples is the mean of the middle two. */
export function spreadOf(samples: readonly number[]): Spread {
  if (samples.length === 0) throw new RangeError('spreadOf: no samples')
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { min: sorted[0]!, median, max: sorted[sorted.length - 1]! }
}

/** `linux x64, AMD EPYC × 2, 23 GiB, Node.js v20.20.2`: figures mean nothing without it. */
export function machineLine(): string {
  const list = cpus()
  const model = list[0]?.model.trim() ?? 'unknown processor'
  const gib = Math.floor(totalmem() / 2 ** 30)
  return `${process.platform} ${process.arch}, ${model} × ${list.length}, ${gib} GiB, Node.js ${process.version}`
}

/** Warms the work up (the compilers of V8 included) and says how many calls fill a repetition. */
function callsFor(work: Work, settings: Settings): number {
  const wanted = settings.repetitionMs * 1e6
  let calls = 1
  for (;;) {
    const { ns } = timed(work, calls, settings)
    if (ns >= wanted) return calls
    calls = Math.max(calls + 1, Math.ceil(calls * Math.min(8, (wanted * 1.1) / Math.max(ns, 1))))
  }
}

function timed(work: Work, calls: number, { nowNs }: Settings): { ns: number; operations: number } {
  let operations = 0
  const from = nowNs()
  for (let call = 0; call < calls; call++) operations += work()
  return { ns: Number(nowNs() - from), operations }
}
