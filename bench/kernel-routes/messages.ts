/** The UPDATEs of the sender: /26 blocks as of Pods, from 10.64.0.0 on, one behind the other, packed into full messages of 4096 octets. */
import { NO_ATTRIBUTES } from '../../src/bgp/attributes/decode.js'
import { encodePathAttributes } from '../../src/bgp/attributes/encode.js'
import { HEADER_OCTETS, MAX_MESSAGE_OCTETS, MessageType } from '../../src/bgp/message/message.js'

export const BLOCK_LENGTH = 26
/** Beyond it the blocks would come to addresses that are no unicast ones of others. */
export const MOST_ROUTES = 1_000_000

/** Address of block number `n`, as u32. */
export function blockAddress(n: number): number {
  return FIRST_ADDRESS + n * 64
}

/** Number of the block with that address, or -1 where it is none of the first `routes`. */
export function blockNumberAt(address: number, routes: number): number {
  const n = (address - FIRST_ADDRESS) / 64
  return Number.isInteger(n) && n >= 0 && n < routes ? n : -1
}

/** All blocks with one next hop (4 octets), as an internal peer with 4-octet AS numbers sends them. */
export function announceAll(routes: number, nextHop: Uint8Array): Buffer {
  const block = encodePathAttributes(
    { ...NO_ATTRIBUTES, origin: 0, asPath: new Uint8Array(0), nextHop, localPref: 100 },
    { as4: true, nextHopAttribute: true },
  )
  return pack(routes, block.length, (count) => [u16(0), u16(block.length), block, nlri(count)])
}

export function withdrawAll(routes: number): Buffer {
  return pack(routes, 0, (count) => [u16(count.length * NLRI_OCTETS), nlri(count), u16(0)])
}

/** Numbers of the blocks of one message. */
interface Count {
  readonly from: number
  readonly length: number
}

function pack(routes: number, blockOctets: number, body: (count: Count) => readonly Uint8Array[]): Buffer {
  const most = Math.floor((MAX_MESSAGE_OCTETS - HEADER_OCTETS - 4 - blockOctets) / NLRI_OCTETS)
  const parts: Uint8Array[] = []
  for (let from = 0; from < routes; from += most) {
    const fields = body({ from, length: Math.min(most, routes - from) })
    parts.push(header(fields.reduce((sum, { length }) => sum + length, 0)), ...fields)
  }
  return Buffer.concat(parts)
}

function header(bodyOctets: number): Uint8Array {
  const octets = new Uint8Array(HEADER_OCTETS).fill(255)
  octets.set(u16(HEADER_OCTETS + bodyOctets), 16)
  octets[18] = MessageType.UPDATE
  return octets
}

function nlri({ from, length }: Count): Uint8Array {
  const octets = Buffer.alloc(length * NLRI_OCTETS)
  for (let i = 0; i < length; i++) {
    octets[i * NLRI_OCTETS] = BLOCK_LENGTH
    octets.writeUInt32BE(blockAddress(from + i), i * NLRI_OCTETS + 1)
  }
  return octets
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 255)
}

/** 10.64.0.0. */
const FIRST_ADDRESS = 0x0a400000
const NLRI_OCTETS = 5
