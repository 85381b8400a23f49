/**
 * A speaker's configuration file: bgp.example.yaml with what differs replaced, so that the example stays the source and is proved to work.
 */
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { nodeRange, POD_RANGE, peersOf, type Rack, SERVICE_PREFIX, type Speaker } from './plan.js'

export function configFile(folder: string, speaker: Speaker): string {
  return join(folder, `${speaker.name}.yaml`)
}
export function socketFile(folder: string, speaker: Speaker): string {
  return join(folder, `${speaker.name}.sock`)
}

/** Text of the file. `example` is the text of bgp.example.yaml. */
export function renderConfig(example: string, rack: Rack, speaker: Speaker, folder: string): string {
  const base: Record<string, unknown> = parse(example)
  const { templates: _unused, reflector: _replaced, ...kept } = base
  const config = {
    ...kept,
    asn: speaker.asn,
    routerId: speaker.routerId,
    nodeName: speaker.name,
    listen: [{ address: speaker.address, port: rack.port }],
    api: { socket: socketFile(folder, speaker) },
    ...(speaker.role === 'reflector' ? { reflector: { clusterId: CLUSTER_ID } } : {}),
    originate: originate(rack, speaker),
    neighbors: neighbors(rack, speaker),
    policies: policies(rack, speaker),
    fib: fib(rack, base['fib']),
  }
  return `# ${speaker.name} of the lab, made from bgp.example.yaml\n${stringify(config)}`
}

function originate(rack: Rack, speaker: Speaker): unknown[] {
  if (speaker.prefix === null) return []
  return [
    { prefix: speaker.prefix, blackhole: true, ...(rack.mode === 'loopback' ? { nextHop: speaker.nextHop } : {}) },
  ]
}

function neighbors(rack: Rack, speaker: Speaker): unknown[] {
  const common = {
    ...TIMERS,
    ...(rack.mode === 'loopback' ? { sourceAddress: speaker.address } : {}),
  }
  const single = (other: Speaker): Record<string, unknown> => ({
    name: other.name,
    address: other.address,
    port: rack.port,
    asn: other.asn,
    ...common,
  })
  if (speaker.role === 'node') {
    return peersOf(rack, speaker).map((other) =>
      other.role === 'tor' ? { ...single(other), import: 'from-tor', export: 'pods' } : single(other),
    )
  }
  const nodes = { name: 'nodes', range: nodeRange(rack), passive: true, ...TIMERS }
  const asn = rack.speakers.find((other) => other.role === 'node')?.asn
  if (speaker.role === 'tor') return [{ ...nodes, asn, import: 'pods', export: 'services' }]
  const reflectors = peersOf(rack, speaker).filter((other) => other.role === 'reflector')
  return [...reflectors.map(single), { ...nodes, asn, reflectorClient: true }]
}

/** RFC 8212: nothing is exchanged with the other AS without these. On loopback they also replace the session's address as next hop. */
function policies(rack: Rack, speaker: Speaker): Record<string, unknown> {
  const pods = { in: POD_RANGE, length: { min: 26, max: 32 } }
  const set = rack.mode === 'loopback' ? { set: { nextHop: speaker.nextHop } } : {}
  if (speaker.role === 'node') {
    return {
      'from-tor': [{ match: { prefix: SERVICE_PREFIX }, action: 'accept' }, { action: 'reject' }],
      pods: [{ match: { prefix: pods }, ...set, action: 'accept' }, { action: 'reject' }],
    }
  }
  if (speaker.role === 'reflector') return {}
  return {
    pods: [{ match: { prefix: pods }, action: 'accept' }, { action: 'reject' }],
    services: [{ match: { prefix: SERVICE_PREFIX }, ...set, action: 'accept' }, { action: 'reject' }],
  }
}

function fib(rack: Rack, example: unknown): Record<string, unknown> {
  const base = typeof example === 'object' && example !== null ? example : {}
  return { ...base, driver: rack.mode === 'kernel' ? 'auto' : 'memory', accept: [POD_RANGE, SERVICE_PREFIX] }
}

/** Both reflectors are one cluster. */
const CLUSTER_ID = '192.168.0.11'
/** Short, so that the lab converges and notices losses quickly. */
const TIMERS = { holdTime: '9s', connectRetry: '1s' }
