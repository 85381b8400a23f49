/**
 * What all commands that talk to the daemon share: its socket, JSON, and how rows and answers are printed.
 */
import type { Argv } from 'yargs'
import { Client, findSocket } from './client.js'
import { CommandError, Exit } from './exit.js'
import { type Column, chooseStyle, type Style, TableWriter } from './format.js'

/** What yargs hands to a command. */
export type Arguments = Readonly<Record<string, unknown>>

export function withCommon<T>(yargs: Argv<T>): Argv<T> {
  return yargs
    .option('socket', {
      type: 'string',
      requiresArg: true,
      describe: "the daemon's socket; else NODEBGP_SOCKET, else /run/nodebgp/nodebgp.sock",
    })
    .option('json', { type: 'boolean', describe: 'JSON, as the API gives it' }) as unknown as Argv<T>
}

export function clientFor(argv: Arguments): Client {
  return new Client(findSocket(argv['socket'] as string | undefined))
}

/** The prefix or address of the command. A prefix with bits set after its length is wrong usage: there is no such route. */
export async function prefixOf(argv: Arguments): Promise<string> {
  const text = String(argv['prefix'])
  if (!text.includes('/')) return text
  // Only now, because the addresses bring a package with them.
  const { parsePrefix } = await import('../net/prefix.js')
  try {
    return parsePrefix(text, { strict: true }).text
  } catch (error) {
    throw new CommandError(Exit.USAGE, (error as Error).message)
  }
}

export function outputStyle(): Style {
  return chooseStyle(process.stdout.isTTY === true)
}

export function print(text: string): void {
  process.stdout.write(text)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2) + '\n')
}

/** Has the daemon do something, and prints what became of it. */
export async function act(argv: Arguments, path: string, body?: unknown): Promise<void> {
  const answer = await clientFor(argv).post<{ result: string }>(path, body)
  if (argv['json']) printJson(answer)
  else print(`${answer.result}\n`)
}

/** Rows as a table or a JSON array, while they come. Without any: `none` on standard error and the answer no. */
export async function printRows<T>(
  rows: AsyncIterable<T>,
  options: {
    readonly json: boolean
    readonly columns: readonly Column<T>[]
    readonly head?: string
    readonly none: string
  },
): Promise<void> {
  let count = 0
  if (options.json) {
    for await (const row of rows) {
      await printWaiting(`${count === 0 ? '[' : ','}\n  ${JSON.stringify(row)}`)
      count++
    }
    print(count === 0 ? '[]\n' : '\n]\n')
  } else {
    let text = ''
    const table = new TableWriter<T>(options.columns, outputStyle(), (part) => {
      text += part
    })
    for await (const row of rows) {
      if (count++ === 0 && options.head) text = options.head
      table.add(row)
      if (text.length < PRINT_CHARS) continue
      await printWaiting(text)
      text = ''
    }
    table.end()
    print(text)
  }
  if (count === 0) throw new CommandError(Exit.NO, options.none)
}

/** Holds back the rows when the terminal or pipe is slower than the daemon. */
async function printWaiting(text: string): Promise<void> {
  if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once('drain', resolve))
}

const PRINT_CHARS = 32 * 1024
