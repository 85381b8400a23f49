/**
 * `nodebgp fib flush` and `nodebgp fib restore`: takes our routes out of the kernel, and lets the daemon write them again.
 *
 * With a daemon it is asked to, so that it does not put them back. Without one the configuration says which routes are ours (table and protocol).
 */
import { createInterface } from 'node:readline/promises'
import type { Argv, CommandModule } from 'yargs'
import { loadConfig } from '../../config/load.js'
import { formatProblem } from '../../config/problems.js'
import type { Config } from '../../config/types.js'
import { createFib } from '../../fib/fib.js'
import type { FibEntry } from '../../fib/types.js'
import { Client, findSocket, type Where } from '../client.js'
import { CommandError, Exit } from '../exit.js'
import { type Arguments, act, print, printJson, withCommon } from '../options.js'

export const fibCommand: CommandModule = {
  command: 'fib',
  describe: 'remove our kernel routes, with or without a daemon; write them again',
  builder: (yargs) =>
    yargs
      .command(FLUSH)
      .command(RESTORE)
      .demandCommand(1, 'fib what? flush or restore; the routes are shown by: nodebgp show fib')
      .strict()
      .recommendCommands() as Argv,
  handler: () => {},
}

const FLUSH: CommandModule = {
  command: 'flush',
  describe: 'remove all our routes from the kernel; traffic to what was learned stops',
  builder: (yargs) =>
    withCommon(yargs)
      .option('yes', { alias: 'y', type: 'boolean', describe: 'do not ask' })
      .option('config', {
        alias: 'c',
        type: 'string',
        requiresArg: true,
        describe: 'configuration file: names socket, table and protocol where no daemon runs',
      })
      .example('nodebgp fib flush', 'a running daemon removes its routes, and writes none until fib restore')
      .example('nodebgp fib flush -c /etc/nodebgp/bgp.yaml --yes', 'also without a daemon') as Argv,
  handler: async (argv) => {
    const config = argv['config'] === undefined ? null : configOf(String(argv['config']))
    const where = whereOf(argv, config)
    const result = (await flushByDaemon(argv, where, config !== null)) ?? (await flushAlone(argv, config!))
    if (argv['json']) printJson({ result })
    else print(`${result}\n`)
  },
}

const RESTORE: CommandModule = {
  command: 'restore',
  describe: 'after a flush: the daemon writes its routes again',
  builder: (yargs) => withCommon(yargs) as Argv,
  handler: (argv) => act(argv, '/v1/fib/restore'),
}

/** Null: no daemon runs, and the configuration says what to do. */
async function flushByDaemon(argv: Arguments, where: Where, mayGoAlone: boolean): Promise<string | null> {
  const client = new Client(where)
  let count = 0
  try {
    for await (const entry of client.rows<FibEntry>('/v1/fib')) if (IN_KERNEL.has(entry.state)) count++
  } catch (error) {
    if (!(error instanceof CommandError) || error.exit !== Exit.NO_DAEMON) throw error
    if (mayGoAlone && NOBODY.test(error.message)) return null
    const hint = NOBODY.test(error.message) ? '. Without a daemon: nodebgp fib flush -c FILE' : ''
    throw new CommandError(Exit.NO_DAEMON, `${error.message}${hint}`)
  }
  await confirm(argv, `remove ${routes(count)} of the running daemon from the kernel?`)
  return (await client.post<{ result: string }>('/v1/fib/flush')).result
}

/** Straight at the kernel: routes that a daemon left behind. */
async function flushAlone(argv: Arguments, { fib: keys }: Config): Promise<string> {
  if (keys.driver === 'off' || keys.driver === 'memory')
    throw new CommandError(Exit.NO, `fib.driver is ${keys.driver}: this configuration writes no kernel routes`)
  const troubles: string[] = []
  const options = { ...keys, encapsulation: 'never' as const }
  const fib = createFib(options, {
    log: ({ event, fields }) => {
      if (event === 'fib-trouble') troubles.push(fields.reason)
    },
  })
  try {
    await fib.start()
  } catch (error) {
    throw new CommandError(Exit.NO, (error as Error).message)
  }
  const where = `table ${keys.table === MAIN_TABLE ? 'main' : keys.table}, protocol ${keys.protocol}`
  try {
    const count = fib.entries().length
    if (count > 0) await confirm(argv, `remove ${routes(count)} from the kernel (${where})?`)
    const removed = await fib.flush()
    if (removed < count) throw new CommandError(Exit.NO, troubles.at(-1) ?? `only ${removed} of ${count} were removed`)
    return `${routes(removed)} removed (${where}); no daemon runs`
  } finally {
    await fib.stop('keep')
  }
}

function configOf(file: string): Config {
  const result = loadConfig(file)
  if (result.ok) return result.config
  throw new CommandError(Exit.NO, `${result.problems.map(formatProblem).join('\n')}\nnothing was removed`)
}

/** `--socket` and NODEBGP_SOCKET go before what the file says. */
function whereOf(argv: Arguments, config: Config | null): Where {
  const found = findSocket(argv['socket'] as string | undefined)
  return config !== null && found.from === 'default' ? { socket: config.api.socket, from: 'default' } : found
}

/** Asks on a terminal; elsewhere nobody would answer. */
async function confirm(argv: Arguments, question: string): Promise<void> {
  if (argv['yes'] === true) return
  if (!process.stdin.isTTY) throw new CommandError(Exit.USAGE, `${question} Add --yes to do it without being asked`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`${question} [y/N] `)
  terminal.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError(Exit.NO, 'nothing was removed')
}

function routes(count: number): string {
  return count === 1 ? '1 route' : `${count} routes`
}

const IN_KERNEL: ReadonlySet<FibEntry['state']> = new Set(['installed', 'adopted'] as const)
/** Words of the client where there is no daemon at all; one that is stuck would put its routes back. */
const NOBODY = /no such socket|nobody listens there/
const MAIN_TABLE = 254
