/**
 * Kernel routes that earlier runs have left in another table or under another protocol number (`fib.table` or `fib.protocol` changed over a restart): nobody would ever
 * confirm or remove them. Those in the table of this run are taken over like those of another daemon: each is replaced in place, so that changing the number leaves no
 * hole. The others go once the routes of this run are in place.
 */
import type { FibConfig } from '../config/types.js'
import { createFib } from '../fib/fib.js'
import type { Log } from '../log.js'
import type { Restart } from './restart.js'

/** `fib.takeOver`, and the numbers that earlier runs had in the same table. */
export function withLeftProtocols(
  { table, protocol, takeOver }: FibConfig,
  { leftPlaces }: Pick<Restart, 'leftPlaces'>,
): readonly number[] {
  const left = leftPlaces.filter((place) => place.table === table && place.protocol !== protocol)
  return [...new Set([...takeOver, ...left.map((place) => place.protocol)])]
}

/** Never rejects: what cannot be cleared now is left for the next run. */
export async function clearLeftPlaces(
  config: FibConfig,
  restart: Pick<Restart, 'leftPlaces' | 'placeCleared'>,
  log: Log,
): Promise<void> {
  // This run writes no kernel: the routes may be all that there is.
  if (config.driver === 'off' || config.driver === 'memory') return
  for (const place of restart.leftPlaces) {
    const { table, protocol } = place
    const where = `table ${table}, protocol ${protocol} of an earlier configuration`
    const fib = createFib(
      // What is another daemon's there is none of ours.
      { ...config, table, protocol, takeOver: [], encapsulation: 'never' },
      {
        log: ({ event, fields }) => {
          if (event === 'fib-trouble') log.write('fib-trouble', { reason: `${where}: ${fields.reason}` })
        },
      },
    )
    try {
      await fib.start()
      const count = fib.entries().length
      const removed = await fib.flush()
      await fib.stop('keep')
      if (removed < count) continue
      restart.placeCleared(place)
      if (count > 0) log.write('notice', { text: `${count} kernel routes removed: ${where}` })
    } catch (error) {
      log.write('fib-trouble', { reason: `${where}: ${(error as Error).message}; its routes stay` })
    }
  }
}
