/**
 * A neighbour's settings about routes as the tables and groups take them: AS_PATH, route server, graceful shutdown.
 */
import type { Peer } from '../bgp/peer.js'
import type { Config } from '../config/types.js'
import type { ExportRules } from '../reflector/reflect.js'
import type { IntakeRules } from '../rib/intake.js'

export function intakeOf(peer: Peer): IntakeRules {
  const { config } = peer
  const prepends = config.localAsnMode === 'prepend' && peer.localAsn === config.localAsn
  return {
    enforceFirstAs: config.enforceFirstAs,
    prependAsn: prepends && config.ebgp ? config.localAsn : 0,
    honorGracefulShutdown: config.honorGracefulShutdown && config.ebgp,
    drained: leaves(peer),
  }
}

/** The part of the export rules that needs more than a look at the configuration. */
export function exportRulesOf(
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

/** RFC 8326 §4.2: in both directions, so that traffic moves away on both ends. */
function leaves(peer: Peer): boolean {
  return peer.config.gracefulShutdown || peer.isDraining
}
