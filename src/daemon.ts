/**
 * The composition root: `nodebgp run -c FILE`. Reads the configuration, runs a speaker until SIGTERM or SIGINT, reloads on SIGHUP.
 */
import { loadConfig } from './config/load.js'
import { formatProblem } from './config/problems.js'
import { Speaker } from './daemon/speaker.js'
import { warmUp } from './daemon/warm-up.js'
import { createLogger, type Log } from './log.js'
import { formatIpv4 } from './net/address.js'
import { onLargeColumn } from './rib/columns.js'
import { findSys } from './sys/sys.js'
import { version } from './version.js'

/** Runs until a signal. Exit code: 0 stopped as asked, 1 could not start. */
export async function runDaemon(file: string): Promise<number> {
  const result = loadConfig(file)
  if (!result.ok) {
    for (const problem of result.problems) process.stderr.write(`${formatProblem(problem)}\n`)
    process.stderr.write(
      `nodebgp: ${file} has ${result.problems.length === 1 ? 'a problem' : `${result.problems.length} problems`}; the daemon was not started\n`,
    )
    return 1
  }
  const { config } = result
  const log = createLogger(config.log.level)
  log.write('daemon-start', {
    version,
    nodeName: config.nodeName,
    asn: config.asn,
    routerId: formatIpv4(config.routerId),
    file,
  })
  for (const note of result.notes) log.write('notice', { text: `${note.path}: ${note.message}` })
  useHugePages()
  const speaker = new Speaker(config, log)
  const stopped = stopSignal()
  const reload = (): void => void speaker.reload()
  process.on('SIGHUP', reload)
  endOnBugs(log)
  try {
    await speaker.start()
  } catch (error) {
    log.write('daemon-failed', { reason: (error as Error).message })
    // Routes that are there may be those of a daemon that runs: never flushed by one that could not start.
    await speaker.stop('keep')
    log.close()
    return 1
  }
  const endWarmUp = warmUp(speaker.fibConfig, () => speaker.lastStateChangeMs)
  log.write('daemon-stop', { reason: await stopped })
  endWarmUp()
  await speaker.stop()
  process.off('SIGHUP', reload)
  log.close()
  return 0
}

/** For large tables, where system calls can be made. */
function useHugePages(): void {
  const { sys } = findSys()
  if (sys === null) return
  onLargeColumn((column) => {
    try {
      sys.adviseHugePages(column)
    } catch {
      // A kernel without them: pages of the usual size do, too.
    }
  })
}

/** Resolves with the first signal that asks to stop; a second one ends the process at once. */
function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    let asked = false
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(130)
      asked = true
      resolve(signal)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

/** An exception that nobody caught is a bug: it is logged with its place, and the process ends; the kernel's routes stay. */
function endOnBugs(log: Log): void {
  const end = (error: unknown): void => {
    log.write('daemon-failed', {
      reason: `bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    })
    log.flush()
    process.exit(70)
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
}
