/** The picture of foreign routes: the same as a plain list of them, and no work on hundreds of thousands of them in one turn of the event loop. */
import { deepStrictEqual as deepEqual, strictEqual as equal } from 'node:assert'
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import t from 'tap'
import { ActualTable } from '../../src/fib/actual.js'
import { FibEngine } from '../../src/fib/engine.js'
import { Iproute2Driver } from '../../src/fib/iproute2.js'
import { MemoryDriver, MemoryTable } from '../../src/fib/memory.js'
import { NetlinkDriver } from '../../src/fib/netlink.js'
import { findNetlink } from '../../src/fib/netlink-socket.js'
import { resolveAnywhere } from '../../src/fib/resolve.js'
import { routePrefix } from '../../src/fib/route-prefix.js'
import type { KernelRoute } from '../../src/fib/types.js'
import { parseAddress } from '../../src/net/address.js'
import { addressInPrefix, parsePrefix } from '../../src/net/prefix.js'
import { needsNetns } from '../support/netns.js'
import { Turns } from '../support/turns.js'
import { BASE, kernelBench, PROTOCOL, unicast } from './support.js'

const TABLE = 100
const [V0, V1] = ['v0', 'v1'].map((device) => ({ gateway: null, device, onlink: false }))

// --- the same as a plain list

const PREFIXES = ['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.3/32', '192.168.0.0/16']
const PREFIXES6 = ['::/0', 'fd00::/8', 'fd00:1::/32', 'fd00:1::1/128', 'fe80::/64']
const ADDRESSES = [
  '10.1.2.3',
  '10.1.9.9',
  '192.168.1.1',
  '200.0.0.1',
  'fd00:1::1',
  'fd00:2::1',
  'fe80::1',
  '2001:db8::1',
]

const route = fc
  .record({
    prefix: fc.constantFrom(...PREFIXES, ...PREFIXES6),
    kind: fc.constantFrom('unicast' as const, 'blackhole' as const, 'local' as const, 'broadcast' as const),
    protocol: fc.constantFrom(2, 4),
    metric: fc.constantFrom(0, 10, 20),
    table: fc.constantFrom(254, TABLE),
    hops: fc.constantFrom([V0!], [V1!], [V0!, V1!]),
  })
  .map((fields): KernelRoute => ({ ...fields, family: fields.prefix.includes(':') ? 1 : 0 }))
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('add' as const), route }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('remove' as const), route }) },
  fc.record({ type: fc.constant('replaced' as const), route }),
  fc.record({ type: fc.constant('dump' as const), routes: fc.array(route, { maxLength: 6 }) }),
)

const textOf = ({ prefix, kind, protocol, metric, table, hops }: KernelRoute): string =>
  `${table} ${prefix} ${kind} ${protocol} ${metric} ${hops.map(({ device }) => device).join()}`
const sorted = (routes: readonly KernelRoute[]): string[] => routes.map(textOf).sort()
const rank = ({ kind, metric }: KernelRoute): number => (kind === 'local' ? -1 : metric)
const byRank = (a: KernelRoute, b: KernelRoute): number => rank(a) - rank(b)

/** Longest match by looking at all. */
function match(routes: readonly KernelRoute[], address: string): string | undefined {
  const octets = parseAddress(address)
  const matching = routes.filter(
    ({ kind, prefix }) => kind !== 'broadcast' && addressInPrefix(octets, parsePrefix(prefix)),
  )
  const longest = Math.max(...matching.map(({ prefix }) => parsePrefix(prefix).length))
  const best = matching.filter(({ prefix }) => parsePrefix(prefix).length === longest).sort(byRank)[0]
  return best === undefined ? undefined : `${rank(best)} ${best.prefix}`
}

