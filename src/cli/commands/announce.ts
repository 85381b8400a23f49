/**
 * `nodebgp announce PREFIX …` and `nodebgp withdraw PREFIX`: own routes until the daemon ends; lasting ones belong in the configuration.
 */
import type { Argv, CommandModule } from 'yargs'
import type { AnnounceRequest } from '../../api/types.js'
import { act, prefixOf, withCommon } from '../options.js'

export const announceCommand: CommandModule = {
  command: 'announce <prefix>',
  describe: 'announce an own route until it is withdrawn or the daemon ends',
  builder: (yargs) =>
    withCommon(yargs)
      .positional('prefix', { type: 'string', demandOption: true, describe: 'such as 10.244.1.0/26' })
      .option('next-hop', { type: 'string', requiresArg: true, describe: "else each session's own address" })
      .option('med', { type: 'number', requiresArg: true, describe: 'MULTI_EXIT_DISC, 0 to 4294967295' })
      .option('local-pref', { type: 'number', requiresArg: true, describe: 'LOCAL_PREF for internal peers; else 100' })
      .option('community', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: '64512:1, 64512:1:2 or a well-known name; may be repeated',
      })
      .option('blackhole', {
        type: 'boolean',
        describe: 'also a blackhole route in the kernel: drops what no longer prefix takes',
      })
      .check((argv) => {
        for (const [name, value] of [
          ['--med', argv.med],
          ['--local-pref', argv['local-pref']],
        ] as const) {
          if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value <= 0xffffffff))
            throw new Error(`${name} takes a number from 0 to 4294967295`)
        }
        return true
      }) as Argv,
  handler: async (argv) => {
    const request: AnnounceRequest = {
      prefix: await prefixOf(argv),
      ...(argv['nextHop'] === undefined ? {} : { nextHop: String(argv['nextHop']) }),
      ...(argv['med'] === undefined ? {} : { med: Number(argv['med']) }),
      ...(argv['localPref'] === undefined ? {} : { localPref: Number(argv['localPref']) }),
      ...(argv['community'] === undefined ? {} : { communities: argv['community'] as string[] }),
      ...(argv['blackhole'] === undefined ? {} : { blackhole: argv['blackhole'] === true }),
    }
    await act(argv, '/v1/announce', request)
  },
}

export const withdrawCommand: CommandModule = {
  command: 'withdraw <prefix>',
  describe: 'take back an announced route',
  builder: (yargs) =>
    withCommon(yargs).positional('prefix', { type: 'string', demandOption: true, describe: 'as it was announced' }),
  handler: async (argv) => act(argv, '/v1/withdraw', { prefix: await prefixOf(argv) }),
}
