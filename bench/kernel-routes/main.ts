/**
 * `node dist/bench/kernel-routes/main.js [--routes N] [--rounds N] [--daemons nodebgp,bird,frr] [--json]`: how long learned routes take into the kernel, replaced
 * and out again, beside BIRD and FRR. Needs Linux and root. What a daemon lacks here is said, and it is left out.
 */
import { parseArgs } from 'node:util'
import { netnsMissing } from '../../test/support/netns.js'
import { shippedCommand } from '../../test/support/root.js'
import { machineLine } from '../harness.js'
import { DAEMON_NAMES, daemonMissing, daemonVersion } from './daemons.js'
import { MOST_ROUTES } from './messages.js'
import { runKernelRoutes } from './run.js'
import { formatSummaries, summarise } from './table.js'
import type { DaemonKind, PhaseRun } from './types.js'

const USAGE =
  'usage: node dist/bench/kernel-routes/main.js [--routes N] [--rounds N] [--daemons nodebgp,bird,frr] [--json]'

interface Options {
  readonly routes: number
  readonly rounds: number
  readonly daemons: readonly DaemonKind[]
  readonly json: boolean
}

async function main(args: string[]): Promise<number> {
  const options = optionsOf(args)
  if (options === null) return refuse(USAGE)
  const missing = netnsMissing()
  if (missing !== null) return refuse(missing)
  const daemons = options.daemons.filter((kind) => {
    const reason = daemonMissing(kind, shippedCommand)
    if (reason !== '') process.stderr.write(`${DAEMON_NAMES[kind]} is left out: ${reason}\n`)
    return reason === ''
  })
  if (daemons.length === 0) return refuse('no daemon to measure')
  const machine = machineLine()
  const { routes, rounds, json } = options
  const startedAt = new Date().toISOString()
  const versions = daemons.map((kind) => `${DAEMON_NAMES[kind]}: ${daemonVersion(kind, shippedCommand)}`)
  if (!json) {
    const title = [`${machine}, ${startedAt}`, versions.join('; '), `${routes} routes, ${rounds} rounds`]
    process.stdout.write(`${title.join('\n')}\n\n`)
  }
  const runs = await runKernelRoutes({ routes, rounds, daemons, program: shippedCommand, onPhase: printRun })
  const summaries = summarise(runs)
  if (json)
    process.stdout.write(
      `${JSON.stringify({ machine, startedAt, versions, routes, rounds, runs, summaries }, null, 2)}\n`,
    )
  else process.stdout.write(formatSummaries(summaries))
  return 0
}

function optionsOf(args: string[]): Options | null {
  try {
    const { values } = parseArgs({
      args,
      options: {
        routes: { type: 'string', default: '100000' },
        rounds: { type: 'string', default: '5' },
        daemons: { type: 'string', default: ALL.join(',') },
        json: { type: 'boolean', default: false },
      },
    })
    const routes = Number(values.routes)
    const rounds = Number(values.rounds)
    const daemons = values.daemons.split(',').filter((kind): kind is DaemonKind => ALL.includes(kind as DaemonKind))
    const isGood =
      Number.isInteger(routes) && routes >= 1 && routes <= MOST_ROUTES && Number.isInteger(rounds) && rounds >= 1
    if (!isGood || daemons.length !== values.daemons.split(',').length) return null
    return { routes, rounds, daemons, json: values.json }
  } catch {
    return null
  }
}

/** To the error output: the tables come at the end. */
function printRun({ round, daemon, phase, seconds, late, loop }: PhaseRun): void {
  const delay = loop === null ? '' : `, event loop p99 ${loop.p99Ms.toFixed(1)} ms, longest ${loop.maxMs.toFixed(1)} ms`
  const after = late ? ', complete after the sample' : ''
  process.stderr.write(`round ${round} ${DAEMON_NAMES[daemon]} ${phase}: ${seconds.toFixed(3)} s${after}${delay}\n`)
}

function refuse(words: string): number {
  process.stderr.write(`${words}\n`)
  return 2
}

const ALL: readonly DaemonKind[] = ['nodebgp', 'bird', 'frr']

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
