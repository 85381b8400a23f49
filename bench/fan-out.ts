/** Changed prefixes to N reflector clients: encoded once for the update group, or for each of them by itself. */
import { Family } from '../src/net/family.js'
import { tableOf, World } from './given.js'
import type { Bench, Variant } from './harness.js'

function fanOutBench(members: number, prefixes: number): Bench {
  return {
    name: `fan-out to ${members} clients`,
    operation: 'route delivered',
    variants: [variant('one update group', false, members, prefixes), variant('a group each', true, members, prefixes)],
  }
}

/** All prefixes change from one half of the attribute sets to the other and back: decision, comparison, encoding and writing are timed. */
function variant(name: string, twin: boolean, members: number, prefixes: number): Variant {
  return {
    name,
    twin,
    prepare: () => {
      const world = new World()
      const sender = world.source(9_999)
      for (let n = 0; n < members; n++) world.join(twin)
      const sets = Math.ceil(prefixes / 10)
      const tables = [tableOf(prefixes, sets, 0, 0), tableOf(prefixes, sets, 0, sets)]
      world.receive(sender, tables[0]!)
      world.settle()
      let turn = 0
      return () => {
        turn++
        const before = world.clients[0]!.link.octets
        world.receive(sender, tables[turn & 1]!)
        world.settle()
        const { group } = world.clients[0]!.member
        const heard = world.clients[0]!.link.octets - before
        if (group.family !== Family.IPV4_UNICAST || group.prefixCount !== prefixes || heard < prefixes * 4)
          throw new Error('a client has not heard everything')
        return members * prefixes
      }
    },
  }
}

export const FAN_OUT_BENCHES: readonly Bench[] = [
  fanOutBench(10, 10_000),
  fanOutBench(100, 2_000),
  fanOutBench(1000, 500),
]
