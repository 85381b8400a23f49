/** Started by kernel.test.ts without CAP_NET_ADMIN: prints why the FIB cannot start. */
import { createFib } from '../../src/fib/fib.js'
import { BASE } from './support.js'

const fib = createFib({ ...BASE, driver: 'auto' }, { log: () => {} })
try {
  await fib.start()
  console.log('started')
  await fib.stop('keep')
} catch (error) {
  console.log((error as Error).message)
}
