/** Compiled policies against a naive interpreter that reads the configuration statement by statement. */
import fc from 'fast-check'
import t from 'tap'
import { asPathLength, formatAsPath, prependAs } from '../../src/bgp/attributes/as-path.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import { formatCommunities, formatLargeCommunities } from '../../src/bgp/attributes/text.js'
import type { PolicyConfig, PolicyStatement, PrefixText } from '../../src/config/types.js'
import { formatAddress, parseAddress, wordAt } from '../../src/net/address.js'
import type { Family } from '../../src/net/family.js'
import { parsePrefix, prefixContains } from '../../src/net/prefix.js'
import { applyEdits, compilePolicy } from '../../src/rib/policy.js'
import { communityLists } from '../../src/rib/policy-communities.js'
import type { PolicySource } from '../../src/rib/policy-types.js'

/** A route with lists as text, as the naive interpreter changes it. */
interface Plain {
  origin: number
  med: number
  localPref: number
  weight: number | null
  path: string
  pathOctets: Uint8Array
  nextHop: string
  communities: string[]
}

const PREFIXES = [
  '0.0.0.0/0',
  '10.0.0.0/8',
  '10.244.0.0/16',
  '10.244.0.0/26',
  '10.244.0.64/26',
  '10.244.0.1/32',
  '::/0',
  '2001:db8::/32',
  '2001:db8:0:1::/64',
  '2001:db8:0:1:8000::/65',
]
const COMMUNITIES = ['1:1', '1:2', '64512:1', '1:1:1', '1:1:2']
const prefixes = fc.constantFrom(...PREFIXES.map((text) => parsePrefix(text)))
const communities = fc.uniqueArray(fc.constantFrom(...COMMUNITIES), { maxLength: 3 })
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null, freq: 2 })

const statement: fc.Arbitrary<PolicyStatement> = fc.record({
  match: fc.record({
    prefix: orNull(
      fc.array(
        fc.tuple(prefixes, fc.nat(3), fc.nat(3)).map(([prefix, low, high]) => {
          const minLength = Math.min(prefix.length + low * 8, prefix.address.length * 8)
          return { prefix, minLength, maxLength: Math.min(minLength + high * 10, prefix.address.length * 8) }
        }),
        { minLength: 1, maxLength: 4 },
      ),
    ),
    communities: orNull(fc.uniqueArray(fc.constantFrom(...COMMUNITIES), { minLength: 1, maxLength: 2 })),
    asPath: orNull(fc.constantFrom('^1', '2$', '^$', '1 2', '(1|3)( |$)')),
    asPathLength: orNull(fc.constantFrom({ min: 0, max: 1 }, { min: 2, max: 2 }, { min: 1, max: 9 })),
    peer: orNull(fc.constantFrom(['a'], ['local'], ['a', 'b'])),
    peerType: orNull(fc.constantFrom<'ebgp' | 'ibgp' | 'local'>('ebgp', 'ibgp', 'local')),
    family: orNull(fc.constantFrom<readonly Family[]>([0], [1], [0, 1])),
    nextHop: orNull(fc.constantFrom<readonly PrefixText[]>([parsePrefix('10.0.0.0/8')], [parsePrefix('::/0')])),
    origin: orNull(fc.constantFrom([0], [1, 2])),
  }),
  set: fc.record({
    localPref: orNull(fc.nat(3)),
    med: orNull(fc.nat(3)),
    weight: orNull(fc.nat(3)),
    origin: orNull(fc.nat(2)),
    communitiesAdd: communities,
    communitiesRemove: communities,
    communitiesSet: orNull(communities),
    prepend: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
    nextHop: orNull(fc.constantFrom('self', '10.9.9.9', '2001:db8::9')),
  }),
  action: fc.constantFrom<'accept' | 'reject' | 'next'>('accept', 'reject', 'next', 'next'),
})

const routes = fc.record({
  prefix: prefixes,
  path: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
  communities,
  origin: fc.nat(2),
  source: fc.constantFrom<PolicySource>(
    { name: 'a', type: 'ebgp' },
    { name: 'b', type: 'ibgp' },
    { name: 'local', type: 'local' },
  ),
})

