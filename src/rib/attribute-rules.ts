/**
 * What a neighbour's configuration allows in its attributes, beyond what RFC 7606 says of the octets: AS_SETs (RFC 9774), length of AS_PATH, number of
 * communities, attributes that the operator takes off or refuses. A set is counted once, when it is made; here the counts are only compared.
 */
import type { AttributeFault } from '../bgp/errors.js'
import { AttributeType, attributeName } from '../bgp/iana.js'
import { type AttributeSet, asNumbersOf, communitiesOf, hasAsSets } from './attribute-set.js'
import { PathState, pathStateText } from './path-state.js'
import type { Rib } from './rib.js'
import type { SourceOptions } from './source.js'

export interface AttributeRules {
  readonly allowAsSets: boolean
  /** AS numbers in AS_PATH; each member of a set counts. */
  readonly maxAsPath: number
  /** Standard, extended, large and IPv6 extended ones together. */
  readonly maxCommunities: number
  /** Attribute sets that the peer may hold, in the units of `setUnits`. */
  readonly maxSets: number
  /** Attribute types that are taken off before anything looks at them, ascending. */
  readonly discard: readonly number[]
  /** Attribute types that make a route withdrawn, ascending. */
  readonly withdraw: readonly number[]
  /** False: the Tunnel Encapsulation attribute is taken off (RFC 9012 §11). A malformed one withdraws all the same (§13). */
  readonly tunnelEncapsulation: boolean
}

/** USABLE, or why the neighbour's rules refuse the set. */
export function judgeByRules(set: AttributeSet, rules: AttributeRules): PathState {
  if (!rules.allowAsSets && hasAsSets(set)) return PathState.AS_SET
  if (asNumbersOf(set) > rules.maxAsPath) return PathState.LONG_AS_PATH
  return communitiesOf(set) > rules.maxCommunities ? PathState.MANY_COMMUNITIES : PathState.USABLE
}

/** The refusal as a fault that can be counted and told. */
export function refusal(state: PathState, set: AttributeSet, rules: AttributeRules): AttributeFault {
  if (state === PathState.AS_SET) {
    return withdraw(AttributeType.AS_PATH, 'AS_PATH: has an AS_SET; allowAsSets: true takes it (RFC 9774 §3)')
  }
  if (state === PathState.LONG_AS_PATH) {
    const text = `AS_PATH: ${asNumbersOf(set)} AS numbers are more than maxAsPath ${rules.maxAsPath}; raise it to take them`
    return withdraw(AttributeType.AS_PATH, `${text} (neighbors[].maxAsPath)`)
  }
  const text = `${communitiesOf(set)} communities are more than maxCommunities ${rules.maxCommunities}; raise it to take them`
  return withdraw(AttributeType.COMMUNITIES, `${text} (neighbors[].maxCommunities)`)
}

export function refusedAttribute(type: number): AttributeFault {
  return withdraw(type, `${attributeName(type)}: refused by the configuration (neighbors[].treatAsWithdrawAttributes)`)
}

function withdraw(attribute: number, reason: string): AttributeFault {
  return { approach: 'treat-as-withdraw', attribute, reason }
}

/** Why a path with that state is not used, with the numbers and faults that its attributes have. */
export function unusedText(
  state: PathState,
  received: AttributeSet,
  { attributeRules: rules }: SourceOptions,
  rib: Rib,
): string {
  const text = pathStateText(state)
  const filtered = rules === undefined ? null : rib.attributeFilterOf(rules).apply(received)
  const { fault } = filtered?.set ?? received
  if (state === PathState.TREAT_AS_WITHDRAW && fault !== null) return `${text}: ${fault.reason}`
  if (rules === undefined || filtered === null) return text
  if (state === PathState.REFUSED_ATTRIBUTE && filtered.refused !== -1)
    return `${text}: ${attributeName(filtered.refused)}`
  const counted = state === PathState.LONG_AS_PATH || state === PathState.MANY_COMMUNITIES
  return counted ? `${refusal(state, filtered.set, rules).reason}, treated as withdrawn` : text
}
