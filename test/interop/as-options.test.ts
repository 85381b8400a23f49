/**
 * AS migration (RFC 7705), route server clients (RFC 7947) and graceful shutdown (RFC 8326) with other speakers.
 */
import t from 'tap'
import type { FamilyName } from '../../src/net/family.js'
import { type ForeignKind, foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import type { LearnedRoute, Speaker } from '../support/daemons/speaker.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { isControl } from '../support/subject.js'
import { until } from '../support/wait.js'

const FAMILIES: readonly FamilyName[] = ['ipv4-unicast']
const ASN = 64512
const OLD_ASN = 64999
const FAR = '10.244.3.0/26'

function ready(t: Parameters<typeof requireOrSkip>[0], ...kinds: ForeignKind[]): boolean {
  const needed = kinds.map((kind) => REQUIREMENTS[kind])
  const requirement = {
    commands: ['ip', ...needed.flatMap((one) => one.commands)],
    packages: ['iproute2', ...needed.map((one) => one.package)],
    root: true,
  }
  return !isControl && requireOrSkip(t, requirement)
}

/** An external neighbour of our daemon. */
function neighbor(host: Host, asn: number, more: Record<string, unknown>): Record<string, unknown> {
  return {
    name: host.label,
    address: host.v4,
    asn,
    holdTime: '9s',
    connectRetry: '1s',
    import: 'accept-all',
    export: 'accept-all',
    ...more,
  }
}

function us(host: Host, neighbors: readonly Record<string, unknown>[], more: Record<string, unknown> = {}): Nodebgp {
  return new Nodebgp({ host, asn: ASN, peers: [] }, { neighbors, ...more })
}

function route(speaker: Speaker, prefix: string, accept: (route: LearnedRoute) => boolean): Promise<unknown> {
  return until(
    `${speaker.name}: ${prefix}`,
    async () => (await speaker.routes('ipv4-unicast')).filter((one) => one.prefix === prefix),
    (found) => found.some(accept),
  )
}

t.test('FRR takes us for our old AS: replace, prepend, no-prepend, and dualAsn finds out', async (t) => {
  if (!ready(t, 'frr', 'bird')) return
  const segment = new Segment(t)
  const [here, frrHost, birdHost] = [segment.host('us', 1), segment.host('frr', 2), segment.host('bird', 3)]
  const neighbors = (old: Record<string, unknown>): Record<string, unknown>[] => [
    neighbor(frrHost, 65001, { localAsn: OLD_ASN, ...old }),
    neighbor(birdHost, 65002, {}),
  ]
  const daemon = segment.add(us(here, neighbors({})))
  const frr = segment.add(
    foreign('frr', {
      host: frrHost,
      asn: 65001,
      routes: [{ prefix: FAR }],
      peers: [{ address: here.v4, asn: OLD_ASN, families: FAMILIES }],
    }),
  )
  const bird = segment.add(
    foreign('bird', {
      host: birdHost,
      asn: 65002,
      routes: [{ prefix: '10.244.4.0/26' }],
      peers: [{ address: here.v4, asn: ASN, families: FAMILIES }],
    }),
  )
  await Promise.all([daemon.start(), frr.start(), bird.start()])
  const seen = (towardsFrr: string, towardsBird: string): Promise<unknown> =>
    Promise.all([
      route(frr, '10.244.4.0/26', ({ asPath }) => asPath === towardsFrr),
      route(bird, FAR, ({ asPath }) => asPath === towardsBird),
    ])
  await seen(`${OLD_ASN} 65002`, `${ASN} 65001`)
  t.pass('replace')
  for (const [mode, towardsFrr, towardsBird] of [
    ['prepend', `${OLD_ASN} ${ASN} 65002`, `${ASN} ${OLD_ASN} 65001`],
    ['no-prepend', `${OLD_ASN} ${ASN} 65002`, `${ASN} 65001`],
  ] as const) {
    daemon.overrides = { neighbors: neighbors({ localAsnMode: mode }) }
    daemon.reload()
    await seen(towardsFrr, towardsBird)
    t.pass(mode)
  }
  daemon.overrides = { neighbors: neighbors({ localAsn: 64998, dualAsn: true }) }
  daemon.reload()
  await until(
    'FRR refuses 64998, and our other AS has its turn',
    () => daemon.neighbor(frrHost.v4),
    ({ localAsn, lastReason }) => localAsn === ASN && lastReason.includes('2/2'),
  )
})

t.test('dualAsn: FRR that knows our new AS already', async (t) => {
  if (!ready(t, 'frr')) return
  const segment = new Segment(t)
  const [here, frrHost] = [segment.host('us', 1), segment.host('frr', 2)]
  const daemon = segment.add(us(here, [neighbor(frrHost, 65001, { localAsn: OLD_ASN, dualAsn: true })]))
  const frr = segment.add(
    foreign('frr', {
      host: frrHost,
      asn: 65001,
      routes: [{ prefix: FAR }],
      peers: [{ address: here.v4, asn: ASN, families: FAMILIES }],
    }),
  )
  await Promise.all([daemon.start(), frr.start()])
  await route(daemon, FAR, ({ asPath }) => asPath === '65001')
  const { localAsn, state } = await daemon.neighbor(frrHost.v4)
  t.same([localAsn, state], [ASN, 'Established'])
})

t.test('route server: BIRD and GoBGP hear each other as if we were not there, and no path is hidden', async (t) => {
  if (!ready(t, 'bird', 'gobgp')) return
  const segment = new Segment(t)
  const [here, birdHost, goHost, otherHost] = [
    segment.host('us', 1),
    segment.host('bird', 2),
    segment.host('go', 3),
    segment.host('other', 4),
  ]
  const client = { routeServerClient: true }
  const daemon = segment.add(
    us(here, [neighbor(birdHost, 65002, client), neighbor(goHost, 65003, client), neighbor(otherHost, 65004, client)]),
  )
  const peers = [{ address: here.v4, asn: ASN, families: FAMILIES }]
  const shared = '10.244.9.0/26'
  const bird = segment.add(
    foreign('bird', {
      host: birdHost,
      asn: 65002,
      routes: [{ prefix: shared, med: 5, communities: ['65535:65281', '65002:7'] }],
      peers,
    }),
  )
  const go = segment.add(
    foreign('gobgp', { host: goHost, asn: 65003, routes: [{ prefix: shared, asPath: [65100] }], peers }),
  )
  const other = segment.add(foreign('bird', { host: otherHost, asn: 65004, peers }))
  await Promise.all([daemon.start(), bird.start(), go.start(), other.start()])

  const untouched = ({ asPath, nextHop, med, communities }: LearnedRoute): boolean =>
    asPath === '65002' &&
    nextHop === birdHost.v4 &&
    med === 5 &&
    communities.join() === ['65002:7', '65535:65281'].join()
  await route(go, shared, untouched)
  await route(other, shared, untouched)
  t.pass('AS_PATH, NEXT_HOP, MED and communities are those of the client, NO_EXPORT goes through')
  await route(bird, shared, ({ asPath, nextHop }) => asPath === '65003 65100' && nextHop === goHost.v4)
  t.pass('the client with the best path hears the second best')
  await bird.withdraw(shared)
  await route(other, shared, ({ asPath }) => asPath === '65003 65100')
  await until(
    'GoBGP hears nothing of its own',
    () => go.routes('ipv4-unicast'),
    (routes) => routes.every(({ prefix }) => prefix !== shared),
  )
})

t.test('graceful shutdown: theirs moves our traffic, ours moves theirs (BIRD, FRR)', async (t) => {
  if (!ready(t, 'bird', 'frr')) return
  const segment = new Segment(t)
  const [here, birdHost, frrHost] = [segment.host('us', 1), segment.host('bird', 2), segment.host('frr', 3)]
  const daemon = segment.add(
    us(here, [neighbor(birdHost, 65002, {}), neighbor(frrHost, 65003, {})], {
      originate: [{ prefix: '10.244.1.0/26', nextHop: here.v4 }],
    }),
  )
  const peers = [{ address: here.v4, asn: ASN, families: FAMILIES }]
  const prefix = '10.244.2.0/26'
  const bird = segment.add(foreign('bird', { host: birdHost, asn: 65002, routes: [{ prefix }], peers }))
  const frr = segment.add(
    foreign('frr', { host: frrHost, asn: 65003, routes: [{ prefix, asPath: [65100, 65100] }], peers }),
  )
  await Promise.all([daemon.start(), bird.start(), frr.start()])
  const winner = (address: string, localPref: number | null): Promise<unknown> =>
    until(
      `the winner is ${address}`,
      () => daemon.rib('ipv4-unicast'),
      (rows) =>
        rows.some((row) => row.prefix === prefix && row.best && row.fromAddress === address) &&
        rows.filter((row) => row.prefix === prefix).length === 2 &&
        (localPref === null || rows.some((row) => row.prefix === prefix && row.localPref === localPref)),
    )
  await winner(birdHost.v4, null)
  await bird.announce({ prefix, communities: ['65535:0'] })
  await winner(frrHost.v4, 0)
  t.pass('BIRD says GRACEFUL_SHUTDOWN: the longer path of FRR wins')
  await bird.announce({ prefix })
  await winner(birdHost.v4, null)

  await daemon.command('neighbor', birdHost.v4, 'down', 'card', '--graceful', '--wait', '2s')
  await route(bird, '10.244.1.0/26', ({ communities }) => communities.includes('65535:0'))
  await winner(frrHost.v4, 0)
  await until(
    'BIRD is told that we shut down',
    () => bird.sessions(),
    (sessions) => sessions.get(here.v4) !== 'Established',
  )
  t.equal((await daemon.neighbor(birdHost.v4)).stateText, 'Idle(Admin)')
  await daemon.command('neighbor', birdHost.v4, 'up')
  await winner(birdHost.v4, null)

  await daemon.command('neighbor', frrHost.v4, 'down', '--graceful', '--wait', '1h')
  await route(frr, '10.244.1.0/26', ({ communities }) => communities.length === 1)
  await daemon.command('neighbor', frrHost.v4, 'up')
  await route(frr, '10.244.1.0/26', ({ communities }) => communities.length === 0)
})
