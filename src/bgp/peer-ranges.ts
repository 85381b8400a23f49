/**
 * Finds the range neighbour that an address belongs to: the longest prefix, like a route. There are few ranges, however many peers.
 */

import type { NeighborConfig, PrefixText } from '../config/types.js'
import { addressOrNull } from '../net/address.js'
import { addressInPrefix } from '../net/prefix.js'
import { withoutZone } from '../net/zone.js'

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
    const octets = addressOrNull(withoutZone(address))
    if (octets === null) return undefined
    return this.#ranges.find((range) => addressInPrefix(octets, range.prefix))?.config
  }
}