t.test('property: the same as a plain list of routes, by prefix and by longest match', async (t) => {
  const property = fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const table = new ActualTable(TABLE)
      let list: KernelRoute[] = []
      const isKnown = (one: KernelRoute): boolean => list.some((other) => textOf(other) === textOf(one))
      for (const step of steps) {
        switch (step.type) {
          case 'add':
            equal(table.add(step.route), !isKnown(step.route))
            if (!isKnown(step.route)) list.push(step.route)
            break
          case 'remove':
            equal(table.remove(step.route), isKnown(step.route))
            list = list.filter((other) => textOf(other) !== textOf(step.route))
            break
          case 'replaced': {
            const { prefix, metric, table: its } = step.route
            // The kernel's order within one metric is not known to us: the local ones, then as they came.
            const same = list.filter((one) => one.prefix === prefix && one.metric === metric && one.table === its)
            const first = same.sort(byRank)[0]
            equal(table.removeReplaced(step.route), first !== undefined)
            list = list.filter((other) => other !== first)
            break
          }
          default: {
            table.beginDump()
            for (const one of step.routes) table.add(one)
            const before = list.length
            const kept = list.filter((one) => step.routes.some((other) => textOf(other) === textOf(one)))
            equal(await table.endDump(async () => {}), before - kept.length)
            list = kept
            for (const one of step.routes) if (!isKnown(one)) list.push(one)
          }
        }
        deepEqual(sorted(table.foreignRoutes()), sorted(list))
      }
      for (const address of ADDRESSES) {
        const found = table.lookup(address.includes(':') ? 1 : 0, parseAddress(address))
        const text = found === undefined ? undefined : `${rank(found.route)} ${found.route.prefix}`
        equal(text, match(list, address))
        if (found !== undefined) equal(found.length, parsePrefix(found.route.prefix).length)
      }
      const ofTable = list.filter((one) => one.table === TABLE)
      for (const prefix of [...PREFIXES, ...PREFIXES6]) {
        const its = ofTable.filter((one) => one.prefix === prefix)
        for (const metric of [0, 10, 20]) {
          equal(
            table.foreign(routePrefix(prefix), metric) !== undefined,
            its.some((one) => one.metric === metric),
          )
          equal(
            table.foreignBefore(routePrefix(prefix), metric) !== undefined,
            its.some((one) => one.metric < metric),
          )
        }
      }
      const linkLocal = (device: string): boolean =>
        list.some(
          ({ prefix, kind, hops }) =>
            prefix === 'fe80::/64' && kind === 'unicast' && hops.some((hop) => hop.device === device),
        )
      for (const device of ['v0', 'v1']) equal(table.hasLinkLocal(device), linkLocal(device))
    }),
    { numRuns: 200 },
  )
  await t.resolves(property)
})

t.test('of routes with one prefix and metric the one counts that the kernel has first', async (t) => {
  const table = new ActualTable(TABLE)
  const via = (device: string): KernelRoute => ({
    family: 0,
    prefix: '10.0.0.0/8',
    kind: 'unicast',
    protocol: 4,
    metric: 0,
    table: TABLE,
    hops: [{ gateway: null, device, onlink: false }],
  })
  const first = (): string | null | undefined => table.lookup(0, parseAddress('10.1.2.3'))?.route.hops[0]?.device
  table.put(via('a'), false)
  table.put(via('b'), false)
  t.equal(first(), 'b', 'ip route prepend')
  table.put(via('c'), true)
  t.equal(first(), 'b', 'ip route append')
  table.beginDump()
  for (const device of ['c', 'a', 'd', 'b']) table.add(via(device))
  await table.endDump(async () => {})
  t.equal(first(), 'c', 'as a dump has them')
  t.same(
    table.foreignRoutes().map(({ hops }) => hops[0]?.device),
    ['c', 'a', 'd', 'b'],
  )
})

// --- never in one turn

/** So many come, as from a routing daemon beside us with a few full tables. */
const MANY = 300_000
const OURS = 20_000
/** What is done in one turn, of routes; 300,000 in one took seconds. */
const MOST = 8000

const blockOf = (n: number, first = 11): string =>
  `${first + (n >> 18)}.${(n >> 10) & 255}.${(n >> 2) & 255}.${(n & 3) * 64}/26`
