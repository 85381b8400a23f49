import t from 'tap'
import type { KernelOriginate } from '../../src/config/types.js'
import { matchKernelRoutes } from '../../src/fib/own-blocks.js'
import type { KernelRoute } from '../../src/fib/types.js'
import { parsePrefix } from '../../src/net/prefix.js'

function route(
  prefix: string,
  protocol: number,
  device: string | null,
  kind: KernelRoute['kind'] = 'unicast',
): KernelRoute {
  const hops = device === null ? [] : [{ gateway: null, device, onlink: false }]
  return { family: prefix.includes(':') ? 1 : 0, prefix, kind, protocol, metric: 0, table: 254, hops }
}

const ROUTES = [
  route('0.0.0.0/0', 3, 'eth0'),
  route('10.244.1.0/26', 80, null, 'blackhole'),
  route('10.244.1.5/32', 3, 'cali1234'),
  route('10.244.1.6/32', 3, 'veth6'),
  route('10.244.1.7/32', 80, 'cali7'),
  route('10.244.2.0/26', 179, 'eth0'),
  route('10.244.1.1/32', 2, 'cali1', 'local'),
  route('10.250.0.0/16', 80, 'cali9'),
  route('fd00:244::/122', 80, 'cali8'),
]

function match(over: Partial<KernelOriginate>): string[] {
  const rule: KernelOriginate = { kind: 'fromKernel', protocols: [], within: [], interfaces: [], ...over }
  return matchKernelRoutes(rule, ROUTES, 179).map((prefix) => prefix.text)
}

t.test('by protocol', async (t) => {
  t.same(match({ protocols: [80] }), ['10.244.1.0/26', '10.244.1.7/32', '10.250.0.0/16', 'fd00:244::/122'])
})

t.test('by range, of one family', async (t) => {
  const within = [parsePrefix('10.244.0.0/16')]
  t.same(match({ within }), ['10.244.1.0/26', '10.244.1.5/32', '10.244.1.6/32', '10.244.1.7/32'])
  t.same(match({ within: [parsePrefix('fd00:244::/64')] }), ['fd00:244::/122'])
})

t.test('by device; a pattern is no regular expression', async (t) => {
  t.same(match({ interfaces: ['cali*'] }), ['10.244.1.5/32', '10.244.1.7/32', '10.250.0.0/16', 'fd00:244::/122'])
  t.same(match({ interfaces: ['cali?'], protocols: [80] }), ['10.244.1.7/32', '10.250.0.0/16', 'fd00:244::/122'])
  t.same(match({ interfaces: ['.*'] }), [])
})

t.test('our own routes are never announced as blocks, also where the protocol is asked for', async (t) => {
  t.same(match({ protocols: [179] }), [])
})

t.test('a prefix with several routes counts once', async (t) => {
  const rule: KernelOriginate = { kind: 'fromKernel', protocols: [], within: [], interfaces: [] }
  const twice = [route('10.1.0.0/26', 80, 'a'), route('10.1.0.0/26', 3, 'b')]
  t.same(
    matchKernelRoutes(rule, twice, 179).map((prefix) => prefix.text),
    ['10.1.0.0/26'],
  )
})
