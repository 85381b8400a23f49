/**
 * What a route, an attribute set and a peer cost in RIB and update groups, as upper bounds (bench/README.md has the account). It counts and does not time.
 * The account is made in a process of its own, whose heap nobody else uses.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { type Account, COUNTED_PEERS, ROUTES, SETS, type Snapshot } from './account.js'

const program = fileURLToPath(new URL('./account.js', import.meta.url))
const accounts: Account[] = []
// Compiled code is in the heap, too, and when it comes varies: for objects the least of three accounts counts.
for (let n = 0; n < 3; n++) {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program, 'account'])
  accounts.push(JSON.parse(stdout) as Account)
}
const { crowd, empty, withPeers, withSets, withRoutes, loaded } = accounts[0]!

function least(octets: (account: Account) => number): number {
  return Math.min(...accounts.map(octets))
}

/** Octets. bench/README.md says what was counted; these leave room for another version of Node.js, not for another field. */
const BOUNDS = Object.freeze({
  heapOfRoute: 4,
  arraysOfRoute: 200,
  groupOfRoute: 24,
  heapOfSet: 520,
  arraysOfSet: 130,
  heapOfPeer: 2300,
  arraysOfPeer: 200,
  /** Bit sets of the members, slices and packers of the group: of a fixed size. */
  uncounted: 256 << 10,
})
const MORE_ROUTES = ROUTES - SETS

t.test('the load is what the account says', async (t) => {
  t.same(loaded, { routes: ROUTES, sets: SETS, groups: 1, logOctets: 0 })
})

t.test('a route has no object: it costs octets in arrays', async (t) => {
  const heap = least(({ withRoutes, withSets }) => (withRoutes.heap - withSets.heap) / MORE_ROUTES)
  t.comment(`${heap.toFixed(1)} octets of heap a route`)
  t.ok(heap <= BOUNDS.heapOfRoute, `${heap} octets of heap a route`)
  const { paths, prefixes, dirty } = withRoutes.counted
  const columns = (paths + prefixes + dirty) / ROUTES
  t.comment(`${columns.toFixed(1)} octets of arrays a route, allocated`)
  t.ok(columns <= BOUNDS.arraysOfRoute, `${columns} octets of arrays a route`)
  const group = (withRoutes.counted.groups - withSets.counted.groups) / MORE_ROUTES
  t.comment(`${group.toFixed(1)} octets of an update group's arrays a route, allocated`)
  t.ok(group <= BOUNDS.groupOfRoute, `${group} octets in the update group a route`)
})

t.test('an attribute set', async (t) => {
  const heap = least(({ withRoutes, withSets, withPeers }) => {
    const routes = ((withRoutes.heap - withSets.heap) * SETS) / MORE_ROUTES
    return (withSets.heap - withPeers.heap - Math.max(0, routes)) / SETS
  })
  t.comment(`${heap.toFixed(1)} octets of heap an attribute set, that of the update group included`)
  t.ok(heap <= BOUNDS.heapOfSet, `${heap} octets of heap a set`)
  const arrays = (withSets.counted.attributes - withPeers.counted.attributes) / SETS
  t.comment(`${arrays.toFixed(1)} octets of arrays an attribute set`)
  t.ok(arrays <= BOUNDS.arraysOfSet, `${arrays} octets of arrays a set`)
})

t.test('a peer', async (t) => {
  const { before, after } = crowd
  const heap = least(({ crowd }) => (crowd.after.heap - crowd.before.heap) / COUNTED_PEERS)
  const arrays = (after.arrays - before.arrays) / COUNTED_PEERS
  t.comment(`${heap.toFixed(0)} octets of heap and ${arrays.toFixed(0)} of arrays a peer, its session aside`)
  t.ok(heap <= BOUNDS.heapOfPeer, `${heap} octets of heap a peer`)
  t.ok(arrays <= BOUNDS.arraysOfPeer, `${arrays} octets of arrays a peer`)
})

t.test('no array grows unseen: what the tables count is what the process holds', async (t) => {
  const held = withRoutes.arrays - empty.arrays
  const counted = total(withRoutes) - total(empty)
  t.comment(`${held} octets of arrays, ${counted} counted; ${JSON.stringify(withRoutes.counted)}`)
  t.ok(Math.abs(held - counted) <= BOUNDS.uncounted, `${held} octets of arrays are held, ${counted} counted`)
})

function total({ counted }: Snapshot): number {
  return Object.values({ ...counted }).reduce((a, b) => a + b, 0)
}
