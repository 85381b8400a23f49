/** Views of routes between a change and its decision, and over changes between two rows. */
import t from 'tap'
import type { ViewContext } from '../../src/daemon/view-context.js'
import { explain } from '../../src/daemon/view-explain.js'
import { PathViews } from '../../src/daemon/view-paths.js'
import { attributesWith, RibWorld } from '../rib/given.js'
import { announceBytes, withdrawBytes } from '../support/update-bytes.js'

const P1 = '10.1.0.0/16'

/** The tables are real; sessions and FIB are none. */
function given() {
  const world = new RibWorld()
  const context = {
    config: () => ({ fib: { maxPaths: 4 } }),
    rib: world.rib,
    reflector: { groups: () => [] },
    routes: { live: new Map(), peerOf: () => undefined },
    own: { get: () => undefined },
    fib: { driver: 'off', entry: () => undefined },
    feed: { accepts: () => false },
    nowSeconds: () => 0,
  } as unknown as ViewContext
  return { world, context, views: new PathViews(context) }
}

t.test('the winner was withdrawn and is not decided yet: no row is the winner, and nothing breaks', async (t) => {
  const { world, context, views } = given()
  const [first, second] = [world.source(), world.source()]
  world.receive(first, announceBytes([P1], attributesWith({ localPref: 200 })))
  world.receive(second, announceBytes([P1], attributesWith()))
  world.turn()
  t.match(
    [...views.rib({})],
    [
      { from: 'p1', best: true },
      { from: 'p2', best: false, reason: /LOCAL_PREF/ },
    ],
  )
  world.receive(first, withdrawBytes([P1]))
  t.match([...views.rib({})], [{ from: 'p2', best: false, multipath: false, valid: true }])
  t.match(explain(P1, context, views), { known: true, decision: 'no path is usable' })
  t.equal(views.longestMatch(0, Uint8Array.from([10, 1, 2, 3]), 32), 0)
  world.turn()
  t.match([...views.rib({ best: true })], [{ from: 'p2', best: true }])
})

t.test('the winner was replaced by what cannot be used and is not decided yet', async (t) => {
  const { world, context, views } = given()
  const [first, second] = [world.source(), world.source()]
  world.receive(first, announceBytes([P1], attributesWith({ localPref: 200 })))
  world.receive(second, announceBytes([P1], attributesWith()))
  world.turn()
  world.receive(
    first,
    announceBytes([P1], attributesWith({ localPref: 200, clusterList: Uint8Array.from([10, 0, 0, 0xcc]) })),
  )
  t.match([...views.rib({ from: 'local' })], [])
  t.equal([...views.rib({})].filter((row) => row?.best).length, 0)
  t.match(explain(P1, context, views), { decision: 'no path is usable', policy: [{}, {}] })
})

t.test('paths may go while the rows of their prefix are read', async (t) => {
  const { world, views } = given()
  const sources = [world.source(), world.source(), world.source()]
  for (const source of sources) world.receive(source, announceBytes([P1, '10.2.0.0/16'], attributesWith()))
  world.turn()
  const rows = views.rib({})
  t.match(rows.next().value, { from: 'p1' })
  for (const source of sources) world.rib.closeSource(source)
  world.turn()
  t.match(
    [...rows].map((row) => row?.prefix),
    [P1, P1],
    'what was begun is finished, the rest is gone',
  )
})
