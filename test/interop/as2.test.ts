/**
 * Neighbours without 4-octet AS numbers (RFC 6793): AS_TRANS and AS4_PATH in both directions, with 4-octet autonomous systems behind
 * them, behind us, and as our own.
 */
import t from 'tap'
import type { FamilyName } from '../../src/net/family.js'
import { type ForeignKind, foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { Segment } from '../support/daemons/segment.js'
import { as4Path, asPath, attributesOf, KEEPALIVE, rawOpen, rawSession } from '../support/raw-messages.js'
import { requireOrSkip } from '../support/require.js'
import { isControl, subject } from '../support/subject.js'

const FAMILIES: readonly FamilyName[] = ['ipv4-unicast']
const OLD: readonly ForeignKind[] = ['bird', 'exabgp', 'openbgpd']
const AS_TRANS = 23456
const FAR_ASN = 4200000001

for (const kind of OLD) {
  t.test(`${kind} without 4-octet AS numbers`, async (t) => {
    const needed = [REQUIREMENTS[kind], REQUIREMENTS.frr]
    const requirement = {
      commands: ['ip', ...needed.flatMap((one) => one.commands)],
      packages: ['iproute2', ...needed.map((one) => one.package)],
      root: true,
    }
    if (!requireOrSkip(t, requirement)) return
    // BIRD without 4-octet AS numbers cannot be told of a neighbour with one.
    const ourAsn = kind === 'bird' ? 64512 : 4200064512
    const ourTwoOctets = kind === 'bird' ? 64512 : AS_TRANS
    const segment = new Segment(t)
    const [here, oldHost, farHost] = [segment.host('us', 1), segment.host('old', 2), segment.host('far', 3)]
    const us = segment.add(
      subject({
        host: here,
        asn: ourAsn,
        peers: [
          { address: oldHost.v4, asn: 65001, families: FAMILIES },
          { address: farHost.v4, asn: FAR_ASN, families: FAMILIES },
        ],
      }),
    )
    const old = segment.add(
      foreign(kind, {
        host: oldHost,
        asn: 65001,
        routes: [{ prefix: '10.244.2.0/26' }],
        // ExaBGP expects what stands in the OPEN; OpenBGPD reads our capability although it offers none.
        peers: [{ address: here.v4, asn: kind === 'exabgp' ? AS_TRANS : ourAsn, families: FAMILIES, as4: false }],
      }),
    )
    const far = segment.add(
      foreign('frr', {
        host: farHost,
        asn: FAR_ASN,
        routes: [{ prefix: '10.244.3.0/26', asPath: [65010, 4200000002] }],
        peers: [{ address: here.v4, asn: ourAsn, families: FAMILIES }],
      }),
    )
    await Promise.all([us.start(), old.start(), far.start()])

    t.equal((await us.learned('10.244.2.0/26')).asPath, '65001', 'a plain path from the old speaker')
    t.equal((await far.learned('10.244.2.0/26')).asPath, `${ourAsn} 65001`, 'is passed on behind our 4-octet AS')

    const received = await old.learned('10.244.3.0/26')
    const whole = `${ourAsn} ${FAR_ASN} 65010 4200000002`
    const replaced = `${ourTwoOctets} ${AS_TRANS} 65010 ${AS_TRANS}`
    t.ok(
      [whole, replaced].includes(received.asPath),
      `the old speaker sees AS_TRANS, or the path restored from AS4_PATH: ${received.asPath}`,
    )

    if (kind === 'openbgpd') return // Its own routes take no path.
    await old.announce({ prefix: '10.244.2.64/26', asPath: [65020, 4200000003] })
    t.equal(
      (await us.learned('10.244.2.64/26')).asPath,
      '65001 65020 4200000003',
      'AS4_PATH of the old speaker restores the 4-octet AS',
    )
    t.equal(
      (await far.learned('10.244.2.64/26')).asPath,
      `${ourAsn} 65001 65020 4200000003`,
      'and the whole path is passed on',
    )
  })
}

// Both AS numbers of ours: with the 2-octet one, a path without any other needs no AS4_PATH and must not have one (RFC 6793 §4.2.2).
for (const ourAsn of [64512, 4200064512]) {
  t.test(`octets that AS ${ourAsn} sends to a neighbour without 4-octet AS numbers`, async (t) => {
    const { commands, package: debianPackage } = REQUIREMENTS.frr
    const requirement = { commands: ['ip', ...commands], packages: ['iproute2', debianPackage], root: true }
    if (isControl || !requireOrSkip(t, requirement)) return
    const segment = new Segment(t)
    const [here, oldHost, farHost] = [segment.host('us', 1), segment.host('old', 2), segment.host('far', 3)]
    const us = segment.add(
      subject({
        host: here,
        asn: ourAsn,
        routes: [{ prefix: '10.244.1.0/26' }],
        peers: [
          { address: oldHost.v4, asn: 65001, families: FAMILIES, passive: true },
          { address: farHost.v4, asn: FAR_ASN, families: FAMILIES },
        ],
      }),
    )
    const far = segment.add(
      foreign('frr', {
        host: farHost,
        asn: FAR_ASN,
        routes: [{ prefix: '10.244.3.0/26', asPath: [65010, 4200000002] }],
        peers: [{ address: here.v4, asn: ourAsn, families: FAMILIES }],
      }),
    )
    await Promise.all([us.start(), far.start()])
    await us.learned('10.244.3.0/26')
    const open = rawOpen(oldHost.v4, { asn: 65001 })
    const from = { host: oldHost, address: oldHost.v4 }
    const sent = await rawSession(from, here, 'end-of-rib', [open, KEEPALIVE])

    const ours = ourAsn > 65535 ? AS_TRANS : ourAsn
    const far4 = as4Path([ourAsn, FAR_ASN, 65010, 4200000002])
    t.equal(
      attributesOf(sent, '1a0af40300'),
      `${ORIGIN_IGP}${asPath([ours, AS_TRANS, 65010, AS_TRANS])}400304ac1f0503${far4}`,
      'a path with 4-octet AS numbers: AS_TRANS in AS_PATH, all of it in AS4_PATH',
    )
    t.equal(
      attributesOf(sent, '1a0af40100'),
      `${ORIGIN_IGP}${asPath([ours])}400304ac1f0501${ours === ourAsn ? '' : as4Path([ourAsn])}`,
      'our own route: AS4_PATH only when our AS number needs it',
    )
  })
}

const ORIGIN_IGP = '40010100'
