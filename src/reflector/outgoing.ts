/** What is to be written to a member in one go: pieces of shared slabs. */
import type { PackedSlab } from './update-packer.js'

export class Outgoing {
  readonly chunks: Uint8Array[] = []
  octets = 0
  messages = 0

  /** The messages of a slab without the member's own routes. */
  addSlab(slab: PackedSlab, source: number): void {
    const range = slab.ranges.get(source)
    if (range === undefined) {
      this.add(slab.octets, slab.messages)
      return
    }
    const messages = slab.messages - range.messages
    if (range.start > 0) this.add(slab.octets.subarray(0, range.start), messages)
    if (range.end < slab.octets.length) this.add(slab.octets.subarray(range.end), range.start > 0 ? 0 : messages)
  }

  add(octets: Uint8Array, messages: number): void {
    this.chunks.push(octets)
    this.octets += octets.length
    this.messages += messages
  }
}
