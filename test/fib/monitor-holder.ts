/** Started by ip-monitor.test.ts to be killed: holds an `ip monitor` and prints the process id that it knows, whenever that is another one, and what it is told. */
import { IpMonitor } from '../../src/fib/ip-monitor.js'

const monitor = new IpMonitor(['-o', 'monitor', 'route'], {
  take: () => {},
  ended: (how) => {
    console.log(`ended ${how}`)
    clearInterval(timer)
  },
})
let said: number | null = null
const timer = setInterval(() => {
  if (monitor.pid !== null && monitor.pid !== said) console.log(`pid ${monitor.pid}`)
  said = monitor.pid
}, 20)
process.on('SIGTERM', () => {
  clearInterval(timer)
  void monitor.close().then(() => console.log('closed'))
})
process.on('SIGINT', () => process.exit(0))
