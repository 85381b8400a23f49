/**
 * Attribute sets of long-lived stale routes: the same with the community LLGR_STALE (RFC 9494 §4.3), made once per set.
 */
import { isEncodable } from '../bgp/attributes/encode.js'
import { type AttributeSet, CommunityBits } from './attribute-set.js'
import type { AttributeStore } from './attribute-store.js'

export class LongLivedSets {
  readonly #store: AttributeStore
  /** Not retained: what was freed meanwhile is no longer the set of its id. */
  readonly #marked = new WeakMap<AttributeSet, AttributeSet>()

  constructor(store: AttributeStore) {
    this.#store = store
  }

  /** The set with LLGR_STALE; itself where it has it; null where the list would be too long. */
  marked(set: AttributeSet): AttributeSet | null {
    if ((set.communityBits & CommunityBits.LLGR_STALE) !== 0) return set
    const known = this.#marked.get(set)
    if (known !== undefined && this.#store.get(known.id) === known) return known
    const attributes = this.#store.attributes(set)
    const before = attributes.communities ?? new Uint8Array(0)
    const communities = new Uint8Array(before.length + LLGR_STALE.length)
    communities.set(before)
    communities.set(LLGR_STALE, before.length)
    const edited = { ...attributes, communities }
    if (!isEncodable(edited)) return null
    const marked = this.#store.internAttributes(edited, this.#store.zoneOf(set))
    this.#marked.set(set, marked)
    return marked
  }
}

/** RFC 9494 §3.2. */
const LLGR_STALE = Uint8Array.of(0xff, 0xff, 0, 6)
