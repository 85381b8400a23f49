/** The pure parts of the encapsulation: mode by range, far nodes, device verdicts, packets of the UDP back end. */
import fc from 'fast-check'
import t from 'tap'
import { judgeVxlan, vxlanCommand } from '../../src/fib/encap/devices.js'
import { FarTable } from '../../src/fib/encap/far-table.js'
import { modeOf } from '../../src/fib/encap/mode.js'
import { ruleMac } from '../../src/fib/encap/rule.js'
import { BlockTable, takePacket } from '../../src/fib/encap/udp-packet.js'
import { planRoute, type Resolution } from '../../src/fib/resolve.js'
import { parsePrefix } from '../../src/net/prefix.js'
import { BASE, unicast } from './support.js'

const near: Resolution = {
  metric: 0,
  hops: [{ gateway: '192.168.0.2', device: 'eth0', onlink: false }],
  connected: true,
  reason: '',
  length: 24,
}
const far: Resolution = { ...near, connected: false }
const P = '10.244.2.0/26'

t.test('the longest range decides; outside of all, and for IPv6: never', async (t) => {
  const rules = [
    { within: parsePrefix('10.244.0.0/16'), mode: 'vxlan' as const },
    { within: parsePrefix('10.244.2.0/24'), mode: 'ipip' as const },
  ]
  for (const order of [rules, [...rules].reverse()]) {
    t.equal(modeOf(order, 0, P), 'ipip')
    t.equal(modeOf(order, 0, '10.244.3.0/26'), 'vxlan')
    t.equal(modeOf(order, 0, '10.0.0.0/8'), 'never')
  }
  t.equal(modeOf('vxlan', 1, 'fd00::/64'), 'never')
})

t.test('how a route is written in each mode', async (t) => {
  const cases = [
    ['never', far, { gateway: '192.168.0.2', device: 'eth0' }],
    ['ipip', near, { gateway: '192.168.0.2', device: 'tunl0', onlink: true }],
    ['ipip-cross-subnet', near, { gateway: '192.168.0.2', device: 'eth0' }],
    ['ipip-cross-subnet', far, { gateway: '192.168.0.2', device: 'tunl0', onlink: true }],
    ['vxlan', near, { gateway: '10.244.2.0', device: 'flannel.1', onlink: true }],
    ['vxlan-cross-subnet', near, { gateway: '192.168.0.2', device: 'eth0' }],
    ['udp', near, { gateway: null, device: 'flannel0', onlink: false }],
  ] as const
  for (const [encapsulation, resolution, hop] of cases)
    t.match(
      planRoute(P, unicast(P, '192.168.0.2'), { ...BASE, encapsulation }, () => resolution),
      { hops: [hop] },
      encapsulation,
    )
  const paths = planRoute(P, unicast(P, '192.168.0.2', '192.168.0.3'), { ...BASE, encapsulation: 'ipip' }, () => far)
  t.match(
    paths,
    {
      hops: [
        { gateway: '192.168.0.2', device: 'tunl0' },
        { gateway: '192.168.0.3', device: 'tunl0' },
      ],
    },
    'ECMP',
  )
  const inside = { ...far, hops: [{ gateway: null, device: 'flannel.1', onlink: false }] }
  t.match(
    planRoute(P, unicast(P, '192.168.0.2'), { ...BASE, encapsulation: 'vxlan' }, () => inside),
    /into the tunnel flannel\.1 itself/,
  )
  const vtep = { endpoint: '10.9.9.9', address: '10.244.2.1', mac: null, vni: 1, port: 4789 }
  const said = { ...unicast(P, '192.168.0.2'), vteps: new Map([['192.168.0.2', vtep]]) }
  t.match(
    planRoute(P, said, { ...BASE, encapsulation: 'vxlan' }, () => far),
    {
      hops: [{ gateway: '10.244.2.1' }],
      far: [{ address: '10.244.2.1', mac: ruleMac('10.9.9.9'), endpoint: '10.9.9.9', vni: null, port: 4789 }],
    },
  )
})

t.test(
  'a next hop inside of its own prefix: no tunnel, lest the outer packet takes the same route again',
  async (t) => {
    const plan = (encapsulation: 'ipip' | 'vxlan' | 'udp' | 'never', prefix: string) =>
      planRoute(prefix, unicast(prefix, '192.168.0.2'), { ...BASE, encapsulation }, () => ({ ...far, length: 16 }))
    for (const encapsulation of ['ipip', 'vxlan', 'udp'] as const)
      t.match(plan(encapsulation, '192.168.0.0/24'), /192\.168\.0\.2 lies in 192\.168\.0\.0\/24 itself/, encapsulation)
    t.match(plan('ipip', '192.168.0.0/16'), { hops: [{ device: 'tunl0' }] }, 'the way to it is as long')
    t.match(plan('never', '192.168.0.0/24'), { hops: [{ device: 'eth0' }] })
  },
)

