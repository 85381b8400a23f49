/**
 * An import policy with its memo: attributes are judged once per attribute set, the result of `set` is made once per set and verdict.
 */
import { isEncodable } from '../bgp/attributes/encode.js'
import type { Family } from '../net/family.js'
import type { AttributeSet } from './attribute-set.js'
import type { AttributeStore } from './attribute-store.js'
import { applyEdits } from './policy.js'
import type { CompiledPolicy, PolicyVerdict } from './policy-types.js'
import type { RibSource } from './source.js'

interface Memo {
  /** By RibSource.policyKey; -1 where the source makes no difference. */
  readonly candidates: Map<number, number>
  /**
   * By verdict id: the edited set. Not retained: a set that the policy leaves as it is would hold itself for ever. What was freed meanwhile is seen by its
   * object, which is no longer the one with that id.
   */
  readonly edited: Map<number, AttributeSet | null>
}

export class ImportPolicy {
  readonly policy: CompiledPolicy
  readonly #store: AttributeStore
  readonly #memos: Map<number, Memo>[] = []

  constructor(policy: CompiledPolicy, store: AttributeStore) {
    this.policy = policy
    this.#store = store
  }

  /** First half of the policy, by attributes and source. */
  candidates(set: AttributeSet, family: Family, source: RibSource): number {
    const memo = this.#memo(set, family)
    const key = this.policy.readsSource ? source.policyKey : -1
    let candidates = memo.candidates.get(key)
    if (candidates === undefined) {
      candidates = this.policy.evaluateAttributes(this.#store.attributes(set), family, source.policySource)
      memo.candidates.set(key, candidates)
    }
    return candidates
  }

  /** The set as the verdict leaves it; null where that is too long to be one. */
  effective(set: AttributeSet, family: Family, verdict: PolicyVerdict): AttributeSet | null {
    if (verdict.edits === null) return set
    const memo = this.#memo(set, family)
    let edited = memo.edited.get(verdict.id)
    if (edited === undefined || (edited !== null && this.#store.get(edited.id) !== edited)) {
      const before = this.#store.attributes(set)
      const attributes = applyEdits(before, verdict.edits, { nextHop: null })
      const zone = attributes.nextHop === before.nextHop ? this.#store.zoneOf(set) : 0
      edited = isEncodable(attributes) ? this.#store.internAttributes(attributes, zone) : null
      memo.edited.set(verdict.id, edited)
    }
    return edited
  }

  /** The id of this set is about to be reused. */
  forget(setId: number): void {
    for (const memos of this.#memos) memos?.delete(setId)
  }

  #memo(set: AttributeSet, family: Family): Memo {
    this.#memos[family] ??= new Map()
    const memos = this.#memos[family]
    let memo = memos.get(set.id)
    if (memo === undefined) {
      memo = { candidates: new Map(), edited: new Map() }
      memos.set(set.id, memo)
    }
    return memo
  }
}
