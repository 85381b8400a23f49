/**
 * The rack of the lab as values: one top-of-rack router in its own AS, two reflectors in one cluster, three nodes with a Pod block each.
 * Every speaker has one octet that all of its addresses end in. In a kernel the speakers meet on a common subnet; on loopback, where the
 * session addresses (127/8) cannot be next hops, routes carry addresses of the benchmarking range 198.18.0.0/15 (RFC 2544) instead.
 */
import type { LabEncapsulation } from './modes.js'

export type LabMode = 'kernel' | 'loopback'
export type SpeakerRole = 'tor' | 'reflector' | 'node'

export interface Rack {
  readonly mode: LabMode
  /** Port that all speakers listen on. */
  readonly port: number
  readonly speakers: readonly Speaker[]
  /** Of the packets between the nodes' Pods. */
  readonly encapsulation: LabEncapsulation
}

export interface Speaker {
  readonly name: string
  readonly role: SpeakerRole
  readonly asn: number
  /** Session address. */
  readonly address: string
  readonly routerId: string
  /** NEXT_HOP of the routes that it originates. */
  readonly nextHop: string
  /** What it originates: a node's Pod block, the services behind the ToR, nothing for a reflector. */
  readonly prefix: string | null
  /** An address of that prefix which answers pings. */
  readonly host: string | null
}

export interface ExpectedRoute {
  readonly prefix: string
  readonly nextHop: string
}
export interface ExpectedPing {
  /** Speaker whose Pod (a node) or whose own stack (the ToR) sends. */
  readonly from: Speaker
  readonly to: Speaker
  readonly address: string
}

export const CLUSTER_AS = 64512
export const TOR_AS = 65001
export const RACK_SUBNET_LENGTH = 24
export const POD_RANGE = '10.244.0.0/16'
export const SERVICE_PREFIX = '10.1.0.0/24'

export function planRack(mode: LabMode, port: number, encapsulation: LabEncapsulation = 'never'): Rack {
  const session = mode === 'kernel' ? '192.168.0' : '127.0.0'
  const hop = mode === 'kernel' ? '192.168.0' : '198.18.0'
  const speaker = (
    name: string,
    role: SpeakerRole,
    octet: number,
    prefix: string | null,
    host: string | null,
  ): Speaker => ({
    name,
    role,
    asn: role === 'tor' ? TOR_AS : CLUSTER_AS,
    address: `${session}.${octet}`,
    routerId: `192.168.0.${octet}`,
    nextHop: `${hop}.${octet}`,
    prefix,
    host,
  })
  return {
    mode,
    port,
    encapsulation,
    speakers: [
      speaker('tor', 'tor', 1, SERVICE_PREFIX, '10.1.0.1'),
      speaker('rr-1', 'reflector', 11, null, null),
      speaker('rr-2', 'reflector', 12, null, null),
      speaker('node-1', 'node', 101, '10.244.1.0/26', '10.244.1.2'),
      speaker('node-2', 'node', 102, '10.244.2.0/26', '10.244.2.2'),
      speaker('node-3', 'node', 103, '10.244.3.0/26', '10.244.3.2'),
    ],
  }
}

/** Addresses of all nodes, and of no other speaker: the range neighbour of reflectors and ToR. */
export function nodeRange(rack: Rack): string {
  return rack.mode === 'kernel' ? '192.168.0.96/28' : '127.0.0.96/28'
}

/** Nodes have sessions with the ToR and with both reflectors; the reflectors have one with each other. */
export function peersOf(rack: Rack, speaker: Speaker): readonly Speaker[] {
  return rack.speakers.filter((other) => {
    if (other === speaker) return false
    if (other.role === 'node' || speaker.role === 'node') return other.role !== speaker.role
    return other.role === speaker.role
  })
}

/** The best routes that a speaker has to learn. */
export function expectedRoutes(rack: Rack, speaker: Speaker): readonly ExpectedRoute[] {
  return rack.speakers.flatMap((other) =>
    other === speaker || other.prefix === null ? [] : [{ prefix: other.prefix, nextHop: other.nextHop }],
  )
}

/**
 * How the kernel of a speaker writes a route: its gateway (empty: none) and device. Through a tunnel between nodes; all of the lab's nodes are in one subnet, so
 * that `-cross-subnet` is plain here.
 */
export function expectedHop(rack: Rack, speaker: Speaker, { prefix, nextHop }: ExpectedRoute): [string, string] {
  const far = rack.speakers.find((one) => one.prefix === prefix)
  if (speaker.role !== 'node' || far?.role !== 'node') return [nextHop, 'eth0']
  switch (rack.encapsulation) {
    case 'ipip':
      return [nextHop, 'tunl0']
    case 'vxlan':
      return [prefix.split('/')[0]!, 'flannel.1']
    case 'udp':
      return ['', 'flannel0']
    default:
      return [nextHop, 'eth0']
  }
}

/** Every Pod to every Pod of another node, and both ways between Pods and the services behind the ToR. */
export function expectedPings(rack: Rack): readonly ExpectedPing[] {
  if (rack.mode === 'loopback') return []
  const ends = rack.speakers.filter((speaker) => speaker.host !== null)
  return ends.flatMap((from) =>
    ends.flatMap((to) => (to === from || to.host === null ? [] : [{ from, to, address: to.host }])),
  )
}
