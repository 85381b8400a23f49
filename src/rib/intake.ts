/**
 * What a neighbour's settings make of its routes behind the import policy: localAsn in front of AS_PATH (RFC 7705 §3.1), LOCAL_PREF 0 for what goes away
 * (RFC 8326 §4.1). Sessions without such settings, and routes without the community, pass by with one comparison.
 *
 * The edited sets are kept by set and edit. They are not retained: what was freed meanwhile is seen by its object, as in import-policy.ts.
 */
import { prependAs } from '../bgp/attributes/as-path.js'
import { isEncodable } from '../bgp/attributes/encode.js'
import { type AttributeSet, CommunityBits } from './attribute-set.js'
import type { AttributeStore } from './attribute-store.js'
import { withGracefulShutdown } from './graceful-shutdown.js'

export interface IntakeRules {
  /** AS_PATH from an external peer has to begin with its AS (RFC 4271 §6.3). */
  readonly enforceFirstAs: boolean
  /** AS put in front of what is received; 0: none. */
  readonly prependAsn: number
  /** GRACEFUL_SHUTDOWN from this peer means LOCAL_PREF 0. */
  readonly honorGracefulShutdown: boolean
  /** The session is about to be shut down: what was learned from it is the last choice, and says so. */
  readonly drained: boolean
}

export const PLAIN_INTAKE: IntakeRules = Object.freeze({
  enforceFirstAs: true,
  prependAsn: 0,
  honorGracefulShutdown: false,
  drained: false,
})

export function sameIntake(a: IntakeRules, b: IntakeRules): boolean {
  return (
    a.enforceFirstAs === b.enforceFirstAs &&
    a.prependAsn === b.prependAsn &&
    a.honorGracefulShutdown === b.honorGracefulShutdown &&
    a.drained === b.drained
  )
}

export class IntakeEdits {
  readonly #store: AttributeStore
  /** By set id, then by edit. */
  readonly #edited = new Map<number, Map<number, AttributeSet | null>>()

  constructor(store: AttributeStore) {
    this.#store = store
  }

  /** True where the set of a route does not stay as it is. */
  applies(rules: IntakeRules, set: AttributeSet): boolean {
    if (rules.prependAsn !== 0 || rules.drained) return true
    return (set.communityBits & CommunityBits.GRACEFUL_SHUTDOWN) !== 0 && rules.honorGracefulShutdown
  }

  /** The set with all that applies; null where it is too long to be one. */
  edited(rules: IntakeRules, set: AttributeSet): AttributeSet | null {
    const leaves = rules.drained || (set.communityBits & CommunityBits.GRACEFUL_SHUTDOWN) !== 0
    const lowers = rules.drained || (leaves && rules.honorGracefulShutdown)
    const edit = rules.prependAsn * 4 + (rules.drained ? 2 : 0) + (lowers ? 1 : 0)
    let memo = this.#edited.get(set.id)
    if (memo === undefined) {
      memo = new Map()
      this.#edited.set(set.id, memo)
    }
    let edited = memo.get(edit)
    if (edited === undefined || (edited !== null && this.#store.get(edited.id) !== edited)) {
      let attributes = this.#store.attributes(set)
      if (rules.prependAsn !== 0)
        attributes = { ...attributes, asPath: prependAs(attributes.asPath ?? NO_PATH, [rules.prependAsn]) }
      if (rules.drained) attributes = withGracefulShutdown(attributes, true)
      else if (lowers) attributes = { ...attributes, localPref: 0 }
      edited = isEncodable(attributes) ? this.#store.internAttributes(attributes, this.#store.zoneOf(set)) : null
      memo.set(edit, edited)
    }
    return edited
  }

  /** The id of this set is about to be reused. */
  forget(setId: number): void {
    this.#edited.delete(setId)
  }
}

const NO_PATH = new Uint8Array(0)
