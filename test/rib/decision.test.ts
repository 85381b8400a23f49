/** The decision over fixtures/decision, in every order of arrival, and beside the naive twin. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { parseAddress } from '../../src/net/address.js'
import { Family } from '../../src/net/family.js'
import { DecisionReason, decisionText } from '../../src/rib/decision.js'
import { PathState } from '../../src/rib/path-state.js'
import { type RibSource, SourceKind } from '../../src/rib/source.js'
import { type NaivePeer, naiveWinner } from '../support/naive-rib.js'
import { projectRoot } from '../support/root.js'
import { announceBytes } from '../support/update-bytes.js'
import { asPath, attributesWith, CLUSTER_ID, RibWorld, ROUTER_ID } from './given.js'

type ReasonName = keyof typeof DecisionReason

interface Sample {
  readonly name: string
  readonly losesBy: ReasonName | null
  readonly own?: boolean
  readonly weight?: number
  readonly localPref?: number
  readonly path?: readonly number[]
  readonly origin?: number
  readonly med?: number
  readonly kind?: 'ebgp' | 'client'
  readonly metric?: number
  readonly routerId?: number
  readonly originatorId?: number
  readonly clusters?: number
  readonly address?: string
  readonly nextHop?: string
  readonly longLived?: boolean
}

const { paths: STEPS } = JSON.parse(readFileSync(join(projectRoot, 'fixtures/decision/steps.json'), 'utf8')) as {
  readonly paths: readonly Sample[]
}

/** A RIB where the third octet of a next hop is its metric, and 10.255.0.0/16 has no route. */
class Table {
  readonly world = new RibWorld()
  readonly sources = new Map<Sample, RibSource>()
  readonly id: number

  /** Sources are opened in the order of `known`, whatever the order of insertion. */
  constructor(known: readonly Sample[]) {
    const { rib } = this.world
    rib.setResolver(
      (address) => (address.startsWith('10.255.') ? -1 : Number(address.split('.')[2])),
      new Set(['10.0.0.254']),
    )
    this.id = rib.tables[0]!.prefixes.intern(0x0a000000, 0, 0, 0, 8)
    rib.tables[0]!.prefixes.retain(this.id)
    for (const sample of known) {
      const { own, routerId, address, kind, name } = sample
      this.sources.set(
        sample,
        own === true
          ? rib.local
          : this.world.source({
              name,
              kind: kind === 'ebgp' ? SourceKind.EBGP : SourceKind.CLIENT,
              bgpId: routerId ?? 10,
              address: parseAddress(address ?? '10.0.1.50'),
            }),
      )
    }
  }

  insert(sample: Sample): number {
    const { rib } = this.world
    const source = this.sources.get(sample)!
    const { localPref, path, origin, med, originatorId, clusters, metric, nextHop, weight, longLived } = sample
    const set = rib.store.internAttributes(
      attributesWith({
        localPref: localPref ?? 100,
        asPath: asPath(...(path ?? [])),
        origin: origin ?? 0,
        med: med ?? -1,
        originatorId: originatorId ?? -1,
        clusterList: clusters === undefined ? null : new Uint8Array(clusters * 4).fill(9),
        communities: longLived === true ? Uint8Array.of(0xff, 0xff, 0, 6) : null,
        nextHop: parseAddress(nextHop ?? `10.0.${metric ?? 0}.1`),
      }),
    )
    if (source.index === 0) rib.originate(Family.IPV4_UNICAST, this.id, set)
    else rib.announce(Family.IPV4_UNICAST, source, this.id, set, set, PathState.USABLE, weight ?? 0)
    return rib.tables[0]!.paths.find(this.id, source.index)
  }

  decide(): { name: string | null; reason: ReasonName } {
    this.world.turn()
    const { paths } = this.world.rib.tables[0]!
    const best = paths.best[this.id]!
    const name =
      [...this.sources].find(([, source]) => best !== 0 && source.index === paths.source[best])?.[0].name ?? null
    return { name, reason: reasonName(paths.bestReason[this.id]!) }
  }

  multipath(limit: number): string[] {
    this.world.turn()
    const { paths, decision } = this.world.rib.tables[0]!
    return decision
      .multipath(this.id, paths.best[this.id]!, limit)
      .map((path) => [...this.sources].find(([, source]) => source.index === paths.source[path])![0].name)
  }
}

function reasonName(reason: number): ReasonName {
  return (Object.keys(DecisionReason) as ReasonName[]).find((name) => DecisionReason[name] === reason)!
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item, at) =>
    permutations([...items.slice(0, at), ...items.slice(at + 1)]).map((rest) => [item, ...rest]),
  )
}

