/**
 * Numbers assigned by IANA, with their RFC spelling.
 */

/** BGP Path Attributes registry. */
export const AttributeType = Object.freeze({
  ORIGIN: 1,
  AS_PATH: 2,
  NEXT_HOP: 3,
  MULTI_EXIT_DISC: 4,
  LOCAL_PREF: 5,
  ATOMIC_AGGREGATE: 6,
  AGGREGATOR: 7,
  COMMUNITIES: 8,
  ORIGINATOR_ID: 9,
  CLUSTER_LIST: 10,
  MP_REACH_NLRI: 14,
  MP_UNREACH_NLRI: 15,
  EXTENDED_COMMUNITIES: 16,
  AS4_PATH: 17,
  AS4_AGGREGATOR: 18,
  PMSI_TUNNEL: 22,
  TUNNEL_ENCAPSULATION: 23,
  IPV6_EXTENDED_COMMUNITIES: 25,
  AIGP: 26,
  BGP_LS: 29,
  LARGE_COMMUNITY: 32,
  OTC: 35,
  NHC: 39,
  PREFIX_SID: 40,
  ATTR_SET: 128,
} as const)

/** Names of all assigned path attributes, for people. */
export const ATTRIBUTE_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'ORIGIN'],
  [2, 'AS_PATH'],
  [3, 'NEXT_HOP'],
  [4, 'MULTI_EXIT_DISC'],
  [5, 'LOCAL_PREF'],
  [6, 'ATOMIC_AGGREGATE'],
  [7, 'AGGREGATOR'],
  [8, 'COMMUNITIES'],
  [9, 'ORIGINATOR_ID'],
  [10, 'CLUSTER_LIST'],
  [14, 'MP_REACH_NLRI'],
  [15, 'MP_UNREACH_NLRI'],
  [16, 'EXTENDED_COMMUNITIES'],
  [17, 'AS4_PATH'],
  [18, 'AS4_AGGREGATOR'],
  [22, 'PMSI_TUNNEL'],
  [23, 'TUNNEL_ENCAPSULATION'],
  [24, 'TRAFFIC_ENGINEERING'],
  [25, 'IPV6_EXTENDED_COMMUNITIES'],
  [26, 'AIGP'],
  [27, 'PE_DISTINGUISHER_LABELS'],
  [29, 'BGP_LS'],
  [32, 'LARGE_COMMUNITY'],
  [33, 'BGPSEC_PATH'],
  [34, 'OTC_DEPRECATED'],
  [35, 'OTC'],
  [36, 'D_PATH'],
  [37, 'SFP'],
  [38, 'BFD_DISCRIMINATOR'],
  [39, 'NHC'],
  [40, 'PREFIX_SID'],
  [128, 'ATTR_SET'],
])

export function attributeName(type: number): string {
  return ATTRIBUTE_NAMES.get(type) ?? `attribute ${type}`
}

/** Bits of the attribute flags octet (RFC 4271 §4.3). */
export const Flags = Object.freeze({
  OPTIONAL: 0x80,
  TRANSITIVE: 0x40,
  PARTIAL: 0x20,
  EXTENDED_LENGTH: 0x10,
} as const)

export const CapabilityCode = Object.freeze({
  MULTIPROTOCOL: 1,
  ROUTE_REFRESH: 2,
  ORF: 3,
  EXTENDED_NEXT_HOP: 5,
  EXTENDED_MESSAGE: 6,
  ROLE: 9,
  GRACEFUL_RESTART: 64,
  FOUR_OCTET_AS: 65,
  ADD_PATH: 69,
  ENHANCED_ROUTE_REFRESH: 70,
  LONG_LIVED_GRACEFUL_RESTART: 71,
  FQDN: 73,
  SOFTWARE_VERSION: 75,
  PATHS_LIMIT: 76,
  LINK_LOCAL_NEXT_HOP: 77,
  /** The code that Cisco used before RFC 2918. */
  CISCO_ROUTE_REFRESH: 128,
} as const)

/** Segment types of AS_PATH (RFC 4271 §4.3, RFC 5065 §3). */
export const SegmentType = Object.freeze({
  AS_SET: 1,
  AS_SEQUENCE: 2,
  AS_CONFED_SEQUENCE: 3,
  AS_CONFED_SET: 4,
} as const)

/** Stands for an AS that does not fit into two octets (RFC 6793 §9). */
export const AS_TRANS = 23456

/** Well-known standard communities (RFC 1997, 3765, 7611, 7999, 8326, 9494), by the names that operators write. */
export const WELL_KNOWN_COMMUNITIES: ReadonlyMap<string, number> = new Map([
  ['graceful-shutdown', 0xffff0000],
  ['accept-own', 0xffff0001],
  ['llgr-stale', 0xffff0006],
  ['no-llgr', 0xffff0007],
  ['blackhole', 0xffff029a],
  ['no-export', 0xffffff01],
  ['no-advertise', 0xffffff02],
  ['no-export-subconfed', 0xffffff03],
  ['local-as', 0xffffff03],
  ['no-peer', 0xffffff04],
])
