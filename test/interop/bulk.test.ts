/**
 * Tables that do not fit into one message: BIRD's and our own routes reach all others through our reflector, in both families; then half of
 * BIRD's are withdrawn and the rest changes; then its session is lost.
 */
import t from 'tap'
import type { FamilyName } from '../../src/net/family.js'
import { type ForeignKind, foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { Segment } from '../support/daemons/segment.js'
import { isIpv6, type OwnRoute, type Speaker } from '../support/daemons/speaker.js'
import { requireOrSkip } from '../support/require.js'
import { subject } from '../support/subject.js'
import { until } from '../support/wait.js'

const FAMILIES: readonly FamilyName[] = ['ipv4-unicast', 'ipv6-unicast']
const KINDS: readonly ForeignKind[] = ['frr', 'gobgp', 'openbgpd', 'exabgp']
const ASN = 64512
/** Routes of each family and speaker, all with the same attributes: more than one message of 4096 octets. */
const COUNT = 1_000

const needed = [...KINDS, 'bird' as const].map((kind) => REQUIREMENTS[kind])
const requirement = {
  commands: ['ip', ...needed.flatMap((one) => one.commands)],
  packages: ['iproute2', ...needed.map((one) => one.package)],
  root: true,
}

if (requireOrSkip(t, requirement)) {
  t.test(`${4 * COUNT} routes through our reflector to four speakers`, async (t) => {
    const segment = new Segment(t)
    const center = segment.host('rr', 1)
    const reflector = segment.add(
      subject({
        host: center,
        asn: ASN,
        clusterId: '10.0.0.1',
        routes: routesOf(1),
        peers: [{ range: '172.31.5.0/24', asn: ASN, families: FAMILIES, passive: true, client: true }],
      }),
    )
    const peers = [{ address: center.v4, asn: ASN, families: FAMILIES }]
    const bird = segment.add(foreign('bird', { host: segment.host('bird', 2), asn: ASN, routes: routesOf(2), peers }))
    const receivers = KINDS.map((kind, index) =>
      segment.add(
        foreign(kind, {
          host: segment.host(kind, index + 11),
          asn: ASN,
          // Its command needs many seconds to print a thousand IPv6 routes.
          peers: kind === 'gobgp' ? [{ ...peers[0]!, families: ['ipv4-unicast'] }] : peers,
        }),
      ),
    )
    await reflector.start()
    await Promise.all([bird, ...receivers].map((speaker) => speaker.start()))

    const ours = routesOf(1)
    for (const receiver of receivers) await has(receiver, [...ours, ...bird.own.values()])
    await has(bird, ours)
    t.pass('all routes are everywhere')

    for (const [index, { prefix }] of routesOf(2).entries()) {
      if (index % 2 === 0) bird.own.delete(prefix)
      else bird.own.set(prefix, { prefix, med: 9 })
    }
    await bird.withdraw(routesOf(2)[0]!.prefix)
    for (const receiver of receivers) await has(receiver, [...ours, ...bird.own.values()])
    t.pass('half of them withdrawn, the others changed')

    await bird.kill()
    for (const receiver of receivers) await has(receiver, ours)
    await bird.start()
    for (const receiver of receivers) await has(receiver, [...ours, ...bird.own.values()])
    t.pass('all of a neighbour lost, and back')
  })
}

/** Waits until the speaker has exactly these routes of its families with their MULTI_EXIT_DISC. */
async function has(speaker: Speaker, routes: Iterable<OwnRoute>): Promise<void> {
  const wanted = [...routes]
  for (const family of speaker.spec.peers[0]!.families) {
    const expected = wanted.filter(({ prefix }) => isIpv6(prefix) === (family === 'ipv6-unicast'))
    await until(
      `${speaker.name} has the ${expected.length} routes of ${family}`,
      async () => {
        const meds = await speaker.meds(family)
        const wrong = expected.filter(({ prefix, med }) => meds.get(prefix) !== med).map(({ prefix }) => prefix)
        return { count: meds.size, wrong: wrong.length, first: wrong.slice(0, 3) }
      },
      ({ count, wrong }) => count === expected.length && wrong === 0,
    )
  }
}

/** /26 and /64 blocks of a speaker; its number is the MED. */
function routesOf(speaker: number): OwnRoute[] {
  return Array.from({ length: COUNT }, (_, n) => [
    { prefix: `10.${speaker * 16 + (n >> 10)}.${(n >> 2) & 255}.${(n & 3) * 64}/26`, med: speaker },
    { prefix: `fd00:${speaker}:0:${(n + 1).toString(16)}::/64`, med: speaker },
  ]).flat()
}