t.test('compiled policies do what the statements say', async (t) => {
  let accepted = 0
  let edited = 0
  const policies = fc.oneof(
    fc.array(statement, { maxLength: 6 }),
    fc.array(statement, { minLength: 31, maxLength: 36 }),
  )
  fc.assert(
    fc.property(policies, fc.array(routes, { minLength: 1, maxLength: 12 }), (statements, all) => {
      const config: PolicyConfig = { name: 'p', statements }
      const policy = compilePolicy(config)
      const verdicts = new Map<number, unknown>()
      for (const route of all) {
        const { family, address, length } = route.prefix
        const attributes = attributesOf(route)
        const self = { nextHop: family === 0 ? Uint8Array.of(10, 1, 1, 1) : parseAddress('2001:db8::1') }
        const candidates = policy.evaluateAttributes(attributes, family, route.source)
        const word = (at: number) => (at < address.length ? wordAt(address, at) : 0)
        const verdict = policy.evaluatePrefix(candidates, family, word(0), word(4), word(8), word(12), length)
        if ((verdicts.get(verdict.id) ?? verdict) !== verdict) throw new Error('two verdicts with one id')
        verdicts.set(verdict.id, verdict)
        const expected = interpret(config, route.prefix, attributes, route.source, self.nextHop)
        if (verdict.accept !== (expected !== null)) throw new Error(verdict.text)
        if (expected === null) continue
        accepted++
        if (verdict.edits !== null) edited++
        const result = verdict.edits === null ? attributes : applyEdits(attributes, verdict.edits, self)
        const found = { ...plainOf(result), weight: verdict.weight }
        if (JSON.stringify(found) !== JSON.stringify(expected)) {
          throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(expected)}`)
        }
      }
    }),
    { numRuns: 1500 },
  )
  t.ok(accepted > 1000 && edited > 500, `${accepted} accepted, ${edited} edited`)
})

function interpret(
  { statements }: PolicyConfig,
  prefix: PrefixText,
  attributes: PathAttributes,
  source: PolicySource,
  self: Uint8Array,
): Plain | null {
  const original = plainOf(attributes)
  const route = plainOf(attributes)
  for (const { match, set, action } of statements) {
    const hops = asPathLength(attributes.asPath!)
    const matches =
      (match.prefix?.some(
        (m) => prefixContains(m.prefix, prefix) && prefix.length >= m.minLength && prefix.length <= m.maxLength,
      ) ??
        true) &&
      (match.communities?.some((community) => original.communities.includes(community)) ?? true) &&
      (match.asPath === null || new RegExp(match.asPath).test(original.path)) &&
      (match.asPathLength === null || (hops >= match.asPathLength.min && hops <= match.asPathLength.max)) &&
      (match.peer?.includes(source.name) ?? true) &&
      (match.peerType ?? source.type) === source.type &&
      (match.family?.includes(prefix.family) ?? true) &&
      (match.nextHop?.some((range) => prefixContains(range, parsePrefix(original.nextHop, { allowHost: true }))) ??
        true) &&
      (match.origin?.includes(original.origin) ?? true)
    if (!matches) continue
    if (action === 'reject') return null
    route.localPref = set.localPref ?? route.localPref
    route.med = set.med ?? route.med
    route.origin = set.origin ?? route.origin
    route.weight = set.weight ?? route.weight
    if (set.communitiesSet !== null) route.communities = [...set.communitiesSet]
    route.communities = route.communities.filter((community) => !set.communitiesRemove.includes(community))
    route.communities.push(...set.communitiesAdd.filter((community) => !route.communities.includes(community)))
    route.pathOctets = prependAs(route.pathOctets, set.prepend)
    const hop = set.nextHop === 'self' ? formatAddress(self) : set.nextHop
    if (hop?.includes(':') === (prefix.family === 1)) route.nextHop = hop
    if (action === 'accept') return { ...plainOf(octetsOf(route, attributes)), weight: route.weight }
  }
  return null
}

function attributesOf(route: {
  prefix: PrefixText
  path: number[]
  communities: string[]
  origin: number
}): PathAttributes {
  const lists = communityLists(route.communities)
  return {
    origin: route.origin,
    asPath: prependAs(new Uint8Array(0), route.path),
    nextHop: parseAddress(route.prefix.family === 0 ? '10.0.0.1' : '2001:db8::2'),
    med: -1,
    localPref: -1,
    atomicAggregate: false,
    aggregator: null,
    communities: lists.standard.length === 0 ? null : lists.standard,
    extCommunities: null,
    largeCommunities: lists.large.length === 0 ? null : lists.large,
    originatorId: -1,
    clusterList: null,
    others: [],
  }
}

/** Standard communities first, as plainOf reads them. */
function octetsOf(route: Plain, attributes: PathAttributes): PathAttributes {
  const lists = communityLists(route.communities)
  return {
    ...attributes,
    origin: route.origin,
    med: route.med,
    localPref: route.localPref,
    asPath: route.pathOctets,
    nextHop: parseAddress(route.nextHop),
    communities: lists.standard,
    largeCommunities: lists.large,
  }
}

function plainOf(attributes: PathAttributes): Plain {
  const none = new Uint8Array(0)
  return {
    origin: attributes.origin,
    med: attributes.med,
    localPref: attributes.localPref,
    weight: null,
    path: formatAsPath(attributes.asPath ?? none),
    pathOctets: attributes.asPath ?? none,
    nextHop: formatAddress(attributes.nextHop!),
    communities: [
      ...formatCommunities(attributes.communities ?? none),
      ...formatLargeCommunities(attributes.largeCommunities ?? none),
    ],
  }
}
