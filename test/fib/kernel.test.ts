/** What only a real kernel can show: next hops, links, the children of the driver, errors at the start, size. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createFib } from '../../src/fib/fib.js'
import { FibError } from '../../src/fib/types.js'
import { Process } from '../support/daemons/process.js'
import { needsNetns } from '../support/netns.js'
import { childrenOf } from '../support/processes.js'
import { BASE, kernelBench, setAll, unicast, until } from './support.js'

const A = '10.244.1.0/26'
const B = '10.244.2.0/26'
const options = needsNetns()

for (const driver of ['iproute2', 'netlink'] as const) {
  t.test(
    `${driver}: a next hop without a route waits until there is one, and goes when it goes`,
    options,
    async (t) => {
      const bench = kernelBench(t, driver)
      const { fib } = await bench.open()
      let told = 0
      fib.onForeignRoutesChanged(() => told++)
      await setAll(fib, unicast(A, '172.31.5.5'))
      t.match(fib.entry(A), { state: 'unresolved', reason: 'no route to next hop 172.31.5.5', hops: [] })
      t.equal(fib.resolve('172.31.5.5'), -1)
      bench.netns!.ip('route add 172.31.5.0/24 via 192.168.0.254 proto static metric 7')
      await until('the route', () => fib.entry(A)?.state === 'installed')
      t.same(bench.ours(), [`${A} via 192.168.0.254`], 'through the gateway of the route to the next hop')
      t.equal(fib.resolve('172.31.5.5'), 7)
      t.ok(told > 0)
      bench.netns!.ip('route add 172.31.5.5/32 via 192.168.1.254')
      await until('the longer match', () => bench.ours().includes(`${A} via 192.168.1.254`))
      bench.netns!.ip('route del 172.31.5.5/32')
      bench.netns!.ip('route del 172.31.5.0/24 metric 7')
      await until('no route', () => fib.entry(A)?.state === 'unresolved')
      t.same(bench.ours(), [])
    },
  )

  t.test(`${driver}: next hops that must not be used say why`, options, async (t) => {
    const bench = kernelBench(t, driver)
    const { fib } = await bench.open()
    bench.netns!.ip('route add unreachable 172.31.6.0/24')
    const cases: [nextHop: string, reason: RegExp][] = [
      ['192.168.0.1', /address of this node/],
      ['172.31.6.1', /unreachable 172\.31\.6\.0\/24/],
      ['fe80::5', /without its device/],
      ['fe80::5%nope', /device nope/],
      ['1.2.3.4.5', /not an IP address/],
    ]
    await until('the unreachable route is seen', () =>
      fib.foreignRoutes().some((route) => route.kind === 'unreachable'),
    )
    for (const [nextHop, reason] of cases) {
      await setAll(fib, unicast(A, nextHop))
      t.match(fib.entry(A), { state: 'unresolved', reason }, nextHop)
    }
    await setAll(fib, unicast('fd01::/64', '192.168.0.2'))
    t.match(fib.entry('fd01::/64'), { state: 'unresolved', reason: /IPv4 next hop/ })
    t.same(
      bench.ours().filter((line) => line.startsWith('fd01')),
      [],
    )
  })

  t.test(
    `${driver}: link-local next hops by their device; IPv4 prefixes over IPv6 next hops (RFC 8950)`,
    options,
    async (t) => {
      const bench = kernelBench(t, driver)
      const { fib } = await bench.open()
      await until('link-local subnet', () => fib.resolve('fe80::5%v0') >= 0)
      await setAll(fib, unicast('fd01::/64', 'fe80::5%v0', 'fe80::6%v1'), unicast(A, 'fe80::5%v0'))
      t.equal(fib.entry('fd01::/64')?.state, 'installed')
      t.equal(fib.entry(A)?.state, 'installed')
      t.match(bench.netns!.ip(`route show ${A}`), /via inet6 fe80::5 dev v0/)
      t.match(bench.netns!.ip('-6 route show fd01::/64'), /fe80::5 dev v0[\s\S]*fe80::6 dev v1/)
    },
  )

  t.test(
    `${driver}: a device goes down, the kernel drops the routes silently; up again they come back`,
    options,
    async (t) => {
      const bench = kernelBench(t, driver)
      const { fib } = await bench.open()
      await setAll(fib, unicast(A, '192.168.0.2'))
      bench.netns!.ip('link set v0 down')
      await until('seen', () => fib.entry(A)?.state === 'unresolved')
      bench.netns!.ip('link set v0 up')
      await until('back', () => bench.ours().includes(`${A} via 192.168.0.2`))
      await until('known', () => fib.entry(A)?.state === 'installed')
    },
  )

  t.test(
    `${driver}: the kernel refuses a route: failed, in its words; the others go on; settled() still resolves`,
    options,
    async (t) => {
      const bench = kernelBench(t, driver)
      const { fib, facts } = await bench.open()
      // The broadcast address looks on-link; the kernel takes no such gateway.
      await setAll(fib, unicast(A, '192.168.0.255'), unicast('10.244.2.0/26', '192.168.0.2'))
      t.match(fib.entry(A), { state: 'failed', reason: /gateway/ })
      t.ok(facts.some((fact) => fact.event === 'fib-failed'))
      t.same(bench.ours(), ['10.244.2.0/26 via 192.168.0.2'])
      bench.netns!.ip('address del 192.168.0.1/24 dev v0')
      bench.netns!.ip('address add 192.168.0.1/23 dev v0')
      await until('tried again', () => fib.entry(A)?.state === 'installed')
      const both = [`${A} via 192.168.0.255`, '10.244.2.0/26 via 192.168.0.2'].join()
      await until('the other one, which the kernel dropped without a word', () => bench.ours().join() === both)
    },
  )

  t.test(`${driver}: 20,000 routes in, moved, and out`, options, async (t) => {
    const bench = kernelBench(t, driver)
    const { fib } = await bench.open()
    const prefixes = [...manyPrefixes(20_000)]
    for (const prefix of prefixes) fib.set(prefix, unicast(prefix, '192.168.0.2'))
    await fib.settled()
    t.equal(bench.ours().length, 20_000)
    for (const prefix of prefixes) fib.set(prefix, unicast(prefix, '192.168.1.2'))
    await fib.settled()
    t.equal(bench.ours().filter((line) => line.endsWith('via 192.168.1.2')).length, 20_000)
    for (const prefix of prefixes) fib.set(prefix, null)
    await fib.settled()
    t.equal(bench.ours().length, 0)
    t.same(fib.entries(), [])
  })

  t.test(`${driver}: a table of our own stays apart from main, and still sees the routes there`, options, async (t) => {
    const bench = kernelBench(t, driver)
    const { fib } = await bench.open({ table: 100, metric: 5 })
    await setAll(fib, unicast(A, '192.168.0.2'), unicast('fd01::/64', 'fd00::2'))
    t.same(bench.ours(), [])
    t.match(bench.netns!.ip('route show table 100'), /10\.244\.1\.0\/26 via 192\.168\.0\.2 dev v0 proto 179 metric 5/)
    t.match(bench.netns!.ip('-6 route show table 100'), /fd01::\/64 via fd00::2 dev v0 proto 179 metric 5/)
    await fib.stop('flush')
    t.equal(bench.netns!.ip('route show table 100 proto 179'), '')
  })

  t.test(
    `${driver}: a route appended by hand under our protocol number is cleaned up after the sweep`,
    options,
    async (t) => {
      const bench = kernelBench(t, driver)
      const { fib } = await bench.open()
      await setAll(fib, unicast(A, '192.168.0.2'))
      fib.sweepAdopted()
      bench.netns!.ip('route add 10.9.0.0/24 via 192.168.0.2 proto 179')
      bench.netns!.ip(`route append ${A} via 192.168.0.7 proto 179`)
      await until('gone', () => bench.ours().join() === `${A} via 192.168.0.2`)
      // The kernel shows it before the outcome has come back to us.
      await until('known as installed', () => fib.entry(A)?.state === 'installed')
    },
  )
}

t.test('the ip children are killed: routes go on as before', options, async (t) => {
  const bench = kernelBench(t)
  const { fib, facts, driver } = await bench.open()
  await setAll(fib, unicast(A, '192.168.0.2'))
  process.kill(driver!.childPids.batch!, 'SIGKILL')
  await setAll(fib, unicast(A, '192.168.0.3'), unicast('10.244.2.0/26', '192.168.0.2'))
  t.same(bench.ours(), [`${A} via 192.168.0.3`, '10.244.2.0/26 via 192.168.0.2'])
  await until('the end of the child is told', () => facts.some((fact) => fact.event === 'fib-trouble'))
  const monitor = driver!.childPids.monitor!
  // The shell above it tells us.
  process.kill(childrenOf(monitor)[0]!, 'SIGKILL')
  await until('another monitor', () => (driver!.childPids.monitor ?? monitor) !== monitor)
  bench.takeOurs(A)
  await until('seen by the new monitor', () => bench.ours().includes(`${A} via 192.168.0.3`))
})

t.test('the batch child is killed in the middle of a large change: nothing is lost', options, async (t) => {
  const bench = kernelBench(t)
  const { fib, driver } = await bench.open()
  await setAll(fib, unicast(A, '192.168.0.2'))
  for (const prefix of manyPrefixes(5000)) fib.set(prefix, unicast(prefix, '192.168.0.2'))
  const settled = fib.settled()
  await until('half-way', () => fib.entries().filter((entry) => entry.state === 'installed').length > 1500)
  process.kill(driver!.childPids.batch!, 'SIGKILL')
  await settled
  t.equal(bench.ours().length, 5001)
  t.equal(fib.entries().filter((entry) => entry.state !== 'installed').length, 0)
})

t.test('a tunnel on a kernel without IPIP is refused with the module and the ways out', options, async (t) => {
  const bench = kernelBench(t)
  if (hasIpip(bench.netns!.name)) {
    const { fib } = await bench.open({ encapsulation: 'ipip', tunnelDevice: 'nb0', tunnelAddress: '10.244.7.0/32' })
    await setAll(fib, unicast(A, '192.168.0.2'))
    t.same(bench.ours(), [`${A} via 192.168.0.2 onlink`])
    return
  }
  const refused = bench.open({ encapsulation: 'ipip' })
  await t.rejects(refused, { name: 'FibError', message: /modprobe ipip[\s\S]*fib\.encapsulation: never/ })
  t.ok(await refused.catch((error: unknown) => error instanceof FibError))
})

for (const driver of ['iproute2', 'netlink'] as const) {
  t.test(`${driver}: a reload to a tunnel that cannot be had: the routes before go on`, options, async (t) => {
    const bench = kernelBench(t, driver)
    const netns = bench.netns!
    const { fib, facts } = await bench.open({ nodeAddresses: ['192.168.0.1'] })
    await setAll(fib, unicast(A, '192.168.0.2'), unicast(B, '192.168.0.3'))
    const before = [`${A} via 192.168.0.2`, `${B} via 192.168.0.3`]
    t.same(bench.ours(), before)
    const dir = mkdtempSync(join(tmpdir(), 'fib-'))
    const monitor = new Process(netns.name, join(dir, 'log'), 'stdbuf', ['-oL', 'ip', 'monitor', 'route'])
    t.teardown(() => monitor.kill().then(() => rmSync(dir, { recursive: true })))
    const seen = (): string => monitor.logTail(Number.POSITIVE_INFINITY)
    await until('the monitor sees', () => {
      bench.putForeign('198.51.100.0/24', '192.168.0.9')
      bench.takeForeign('198.51.100.0/24')
      return /Deleted 198/.test(seen())
    })
    const refused = async (reason: RegExp): Promise<void> => {
      await until('the reason', () => reason.test(fib.entry(B)?.reason ?? ''))
      t.match(fib.entry(A), { state: 'failed', reason: /; the route before stays: via 192\.168\.0\.2 dev v0$/ })
      t.same(bench.ours(), before)
      t.ok(facts.some(({ event, fields }) => event === 'warning' && 'text' in fields && reason.test(fields.text)))
    }
    if (!hasIpip(netns.name)) {
      fib.reconfigure({ ...BASE, encapsulation: 'ipip' })
      await refused(/this kernel has no IPIP tunnels.*modprobe ipip/)
      await setAll(fib, unicast('10.244.3.0/26', '192.168.0.2'))
      t.match(fib.entry('10.244.3.0/26'), { state: 'failed', reason: /no IPIP tunnels[^;]*;[^;]*subnet$/ }, 'a new one')
      fib.set('10.244.3.0/26', null)
    }
    // Somebody else's devices with these names: routes would be taken, and packets lost.
    netns.ip('link add nb0 type bridge')
    netns.ip('link set nb0 up')
    fib.reconfigure({ ...BASE, encapsulation: 'ipip', tunnelDevice: 'nb0' })
    await refused(/nb0 is of type bridge, not ipip; set fib\.tunnelDevice/)
    netns.ip('link add flannel.1 type bridge')
    netns.ip('link set flannel.1 up')
    fib.reconfigure({ ...BASE, encapsulation: 'vxlan' })
    await refused(/flannel\.1 is of type bridge, not vxlan; set fib\.vxlan\.device/)
    netns.ip('link del flannel.1')
    await until('the device can be had', () =>
      [A, B].every((prefix) => netns.ip(`route show ${prefix}`).includes('dev flannel.1 proto 179 onlink')),
    )
    await until('all of it is in order', () => [A, B].every((prefix) => fib.entry(prefix)?.state === 'installed'))
    fib.reconfigure(BASE)
    await until('as before', () => bench.ours().join() === before.join())
    t.notMatch(seen(), /Deleted 10\.244/, 'no moment without a route')
  })
}

t.test('without the program ip: says which package brings it', { skip: process.platform !== 'linux' }, async (t) => {
  const empty = mkdtempSync(join(tmpdir(), 'fib-'))
  const path = process.env['PATH']
  t.teardown(() => {
    process.env['PATH'] = path
    rmSync(empty, { recursive: true })
  })
  process.env['PATH'] = empty
  const fib = createFib({ ...BASE, driver: 'iproute2' }, { log: () => {} })
  await t.rejects(fib.start(), { name: 'FibError', message: /package iproute2[\s\S]*fib\.driver: memory/ })
})

t.test('without the right to write routes: says which capability', options, async (t) => {
  // The capability cannot be given back in this process: another one, still root, without it.
  const file = new URL('./no-right.js', import.meta.url).pathname
  const drop = ['--bounding-set', '-net_admin', '--inh-caps', '-net_admin']
  const result = spawnSync('setpriv', [...drop, process.execPath, file], { encoding: 'utf8' })
  t.match(result.stdout, /CAP_NET_ADMIN[\s\S]*fib\.driver: memory/, result.stderr)
})

t.test('a namespace that is not there is told in the words of ip', options, async (t) => {
  const fib = createFib({ ...BASE, driver: 'iproute2', netns: 'no-such-namespace' }, { log: () => {} })
  await t.rejects(fib.start(), { name: 'FibError', message: /no-such-namespace/ })
})

function hasIpip(netns: string): boolean {
  const words = 'link add probe type ipip local any remote any'
  const probe = spawnSync('ip', ['-n', netns, ...words.split(' ')], { encoding: 'utf8' })
  return probe.status === 0 || /File exists/.test(probe.stderr)
}

function* manyPrefixes(count: number): Generator<string> {
  for (let i = 0; i < count; i++) {
    yield `10.${64 + (i >> 10)}.${(i >> 2) & 255}.${(i & 3) * 64}/26`
  }
}
