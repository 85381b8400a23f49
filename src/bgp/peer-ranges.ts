/**
 * Finds the range neighbour that an address belongs to: the longest prefix, like a route. There are few ranges, however many peers.
 */
import type { NeighborConfig, PrefixText } from '../config/types.js'
import { parseAddress } from '../net/address.js'

interface Range {
  readonly config: NeighborConfig
  readonly prefix: PrefixText
}

export class PeerRanges {
  /** Longest prefix first. */
  #ranges: Range[] = []

  configure(neighbors: Iterable<NeighborConfig>): void {
    this.#ranges = []
    for (const config of neighbors) {
      if (config.range !== null) this.#ranges.push({ config, prefix: config.range })
    }
    this.#ranges.sort((a, b) => b.prefix.length - a.prefix.length)
  }

  configs(): NeighborConfig[] {
    return this.#ranges.map((range) => range.config)
  }

  /** A link-local address may carry its zone. */
  find(address: string): NeighborConfig | undefined {
    if (this.#ranges.length === 0) return undefined
    const octets = octetsOf(address)
    if (octets === null) return undefined
    return this.#ranges.find((range) => contains(range.prefix, octets))?.config
  }
}

function octetsOf(address: string): Uint8Array | null {
  try {
    return parseAddress(address.split('%')[0]!)
  } catch {
    return null
  }
}

function contains(prefix: PrefixText, octets: Uint8Array): boolean {
  if (octets.length !== prefix.address.length) return false
  const whole = prefix.length >> 3
  for (let i = 0; i < whole; i++) if (octets[i] !== prefix.address[i]) return false
  const rest = prefix.length & 7
  return rest === 0 || (octets[whole]! ^ prefix.address[whole]!) >> (8 - rest) === 0
}
