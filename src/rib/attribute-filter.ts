/**
 * The operator's emergency valve: attributes that are taken off before anything else looks at them (`discardAttributes`; RFC 7606 §2 "attribute discard"), and
 * those that make the route withdrawn (`treatAsWithdrawAttributes`). What was received stays as it came; what is judged is another set, without the
 * attributes. Made once per received set and pair of lists.
 */
import { Flags } from '../bgp/iana.js'
import type { AttributeSet } from './attribute-set.js'
import { DecodeBits } from './attribute-set.js'
import type { AttributeStore } from './attribute-store.js'

export interface Filtered {
  /** The received set where nothing was taken off. */
  readonly set: AttributeSet
  /** First attribute type in it that withdraws, -1 for none. */
  readonly refused: number
}

export class AttributeFilter {
  readonly #store: AttributeStore
  readonly #discard = new Uint8Array(256)
  readonly #withdraw = new Uint8Array(256)
  /** By id of the received set. Not retained; a result that was freed meanwhile is seen by its object. */
  readonly #memo = new Map<number, Filtered>()

  constructor(store: AttributeStore, discard: readonly number[], withdraw: readonly number[]) {
    this.#store = store
    for (const type of discard) this.#discard[type] = 1
    for (const type of withdraw) this.#withdraw[type] = 1
  }

  apply(received: AttributeSet): Filtered {
    const known = this.#memo.get(received.id)
    if (known !== undefined && this.#store.get(known.set.id) === known.set) return known
    const made = this.#make(received)
    this.#memo.set(received.id, made)
    return made
  }

  /** The id of this set is about to be reused. */
  forget(setId: number): void {
    this.#memo.delete(setId)
  }

  #make(received: AttributeSet): Filtered {
    const octets = this.#store.octets(received)
    const kept = new Uint8Array(octets.length)
    let length = 0
    let refused = -1
    let at = 0
    while (at < octets.length) {
      const header = (octets[at]! & Flags.EXTENDED_LENGTH) === 0 ? 3 : 4
      const size = header === 3 ? octets[at + 2]! : (octets[at + 2]! << 8) | octets[at + 3]!
      const next = at + header + size
      // Cut: where it ends is unknown, so that it can be neither taken off nor named. The fault of the block stays (RFC 7606 §4).
      if (at + header > octets.length || next > octets.length) break
      const type = octets[at + 1]!
      if (this.#discard[type] === 0) {
        if (this.#withdraw[type] !== 0 && refused === -1) refused = type
        kept.set(octets.subarray(at, next), length)
        length += next - at
      }
      at = next
    }
    kept.set(octets.subarray(at), length)
    length += octets.length - at
    if (length === octets.length) return { set: received, refused }
    const { decodeClass } = received
    const nextHop = (decodeClass & DecodeBits.MP_NEXT_HOP) === 0 ? null : Uint8Array.from(this.#store.nextHop(received))
    const as4 = (decodeClass & DecodeBits.AS4) !== 0
    const set = this.#store.intern(kept, 0, length, nextHop, as4, (decodeClass & DecodeBits.EBGP) !== 0)
    return { set, refused }
  }
}
