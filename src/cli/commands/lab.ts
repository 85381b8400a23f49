/** `nodebgp lab`: a rack in network namespaces, or on loopback where those cannot be had. */
import type { CommandModule } from 'yargs'
import { runLab } from '../../lab/lab.js'
import { LAB_ENCAPSULATIONS, type LabEncapsulation } from '../../lab/modes.js'

interface LabArguments {
  readonly once: boolean
  readonly 'require-kernel': boolean
  readonly loopback: boolean
  readonly json: boolean
  readonly limit: number
  readonly encapsulation: LabEncapsulation
}

export const labCommand: CommandModule<object, LabArguments> = {
  command: 'lab',
  describe: 'a rack of ToR, reflectors and nodes in network namespaces (or on loopback): sessions, routes, pings',
  builder: (yargs) =>
    yargs
      .option('once', {
        type: 'boolean',
        default: false,
        describe: 'end when all is well (exit code 0) or at the limit (1)',
      })
      .option('require-kernel', {
        type: 'boolean',
        default: false,
        describe: 'fail where network namespaces cannot be made',
      })
      .option('loopback', { type: 'boolean', default: false, describe: 'use loopback addresses and the memory FIB' })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the result as JSON, the progress on standard error',
      })
      .option('encapsulation', {
        choices: LAB_ENCAPSULATIONS,
        default: 'never' as const,
        describe: 'how packets between the Pods of the nodes are wrapped; the lab says which of these this kernel has',
      })
      .option('limit', { type: 'number', default: 90, describe: 'seconds until the rack counts as not converged' })
      .check((args) => args.limit > 0 || '--limit takes a number of seconds above 0')
      .check(
        (args) =>
          !(args.loopback && args.encapsulation !== 'never') || '--encapsulation needs a kernel: leave --loopback out',
      )
      .check(
        (args) => !(args.loopback && args['require-kernel']) || '--loopback and --require-kernel exclude each other',
      ),
  handler: async (args) => {
    process.exitCode = await runLab({
      once: args.once,
      requireKernel: args['require-kernel'],
      loopback: args.loopback,
      json: args.json,
      limitSeconds: args.limit,
      encapsulation: args.encapsulation,
    })
  },
}
