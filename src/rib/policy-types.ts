/**
 * The seam between policies (src/rib/policy.ts) and the tables. A policy is compiled into a part that reads attributes and source (memoised
 * per attribute set by the caller) and a part that reads the prefix.
 */
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import type { Family } from '../net/family.js'

/** Where a route came from. */
export interface PolicySource {
  /** Neighbour name; `local` for own routes. */
  readonly name: string
  readonly type: 'ebgp' | 'ibgp' | 'local'
}

export interface CompiledPolicy {
  readonly name: string
  /** False: evaluatePrefix gives the same verdict for every prefix of a family, so one verdict per attribute set is enough. */
  readonly readsPrefix: boolean
  /** False: the source makes no difference. */
  readonly readsSource: boolean
  /**
   * First half: which statements can match by attributes and source; an opaque small integer (bit set over statements, or an id of one interned in
   * the policy).
   */
  evaluateAttributes(attributes: PathAttributes, family: Family, source: PolicySource): number
  /** Second half. w0..w3: address as big-endian u32 words (IPv4 uses w0 alone). No allocation on the hot path: verdicts are interned. */
  evaluatePrefix(
    candidates: number,
    family: Family,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    length: number,
  ): PolicyVerdict
}

/** Interned per compiled policy: equal verdicts are the same object. */
export interface PolicyVerdict {
  /** Dense, from 0, stable for the life of the compiled policy: key of memos. */
  readonly id: number
  readonly accept: boolean
  /** For people: `policy from-tor, statement 2 (reject)`. */
  readonly text: string
  /** null: attributes stay as they are. */
  readonly edits: AttributeEdits | null
  /** Weight set on import, or null. */
  readonly weight: number | null
}

/** Changes of attributes, already parsed. Applied by applyEdits(attributes, edits, selfNextHop). */
export interface AttributeEdits {
  readonly localPref: number | null
  readonly med: number | null
  readonly origin: number | null
  readonly communitiesSet: CommunityLists | null
  readonly communitiesAdd: CommunityLists | null
  readonly communitiesRemove: CommunityLists | null
  readonly prepend: readonly number[]
  /** 4 or 16 octets, or `self`; an address of the other family than the route's is ignored. */
  readonly nextHop: 'self' | Uint8Array | null
}
export interface CommunityLists {
  /** 4n and 12n octets. */
  readonly standard: Uint8Array
  readonly large: Uint8Array
}
