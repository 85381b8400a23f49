/** IPIP on a real kernel that has it: our FIB, and two whole daemons, write routes through tunnels, and pods reach each other. */
import t, { type Test } from 'tap'
import type { PathView } from '../../src/api/types.js'
import { MAIN } from '../support/nodebgp.js'
import { requireOrSkip, whatIsMissing } from '../support/require.js'
import { runInUml, UML_REQUIREMENT } from '../support/uml.js'

interface DeviceJson {
  readonly mtu: number
  readonly flags: readonly string[]
  readonly ifalias?: string
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number }[]
  readonly stats64: { readonly rx: { readonly packets: number }; readonly tx: { readonly packets: number } }
}

const FRR_FOLDER = '/usr/lib/frr'
const FRR = { commands: [`${FRR_FOLDER}/zebra`, `${FRR_FOLDER}/bgpd`], packages: ['frr'] }

// The guest takes 20 to 60 s, by how busy the machine is.
t.setTimeout(280_000)

t.test('IPIP in user-mode Linux', { timeout: 270_000 }, async (t) => {
  const commands = [...UML_REQUIREMENT.commands, 'ping', 'tcpdump']
  const packages = [...UML_REQUIREMENT.packages, 'iputils-ping', 'tcpdump']
  if (!requireOrSkip(t, { commands, packages })) return
  const FIB_NODE = new URL('./uml-node.js', import.meta.url).pathname
  const variables = { FIB_NODE, MAIN, NODE: process.execPath, FRR: whatIsMissing(FRR) === '' ? FRR_FOLDER : '' }
  const run = await runInUml(t, 'test/fib/ipip-uml.sh', variables)
  t.equal(run.status, 0, 'the guest ran to its end')
  if (run.status !== 0) t.comment(run.console)
  const device = (name: string): DeviceJson => (JSON.parse(run.file(name) || '[{}]') as DeviceJson[])[0]!

  /** Five pings from pod to pod that ipip-uml.sh has made with ping_through_tunnel. */
  const pingsThroughTunnel = (t: Test, part: string): void => {
    t.match(run.file(`${part}-ping`), /5 packets transmitted, 5 received/)
    t.equal(run.file(`${part}-ping-status`).trim(), '0')
    const [before, after] = [device(`${part}-before`), device(`${part}-after`)]
    t.equal(after.stats64.tx.packets - before.stats64.tx.packets, 5, 'the pings went into the tunnel')
    t.equal(after.stats64.rx.packets - before.stats64.rx.packets, 5, 'the answers came out of it')
    t.match(
      run.file(`${part}-packets`),
      /IP 192\.168\.0\.1 > 192\.168\.0\.2: IP 10\.244\.1\.2 > 10\.244\.2\.2: ICMP echo request/,
    )
  }

  t.test('through the tunl0 of another owner', async (t) => {
    t.match(run.file('a-routes'), /^10\.244\.2\.0\/26 via 192\.168\.0\.2 dev tunl0 onlink/m)
    t.match(
      run.file('a-routes'),
      /^10\.245\.0\.0\/26[\s\S]*via 192\.168\.0\.2 dev tunl0 weight 1 onlink[\s\S]*via 192\.168\.0\.3 dev tunl0 weight 1 onlink/m,
      'many paths',
    )
    pingsThroughTunnel(t, 'a')
  })

  t.test(
    'tunl0 goes down: told, not repaired; up again: the routes return; the end leaves the device as it was',
    async (t) => {
      t.match(run.file('a1.log'), /tunnel device tunl0 is down/)
      t.equal(run.file('a-routes-again'), run.file('a-routes'))
      t.equal(run.file('a-routes-end'), '')
      t.equal(device('a-device-end').ifalias, undefined)
      t.equal(device('a-device-end').mtu, 1480)
    },
  )

  t.test('through a device that we made, only across subnets', async (t) => {
    t.match(run.file('b-routes'), /^10\.244\.2\.0\/26 via 10\.0\.2\.2 dev nb0 onlink/m)
    t.match(run.file('b-routes'), /^10\.245\.0\.0\/26 via 192\.168\.0\.2 dev eth0 *$/m, 'plain in the same subnet')
    t.match(run.file('b-ping'), /3 packets transmitted, 3 received/)
    const made = device('b-device')
    t.equal(made.ifalias, 'nodebgp')
    t.equal(made.mtu, 1480)
    t.ok(made.flags.includes('UP'))
    t.match(made.addr_info, [{ local: '10.244.1.0', prefixlen: 32 }])
    t.equal(made.stats64.tx.packets, 3)
  })

  t.test('our device is taken down and changed by somebody: repaired, with its routes', async (t) => {
    const again = device('b-device-again')
    t.ok(again.flags.includes('UP'))
    t.equal(again.mtu, 1480)
    t.equal(run.file('b-routes-again'), run.file('b-routes'))
  })

  t.test("two daemons: each learns the other's block over BGP and writes it through tunl0", async (t) => {
    t.match(run.file('d-routes-n1'), /^10\.244\.2\.0\/26 via 192\.168\.0\.2 dev tunl0 onlink/m)
    t.match(run.file('d-routes-n2'), /^10\.244\.1\.0\/26 via 192\.168\.0\.1 dev tunl0 onlink/m)
    t.match(run.file('d-routes-n1'), /^blackhole 10\.244\.1\.0\/26/m)
    const rib = JSON.parse(run.file('d-rib') || '[]') as PathView[]
    t.match(
      rib.find((path) => path.prefix === '10.244.2.0/26'),
      { fromAddress: '192.168.0.2', nextHop: '192.168.0.2', best: true },
    )
    pingsThroughTunnel(t, 'd')
    if (!t.passing()) t.comment(run.file('d1.log') + run.file('d2.log'))
  })

  t.test('one of them ends: the other takes its route out', async (t) => {
    t.equal(run.file('d-exit').trim(), '0')
    t.match(run.file('d-changes-n1'), /^Deleted 10\.244\.2\.0\/26 via 192\.168\.0\.2 dev tunl0/m)
    t.notMatch(run.file('d-routes-alone'), /10\.244\.2\.0/)
    t.match(run.file('d-routes-alone'), /^blackhole 10\.244\.1\.0\/26/m)
  })

  t.test('zebra and bgpd of FRR at the far end: pings both ways, in protocol 4', async (t) => {
    if (!requireOrSkip(t, FRR)) return
    t.match(run.file('f-routes-n1'), /^10\.244\.2\.0\/26 via 192\.168\.0\.2 dev tunl0 proto 179 onlink/m)
    t.match(run.file('f-routes-n2'), /^10\.244\.1\.0\/26 .*via 10\.244\.1\.1 dev ipip0 proto bgp/m)
    for (const from of ['n1', 'n2']) t.match(run.file(`f-ping-${from}`), /3 packets transmitted, 3 received/, from)
    t.equal(device('f-device').stats64.rx.packets, 6, 'requests and answers came out of the tunnel of FRR')
    t.equal(device('f-device').stats64.tx.packets, 6, 'and went into it')
    const packets = run.file('f-packets')
    t.match(packets, /IP 192\.168\.0\.1 > 192\.168\.0\.2: IP 10\.244\.1\.2 > 10\.244\.2\.2: ICMP echo request/)
    t.match(packets, /IP 192\.168\.0\.2 > 192\.168\.0\.1: IP 10\.244\.2\.2 > 10\.244\.1\.2: ICMP echo reply/)
    if (!t.passing()) t.comment(run.file('frr.log') + run.file('d1.log') + packets)
  })
})
