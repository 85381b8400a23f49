#!/usr/bin/env node
/**
 * The command line. Exit codes: 0 well, 1 the answer is no, 2 wrong usage, 3 no daemon.
 *
 * Only the command that is asked for is loaded, so that `nodebgp show summary` starts quickly.
 */
import type { CommandModule } from 'yargs'
import { version } from '../version.js'
import { CommandError, Exit, exitOf } from './exit.js'
import { printable } from './format.js'

interface CommandRow {
  readonly names: readonly string[]
  readonly describe: string
  readonly load: () => Promise<CommandModule>
}

/** `describe` stands here too, so that the help needs no command loaded. */
const COMMANDS: readonly CommandRow[] = [
  {
    names: ['run'],
    describe: 'the daemon, in the foreground: nodebgp run -c FILE',
    load: async () => (await import('./commands/run.js')).runCommand,
  },
  {
    names: ['check'],
    describe: 'validate a configuration file and explain it',
    load: async () => plain((await import('./commands/check.js')).checkCommand),
  },
  {
    names: ['show', 'sh'],
    describe: 'what the daemon knows: summary, neighbors, rib, adj-in, adj-out, groups, fib, blocks, bfd, errors',
    load: async () => (await import('./commands/show.js')).showCommand,
  },
  {
    names: ['explain'],
    describe: 'why a prefix is routed as it is, and what is missing',
    load: async () => (await import('./commands/explain.js')).explainCommand,
  },
  {
    names: ['neighbor'],
    describe: 'take a neighbour up or down, clear its session, or ask for its routes again',
    load: async () => (await import('./commands/neighbor.js')).neighborCommand,
  },
  {
    names: ['announce'],
    describe: 'announce a route of our own',
    load: async () => (await import('./commands/announce.js')).announceCommand,
  },
  {
    names: ['withdraw'],
    describe: 'take back an announced route',
    load: async () => (await import('./commands/announce.js')).withdrawCommand,
  },
  {
    names: ['reload'],
    describe: 'read the configuration file again and apply what changed',
    load: async () => (await import('./commands/reload.js')).reloadCommand,
  },
  {
    names: ['fib'],
    describe: 'remove our kernel routes, with or without a daemon; write them again',
    load: async () => (await import('./commands/fib.js')).fibCommand,
  },
  {
    names: ['decode'],
    describe: 'say what BGP messages mean: hex on standard input to text or JSON',
    load: async () => plain((await import('./commands/decode.js')).decodeCommand),
  },
  {
    names: ['lab'],
    describe: 'a small rack on this machine: ToR, reflectors, nodes with Pods',
    load: async () => plain((await import('./commands/lab.js')).labCommand),
  },
  {
    names: ['load'],
    describe: 'simulated neighbours against any BGP speaker, with verified convergence',
    load: async () => (await import('./commands/load.js')).loadCommand,
  },
]

/** What yargs says otherwise, in the form of our messages. */
const STRINGS = {
  'Unknown argument: %s': { one: 'unknown argument: %s', other: 'unknown arguments: %s' },
  'Missing required argument: %s': { one: 'missing argument: %s', other: 'missing arguments: %s' },
  'Argument: %s, Given: %s, Choices: %s': '%s is %s, and has to be one of %s',
  'Arguments %s and %s are mutually exclusive': '--%s and --%s exclude each other',
} as unknown as Record<string, string>

await main(familiar(process.argv.slice(2)))

/** The file of a plain `run -c FILE`: what a restart waits for, so without the parser of arguments (47 of 400 ms in a profile of the start). */
function daemonFile([command, option, value, ...more]: readonly string[]): string | null {
  const plain = command === 'run' && (option === '-c' || option === '--config') && more.length === 0
  return plain && value !== undefined && value !== '' && !value.startsWith('-') ? value : null
}

