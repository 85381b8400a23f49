/**
 * `nodebgp check FILE`: all problems of a configuration file at once, or what it makes the daemon do. Exit code 0 or 1.
 */
import type { CommandModule } from 'yargs'
import { explainConfig, summarizeConfig } from '../../config/explain.js'
import { loadConfig } from '../../config/load.js'
import { formatProblem } from '../../config/problems.js'

interface CheckArguments {
  file: string
  json: boolean
}

export const checkCommand: CommandModule<object, CheckArguments> = {
  command: 'check <file>',
  describe: 'validate a configuration file and explain what it makes the daemon do',
  builder: (yargs) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'configuration file (YAML)' })
      .option('json', { type: 'boolean', default: false, describe: 'the result as JSON' }),
  handler: ({ file, json }) => {
    const { exitCode, output } = check(file, json)
    process.stdout.write(output)
    process.exitCode = exitCode
  },
}

export function check(file: string, json: boolean): { readonly exitCode: 0 | 1; readonly output: string } {
  const result = loadConfig(file)
  if (json) {
    const { ok } = result
    const view = ok
      ? { ok, config: summarizeConfig(result.config), notes: result.notes }
      : { ok, problems: result.problems }
    return { exitCode: ok ? 0 : 1, output: `${JSON.stringify(view, null, 2)}\n` }
  }
  if (!result.ok) {
    const { problems } = result
    const count =
      problems.length > 1000
        ? 'more than 1000 problems'
        : problems.length === 1
          ? '1 problem'
          : `${problems.length} problems`
    const summary = `${count}; the daemon would not start with this file`
    return { exitCode: 1, output: lines([...problems.map(formatProblem), summary]) }
  }
  const notes = result.notes.map((note) => `note: ${formatProblem(note)}`)
  return { exitCode: 0, output: lines([...explainConfig(result.config), ...notes, `${file} is well`]) }
}

function lines(all: readonly string[]): string {
  return `${all.join('\n')}\n`
}
