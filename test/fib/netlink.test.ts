/** What only the netlink driver has: its descriptors, its events, the kernel's own words, what it says when it cannot work. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { FibTrigger } from '../../src/fib/driver.js'
import { createFib } from '../../src/fib/fib.js'
import { Iproute2Driver } from '../../src/fib/iproute2.js'
import { NetlinkDriver } from '../../src/fib/netlink.js'
import { findNetlink } from '../../src/fib/netlink-socket.js'
import { routePrefix } from '../../src/fib/route-prefix.js'
import type { KernelRoute, PlannedRoute } from '../../src/fib/types.js'
import { findSys } from '../../src/sys/sys.js'
import { type Netns, needsNetns } from '../support/netns.js'
import { BASE, kernelBench, PROTOCOL, setAll, unicast, until } from './support.js'

const A = '10.244.1.0/26'
const B = '10.244.2.0/26'
const options = needsNetns()

t.test('reads the same routes as ip does, of all kinds', options, async (t) => {
  const bench = kernelBench(t, 'netlink')
  const { netns } = bench
  for (const line of [
    '10.1.0.0/26 via 192.168.0.2 proto 179 metric 7',
    '10.2.0.0/26 via 192.168.0.2 dev v0 onlink proto 4',
    '10.3.0.0/26 proto 179 nexthop via 192.168.0.2 nexthop via 192.168.1.2 weight 3',
    'blackhole 10.4.0.0/26 proto 179',
    'unreachable 10.5.0.0/26',
    'prohibit 10.6.0.0/26',
    '10.7.0.0/26 via inet6 fd00::2 dev v0 proto 179',
    '10.8.0.0/26 via 192.168.0.2 tos 0x10',
    '10.9.0.0/26 via 192.168.0.2 table 100 proto 179',
    'default via 192.168.0.254 metric 4294967295',
  ])
    netns!.ip(`route add ${line}`)
  for (const line of [
    'fd01::/64 via fd00::2',
    'fd03::/64 nexthop via fd00::2 nexthop via fd00::3',
    'blackhole fd04::/64',
  ])
    netns!.ip(`-6 route add ${line}`)
  const common = { table: 100, protocol: PROTOCOL, netns: netns!.name, compareMs: 60_000, log: () => {} }
  const read = async (driver: NetlinkDriver | Iproute2Driver, scope: 'all' | 'ours'): Promise<string[]> => {
    await driver.open(() => {})
    const routes: string[] = []
    await driver.dump((route) => routes.push(JSON.stringify(route, Object.keys(route).sort())), scope)
    await driver.close()
    return routes.sort()
  }
  const { source } = findNetlink()
  const all = await read(new NetlinkDriver({ ...common, source: source! }), 'all')
  t.same(all, await read(new Iproute2Driver(common), 'all'))
  t.ok(all.length > 20, `${all.length} routes`)
  const ours = await read(new NetlinkDriver({ ...common, source: source! }), 'ours')
  t.match(ours, [/"10\.9\.0\.0\/26"/])
  t.equal(ours.length, 1)
})

t.test('each failed route has the words of the kernel; the others of the same write go in', options, async (t) => {
  const bench = kernelBench(t, 'netlink')
  const { source } = findNetlink()
  const common = { table: 254, protocol: PROTOCOL, netns: bench.netns!.name, compareMs: 60_000, log: () => {} }
  const driver = new NetlinkDriver({ ...common, source: source! })
  await driver.open(() => {})
  t.teardown(() => driver.close())
  bench.putForeign('10.0.5.0/26', '192.168.0.9')
  const route = (gateway: string, device = 'v0'): PlannedRoute => ({
    family: 0,
    kind: 'unicast',
    hops: [{ gateway, device, onlink: false }],
    metric: 0,
  })
  const operations = Array.from({ length: 450 }, (_, n) => ({
    type: 'add' as const,
    to: routePrefix(n < 250 ? `10.0.${n}.0/26` : `10.1.${n - 250}.0/26`),
    route: route('192.168.0.2'),
  }))
  operations[3] = { ...operations[3]!, route: route('172.20.0.1') }
  operations[199] = { ...operations[199]!, route: route('192.168.0.2', 'nope') }
  operations[449] = { ...operations[449]!, route: route('172.20.0.1') }
  const outcomes = await driver.apply(operations)
  t.equal(outcomes.length, 450)
  const failed = outcomes.map((outcome, n) => ({ n, ...outcome })).filter(({ type }) => type !== 'done')
  t.match(failed, [
    { n: 3, type: 'refused', words: 'Nexthop has invalid gateway (ENETUNREACH)' },
    { n: 5, type: 'exists' },
    { n: 199, type: 'refused', words: /no device 'nope'/ },
    { n: 449, type: 'refused', words: 'Nexthop has invalid gateway (ENETUNREACH)' },
  ])
  t.equal(bench.ours().length, 446)
  // A device that came after the driver had looked, and one that has another number now.
  bench.netns!.ip('link add v7 type veth peer name w7')
  bench.netns!.ip('address add 192.168.7.1/24 dev v7')
  bench.netns!.ip('link set v7 up')
  t.same(await driver.apply([{ type: 'add', to: routePrefix('10.0.251.0/26'), route: route('192.168.7.2', 'v7') }]), [
    { type: 'done' },
  ])
  const deletions = operations.map((operation) => ({ ...operation, type: 'delete' as const }))
  t.same([...new Set((await driver.apply(deletions)).map(({ type }) => type))], ['done'], 'absent ones count as gone')
  t.equal(bench.foreign('10.0.5.0/26').length, 1, 'a deletion hits only our protocol')
})

for (const wait of ['handle', 'poll'] as const) {
  t.test(`events by ${wait}: changes by others, not our own; a flood of them`, options, async (t) => {
    const bench = kernelBench(t, 'netlink')
    const { source } = findNetlink()
    const common = { table: 254, protocol: PROTOCOL, netns: bench.netns!.name, compareMs: 60_000, log: () => {} }
    const driver = new NetlinkDriver({ ...common, source: source!, wait })
    const seen: FibTrigger[] = []
    await driver.open((trigger) => seen.push(trigger))
    t.teardown(() => driver.close())
    t.equal(driver.wait, wait)
    const hops = [{ gateway: '192.168.0.2', device: 'v0', onlink: false }]
    const ours: PlannedRoute = { family: 0, kind: 'unicast', hops, metric: 0 }
    await driver.apply([{ type: 'add', to: routePrefix(A), route: ours }])
    bench.netns!.ip(`route add ${B} via 192.168.0.3 proto 4`)
    bench.netns!.ip(`route replace ${A} via 192.168.0.4 proto 179`)
    bench.netns!.ip(`route del ${A} proto 179`)
    await until('the last event', () => seen.some((one) => typeof one === 'object' && one.type === 'gone'))
    const route = (prefix: string, gateway: string, protocol: number): Partial<KernelRoute> => ({
      prefix,
      protocol,
      hops: [{ gateway, device: 'v0', onlink: false }],
    })
    t.match(seen, [
      { type: 'put', replaces: false, route: route(B, '192.168.0.3', 4) },
      { type: 'put', replaces: true, route: route(A, '192.168.0.4', 179) },
      { type: 'gone', route: route(A, '192.168.0.4', 179) },
    ])
    t.equal(seen.length, 3, 'nothing of our own')
    seen.length = 0
    const many = Array.from({ length: 20_000 }, (_, n) => `10.${64 + (n >> 10)}.${(n >> 2) & 255}.${(n & 3) * 64}/26`)
    const lines = many.map((prefix) => `route add ${prefix} via 192.168.0.2 proto 4\n`).join('')
    execFileSync('ip', ['-n', bench.netns!.name, '-batch', '-'], { input: lines })
    // Events of devices may be among them.
    // The kernel's own IPv6 routes of the link come in between.
    const flood = new Set(many)
    const putsSeen = (): number =>
      seen.filter((one) => typeof one === 'object' && one.type === 'put' && flood.has(one.route.prefix)).length
    await until('all of the flood', () => seen.length >= many.length && putsSeen() >= many.length)
    t.equal(putsSeen(), many.length)
    seen.length = 0
    bench.netns!.ip('link set v1 down')
    await until('a device went down', () => seen.includes('event'))
    seen.length = 0
    bench.netns!.ip('address add 10.9.9.9/32 dev v0')
    await until('an address came', () => seen.includes('ours'))
    bench.netns!.ip('-6 address add fd09::9/128 dev v0 nodad')
    await until('one of IPv6, with which nothing comes to life', () => seen.includes('devices'))
    await neighbours(t, driver, bench.netns!, () => seen.splice(0))
  })
}

/** Those of one device are told, while somebody wants to know. */
async function neighbours(t: Test, driver: NetlinkDriver, netns: Netns, triggers: () => FibTrigger[]): Promise<void> {
  // No addresses: the kernel makes no neighbours by itself.
  netns.ip('link add w0 type veth peer name w1')
  for (const device of ['w0', 'w1']) netns.ip(`link set ${device} addrgenmode none up`)
  const add = (n: number, device: string): string =>
    netns.ip(`neigh add 192.0.2.${n} lladdr 66:00:00:00:00:01 dev ${device} nud permanent`)
  let told = 0
  t.ok(driver.watchNeighbours(indexOf(netns, 'w0'), () => told++))
  add(1, 'w1')
  add(2, 'w0')
  await until('the neighbour of w0', () => told > 0)
  netns.exec('bridge', 'fdb', 'add', '66:00:00:00:00:02', 'dev', 'w0', 'self', 'permanent')
  await until('its FDB entry', () => told > 1)
  t.equal(told, 2, 'not that of w1')
  t.ok(driver.watchNeighbours(0, () => told++))
  triggers()
  add(3, 'w0')
  netns.ip('address add 10.9.9.10/32 dev v0')
  await until('what comes behind it', () => triggers().includes('ours'))
  t.equal(told, 2, 'no more')
}

