/**
 * The rack converges: every kernel (GoBGP: its RIB) holds every other node's block with the right next hop, Pods reach each other and the
 * world behind the ToR, and the death of a reflector loses no ping.
 */
import { execFile } from 'node:child_process'
import t from 'tap'
import { REQUIREMENTS } from '../support/daemons/index.js'
import type { Host } from '../support/daemons/segment.js'
import type { Netns } from '../support/netns.js'
import { OUTSIDE, OUTSIDE_ADDRESS, type RackNode, startRack } from '../support/rack.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const needed = [REQUIREMENTS.bird, REQUIREMENTS.frr, REQUIREMENTS.gobgp]
const requirement = {
  commands: ['ip', 'ping', '/usr/lib/frr/zebra', ...needed.flatMap((one) => one.commands)],
  packages: ['iproute2', 'iputils-ping', ...needed.map((one) => one.package)],
  root: true,
}

interface IpRoute {
  readonly dst: string
  readonly gateway?: string
  readonly dev?: string
}

if (requireOrSkip(t, requirement)) {
  t.test('rack of a ToR (FRR), two reflectors, and nodes run by us, BIRD and GoBGP', async (t) => {
    const { tor, reflectors, nodes } = await startRack(t)

    for (const node of nodes) {
      for (const other of nodes) {
        if (other === node) continue
        const gateway = node.pod === null ? await ribGateway(node, other) : await kernelGateway(node.host, other.block)
        t.equal(gateway, other.host.v4, `${node.speaker.name}: next hop of ${other.block}`)
      }
      const outside = node.pod === null ? undefined : await kernelGateway(node.host, OUTSIDE)
      if (outside !== undefined) t.equal(outside, tor.host.v4, `${node.speaker.name}: next hop of ${OUTSIDE}`)
      await kernelGateway(tor.host, node.block)
    }

    const pods = nodes.flatMap((node) => (node.pod === null ? [] : [node.pod]))
    for (const pod of pods) {
      for (const target of [...pods.filter((other) => other !== pod).map((other) => other.address), OUTSIDE_ADDRESS]) {
        t.match(await ping(pod.netns, target, 5), / 0% packet loss/, `ping from ${pod.address} to ${target}`)
      }
    }

    // 20 pings a second for 8 s, both ways and to BIRD's node; a reflector dies as soon as all are under way.
    const [first, second, third] = [pods[0]!, pods[1]!, pods[2]!]
    let running = 3
    const pings = [
      { from: first, to: second },
      { from: second, to: first },
      { from: first, to: third },
    ].map(async ({ from, to }) => {
      const output = await ping(from.netns, to.address, 160)
      running--
      return { name: `${from.address} to ${to.address}`, output }
    })
    const dead = reflectors[0]!
    await dead.kill()
    for (const node of nodes) await node.speaker.notEstablished(dead.host.v4)
    for (const node of nodes) {
      for (const other of nodes.filter((one) => one !== node)) await node.speaker.lost(other.block, dead.host.v4)
    }
    t.equal(running, 3, 'all nodes noticed the death of the reflector while the pings went on')
    for (const { name, output } of await Promise.all(pings)) {
      t.match(output, /160 packets transmitted, 160 received, 0% packet loss/, `no ping lost: ${name}`)
    }

    await dead.start()
    for (const node of nodes) {
      for (const other of nodes.filter((one) => one !== node)) await node.speaker.learned(other.block, dead.host.v4)
    }
    t.match(await ping(first.netns, second.address, 5), / 0% packet loss/, 'pings pass after its return')
  })
}

/** Gateway of the route in the kernel of a host; waits for it to be there. */
async function kernelGateway(host: Host, prefix: string): Promise<string> {
  const routes = await until(
    `kernel of ${host.label} has ${prefix} with a gateway`,
    () => host.ns.ipJson('route show') as readonly IpRoute[],
    (all) => all.some((route) => route.dst === prefix && route.gateway !== undefined),
  )
  return routes.find((route) => route.dst === prefix)!.gateway!
}

async function ribGateway(node: RackNode, other: RackNode): Promise<string> {
  return (await node.speaker.learned(other.block)).nextHop
}

/** The summary of ping; it ends with an error when something was lost, and its words are wanted then, too. */
function ping(netns: Netns, address: string, count: number): Promise<string> {
  const args = [...netns.execPrefix.slice(1), 'ping', '-n', '-q', '-i', '0.05', '-W', '2', '-c', String(count), address]
  return new Promise((resolve) => {
    execFile(netns.execPrefix[0]!, args, (error, stdout, stderr) => resolve(stdout || stderr || String(error)))
  })
}
