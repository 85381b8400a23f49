/** The same behaviour of the FIB on a table in memory and on a real kernel. */
import t from 'tap'
import { needsNetns } from '../support/netns.js'
import { BASE, type Bench, blackhole, kernelBench, memoryBench, setAll, unicast, until } from './support.js'

const A = '10.244.1.0/26'
const B = '10.244.2.0/26'
const N1 = '192.168.0.2'
const N2 = '192.168.1.2'

type Scope = Parameters<typeof kernelBench>[0]
const benches = [
  { name: 'memory', make: (t: Scope): Bench => memoryBench(t), options: {} },
  { name: 'iproute2', make: (t: Scope): Bench => kernelBench(t, 'iproute2'), options: needsNetns() },
  { name: 'netlink', make: (t: Scope): Bench => kernelBench(t, 'netlink'), options: needsNetns() },
]

for (const { name, make, options } of benches) {
  t.test(`${name}: add, replace, delete`, options, async (t) => {
    const bench = make(t)
    const { fib } = await bench.open()
    await setAll(fib, unicast(A, N1), unicast(B, N1))
    t.same(bench.ours(), [`${A} via ${N1}`, `${B} via ${N1}`])
    t.equal(fib.entry(A)?.state, 'installed')
    await setAll(fib, unicast(A, N2))
    t.same(bench.ours(), [`${A} via ${N2}`, `${B} via ${N1}`])
    fib.set(A, null)
    await fib.settled()
    t.same(bench.ours(), [`${B} via ${N1}`])
    t.equal(fib.entry(A), undefined)
    t.same(
      fib.entries().map((entry) => `${entry.prefix} ${entry.state}`),
      [`${B} installed`],
    )
  })

  t.test(`${name}: many paths, fewer paths, at most maxPaths`, options, async (t) => {
    const bench = make(t)
    const { fib } = await bench.open({ maxPaths: 2 })
    await setAll(fib, unicast(A, N1, N2))
    t.same(bench.ours(), [`${A} via ${N1} via ${N2}`])
    await setAll(fib, unicast(A, N2))
    t.same(bench.ours(), [`${A} via ${N2}`])
    await setAll(fib, unicast(A, N2, N1, '192.168.0.3'))
    t.same(bench.ours(), [`${A} via ${N2} via ${N1}`])
  })

  t.test(`${name}: blackhole, and a unicast route in its place`, options, async (t) => {
    const bench = make(t)
    const { fib } = await bench.open()
    await setAll(fib, blackhole(A))
    t.same(bench.ours(), [`${A} blackhole`])
    await setAll(fib, unicast(A, N1))
    t.same(bench.ours(), [`${A} via ${N1}`])
    await setAll(fib, blackhole(A))
    t.same(bench.ours(), [`${A} blackhole`])
  })

  t.test(`${name}: IPv6, one path, many paths, blackhole`, options, async (t) => {
    const bench = make(t)
    const { fib } = await bench.open()
    await setAll(
      fib,
      unicast('fd01::/64', 'fd00::2'),
      unicast('fd02::/64', 'fd00::2', 'fd00::3'),
      blackhole('fd03::/64'),
    )
    const all = ['fd01::/64 via fd00::2', 'fd02::/64 via fd00::2 via fd00::3', 'fd03::/64 blackhole']
    t.same(bench.ours(), all)
    await setAll(
      fib,
      unicast('fd02::/64', 'fd00::3'),
      unicast('fd03::/64', 'fd00::2', 'fd00::3'),
      blackhole('fd01::/64'),
    )
    t.same(bench.ours(), ['fd01::/64 blackhole', 'fd02::/64 via fd00::3', 'fd03::/64 via fd00::2 via fd00::3'])
    for (const entry of fib.entries()) t.equal(entry.state, 'installed', entry.prefix)
    for (const prefix of ['fd01::/64', 'fd02::/64', 'fd03::/64']) fib.set(prefix, null)
    await fib.settled()
    t.same(bench.ours(), [])
  })

  t.test(`${name}: a foreign route is a conflict, is left alone, and its end lets ours in`, options, async (t) => {
    const bench = make(t)
    bench.putForeign(A, '192.168.0.9')
    const { fib, facts } = await bench.open()
    await setAll(fib, unicast(A, N1))
    t.match(fib.entry(A), { state: 'conflict', reason: /static \(4\)/ })
    t.same(bench.ours(), [])
    t.equal(bench.foreign(A)[0]?.hops[0]?.gateway, '192.168.0.9')
    t.ok(facts.some((fact) => fact.event === 'fib-conflict'))
    bench.takeForeign(A)
    await until('our route', () => fib.entry(A)?.state === 'installed')
    t.same(bench.ours(), [`${A} via ${N1}`])
  })

  t.test(
    `${name}: a foreign route that comes between our look and our write is not overwritten`,
    options,
    async (t) => {
      const bench = make(t)
      const { fib } = await bench.open()
      bench.putForeign(A, '192.168.0.9')
      await setAll(fib, unicast(A, N1))
      t.equal(fib.entry(A)?.state, 'conflict')
      t.equal(bench.foreign(A)[0]?.hops[0]?.gateway, '192.168.0.9')
      t.same(bench.ours(), [])
    },
  )

  t.test(
    `${name}: routes of the last run are adopted, confirmed or swept; stop keeps or flushes`,
    options,
    async (t) => {
      const bench = make(t)
      const first = await bench.open()
      await setAll(first.fib, unicast(A, N1), unicast(B, N1), unicast('10.244.3.0/26', N1))
      await first.fib.stop('keep')
      t.equal(bench.ours().length, 3)
      const { fib, facts } = await bench.open()
      t.match(facts[0], { event: 'fib-start', fields: { adopted: 3 } })
      t.equal(fib.entry(A)?.state, 'adopted')
      await setAll(fib, unicast(A, N1), unicast(B, N2))
      t.equal(fib.entry(A)?.state, 'installed')
      t.same(bench.ours(), [`${A} via ${N1}`, `${B} via ${N2}`, `10.244.3.0/26 via ${N1}`])
      fib.sweepAdopted()
      await fib.settled()
      t.same(bench.ours(), [`${A} via ${N1}`, `${B} via ${N2}`])
      t.ok(facts.some((fact) => fact.event === 'fib-swept' && fact.fields.removed === 1))
      await fib.stop('flush')
      t.same(bench.ours(), [])
    },
  )

  t.test(`${name}: flushed by command: nothing of ours until it is restored`, options, async (t) => {
    const bench = make(t)
    const first = await bench.open()
    await setAll(first.fib, unicast('10.244.3.0/26', N1))
    await first.fib.stop('keep')
    const { fib } = await bench.open()
    bench.putForeign('10.8.0.0/16', '192.168.0.9')
    await setAll(fib, unicast(A, N1), unicast('fd01::/64', 'fd00::2'))
    t.equal(await fib.flush(), 3, 'with the adopted one')
    t.equal(fib.flushed, true)
    t.same(bench.ours(), [])
    t.equal(bench.foreign('10.8.0.0/16').length, 1)
    t.match(fib.entry(A), { state: 'pending', reason: /flushed by command/, hops: [] })
    await setAll(fib, unicast(A, N2), unicast(B, N1))
    t.same(bench.ours(), [], 'also not what comes meanwhile')
    fib.restore()
    await fib.settled()
    t.same(bench.ours(), [`${A} via ${N2}`, `${B} via ${N1}`, 'fd01::/64 via fd00::2'])
    t.match(fib.entry(A), { state: 'installed', reason: '' })
    t.equal(await fib.flush(), 3)
    await fib.stop('keep')
    t.same(bench.ours(), [])
  })

  t.test(`${name}: our route deleted by hand comes back`, options, async (t) => {
    const bench = make(t)
    const { fib, facts } = await bench.open()
    await setAll(fib, unicast(A, N1), unicast('fd01::/64', 'fd00::2'))
    bench.takeOurs(A)
    await until('the route again', () => bench.ours().includes(`${A} via ${N1}`))
    t.ok(facts.some((fact) => fact.event === 'notice' && fact.fields.text.includes(A)))
    bench.takeOurs('fd01::/64')
    await until('the IPv6 route again', () => bench.ours().includes('fd01::/64 via fd00::2'))
  })

  t.test(`${name}: another metric after a reload: the new route first, then the old one goes`, options, async (t) => {
    const bench = make(t)
    const { fib } = await bench.open()
    await setAll(fib, unicast(A, N1), unicast('fd01::/64', 'fd00::2'))
    fib.reconfigure({ ...BASE, metric: 50 })
    await fib.settled()
    t.same(bench.ours(), [`${A} via ${N1}`, 'fd01::/64 via fd00::2'])
    bench.putForeign(A, '192.168.0.9')
    t.equal(fib.entry(A)?.state, 'installed', 'metric 0 is free for others')
  })
}
