/**
 * Where paths come from: one source per BGP session (a session that returns is a new source, so that the old one's routes can be cleared in
 * slices meanwhile), and one for the routes of this speaker.
 */
import type { Role } from '../bgp/capabilities/offer.js'
import { FAMILY_COUNT } from '../net/family.js'
import type { AttributeRules } from './attribute-rules.js'
import { SetHolder } from './attribute-set.js'
import type { IntakeRules } from './intake.js'
import type { CompiledPolicy, PolicySource } from './policy-types.js'

export const SourceKind = Object.freeze({ LOCAL: 0, EBGP: 1, CLIENT: 2, NON_CLIENT: 3 } as const)
export type SourceKind = (typeof SourceKind)[keyof typeof SourceKind]

/** What the RIB has to know of a peer. */
export interface SourceOptions {
  readonly name: string
  readonly kind: SourceKind
  /** u32: the peer's BGP Identifier; our router id for the local source. */
  readonly bgpId: number
  readonly asn: number
  /** The AS that the peer takes us for; differs from ours with localAsn. */
  readonly localAsn: number
  /** 4 or 16 octets; empty for the local source. Last step of the decision (RFC 4271 §9.1.2.2 g). */
  readonly address: Uint8Array
  readonly as4: boolean
  /** Bit n: NLRI of family n come with a path identifier (RFC 7911 §3). */
  readonly addPathReceive: number
  readonly weight: number
  readonly allowOwnAs: number
  /** What happens to its routes beside the import policy. */
  readonly intake: IntakeRules
  /** null: everything is accepted; 'none': nothing, an external peer without policy (RFC 8212). */
  readonly importPolicy: CompiledPolicy | 'none' | null
  /** Absent: whatever RFC 7606 lets pass. */
  readonly attributeRules?: AttributeRules
  /** IPv4 routes may have IPv6 next hops (RFC 8950). */
  readonly extendedNextHop?: boolean
  /** The link that the session runs over, where it runs over one: link-local next hops are on it. */
  readonly link?: { readonly zone: number; readonly linkLocalSession: boolean }
  /** What we are for this external peer (RFC 9234). */
  readonly role?: Role
}

export class RibSource {
  readonly index: number
  options: SourceOptions
  readonly policySource: PolicySource
  /** Equal where policies see no difference; 0 for the local source. */
  readonly policyKey: number
  /** First path of this source, by family. */
  readonly head: number[] = new Array<number>(FAMILY_COUNT).fill(0)
  readonly received: number[] = new Array<number>(FAMILY_COUNT).fill(0)
  readonly accepted: number[] = new Array<number>(FAMILY_COUNT).fill(0)
  /** Paths whose generation is another one are stale: not said again since markStale(). By family, 0 to 255. */
  readonly generation: number[] = new Array<number>(FAMILY_COUNT).fill(0)
  /** Next path that a sweep of stale paths looks at, 0 when none is under way. By family. */
  readonly sweepAt: number[] = new Array<number>(FAMILY_COUNT).fill(0)
  /** While a sweep is under way: paths of this generation stay, too; -1 for none. By family. */
  readonly sweepKeeps: number[] = new Array<number>(FAMILY_COUNT).fill(-1)
  /** Paths that the sweep under way has taken out. By family. */
  readonly swept: number[] = new Array<number>(FAMILY_COUNT).fill(0)
  /** Bit n: stale paths of the family are long-lived ones (RFC 9494 §4.3). */
  longLived = 0
  readonly endOfRib: boolean[] = new Array<boolean>(FAMILY_COUNT).fill(false)
  /** The session is gone; its paths are being cleared. */
  closed = false
  readonly held = new SetHolder()
  updatesReceived = 0
  treatedAsWithdraw = 0

  constructor(index: number, options: SourceOptions, policyKey = 0) {
    this.index = index
    this.policyKey = policyKey
    this.options = options
    this.policySource = {
      name: options.name,
      type: options.kind === SourceKind.LOCAL ? 'local' : options.kind === SourceKind.EBGP ? 'ebgp' : 'ibgp',
    }
  }

  get isEbgp(): boolean {
    return this.options.kind === SourceKind.EBGP
  }
}
