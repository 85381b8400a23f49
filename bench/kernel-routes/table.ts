/** The results as Markdown tables, so that what is printed can go into README.md as it is. */
import { type Spread, spreadOf } from '../harness.js'
import { formatFigure } from '../report.js'
import { DAEMON_NAMES } from './daemons.js'
import { type DaemonKind, type LoopDelay, PHASES, type Phase, type PhaseRun } from './types.js'

/** One daemon in one phase, over all rounds. */
export interface Summary {
  readonly phase: Phase
  readonly daemon: DaemonKind
  readonly seconds: Spread
  readonly cpuSeconds: Spread
  /** Median against BIRD's; null for BIRD, and where it was not measured. */
  readonly againstBird: number | null
  /** Rounds in which the table was complete later than the sample. */
  readonly late: number
  readonly loop: {
    readonly p50Ms: Spread
    readonly p99Ms: Spread
    readonly maxMs: Spread
    readonly turns: Spread
  } | null
}

export function summarise(runs: readonly PhaseRun[]): Summary[] {
  const daemons = [...new Set(runs.map(({ daemon }) => daemon))]
  return PHASES.flatMap((phase) =>
    daemons.map((daemon): Summary => {
      const own = runs.filter((run) => run.phase === phase && run.daemon === daemon)
      const birds = runs.filter((run) => run.phase === phase && run.daemon === 'bird')
      const seconds = spreadOf(own.map((run) => run.seconds))
      const isCompared = daemon !== 'bird' && birds.length > 0
      return {
        phase,
        daemon,
        seconds,
        cpuSeconds: spreadOf(own.map((run) => run.cpuSeconds)),
        againstBird: isCompared ? seconds.median / spreadOf(birds.map((run) => run.seconds)).median : null,
        late: own.filter((run) => run.late).length,
        loop: loopOf(own.flatMap(({ loop }) => (loop === null ? [] : [loop]))),
      }
    }),
  )
}

export function formatSummaries(summaries: readonly Summary[]): string {
  const lines = [
    '| phase | daemon | seconds: median (min to max) | against BIRD | processor time, s | complete after the sample |',
    '|---|---|---|---|---|---|',
    ...summaries.map(({ phase, daemon, seconds, cpuSeconds, againstBird, late }) => {
      const factor = againstBird === null ? '' : `${againstBird.toFixed(2)} ×`
      const after = late === 0 ? '' : `in ${late} of the rounds`
      return `| ${phase} | ${DAEMON_NAMES[daemon]} | ${spread(seconds)} | ${factor} | ${spread(cpuSeconds)} | ${after} |`
    }),
  ]
  const loops = summaries.flatMap(({ phase, loop }) =>
    loop === null
      ? []
      : [`| ${phase} | ${spread(loop.p50Ms)} | ${spread(loop.p99Ms)} | ${spread(loop.maxMs)} | ${loop.turns.median} |`],
  )
  if (loops.length > 0) {
    lines.push(
      '',
      "nodebgp's event loop: by how many milliseconds its turns were late, from the first octet until the kernel had everything. Measured inside of the daemon by",
      'perf_hooks.monitorEventLoopDelay with a timer of 1 ms, which is taken off; p99 is that of the turns of a round. Medians (min to max) over the rounds.',
      '',
      '| phase | p50, ms | p99, ms | longest, ms | turns |',
      '|---|---|---|---|---|',
      ...loops,
    )
  }
  return `${lines.join('\n')}\n`
}

function loopOf(loops: readonly LoopDelay[]): Summary['loop'] {
  if (loops.length === 0) return null
  return {
    p50Ms: spreadOf(loops.map(({ p50Ms }) => p50Ms)),
    p99Ms: spreadOf(loops.map(({ p99Ms }) => p99Ms)),
    maxMs: spreadOf(loops.map(({ maxMs }) => maxMs)),
    turns: spreadOf(loops.map(({ turns }) => turns)),
  }
}

function spread({ min, median, max }: Spread): string {
  return `${formatFigure(median)} (${formatFigure(min)} to ${formatFigure(max)})`
}
