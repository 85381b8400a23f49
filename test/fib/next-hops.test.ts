/**
 * Next hops: through learned routes with a loop guard, up to 64 paths, with a source address, with a metric made from LOCAL_PREF. First the rules by
 * themselves, then what a kernel makes of them.
 */
import t from 'tap'
import { LearnedRoutes } from '../../src/fib/recursion.js'
import { type HopRules, planRoute, type Resolution } from '../../src/fib/resolve.js'
import { routePrefix } from '../../src/fib/route-prefix.js'
import { needsNetns } from '../support/netns.js'
import { BASE, blackhole, kernelBench, setAll, unicast, until, type Wanted } from './support.js'

const RULES: HopRules = { ...BASE, maxPaths: 16 }
const A = '10.244.1.0/26'

/** What others' routes say: 192.168.0.0/24 is on-link, a default route leads to 192.168.0.254. */
function onLink(nextHop: string): Resolution {
  const isNear = nextHop.startsWith('192.168.0.')
  const gateway = isNear ? nextHop : '192.168.0.254'
  const hops = [{ gateway, device: 'eth0', onlink: false }]
  return { metric: 0, hops, connected: isNear, reason: '', length: isNear ? 24 : 0 }
}

function nowhere(nextHop: string): Resolution {
  const near = onLink(nextHop)
  return near.connected
    ? near
    : { metric: -1, hops: [], connected: false, reason: `no route to ${nextHop}`, length: -1 }
}

function learned(...routes: readonly Wanted[]): LearnedRoutes {
  const byPrefix = new Map(routes.map((route) => [route.prefix, route]))
  const table = new LearnedRoutes((prefix) => byPrefix.get(prefix))
  for (const { prefix } of routes) table.change(routePrefix(prefix), 1)
  return table
}

function gateways(table: LearnedRoutes, nextHop: string, foreign = nowhere): string {
  const { hops, reason } = table.resolve(nextHop, RULES, foreign)
  return hops.length === 0 ? reason : hops.map((hop) => hop.gateway).join(' ')
}

t.test('recursive next hops: the longest learned match, through any number of routes', async (t) => {
  const table = learned(
    unicast('172.16.0.0/12', '192.168.0.2'),
    unicast('172.31.5.0/24', '192.168.0.3', '192.168.0.4'),
    unicast('203.0.113.0/24', '172.31.5.9'),
    unicast('2001:db8:1::/48', 'fd00::5'),
    blackhole('10.244.9.0/26'),
  )
  t.equal(gateways(table, '172.31.5.9'), '192.168.0.3 192.168.0.4', 'all hops of the longer match')
  t.equal(gateways(table, '172.31.6.9'), '192.168.0.2', 'the shorter one elsewhere')
  t.equal(gateways(table, '203.0.113.7'), '192.168.0.3 192.168.0.4', 'through two')
  t.match(gateways(table, '10.244.9.1'), /our blackhole 10\.244\.9\.0\/26/)
  t.equal(gateways(table, '192.168.0.9'), '192.168.0.9', 'on-link stays on-link')
  t.match(gateways(table, '2001:db8:1::1'), /leads back to itself or is not resolved/)
  t.match(gateways(table, '198.51.100.1'), /no route/)
})

t.test('loop guard: never through itself, never in a circle, whoever is asked first', async (t) => {
  const self = learned(unicast('172.31.5.0/24', '172.31.5.1'))
  t.match(gateways(self, '172.31.5.1'), /lies in 172\.31\.5\.0\/24, which leads back to itself/)
  t.equal(gateways(self, '172.31.5.1', onLink), '192.168.0.254', 'a shorter match of others still counts')
  const circle = [unicast('172.31.5.0/24', '172.31.6.1'), unicast('172.31.6.0/24', '172.31.5.1')]
  for (const order of [circle, [...circle].reverse()]) {
    const table = learned(...order)
    for (const nextHop of ['172.31.6.1', '172.31.5.1']) {
      t.match(gateways(table, nextHop), /leads back/)
      t.equal(gateways(table, nextHop, onLink), '192.168.0.254')
    }
  }
  const long = Array.from({ length: 12 }, (_, i) =>
    unicast(`172.30.${i}.0/24`, i === 11 ? '192.168.0.2' : `172.30.${i + 1}.1`),
  )
  t.match(gateways(learned(...long), '172.30.0.1'), /leads back to itself or is not resolved/, 'deeper than 8')
  t.equal(gateways(learned(...long), '172.30.8.1'), '192.168.0.2')
  // Everybody through everybody else: many ways, and an end.
  const hops = Array.from({ length: 60 }, (_, i) => `172.29.${i}.1`)
  const dense = hops.map((_, i) => unicast(`172.29.${i}.0/24`, ...hops.filter((__, k) => k !== i)))
  t.match(gateways(learned(...dense), '172.29.0.1'), /leads back/)
})

