/** Views of neighbours, over changes between two of them. */
import t from 'tap'
import { PeerManager } from '../../src/bgp/peer-manager.js'
import type { PeerEvents } from '../../src/bgp/session-types.js'
import type { ViewContext } from '../../src/daemon/view-context.js'
import { PeerViews } from '../../src/daemon/view-peers.js'
import { neighbor } from '../support/speaker.js'
import { VirtualClock } from '../support/virtual.js'

t.test('each is made when it is taken, and peers may go meanwhile', async (t) => {
  const manager = new PeerManager({
    asn: 64512,
    routerId: 1,
    clock: new VirtualClock(),
    events: { stateChange: () => {} } as unknown as PeerEvents<never>,
    log: () => {},
  })
  const names = ['a', 'b', 'c']
  manager.configure(names.map((name, at) => neighbor({ name, address: `10.0.0.${at}`, passive: true })))
  let made = 0
  let counted = 0
  const views = new PeerViews({
    config: () => ({ reflector: null }),
    manager,
    reflector: {
      groups: () => {
        counted++
        return []
      },
    },
    routes: { live: new Map(), entry: () => undefined, stale: { view: () => [] } },
    bfd: { stateOf: () => null },
    sockets: {
      hints: () => {
        made++
        return []
      },
    },
  } as unknown as ViewContext)
  t.match([[...views.neighbors('a')], [...views.neighbors('b')]], [[{ name: 'a' }], [{ name: 'b' }]])
  t.equal(counted, 1, 'what is sent to each group is counted once for all of one turn')
  await new Promise((resolve) => setImmediate(resolve))
  made = 0
  const rows = views.neighbors()
  t.match(rows.next().value, { name: 'a', state: 'Active' })
  t.same([made, counted], [1, 2])
  manager.configure([])
  t.match([...rows], [{ name: 'b', state: 'Idle' }, { name: 'c' }])
  t.same([...views.neighbors()], [])
})
