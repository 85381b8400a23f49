/**
 * A speaker's configuration file: bgp.example.yaml with what differs replaced, so that the example stays the source and is proved to work.
 */
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { CLUSTER_AS, nodeRange, POD_RANGE, peersOf, type Rack, SERVICE_PREFIX, type Speaker } from './plan.js'

export function configFile(folder: string, speaker: Speaker): string {
  return join(folder, `${speaker.name}.yaml`)
}
export function socketFile(folder: string, speaker: Speaker): string {
  return join(folder, `${speaker.name}.sock`)
}

/** Text of the file. `text` is that of bgp.example.yaml. Throws when the example lacks a neighbour or policy that is built upon. */
export function renderConfig(text: string, rack: Rack, speaker: Speaker, folder: string): string {
  const example = parse(text) as Example
  const { reflector: _onlyOnReflectors, templates, ...kept } = example
  const config = {
    ...kept,
    asn: speaker.asn,
    routerId: speaker.routerId,
    nodeName: speaker.name,
    listen: [{ address: speaker.address, port: rack.port }],
    api: { socket: socketFile(folder, speaker) },
    ...(speaker.role === 'reflector' ? { reflector: { clusterId: CLUSTER_ID } } : {}),
    originate: originate(rack, speaker),
    templates: { ...templates, lab: { holdTime: '9s', connectRetry: '1s' } },
    neighbors: neighbors(example, rack, speaker),
    policies: policies(example, speaker),
    fib: {
      ...example.fib,
      driver: rack.mode === 'kernel' ? 'auto' : 'memory',
      accept: [POD_RANGE, SERVICE_PREFIX],
      // Between nodes only: the ToR has no tunnels.
      ...(speaker.role === 'node' && rack.encapsulation !== 'never'
        ? { encapsulation: [{ within: POD_RANGE, mode: rack.encapsulation }] }
        : {}),
    },
  }
  return `# ${speaker.name} of the lab, made from bgp.example.yaml\n${stringify(config)}`
}

/** The parts of the example that are built upon. */
interface Example extends Settings {
  readonly templates?: Settings
  readonly neighbors: readonly Settings[]
  readonly policies: Readonly<Record<string, readonly Statement[]>>
  readonly fib: Settings
}
type Settings = Readonly<Record<string, unknown>>
interface Statement {
  readonly match?: Settings
  readonly set?: Settings
  readonly action: string
}

function originate(rack: Rack, speaker: Speaker): Settings[] {
  if (speaker.prefix === null) return []
  // The memory FIB writes no blackholes, and 127/8 is no next hop.
  const how = rack.mode === 'kernel' ? { blackhole: true } : { nextHop: speaker.nextHop }
  return [{ prefix: speaker.prefix, ...how }]
}

function neighbors(example: Example, rack: Rack, speaker: Speaker): Settings[] {
  const source = rack.mode === 'loopback' ? { sourceAddress: speaker.address } : {}
  const single = (other: Speaker): Settings => {
    const {
      families: _asTheAddress,
      description: _ofAnotherPlace,
      ...base
    } = neighbor(example, other.role === 'tor' ? 'tor-a' : 'rr-1')
    const { name, address, asn } = other
    return { ...base, use: 'lab', name, address, port: rack.port, asn, ...source }
  }
  const peers = peersOf(rack, speaker)
  // Each block keeps the next hop of its node on the way to the ToR, as a shared subnet does it in namespaces (RFC 4271 §5.1.3).
  const keep = rack.mode === 'loopback' ? { nextHopKeep: true } : {}
  if (speaker.role === 'node')
    return peers.map((other) => ({ ...single(other), ...(other.role === 'tor' ? keep : {}) }))
  const { reflectorClient, ...base } = neighbor(example, 'nodes')
  const nodes = { ...base, use: 'lab', range: nodeRange(rack), asn: CLUSTER_AS }
  if (speaker.role === 'tor') return [{ ...nodes, import: 'pods', export: 'services' }]
  return [...peers.filter((other) => other.role === 'reflector').map(single), { ...nodes, reflectorClient }]
}

/** RFC 8212: nothing is exchanged with the other AS without these. */
function policies(example: Example, speaker: Speaker): Settings {
  const [fromTor, ...fromTorRest] = policy(example, 'from-tor')
  const pods = policy(example, 'pods')
  if (speaker.role === 'reflector') return example.policies
  if (speaker.role === 'node') {
    return {
      'from-tor': [{ ...fromTor, match: { ...fromTor.match, prefix: SERVICE_PREFIX } }, ...fromTorRest],
      pods,
    }
  }
  return { pods, services: [{ match: { prefix: SERVICE_PREFIX }, action: 'accept' }] }
}

function neighbor(example: Example, name: string): Settings {
  const found = example.neighbors.find((one) => one['name'] === name)
  if (found === undefined) throw new Error(`bgp.example.yaml has no neighbour ${name}, which the lab builds upon`)
  return found
}

function policy(example: Example, name: string): [Statement, ...Statement[]] {
  const [first, ...rest] = example.policies[name] ?? []
  if (first === undefined) throw new Error(`bgp.example.yaml has no policy ${name}, which the lab builds upon`)
  return [first, ...rest]
}

/** Both reflectors are one cluster. */
const CLUSTER_ID = '192.168.0.11'
