/** What the FIB is told of winners that carry VTEPs. */
import t from 'tap'
import { encodeVxlanTunnel } from '../../src/bgp/attributes/tunnel-encapsulation.js'
import type { FibConfig } from '../../src/config/types.js'
import { FibFeed, prefixText } from '../../src/daemon/fib-feed.js'
import { OwnRoutes } from '../../src/daemon/own-routes.js'
import { createFib } from '../../src/fib/fib.js'
import type { DesiredRoute, Fib } from '../../src/fib/types.js'
import { parsePrefix } from '../../src/net/prefix.js'
import { BASE } from '../fib/support.js'
import { attributesWith, RibWorld } from '../rib/given.js'
import { announceBytes } from '../support/update-bytes.js'

t.test('VTEPs are of IPv4 routes: paths of IPv6 have numbers of their own', async (t) => {
  const world = new RibWorld()
  const fib = createFib({ ...BASE, driver: 'memory' }, { log: () => {} })
  const told = new Map<string, DesiredRoute | null>()
  const listener: Fib = {
    ...fib,
    driver: 'memory',
    set: (at, route) => told.set(at, route),
    setId: (id, route) => told.set(prefixText(0, world.rib.tables[0]!.prefixes, id), route),
  }
  const feed = new FibFeed(world.rib, listener, new OwnRoutes(world.rib))
  const accept = ['10.0.0.0/8', 'fd00::/8'].map((text) => ({ ...parsePrefix(text), text }))
  feed.configure({ accept, maxPaths: 1, encapsulation: 'vxlan', metricFromLocalPref: false } as unknown as FibConfig)
  const vtep = { endpoint: '10.0.1.1', address: '10.1.0.9', mac: '66:00:00:00:00:01', vni: 1, port: 8472 }
  const tunnel = { type: 23, flags: 0xc0, value: encodeVxlanTunnel(vtep) }
  const source = world.source()
  world.receive(source, announceBytes(['10.1.0.0/16'], attributesWith({ others: [tunnel] })))
  world.receive(
    source,
    announceBytes(['fd00:1::/64'], attributesWith({ nextHop: Uint8Array.of(0xfd, ...new Array(14).fill(0), 9) })),
  )
  world.turn()
  t.equal(world.path(source, 'fd00:1::/64'), world.path(source, '10.1.0.0/16'), 'one number, two paths')
  for (const prefix of ['10.1.0.0/16', 'fd00:1::/64'])
    feed.change(parsePrefix(prefix).family, Int32Array.of(world.id(prefix)), 1)
  t.match(told.get('10.1.0.0/16')?.vteps?.get('10.0.1.1'), vtep)
  t.match(told.get('fd00:1::/64'), { family: 1, nextHops: ['fd00::9'] })
  t.equal(told.get('fd00:1::/64')?.vteps, undefined)
})
