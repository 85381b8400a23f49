/**
 * `nodebgp run -c FILE`: the daemon, in the foreground.
 */
import type { CommandModule } from 'yargs'

export const runCommand: CommandModule = {
  command: 'run',
  describe: 'the daemon, in the foreground; SIGHUP reloads, SIGTERM stops',
  builder: (yargs) =>
    yargs
      .option('config', {
        alias: 'c',
        type: 'string',
        requiresArg: true,
        demandOption: '(nodebgp run -c FILE)',
        describe: 'configuration file (YAML); bgp.example.yaml is an annotated one',
      })
      .example('nodebgp run -c /etc/nodebgp/bgp.yaml', '')
      .epilogue(EPILOGUE),
  handler: async (argv) => {
    const { runDaemon } = await import('../../daemon.js')
    process.exitCode = await runDaemon(String(argv['config']))
  },
}

const EPILOGUE = `The log goes to standard output: JSON lines, or readable lines on a terminal.
NODEBGP_LOG_FORMAT=text or json decides otherwise.
Exit codes: 0 stopped by a signal, 1 could not start, 70 a bug.`