/** Winner and reason, the same for every order of arrival, or all that were seen. */
function decided(samples: readonly Sample[]): string {
  const seen = new Set<string>()
  for (const order of permutations(samples)) {
    const table = new Table(samples)
    for (const sample of order) table.insert(sample)
    const { name, reason } = table.decide()
    seen.add(`${name}: ${reason}`)
  }
  return [...seen].join(' | ')
}

t.test('the fixture covers every step', async (t) => {
  const steps = new Set(STEPS.map(({ losesBy }) => losesBy))
  for (const name of Object.keys(DecisionReason) as ReasonName[]) {
    if (name !== 'NONE' && name !== 'ONLY_PATH') t.ok(steps.has(name), name)
    t.not(decisionText(DecisionReason[name]), `reason ${DecisionReason[name]}`)
  }
})

t.test('each path beats the next one by exactly the step of the fixture, compared both ways', async (t) => {
  for (let at = 1; at < STEPS.length; at++) {
    const [better, worse] = [STEPS[at - 1]!, STEPS[at]!]
    const table = new Table([better, worse])
    const a = table.insert(better)
    const b = table.insert(worse)
    const { decision } = table.world.rib.tables[0]!
    t.ok(decision.compare(a, b, true) < 0, worse.name)
    t.equal(reasonName(decision.reason), worse.losesBy, `${better.name} before ${worse.name}`)
    t.ok(decision.compare(b, a, true) > 0)
    t.equal(reasonName(decision.reason), worse.losesBy, `${worse.name} behind ${better.name}`)
    t.equal(decided([better, worse]), `${better.name}: ${worse.losesBy}`)
  }
})

t.test('any four in a row, in every order of arrival: the first wins', async (t) => {
  for (let at = 0; at + 4 <= STEPS.length; at++) {
    const four = STEPS.slice(at, at + 4)
    const seen = new Set<string | null>()
    for (const order of permutations(four)) {
      const table = new Table(four)
      for (const sample of order) table.insert(sample)
      seen.add(table.decide().name)
    }
    t.same([...seen], [four[0]!.name])
  }
})

t.test('one path, no path, and paths that cannot be used', async (t) => {
  const usable: Sample = { name: 'usable', losesBy: null }
  const unresolved: Sample = { name: 'unresolved', nextHop: '10.255.0.1', localPref: 900, losesBy: null }
  const ours: Sample = { name: 'to ourselves', nextHop: '10.0.0.254', localPref: 900, losesBy: null }
  t.equal(decided([usable]), 'usable: ONLY_PATH')
  t.equal(decided([unresolved]), 'null: NONE')
  t.equal(decided([usable, unresolved, ours]), 'usable: ONLY_PATH')
  const own: Sample = { name: 'own', own: true, nextHop: '10.255.0.1', losesBy: null }
  t.equal(decided([own, usable]), 'own: WEIGHT', 'an own route needs no next hop that resolves')
})

t.test(
  'MED is compared within a neighbouring AS first, so that the winner depends on no order (RFC 4451 §2.1)',
  async (t) => {
    const path = (name: string, as: number, med: number, metric: number): Sample => ({
      name,
      path: [as, 9],
      med,
      metric,
      losesBy: null,
    })
    // a beats b by MED, b beats c by metric, c beats a by metric: no order of pairs gives a winner that all orders agree on.
    const a = path('a', 1, 10, 30)
    const b = path('b', 1, 20, 10)
    const c = path('c', 2, 0, 20)
    t.equal(decided([a, b, c]), 'c: IGP_METRIC')
    t.equal(decided([a, b]), 'a: MED')
    t.equal(decided([b, c]), 'b: IGP_METRIC')
    t.equal(decided([a, c]), 'c: IGP_METRIC')
    const external: Sample = { ...path('d', 2, 5, 0), kind: 'ebgp' }
    t.equal(decided([a, b, c, external]), 'c: IGP_METRIC', 'the external one loses to its own AS')
    const first: Sample = { name: 'empty, MED 1', med: 1, losesBy: null }
    const second: Sample = { name: 'empty, none', losesBy: null, routerId: 99 }
    t.equal(decided([first, second]), 'empty, none: MED', 'paths without AS are of one AS; a missing MED is 0')
  },
)

