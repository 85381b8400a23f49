/**
 * Two nodes on one link with a Pod behind each, in network namespaces, and what the link carries between them (tcpdump).
 *
 *     Pod 10.244.1.2 ── n1 192.168.0.1 ── n2 192.168.0.2 ── Pod 10.244.2.2      Each node also has 10.0.N.N, which the other reaches through a gateway only.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { makeNetns, makeVeth, type Netns, type TestScope } from '../support/netns.js'

export interface TwoNodes {
  /** n1, n2 */
  readonly nodes: readonly [Netns, Netns]
  readonly pods: readonly [Netns, Netns]
  /** True where the Pod of n1 (or `from`) gets all three answers of the address. */
  ping(from?: Netns, to?: string): boolean
  /** What n2 sees of matching packets while `work` runs: the first `count` lines. */
  capture(filter: string, count: number, work: () => unknown): Promise<string>
}

export function makeTwoNodes(t: TestScope): TwoNodes {
  const nodes = [makeNetns(t, 'enc-n'), makeNetns(t, 'enc-n')] as const
  const pods = [makeNetns(t, 'enc-p'), makeNetns(t, 'enc-p')] as const
  makeVeth(
    { netns: nodes[0], device: 'eth0', addresses: ['192.168.0.1/24'] },
    { netns: nodes[1], device: 'eth0', addresses: ['192.168.0.2/24'] },
  )
  for (const index of [0, 1] as const) {
    const i = index + 1
    const [node, pod] = [nodes[index], pods[index]]
    makeVeth(
      { netns: node, device: `cali${i}`, addresses: ['169.254.1.1/32'] },
      { netns: pod, device: 'eth0', addresses: [`10.244.${i}.2/32`] },
    )
    pod.ip('route add 169.254.1.1 dev eth0 scope link')
    pod.ip('route add default via 169.254.1.1 dev eth0')
    node.ip(`route add 10.244.${i}.2/32 dev cali${i}`)
    node.ip(`addr add 10.0.${i}.${i}/32 dev lo`)
    node.exec('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter')
  }
  nodes[0].ip('route add 10.0.2.2/32 via 192.168.0.2')
  nodes[1].ip('route add 10.0.1.1/32 via 192.168.0.1')
  const ping = (from: Netns = pods[0], to = '10.244.2.2'): boolean => {
    const [program, ...args] = [...from.execPrefix, 'ping', '-n', '-q', '-c', '3', '-i', '0.05', '-W', '5', to]
    return / 0% packet loss/.test(spawnSync(program!, args, { encoding: 'utf8' }).stdout)
  }
  const capture = async (filter: string, count: number, work: () => unknown): Promise<string> => {
    const options = ['-i', 'eth0', '-n', '-l', '-c', String(count), ...filter.split(' ')]
    const [program, ...args] = [...nodes[1].execPrefix, 'tcpdump', '--immediate-mode', ...options]
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    t.teardown(() => child.kill('SIGKILL'))
    await listening(child)
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
    await work()
    const timer = setTimeout(() => child.kill('SIGTERM'), CAPTURE_LIMIT_MS)
    await ended
    clearTimeout(timer)
    return text
  }
  return { nodes, pods, ping, capture }
}

function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let words = ''
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      words += chunk
      if (words.includes('listening on')) resolve()
    })
    child.once('close', () => reject(new Error(`tcpdump: ${words}`)))
  })
}

const CAPTURE_LIMIT_MS = 20_000
