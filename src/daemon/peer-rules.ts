/**
 * A session as the tables and groups take it: what the neighbour's settings and what was negotiated make of the options of its source and of its update groups.
 */

import { ROLE_NAMES, type Role } from '../bgp/capabilities/offer.js'
import { CapabilityCode } from '../bgp/iana.js'
import type { Negotiated } from '../bgp/message/message.js'
import type { Peer } from '../bgp/peer.js'
import type { Config, NeighborConfig } from '../config/types.js'
import { isLinkLocal, parseAddress } from '../net/address.js'
import { Family } from '../net/family.js'
import { withoutZone } from '../net/zone.js'
import type { ExporterOptions } from '../reflector/exporter.js'
import type { ExportRules } from '../reflector/reflect.js'
import type { AttributeRules } from '../rib/attribute-rules.js'
import type { IntakeRules } from '../rib/intake.js'
import type { Rib } from '../rib/rib.js'
import { SourceKind, type SourceOptions } from '../rib/source.js'
import { linkOf, selfNextHop, sharedSubnet } from './local-addresses.js'
import type { Policies } from './policies.js'

export type IntakeSettings = Pick<NeighborConfig, 'enforceFirstAs' | 'honorGracefulShutdown' | 'ebgp'>
export type AttributeSettings = Pick<
  NeighborConfig,
  | 'allowAsSets'
  | 'maxAsPath'
  | 'maxCommunities'
  | 'maxAttributeSets'
  | 'discardAttributes'
  | 'treatAsWithdrawAttributes'
  | 'tunnelEncapsulation'
>

export interface RuleContext {
  readonly config: () => Config
  readonly policies: Policies
  readonly rib: Rib
}

/** What the RIB has to know of a session. */
export function sourceOptionsOf(peer: Peer, negotiated: Negotiated, context: RuleContext): SourceOptions {
  const { config: neighbor } = peer
  const config = context.config()
  const fields = {
    // Policies name neighbours as they stand in the configuration: the peers of a range by the range.
    name: peer.rangeName ?? peer.name,
    kind: peerKind(neighbor, config),
    bgpId: negotiated.peerBgpId,
    asn: negotiated.peerAsn,
    localAsn: peer.localAsn,
    address: parseAddress(withoutZone(peer.address)),
    as4: negotiated.as4,
    addPathReceive: negotiated.addPathReceive,
    weight: neighbor.weight,
    allowOwnAs: neighbor.allowOwnAs,
    intake: intakeOf(neighbor, prependedAsn(peer), leaves(peer)),
    importPolicy: context.policies.importOf(neighbor),
    attributeRules: attributeRulesOf(neighbor),
    extendedNextHop: negotiated.extendedNextHop,
  }
  return sourceOptions(fields, linkBehind(peer, context), roleOf(neighbor))
}

/**
 * Like intakeOf and attributeRulesOf made in one place for all sources, the rehearsal's too: V8 compiles for objects that were made alike, and begins anew where
 * others come.
 */
export function sourceOptions(
  fields: Required<Omit<SourceOptions, 'link' | 'role'>>,
  link: SourceOptions['link'] | null,
  role: Role | null,
): SourceOptions {
  const { name, kind, bgpId, asn, localAsn, address, as4, addPathReceive, weight, allowOwnAs } = fields
  const { intake, importPolicy, attributeRules, extendedNextHop } = fields
  return {
    name,
    kind,
    bgpId,
    asn,
    localAsn,
    address,
    as4,
    addPathReceive,
    weight,
    allowOwnAs,
    intake,
    importPolicy,
    attributeRules,
    extendedNextHop,
    ...(link == null ? {} : { link }),
    ...(role === null ? {} : { role }),
  }
}

