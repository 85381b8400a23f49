/**
 * What is tried with every foreign speaker: sessions dialled from either side, external and internal, IPv4 and IPv6 routes both ways with
 * their attributes, withdrawals, route refresh from both sides, and the loss and return of the neighbour.
 */
import t, { type Test } from 'tap'
import type { FamilyName } from '../../src/net/family.js'
import { type ForeignKind, foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { Segment } from '../support/daemons/segment.js'
import type { LearnedRoute, OwnRoute, PeerSpec, Speaker } from '../support/daemons/speaker.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { isControl, subject } from '../support/subject.js'
import { until } from '../support/wait.js'

const V4: readonly FamilyName[] = ['ipv4-unicast']
const V6: readonly FamilyName[] = ['ipv6-unicast']
const BOTH: readonly FamilyName[] = ['ipv4-unicast', 'ipv6-unicast']

const ATTRIBUTES = { med: 50, communities: ['64512:1', '65000:200'], largeCommunities: ['64512:1:2'] } as const
const OURS: readonly OwnRoute[] = [
  { prefix: '10.244.1.0/26', ...ATTRIBUTES },
  { prefix: '10.244.1.64/26' },
  { prefix: 'fd00:244:1::/64', ...ATTRIBUTES },
]
const THEIRS: readonly OwnRoute[] = [
  { prefix: '10.244.2.0/26', ...ATTRIBUTES },
  { prefix: '10.244.2.64/26' },
  { prefix: 'fd00:244:2::/64', ...ATTRIBUTES },
]

export function peerSuite(kind: ForeignKind): void {
  const { commands, package: debianPackage } = REQUIREMENTS[kind]
  if (!requireOrSkip(t, { commands: [...commands, 'ip'], packages: [debianPackage, 'iproute2'], root: true })) return
  // Asked for a marked refresh, ExaBGP 4.2 ends the TCP connection without a word.
  const quirks = kind === 'exabgp' ? { enhancedRefresh: false } : {}

  t.test(`${kind}, external: we dial, one session for each family`, async (t) => {
    const segment = new Segment(t)
    const [here, there] = [segment.host('us', 1), segment.host('them', 2)]
    const us = segment.add(
      subject({
        host: here,
        asn: 64512,
        routes: OURS,
        peers: [
          { address: there.v4, asn: 65001, families: V4, ...quirks },
          { address: there.v6, asn: 65001, families: V6, ...quirks },
        ],
      }),
    )
    const them = segment.add(
      foreign(kind, {
        host: there,
        asn: 65001,
        routes: THEIRS,
        peers: [
          { address: here.v4, asn: 64512, families: V4, passive: true },
          { address: here.v6, asn: 64512, families: V6, passive: true },
        ],
      }),
    )
    await Promise.all([us.start(), them.start()])
    for (const address of [there.v4, there.v6]) await us.established(address)
    for (const address of [here.v4, here.v6]) await them.established(address)

    const theirs = { asPath: '65001', localPref: undefined }
    await routesArrive(t, them, us, THEIRS, (prefix) => ({
      from: via(prefix, there),
      nextHop: via(prefix, there),
      ...theirs,
    }))
    const ours = { asPath: '64512', localPref: undefined }
    await routesArrive(t, us, them, OURS, (prefix) => ({
      from: via(prefix, here),
      nextHop: via(prefix, here),
      ...ours,
    }))
    await negotiated(t, us, there.v4, V4)
    await negotiated(t, us, there.v6, V6)
    await changesArrive(us, them)
    await refreshBothWays(t, us, them, here.v4, there.v4)
    await refreshBothWays(t, us, them, here.v6, there.v6)
    await lossAndReturn(t, segment, us, them)
  })

  t.test(`${kind}, internal: they dial, we accept them as a range, both families in one session`, async (t) => {
    const segment = new Segment(t)
    const [here, there] = [segment.host('us', 1), segment.host('them', 2)]
    const us = segment.add(
      subject({
        host: here,
        asn: 64512,
        routes: OURS,
        peers: [{ range: '172.31.5.0/24', asn: 64512, families: BOTH, passive: true, ...quirks }],
      }),
    )
    const peer: PeerSpec = { address: here.v4, asn: 64512, families: BOTH }
    const them = segment.add(foreign(kind, { host: there, asn: 64512, routes: THEIRS, peers: [peer] }))
    await us.start()
    await them.start()
    await us.established(there.v4)
    await them.established(here.v4)

    const internal = { asPath: '', localPref: 100 }
    await routesArrive(t, them, us, THEIRS, (prefix) => ({ from: there.v4, nextHop: via(prefix, there), ...internal }))
    await routesArrive(t, us, them, OURS, (prefix) => ({ from: here.v4, nextHop: via(prefix, here), ...internal }))
    await negotiated(t, us, there.v4, BOTH)
    await changesArrive(us, them)
    await refreshBothWays(t, us, them, here.v4, there.v4)

    await them.kill()
    for (const { prefix } of THEIRS) await us.lost(prefix)
    await them.start()
    for (const { prefix } of THEIRS) await us.learned(prefix)
    for (const { prefix } of OURS) await them.learned(prefix)
    t.pass('a neighbour of a range that was killed has come back')

    await us.stop()
    for (const { prefix } of OURS) await them.lost(prefix)
    t.pass('our routes are gone with our Cease')
  })
}

function via(prefix: string, host: { readonly v4: string; readonly v6: string }): string {
  return prefix.includes(':') ? host.v6 : host.v4
}

type Expected = { from: string; nextHop: string; asPath: string; localPref: number | undefined }

/** All of these routes are there, with their attributes as they were sent. */
async function routesArrive(
  t: Test,
  sender: Speaker,
  receiver: Speaker,
  routes: readonly OwnRoute[],
  expected: (prefix: string) => Expected,
): Promise<void> {
  for (const route of routes) {
    const learned = await receiver.learned(route.prefix)
    const { localPref, ...rest } = expected(route.prefix)
    const med = route.med ?? sender.plainMed
    t.same(
      pick(learned),
      {
        ...rest,
        origin: 'igp',
        med: receiver.showsAbsentMed ? med : (med ?? 0),
        communities: [...(route.communities ?? [])].sort(),
        largeCommunities: [...(route.largeCommunities ?? [])].sort(),
      },
      `${receiver.name}: attributes of ${route.prefix}`,
    )
    if (localPref !== undefined)
      t.equal(learned.localPref, localPref, `${receiver.name}: LOCAL_PREF of ${route.prefix}`)
  }
}

function pick({ from, nextHop, asPath, origin, med, communities, largeCommunities }: LearnedRoute) {
  return { from, nextHop, asPath, origin, med, communities, largeCommunities }
}

/** What the OPENs of both sides come to; the view of ours tells. */
async function negotiated(t: Test, us: Speaker, address: string, families: readonly FamilyName[]): Promise<void> {
  if (!(us instanceof Nodebgp)) return
  const { as4, holdTimeSeconds, keepaliveSeconds, negotiatedFamilies, capabilities } = await us.neighbor(address)
  t.same(
    { as4, holdTimeSeconds, keepaliveSeconds, families: [...negotiatedFamilies].sort() },
    { as4: true, holdTimeSeconds: 9, keepaliveSeconds: 3, families: [...families].sort() },
    `negotiated with ${address}`,
  )
  const codes = capabilities.map(({ code }) => code)
  for (const code of [1, 2, 65]) t.ok(codes.includes(code), `${address} has offered capability ${code}`)
}

/** Routes added, changed and withdrawn while the session is up, in both directions and families. */
async function changesArrive(us: Speaker, them: Speaker): Promise<void> {
  for (const [sender, receiver, n] of [
    [us, them, 1],
    [them, us, 2],
  ] as const) {
    for (const prefix of [`10.244.${n}.128/26`, `fd00:244:${n}:1::/64`]) {
      await sender.announce({ prefix, med: 7 })
      await receiver.learned(prefix, undefined, (route) => route.med === 7)
      await sender.announce({ prefix, med: 8, communities: ['64512:9'] })
      await receiver.learned(prefix, undefined, (route) => route.med === 8 && route.communities.includes('64512:9'))
      await sender.withdraw(prefix)
      await receiver.lost(prefix)
    }
  }
}

/** Each side asks, the other sends its routes again: more updates are counted, the table stays as it was. */
async function refreshBothWays(
  t: Test,
  us: Speaker,
  them: Speaker,
  ourAddress: string,
  theirAddress: string,
): Promise<void> {
  for (const [asker, answerer, address] of [
    [us, them, theirAddress],
    [them, us, ourAddress],
  ] as const) {
    if (!asker.asksForRefresh) continue
    const before = await asker.updatesReceived(address)
    const requests = await refreshMessages()
    await asker.refresh(address)
    await until(
      `${asker.name} has asked ${address} to send its routes again`,
      refreshMessages,
      (count) => isControl || count > requests,
    )
    if (answerer.answersRefresh) {
      await until(
        `${asker.name}: routes of ${address} again after a route refresh (updates before: ${before})`,
        () => asker.updatesReceived(address),
        (count) => count > before,
      )
    }
    t.equal((await asker.sessions()).get(address), 'Established', `${asker.name}: session is up after a route refresh`)

    /** ROUTE-REFRESH messages of the asker as we count them. */
    async function refreshMessages(): Promise<number> {
      if (!(us instanceof Nodebgp)) return Number.NaN
      return us.messages(theirAddress, asker === us ? 'sent' : 'received', /refresh/i)
    }
  }
  for (const { prefix } of THEIRS) await us.learned(prefix)
  for (const { prefix } of OURS) await them.learned(prefix)
}

/** The neighbour is killed and started again, then we are; then its cable is pulled until both hold timers have expired, and plugged in again. */
async function lossAndReturn(t: Test, segment: Segment, us: Speaker, them: Speaker): Promise<void> {
  await them.kill()
  for (const { prefix } of THEIRS) await us.lost(prefix)
  await them.start()
  for (const { prefix } of THEIRS) await us.learned(prefix)
  for (const { prefix } of OURS) await them.learned(prefix)
  await endedBecause(t, us, them, /TCP connection/)
  t.pass('neighbour killed and restarted: all routes are back')

  await us.kill()
  for (const { prefix } of OURS) await them.lost(prefix)
  await us.start()
  for (const { prefix } of THEIRS) await us.learned(prefix)
  for (const { prefix } of OURS) await them.learned(prefix)
  t.pass('we killed and restarted: all routes are back')

  segment.unplug(them.host)
  for (const { prefix } of THEIRS) await us.lost(prefix)
  for (const { prefix } of OURS) await them.lost(prefix)
  await endedBecause(t, us, them, /hold timer/i)
  segment.plug(them.host)
  for (const { prefix } of THEIRS) await us.learned(prefix)
  for (const { prefix } of OURS) await them.learned(prefix)
  t.pass('cable pulled until the hold timers expired, and plugged in: all routes are back')
}

/** The reason that we give for the last end of both sessions. */
async function endedBecause(t: Test, us: Speaker, them: Speaker, reason: RegExp): Promise<void> {
  if (!(us instanceof Nodebgp)) return
  for (const address of [them.host.v4, them.host.v6]) {
    const end = (await us.neighbor(address)).history.find(({ from }) => from === 'Established')
    t.match(end?.reason, reason, `${us.name}: why the session with ${address} ended`)
  }
}
