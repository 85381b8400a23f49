/**
 * `node dist/bench/run.js [FILTER …] [--json] [--repetitions N] [--cpu]`: the micro-benchmarks whose name contains one of
 * FILTER, each beside its simple twin. `--cpu` measures processor time instead of elapsed time, for a machine that has other work.
 */
import { parseArgs } from 'node:util'
import { CODEC_BENCHES } from './codec.js'
import { FAN_OUT_BENCHES } from './fan-out.js'
import { type Bench, machineLine, measure, type Result } from './harness.js'
import { POLICY_AND_FIB_BENCHES } from './policy-and-fib.js'
import { formatResult, TITLE } from './report.js'
import { TABLE_BENCHES } from './tables.js'

export const BENCHES: readonly Bench[] = [
  ...CODEC_BENCHES,
  ...TABLE_BENCHES,
  ...FAN_OUT_BENCHES,
  ...POLICY_AND_FIB_BENCHES,
]

const USAGE = 'usage: node dist/bench/run.js [FILTER …] [--json] [--repetitions N] [--cpu]'

function main(args: string[]): number {
  const options = optionsOf(args)
  if (options === null) {
    process.stderr.write(`${USAGE}\n`)
    return 2
  }
  const chosen = BENCHES.filter(
    ({ name }) => options.filters.length === 0 || options.filters.some((f) => name.includes(f)),
  )
  if (chosen.length === 0) {
    process.stderr.write(`no benchmark has ${options.filters.join(' or ')} in its name; there are:\n`)
    for (const { name } of BENCHES) process.stderr.write(`  ${name}\n`)
    return 2
  }
  const machine = machineLine()
  const clock = options.cpu ? 'processor time' : 'elapsed time'
  if (!options.json) process.stdout.write(`${machine}\n${options.repetitions} repetitions, ${clock}\n\n${TITLE}\n`)
  const results: Result[] = []
  for (const bench of chosen) {
    const measured = measure(bench, {
      repetitions: options.repetitions,
      repetitionMs: REPETITION_MS,
      nowNs: options.cpu ? processorNs : process.hrtime.bigint,
    })
    results.push(...measured)
    if (!options.json) process.stdout.write(measured.map((result) => `${formatResult(result, measured)}\n`).join(''))
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ machine, clock, results }, null, 2)}\n`)
  return 0
}

function optionsOf(args: string[]): { filters: string[]; json: boolean; cpu: boolean; repetitions: number } | null {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        cpu: { type: 'boolean', default: false },
        repetitions: { type: 'string', default: '9' },
      },
    })
    const repetitions = Number(values.repetitions)
    if (!Number.isInteger(repetitions) || repetitions < 1) return null
    return { filters: positionals, json: values.json, cpu: values.cpu, repetitions }
  } catch {
    return null
  }
}

/** Processor time of this process, V8's helper threads included. Steps of a microsecond. */
function processorNs(): bigint {
  const { user, system } = process.cpuUsage()
  return BigInt(user + system) * 1000n
}

/** Long enough that the clock and a timer's interrupt do not matter, short enough that the whole run stays below two minutes. */
const REPETITION_MS = 50

process.exitCode = main(process.argv.slice(2))
