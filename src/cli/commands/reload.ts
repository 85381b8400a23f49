/**
 * `nodebgp reload`: the daemon reads its configuration file again; `--diff` only says what would change.
 * A file with problems changes nothing: all of them are printed, and the answer is no (exit 1).
 */
import type { CommandModule } from 'yargs'
import type { ReloadResult } from '../../api/types.js'
import { formatProblem } from '../../config/problems.js'
import type { ConfigDiff } from '../../config/types.js'
import { Exit } from '../exit.js'
import { printable } from '../format.js'
import { clientFor, print, printJson, withCommon } from '../options.js'

export const reloadCommand: CommandModule = {
  command: 'reload',
  describe: 'apply the configuration file again; untouched sessions stay up',
  builder: (yargs) => withCommon(yargs).option('diff', { type: 'boolean', describe: 'only say what would change' }),
  handler: async (argv) => {
    const dryRun = argv['diff'] === true
    const answer = await clientFor(argv).post<ReloadResult & { error?: string }>(
      `/v1/reload${dryRun ? '?dryRun=1' : ''}`,
      undefined,
      [409],
    )
    // 409 without problems: the daemon has another reason, such as a reload that is still running.
    const refused = !answer.ok && !Array.isArray(answer.problems)
    if (argv['json']) printJson(answer)
    else if (refused) process.stderr.write(`nodebgp: ${printable(answer.error ?? 'not applied')}\n`)
    else if (answer.ok) print(formatDiff(answer.diff, answer.applied))
    else process.stderr.write(formatProblems(answer.problems))
    if (!answer.ok || (!dryRun && !answer.applied)) process.exitCode = Exit.NO
  },
}

export function formatDiff(diff: ConfigDiff, applied: boolean): string {
  const lines = [
    ...diff.neighborsAdded.map((name) => `+ neighbour ${name}`),
    ...diff.neighborsRemoved.map((name) => `- neighbour ${name}`),
    ...diff.neighborsReset.map(({ name, keys }) => `! neighbour ${name}: ${keys.join(', ')} (new session)`),
    ...diff.neighborsChanged.map(({ name, keys }) => `~ neighbour ${name}: ${keys.join(', ')} (session stays)`),
    ...diff.policiesChanged.map((name) => `~ policy ${name}`),
    ...(diff.originateChanged ? ['~ originated routes'] : []),
    ...diff.fibChanged.map((key) => `~ ${key}`),
    ...(diff.listenChanged ? ['~ listen'] : []),
    ...(diff.apiChanged ? ['~ api'] : []),
    ...(diff.reflectorChanged ? ['~ reflector'] : []),
    ...(diff.logChanged ? ['~ log'] : []),
  ]
  if (diff.restartNeeded.length > 0)
    lines.push(`not applied: ${diff.restartNeeded.join(', ')} can only change with a restart of the daemon`)
  else if (lines.length === 0) return 'nothing changed\n'
  else lines.push(applied ? 'applied' : 'not applied (only compared)')
  return lines.map((line) => printable(line) + '\n').join('')
}

function formatProblems(problems: Extract<ReloadResult, { ok: false }>['problems']): string {
  const lines = problems.map((problem) => printable(formatProblem(problem)))
  return `${lines.join('\n')}\nnothing was changed: the running configuration stays\n`
}
