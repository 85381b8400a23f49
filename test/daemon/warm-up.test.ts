import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { FibConfig } from '../../src/config/types.js'
import { rehearsal, warmUp } from '../../src/daemon/warm-up.js'
import { BASE } from '../fib/support.js'

const fib: FibConfig = { ...BASE, sweepAfterMs: 0 }

t.test(
  'the rehearsal goes through everything: each prefix is announced, withdrawn and announced again, then withdrawn with its peer',
  async (t) => {
    let steps = 0
    const run = rehearsal(fib)
    let result = run.next()
    for (; result.done !== true; result = run.next()) {
      steps++
      // The FIB's engine works in turns of its own.
      await setImmediate()
    }
    const { announced, withdrawn, written } = result.value
    t.equal(announced, 2 * 2 * 8192, 'two rounds')
    t.equal(withdrawn, 2 * 2 * 8192)
    t.ok(written > 3 * 8192, `${written} changes of kernel routes`)
    t.ok(steps > 100, `${steps} steps`)
  },
)

t.test('it ends early when asked to, and does not keep the process', async (t) => {
  const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const end = warmUp(fib)
  t.equal(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length, before, 'no timer that holds')
  end()
})
