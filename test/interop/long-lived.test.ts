/**
 * Long-lived graceful restart (RFC 9494) with BIRD, FRR and GoBGP, both ways: who is killed and does not come back in the restart time leaves routes that are the last
 * resort, go out as such or not at all, and end with the lesser stale time; what we announced lives on there the same way.
 */
import t from 'tap'
import type { PathView } from '../../src/api/types.js'
import { type ForeignKind, foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { Segment } from '../support/daemons/segment.js'
import type { GracefulTimes, LearnedRoute, OwnRoute, PeerSpec, Speaker } from '../support/daemons/speaker.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const ASN = 64512
const OUTSIDE = 64600
const FAMILIES = ['ipv4-unicast'] as const
const LLGR_STALE = '65535:6'
const NO_EXPORT = '65535:65281'
const OURS = '10.244.1.0/26'
/** Announced by `plain` as well, over a longer path. */
const SHARED = '10.244.8.0/26'
const ONLY = { bird: '10.244.2.0/26', frr: '10.244.3.0/26', gobgp: '10.244.4.0/26' } as const
type Kind = keyof typeof ONLY
const LONG: GracefulTimes = { restartSeconds: 2, longLivedSeconds: 600 }
/** Long enough to look at what is stale. */
const SHORT: GracefulTimes = { restartSeconds: 2, longLivedSeconds: 8 }

t.test('killed and not back in the restart time', async (t) => {
  const needed = (['bird', 'frr', 'gobgp'] as const).map((kind) => REQUIREMENTS[kind])
  const commands = [...needed.flatMap((one) => one.commands), 'ip']
  const packages = [...needed.map((one) => one.package), 'iproute2']
  if (!requireOrSkip(t, { commands, packages, root: true })) return
  const segment = new Segment(t)
  const here = segment.host('us', 1)
  const hosts = {
    bird: segment.host('bird', 2),
    frr: segment.host('frr', 3),
    gobgp: segment.host('gobgp', 4),
    plain: segment.host('plain', 5),
    outside: segment.host('outside', 6),
  }
  const towards = (host: keyof typeof hosts, asn: number, more: Partial<PeerSpec>): PeerSpec => ({
    address: hosts[host].v4,
    asn,
    families: FAMILIES,
    ...more,
  })
  const us = segment.add(
    new Nodebgp({
      host: here,
      asn: ASN,
      routes: [{ prefix: OURS }],
      peers: [
        towards('bird', ASN, { client: true, graceful: LONG }),
        towards('frr', ASN, { client: true, graceful: LONG }),
        towards('gobgp', ASN, { client: true, graceful: SHORT }),
        towards('plain', ASN, { client: true }),
        towards('outside', OUTSIDE, {}),
      ],
    }),
  )
  const speaker = (
    kind: ForeignKind,
    host: keyof typeof hosts,
    asn: number,
    routes: OwnRoute[],
    peer: Partial<PeerSpec>,
  ) =>
    segment.add(
      foreign(kind, {
        host: hosts[host],
        asn,
        routes,
        peers: [{ address: here.v4, asn: ASN, families: FAMILIES, ...peer }],
      }),
    )
  const theirs: Record<Kind, Speaker> = {
    bird: speaker('bird', 'bird', ASN, [{ prefix: ONLY.bird }], { graceful: SHORT }),
    frr: speaker('frr', 'frr', ASN, [{ prefix: ONLY.frr }, { prefix: SHARED }], { graceful: LONG }),
    gobgp: speaker('gobgp', 'gobgp', ASN, [{ prefix: ONLY.gobgp }], { graceful: LONG }),
  }
  const plain = speaker('bird', 'plain', ASN, [{ prefix: SHARED, asPath: [65010, 65011] }], {})
  const outside = speaker('bird', 'outside', OUTSIDE, [], {})
  const all = [...Object.values(theirs), plain, outside]
  await Promise.all([us, ...all].map((one) => one.start()))
  for (const one of all) for (const kind of KINDS) if (one !== theirs[kind]) await one.learned(ONLY[kind])
  await until(
    'FRR has the shorter path',
    () => us.rib('ipv4-unicast'),
    (rows) => best(rows, SHARED)?.fromAddress === hosts.frr.v4,
  )

  // We are killed.
  await us.kill()
  for (const kind of KINDS) await theirs[kind].learned(OURS, here.v4, isLongLived)
  await plain.lost(OURS)
  await us.start()
  for (const kind of KINDS) await theirs[kind].learned(OURS, here.v4, (route) => !isLongLived(route))
  for (const one of all) for (const kind of KINDS) if (one !== theirs[kind]) await one.learned(ONLY[kind])

  // FRR and GoBGP are killed; BIRD has the capability, the others do not.
  await Promise.all([theirs.frr.kill(), theirs.gobgp.kill()])
  for (const kind of ['gobgp', 'frr'] as const) {
    await longLived(us, ONLY[kind])
    await theirs.bird.learned(ONLY[kind], here.v4, isLongLived)
    const last = await plain.learned(ONLY[kind], here.v4, isLongLived)
    t.match(last, { localPref: 0, communities: [LLGR_STALE, NO_EXPORT] }, 'internal, without the capability')
    await outside.lost(ONLY[kind])
  }
  const rows = await us.rib('ipv4-unicast')
  t.match(best(rows, SHARED), { fromAddress: hosts.plain.v4 }, 'a long-lived stale path loses against a longer one')
  t.match(
    rows.filter(({ prefix, fromAddress }) => prefix === SHARED && fromAddress === hosts.frr.v4),
    [{ stale: true, communities: [LLGR_STALE] }],
  )

  await theirs.bird.kill()
  await longLived(us, ONLY.bird)
  // Our 8 s for GoBGP, and the 8 s of BIRD itself, are less than 600 s on the other side.
  for (const kind of ['gobgp', 'bird'] as const) {
    await us.lost(ONLY[kind])
    await plain.lost(ONLY[kind])
  }
  t.match(best(await us.rib('ipv4-unicast'), ONLY.frr), { stale: true }, '600 s on both sides')
  t.match((await us.neighbor(hosts.frr.v4)).gracefulRestart?.stale, [{ phase: 'long-lived', routes: 2 }])
  const { peers } = await us.summary()
  t.match(
    peers.filter(({ staleRoutes }) => staleRoutes !== undefined),
    [{ address: hosts.frr.v4, staleRoutes: 2, stateText: 'LongLivedStale' }],
  )
})

async function longLived(us: Nodebgp, prefix: string): Promise<void> {
  await until(
    `${prefix} is long-lived stale`,
    () => us.rib('ipv4-unicast'),
    (rows) => {
      const row = best(rows, prefix)
      return row?.stale === true && row.communities.includes(LLGR_STALE)
    },
  )
}

const KINDS = ['bird', 'frr', 'gobgp'] as const

function isLongLived({ communities }: LearnedRoute): boolean {
  return communities.includes(LLGR_STALE)
}
function best(rows: readonly PathView[], prefix: string): PathView | undefined {
  return rows.find((row) => row.prefix === prefix && row.best)
}
