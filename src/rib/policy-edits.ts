/**
 * What policies do to attributes: from the text of `set` to octets, several `set` in a row as one, and their application.
 *
 * Order of one `set`: communities are replaced, then removed, then added. Communities keep the order received; new ones are put behind them,
 * none twice.
 */
import { prependAs } from '../bgp/attributes/as-path.js'
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import type { PolicySet } from '../config/types.js'
import { parseAddress } from '../net/address.js'
import { communityLists, LARGE_OCTETS, STANDARD_OCTETS, union, without } from './policy-communities.js'
import type { AttributeEdits, CommunityLists } from './policy-types.js'

export function editsOf(set: PolicySet): AttributeEdits {
  return {
    localPref: set.localPref,
    med: set.med,
    origin: set.origin,
    communitiesSet: set.communitiesSet === null ? null : communityLists(set.communitiesSet),
    communitiesAdd: listsOrNull(set.communitiesAdd),
    communitiesRemove: listsOrNull(set.communitiesRemove),
    prepend: set.prepend,
    nextHop: set.nextHop === null || set.nextHop === 'self' ? set.nextHop : parseAddress(set.nextHop),
  }
}

/** One edit with the effect of `first` and then `second`. */
export function composeEdits(first: AttributeEdits, second: AttributeEdits): AttributeEdits {
  return {
    localPref: second.localPref ?? first.localPref,
    med: second.med ?? first.med,
    origin: second.origin ?? first.origin,
    ...composeCommunities(first, second),
    prepend: [...second.prepend, ...first.prepend],
    nextHop: second.nextHop ?? first.nextHop,
  }
}

type CommunityEdits = Pick<AttributeEdits, 'communitiesSet' | 'communitiesAdd' | 'communitiesRemove'>

/** (x − R1 + A1) − R2 + A2 = x − (R1 ∪ R2) + ((A1 − R2) ∪ A2); a second `set` makes what came before it irrelevant. */
function composeCommunities(first: AttributeEdits, second: AttributeEdits): CommunityEdits {
  if (second.communitiesSet !== null) {
    const { communitiesSet, communitiesAdd, communitiesRemove } = second
    return { communitiesSet, communitiesAdd, communitiesRemove }
  }
  const kept = combine(first.communitiesAdd ?? NONE, second.communitiesRemove ?? NONE, without) ?? NONE
  return {
    communitiesSet: first.communitiesSet,
    communitiesRemove: combine(first.communitiesRemove ?? NONE, second.communitiesRemove ?? NONE, union),
    communitiesAdd: combine(kept, second.communitiesAdd ?? NONE, union),
  }
}

/** True where the attributes stay as they are. */
export function isNoEdit(edits: AttributeEdits): boolean {
  return (
    edits.localPref === null &&
    edits.med === null &&
    edits.origin === null &&
    edits.communitiesSet === null &&
    isEmpty(edits.communitiesAdd) &&
    isEmpty(edits.communitiesRemove) &&
    edits.prepend.length === 0 &&
    edits.nextHop === null
  )
}

/**
 * A new set; the given one stays as it is. `self.nextHop` is the address of this speaker on the session, null where there is none (import):
 * `nextHop: self` then changes nothing. A next hop of the other family than the route's is ignored.
 */
export function applyEdits(
  attributes: PathAttributes,
  edits: AttributeEdits,
  self: { readonly nextHop: Uint8Array | null },
): PathAttributes {
  return {
    ...attributes,
    origin: edits.origin ?? attributes.origin,
    med: edits.med ?? attributes.med,
    localPref: edits.localPref ?? attributes.localPref,
    asPath: edits.prepend.length === 0 ? attributes.asPath : prependAs(attributes.asPath ?? NO_OCTETS, edits.prepend),
    // Our own address is right in whatever family the session takes it (RFC 8950).
    nextHop:
      edits.nextHop === 'self'
        ? (self.nextHop ?? attributes.nextHop)
        : editedNextHop(attributes.nextHop, edits.nextHop),
    communities: editedList(attributes.communities, edits, 'standard', STANDARD_OCTETS),
    largeCommunities: editedList(attributes.largeCommunities, edits, 'large', LARGE_OCTETS),
  }
}

function editedNextHop(current: Uint8Array | null, wanted: Uint8Array | null): Uint8Array | null {
  if (wanted === null) return current
  // 32 octets: a global IPv6 address and a link-local one (RFC 2545 §3).
  if (current !== null && (current.length === 4) !== (wanted.length === 4)) return current
  return wanted
}

function editedList(
  current: Uint8Array | null,
  edits: AttributeEdits,
  kind: keyof CommunityLists,
  octets: number,
): Uint8Array | null {
  const { communitiesSet, communitiesRemove, communitiesAdd } = edits
  if (communitiesSet === null && communitiesRemove === null && communitiesAdd === null) return current
  let list = communitiesSet === null ? (current ?? NO_OCTETS) : communitiesSet[kind]
  if (communitiesRemove !== null) list = without(list, communitiesRemove[kind], octets)
  if (communitiesAdd !== null) list = union(list, communitiesAdd[kind], octets)
  return list.length === 0 ? null : list
}

function listsOrNull(texts: readonly string[]): CommunityLists | null {
  return texts.length === 0 ? null : communityLists(texts)
}

function combine(
  a: CommunityLists,
  b: CommunityLists,
  operation: (a: Uint8Array, b: Uint8Array, octets: number) => Uint8Array,
): CommunityLists | null {
  const lists = {
    standard: operation(a.standard, b.standard, STANDARD_OCTETS),
    large: operation(a.large, b.large, LARGE_OCTETS),
  }
  return isEmpty(lists) ? null : lists
}

function isEmpty(lists: CommunityLists | null): boolean {
  return lists === null || (lists.standard.length === 0 && lists.large.length === 0)
}

const NO_OCTETS: Uint8Array = new Uint8Array(0)
const NONE: CommunityLists = Object.freeze({ standard: NO_OCTETS, large: NO_OCTETS })
