/**
 * `nodebgp neighbor X [up|down|clear|refresh]`; without an action the neighbour is shown.
 */
import type { CommandModule } from 'yargs'
import { clientFor, print, printJson, withCommon } from '../options.js'
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
      .check((argv) => {
        if (argv.text !== undefined && argv.action !== 'down') throw new Error('a text goes only with down')
        return true
      })
      .example('nodebgp neighbor tor-a down "new line card, back at 15:00"', ''),
  handler: async (argv) => {
    const name = String(argv['name'])
    const action = argv['action'] as (typeof ACTIONS)[number] | undefined
    if (action === undefined) return showNeighbor(argv, name)
    const body = argv['text'] === undefined ? {} : { text: String(argv['text']) }
    const path = `/v1/neighbor/${encodeURIComponent(name)}/${action}`
    const answer = await clientFor(argv).post<{ result: string }>(path, body)
    if (argv['json']) printJson(answer)
    else print(`${answer.result}\n`)
  },
}
