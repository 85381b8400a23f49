/**
 * Why a path in an Adj-RIB-In is not used. Such a path stays in the table: it has replaced what its peer said before, and every view can say why.
 */
export const PathState = Object.freeze({
  USABLE: 0,
  POLICY: 1,
  NO_POLICY: 2,
  AS_LOOP: 3,
  ORIGINATOR_LOOP: 4,
  CLUSTER_LOOP: 5,
  TREAT_AS_WITHDRAW: 6,
  MISSING_ATTRIBUTE: 7,
  FIRST_AS: 8,
  NEXT_HOP_INVALID: 9,
  TOO_LONG: 10,
  AS_SET: 11,
  LONG_AS_PATH: 12,
  MANY_COMMUNITIES: 13,
  REFUSED_ATTRIBUTE: 14,
  MP_FLAGS: 15,
  ROUTE_LEAK: 16,
} as const)
export type PathState = (typeof PathState)[keyof typeof PathState]

const TEXTS: Readonly<Record<PathState, string>> = Object.freeze({
  [PathState.USABLE]: 'usable',
  [PathState.POLICY]: 'rejected by the import policy',
  [PathState.NO_POLICY]: 'external peer without import policy: nothing is accepted (RFC 8212)',
  [PathState.AS_LOOP]: 'our AS is in AS_PATH (RFC 4271 §9.1.2)',
  [PathState.ORIGINATOR_LOOP]: 'ORIGINATOR_ID is our router id (RFC 4456 §8)',
  [PathState.CLUSTER_LOOP]: 'our cluster id is in CLUSTER_LIST (RFC 4456 §8)',
  [PathState.TREAT_AS_WITHDRAW]: 'malformed attributes, treated as withdrawn (RFC 7606 §2)',
  [PathState.MISSING_ATTRIBUTE]: 'a mandatory attribute is missing, treated as withdrawn (RFC 7606 §3 d)',
  [PathState.FIRST_AS]: "AS_PATH does not begin with the peer's AS (RFC 4271 §6.3)",
  [PathState.NEXT_HOP_INVALID]: 'the next hop is no address that can be forwarded to',
  [PathState.ROUTE_LEAK]:
    'route leak: OTC says that it was on its way to customers only, and it comes from a customer or through another peer (RFC 9234 §5)',
  [PathState.TOO_LONG]: 'what the import policy adds makes an attribute longer than its length field can name',
  [PathState.AS_SET]: 'AS_PATH has an AS_SET, treated as withdrawn (RFC 9774)',
  [PathState.LONG_AS_PATH]: 'AS_PATH has more AS numbers than maxAsPath allows, treated as withdrawn',
  [PathState.MANY_COMMUNITIES]: 'more communities than maxCommunities allows, treated as withdrawn',
  [PathState.REFUSED_ATTRIBUTE]: 'an attribute of treatAsWithdrawAttributes is there, treated as withdrawn',
  [PathState.MP_FLAGS]: 'an MP attribute has wrong flags, treated as withdrawn (RFC 7606 §3 c)',
})

export function pathStateText(state: number): string {
  return TEXTS[state as PathState] ?? `state ${state}`
}
