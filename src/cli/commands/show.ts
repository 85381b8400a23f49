/**
 * `nodebgp show …`: what the daemon knows, as tables with the columns operators know, or as JSON.
 */
import type { Argv, CommandModule } from 'yargs'
import type { BfdView, ErrorView, GroupView, NeighborView, PathView, SummaryView } from '../../api/types.js'
import { withParameter } from '../client.js'
import { CommandError, Exit } from '../exit.js'
import { type Column, table } from '../format.js'
import {
  type Arguments,
  clientFor,
  outputStyle,
  prefixOf,
  print,
  printJson,
  printRows,
  withCommon,
} from '../options.js'
import { formatBfd } from '../text/bfd.js'
import {
  BLOCK_COLUMNS,
  FIB_COLUMNS,
  GROUP_COLUMNS,
  PATH_COLUMNS,
  PATH_LEGEND,
  PATH_REASON,
  SENT_COLUMNS,
} from '../text/columns.js'
import { formatError } from '../text/errors.js'
import { formatNeighbor } from '../text/neighbor.js'
import { formatDriver, formatSummary, SUMMARY_COLUMNS } from '../text/summary.js'

export const showCommand: CommandModule = {
  command: ['show', 'sh'],
  describe: 'what the daemon knows',
  builder: (yargs) =>
    withCommon(yargs)
      .command(SUMMARY)
      .command(NEIGHBORS)
      .command(RIB)
      .command(adjacency('in', 'what a neighbour sent, accepted or not, and why'))
      .command(adjacency('out', 'what a neighbour is sent'))
      .command(GROUPS)
      .command(FIB)
      .command(BLOCKS)
      .command(BFD)
      .command(ERRORS)
      .demandCommand(1, 'show what? summary, neighbors, rib, adj-in, adj-out, groups, fib, blocks, bfd or errors')
      .strict()
      .recommendCommands() as Argv,
  handler: () => {},
}

/** One neighbour in full, as `show neighbors X` and `neighbor X` print it. */
export async function showNeighbor(argv: Arguments, name: string): Promise<void> {
  const found = await clientFor(argv).get<NeighborView[]>(`/v1/neighbors?name=${encodeURIComponent(name)}`)
  if (argv['json']) printJson(found)
  else print(found.map((neighbor) => formatNeighbor(neighbor, outputStyle())).join('\n'))
}

const SUMMARY: CommandModule = {
  command: ['summary', 'sum'],
  describe: 'this speaker and all its neighbours, one line each',
  builder: (yargs) =>
    yargs
      .option('wide', { type: 'boolean', describe: 'with the reason why the session is down, or was down last' })
      .option('watch', { type: 'boolean', describe: 'live, on a terminal' })
      .conflicts('watch', 'json'),
  handler: async (argv) => {
    const client = clientFor(argv)
    const wide = argv['wide'] === true
    if (argv['watch'])
      return watch(async () => formatSummary(await client.get<SummaryView>('/v1/summary'), wide, outputStyle()))
    const view = await client.get<SummaryView>('/v1/summary')
    if (argv['json']) printJson(view)
    else print(formatSummary(view, wide, outputStyle()))
  },
}

const NEIGHBORS: CommandModule = {
  command: ['neighbors [name]', 'neighbor [name]', 'nei [name]'],
  describe: 'neighbours; one in full, by name or address',
  builder: (yargs) => yargs.positional('name', { type: 'string', describe: 'name or address' }),
  handler: async (argv) => {
    const name = argv['name'] as string | undefined
    if (name !== undefined) return showNeighbor(argv, name)
    await printRows(clientFor(argv).rows<NeighborView>('/v1/neighbors'), {
      json: argv['json'] === true,
      columns: SUMMARY_COLUMNS,
      none: 'no neighbours are configured',
    })
  },
}

const RIB: CommandModule = {
  command: ['rib [prefix]', 'route [prefix]'],
  describe: 'the table; one prefix, or with an address the longest match',
  builder: (yargs) =>
    withRowOptions(yargs)
      .positional('prefix', { type: 'string', describe: 'prefix, or address for the longest match' })
      .option('from', { type: 'string', requiresArg: true, describe: 'only paths from this neighbour' }) as Argv,
  handler: (argv) => showRows('/v1/rib', argv, { columns: PATH_COLUMNS, reason: argv['prefix'] !== undefined }),
}

function adjacency(direction: 'in' | 'out', describe: string): CommandModule {
  return {
    command: `adj-${direction} <name> [prefix]`,
    describe,
    builder: (yargs) =>
      withRowOptions(yargs)
        .positional('name', { type: 'string', demandOption: true, describe: 'name or address of the neighbour' })
        .positional('prefix', { type: 'string', describe: 'prefix, or address for the longest match' }) as Argv,
    handler: (argv) =>
      showRows(`/v1/adj-${direction}/${encodeURIComponent(String(argv['name']))}`, argv, {
        columns: direction === 'in' ? PATH_COLUMNS : SENT_COLUMNS,
        reason: direction === 'in',
      }),
  }
}

