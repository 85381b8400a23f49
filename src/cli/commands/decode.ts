/**
 * `nodebgp decode`: BGP messages as text to what they say, one line each. An edge: standard input and output around decodeLine.
 */
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import type { Argv, CommandModule } from 'yargs'
import {
  DEFAULT_DECODE_OPTIONS,
  type DecodedLine,
  type DecodeOptions,
  decodeLine,
  parseAddPath,
} from '../../bgp/decode-json.js'

interface DecodeArguments {
  json: boolean
  kind: string
  as4: boolean
  ebgp: boolean
  'extended-message': boolean
  addpath: string[]
}

export const decodeCommand: CommandModule<object, DecodeArguments> = {
  command: 'decode',
  describe: 'say what BGP messages mean: one a line on standard input, as hex or JSON',
  builder: (yargs: Argv): Argv<DecodeArguments> =>
    yargs
      .option('json', { type: 'boolean', default: false, describe: 'one JSON object a line on standard output' })
      .option('kind', {
        choices: ['message', 'stream'],
        default: 'message',
        describe: 'a line is one message, or a stream of several',
      })
      .option('as4', { type: 'boolean', default: true, describe: 'AS numbers have 4 octets (--no-as4: 2, RFC 6793)' })
      .option('ebgp', { type: 'boolean', default: false, describe: 'the sender is an external peer' })
      .option('extended-message', {
        type: 'boolean',
        default: false,
        describe: 'messages of up to 65535 octets (RFC 8654)',
      })
      .option('addpath', {
        type: 'string',
        array: true,
        default: [],
        describe: 'families whose NLRI carry path identifiers (RFC 7911)',
      })
      .check((argv) => {
        parseAddPath(argv.addpath)
        return true
      })
      .epilogue(EPILOGUE),
  handler: async (argv) => {
    // The reader of our output may leave early (`| head`): no more to do then.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.exit(0)
    })
    const options: DecodeOptions = {
      kind: argv.kind === 'stream' ? 'stream' : 'message',
      as4: argv.as4,
      ebgp: argv.ebgp,
      extendedMessage: argv['extended-message'],
      addPath: parseAddPath(argv.addpath),
    }
    await decodeLines(process.stdin, process.stdout, argv.json ? toJson : toText, options)
  },
}

/** Answers every line that is not blank, in order, and waits where the output is slower than the input. */
export async function decodeLines(
  input: Readable,
  output: Writable,
  format: (line: DecodedLine) => string,
  options: DecodeOptions = DEFAULT_DECODE_OPTIONS,
): Promise<void> {
  let waiting = ''
  const flush = async (): Promise<void> => {
    const text = waiting
    waiting = ''
    if (text !== '' && !output.write(text)) await once(output, 'drain')
  }
  for await (const lines of linesOf(input)) {
    for (const line of lines) {
      if (line === OVERLONG) waiting += format(overlong())
      else if (line.trim() !== '') waiting += format(decodeLine(line, options))
      if (waiting.length > FLUSH_CHARACTERS) await flush()
    }
    await flush()
  }
}

export function toJson(line: DecodedLine): string {
  return JSON.stringify(line) + '\n'
}

/** For people: what it is, then a line per field, lists with an item per line. */
export function toText(line: DecodedLine): string {
  const { id, result, notify, decoded, reason } = line
  const head = [
    id === null ? '' : `${JSON.stringify(id)} `,
    String(decoded?.['type'] ?? 'message').toUpperCase(),
    `: ${result}`,
  ]
  if (notify !== null) head.push(`, NOTIFICATION ${notify.code}/${notify.subcode}`)
  if (notify !== null && notify.data !== '') head.push(` data ${notify.data}`)
  if (reason !== undefined) head.push(` (${reason})`)
  let text = head.join('') + '\n'
  for (const [key, value] of Object.entries(decoded ?? {})) {
    if (key !== 'type') text += fieldText(key, value, '  ')
  }
  return text
}

function fieldText(key: string, value: unknown, indent: string): string {
  const label = `${indent}${key.padEnd(18)} `
  if (!Array.isArray(value)) return `${label}${valueText(value)}\n`
  if (value.length === 0) return ''
  if (value.every((item) => typeof item !== 'object')) return `${label}${value.join(' ')}\n`
  return value.map((item) => `${label}${valueText(item)}\n`).join('')
}

function valueText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return `[${value.map(valueText).join(', ')}]`
  return Object.entries(value)
    .filter(([, inner]) => inner !== '')
    .map(([key, inner]) => `${key} ${valueText(inner)}`)
    .join(', ')
}

/** Lines of the input as they become complete, a batch per chunk; OVERLONG in place of one that is too long to be kept. */
async function* linesOf(input: Readable): AsyncGenerator<string[]> {
  let pieces: string[] = []
  let kept = 0
  let dropping = false
  const close = (last: string): string => {
    const line = dropping || kept + last.length > MAX_LINE_CHARACTERS ? OVERLONG : pieces.join('') + last
    pieces = []
    kept = 0
    dropping = false
    return line
  }
  input.setEncoding('utf8')
  for await (const chunk of input as AsyncIterable<string>) {
    const parts = chunk.split('\n')
    const rest = parts.pop() ?? ''
    const lines = parts.map((part) => close(part))
    if (!dropping && rest !== '') {
      pieces.push(rest)
      kept += rest.length
    }
    if (kept > MAX_LINE_CHARACTERS) {
      dropping = true
      pieces = []
      kept = 0
    }
    if (lines.length > 0) yield lines
  }
  if (dropping || kept > 0) yield [close('')]
}

function overlong(): DecodedLine {
  const reason = `the line is longer than ${MAX_LINE_CHARACTERS} characters; split the stream`
  return { id: null, result: 'error', notify: null, decoded: null, reason }
}

/** Stands for a line that is no longer there; no line contains a line feed. */
const OVERLONG = '\n'
const FLUSH_CHARACTERS = 65536
const MAX_LINE_CHARACTERS = 64 * 1024 * 1024

const EPILOGUE = `A line is hex (white space and colons are skipped) or JSON:
  {"id":"a","hex":"ffff…","kind":"message","as4":true,"ebgp":false,
   "addpath":["ipv4-unicast"],"extendedMessage":false}
The options above are the defaults of what a line does not say. Blank lines
are skipped, a bad line is answered and does not stop the others.

With --json each line is answered by {"id","result","notify","decoded"} and,
where there is something to say, "reason". Results:
  ok                 taken as it is
  error              the session would be reset: notify is the NOTIFICATION,
                     data in hex; notify null: the line cannot be read
  treat-as-withdraw  RFC 7606: all announced routes count as withdrawn;
                     announced still shows them as they stand
  attribute-discard  RFC 7606: taken without the faulty attributes
  incomplete         the bytes end before the message does
decoded is what stands on the wire, null for error and incomplete:
  - faulty and discarded attributes are in attrCodes only (wire order)
  - asPath and aggregator are not merged with as4Path and as4Aggregator
  - otherAttributes have no key of their own; flags as on the wire
  - a stream has messages (how many), messageTypes and items (the values),
    also up to an error or an incomplete end`