t.test('a route tells whether it may be on the way to a next hop that was asked for', async (t) => {
  const table = learned()
  t.equal(table.change(routePrefix('172.31.5.0/24'), 1), false, 'nobody asked')
  table.resolve('172.31.5.9', RULES, nowhere)
  table.resolve('2001:db8:1::9', RULES, nowhere)
  for (const [prefix, may] of [
    ['172.31.5.0/26', true],
    ['172.31.0.0/16', true],
    ['0.0.0.0/0', true],
    ['172.31.6.0/26', false],
    ['10.244.1.0/26', false],
    ['2001:db8:1::/64', true],
    ['2001:db8:2::/64', false],
    ['fd00::/64', false],
    ['::/0', true],
  ] as const)
    t.equal(table.change(routePrefix(prefix), 0), may, prefix)
})

t.test('metric from LOCAL_PREF, source address: on unicast routes', async (t) => {
  const rules: HopRules = { ...RULES, metricFromLocalPref: true, sources: ['10.244.3.1', null] }
  const plan = (localPref: number) => planRoute(A, { ...unicast(A, '192.168.0.2'), localPref }, rules, onLink)
  t.match(plan(100), { metric: 2147483547, source: '10.244.3.1' })
  t.match(plan(2147482623), { metric: 1024 })
  t.match(plan(0xffffffff), { metric: 1 })
  t.same(planRoute(A, blackhole(A), rules, onLink), { family: 0, kind: 'blackhole', hops: [], metric: 0 })
})

for (const driver of ['iproute2', 'netlink'] as const) {
  t.test(`${driver}: recursive, with a source, by LOCAL_PREF, 64 paths`, needsNetns(), async (t) => {
    const bench = kernelBench(t, driver)
    const netns = bench.netns!
    const { fib } = await bench.open({ maxPaths: 64, metricFromLocalPref: true, sources: ['192.168.1.1', null] })
    let told = 0
    fib.onForeignRoutesChanged(() => told++)

    await setAll(fib, { ...unicast(A, '172.31.5.5'), localPref: 100 })
    t.match(fib.entry(A), { state: 'unresolved' })
    t.equal(fib.resolve('172.31.5.5'), -1)
    const before = told
    await setAll(fib, { ...unicast('172.31.5.0/24', '192.168.0.7'), localPref: 100 })
    t.ok(told > before, 'who asked for next hops is told')
    t.equal(fib.resolve('172.31.5.5'), 0)
    t.match(netns.ip(`route show ${A}`), /via 192\.168\.0\.7 dev v0 proto 179 src 192\.168\.1\.1 metric 2147483547/)
    await setAll(fib, { ...unicast('172.31.5.0/24', '192.168.0.8', '192.168.0.9'), localPref: 100 })
    t.match(
      netns.ip(`route show ${A}`),
      /via 192\.168\.0\.8[\s\S]*via 192\.168\.0\.9/,
      'follows the route that it goes through',
    )

    await setAll(fib, { ...unicast(A, '192.168.0.2'), localPref: 200 })
    t.match(netns.ip(`route show ${A}`), /^10\.244\.1\.0\/26 via 192\.168\.0\.2 dev v0 [^\n]*metric 2147483447\s*$/)

    const many = Array.from({ length: 70 }, (_, i) => `192.168.0.${i + 10}`)
    await setAll(fib, { ...unicast(A, ...many), localPref: 200 })
    t.equal(netns.ip(`route show ${A}`).match(/nexthop via/g)?.length, 64)
    t.equal(fib.entry(A)?.state, 'installed')

    fib.set('172.31.5.0/24', null)
    await setAll(fib, { ...unicast(A, '172.31.5.5'), localPref: 200 })
    t.match(fib.entry(A), { state: 'unresolved', reason: /no route to next hop 172\.31\.5\.5/ })
    t.same(bench.ours(), [])

    fib.reconfigure({ ...BASE, sources: ['192.168.77.1', null] })
    await setAll(fib, unicast(A, '192.168.0.2'))
    t.match(fib.entry(A), { state: 'unresolved', reason: /192\.168\.77\.1 is not an address of this node/ })
    netns.ip('addr add 192.168.77.1/32 dev lo')
    await until('the address counts', () => fib.entry(A)?.state === 'installed')
    t.match(netns.ip(`route show ${A}`), /via 192\.168\.0\.2 dev v0 proto 179 src 192\.168\.77\.1\s*$/)
  })
}