async function main(args: readonly string[]): Promise<void> {
  // A reader that has seen enough (`| head`) is no failure. What has sessions or namespaces to clean up goes on without a reader.
  const goesOn = args[0] === 'run' || args[0] === 'lab' || args[0] === 'load'
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!goesOn) process.exit(error.code === 'EPIPE' ? Exit.OK : Exit.NO)
  })
  process.stderr.on('error', () => {})
  try {
    const file = daemonFile(args)
    if (file !== null) {
      const { runDaemon } = await import('../daemon.js')
      process.exitCode = await runDaemon(file)
      return
    }
    const { default: yargs } = await import('yargs')
    const parser = yargs([...args])
      .scriptName('nodebgp')
      .usage('$0 COMMAND: a BGP speaker and route reflector for Kubernetes nodes')
      .version('version', 'the version', version)
      .help('help', 'this help; nodebgp COMMAND --help has more')
      .alias('help', 'h')
      .strict()
      .recommendCommands()
      .demandCommand(1, 'which command? nodebgp --help lists them')
      .updateStrings(STRINGS)
      .wrap(Math.min(120, process.stdout.columns ?? 100))
      .exitProcess(false)
      .epilogue('Exit codes: 0 well, 1 the answer is no, 2 wrong usage, 3 no daemon')
      // With a message it is about the arguments; without one a command failed.
      .fail((message, error) => {
        throw message ? new CommandError(Exit.USAGE, usageText(message, args)) : error
      })
    for (const module of await commandModules(args)) parser.command(module)
    parser.completion('completion', 'a completion script for the shell')
    await parser.parseAsync()
  } catch (error) {
    report(error)
  }
}

/** The named command in full; of the others what the help and the suggestions need. */
async function commandModules(args: readonly string[]): Promise<CommandModule[]> {
  const all = args.includes('--get-yargs-completions')
  const wanted = args.find((arg) => COMMANDS.some((row) => row.names.includes(arg)))
  return Promise.all(
    COMMANDS.map((row) =>
      all || (wanted !== undefined && row.names.includes(wanted))
        ? row.load()
        : { command: [...row.names], describe: row.describe, handler: () => {} },
    ),
  )
}

/** A command with arguments of its own type, as one among others. */
function plain<T, U>(module: CommandModule<T, U>): CommandModule {
  return module as unknown as CommandModule
}

/** Words that fingers know: `show ip bgp`, `show bgp summary`, `bgp sum`, `show protocols`, `show bgp ipv6 unicast`. */
function familiar(args: readonly string[]): string[] {
  let words = [...args]
  if (words[0] === 'bgp') words = ['show', ...words.slice(1)]
  if (words[0] !== 'show' && words[0] !== 'sh') return words
  while (words[1] === 'bgp' || words[1] === 'ip') {
    words.splice(1, 1)
    if (words[1] === undefined || words[1].startsWith('-')) words.splice(1, 0, 'rib')
  }
  if (words[1] === 'ipv4' || words[1] === 'ipv6') {
    const family = `${words[1]}-unicast`
    words.splice(1, words[2] === 'unicast' ? 2 : 1)
    if (words[1] === undefined || words[1].startsWith('-') || /[.:]/.test(words[1]))
      words.splice(1, 0, 'rib', '--family', family)
  }
  if (words[1] === 'protocols') words[1] = 'summary'
  if (words[1] !== undefined && /^[0-9a-f.:]+(\/\d+)?$/i.test(words[1]) && /[.:]/.test(words[1]))
    words.splice(1, 0, 'rib')
  return words
}

/** What yargs says of the arguments, as one line that says what to do. */
function usageText(message: string, args: readonly string[]): string {
  const line = message
    .replace('Invalid values:', '')
    .replace(/\s*\n\s*/g, ' ')
    .trim()
  if (line.startsWith('Did you mean')) return `unknown command. ${line}`
  if (line.startsWith('Not enough non-option arguments')) return `not enough arguments: ${helpFor(args)} lists them`
  return /^(unknown|missing) argument/.test(line) ? `${line}; ${helpFor(args)} lists what there is` : line
}

/** `'nodebgp show rib --help'`: the help of the command that was meant, as far as it is one. */
function helpFor(args: readonly string[]): string {
  const words = args.filter((arg) => !arg.startsWith('-'))
  const known = COMMANDS.some((row) => row.names.includes(words[0] ?? ''))
  const length = !known ? 0 : ['show', 'sh', 'fib'].includes(words[0]!) ? 2 : 1
  return `'${['nodebgp', ...words.slice(0, length), '--help'].join(' ')}'`
}

function report(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error)
  if (message) process.stderr.write(`nodebgp: ${printable(message.trim())}\n`)
  process.exitCode = exitOf(error)
}
