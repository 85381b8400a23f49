/** Flannel's UDP back end between two nodes: the real TUN devices, Pods reach each other, and what the wire carries. */
import { spawn } from 'node:child_process'
import t from 'tap'
import { findSys } from '../../src/sys/sys.js'
import { type Netns, needsNetns } from '../support/netns.js'
import { requireOrSkip } from '../support/require.js'
import { makeTwoNodes } from './encap-support.js'
import { until } from './support.js'

const FIB_NODE = new URL('./uml-node.js', import.meta.url).pathname

t.test('udp between two nodes', needsNetns(), async (t) => {
  if (!requireOrSkip(t, { commands: ['tcpdump', 'ping'], packages: ['tcpdump', 'iputils-ping'] })) return
  if (findSys().sys === null) return void t.pass('system calls', { skip: 'nothing provides them' })
  const world = makeTwoNodes(t)
  const start = async (index: 0 | 1): Promise<{ readonly log: () => string; readonly stop: () => Promise<void> }> => {
    const i = index + 1
    const job = {
      options: { encapsulation: 'udp', tunnelAddress: `10.244.${i}.0/32`, nodeAddresses: [`192.168.0.${i}`] },
      routes: { [`10.244.${3 - i}.0/26`]: [`192.168.0.${3 - i}`] },
    }
    const [program, ...args] = [...world.nodes[index].execPrefix, process.execPath, FIB_NODE, JSON.stringify(job)]
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => child.kill('SIGKILL'))
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
    await until('ready', () => text.includes('ready'))
    return {
      log: () => text,
      stop: () => {
        child.kill('SIGTERM')
        return ended
      },
    }
  }
  const device = (node: Netns): string => {
    try {
      return node.ip('addr show dev flannel0')
    } catch {
      return ''
    }
  }
  const [a, b] = await Promise.all([start(0), start(1)])
  const [n1] = world.nodes

  t.match(n1.ip('route show proto 179'), /^10\.244\.2\.0\/26 dev flannel0/m)
  t.match(device(n1), /mtu 1472/)
  t.match(device(n1), /inet 10\.244\.1\.0\/32/)
  t.match(a.log(), /which is slow; take vxlan or ipip/)
  // The payload is the inner packet: version and header length 45, and the TTL 64 less the hop of the node and that of the tunnel.
  const packets = await world.capture('-x udp port 8285', 1, () => t.ok(world.ping()))
  t.match(packets, /192\.168\.0\.1\.8285 > 192\.168\.0\.2\.8285: UDP, length 84/)
  t.match(packets.replaceAll(/\s+(0x[0-9a-f]+:\s+)?/g, ' '), /4500 0054 .... .... 3e01 .... 0af4 0102 0af4 0202/)
  t.ok(world.ping(n1), 'from the node itself')

  for (const [what, hurt] of [
    ['MTU', 'link set dev flannel0 mtu 1300'],
    ['down', 'link set dev flannel0 down'],
    ['address', 'addr flush dev flannel0'],
    ['deleted', 'link delete dev flannel0'],
  ] as const) {
    n1.ip(hurt)
    await until(
      what,
      () =>
        /UP.*mtu 1472/.test(device(n1)) &&
        /10\.244\.1\.0\/32/.test(device(n1)) &&
        /10\.244\.2\.0\/26/.test(n1.ip('route show proto 179')),
    )
  }
  t.ok(world.ping(), 'after all of it')
  await Promise.all([a.stop(), b.stop()])
  t.equal(device(n1), '', 'the device ends with its process')
  if (!t.passing()) t.comment(a.log())
})
