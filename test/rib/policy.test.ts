import t from 'tap'
import { prependAs } from '../../src/bgp/attributes/as-path.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import type { PolicyConfig } from '../../src/config/types.js'
import { wordAt } from '../../src/net/address.js'
import { parsePrefix } from '../../src/net/prefix.js'
import { applyEdits, compilePolicy } from '../../src/rib/policy.js'
import type { PolicySource, PolicyVerdict } from '../../src/rib/policy-types.js'
import { configOf, sound } from '../config/support.js'

const ATTRIBUTES: PathAttributes = {
  origin: 0,
  asPath: prependAs(new Uint8Array(0), [65001, 65002]),
  nextHop: Uint8Array.of(192, 168, 0, 1),
  med: -1,
  localPref: -1,
  atomicAggregate: false,
  aggregator: null,
  communities: Uint8Array.of(0xfc, 0, 0, 1, 0xfc, 0, 0, 2),
  extCommunities: null,
  largeCommunities: null,
  originatorId: -1,
  clusterList: null,
  others: [],
}
const TOR: PolicySource = { name: 'tor', type: 'ebgp' }
const OWN: PolicySource = { name: 'local', type: 'local' }

function policyOf(yaml: string): PolicyConfig {
  const neighbors = 'neighbors: [{ name: tor, address: 10.0.0.2, asn: 65001 }]\n'
  return configOf(sound(`${neighbors}policies:\n  p: ${yaml}`)).policies.get('p')!
}

function judge(
  yaml: string,
  prefix = '10.244.1.0/26',
  attributes: PathAttributes = ATTRIBUTES,
  source: PolicySource = TOR,
): PolicyVerdict {
  const policy = compilePolicy(policyOf(yaml))
  const { family, address, length } = parsePrefix(prefix)
  const word = (at: number) => (at < address.length ? wordAt(address, at) : 0)
  const candidates = policy.evaluateAttributes(attributes, family, source)
  return policy.evaluatePrefix(candidates, family, word(0), word(4), word(8), word(12), length)
}

t.test('each field of a match', async (t) => {
  const yes = [
    'prefix: 10.244.1.0/26',
    'prefix: { in: 10.244.0.0/16 }',
    'prefix: { in: 10.244.0.0/16, length: 26 }',
    'prefix: { in: 0.0.0.0/0, length: { min: 26 } }',
    'prefix: [10.0.0.0/8, { in: 10.244.1.0/24, length: { max: 26 } }]',
    'communities: 64512:2',
    'communities: [1:1, 64512:1]',
    'asPath: "^65001 65002$"',
    'asPathLength: 2',
    'asPathLength: { min: 1 }',
    'peer: tor',
    'peer: [local, tor]',
    'peerType: ebgp',
    'family: ipv4-unicast',
    'nextHop: 192.168.0.0/24',
    'nextHop: 192.168.0.1',
    'origin: [egp, igp]',
    'origin: igp, peer: tor, asPathLength: 2, prefix: 10.244.1.0/26',
  ]
  const no = [
    'prefix: 10.244.1.0/24',
    'prefix: { in: 10.244.0.0/16, length: 27 }',
    'prefix: { in: 10.244.1.0/27 }',
    'prefix: { in: "::/0" }',
    'communities: [1:1, 64512:3, 64512:1:2]',
    'asPath: "^65002"',
    'asPathLength: { max: 1 }',
    'peer: local',
    'peerType: ibgp',
    'family: ipv6-unicast',
    'nextHop: 192.168.1.0/24',
    'nextHop: "::/0"',
    'origin: incomplete',
    'origin: igp, peer: local',
  ]
  for (const match of yes) t.equal(judge(`[{ match: { ${match} }, action: accept }]`).accept, true, match)
  for (const match of no) t.equal(judge(`[{ match: { ${match} }, action: accept }]`).accept, false, match)
})

t.test('IPv6 prefixes compare all of their words', async (t) => {
  const yaml =
    '[{ match: { prefix: [{ in: "2001:db8:1:2::/64" }, "2001:db8:1:2:3::/80", "2001:db8::/47"] }, action: accept }]'
  for (const prefix of ['2001:db8:1:2::/64', '2001:db8:1:2:3::/80', '2001:db8:1:2::1/128', '2001:db8::/47']) {
    t.ok(judge(yaml, prefix).accept, prefix)
  }
  for (const prefix of [
    '2001:db8:1:3::/64',
    '2001:db8:1:2::/63',
    '2001:db8:0:2::/64',
    '2001:db8::/48',
    '10.0.0.0/8',
    '::/0',
  ]) {
    t.notOk(judge(yaml, prefix).accept, prefix)
  }
})

t.test('own routes are called local, whatever else is', async (t) => {
  t.ok(judge('[{ match: { peer: local }, action: accept }]', undefined, ATTRIBUTES, OWN).accept)
  t.ok(judge('[{ match: { peerType: local }, action: accept }]', undefined, ATTRIBUTES, OWN).accept)
})

t.test('absent attributes match nothing and do not fail', async (t) => {
  const bare: PathAttributes = { ...ATTRIBUTES, asPath: null, nextHop: null, communities: null }
  t.ok(judge('[{ match: { asPath: "^$", asPathLength: 0 }, action: accept }]', undefined, bare).accept)
  t.notOk(judge('[{ match: { nextHop: 0.0.0.0/0 }, action: accept }]', undefined, bare).accept)
  t.notOk(judge('[{ match: { communities: 64512:1 }, action: accept }]', undefined, bare).accept)
})

