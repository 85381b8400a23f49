/**
 * The rack that the project is for: a top-of-rack router (FRR, writing its kernel), two of our reflectors in one cluster, and nodes run by us,
 * BIRD and GoBGP. Every node is a client of both reflectors and announces the /26 of its Pods; the ToR is external to both.
 */
import { foreign } from './daemons/index.js'
import { type Host, Segment } from './daemons/segment.js'
import type { Speaker } from './daemons/speaker.js'
import type { Netns } from './netns.js'
import { subject } from './subject.js'

export interface RackNode {
  readonly speaker: Speaker
  readonly host: Host
  /** 10.244.N.0/26 */
  readonly block: string
  /** 10.244.N.10; null where the node writes no kernel routes. */
  readonly pod: { readonly netns: Netns; readonly address: string } | null
}

export interface Rack {
  readonly tor: Speaker
  readonly reflectors: readonly Speaker[]
  readonly nodes: readonly RackNode[]
}

export const RACK_ASN = 64512
export const TOR_ASN = 65001
/** What the ToR announces: the rest of the data centre. The address answers pings. */
export const OUTSIDE = '10.99.0.0/24'
export const OUTSIDE_ADDRESS = '10.99.0.1'

/** Everything started at once, nothing waited for but that the daemons answer. */
export async function startRack(t: { teardown(action: () => void | Promise<void>): void }): Promise<Rack> {
  const segment = new Segment(t)
  const families = ['ipv4-unicast'] as const
  const torHost = segment.host('tor', 254)
  torHost.ns.ip(`addr add ${OUTSIDE_ADDRESS}/32 dev lo`)
  const centers = [segment.host('rr1', 1), segment.host('rr2', 2)]
  const kinds = ['nodebgp', 'nodebgp', 'bird', 'gobgp'] as const
  const hosts = kinds.map((kind, index) => segment.host(`${kind}${index + 11}`, index + 11))

  const tor = foreign('frr', {
    host: torHost,
    asn: TOR_ASN,
    kernel: true,
    routes: [{ prefix: OUTSIDE }],
    peers: centers.map((center) => ({ address: center.v4, asn: RACK_ASN, families })),
  })
  const reflectors = centers.map((host, index) =>
    subject({
      host,
      asn: RACK_ASN,
      clusterId: '10.0.0.1',
      peers: [
        { address: torHost.v4, asn: TOR_ASN, families },
        { address: centers[1 - index]!.v4, asn: RACK_ASN, families },
        { range: '172.31.5.0/24', asn: RACK_ASN, families, passive: true, client: true },
      ],
    }),
  )
  const nodes = kinds.map((kind, index): RackNode => {
    const host = hosts[index]!
    const block = `10.244.${index + 11}.0/26`
    const writesKernel = kind !== 'gobgp'
    const spec = {
      host,
      asn: RACK_ASN,
      kernel: writesKernel,
      routes: [{ prefix: block }],
      peers: centers.map((center) => ({ address: center.v4, asn: RACK_ASN, families })),
    }
    const address = `10.244.${index + 11}.10`
    const pod = writesKernel ? { netns: segment.pod(host, address), address } : null
    return { speaker: kind === 'nodebgp' ? subject(spec) : foreign(kind, spec), host, block, pod }
  })

  const all = [tor, ...reflectors, ...nodes.map((node) => node.speaker)]
  await Promise.all(all.map((speaker) => segment.add(speaker).start()))
  return { tor, reflectors, nodes }
}
