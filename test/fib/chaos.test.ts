/**
 * Churn: what the RIB wants, the hands of others, reloads and restarts in random order, for both drivers on the real kernel. Whenever it is quiet, the kernel has exactly
 * what it has to have, the entries say so, and what others have stands untouched. The seeds are fixed; NODEBGP_CHAOS=FROM-TO runs others.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { needsNetns } from '../support/netns.js'
import { Chaos } from './chaos-churn.js'
import { World } from './chaos-world.js'
import { unicast, until } from './support.js'

const [FROM, TO] = (process.env['NODEBGP_CHAOS'] ?? '1-2').split('-').map(Number) as [number, number]
const ROUNDS = 24
const MANY = 3000

for (const driver of ['netlink', 'iproute2'] as const) {
  for (let seed = FROM; seed <= TO; seed++) {
    t.test(`${driver}: seed ${seed}`, needsNetns(), async (t) => {
      const world = new World(t, driver)
      await world.open()
      world.fib.sweepAdopted()
      t.teardown(() => world.fib.stop('keep'))
      const chaos = new Chaos(world, seed)
      for (let n = 0; n < ROUNDS; n++) await chaos.round()
      t.comment(`${chaos.log.length} deeds, quiet again after ${Math.round(chaos.worstMs)} ms at most`)
      await world.fib.stop('flush')
      t.equal(world.netns.ip('route show proto 179') + world.netns.ip('-6 route show proto 179'), '')
      world.checkForeign()
    })
  }

  t.test(
    `${driver}: many routes, while devices come and go, rules change, and the daemon starts again`,
    needsNetns(),
    async (t) => {
      const world = new World(t, driver)
      await world.open()
      world.fib.sweepAdopted()
      t.teardown(() => world.fib.stop('keep'))
      const routes = [['192.168.0.2'], ['192.168.1.2'], ['192.168.0.3', '192.168.1.3'], ['10.245.1.9']].map((hops) =>
        unicast('10.0.0.0/8', ...hops),
      )
      let sets = 0
      const setMany = (): void => {
        for (let n = 0; n < MANY; n++)
          world.set(`10.${100 + (n >> 10)}.${(n >> 2) & 255}.${(n & 3) * 64}/26`, routes[(n + sets) % routes.length]!)
        sets++
      }
      const deeds: readonly (() => void | Promise<void>)[] = [
        () => world.hand('link set v1 down'),
        () => world.reconfigure({ metric: 50 }),
        () => world.hand('link set v1 up', 'addr add 192.168.1.1/24 dev v1'),
        () => world.hand('route flush proto 179'),
        () => world.set('10.245.1.9/32', unicast('', '192.168.0.9')),
        () => world.restart([...world.wanted], () => {}),
        () => world.fib.sweepAdopted(),
        () => world.hand('link set v0 down', 'link set v0 up'),
        () => world.reconfigure({ metric: 0 }),
        () => world.set('10.245.1.9/32', null),
      ]
      world.set('10.245.1.9/32', unicast('', '192.168.1.9'))
      for (const deed of deeds) {
        setMany()
        for (let n = 0; n < 3; n++) await nextTurn()
        await deed()
      }
      world.fib.sweepAdopted()
      await world.fib.settled()
      let wrong: readonly string[] = []
      await until('all as it has to be', () => {
        wrong = world.compare()
        return wrong.length === 0
      }).catch(() => {})
      t.same(wrong.slice(0, 5), [], 'all as it has to be')
    },
  )
}
