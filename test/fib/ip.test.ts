/** What is read from `ip` and what is written to it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { FibOperation } from '../../src/fib/driver.js'
import { JsonArraySplitter, parseRoute } from '../../src/fib/ip-json.js'
import { formatOperation, isDeviceName } from '../../src/fib/ip-text.js'
import { routePrefix } from '../../src/fib/route-prefix.js'
import { FibError, type KernelHop, type KernelRoute, type PlannedRoute } from '../../src/fib/types.js'
import { projectRoot } from '../support/root.js'

const fixture = (name: string): string => readFileSync(join(projectRoot, 'fixtures/fib', name), 'utf8')

function split(chunks: readonly string[]): string[] {
  const objects: string[] = []
  const splitter = new JsonArraySplitter((object) => objects.push(object))
  for (const chunk of chunks) splitter.push(chunk)
  return objects
}

function read(name: string, family: 0 | 1): (KernelRoute | null)[] {
  return split([fixture(name)]).map((text) => parseRoute(text, family, 254))
}

const brief = (route: KernelRoute | null): string => {
  if (route === null) return 'null'
  const hops = route.hops.map((hop) => `${hop.gateway}%${hop.device}${hop.onlink ? '!' : ''}`).join(' ')
  return `${route.prefix} ${route.kind} p${route.protocol} t${route.table} m${route.metric} ${hops}`.trim()
}

t.test('IPv4 routes as ip prints them', async (t) => {
  t.same(read('routes-ipv4.json', 0).map(brief), [
    '0.0.0.0/0 unicast p3 t254 m0 192.168.0.254%v0',
    '10.1.0.0/26 unicast p179 t254 m0 fe80::5%v0',
    '10.244.2.0/26 unicast p179 t254 m7 192.168.1.2%v1',
    '10.244.3.0/26 blackhole p179 t254 m0',
    '10.244.4.0/26 unicast p80 t100 m0 192.168.77.2%tunl0!',
    '10.3.0.1/32 unicast p179 t254 m0 10.0.0.9%v0',
    'null',
    '127.0.0.1/32 local p2 t255 m0 null%lo',
    '192.168.0.255/32 broadcast p2 t255 m0 null%v0',
    '10.6.0.0/16 unreachable p4 t254 m0',
  ])
})

t.test('IPv6 routes as ip prints them', async (t) => {
  t.same(read('routes-ipv6.json', 1).map(brief), [
    '::ffff:1.2.3.0/120 unicast p179 t254 m1024 fd00::2%v0',
    '::102:304/128 unicast p4 t254 m1024 fd00::2%v0',
    'fd02::/64 blackhole p179 t254 m1024',
    'fd03::/64 unicast p179 t254 m1024 fd00::2%v0 fe80::3%v1',
    'ff00::/8 other p2 t255 m256 null%v0',
    '::/0 unicast p9 t254 m1024 fe80::1%eth"0',
  ])
})

t.test('things that are no routes are left out', async (t) => {
  for (const text of [
    '{}',
    'null',
    '1',
    '{"dst":5}',
    '{"dst":"x"}',
    '{"dst":"10.0.0.0/99x"}',
    '{"dst":"10.0.0.0/99"}',
    '{',
    '{"dst":"fd00::/64"}',
  ]) {
    t.equal(parseRoute(text, 0, 254), null, text)
  }
})

t.test('values of other types are none', async (t) => {
  const hops = (fields: string) => parseRoute(`{"dst":"10.0.0.0/8",${fields}}`, 0, 254)?.hops
  t.same(hops('"nexthops":[null,5,{"dev":"v0"}]'), [{ gateway: null, device: 'v0', onlink: false }])
  const nothing = [{ gateway: null, device: null, onlink: false }]
  for (const fields of [
    '"gateway":{}',
    '"dev":5',
    '"via":null',
    '"via":{"host":7}',
    '"flags":"dead"',
    '"nexthops":"x"',
  ])
    t.same(hops(fields), nothing, fields)
})

t.test('property: however the output is cut, the objects are the same', async (t) => {
  const texts = [fixture('routes-ipv4.json'), fixture('routes-ipv6.json'), '[{"a":"\\\\\\"}{"},{"b":"\\\\"}]']
  const cut = (text: string, points: readonly number[]): string[] => {
    const at = [...new Set(points.map((point) => point % text.length))].sort((a, b) => a - b)
    return [0, ...at].map((from, i) => text.slice(from, at[i] ?? text.length))
  }
  fc.assert(
    fc.property(fc.constantFrom(...texts), fc.array(fc.nat(), { maxLength: 40 }), (text, points) => {
      const whole = (JSON.parse(text) as unknown[]).map((value) => JSON.stringify(value))
      const objects = split(cut(text, points)).map((object) => JSON.stringify(JSON.parse(object)))
      if (objects.join() !== whole.join()) throw new Error(`${objects.length} of ${whole.length}`)
    }),
  )
  t.same(split(['[', '']), [])
})

const TARGET = { table: 254, protocol: 179 }
const hop = (gateway: string | null, device: string | null, onlink = false): KernelHop => ({ gateway, device, onlink })
const operation = (
  type: FibOperation['type'],
  { prefix = '10.1.0.0/26', ...over }: Partial<PlannedRoute> & { readonly prefix?: string },
): FibOperation => ({
  type,
  to: routePrefix(prefix),
  route: { family: 0, kind: 'unicast', hops: [hop('192.168.0.2', 'eth0')], metric: 0, ...over },
})

t.test('operations as lines for ip -batch', async (t) => {
  const lines: [FibOperation, string][] = [
    [operation('add', {}), 'route add 10.1.0.0/26 via 192.168.0.2 dev eth0 proto 179 table 254 metric 0'],
    [
      operation('replace', { hops: [hop('192.168.0.2', 'tunl0', true)] }),
      'route replace 10.1.0.0/26 via 192.168.0.2 dev tunl0 proto 179 table 254 metric 0 onlink',
    ],
    [
      operation('add', { hops: [hop('192.168.0.2', 'eth0'), hop('192.168.0.3', 'tunl0', true)], metric: 5 }),
      'route add 10.1.0.0/26 proto 179 table 254 metric 5 nexthop via 192.168.0.2 dev eth0 nexthop via 192.168.0.3 dev tunl0 onlink',
    ],
    [operation('add', { kind: 'blackhole', hops: [] }), 'route add blackhole 10.1.0.0/26 proto 179 table 254 metric 0'],
    [operation('delete', {}), 'route del 10.1.0.0/26 proto 179 table 254 metric 0'],
    [operation('delete', { kind: 'blackhole', hops: [] }), 'route del 10.1.0.0/26 proto 179 table 254 metric 0'],
    [
      operation('add', { hops: [hop('fe80::1', 'eth0')] }),
      'route add 10.1.0.0/26 via inet6 fe80::1 dev eth0 proto 179 table 254 metric 0',
    ],
  ]
  for (const [given, line] of lines) t.equal(formatOperation(given, TARGET), line)
})

t.test('what must not reach ip is refused', async (t) => {
  const bad: FibOperation[] = [
    operation('add', { prefix: '10.0.0.256/26' }),
    operation('add', { prefix: '10.1.0.0/26\nlink del eth0' }),
    operation('add', { prefix: 'default' }),
    operation('delete', { prefix: '10.1.0.0/33' }),
    operation('add', { hops: [] }),
    operation('add', { hops: [hop('192.168.0.2 dev eth1', 'eth0')] }),
    operation('add', { hops: [hop('192.168.0.2', 'eth0 onlink')] }),
    operation('add', { hops: [hop('192.168.0.2', '-4')] }),
    operation('add', { hops: [hop('192.168.0.2', null)] }),
    operation('add', { metric: -1 }),
    operation('add', { metric: 2 ** 32 }),
    operation('add', { metric: Number.NaN }),
  ]
  for (const one of bad) t.throws(() => formatOperation(one, TARGET), FibError, JSON.stringify(one.route))
  t.throws(() => formatOperation(operation('add', {}), { table: 254, protocol: 0 }), FibError)
})

t.test('device names', async (t) => {
  for (const name of ['eth0', 'cali12ab34cd56e', 'eth0.100', 'v@x', 'wg-a_b']) t.ok(isDeviceName(name), name)
  for (const name of ['', '.', '..', '-x', 'a b', 'a/b', 'sixteencharacter', 'a\nb']) t.notOk(isDeviceName(name), name)
})

t.test('property: a line is always one command of plain words', async (t) => {
  const text = fc.oneof(fc.string(), fc.constantFrom('10.1.0.0/26', '192.168.0.2', 'eth0', 'fe80::1', 'fd00::/64'))
  fc.assert(
    fc.property(text, text, text, fc.integer(), (prefix, gateway, device, metric) => {
      let line: string
      try {
        line = formatOperation(operation('add', { prefix, hops: [hop(gateway, device)], metric }), TARGET)
      } catch (error) {
        if (error instanceof FibError) return
        throw error
      }
      if (!/^route add [0-9a-f.:]+\/\d+( [a-zA-Z0-9.:@_-]+)+$/.test(line)) throw new Error(line)
    }),
  )
  t.pass('holds')
})