const GROUPS: CommandModule = {
  command: ['groups', 'update-groups'],
  describe: 'update groups: which peers share encoded messages, and how many of them are behind',
  handler: async (argv) => {
    const groups = await clientFor(argv).get<GroupView[]>('/v1/groups')
    if (argv['json']) printJson(groups)
    else
      print(
        groups.length > 0
          ? table(GROUP_COLUMNS, groups, outputStyle())
          : 'no update groups: no session is Established\n',
      )
  },
}

const FIB: CommandModule = {
  command: 'fib',
  describe: 'routes given to the kernel, their state, and why one is not there',
  handler: async (argv) => {
    if (!argv['json']) print(formatDriver(await clientFor(argv).get<SummaryView>('/v1/summary')))
    await printAll(argv, '/v1/fib', FIB_COLUMNS, 'no routes')
  },
}

const BLOCKS: CommandModule = {
  command: 'blocks',
  describe: 'own prefixes that are announced, and where each comes from',
  handler: (argv) =>
    printAll(argv, '/v1/blocks', BLOCK_COLUMNS, 'no own prefixes: originate names none, and none was announced'),
}

/** All rows; none at all is an answer, not a no. */
async function printAll<T>(argv: Arguments, path: string, columns: readonly Column<T>[], none: string): Promise<void> {
  try {
    await printRows(clientFor(argv).rows<T>(path), { json: argv['json'] === true, columns, none: '' })
  } catch (error) {
    if (!(error instanceof CommandError && error.exit === Exit.NO && error.message === '')) throw error
    if (!argv['json']) print(`${none}\n`)
  }
}

const BFD: CommandModule = {
  command: 'bfd',
  describe: 'BFD sessions: states, discriminators, intervals, detection times, counters',
  handler: async (argv) => {
    const view = await clientFor(argv).get<BfdView>('/v1/bfd')
    if (argv['json']) printJson(view)
    else print(formatBfd(view, outputStyle()))
  },
}

const ERRORS: CommandModule = {
  command: 'errors [name]',
  describe: 'what neighbours sent that was wrong: rule, action, octets; of all, or of one by name or address',
  builder: (yargs) => yargs.positional('name', { type: 'string', describe: 'name or address' }),
  handler: async (argv) => {
    const name = argv['name'] as string | undefined
    const path = name === undefined ? '/v1/errors' : `/v1/errors?name=${encodeURIComponent(name)}`
    const errors = await clientFor(argv).get<ErrorView[]>(path)
    if (argv['json']) printJson(errors)
    else
      print(errors.length === 0 ? 'no errors\n' : errors.map((error) => formatError(error, outputStyle())).join('\n'))
  },
}

function withRowOptions(yargs: Argv): Argv {
  return yargs
    .option('family', { choices: ['ipv4-unicast', 'ipv6-unicast'], describe: 'only this family' })
    .option('longer', { type: 'boolean', describe: 'the prefix and all longer ones within it' })
    .option('best', { type: 'boolean', describe: 'only the winners' })
    .option('limit', { type: 'number', requiresArg: true, describe: 'at most so many paths' })
    .option('count', { type: 'boolean', describe: 'only how many' })
    .option('wide', { type: 'boolean', describe: 'with the reason' })
    .check((argv) => {
      const limit = argv.limit
      if (limit !== undefined && !(Number.isInteger(limit) && limit > 0))
        throw new Error('--limit takes a number from 1')
      return true
    })
}

async function showRows(
  base: string,
  argv: Arguments,
  { columns, reason }: { readonly columns: readonly Column<PathView>[]; readonly reason: boolean },
): Promise<void> {
  const client = clientFor(argv)
  const path = await rowPath(base, argv)
  if (argv['count']) {
    const answer = await client.get<{ count: number }>(withParameter(path, 'count=1'))
    if (argv['json']) printJson(answer)
    else print(`${answer.count}\n`)
    return
  }
  await printRows(client.rows<PathView>(path), {
    json: argv['json'] === true,
    columns: reason || argv['wide'] ? [...columns, PATH_REASON] : columns,
    head: PATH_LEGEND,
    none: argv['prefix'] === undefined ? 'no routes' : `no route for ${argv['prefix']}`,
  })
}

async function rowPath(base: string, argv: Arguments): Promise<string> {
  let path = base
  if (argv['prefix'] !== undefined) path = withParameter(path, `prefix=${encodeURIComponent(await prefixOf(argv))}`)
  if (argv['family']) path = withParameter(path, `family=${argv['family']}`)
  if (argv['longer']) path = withParameter(path, 'longer=1')
  if (argv['best']) path = withParameter(path, 'best=1')
  if (argv['from']) path = withParameter(path, `from=${encodeURIComponent(String(argv['from']))}`)
  if (argv['limit']) path = withParameter(path, `limit=${argv['limit']}`)
  return path
}

/** Redraws once a second until Ctrl-C; a daemon that is away for a while is shown as that. */
async function watch(draw: () => Promise<string>): Promise<void> {
  if (!process.stdout.isTTY) throw new CommandError(Exit.USAGE, '--watch needs a terminal')
  for (;;) {
    let text: string
    try {
      text = await draw()
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      text = `${error.message}\n`
    }
    print(`\x1b[H\x1b[2J${text}`)
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS))
  }
}

const WATCH_MS = 1000
