/**
 * What becomes of attributes on their way through us, octet by octet: a real speaker announces, and neighbours played by hand get an external
 * and an internal copy (RFC 4271 §5, §9; RFC 1997; RFC 4360; RFC 8092).
 */
import t from 'tap'
import type { FamilyName } from '../../src/net/family.js'
import { foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { asPath, attributesOf, KEEPALIVE, type RawMessage, rawOpen, rawSession } from '../support/raw-messages.js'
import { requireOrSkip } from '../support/require.js'
import { isControl, subject } from '../support/subject.js'

const FAMILIES: readonly FamilyName[] = ['ipv4-unicast']
const ASN = 64512
const MED_50 = '80040400000032'
const LOCAL_PREF_100 = '40050400000064'
const { commands, package: debianPackage } = REQUIREMENTS.exabgp
const requirement = { commands: ['ip', ...commands], packages: ['iproute2', debianPackage], root: true }

if (!isControl && requireOrSkip(t, requirement)) {
  t.test('attributes of an external route that are passed on, changed and left out', async (t) => {
    const segment = new Segment(t)
    const [here, there] = [segment.host('us', 1), segment.host('them', 2)]
    const external = segment.host('external', 3)
    const internal = segment.host('internal', 4)
    const us = segment.add(
      subject({
        host: here,
        asn: ASN,
        peers: [
          { address: there.v4, asn: 65001, families: FAMILIES },
          { address: external.v4, asn: 65002, families: FAMILIES, passive: true },
          { address: internal.v4, asn: ASN, families: FAMILIES, passive: true },
        ],
      }),
    )
    const them = segment.add(
      foreign('exabgp', {
        host: there,
        asn: 65001,
        routes: [
          {
            prefix: '10.244.2.0/26',
            med: 50,
            asPath: [65010],
            communities: ['64512:1'],
            largeCommunities: ['64512:1:2'],
            words:
              'atomic-aggregate aggregator ( 65010:1.2.3.4 ) extended-community [ target:65010:1 ] attribute [ 0x99 0xc0 0xabcd ]',
          },
          { prefix: '10.244.2.64/26', words: 'attribute [ 0x9a 0x80 0xabcd ]' },
          { prefix: '10.244.2.128/26', communities: ['65535:65281'] },
        ],
        peers: [{ address: here.v4, asn: ASN, families: FAMILIES }],
      }),
    )
    await Promise.all([us.start(), them.start()])
    for (const prefix of ['10.244.2.0/26', '10.244.2.64/26', '10.244.2.128/26']) await us.learned(prefix)

    const toExternal = await table(external, 65002, here)
    const toInternal = await table(internal, ASN, here)
    // All three share one segment: the next hop stays also for the external neighbour (RFC 4271 §5.1.3).
    const nextHop = '400304ac1f0502'
    const passedOn = [
      '400600', // ATOMIC_AGGREGATE
      'c00706fdf201020304', // AGGREGATOR
      'c00804fc000001', // COMMUNITIES
      'c010080002fdf200000001', // EXTENDED COMMUNITIES
      'c0200c0000fc000000000100000002', // LARGE_COMMUNITY
      'e09902abcd', // unknown, transitive: Partial is set (RFC 4271 §5)
    ].join('')
    t.equal(
      attributesOf(toExternal, '1a0af40200'),
      `40010100${asPath([ASN, 65001, 65010])}${nextHop}${passedOn}`,
      'external: our AS in front, no MED',
    )
    t.equal(
      attributesOf(toInternal, '1a0af40200'),
      `40010100${asPath([65001, 65010])}${nextHop}${MED_50}${LOCAL_PREF_100}${passedOn}`,
      'internal: MED kept, LOCAL_PREF added',
    )
    t.equal(
      attributesOf(toExternal, '1a0af40240'),
      `40010100${asPath([ASN, 65001])}${nextHop}`,
      'unknown and not transitive: left out',
    )
    t.equal(attributesOf(toExternal, '1a0af40280'), undefined, 'NO_EXPORT: not for external neighbours (RFC 1997)')
    t.equal(
      attributesOf(toInternal, '1a0af40280'),
      `40010100${asPath([65001])}${nextHop}${LOCAL_PREF_100}c00804ffffff01`,
      'NO_EXPORT: internal neighbours get it with the community',
    )
  })
}

/** All that a neighbour without capabilities is sent until End-of-RIB. */
function table(host: Host, asn: number, us: Host): Promise<RawMessage[]> {
  return rawSession({ host, address: host.v4 }, us, 'end-of-rib', [rawOpen(host.v4, { asn }), KEEPALIVE])
}