function indexOf(netns: Netns, device: string): number {
  return (netns.ipJson(`link show dev ${device}`) as { ifindex: number }[])[0]!.ifindex
}

t.test('an overrun of the events is noticed: all is read again', options, async (t) => {
  const bench = kernelBench(t, 'netlink')
  const { fib, facts, netlink } = await bench.open()
  let told = 0
  netlink!.watchNeighbours(indexOf(bench.netns!, 'v1'), () => told++)
  await setAll(fib, unicast(A, '192.168.0.2'))
  // The event loop stands still, and 8 MB are soon full.
  const lines: string[] = []
  for (let n = 0; n < 40_000; n++) {
    const prefix = `10.${64 + (n >> 10)}.${(n >> 2) & 255}.${(n & 3) * 64}/26`
    lines.push(`route add ${prefix} via 192.168.0.2 proto 4`, `route del ${prefix} proto 4`)
  }
  lines.push(`route del ${A} proto 179`, `route add ${B} via 192.168.0.2 proto 4`)
  execFileSync('ip', ['-n', bench.netns!.name, '-batch', '-'], { input: `${lines.join('\n')}\n` })
  await until('our route again', () => bench.ours().includes(`${A} via 192.168.0.2`))
  await until('the foreign route', () => fib.foreignRoutes().some(({ prefix }) => prefix === B))
  t.ok(facts.some(({ event, fields }) => event === 'fib-trouble' && /events .* were lost/.test(JSON.stringify(fields))))
  bench.takeOurs(A)
  await until('seen by the new descriptor', () => bench.ours().includes(`${A} via 192.168.0.2`))
  told = 0
  bench.netns!.ip('neigh add 192.168.1.77 lladdr 66:00:00:00:00:01 dev v1 nud permanent')
  await until('neighbours too', () => told > 0)
})

