/**
 * `nodebgp neighbor X [up|down|clear|refresh]`; without an action the neighbour is shown.
 */
import type { CommandModule } from 'yargs'
import { durationMs } from '../../config/values.js'
import { act, withCommon } from '../options.js'
import { showNeighbor } from './show.js'

const ACTIONS = ['up', 'down', 'clear', 'refresh'] as const

export const neighborCommand: CommandModule = {
  command: 'neighbor <name> [action] [text]',
  describe: 'take a neighbour up or down, clear its session, or ask for its routes again',
  builder: (yargs) =>
    withCommon(yargs)
      .positional('name', { type: 'string', demandOption: true, describe: 'name or address' })
      .positional('action', {
        choices: ACTIONS,
        describe: 'down stays down until up; clear is a new session; refresh asks for the routes again (RFC 2918)',
      })
      .positional('text', { type: 'string', describe: 'with down: a word to the operator on the other end (RFC 9003)' })
      .option('graceful', {
        type: 'boolean',
        describe: 'with down: routes are moved away first, on both ends (RFC 8326); up cancels',
      })
      .option('wait', { type: 'string', requiresArg: true, describe: 'with --graceful: how long; default 30s' })
      .check((argv) => {
        if (argv.graceful === true && argv.action !== 'down') throw new Error('--graceful goes only with down')
        if (argv.wait !== undefined && argv.graceful !== true) throw new Error('--wait goes only with --graceful')
        if (argv.wait !== undefined) waitSeconds(argv.wait)
        if (argv.text !== undefined && argv.action !== 'down') throw new Error('a text goes only with down')
        return true
      })
      .example('nodebgp neighbor tor-a down "new line card, back at 15:00"', '')
      .example('nodebgp neighbor tor-a down --graceful --wait 1m', ''),
  handler: async (argv) => {
    const name = String(argv['name'])
    const action = argv['action'] as (typeof ACTIONS)[number] | undefined
    if (action === undefined) return showNeighbor(argv, name)
    const body = {
      ...(argv['text'] === undefined ? {} : { text: String(argv['text']) }),
      ...(argv['graceful'] === true ? { graceful: true } : {}),
      ...(argv['wait'] === undefined ? {} : { waitSeconds: waitSeconds(String(argv['wait'])) }),
    }
    await act(argv, `/v1/neighbor/${encodeURIComponent(name)}/${action}`, body)
  },
}

/** Whole seconds of a duration such as 30s or 2m. */
function waitSeconds(text: string): number {
  try {
    return Math.ceil(durationMs(1000, 3_600_000)(text) / 1000)
  } catch {
    throw new Error(`--wait ${text} is not a duration from 1s to 1h, such as 30s or 2m`)
  }
}