const foreign = (n: number, gateway = '192.168.0.9'): KernelRoute => ({
  family: 0,
  prefix: blockOf(n),
  kind: 'unicast',
  protocol: 4,
  metric: 0,
  table: 254,
  hops: [{ gateway, device: 'v0', onlink: false }],
})

t.test('300,000 foreign routes are compared in slices, also where all of them are gone', async (t) => {
  const table = new ActualTable(TABLE)
  for (let n = 0; n < MANY; n++) table.add(foreign(n))
  for (const gone of [0, MANY]) {
    table.beginDump()
    if (gone === 0) for (let n = 0; n < MANY; n++) table.add(foreign(n))
    let turns = 0
    t.equal(
      await table.endDump(async () => {
        turns++
      }),
      gone,
    )
    t.ok(turns >= MANY / MOST, `${turns} turns`)
  }
  t.same(table.foreignRoutes(), [])
})

t.test('the comparison with 300,000 foreign routes and 20,000 of ours takes turns', async (t) => {
  const driver = new MemoryDriver(new MemoryTable(), 254, 179)
  let trigger: Parameters<MemoryDriver['open']>[0] = () => {}
  let dumps = 0
  let others: readonly KernelRoute[] = []
  const open = driver.open.bind(driver)
  const dump = driver.dump.bind(driver)
  Object.assign(driver, {
    open: (on: typeof trigger) => {
      trigger = on
      return open(on)
    },
    dump: async (take: (route: KernelRoute) => void) => {
      dumps++
      for (const one of others) take(one)
      await dump(take)
    },
  })
  const options = { name: 'memory', why: '', driver, table: 254, protocol: 179, tunnel: null } as const
  const engine = new FibEngine({ ...options, rules: BASE, resolve: resolveAnywhere, log: () => {} })
  await engine.start()
  t.teardown(() => engine.stop('keep'))
  for (let n = 0; n < OURS; n++) engine.set(blockOf(n, 100), unicast('', '192.168.0.2'))
  await engine.settled()
  // No others, then many, then all of them changed.
  for (const gateway of ['', '192.168.0.9', '192.168.0.8']) {
    others = gateway === '' ? [] : Array.from({ length: MANY }, (_, n) => foreign(n, gateway))
    const turns = new Turns()
    trigger('event')
    const before = dumps
    while (dumps === before) await new Promise((resolve) => setTimeout(resolve, 5))
    const start = turns.count
    // Written when the comparison is done.
    engine.set(blockOf(OURS, 100), dumps % 2 === 0 ? null : unicast('', '192.168.0.2'))
    await engine.settled()
    t.ok(turns.count - start >= (others.length + OURS) / MOST, `${turns.count - start} turns`)
    turns.stop()
    t.equal(engine.foreignRoutes().length, others.length)
  }
  t.ok(engine.entries().filter(({ state }) => state === 'installed').length >= OURS)
})

t.test('a driver gives the routes of the kernel in slices', needsNetns(), async (t) => {
  const count = 40_000
  const bench = kernelBench(t, 'netlink')
  const lines = Array.from({ length: count }, (_, n) => `route add ${blockOf(n)} via 192.168.0.2 proto 4\n`)
  execFileSync('ip', ['-n', bench.netns!.name, '-batch', '-'], { input: lines.join('') })
  const common = { table: 254, protocol: PROTOCOL, netns: bench.netns!.name, compareMs: 60_000, log: () => {} }
  for (const driver of [new NetlinkDriver({ ...common, source: findNetlink().source! }), new Iproute2Driver(common)]) {
    await driver.open(() => {})
    t.teardown(() => driver.close())
    const turns = new Turns()
    let taken = 0
    await driver.dump(() => {
      taken++
      turns.work()
    })
    turns.stop()
    t.ok(taken >= count)
    t.ok(turns.mostWork <= MOST, `${turns.mostWork} in a turn`)
  }
})
