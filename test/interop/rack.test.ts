/**
 * The rack converges: every kernel (GoBGP: its RIB) holds every other node's block with the right next hop, Pods reach each other and the
 * world behind the ToR, and the death of a reflector loses no ping.
 */
import { execFile } from 'node:child_process'
import t, { type Test } from 'tap'
import { REQUIREMENTS } from '../support/daemons/index.js'
import type { Host } from '../support/daemons/segment.js'
import type { Netns } from '../support/netns.js'
import { Nodebgp } from '../support/nodebgp.js'
import { Pings } from '../support/pings.js'
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

    await everyBlockIsReached(t, nodes, 'at first')
    for (const node of nodes) {
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

    // Pings both ways between the nodes whose kernel we write, and to BIRD's node, while a reflector dies and comes back.
    const [first, second, third] = [pods[0]!, pods[1]!, pods[2]!]
    const pings = [
      new Pings(nodes[0]!.host, first.netns, second.address),
      new Pings(nodes[1]!.host, second.netns, first.address),
      new Pings(nodes[0]!.host, first.netns, third.address),
    ]
    t.teardown(() => Promise.all(pings.map((one) => one.kill())))
    for (const one of pings) await one.goOn()
    const dead = reflectors[0]!
    await dead.kill()
    for (const node of nodes) await node.speaker.notEstablished(dead.host.v4)
    for (const node of nodes) {
      for (const other of nodes.filter((one) => one !== node)) await node.speaker.lost(other.block, dead.host.v4)
    }
    await everyBlockIsReached(t, nodes, 'with one reflector')
    for (const one of pings) await one.goOn()

    await dead.start()
    for (const node of nodes) {
      for (const other of nodes.filter((one) => one !== node)) await node.speaker.learned(other.block, dead.host.v4)
    }
    await everyBlockIsReached(t, nodes, 'after its return')
    for (const one of pings) t.same(await one.stop(), [], `no ping lost: ${one.name}`)

    // A node's daemon that is killed leaves its kernel as it is; the next run takes the routes over and confirms them.
    const { speaker, host } = nodes[0]!
    await speaker.kill()
    await tor.lost(nodes[0]!.block)
    for (const other of nodes.slice(1))
      t.equal(await kernelGateway(host, other.block), other.host.v4, 'killed: route stays')
    await speaker.start()
    await tor.learned(nodes[0]!.block)
    if (speaker instanceof Nodebgp) {
      await until(
        'all routes of the node are confirmed',
        () => speaker.fib(),
        (entries) => entries.length >= nodes.length && entries.every((entry) => entry.state === 'installed'),
      )
    }
    await everyBlockIsReached(t, nodes, 'after the restart of a node')
    for (const from of [second, third])
      t.match(
        await ping(from.netns, first.address, 5),
        / 0% packet loss/,
        `ping from ${from.address} to the restarted node`,
      )
  })
}

/** The kernel (where there is none, the RIB) of every node leads to every other node's block by that node's address. */
async function everyBlockIsReached(t: Test, nodes: readonly RackNode[], when: string): Promise<void> {
  for (const node of nodes) {
    for (const other of nodes) {
      if (other === node) continue
      const gateway = node.pod === null ? await ribGateway(node, other) : await kernelGateway(node.host, other.block)
      t.equal(gateway, other.host.v4, `${when}, ${node.speaker.name}: next hop of ${other.block}`)
    }
  }
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
