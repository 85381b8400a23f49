/**
 * `nodebgp explain PREFIX`. The answer is no (exit 1) when the prefix is not in the table.
 */
import type { CommandModule } from 'yargs'
import type { ExplainView } from '../../api/types.js'
import { Exit } from '../exit.js'
import { clientFor, outputStyle, prefixOf, print, printJson, withCommon } from '../options.js'
import { formatExplain } from '../text/explain.js'

export const explainCommand: CommandModule = {
  command: 'explain <prefix>',
  describe: 'why a prefix is routed as it is, and what is missing',
  builder: (yargs) =>
    withCommon(yargs).positional('prefix', { type: 'string', demandOption: true, describe: 'prefix or address' }),
  handler: async (argv) => {
    const prefix = encodeURIComponent(await prefixOf(argv))
    const view = await clientFor(argv).get<ExplainView>(`/v1/explain?prefix=${prefix}`)
    if (argv['json']) printJson(view)
    else print(formatExplain(view, outputStyle()))
    if (!view.known) process.exitCode = Exit.NO
  },
}
