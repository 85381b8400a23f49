/**
 * The value of the Tunnel Encapsulation attribute (RFC 9012), as far as VXLAN is concerned: how packets to a route's prefixes reach the node behind it.
 *
 * TLVs: tunnel type 2 octets, length 2, sub-TLVs; sub-TLVs: type 1, length 1 (2 from type 128 on), value. Written and read for tunnel type 8 (VXLAN, §3.2.1):
 *
 * - Encapsulation (1), 12 octets: flags V 0x80 and M 0x40, VNI 3, MAC 6, reserved 2.
 * - Tunnel Egress Endpoint (6): reserved 4, address family 2, address. Family 0 without an address: the next hop (§3.1).
 * - UDP Destination Port (8), 2 octets; left out where it is 4789.
 * - VTEP address (126, experimental), 4 octets: the inner address of the far device; left out where it is the base address of the route's prefix.
 *
 * The form of the attribute is judged before (nested.ts). What is malformed within (§13): a sub-TLV counts as absent, and a tunnel without a valid endpoint is passed
 * over; of repeated ones the first counts. The octets are passed on as they came.
 */
import { formatAddress, parseAddress } from '../../net/address.js'

export interface VxlanTunnel {
  /** Address of the node; null: the next hop. */
  readonly endpoint: string | null
  /** Null: the base address of the prefix. */
  readonly address: string | null
  /** Lower case with colons; null: not said. */
  readonly mac: string | null
  readonly vni: number | null
  readonly port: number | null
}

/** The first VXLAN tunnel of a value that is well formed, or null. */
export function decodeVxlanTunnel(value: Uint8Array): VxlanTunnel | null {
  for (let at = 0; at + 4 <= value.length; ) {
    const end = at + 4 + u16(value, at + 2)
    if (end > value.length) return null
    const tunnel = u16(value, at) === VXLAN ? readTunnel(value, at + 4, end) : null
    if (tunnel !== null) return tunnel
    at = end
  }
  return null
}

export function encodeVxlanTunnel(tunnel: VxlanTunnel): Uint8Array {
  const body: number[] = []
  const vni = tunnel.vni ?? 0
  const flags = (tunnel.vni === null ? 0 : VNI_VALID) | (tunnel.mac === null ? 0 : MAC_VALID)
  const mac = tunnel.mac === null ? NO_MAC : tunnel.mac.split(':').map((octet) => Number.parseInt(octet, 16))
  body.push(SubTlv.ENCAPSULATION, 12, flags, (vni >>> 16) & 255, (vni >>> 8) & 255, vni & 255, ...mac, 0, 0)
  const endpoint = tunnel.endpoint === null ? NOTHING : parseAddress(tunnel.endpoint)
  const family = endpoint.length === 0 ? 0 : endpoint.length === 4 ? 1 : 2
  body.push(SubTlv.EGRESS_ENDPOINT, 6 + endpoint.length, 0, 0, 0, 0, 0, family, ...endpoint)
  if (tunnel.port !== null && tunnel.port !== IANA_PORT)
    body.push(SubTlv.UDP_DESTINATION_PORT, 2, tunnel.port >>> 8, tunnel.port & 255)
  if (tunnel.address !== null) body.push(SubTlv.VTEP_ADDRESS, 4, ...parseAddress(tunnel.address))
  return Uint8Array.of(0, VXLAN, body.length >>> 8, body.length & 255, ...body)
}

function readTunnel(value: Uint8Array, start: number, end: number): VxlanTunnel | null {
  let endpoint: string | null | undefined
  let address: string | null = null
  let mac: string | null = null
  let vni: number | null = null
  let port: number | null = null
  const seen = new Set<number>()
  for (let at = start; at + 2 <= end; ) {
    const type = value[at]!
    const header = type < 128 ? 2 : 3
    if (at + header > end) return null
    const length = header === 2 ? value[at + 1]! : u16(value, at + 1)
    const from = at + header
    const to = from + length
    if (to > end) return null
    at = to
    if (seen.has(type)) continue
    seen.add(type)
    switch (type) {
      case SubTlv.ENCAPSULATION:
        if (length !== 12) break
        if ((value[from]! & VNI_VALID) !== 0) vni = (value[from + 1]! << 16) | u16(value, from + 2)
        if ((value[from]! & MAC_VALID) !== 0) mac = macOf(value.subarray(from + 4, from + 10))
        break
      case SubTlv.EGRESS_ENDPOINT:
        endpoint = endpointOf(value.subarray(from, to))
        break
      case SubTlv.UDP_DESTINATION_PORT:
        // §3.3.2: 0 is malformed.
        if (length === 2 && u16(value, from) !== 0) port = u16(value, from)
        break
      case SubTlv.VTEP_ADDRESS:
        if (length === 4 && isHost(value.subarray(from, to))) address = formatAddress(value.subarray(from, to))
    }
  }
  return endpoint === undefined ? null : { endpoint, address, mac, vni, port: port ?? IANA_PORT }
}

/** Undefined: malformed, or no address of a host (§3.1). */
function endpointOf(value: Uint8Array): string | null | undefined {
  if (value.length < 6) return undefined
  const family = u16(value, 4)
  const address = value.subarray(6)
  if (family === 0) return address.length === 0 ? null : undefined
  if (address.length !== (family === 1 ? 4 : family === 2 ? 16 : -1)) return undefined
  return isHost(address) ? formatAddress(address) : undefined
}

/** A unicast address of a node that is not this one itself. */
function isHost(address: Uint8Array): boolean {
  const first = address[0]!
  if (address.length === 4) return first !== 0 && first !== 127 && first < 224
  return first !== 0xff && !address.subarray(0, 15).every((octet) => octet === 0)
}

/** Null for a group address and for all zeros, which no station has. */
function macOf(octets: Uint8Array): string | null {
  if ((octets[0]! & 1) !== 0 || octets.every((octet) => octet === 0)) return null
  return [...octets].map((octet) => octet.toString(16).padStart(2, '0')).join(':')
}

function u16(value: Uint8Array, at: number): number {
  return (value[at]! << 8) | value[at + 1]!
}

const SubTlv = Object.freeze({
  ENCAPSULATION: 1,
  EGRESS_ENDPOINT: 6,
  UDP_DESTINATION_PORT: 8,
  /** Of the range for experiments, 126 and 127 (RFC 9012 §14.2). */
  VTEP_ADDRESS: 126,
} as const)
const VXLAN = 8
const VNI_VALID = 0x80
const MAC_VALID = 0x40
const IANA_PORT = 4789
const NO_MAC = [0, 0, 0, 0, 0, 0]
const NOTHING = new Uint8Array(0)
