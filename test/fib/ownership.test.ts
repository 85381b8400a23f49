/**
 * Who owns which route: what Felix writes is left to it, what others wrote is never touched, and the routes of a daemon that we follow (BIRD) become ours without a
 * moment in which they are missing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { leftToFelix } from '../../src/fib/ownership.js'
import { planRoutes } from '../../src/fib/plan.js'
import type { HopRules } from '../../src/fib/resolve.js'
import { routePrefix } from '../../src/fib/route-prefix.js'
import type { KernelRoute, PlannedRoute } from '../../src/fib/types.js'
import { parsePrefix } from '../../src/net/prefix.js'
import { Process } from '../support/daemons/process.js'
import { makeNetns, makeVeth, needsNetns } from '../support/netns.js'
import { Pings } from '../support/pings.js'
import { requireOrSkip } from '../support/require.js'
import {
  BASE,
  type Bench,
  blackhole,
  kernelBench,
  memoryBench,
  openFib,
  setAll,
  unicast,
  until,
  type Wanted,
} from './support.js'

const A = '10.244.1.0/26'
const B = '10.244.2.0/26'
const C = '10.244.3.0/26'
const FIRST = '192.168.0.2'

t.test('programClusterRoutes: which classes of routes are ours', async (t) => {
  const ranges = [
    { within: parsePrefix('10.244.0.0/16'), mode: 'ipip-cross-subnet' },
    { within: parsePrefix('10.245.0.0/16'), mode: 'never' },
    { within: parsePrefix('10.246.0.0/16'), mode: 'vxlan' },
  ] as const
  const routes: readonly Wanted[] = ['10.244.1.0/26', '10.245.1.0/26', '10.246.1.0/26', '0.0.0.0/0'].map((prefix) =>
    unicast(prefix, FIRST),
  )
  const ours = (over: Partial<HopRules>, list = routes) => {
    const rules: HopRules = { ...BASE, ...over }
    return list
      .filter((route) => leftToFelix(routePrefix(route.prefix), route, rules) === '')
      .map(({ prefix }) => prefix)
  }
  const by = (programClusterRoutes: HopRules['programClusterRoutes']) =>
    ours({ programClusterRoutes, encapsulation: ranges })
  t.same(by('Disabled'), ['0.0.0.0/0'], 'what lies in no range is no route of the cluster')
  t.same(by('EnabledIPIPOnly'), ['10.244.1.0/26', '0.0.0.0/0'])
  t.same(by('EnabledNoEncapOnly'), ['10.245.1.0/26', '0.0.0.0/0'])
  t.same(by('Enabled'), ['10.244.1.0/26', '10.245.1.0/26', '10.246.1.0/26', '0.0.0.0/0'])
  const two = [unicast(A, FIRST), unicast('fd00:10::/64', 'fd00::2'), blackhole(B)]
  t.same(ours({ programClusterRoutes: 'EnabledIPIPOnly', encapsulation: 'ipip' }, two), [A, B], 'IPv6 has no IPIP')
  t.same(
    ours({ programClusterRoutes: 'Disabled', encapsulation: 'never' }, two),
    [B],
    'blackholes of own blocks are ours',
  )
})

t.test('the plan with routes that were taken over', async (t) => {
  const planned: PlannedRoute = {
    family: 0,
    kind: 'unicast',
    metric: 0,
    hops: [{ gateway: FIRST, device: 'v0', onlink: false }],
  }
  const bird: KernelRoute = { ...planned, prefix: A, protocol: 12, table: 254, takenOver: true }
  const plan = (ours: readonly (KernelRoute | PlannedRoute)[], wanted: PlannedRoute | null) =>
    planRoutes(routePrefix(A), ours, wanted, { foreign: () => undefined }).operations.map(
      ({ type, route, protocol }) => `${type} ${route.metric} ${protocol ?? 'ours'}`,
    )
  t.same(plan([bird], planned), ['replace 0 ours'], 'also where it is equal')
  t.same(plan([bird], null), ['delete 0 12'])
  t.same(plan([{ ...bird, metric: 32 }], planned), ['add 0 ours'], 'another metric: ours first')
  t.same(plan([{ ...bird, metric: 32 }, planned], planned), ['delete 32 12'], 'then theirs goes')
  t.same(plan([{ ...bird, kind: 'unreachable', hops: [] }], null), ['delete 0 12'])
})

const BENCHES: readonly (readonly [Bench['name'], (t: Parameters<typeof memoryBench>[0]) => Bench])[] = [
  ['memory', memoryBench],
  ['iproute2', (t) => kernelBench(t, 'iproute2')],
  ['netlink', (t) => kernelBench(t, 'netlink')],
]

for (const [name, make] of BENCHES) {
  const options = name === 'memory' ? {} : needsNetns()
  t.test(`${name}: left to Felix, and back`, options, async (t) => {
    const bench = make(t)
    const { fib } = await bench.open({ programClusterRoutes: 'EnabledIPIPOnly' })
    await setAll(fib, unicast(A, FIRST), blackhole(B))
    t.match(fib.entry(A), { state: 'left', reason: /left to Felix .*EnabledIPIPOnly.*without encapsulation/ })
    t.same(bench.ours(), [`${B} blackhole`])
    bench.putForeign(A, FIRST)
    fib.reconfigure({ ...BASE, programClusterRoutes: 'Enabled' })
    await until('the route of somebody else is in the way', () => fib.entry(A)?.state === 'conflict')
    bench.takeForeign(A)
    await until('it goes, ours comes', () => fib.entry(A)?.state === 'installed')
    t.same(bench.ours(), [`${A} via ${FIRST}`, `${B} blackhole`])
    fib.reconfigure({ ...BASE, programClusterRoutes: 'Disabled' })
    await fib.settled()
    t.match(fib.entry(A)?.state, 'left')
    t.same(bench.ours(), [`${B} blackhole`])
  })

  t.test(`${name}: one that equals ours is never touched`, options, async (t) => {
    const bench = make(t)
    const { fib } = await bench.open()
    bench.putForeign(A, FIRST)
    await until('it is seen', () => fib.foreignRoutes().some(({ prefix }) => prefix === A))
    const before = bench.foreign(A)
    await setAll(fib, unicast(A, FIRST))
    t.match(fib.entry(A), { state: 'conflict', reason: /static \(4\)/ })
    fib.set(A, null)
    await fib.settled()
    await fib.flush()
    t.same(bench.foreign(A), before, 'after a withdrawal and a flush it is as it was')
    fib.restore()
    await setAll(fib, unicast(A, FIRST))
    t.equal(fib.entry(A)?.state, 'conflict')
    bench.takeForeign(A)
    await until('ours comes when it goes', () => fib.entry(A)?.state === 'installed')
    t.same(bench.ours(), [`${A} via ${FIRST}`])
  })
}

for (const driver of ['iproute2', 'netlink'] as const) {
  t.test(`${driver}: takeOver at the start, once`, needsNetns(), async (t) => {
    const bench = kernelBench(t, driver)
    const netns = bench.netns!
    for (const route of [
      `${A} via ${FIRST}`,
      `${B} via ${FIRST} metric 32`,
      `${C} via ${FIRST}`,
      'blackhole 10.244.9.0/26',
      '172.31.5.0/24 via 192.168.0.9',
      '10.244.8.0/26 via 192.168.0.9',
    ])
      netns.ip(`route add ${route} proto 12`)
    netns.ip('-6 route add fd00:10::/64 proto 12 metric 1024 nexthop via fd00::2 nexthop via fd00::3')
    netns.ip(`route add 10.99.0.0/16 via ${FIRST} proto 12 table 100`)
    const shown = () =>
      netns
        .ip('route show proto 12')
        .trim()
        .split(/\s*\n/)
        .map((line) => line.split(' via')[0])
    const { fib, facts } = await bench.open({ takeOver: [12] })
    t.match(facts.find(({ event }) => event === 'fib-start')?.fields, { adopted: 7 })
    t.match(fib.entry(C), { state: 'adopted', hops: [{ gateway: FIRST, device: 'v0' }] })

    await setAll(fib, unicast(A, FIRST), unicast(B, FIRST), unicast('fd00:10::/64', 'fd00::2', 'fd00::3'))
    await until('of two metrics one stays', () => netns.ip(`route show ${B}`).trim().split('\n').length === 1)
    t.same(bench.ours(), [`${A} via ${FIRST}`, `${B} via ${FIRST}`, 'fd00:10::/64 via fd00::2 via fd00::3'])
    t.equal(netns.ip('-6 route show fd00:10::/64 proto 12'), '')
    await setAll(fib, unicast('10.244.8.0/26', '172.31.5.1'))
    t.match(fib.entry('10.244.8.0/26'), {
      state: 'unresolved',
      reason: /no route to next hop 172\.31\.5\.1; .*until the sweep/,
    })
    t.same(shown(), [C, '10.244.8.0/26', 'blackhole 10.244.9.0/26', '172.31.5.0/24'], 'the rest is kept')

    // A new one is somebody else's again, and an old one that goes by itself is no more.
    netns.ip(`route add 10.244.7.0/26 via ${FIRST} proto 12`)
    netns.ip('route del blackhole 10.244.9.0/26 proto 12')
    await until('both are seen', () => {
      const isNew = fib.foreignRoutes().some(({ prefix }) => prefix === '10.244.7.0/26')
      return isNew && fib.entry('10.244.9.0/26') === undefined
    })
    await setAll(fib, unicast('10.244.7.0/26', FIRST))
    t.equal(fib.entry('10.244.7.0/26')?.state, 'conflict')
    await setAll(fib, unicast('172.31.5.0/24', '192.168.0.9'))
    await until('its next hop is there', () => fib.entry('10.244.8.0/26')?.state === 'installed')

    fib.sweepAdopted()
    await fib.settled()
    t.same(shown(), ['10.244.7.0/26'], 'what nobody confirmed is swept')
    t.match(netns.ip('route show table 100'), /10\.99\.0\.0\/16/, 'another table is not looked at')
    t.equal(bench.ours().length, 5)
  })

  t.test(`${driver}: from BIRD to us, nothing lost`, needsNetns(), async (t) => {
    if (!requireOrSkip(t, { commands: ['bird', 'ping'], packages: ['bird2', 'iputils-ping'] })) return
    const dir = mkdtempSync(join(tmpdir(), 'nodebgp-takeover-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true }))
    const netns = makeNetns(t, 'own')
    const far = makeNetns(t, 'own')
    makeVeth(
      { netns, device: 'v0', addresses: ['192.168.0.1/24'] },
      { netns: far, device: 'v0', addresses: ['192.168.0.2/24', '10.244.1.1/32', '10.244.2.1/32'] },
    )
    const conf = join(dir, 'b.conf')
    writeFileSync(conf, BIRD)
    const args = ['-f', '-c', conf, '-s', join(dir, 'b.ctl'), '-P', join(dir, 'b.pid')]
    const bird = new Process(netns.name, join(dir, 'bird.log'), 'bird', args)
    t.teardown(() => bird.kill())
    await until('BIRD has written its routes', () => netns.ip('route show proto bird').trim().split('\n').length === 3)
    const monitor = new Process(netns.name, join(dir, 'monitor.log'), 'stdbuf', ['-oL', 'ip', 'monitor', 'route'])
    t.teardown(() => monitor.kill())
    const seen = () =>
      monitor
        .logTail(Number.POSITIVE_INFINITY)
        .split('\n')
        .map((line) => line.trim())
    let metric = 1
    await until('the monitor sees', () => {
      netns.ip(`route add 198.51.100.1/32 via 192.168.0.2 metric ${metric++}`)
      return seen().some((line) => line.startsWith('198.51.100.1'))
    })
    const pings = ['10.244.1.1', '10.244.2.1'].map((address) => new Pings({ label: 'node', dir }, netns, address, 100))
    for (const one of pings) t.teardown(() => one.kill())
    for (const one of pings) await one.goOn()
    // As Calico's: its routes persist.
    bird.signal('SIGTERM')
    await bird.ended
    t.equal(netns.ip('route show proto bird').trim().split('\n').length, 3, 'BIRD is gone, its routes are not')

    const { fib } = await openFib(t, { ...BASE, driver, netns: netns.name, takeOver: [12] })
    for (const one of pings) await one.goOn()
    await setAll(fib, unicast(A, FIRST), { ...unicast(B, FIRST) })
    fib.sweepAdopted()
    await fib.settled()
    for (const one of pings) t.same(await one.stop(), [], `${one.name}: every ping was answered`)
    t.match(netns.ip('route show proto 179'), /10\.244\.1\.0\/26 via 192\.168\.0\.2[\s\S]*10\.244\.2\.0\/26 via/)
    t.equal(netns.ip('route show proto bird'), '')

    await until('the last deletion is told', () => seen().some((line) => line.startsWith(`Deleted ${C}`)))
    const of = (prefix: string) => seen().filter((line) => line.includes(prefix))
    t.match(of(A), [/^10\.244\.1\.0\/26 via 192\.168\.0\.2 dev v0 proto 179\b/], 'one replace, no delete')
    t.match(
      of(B).map((line) => line.replace(/ via.*?(proto \w+)/, ' $1')),
      [/^10\.244\.2\.0\/26 proto 179/, /^Deleted 10\.244\.2\.0\/26 proto bird metric 32/],
    )
  })
}

/** One route with metric 0, as Calico's BIRD 1.6 writes all of them, and two with BIRD 2's own 32. */
const BIRD = `
router id 192.168.0.1;
protocol device { scan time 10; }
protocol kernel { persist; scan time 10; ipv4 { import none; export all; }; }
protocol static { ipv4;
  route ${A} via ${FIRST} { krt_metric = 0; };
  route ${B} via ${FIRST};
  route ${C} via ${FIRST};
}
`
