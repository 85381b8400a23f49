/**
 * The decoded form of an attribute block (RFC 4271 §4.3), lean on purpose: numbers, and byte slices in canonical wire form for
 * what is a list. Absent is -1 for numbers and null for the rest. Values are never changed: `{ ...attributes, med: 5 }`.
 *
 * asPath always carries 4-octet ASNs here; what a 2-octet peer sent was merged with AS4_PATH (RFC 6793 §4.2.3).
 * MP_REACH_NLRI and MP_UNREACH_NLRI are not part of it; their next hop takes the place of nextHop.
 */
export interface PathAttributes {
  /** 0 IGP, 1 EGP, 2 INCOMPLETE; -1 absent. */
  readonly origin: number
  /** Segments as on the wire, 4 octets per ASN; null absent, empty array for the empty path. */
  readonly asPath: Uint8Array | null
  /** 4, 16 or 32 octets (RFC 2545: global, then link-local); null absent. */
  readonly nextHop: Uint8Array | null
  /** u32, -1 absent. */
  readonly med: number
  /** u32, -1 absent. */
  readonly localPref: number
  readonly atomicAggregate: boolean
  readonly aggregator: { readonly asn: number; readonly id: number } | null
  /** 4n octets. */
  readonly communities: Uint8Array | null
  /** 8n octets. */
  readonly extCommunities: Uint8Array | null
  /** 12n octets. */
  readonly largeCommunities: Uint8Array | null
  /** u32, -1 absent. */
  readonly originatorId: number
  /** 4n octets. */
  readonly clusterList: Uint8Array | null
  /** Everything else that is kept: known but opaque ones, unknown transitive ones (RFC 4271 §9, Partial set by the encoder of the hop that
   * did not know them: already set here). In order of type. */
  readonly others: readonly OtherAttribute[]
}

export interface OtherAttribute {
  readonly type: number
  /** As on the wire, without the Extended Length bit and the low nibble. */
  readonly flags: number
  readonly value: Uint8Array
}

/** What the bytes of an attribute block depend on besides themselves. */
export interface DecodeClass {
  /** Both ends sent the 4-octet AS capability (RFC 6793). */
  readonly as4: boolean
  /** The sender is an external peer: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST are discarded (RFC 7606 §7.5, §7.9, §7.10). */
  readonly ebgp: boolean
}
