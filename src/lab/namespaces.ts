/**
 * Edge: the rack in network namespaces. One namespace is the switch (a bridge); every speaker and every Pod has its own, joined by veth links:
 *
 *     pod-1 ── node-1 ──┐                      A Pod has 10.244.N.2/32 and the default gateway 169.254.1.1, which its node owns on the
 *     pod-2 ── node-2 ──┼── switch ── tor      link to the Pod, as with Calico.
 *     pod-3 ── node-3 ──┤
 *           rr-1, rr-2 ─┘
 */
import { spawnSync } from 'node:child_process'
import { RACK_SUBNET_LENGTH, type Rack, type Speaker } from './plan.js'

/** Makes all namespaces, links and addresses. Throws an Error with the words of `ip` where that is not possible. */
export function buildNamespaces(rack: Rack, prefix: string): void {
  const nodes = rack.speakers.filter((speaker) => speaker.role === 'node')
  const switchNamespace = `${prefix}-switch`
  const namespaces = [
    switchNamespace,
    ...rack.speakers.map((speaker) => speakerNamespace(prefix, speaker)),
    ...nodes.map((node) => podNamespace(prefix, node)),
  ]
  batch(
    null,
    namespaces.map((name) => `netns add ${name}`),
  )
  for (const name of namespaces) batch(name, ['link set lo up'])
  batch(switchNamespace, ['link add rack type bridge', 'link set rack up'])
  for (const speaker of rack.speakers) connectSpeaker(prefix, switchNamespace, speaker)
  for (const node of nodes) connectPod(prefix, node)
}

export function speakerNamespace(prefix: string, speaker: Speaker): string {
  return `${prefix}-${speaker.name}`
}

/** Where a speaker's pings start: the Pod of a node, the ToR itself. */
export function hostNamespace(prefix: string, speaker: Speaker): string {
  return speaker.role === 'node' ? podNamespace(prefix, speaker) : speakerNamespace(prefix, speaker)
}

function podNamespace(prefix: string, node: Speaker): string {
  return `${prefix}-${node.name.replace('node', 'pod')}`
}

function connectSpeaker(prefix: string, switchNamespace: string, speaker: Speaker): void {
  const own = speakerNamespace(prefix, speaker)
  batch(switchNamespace, [
    `link add ${speaker.name} type veth peer name eth0 netns ${own}`,
    `link set ${speaker.name} master rack up`,
  ])
  batch(own, [`address add ${speaker.address}/${RACK_SUBNET_LENGTH} dev eth0`, 'link set eth0 up'])
  if (speaker.role === 'tor') batch(own, [`address add ${speaker.host}/32 dev lo`])
  if (speaker.role !== 'reflector') enableForwarding(own)
}

function connectPod(prefix: string, node: Speaker): void {
  const own = speakerNamespace(prefix, node)
  const pod = podNamespace(prefix, node)
  batch(own, [
    `link add ${POD_DEVICE} type veth peer name eth0 netns ${pod}`,
    `link set ${POD_DEVICE} up`,
    `address add ${POD_GATEWAY}/32 dev ${POD_DEVICE}`,
    `route add ${node.host}/32 dev ${POD_DEVICE}`,
  ])
  batch(pod, [
    `address add ${node.host}/32 dev eth0`,
    'link set eth0 up',
    `route add ${POD_GATEWAY} dev eth0 scope link`,
    `route add default via ${POD_GATEWAY} dev eth0`,
  ])
}

function enableForwarding(namespace: string): void {
  const command = 'echo 1 > /proc/sys/net/ipv4/ip_forward'
  run(['netns', 'exec', namespace, 'sh', '-c', command], [command])
}

function batch(namespace: string | null, lines: readonly string[]): void {
  run([...(namespace === null ? [] : ['-n', namespace]), '-batch', '-'], lines)
}

/** `lines` go to standard input; the one that failed is named. */
function run(args: readonly string[], lines: readonly string[]): void {
  const result = spawnSync('ip', args, { input: `${lines.join('\n')}\n`, encoding: 'utf8', timeout: IP_LIMIT_MS })
  if (result.status === 0) return
  const reason = result.error?.message ?? result.stderr.trim().split('\n')[0]
  const line = Number(/Command failed -:(\d+)/.exec(result.stderr)?.[1] ?? 1)
  throw new Error(`${reason || `ip ended with code ${result.status}`} (${lines[line - 1] ?? args.join(' ')})`)
}

const POD_DEVICE = 'cali0'
const POD_GATEWAY = '169.254.1.1'
const IP_LIMIT_MS = 10_000
