/**
 * The FIB of one node, started inside user-mode Linux by ipip-uml.sh: writes the routes of its argument (JSON), prints `ready`, and on SIGTERM
 * takes them out again. Facts and entries go to standard output, one JSON value a line.
 */
import { createFib, type FibOptions } from '../../src/fib/fib.js'
import { BASE } from './support.js'

interface Job {
  readonly options: Partial<FibOptions>
  /** Prefix → BGP next hops. */
  readonly routes: Readonly<Record<string, readonly string[]>>
}

const job = JSON.parse(process.argv[2]!) as Job
const say = (value: unknown): void => console.log(JSON.stringify(value))
const fib = createFib({ ...BASE, driver: 'auto', ...job.options }, { log: say })
process.once('SIGTERM', async () => {
  await fib.stop('flush')
  process.exit(0)
})
await fib.start()
for (const [prefix, nextHops] of Object.entries(job.routes)) fib.set(prefix, { family: 0, kind: 'unicast', nextHops })
await fib.settled()
for (const entry of fib.entries()) say(entry)
console.log('ready')
// The engine's timers keep the process alive.