t.test('inherited descriptors need no native code', options, async (t) => {
  const bench = kernelBench(t, 'netlink')
  const child = await inherited(t, bench.netns!.name, '3,4')
  await until('our route', () => bench.ours().includes(`${A} via 192.168.0.2`))
  bench.takeOurs(A)
  await until('our route again', () => bench.ours().includes(`${A} via 192.168.0.2`))
  child.kill('SIGKILL')
  await once(child, 'exit')
  bench.takeOurs(A)
  const alone = await inherited(t, bench.netns!.name, '3')
  await until('without events', () => bench.ours().includes(`${A} via 192.168.0.2`))
  bench.takeOurs(A)
  await until('found by looking', () => bench.ours().includes(`${A} via 192.168.0.2`))
  alone.kill('SIGKILL')
  await once(alone, 'exit')
})

t.test('what cannot be is refused in words', async (t) => {
  const words = async (driver: 'netlink' | 'auto', fd: string | undefined): Promise<string> => {
    const before = process.env['NODEBGP_NETLINK_FD']
    if (fd === undefined) delete process.env['NODEBGP_NETLINK_FD']
    else process.env['NODEBGP_NETLINK_FD'] = fd
    const fib = createFib({ ...BASE, driver, protocol: 213 }, { log: () => {} })
    if (before === undefined) delete process.env['NODEBGP_NETLINK_FD']
    else process.env['NODEBGP_NETLINK_FD'] = before
    const outcome = await fib.start().catch((error: Error) => `${error.name}: ${error.message}`)
    return outcome ?? 'started'
  }
  t.match(await words('netlink', 'three'), /FibError: NODEBGP_NETLINK_FD='three' is not FD or FD,FD/)
  t.match(await words('auto', '999'), /FibError: NODEBGP_NETLINK_FD: descriptor 999 is nothing, not a netlink socket/)
  const run = (driver: string): string => {
    const source = `import { createFib } from '${new URL('../../src/fib/fib.js', import.meta.url).href}'
      const fib = createFib(${JSON.stringify({ ...BASE, protocol: 213, driver })}, { log: (fact) => console.log(JSON.stringify(fact)) })
      await fib.start().then(() => fib.stop('keep'), (error) => console.log(error.message))`
    const env = { ...process.env, NODEBGP_SYS: 'none', NODEBGP_NETLINK_FD: '' }
    return execFileSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8', env })
  }
  t.match(
    run('netlink'),
    /nothing provides them: NODEBGP_SYS=none.*install the package koffi.*NODEBGP_NETLINK_FD.*iproute2/,
  )
  if (process.getuid?.() === 0)
    t.match(run('auto'), /"driver":"iproute2","why":"auto found no netlink: NODEBGP_SYS=none/)
})

/** A process without a provider of system calls, with descriptors 3 (requests) and 4 (events) from whoever started it; writes one route and stays. */
async function inherited(t: Scope, netns: string, fds: string): Promise<ChildProcess> {
  const sys = findSys().sys!
  const { openNetlink } = await import('../../src/fib/netlink-socket.js')
  const requests = openNetlink(sys, netns, 0).fd
  const events = openNetlink(sys, netns, 0x1 | 0x10 | 0x40 | 0x100 | 0x400).fd
  const source = `import { createFib } from '${new URL('../../src/fib/fib.js', import.meta.url).href}'
    const base = ${JSON.stringify(BASE)}
    const fib = createFib({ ...base, driver: 'netlink', netns: '${netns}' }, { log: (fact) => console.log(JSON.stringify(fact)) })
    await fib.start()
    fib.set('${A}', { family: 0, kind: 'unicast', nextHops: ['192.168.0.2'] })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit', requests, events],
    env: { ...process.env, NODEBGP_SYS: 'none', NODEBGP_NETLINK_FD: fds },
  })
  sys.close(requests)
  sys.close(events)
  t.teardown(() => void child.kill('SIGKILL'))
  let said = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk
  })
  await until('the start', () => said.includes('fib-start'))
  t.match(said, new RegExp(`"why":"as configured, with descriptor ${fds} of NODEBGP_NETLINK_FD"`))
  return child
}

interface Scope {
  teardown(action: () => void): void
  match(found: unknown, wanted: unknown): unknown
}
