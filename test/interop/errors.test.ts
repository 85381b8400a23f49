/**
 * Malformed attributes from a real speaker (ExaBGP), heard by another one behind us (BIRD): treated as withdrawn, the route goes there too; discarded, it
 * goes on without the attribute; the session stays (RFC 7606 §2).
 */
import t from 'tap'
import type { ErrorView, NeighborView } from '../../src/api/types.js'
import type { FamilyName } from '../../src/net/family.js'
import { foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { Segment } from '../support/daemons/segment.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'

const FAMILIES: readonly FamilyName[] = ['ipv4-unicast']
const PREFIX = '10.244.2.0/26'
const LAST = '10.244.2.64/26'
const both = [REQUIREMENTS.exabgp, REQUIREMENTS.bird]
const requirement = {
  commands: ['ip', ...both.flatMap(({ commands }) => commands)],
  packages: ['iproute2', ...both.map((one) => one.package)],
  root: true,
}

if (requireOrSkip(t, requirement)) {
  t.test('ExaBGP sends malformed attributes, BIRD hears what is left', async (t) => {
    const segment = new Segment(t)
    const [here, there, behind] = [segment.host('us', 1), segment.host('them', 2), segment.host('behind', 3)]
    const us = new Nodebgp({
      host: here,
      asn: 64512,
      peers: [
        { address: there.v4, asn: 65001, families: FAMILIES },
        { address: behind.v4, asn: 64512, families: FAMILIES },
      ],
    })
    segment.add(us)
    const peer = { address: here.v4, asn: 64512, families: FAMILIES }
    const them = segment.add(
      foreign('exabgp', { host: there, asn: 65001, peers: [peer], routes: [{ prefix: PREFIX, med: 5 }] }),
    )
    const bird = segment.add(foreign('bird', { host: behind, asn: 64512, peers: [peer] }))
    await Promise.all([us.start(), them.start(), bird.start()])
    await bird.learned(PREFIX)

    // Attribute 23: a tunnel of 4 octets with 2 of them there (CVE-2024-44070).
    await them.announce({ prefix: PREFIX, words: 'attribute [ 0x17 0xc0 0x0007000401ff ]' })
    await bird.lost(PREFIX, here.v4)
    // PREFIX_SID of zeros, which ended sessions all over the Internet in May 2025.
    await them.announce({ prefix: PREFIX, med: 7, words: 'attribute [ 0x28 0xc0 0x00000000 ]' })
    t.equal((await bird.learned(PREFIX, here.v4)).med, 7)
    await them.announce({ prefix: LAST })
    await bird.learned(LAST, here.v4)

    const errors = (await us.get(`/v1/errors?name=${there.v4}`)) as ErrorView[]
    t.match(errors, [
      { action: 'attribute-discard', attributeName: 'PREFIX_SID', rule: 'RFC 8669 §6', prefixes: [PREFIX] },
      { action: 'treat-as-withdraw', rule: 'RFC 9012 §13', octets: 'c017060007000401ff', prefixes: [PREFIX] },
    ])
    const seen: NeighborView = await us.neighbor(there.v4)
    t.match(seen, {
      state: 'Established',
      establishedCount: 1,
      errors: { treatedAsWithdraw: 1, attributesDiscarded: 1 },
    })
    t.match(await us.command('show', 'errors', there.v4), /TUNNEL_ENCAPSULATION \(23\)/)
  })
}