t.test('far nodes: first neighbour and FDB, and gone when the last route has gone', async (t) => {
  const table = new FarTable()
  const node = {
    kind: 'vxlan',
    address: '10.244.2.0',
    mac: '6e:62:c0:a8:00:02',
    endpoint: '192.168.0.2',
    vni: null,
    port: null,
  } as const
  table.want('10.244.2.0/26', [node])
  table.want('10.244.3.0/26', [{ ...node, address: '10.244.3.0' }])
  const nothing = { neighbours: new Map(), fdb: new Map() }
  t.same(table.missing(nothing), {
    ip: [
      'neigh replace 10.244.2.0 lladdr 6e:62:c0:a8:00:02 nud permanent',
      'neigh replace 10.244.3.0 lladdr 6e:62:c0:a8:00:02 nud permanent',
    ],
    bridge: ['fdb replace 6e:62:c0:a8:00:02 dst 192.168.0.2 self permanent'],
  })
  const all = table.wanted
  t.same(table.missing(all), { ip: [], bridge: [] })
  table.want('10.244.2.0/26', [])
  t.same(table.surplus(all), { bridge: [], ip: ['neigh del 10.244.2.0'] })
  table.want('10.244.3.0/26', [])
  t.same(table.surplus(all).bridge, ['fdb del 6e:62:c0:a8:00:02 dst 192.168.0.2 self'])
})

t.test('a VXLAN device: repaired, made again, or only spoken of', async (t) => {
  const wanted = {
    device: 'flannel.1',
    vni: 1,
    port: 8472,
    address: '10.244.1.0/32',
    mac: '6e:62:c0:a8:00:01',
    local: '192.168.0.1',
    parentMtu: 1500,
  }
  const info_data = { id: 1, port: 8472, local: '192.168.0.1', learning: false }
  const link = {
    ifname: 'flannel.1',
    flags: ['UP'],
    mtu: 1450,
    address: wanted.mac,
    ifalias: 'nodebgp',
    linkinfo: { info_kind: 'vxlan', info_data },
    addr_info: [{ family: 'inet', local: '10.244.1.0', prefixlen: 32 }],
  }
  const fine = { remake: false, repairs: [], problems: [] }
  t.same(judgeVxlan(link, wanted), fine)
  t.same(judgeVxlan({ ...link, flags: [], mtu: 1500, address: '66:00:00:00:00:01', addr_info: [] }, wanted).repairs, [
    'link set dev flannel.1 address 6e:62:c0:a8:00:01',
    'link set dev flannel.1 mtu 1450',
    'address add 10.244.1.0/32 dev flannel.1',
    'link set dev flannel.1 up',
  ])
  for (const over of [{ id: 2 }, { port: 4789 }, { learning: true }, { local: '192.168.0.9' }])
    t.ok(
      judgeVxlan({ ...link, linkinfo: { info_kind: 'vxlan', info_data: { ...info_data, ...over } } }, wanted).remake,
      JSON.stringify(over),
    )
  const foreign = { ...link, ifalias: 'felix', flags: [] }
  t.match(judgeVxlan(foreign, wanted), { remake: false, repairs: [], problems: [/is down/] })
  t.match(judgeVxlan({ ...link, linkinfo: { info_kind: 'dummy' } }, wanted).problems, [/type dummy, not vxlan/])
  t.equal(
    vxlanCommand(wanted, 'eth0'),
    'link add name flannel.1 type vxlan id 1 dev eth0 local 192.168.0.1 dstport 8472 nolearning',
  )
})

function checksum(header: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < 20; at += 2) sum += (header[at]! << 8) | header[at + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum
}

t.test('UDP back end: TTL one less, checksum right; blocks by the longest match', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), fc.integer({ min: 2, max: 255 }), (octets, ttl) => {
      const packet = Uint8Array.from(octets)
      packet[0] = 0x45
      packet[8] = ttl
      packet[10] = packet[11] = 0
      const sum = ~checksum(packet) & 0xffff
      packet[10] = sum >>> 8
      packet[11] = sum & 255
      return takePacket(packet) >= 0 && packet[8] === ttl - 1 && checksum(packet) === 0xffff
    }),
  )
  const spent = new Uint8Array(20)
  spent[0] = 0x45
  spent[8] = 1
  t.equal(takePacket(spent), -1, 'TTL used up')
  t.equal(takePacket(new Uint8Array(19).fill(0x45)), -1, 'cut')
  t.equal(takePacket(new Uint8Array(40).fill(0x60)), -1, 'IPv6')
  const table = new BlockTable()
  table.replace([
    [0x0af40200, 24, 'a'],
    [0x0af40240, 26, 'b'],
  ])
  t.equal(table.find(0x0af40201), 'a')
  t.equal(table.find(0x0af40241), 'b')
  t.equal(table.find(0x0af40301), undefined)
})