t.test('multipath: equal through the metric, next hops of their own, at most the limit', async (t) => {
  const path = (name: string, given: Partial<Sample> = {}): Sample => ({
    name,
    path: [7, 8],
    losesBy: null,
    nextHop: `10.0.0.${name}`,
    routerId: Number(name),
    ...given,
  })
  const sets = (samples: readonly Sample[], limit = 16): string => {
    const seen = new Set<string>()
    for (const order of permutations(samples)) {
      const table = new Table(samples)
      for (const sample of order) table.insert(sample)
      seen.add(table.multipath(limit).join())
    }
    return [...seen].join(' | ')
  }
  t.equal(sets([path('1'), path('2'), path('3')]), '1,2,3')
  t.equal(sets([path('1'), path('2'), path('3')], 2), '1,2')
  t.equal(sets([path('1'), path('2'), path('3')], 1), '1')
  t.equal(sets([path('1'), path('2', { nextHop: '10.0.0.1' }), path('3')]), '1,3', 'a next hop once')
  t.equal(sets([path('1'), path('2', { metric: 4, nextHop: '10.0.4.2' }), path('3')]), '1,3', 'a longer way is none')
  t.equal(sets([path('1'), path('2', { nextHop: '10.255.0.2' })]), '1', 'nor one that does not resolve')
  t.equal(
    sets([path('1', { kind: 'ebgp' }), path('2', { kind: 'ebgp' }), path('3')]),
    '1,2',
    'external and internal are not mixed',
  )
  t.equal(
    sets([path('1', { kind: 'ebgp' }), path('2', { kind: 'ebgp', path: [6, 8] })]),
    '1',
    'external ones of one neighbouring AS',
  )
  t.equal(sets([path('1'), path('2', { path: [6, 8] })]), '1,2', 'internal ones of any')
  t.equal(sets([path('1', { own: true }), path('2')]), '1', 'an own route is alone')
  t.equal(
    sets([path('1'), path('2', { path: [6, 8], med: 10 }), path('3', { path: [6, 8], med: 20 })]),
    '1,2',
    'what its own AS likes less is out',
  )
  t.equal(
    sets([
      path('1'),
      path('2', { path: [6, 8], med: 10, metric: 4, nextHop: '10.0.4.2' }),
      path('3', { path: [6, 8], med: 20 }),
    ]),
    '1',
    'also when what the AS likes better is too far away',
  )
  const table = new Table([])
  t.same(table.multipath(4), [])
})

t.test('many neighbouring ASes: each compared once with the winner so far', async (t) => {
  const samples = Array.from(
    { length: 600 },
    (_, n): Sample => ({ name: `${n}`, path: [1000 + n, 5], routerId: 5000 - n, losesBy: null }),
  )
  const table = new Table(samples)
  for (const sample of samples) table.insert(sample)
  t.same(table.decide(), { name: '599', reason: 'ROUTER_ID' })
})

t.test('the winner equals the naive one, whatever arrives in whatever order', async () => {
  const route = fc.record({
    localPref: fc.integer({ min: 99, max: 101 }),
    path: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
    origin: fc.nat(1),
    med: fc.integer({ min: -1, max: 2 }),
    originator: fc.option(fc.integer({ min: 1, max: 4 }), { nil: -1 }),
    clusters: fc.nat(2),
    external: fc.boolean(),
    bgpId: fc.integer({ min: 1, max: 4 }),
  })
  const list = fc.array(route, { minLength: 1, maxLength: 7 })
  fc.assert(
    fc.property(list, fc.func(fc.nat(1000)), (routes, order) => {
      const world = new RibWorld()
      const peers: (NaivePeer & { source: RibSource })[] = routes.map(
        ({ external, bgpId, path, localPref, originator, clusters, origin, med }, at) => {
          const as = external ? (path[0] ?? 1) : 0
          const source = world.source({
            kind: external ? SourceKind.EBGP : SourceKind.CLIENT,
            bgpId,
            ...(external ? { asn: as } : {}),
          })
          const internal = external
            ? {}
            : {
                localPref,
                originatorId: originator,
                clusterList: clusters === 0 ? null : new Uint8Array(clusters * 4).fill(3),
              }
          const attributes = attributesWith({
            asPath: asPath(...(external ? [as, ...path.slice(1)] : path)),
            origin,
            med,
            ...internal,
          })
          const { kind, address } = source.options
          return { number: at, kind, bgpId, address, source, routes: new Map([['0 10.0.0.0/8', attributes]]) }
        },
      )
      const shuffled = [...peers].sort((a, b) => order(a.number) - order(b.number))
      for (const peer of shuffled)
        world.receive(peer.source, announceBytes(['10.0.0.0/8'], peer.routes.get('0 10.0.0.0/8')!))
      world.turn()
      const expected = naiveWinner(peers, '0 10.0.0.0/8', { routerId: ROUTER_ID, clusterId: CLUSTER_ID })
      return (
        world.winner('10.0.0.0/8')?.source ===
        (expected?.peer as (typeof peers)[number] | undefined)?.source.options.name
      )
    }),
    { numRuns: 400 },
  )
})
