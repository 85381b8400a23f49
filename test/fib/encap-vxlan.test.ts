/** VXLAN on the real kernel: device, neighbours and FDB around the routes; Pods reach each other; what somebody takes away comes back. */
import t from 'tap'
import { createFib, type FibOptions } from '../../src/fib/fib.js'
import type { Fib } from '../../src/fib/types.js'
import { type Netns, needsNetns } from '../support/netns.js'
import { childrenOf, commandOf } from '../support/processes.js'
import { requireOrSkip } from '../support/require.js'
import { makeTwoNodes } from './encap-support.js'
import { BASE, kernelBench, setAll, unicast, until, type Wanted } from './support.js'

const FAR = '10.244.2.0/26'
const CALICO = { layout: 'calico', vni: 4096, port: 4789, device: 'vxlan.calico' } as const

t.test(
  'what an earlier run left on our device goes with the next look, also where no route changes',
  needsNetns(),
  async (t) => {
    const { open, netns } = kernelBench(t, 'netlink')
    const { fib } = await open({ encapsulation: 'vxlan', nodeAddresses: ['192.168.0.1'], compareMs: 3_600_000 })
    await setAll(fib, unicast(FAR, '192.168.0.2'))
    fib.sweepAdopted()
    await fib.settled()
    const neighbours = (): string => netns!.ip('neigh show dev flannel.1 nud permanent')
    netns!.ip('neigh replace 10.9.9.0 lladdr 6e:62:01:02:03:04 dev flannel.1 nud permanent')
    netns!.ip('address add 10.7.7.7/32 dev v1')
    await until('it goes', () => !neighbours().includes('10.9.9.0'))
    t.match(neighbours(), /^10\.244\.2\.0 lladdr 6e:62:c0:a8:00:02 PERMANENT/)
  },
)

