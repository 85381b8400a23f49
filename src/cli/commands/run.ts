/**
 * `nodebgp run -c FILE`: the daemon, in the foreground.
 */
import type { CommandModule } from 'yargs'

export const runCommand: CommandModule = {
  command: 'run',
  describe: 'the daemon, in the foreground; SIGHUP reloads, SIGTERM stops',
  builder: (yargs) =>
    yargs.option('config', {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      demandOption: '(nodebgp run -c FILE)',
      describe: 'configuration file (YAML); bgp.example.yaml is an annotated one',
    }),
  handler: async (argv) => {
    const { runDaemon } = await import('../../daemon.js')
    process.exitCode = await runDaemon(String(argv['config']))
  },
}
