/** IPIP on a real kernel that has it: our FIB writes routes through tunnels, and pods reach each other. */
import t from 'tap'
import { requireOrSkip } from '../support/require.js'
import { runInUml, UML_REQUIREMENT } from '../support/uml.js'

interface DeviceJson {
  readonly mtu: number
  readonly flags: readonly string[]
  readonly ifalias?: string
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number }[]
  readonly stats64: { readonly rx: { readonly packets: number }; readonly tx: { readonly packets: number } }
}

// The guest takes 10 to 40 s, by how busy the machine is.
t.setTimeout(180_000)

t.test('IPIP in user-mode Linux', { timeout: 170_000 }, async (t) => {
  const commands = [...UML_REQUIREMENT.commands, 'ping', 'tcpdump']
  const packages = [...UML_REQUIREMENT.packages, 'iputils-ping', 'tcpdump']
  if (!requireOrSkip(t, { commands, packages })) return
  const FIB_NODE = new URL('./uml-node.js', import.meta.url).pathname
  const run = await runInUml(t, 'test/fib/ipip-uml.sh', { FIB_NODE, NODE: process.execPath })
  t.equal(run.status, 0, 'the guest ran to its end')
  if (run.status !== 0) t.comment(run.console)
  const device = (name: string): DeviceJson => (JSON.parse(run.file(name) || '[{}]') as DeviceJson[])[0]!

  t.test('through the tunl0 of another owner', async (t) => {
    t.match(run.file('a-routes'), /^10\.244\.2\.0\/26 via 192\.168\.0\.2 dev tunl0 onlink/m)
    t.match(
      run.file('a-routes'),
      /^10\.245\.0\.0\/26[\s\S]*via 192\.168\.0\.2 dev tunl0 weight 1 onlink[\s\S]*via 192\.168\.0\.3 dev tunl0 weight 1 onlink/m,
      'many paths',
    )
    t.match(run.file('a-ping'), /5 packets transmitted, 5 received/)
    t.equal(run.file('a-ping-status').trim(), '0')
    const [before, after] = [device('a-before'), device('a-after')]
    t.equal(after.stats64.tx.packets - before.stats64.tx.packets, 5, 'the pings went into the tunnel')
    t.equal(after.stats64.rx.packets - before.stats64.rx.packets, 5, 'the answers came out of it')
    t.match(
      run.file('a-packets'),
      /IP 192\.168\.0\.1 > 192\.168\.0\.2: IP 10\.244\.1\.2 > 10\.244\.2\.2: ICMP echo request/,
    )
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
})
