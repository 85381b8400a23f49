import t from 'tap'
import { findParent, judgeTunnel, type LinkJson } from '../../src/fib/tunnel.js'

function link(over: Partial<LinkJson> = {}): LinkJson {
  return {
    ifname: 'tunl0',
    flags: ['NOARP', 'UP', 'LOWER_UP'],
    mtu: 1480,
    linkinfo: { info_kind: 'ipip' },
    addr_info: [{ family: 'inet', local: '10.244.1.1', prefixlen: 32, scope: 'global' }],
    ...over,
  }
}

const eth = (ifname: string, mtu: number, local: string, prefixlen = 24, flags = ['UP']): LinkJson => ({
  ifname,
  mtu,
  flags,
  addr_info: [{ family: 'inet', local, prefixlen, scope: 'global' }],
})

t.test('a device in order: nothing to do, nothing to say', async (t) => {
  t.same(judgeTunnel(link(), 1500, null), { repairs: [], problems: [] })
  t.same(judgeTunnel(link({ ifalias: 'nodebgp' }), 1500, '10.244.1.1/32'), { repairs: [], problems: [] })
  t.same(
    judgeTunnel(link({ mtu: 1400 }), 1500, null),
    { repairs: [], problems: [] },
    'a smaller MTU is the owner’s choice',
  )
})

t.test('of a foreign device we only say what is wrong', async (t) => {
  const verdict = judgeTunnel(link({ flags: [], mtu: 1500, addr_info: [] }), 1500, '10.244.1.0/32')
  t.same(verdict.repairs, [])
  t.match(verdict.problems, [/MTU 1500, above 1480/, /no IPv4 address/, /tunl0 is down/])
})

t.test('a device of ours is repaired', async (t) => {
  const broken = link({ ifalias: 'nodebgp', flags: [], mtu: 1300, addr_info: [] })
  t.same(judgeTunnel(broken, 1500, '10.244.1.0/32'), {
    repairs: ['link set dev tunl0 mtu 1480', 'address add 10.244.1.0/32 dev tunl0', 'link set dev tunl0 up'],
    problems: [],
  })
})

t.test('a device of another kind is never touched, also with our alias', async (t) => {
  const verdict = judgeTunnel(link({ ifalias: 'nodebgp', linkinfo: { info_kind: 'vxlan' }, flags: [] }), 1500, null)
  t.same(verdict.repairs, [])
  t.match(verdict.problems, [/type vxlan, not ipip/])
})

t.test('the parent: the device of the node address, else the smallest MTU; never loopback', async (t) => {
  const links = [
    eth('lo', 65536, '10.0.0.1', 32, ['UP', 'LOOPBACK']),
    eth('e0', 9000, '192.168.0.1'),
    eth('e1', 1500, '192.168.1.1'),
  ]
  t.same(findParent(links, ['192.168.0.1']), { device: 'e0', mtu: 9000, address: '192.168.0.1' })
  t.same(findParent(links, ['192.168.1.1', '192.168.0.1']), { device: 'e1', mtu: 1500, address: '192.168.1.1' })
  t.same(findParent(links, []), { device: 'e1', mtu: 1500, address: '192.168.1.1' })
  t.same(findParent(links, ['fd00::1', '10.0.0.1']), { device: null, mtu: 1500, address: '10.0.0.1' })
  t.same(findParent([], []), { device: null, mtu: 0, address: null })
})
