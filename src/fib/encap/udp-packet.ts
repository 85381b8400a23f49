/**
 * Packets of Flannel's UDP back end (pure): the inner IPv4 packet as it is, with its TTL one less, is the payload of the datagram. Both ends count one hop.
 */
import { wordAt } from '../../net/address.js'

/** Destination of an IPv4 packet that may be forwarded, its TTL decremented in place; -1: to be dropped (cut, not IPv4, or its TTL is used up). */
export function takePacket(packet: Uint8Array): number {
  if (packet.length < IPV4_HEADER || packet[0]! >> 4 !== 4) return DROP
  const ttl = packet[8]!
  if (ttl <= 1) return DROP
  packet[8] = ttl - 1
  // RFC 1624: the checksum grows by 0x0100, with the carry around.
  const sum = ((packet[10]! << 8) | packet[11]!) + 0x0100
  const folded = (sum & 0xffff) + (sum >>> 16)
  packet[10] = folded >>> 8
  packet[11] = folded & 0xff
  return wordAt(packet, 16) >>> 0
}

/** Longest match over the blocks of other nodes. */
export class BlockTable {
  readonly #lengths: number[] = []
  readonly #byLength = new Map<number, Map<number, string>>()

  /** `blocks`: network as u32, length, node address. */
  replace(blocks: readonly (readonly [network: number, length: number, node: string])[]): void {
    this.#lengths.length = 0
    this.#byLength.clear()
    for (const [network, length, node] of blocks) {
      let map = this.#byLength.get(length)
      if (map === undefined) {
        map = new Map()
        this.#byLength.set(length, map)
        this.#lengths.push(length)
      }
      map.set(masked(network, length), node)
    }
    this.#lengths.sort((a, b) => b - a)
  }

  find(address: number): string | undefined {
    for (const length of this.#lengths) {
      const node = this.#byLength.get(length)!.get(masked(address, length))
      if (node !== undefined) return node
    }
    return undefined
  }
}

function masked(address: number, length: number): number {
  return length === 0 ? 0 : (address & (-1 << (32 - length))) >>> 0
}

const IPV4_HEADER = 20
const DROP = -1