/** What a session's update group of this family goes by. */
export function exportOptionsOf(
  peer: Peer,
  negotiated: Negotiated,
  family: Family,
  context: RuleContext,
): ExporterOptions {
  const { config: neighbor } = peer
  const config = context.config()
  return {
    family,
    kind: peerKind(neighbor, config),
    clusterId: config.reflector?.clusterId ?? config.routerId,
    as4: negotiated.as4,
    maxMessageOctets: negotiated.maxMessageOctets,
    // What the session has negotiated, not what a reload says: with identifiers or without is one for all of a session.
    sendPaths: (negotiated.addPathSend & (1 << family)) === 0 ? 0 : Math.max(1, neighbor.addPath[family]!.sendPaths),
    extendedNextHop: family === Family.IPV4_UNICAST && negotiated.extendedNextHop,
    zone: linkBehind(peer, context, true)?.zone ?? 0,
    role: roleOf(neighbor),
    selfNextHop:
      peer.localAddress === null
        ? null
        : selfNextHop(
            peer.localAddress,
            family,
            negotiated.extendedNextHop,
            negotiated.linkLocalNextHop ? 'single' : neighbor.linkLocalNextHop,
          ),
    sharedSubnet:
      neighbor.ebgp && !neighbor.nextHopSelf && peer.localAddress !== null
        ? sharedSubnet(peer.localAddress, peer.address, family, negotiated.extendedNextHop)
        : null,
    nextHopSelf: neighbor.nextHopSelf,
    nextHopKeep: neighbor.nextHopKeep,
    sendCommunities: neighbor.sendCommunities,
    ...exportRulesOf(peer, config),
    longLived: negotiated.peerCapabilities.some(({ code }) => code === CapabilityCode.LONG_LIVED_GRACEFUL_RESTART),
    exportPolicy: context.policies.exportOf(neighbor),
  }
}

export function peerKind(neighbor: NeighborConfig, config: Config): ExporterOptions['kind'] {
  if (neighbor.ebgp) return SourceKind.EBGP
  return neighbor.reflectorClient && config.reflector !== null ? SourceKind.CLIENT : SourceKind.NON_CLIENT
}

/** `prependAsn`: 0: none. */
export function intakeOf(neighbor: IntakeSettings, prependAsn: number, drained: boolean): IntakeRules {
  const { enforceFirstAs, honorGracefulShutdown, ebgp } = neighbor
  return { enforceFirstAs, prependAsn, honorGracefulShutdown: honorGracefulShutdown && ebgp, drained }
}

function prependedAsn({ config, localAsn }: Peer): number {
  return config.ebgp && config.localAsnMode === 'prepend' && localAsn === config.localAsn ? localAsn : 0
}

/** The part of the export rules that needs more than a look at the configuration. */
function exportRulesOf(
  peer: Peer,
  { asn }: Config,
): Pick<ExportRules, 'localAsn' | 'asPath' | 'routeServerClient' | 'tunnelEncapsulation' | 'gracefulShutdown'> {
  const { config } = peer
  const { asOverride, removePrivateAs } = config
  const showsOwn = config.ebgp && config.localAsnMode !== 'replace' && peer.localAsn !== asn
  return {
    localAsn: peer.localAsn,
    asPath: {
      innerAsn: showsOwn ? asn : 0,
      peerAsn: asOverride || removePrivateAs ? config.asn : 0,
      override: asOverride,
      removePrivate: removePrivateAs,
    },
    routeServerClient: config.routeServerClient,
    tunnelEncapsulation: config.tunnelEncapsulation,
    gracefulShutdown: leaves(peer),
  }
}

/** The link that the session runs over; null where there is a router between. `linkLocalOnly`: only for sessions between link-local addresses. */
function linkBehind(
  peer: Peer,
  context: RuleContext,
  linkLocalOnly = false,
): { readonly zone: number; readonly linkLocalSession: boolean } | null {
  const { localAddress, address } = peer
  if (localAddress === null || !localAddress.includes(':')) return null
  const linkLocalSession = isLinkLocal(parseAddress(withoutZone(localAddress)), 0)
  if (linkLocalOnly && !linkLocalSession) return null
  const name = linkOf(localAddress, address)
  return name === '' ? null : { zone: context.rib.nextHops.zoneOf(name), linkLocalSession }
}

export function attributeRulesOf(neighbor: AttributeSettings): AttributeRules {
  const { allowAsSets, maxAsPath, maxCommunities, maxAttributeSets: maxSets } = neighbor
  const { discardAttributes: discard, treatAsWithdrawAttributes: withdraw, tunnelEncapsulation } = neighbor
  return { allowAsSets, maxAsPath, maxCommunities, maxSets, discard, withdraw, tunnelEncapsulation }
}

/** RFC 9234: between external peers only. */
function roleOf({ ebgp, role }: NeighborConfig): Role | null {
  return ebgp && role !== null ? (ROLE_NAMES.indexOf(role) as Role) : null
}

/** RFC 8326 §4.2: in both directions, so that traffic moves away on both ends. */
function leaves(peer: Peer): boolean {
  return peer.config.gracefulShutdown || peer.isDraining
}
