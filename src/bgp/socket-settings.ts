/**
 * What a neighbour wants of its sockets: password (RFC 2385), TTL (RFC 5082), interface, timeout; and what that means for a socket that
 * listens for all neighbours. Pure; socket-options.ts makes it so.
 */

import type { Secret } from '../config/secret.js'
import type { NeighborConfig } from '../config/types.js'
import { parseAddress } from '../net/address.js'
import { hostPort } from '../net/host-port.js'
import { withoutZone } from '../net/zone.js'
import { sendHoldMs } from './timers.js'

export interface SocketSettings {
  /** Null: segments carry no signature. */
  readonly password: Secret | null
  /** TTL or hop limit of what we send; null: the system's. */
  readonly ttl: number | null
  /** Least TTL or hop limit of what we take (RFC 5082 §3); 0: any. */
  readonly minTtl: number
  /** Only over this interface. */
  readonly device: string | null
  /** How long octets of ours may stay without an acknowledgement; 0: as the system has it. */
  readonly userTimeoutMs: number
}

export function socketSettings(config: NeighborConfig): SocketSettings {
  const { password, ttlSecurityHops: hops, multihop, bindDevice, holdTimeSeconds } = config
  return {
    password,
    ttl: hops === null ? multihop : MAX_TTL,
    minTtl: hops === null ? 0 : MAX_TTL + 1 - hops,
    device: bindDevice,
    // Not sooner than the send hold timer (RFC 9687): a peer that takes nothing for a while, but says KEEPALIVE, is alive.
    userTimeoutMs: holdTimeSeconds === 0 ? 0 : sendHoldMs(holdTimeSeconds),
  }
}

/** Keys of the configuration that cannot be done without system calls; empty: nothing is lost without them. */
export function demandsOf({ password, ttlSecurityHops, multihop, bindDevice }: NeighborConfig): string[] {
  const demands = {
    password: password !== null,
    ttlSecurity: ttlSecurityHops !== null,
    multihop: multihop !== null,
    bindDevice: bindDevice !== null,
  }
  return Object.entries(demands).flatMap(([key, asked]) => (asked ? [key] : []))
}

/** One signature key of a listening socket. */
export interface ListenKey {
  /** Of the first neighbour that needs it. */
  readonly name: string
  /** 4 or 16 octets. */
  readonly address: Uint8Array
  /** Null: this address alone. */
  readonly prefixLength: number | null
  readonly secret: Secret
}

export interface ListenPlan {
  /** By `keyId`. */
  readonly keys: ReadonlyMap<string, ListenKey>
  /** Enough for the neighbour that needs most; null: the system's. Sockets that come in have it until they get their own. */
  readonly ttl: number | null
  /** What all neighbours ask for: then strangers from afar do not even get a connection. */
  readonly minTtl: number
}

export const EMPTY_PLAN: ListenPlan = Object.freeze({ keys: new Map<string, ListenKey>(), ttl: null, minTtl: 0 })

export function listenPlan(neighbors: readonly NeighborConfig[]): ListenPlan {
  const keys = new Map<string, ListenKey>()
  let ttl: number | null = null
  let minTtl = neighbors.length === 0 ? 0 : MAX_TTL
  for (const neighbor of neighbors) {
    const settings = socketSettings(neighbor)
    minTtl = Math.min(minTtl, settings.minTtl)
    if (settings.ttl !== null && settings.ttl > (ttl ?? USUAL_TTL)) ttl = settings.ttl
    const { password: secret } = settings
    if (secret === null) continue
    const { name, address, range } = neighbor
    const id = keyId(neighbor)
    if (keys.has(id)) continue
    if (range !== null) keys.set(id, { name, address: range.address, prefixLength: range.length, secret })
    else keys.set(id, { name, address: addressOctets(address!), prefixLength: null, secret })
  }
  return { keys, ttl, minTtl }
}

/** What a neighbour's key is found by: its range, or its address without the interface, which the kernel does not look at. */
export function keyId({ address, range }: Pick<NeighborConfig, 'address' | 'range'>): string {
  return range?.text ?? withoutZone(address!)
}

/** The interface of a link-local address is left out. */
export function addressOctets(address: string): Uint8Array {
  return parseAddress(withoutZone(address))
}

/** With a password the kernel hears no refusal either: the RST of a closed port is not signed. */
export function unansweredText(address: string, port: number, { password, minTtl }: SocketSettings): string {
  const where = hostPort(address, port)
  if (password !== null) return `no answer from ${where}: unreachable, not listening, or wrong password`
  if (minTtl > 0)
    return `no answer from ${where}: unreachable, or its packets have a TTL below ${minTtl} (ttlSecurity: is it on there?)`
  return `no answer from ${where}: unreachable, or packets are dropped on the way`
}

const MAX_TTL = 255
/** net.ipv4.ip_default_ttl */
const USUAL_TTL = 64
