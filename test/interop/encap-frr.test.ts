/**
 * A VXLAN path with FRR at the far end: bgpd carries the routes, zebra writes its side of them, onto a device that somebody made by hand after our rule (VTEP
 * address: base of the block, MAC: of the node's address). FRR knows nothing of VTEPs; the rule alone makes both ends meet.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ruleMac } from '../../src/fib/encap/rule.js'
import { foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { Process, run } from '../support/daemons/process.js'
import { Segment } from '../support/daemons/segment.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const ASN = 64512
const families = ['ipv4-unicast'] as const
const [OURS, THEIRS] = ['10.244.1.0/26', '10.244.2.0/26'] as const

const requirement = {
  commands: ['ip', 'bridge', 'ping', 'tcpdump', ...REQUIREMENTS.frr.commands],
  packages: ['iproute2', 'iputils-ping', 'tcpdump', REQUIREMENTS.frr.package],
  root: true,
}

if (requireOrSkip(t, requirement)) {
  t.test('Pods behind FRR are reached through VXLAN, and answer through it', async (t) => {
    const segment = new Segment(t)
    const [here, there] = [segment.host('node', 1), segment.host('frr', 2)]
    for (const [host, pod] of [
      [here, '10.244.1.2/32'],
      [there, '10.244.2.2/32'],
    ] as const)
      host.ns.ip(`addr add ${pod} dev lo`)

    there.ns.ip(`link add vxlan1 type vxlan id 1 dev eth0 local ${there.v4} dstport 8472 nolearning`)
    there.ns.ip(`link set vxlan1 address ${ruleMac(there.v4)} mtu 1450 up`)
    there.ns.ip('addr add 10.244.2.0/32 dev vxlan1')
    there.ns.ip('route add 10.244.1.0/32 dev vxlan1')
    there.ns.ip(`neigh add 10.244.1.0 lladdr ${ruleMac(here.v4)} dev vxlan1 nud permanent`)
    there.ns.exec('bridge', 'fdb', 'append', ruleMac(here.v4), 'dev', 'vxlan1', 'dst', here.v4, 'self', 'permanent')

    const ours = new Nodebgp(
      {
        host: here,
        asn: ASN,
        kernel: true,
        routes: [{ prefix: OURS }],
        peers: [{ address: there.v4, asn: ASN, families }],
      },
      { fib: { accept: ['10.244.0.0/16'], encapsulation: 'vxlan', vxlan: { address: '10.244.1.0/32' } } },
    )
    const frr = foreign('frr', {
      host: there,
      asn: ASN,
      kernel: true,
      routes: [{ prefix: THEIRS }],
      peers: [{ address: here.v4, asn: ASN, families }],
    })
    await Promise.all([segment.add(ours).start(), segment.add(frr).start()])
    await frr.learned(OURS)
    // zebra's route to our block leads into the tunnel too.
    const configure = ['configure terminal', 'route-map TUNNEL permit 10', 'set ip next-hop 10.244.1.0', 'exit']
    const neighbor = [`router bgp ${ASN}`, 'address-family ipv4 unicast', `neighbor ${here.v4} route-map TUNNEL in`]
    const words = [...configure, ...neighbor].flatMap((line) => ['-c', line])
    await run('vtysh', '--vty_socket', there.dir, ...words)
    await frr.refresh(here.v4)
    await until(
      "zebra's route",
      () => there.ns.ip(`route show ${OURS}`),
      (text) => /dev vxlan1 proto bgp/.test(text),
    )
    await until(
      'our route',
      () => here.ns.ip(`route show ${THEIRS}`),
      (text) => /via 10\.244\.2\.0 dev flannel\.1 proto 179 onlink/.test(text),
    )

    const dump = join(there.dir, 'dump.log')
    const options = ['-i', 'eth0', '-n', '-l', '--immediate-mode', '-c', '4', 'udp', 'port', '8472']
    const tcpdump = segment.add(new Process(there.netns, dump, 'tcpdump', options))
    await until(
      'tcpdump listens',
      () => readFileSync(dump, 'utf8'),
      (text) => text.includes('listening on'),
    )
    const [program, ...args] = [...here.ns.execPrefix, 'ping', '-n', '-q', '-c', '3', '-i', '0.2', '-W', '5']
    const ping = spawnSync(program!, [...args, '-I', '10.244.1.2', '10.244.2.2'], { encoding: 'utf8' })
    t.match(ping.stdout, / 0% packet loss/, 'all come back')
    await tcpdump.ended
    const packets = readFileSync(dump, 'utf8')
    const outer = (from: string, to: string) =>
      new RegExp(`IP ${from}\\.\\d+ > ${to}\\.8472: OTV, flags \\[I\\] \\(0x08\\), overlay 0, instance 1`)
    t.match(packets, outer(here.v4, there.v4))
    t.match(packets, /IP 10\.244\.1\.2 > 10\.244\.2\.2: ICMP echo request/)
    t.match(packets, outer(there.v4, here.v4))
    t.match(packets, /IP 10\.244\.2\.2 > 10\.244\.1\.2: ICMP echo reply/)
  })
}
