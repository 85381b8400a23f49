/** The neighbours that send, and those that listen: each writes, or is written to, in another way. */
import { Role } from '../src/bgp/capabilities/offer.js'
import type { Family } from '../src/net/family.js'
import type { PeerKind } from '../src/reflector/reflect.js'
import type { AttributeRules } from '../src/rib/attribute-rules.js'
import { SourceKind } from '../src/rib/source.js'
import { capability, u32 } from './generate.js'
import { concat } from './update-tree.js'

export const OUR_ASN = 64512
export const ROUTER_ID = 0x0a000001

export interface Sender {
  readonly name: string
  readonly kind: PeerKind
  readonly asn: number
  readonly as4: boolean
  readonly families: readonly Family[]
  /** Families whose NLRI carry path identifiers. */
  readonly addPath: readonly Family[]
  readonly extendedMessages: boolean
  /** IPv4 routes with IPv6 next hops. */
  readonly extendedNextHop: boolean
  /** What we are for it (RFC 9234); null: no roles. */
  readonly role: Role | null
  readonly rules: AttributeRules
}

/**
 * What this speaker takes in today. A feature that is switched on is offered by both ends, and the senders that have it use it: this is the one place to
 * change when it arrives.
 */
export const FEATURES = Object.freeze({
  addPath: true,
  extendedMessages: true,
  enhancedRefresh: true,
  extendedNextHop: true,
})

/** As they are without any of these keys. */
const RULES: AttributeRules = {
  allowAsSets: false,
  maxAsPath: 1000,
  maxCommunities: 1000,
  maxSets: 1 << 20,
  discard: [],
  withdraw: [],
  tunnelEncapsulation: true,
}
const plain = {
  as4: true,
  families: [0, 1] as const,
  addPath: [],
  extendedMessages: false,
  extendedNextHop: false,
  role: null,
  rules: RULES,
}
const WITH_SETS = { ...RULES, allowAsSets: true }

export const SENDERS: readonly Sender[] = Object.freeze([
  { ...plain, name: 'client', kind: SourceKind.CLIENT, asn: OUR_ASN, rules: WITH_SETS },
  { ...plain, name: 'external', kind: SourceKind.EBGP, asn: 65010, role: Role.PROVIDER },
  { ...plain, name: 'external-as2', kind: SourceKind.EBGP, asn: 65020, as4: false, role: Role.CUSTOMER },
  { ...plain, name: 'client-as2', kind: SourceKind.CLIENT, asn: OUR_ASN, as4: false, rules: WITH_SETS },
  {
    ...plain,
    name: 'non-client',
    kind: SourceKind.NON_CLIENT,
    asn: OUR_ASN,
    families: [0] as const,
    rules: { ...RULES, maxAsPath: 20, maxCommunities: 30, discard: [7, 99, 255], withdraw: [31, 128] },
  },
  { ...plain, name: 'several', kind: SourceKind.CLIENT, asn: OUR_ASN, addPath: [0, 1] as const },
  { ...plain, name: 'extended', kind: SourceKind.CLIENT, asn: OUR_ASN, extendedMessages: true, extendedNextHop: true },
])

/** Capabilities without which it would not be this sender. */
export function neededCapabilities({
  asn,
  as4,
  families,
  addPath,
  extendedMessages,
  extendedNextHop,
  role,
}: Sender): Uint8Array[] {
  const needed = families.map((family) => capability(1, Uint8Array.of(0, family + 1, 0, 1)))
  needed.push(capability(2))
  if (as4) needed.push(capability(65, u32(asn)))
  if (extendedMessages) needed.push(capability(6))
  if (extendedNextHop) needed.push(capability(5, Uint8Array.of(0, 1, 0, 1, 0, 2)))
  if (role !== null) needed.push(capability(9, Uint8Array.of(role === Role.PROVIDER ? Role.CUSTOMER : Role.PROVIDER)))
  if (FEATURES.enhancedRefresh) needed.push(capability(70))
  if (FEATURES.addPath && addPath.length > 0) {
    needed.push(capability(69, concat(...addPath.map((family) => Uint8Array.of(0, family + 1, 1, 2)))))
  }
  return needed
}

export interface Listener {
  readonly name: string
  readonly kind: PeerKind
  readonly as4: boolean
  /** With ADD-PATH: that many paths of a prefix; 0: the winner. */
  readonly sendPaths: number
  readonly maxMessageOctets: number
}

export const LISTENERS: readonly Listener[] = Object.freeze([
  { name: 'client', kind: SourceKind.CLIENT, as4: true, sendPaths: 0, maxMessageOctets: 4096 },
  { name: 'two-paths', kind: SourceKind.CLIENT, as4: true, sendPaths: 2, maxMessageOctets: 65535 },
  { name: 'non-client-as2', kind: SourceKind.NON_CLIENT, as4: false, sendPaths: 0, maxMessageOctets: 4096 },
  { name: 'external', kind: SourceKind.EBGP, as4: true, sendPaths: 0, maxMessageOctets: 4096 },
])
