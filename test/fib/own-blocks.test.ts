import t from 'tap'
import type { AggregateRule, KernelOriginate, OriginateRule } from '../../src/config/types.js'
import { findKernelBlocks } from '../../src/fib/own-blocks.js'
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
const POOL = [parsePrefix('10.244.0.0/16')]
const BLOCKS: AggregateRule = { ipv4: 26, ipv6: 122, requireBlackhole: false, blackhole: false }

function rule(over: Partial<KernelOriginate>): KernelOriginate {
  return { kind: 'fromKernel', protocols: [], within: [], interfaces: [], blackhole: null, aggregate: null, ...over }
}

function match(over: Partial<KernelOriginate>, routes = ROUTES): string[] {
  return [...findKernelBlocks([rule(over)], routes, 179).keys()]
}

t.test('by protocol', async (t) => {
  t.same(match({ protocols: [80] }), ['10.244.1.0/26', '10.244.1.7/32', '10.250.0.0/16', 'fd00:244::/122'])
})

t.test('by range, of one family', async (t) => {
  t.same(match({ within: POOL }), ['10.244.1.0/26', '10.244.1.5/32', '10.244.1.6/32', '10.244.1.7/32'])
  t.same(match({ within: [parsePrefix('fd00:244::/64')] }), ['fd00:244::/122'])
})

t.test('by device; a pattern is no regular expression', async (t) => {
  t.same(match({ interfaces: ['cali*'] }), ['10.244.1.5/32', '10.244.1.7/32', '10.250.0.0/16', 'fd00:244::/122'])
  t.same(match({ interfaces: ['cali?'], protocols: [80] }), ['10.244.1.7/32', '10.250.0.0/16', 'fd00:244::/122'])
  t.same(match({ interfaces: ['.*'] }), [])
})

t.test('only blackholes, or none of them', async (t) => {
  const others = [route('10.1.0.0/26', 80, null, 'unreachable'), route('10.2.0.0/26', 80, null, 'prohibit')]
  t.same(match({ blackhole: true }, [...ROUTES, ...others]), ['10.244.1.0/26', '10.1.0.0/26', '10.2.0.0/26'])
  t.same(match({ blackhole: false, within: POOL }), ['10.244.1.5/32', '10.244.1.6/32', '10.244.1.7/32'])
})

t.test('our own routes are never announced as blocks, also where the protocol is asked for', async (t) => {
  t.same(match({ protocols: [179] }), [])
})

t.test('a prefix with several routes counts once', async (t) => {
  const twice = [route('10.1.0.0/26', 80, 'a'), route('10.1.0.0/26', 3, 'b')]
  const blocks = findKernelBlocks([rule({})], twice, 179)
  t.equal(blocks.size, 1)
  t.same(blocks.get('10.1.0.0/26')!.routes, twice)
})

t.test('aggregate: Pods stand for their block; the block stays while one of them or its blackhole does', async (t) => {
  const within = [...POOL, parsePrefix('fd00:244::/64')]
  const pods = { within, interfaces: ['cali*'], aggregate: BLOCKS }
  t.same(match(pods), ['10.244.1.0/26', 'fd00:244::/122'])
  const v6 = [route('fd00:244::a1/128', 3, 'cali1'), route('fd00:244::41/128', 3, 'cali2')]
  t.same(match(pods, v6), ['fd00:244::80/122', 'fd00:244::40/122'])
  t.same(match(pods, [route('10.244.1.70/32', 3, 'cali1')]), ['10.244.1.64/26'], 'a Pod alone')
  t.same(match(pods, [route('10.244.1.64/26', 80, null, 'blackhole')]), ['10.244.1.64/26'], 'the blackhole alone')
  t.same(match(pods, [route('10.244.0.0/16', 80, null, 'blackhole')]), [], 'a blackhole of another size marks no block')
  t.same(match(pods, [route('10.244.1.0/25', 80, 'cali1')]), ['10.244.1.0/25'], 'larger ones stay as they are')
  t.same(match(pods, []), [])
})

t.test('requireBlackhole: a Pod outside of the marked blocks has a borrowed address and stays alone', async (t) => {
  const aggregate = { ...BLOCKS, requireBlackhole: true }
  const borrowed = route('10.244.9.5/32', 3, 'cali55')
  const routes = [...ROUTES, borrowed]
  t.same(match({ within: POOL, aggregate }, routes), ['10.244.1.0/26', '10.244.9.5/32'])
  const fixed: OriginateRule = {
    kind: 'static',
    prefix: parsePrefix('10.244.9.0/26'),
    blackhole: true,
    nextHop: null,
    med: null,
    localPref: null,
    communities: [],
  }
  const found = findKernelBlocks([fixed, rule({ within: POOL, aggregate })], routes, 179)
  t.same([...found.keys()], ['10.244.1.0/26', '10.244.9.0/26'], 'a block that originate names is ours too')
})

t.test('where a block comes from; a blackhole of ours only where nobody has one', async (t) => {
  const aggregate = { ...BLOCKS, blackhole: true }
  const rules = [rule({ protocols: [99] }), rule({ within: POOL, aggregate }), rule({ within: POOL })]
  const routes = [...ROUTES, route('10.244.3.9/32', 3, 'cali3')]
  const found = findKernelBlocks(rules, routes, 179)
  t.match(found.get('10.244.1.0/26'), { rule: 1, aggregated: true, blackhole: false })
  t.same(
    found.get('10.244.1.0/26')!.routes.map(({ prefix }) => prefix),
    ['10.244.1.0/26', '10.244.1.5/32', '10.244.1.6/32', '10.244.1.7/32'],
  )
  t.match(found.get('10.244.3.0/26'), { rule: 1, aggregated: true, blackhole: true })
  t.match(found.get('10.244.3.9/32'), { rule: 2, aggregated: false, blackhole: false }, 'of the next rule, as it is')
})
