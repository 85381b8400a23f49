/**
 * The BFD Control packet (RFC 5880 §4.1), and the rules of its reception that need no session (§6.8.6). Authentication is not used: packets with it are
 * thrown away, as §6.8.6 wants.
 */
import { BFD_STATES, type BfdState } from './types.js'

/** Intervals are microseconds, as on the wire. */
export interface BfdPacket {
  readonly diagnostic: number
  readonly state: BfdState
  readonly poll: boolean
  readonly final: boolean
  /** C: the sender's BFD does not share fate with its control plane. */
  readonly independent: boolean
  readonly demand: boolean
  readonly multiplier: number
  readonly myDiscriminator: number
  /** 0: the sender does not know ours. */
  readonly yourDiscriminator: number
  readonly desiredMinTxUs: number
  readonly requiredMinRxUs: number
  readonly requiredMinEchoRxUs: number
}

/** Why a packet is thrown away before anybody looks for its session. */
export type PacketFault =
  | 'too short'
  | 'version'
  | 'length'
  | 'multiplier 0'
  | 'multipoint'
  | 'discriminator 0'
  | 'your discriminator 0'
  | 'authentication'

export function encodePacket(packet: BfdPacket): Uint8Array {
  const octets = new Uint8Array(PACKET_OCTETS)
  const view = new DataView(octets.buffer)
  octets[0] = (VERSION << 5) | (packet.diagnostic & 0x1f)
  octets[1] =
    (BFD_STATES.indexOf(packet.state) << 6) |
    (packet.poll ? POLL : 0) |
    (packet.final ? FINAL : 0) |
    (packet.independent ? INDEPENDENT : 0) |
    (packet.demand ? DEMAND : 0)
  octets[2] = packet.multiplier
  octets[3] = PACKET_OCTETS
  view.setUint32(4, packet.myDiscriminator)
  view.setUint32(8, packet.yourDiscriminator)
  view.setUint32(12, packet.desiredMinTxUs)
  view.setUint32(16, packet.requiredMinRxUs)
  view.setUint32(20, packet.requiredMinEchoRxUs)
  return octets
}

/** In the order of RFC 5880 §6.8.6. What lies behind the packet's length in the datagram is ignored. */
export function decodePacket(octets: Uint8Array): BfdPacket | PacketFault {
  if (octets.length < PACKET_OCTETS) return 'too short'
  const flags = octets[1]!
  const length = octets[3]!
  if (octets[0]! >> 5 !== VERSION) return 'version'
  if (length < ((flags & AUTHENTICATION) === 0 ? PACKET_OCTETS : PACKET_OCTETS + 2) || length > octets.length) {
    return 'length'
  }
  if (octets[2] === 0) return 'multiplier 0'
  if ((flags & MULTIPOINT) !== 0) return 'multipoint'
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length)
  const myDiscriminator = view.getUint32(4)
  const yourDiscriminator = view.getUint32(8)
  const state = BFD_STATES[flags >> 6]!
  if (myDiscriminator === 0) return 'discriminator 0'
  if (yourDiscriminator === 0 && state !== 'Down' && state !== 'AdminDown') return 'your discriminator 0'
  if ((flags & AUTHENTICATION) !== 0) return 'authentication'
  return {
    diagnostic: octets[0]! & 0x1f,
    state,
    poll: (flags & POLL) !== 0,
    final: (flags & FINAL) !== 0,
    independent: (flags & INDEPENDENT) !== 0,
    demand: (flags & DEMAND) !== 0,
    multiplier: octets[2]!,
    myDiscriminator,
    yourDiscriminator,
    desiredMinTxUs: view.getUint32(12),
    requiredMinRxUs: view.getUint32(16),
    requiredMinEchoRxUs: view.getUint32(20),
  }
}

/** Without authentication. */
export const PACKET_OCTETS = 24
const VERSION = 1
const POLL = 0x20
const FINAL = 0x10
const INDEPENDENT = 0x08
const AUTHENTICATION = 0x04
const DEMAND = 0x02
const MULTIPOINT = 0x01
