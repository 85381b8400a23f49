/**
 * Values of the encapsulation: what a route says of the tunnel to its next hop, and what the kernel needs to know of a far node before a route may lead to it.
 */
import type { Encapsulation, UdpTunnelConfig, VxlanConfig } from '../../config/types.js'
import type { RoutePrefix } from '../route-prefix.js'

/** The far end of a VXLAN tunnel as BGP carries it (src/bgp/attributes/tunnel-encapsulation.ts). Null: not said, the rule applies (rule.ts). */
export interface Vtep {
  /** Node address that the outer packets go to; null: the BGP next hop. */
  readonly endpoint: string | null
  /** Inner address of the far device; null: the base address of the route's prefix. */
  readonly address: string | null
  readonly mac: string | null
  /** Null: as our own device. */
  readonly vni: number | null
  readonly port: number | null
}

/** What has to be in place for a route, besides the route. */
export type FarNode =
  | {
      /** A permanent neighbour `address` → `mac` and a permanent FDB entry `mac` → `endpoint`. */
      readonly kind: 'vxlan'
      readonly address: string
      readonly mac: string
      readonly endpoint: string
      /** Where they differ from those of our device. */
      readonly vni: number | null
      readonly port: number | null
    }
  | {
      /** An entry of the forwarder's own table. */
      readonly kind: 'udp'
      readonly prefix: string
      readonly endpoint: string
    }

/** The keys of the configuration that choose the tunnel of a route. */
export interface TunnelRules {
  readonly encapsulation: Encapsulation
  /** The IPIP device. */
  readonly tunnelDevice: string
  readonly vxlan: { readonly device: string; readonly vni: number; readonly port: number } & Partial<VxlanConfig>
  readonly udp: { readonly device: string } & Partial<UdpTunnelConfig>
  /** Absent: as at the start. */
  readonly tunnelAddress?: string | null
}

/** Our own end of the VXLAN tunnels, as others have to know it. */
export interface OwnVtep {
  readonly endpoint: string
  readonly address: string | null
  readonly mac: string
  readonly vni: number
  readonly port: number
}

/** Why routes through a tunnel's device cannot be written now. */
export interface TunnelTrouble {
  readonly words: string
  /** The device is there and no such tunnel: packets through it would be lost. */
  readonly isOther: boolean
}

/** What the engine needs of the tunnels. One call at a time, in this order: keep, want …, prepare, (routes are written), tidy. */
export interface Encapsulator {
  /** Devices, and what is known of the far nodes. Rejects with a FibError where `first` and there cannot be a tunnel; later it only logs. */
  keep(first: boolean, rules: TunnelRules): Promise<void>
  /** The far nodes of one prefix from now on. */
  want(to: RoutePrefix, far: readonly FarNode[]): void
  /** Before routes are written: what they need is put in place. */
  prepare(): Promise<void>
  /** After routes were written or removed: what no route needs any more goes. `complete`: all prefixes are known, so that leftovers of an earlier run go too. */
  tidy(complete: boolean): Promise<void>
  /** Our end of the VXLAN tunnels; null without one. */
  ownVtep(): OwnVtep | null
  /** By device. */
  readonly troubles: ReadonlyMap<string, TunnelTrouble>
  close(): Promise<void>
}