t.test('VXLAN between two nodes', needsNetns(), async (t) => {
  if (!requireOrSkip(t, { commands: ['tcpdump', 'ping', 'bridge'], packages: ['tcpdump', 'iputils-ping', 'iproute2'] }))
    return
  const world = makeTwoNodes(t)
  const [n1, n2] = world.nodes
  const words: string[] = []
  const open = async (index: 0 | 1, over: Partial<FibOptions>): Promise<Fib> => {
    const i = index + 1
    const fib = createFib(
      {
        ...BASE,
        driver: 'auto',
        netns: world.nodes[index].name,
        nodeAddresses: [`192.168.0.${i}`],
        encapsulation: 'vxlan',
        ...over,
        vxlan: { ...BASE.vxlan, address: `10.244.${i}.0/32`, ...over.vxlan },
      },
      { log: (fact) => 'text' in fact.fields && words.push(fact.fields.text) },
    )
    t.teardown(() => fib.stop('keep'))
    await fib.start()
    return fib
  }
  const routes = (node: Netns): string => node.ip('route show proto 179')
  const orNothing = (read: () => string): string => {
    try {
      return read()
    } catch {
      return ''
    }
  }
  // The device may be away at the moment.
  const neighbours = (node: Netns, device: string): string =>
    orNothing(() => node.ip(`neigh show dev ${device} nud permanent`))
  const fdb = (node: Netns, device: string): string =>
    orNothing(() => node.exec('bridge', 'fdb', 'show', 'dev', device))

  let [a, b] = await Promise.all([open(0, {}), open(1, {})])
  await Promise.all([setAll(a, unicast(FAR, '192.168.0.2')), setAll(b, unicast('10.244.1.0/26', '192.168.0.1'))])

  t.test('by the rule: address of the block, MAC of the next hop; on the wire VNI 1, port 8472', async (t) => {
    t.match(routes(n1), /^10\.244\.2\.0\/26 via 10\.244\.2\.0 dev flannel\.1 onlink/m)
    t.match(neighbours(n1, 'flannel.1'), /^10\.244\.2\.0 lladdr 6e:62:c0:a8:00:02 PERMANENT/m)
    t.match(fdb(n1, 'flannel.1'), /^6e:62:c0:a8:00:02 dst 192\.168\.0\.2 self permanent/m)
    const [device] = n2.ipJson('-d address show dev flannel.1') as {
      mtu: number
      address: string
      ifalias: string
      linkinfo: { info_data: { id: number; port: number; local: string; learning: boolean } }
      addr_info: { local: string; prefixlen: number }[]
    }[]
    t.match(device, {
      mtu: 1450,
      ifalias: 'nodebgp',
      address: '6e:62:c0:a8:00:02',
      linkinfo: { info_data: { id: 1, port: 8472, local: '192.168.0.2', learning: false } },
      addr_info: [{ local: '10.244.2.0', prefixlen: 32 }],
    })
    const packets = await world.capture('udp port 8472', 2, () => t.ok(world.ping()))
    t.match(packets, /192\.168\.0\.1\.\d+ > 192\.168\.0\.2\.8472: OTV, flags \[I\] \(0x08\), overlay 0, instance 1/)
    t.match(packets, /IP 10\.244\.1\.2 > 10\.244\.2\.2: ICMP echo request/)
    t.ok(world.ping(n1), 'the node itself reaches the Pod, from its VTEP address')
    t.same(a.ownVtep(), {
      endpoint: '192.168.0.1',
      address: '10.244.1.0',
      mac: '6e:62:c0:a8:00:01',
      vni: 1,
      port: 8472,
    })
  })

  t.test(
    'what somebody deletes or changes comes back: neighbour, FDB, MTU, address, link, the device itself',
    async (t) => {
      if (a.driver === 'netlink') t.same(monitors(), [], 'the socket of the routes tells of it')
      const link = (): string => orNothing(() => n1.ip('addr show dev flannel.1'))
      const inOrder = (): boolean =>
        /10\.244\.2\.0 lladdr 6e:62:c0:a8:00:02 PERMANENT/.test(neighbours(n1, 'flannel.1')) &&
        /^6e:62:c0:a8:00:02 dst 192\.168\.0\.2 self permanent\s*$/m.test(fdb(n1, 'flannel.1')) &&
        /mtu 1450/.test(link()) &&
        /10\.244\.1\.0\/32/.test(link()) &&
        /6e:62:c0:a8:00:01/.test(link()) &&
        /10\.244\.2\.0\/26/.test(routes(n1))
      const hurt: readonly [string, () => unknown][] = [
        ['neighbour deleted', () => n1.ip('neigh del 10.244.2.0 dev flannel.1')],
        [
          'neighbour changed',
          () => n1.ip('neigh replace 10.244.2.0 lladdr 66:00:00:00:00:09 dev flannel.1 nud permanent'),
        ],
        [
          'FDB entry deleted',
          () => n1.exec('bridge', 'fdb', 'del', '6e:62:c0:a8:00:02', 'dev', 'flannel.1', 'dst', '192.168.0.2', 'self'),
        ],
        [
          'FDB entry appended',
          () =>
            n1.exec(
              'bridge',
              'fdb',
              'append',
              '6e:62:c0:a8:00:02',
              'dev',
              'flannel.1',
              'dst',
              '192.168.0.77',
              'self',
              'permanent',
            ),
        ],
        ['MTU', () => n1.ip('link set dev flannel.1 mtu 1300')],
        ['MAC', () => n1.ip('link set dev flannel.1 address 66:00:00:00:00:08')],
        ['address', () => n1.ip('addr flush dev flannel.1')],
        ['down', () => n1.ip('link set dev flannel.1 down')],
        ['device deleted', () => n1.ip('link delete dev flannel.1')],
        [
          'another VNI in its place',
          () => {
            n1.ip('link delete dev flannel.1')
            n1.ip('link add flannel.1 type vxlan id 7 dstport 8472 dev eth0')
            n1.ip('link set flannel.1 alias nodebgp')
          },
        ],
      ]
      for (const [what, act] of hurt) {
        act()
        await until(what, inOrder)
      }
      for (const [parent, device] of [
        [1400, 1350],
        [1500, 1450],
      ]) {
        n1.ip(`link set eth0 mtu ${parent}`)
        await until('the MTU follows the one below', () => link().includes(`mtu ${device} `))
      }
      const noDevice = /^cannot write .*(Cannot find device|unknown ifindex)/
      t.same(
        words.filter((line) => noDevice.test(line)),
        [],
        'not a word for each far node of a device that is gone',
      )
      // In one go, before it is put up again.
      n1.exec('sh', '-c', "printf 'link set flannel.1 down\\nlink set flannel.1 name other\\n' | ip -batch -")
      await until('why there is none', () => words.some((line) => /another device has its VNI and port/.test(line)))
      n1.ip('link delete dev other')
      await until('the VNI is free', inOrder)
      t.ok(world.ping(), 'Pods reach each other after all of it')
      if (!t.passing()) t.comment(words.join('\n'))
    },
  )

  t.test('with the driver iproute2 a child tells of neighbours and FDB', async (t) => {
    await a.stop('keep')
    const fib = await open(0, { driver: 'iproute2', compareMs: 3_600_000 })
    await setAll(fib, unicast(FAR, '192.168.0.2'))
    t.match(monitors().join('\n'), /monitor neigh dev flannel\.1/)
    n1.ip('neigh del 10.244.2.0 dev flannel.1')
    await until('the neighbour', () => /6e:62:c0:a8:00:02 PERMANENT/.test(neighbours(n1, 'flannel.1')))
    n1.exec('bridge', 'fdb', 'del', '6e:62:c0:a8:00:02', 'dev', 'flannel.1', 'dst', '192.168.0.2', 'self')
    await until('the FDB entry', () => /^6e:62:c0:a8:00:02 dst 192\.168\.0\.2/m.test(fdb(n1, 'flannel.1')))
    await fib.stop('keep')
    t.same(monitors(), [])
    a = await open(0, {})
    await setAll(a, unicast(FAR, '192.168.0.2'))
  })

  t.test(
    'what BGP says of the far end goes before the rule; several blocks share a VTEP until the last is gone',
    async (t) => {
      const vtep = { endpoint: null, address: '10.244.9.9', mac: '66:11:11:11:11:11', vni: 9, port: 4789 }
      const of = (prefix: string): Wanted => ({
        ...unicast(prefix, '192.168.0.2'),
        vteps: new Map([['192.168.0.2', vtep]]),
      })
      await setAll(a, of('10.244.8.0/26'), of('10.244.9.0/26'))
      t.match(routes(n1), /^10\.244\.8\.0\/26 via 10\.244\.9\.9 dev flannel\.1 onlink/m)
      t.match(neighbours(n1, 'flannel.1'), /^10\.244\.9\.9 lladdr 66:11:11:11:11:11 PERMANENT/m)
      t.match(fdb(n1, 'flannel.1'), /^66:11:11:11:11:11 dst 192\.168\.0\.2 port 4789 vni 9 self permanent/m)
      a.set('10.244.8.0/26', null)
      await a.settled()
      t.match(neighbours(n1, 'flannel.1'), /10\.244\.9\.9/)
      a.set('10.244.9.0/26', null)
      await a.settled()
      await until('neighbour and FDB entry are gone', () => !/10\.244\.9\.9/.test(neighbours(n1, 'flannel.1')))
      t.notMatch(fdb(n1, 'flannel.1'), /66:11:11:11:11:11/)
      t.match(fdb(n1, 'flannel.1'), /6e:62:c0:a8:00:02/, 'the other far node stays')
    },
  )

  t.test('a reload that leaves VXLAN, and one that comes back to it', async (t) => {
    const rules = { ...BASE, vxlan: { ...BASE.vxlan, address: '10.244.1.0/32' } }
    const bridges = (): string[] => descendants().filter((command) => command.startsWith(`bridge -n ${n1.name} `))
    t.equal(bridges().length, 1)
    a.sweepAdopted()
    a.reconfigure(rules)
    await until('the plain route', () => /^10\.244\.2\.0\/26 via 192\.168\.0\.2 dev eth0/m.test(routes(n1)))
    await until('nobody looks after the device', () => bridges().length === 0)
    t.equal(neighbours(n1, 'flannel.1').trim(), '')
    t.notMatch(fdb(n1, 'flannel.1'), /6e:62/)
    t.ok(world.ping(), 'the other node still sends through the tunnel')
    a.reconfigure({ ...rules, encapsulation: 'vxlan' })
    await until('the route through the tunnel', () => /^10\.244\.2\.0\/26 .* dev flannel\.1/m.test(routes(n1)))
    t.match(neighbours(n1, 'flannel.1'), /10\.244\.2\.0/)
    t.ok(world.ping())
  })

  t.test('a new run takes over: entries of routes that nobody confirms go with them', async (t) => {
    await setAll(a, unicast('10.244.7.0/26', '192.168.0.7'))
    await a.stop('keep')
    t.match(neighbours(n1, 'flannel.1'), /10\.244\.7\.0/)
    t.ok(world.ping(), 'forwarding goes on without us')
    const again = await open(0, {})
    await setAll(again, unicast(FAR, '192.168.0.2'))
    t.match(neighbours(n1, 'flannel.1'), /10\.244\.7\.0/, 'not before the sweep')
    again.sweepAdopted()
    await again.settled()
    await until('leftovers are gone', () => !/10\.244\.7\.0/.test(neighbours(n1, 'flannel.1')))
    t.notMatch(fdb(n1, 'flannel.1'), /6e:62:c0:a8:00:07/)
    t.match(neighbours(n1, 'flannel.1'), /10\.244\.2\.0/)
    await again.stop('flush')
    t.equal(neighbours(n1, 'flannel.1').trim(), '')
    t.notMatch(fdb(n1, 'flannel.1'), /6e:62/)
  })

  t.test('only across subnets, per range, and never: Calico’s layout on the wire', async (t) => {
    await b.stop('flush')
    for (const node of world.nodes) node.ip('link delete dev flannel.1')
    const within = (text: string): FibOptions['accept'][number] => ({ ...rangeOf(text) })
    const encapsulation = [
      { within: within('10.244.0.0/16'), mode: 'vxlan-cross-subnet' as const },
      { within: within('10.244.5.0/24'), mode: 'never' as const },
    ]
    const over = (i: number): Partial<FibOptions> => ({
      encapsulation,
      vxlan: { ...CALICO, address: `10.244.${i}.1/32`, mac: null },
      nodeAddresses: [`10.0.${i}.${i}`],
    })
    const [c, d] = await Promise.all([open(0, over(1)), open(1, over(2))])
    await Promise.all([
      setAll(
        c,
        unicast(FAR, '10.0.2.2'),
        unicast('10.244.4.0/26', '192.168.0.2'),
        unicast('10.244.5.0/26', '10.0.2.2'),
      ),
      setAll(d, unicast('10.244.1.0/26', '10.0.1.1')),
    ])
    t.match(routes(n1), /^10\.244\.2\.0\/26 via 10\.244\.2\.0 dev vxlan\.calico onlink/m, 'another subnet: tunnel')
    t.match(routes(n1), /^10\.244\.4\.0\/26 via 192\.168\.0\.2 dev eth0/m, 'the same subnet: plain')
    t.match(routes(n1), /^10\.244\.5\.0\/26 via 192\.168\.0\.2 dev eth0/m, 'never in that range')
    const packets = await world.capture('udp port 4789', 2, () => t.ok(world.ping()))
    t.match(packets, /10\.0\.1\.1\.\d+ > 10\.0\.2\.2\.4789: VXLAN, flags \[I\] \(0x08\), vni 4096/)
    t.match(packets, /IP 10\.244\.1\.2 > 10\.244\.2\.2: ICMP echo request/)
    await Promise.all([c.stop('flush'), d.stop('flush')])
    for (const node of world.nodes) node.ip('link delete dev vxlan.calico')
    const [e, f] = await Promise.all([open(0, { encapsulation: 'never' }), open(1, { encapsulation: 'never' })])
    await Promise.all([setAll(e, unicast(FAR, '192.168.0.2')), setAll(f, unicast('10.244.1.0/26', '192.168.0.1'))])
    const plain = await world.capture('icmp', 1, () => t.ok(world.ping()))
    t.match(plain, /IP 10\.244\.1\.2 > 10\.244\.2\.2: ICMP echo request/)
    await Promise.all([e.stop('flush'), f.stop('flush')])
  })

  t.test('a device of somebody else, as Felix has it: told, used, never changed', async (t) => {
    n1.ip('link add vxlan.calico type vxlan id 4096 local 192.168.0.1 dstport 4789')
    n1.ip('link set vxlan.calico mtu 1500 up')
    words.length = 0
    const fib = await open(0, { vxlan: { ...CALICO, address: null, mac: null } })
    await until('words', () => words.some((line) => /vxlan\.calico/.test(line)))
    const said = words.join('\n')
    t.match(said, /learns addresses/)
    t.match(said, /MTU 1500, above 1450/)
    t.match(said, /no IPv4 address/)
    n1.exec(
      'bridge',
      'fdb',
      'add',
      '66:00:00:00:00:55',
      'dev',
      'vxlan.calico',
      'dst',
      '192.168.0.55',
      'self',
      'permanent',
    )
    await setAll(fib, unicast(FAR, '192.168.0.2'))
    fib.sweepAdopted()
    // Its owner gives it another MAC: whoever tells other nodes of it hears so, and at no time is there none.
    let told = ''
    fib.onForeignRoutesChanged(() => {
      told = fib.ownVtep()?.mac ?? 'none'
    })
    let without = 0
    n1.ip('link set dev vxlan.calico address 66:00:00:00:00:77')
    await until('the other MAC is told', () => {
      if (fib.ownVtep() === null) without++
      return told === '66:00:00:00:00:77'
    })
    t.equal(without, 0)
    await fib.stop('flush')
    t.match(fdb(n1, 'vxlan.calico'), /66:00:00:00:00:55/, 'the entry of the owner stays')
    t.notMatch(fdb(n1, 'vxlan.calico'), /6e:62/, 'ours has gone')
    t.match(n1.ip('link show dev vxlan.calico'), /mtu 1500/)
  })
})

/** What the children of this process, and those of their shells, run as `ip monitor`. */
function monitors(): string[] {
  return descendants().filter((command) => / monitor /.test(command))
}

/** The commands of our children, and of theirs. */
function descendants(): string[] {
  return childrenOf(process.pid)
    .flatMap((pid) => [pid, ...childrenOf(pid)])
    .map((pid) => commandOf(pid))
}

function rangeOf(text: string): FibOptions['accept'][number] {
  const [address, length] = text.split('/')
  return { family: 0, address: Uint8Array.from(address!.split('.').map(Number)), length: Number(length), text }
}