t.test('the first accept or reject ends it; next goes on; the end rejects', async (t) => {
  const yaml = `[
    { set: { med: 5, weight: 7, prepend: 1 }, action: next },
    { match: { origin: egp }, set: { med: 6 }, action: next },
    { match: { prefix: { in: 10.0.0.0/8 } }, set: { localPref: 300, prepend: [2, 3] }, action: accept },
    { match: { prefix: 192.168.0.0/16 }, action: reject }]`
  t.match(judge(yaml), {
    accept: true,
    text: 'policy p, statement 3 (accept)',
    weight: 7,
    edits: { med: 5, localPref: 300, prepend: [2, 3, 1] },
  })
  t.match(judge(yaml, '192.168.0.0/16'), {
    accept: false,
    text: 'policy p, statement 4 (reject)',
    edits: null,
    weight: null,
  })
  t.match(judge(yaml, '192.0.2.0/24'), { accept: false, text: 'policy p, no statement accepts it (reject)' })
  t.match(judge('accept'), { accept: true, edits: null, text: 'policy p, statement 1 (accept)' })
})

t.test('verdicts are interned, and say whether prefix and source matter', async (t) => {
  const policy = compilePolicy(policyOf('[{ match: { prefix: { in: 10.0.0.0/8 } }, set: { med: 1 }, action: accept }]'))
  const candidates = policy.evaluateAttributes(ATTRIBUTES, 0, TOR)
  const one = policy.evaluatePrefix(candidates, 0, 0x0a000000, 0, 0, 0, 8)
  t.equal(policy.evaluatePrefix(candidates, 0, 0x0a010000, 0, 0, 0, 16), one)
  const other = policy.evaluatePrefix(candidates, 0, 0x0b000000, 0, 0, 0, 8)
  t.same([one.id, other.id], [0, 1])
  t.match(policy, { readsPrefix: true, readsSource: false })
  t.match(compilePolicy(policyOf('[{ match: { peer: tor }, action: accept }]')), {
    readsPrefix: false,
    readsSource: true,
  })
})

t.test('more statements than bits', async (t) => {
  const statements = Array.from(
    { length: 40 },
    (_, i) => `{ match: { prefix: 10.${i}.0.0/16, peer: ${i % 2 ? 'tor' : 'local'} }, action: accept }`,
  )
  const yaml = `[${statements.join(', ')}]`
  t.match(judge(yaml, '10.39.0.0/16'), { accept: true, text: 'policy p, statement 40 (accept)' })
  t.equal(judge(yaml, '10.38.0.0/16').accept, false)
  t.equal(judge(yaml, '10.38.0.0/16', ATTRIBUTES, OWN).accept, true)
})

t.test('edits: order of communities, prepend, next hop', async (t) => {
  const edit = (set: string, self: Uint8Array | null = null, attributes = ATTRIBUTES) => {
    const { edits } = judge(`[{ set: { ${set} }, action: accept }]`)
    return applyEdits(attributes, edits!, { nextHop: self })
  }
  const received = ATTRIBUTES.communities!
  t.same(
    edit('communities: { add: [64512:2, 64512:0, 64512:0] }').communities,
    Uint8Array.of(...received, 0xfc, 0, 0, 0),
    'order kept, none twice',
  )
  t.same(
    edit('communities: { remove: 64512:1, add: 64512:1 }').communities,
    Uint8Array.of(0xfc, 0, 0, 2, 0xfc, 0, 0, 1),
  )
  t.same(edit('communities: { set: [1:2], add: [3:4] }').communities, Uint8Array.of(0, 1, 0, 2, 0, 3, 0, 4))
  t.equal(edit('communities: { set: [] }').communities, null)
  t.equal(edit('communities: { remove: [64512:1, 64512:2] }').communities, null)
  const large = edit('communities: { add: 1:2:3 }')
  t.same(large.largeCommunities, Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3))
  t.equal(large.communities, received, 'untouched lists are the same octets')
  t.same(edit('prepend: [64512, 64512]').asPath, prependAs(ATTRIBUTES.asPath!, [64512, 64512]))
  t.same(edit('prepend: 1', null, { ...ATTRIBUTES, asPath: null }).asPath, prependAs(new Uint8Array(0), [1]))
  t.match(edit('localPref: 0, med: 0, origin: incomplete'), { localPref: 0, med: 0, origin: 2 })
  t.same(edit('nextHop: 10.0.0.9').nextHop, Uint8Array.of(10, 0, 0, 9))
  t.equal(judge('[{ set: { nextHop: "2001:db8::1" }, action: accept }]').edits, null, 'the other family is ignored')
  t.equal(edit('nextHop: self').nextHop, ATTRIBUTES.nextHop, 'no address of ours: nothing changes')
  t.same(edit('nextHop: self', Uint8Array.of(10, 0, 0, 8)).nextHop, Uint8Array.of(10, 0, 0, 8))
  t.match(ATTRIBUTES, { med: -1, localPref: -1 }, 'the received set stays as it was')
})
