/**
 * ADD-PATH (RFC 7911) with the daemons that have it. Two speakers announce the same prefixes: what a reflector sends of both to a client that takes
 * several paths, and to one that does not; each path withdrawn by itself, a client that joins later, the last path removed.
 */
import t, { type Test } from 'tap'
import type { FamilyName } from '../../src/net/family.js'
import { type ForeignKind, foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { familyOfText, isIpv6, type PeerSpec, type Speaker } from '../support/daemons/speaker.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { isControl } from '../support/subject.js'
import { until } from '../support/wait.js'

const BOTH: readonly FamilyName[] = ['ipv4-unicast', 'ipv6-unicast']
const KINDS: readonly ForeignKind[] = ['bird', 'frr', 'gobgp']
const ASN = 64512
/** Announced by both sources. */
const ANYCAST = ['10.244.9.0/26', 'fd00:244:9::/64'] as const

const needed = KINDS.map((kind) => REQUIREMENTS[kind])
const requirement = {
  commands: ['ip', ...needed.flatMap((one) => one.commands)],
  packages: ['iproute2', ...needed.map((one) => one.package)],
  root: true,
}

if (!isControl && requireOrSkip(t, requirement)) {
  t.test('our reflector sends all paths', weSend)
  t.test('theirs send us all paths', theySend)
  t.test('between two of ours, best two of three', betweenOurs)
}

async function weSend(t: Test): Promise<void> {
  const segment = new Segment(t)
  const center = segment.host('rr', 1)
  const sources = [segment.host('first', 2), segment.host('second', 3)]
  const targets = KINDS.map((kind, at) => ({ kind, host: segment.host(kind, at + 11) }))
  const plain = segment.host('plain', 20)
  const reflector = new Nodebgp({
    host: center,
    asn: ASN,
    clusterId: '10.0.0.1',
    peers: [
      ...[...sources, plain].map((host) => client(host)),
      ...targets.map(({ host }) => client(host, { send: true, receive: true })),
    ],
  })
  segment.add(reflector)
  const [a, b] = sources.map((host) => segment.add(source(host, center))) as [Speaker, Speaker]
  const receivers = targets.map(({ kind, host }) => segment.add(foreign(kind, receiver(host, center))))
  const one = segment.add(foreign('bird', receiver(plain, center, {})))
  // The last of them joins when all is there.
  await Promise.all([reflector, a, b, one, ...receivers.slice(0, -1)].map((speaker) => speaker.start()))
  for (const prefix of ANYCAST)
    for (const speaker of receivers.slice(0, -1)) await hears(t, speaker, prefix, [a, b], 'both paths')
  await receivers.at(-1)!.start()
  for (const prefix of ANYCAST) {
    await hears(t, receivers.at(-1)!, prefix, [a, b], 'both paths, joined later')
    await hears(t, one, prefix, [a], 'the winner: it takes no identifiers')
  }

  for (const prefix of ANYCAST) await b.withdraw(prefix)
  for (const prefix of ANYCAST)
    for (const speaker of receivers) await hears(t, speaker, prefix, [a], 'one path is withdrawn')
  for (const prefix of ANYCAST) await b.announce({ prefix })
  for (const prefix of ANYCAST) for (const speaker of receivers) await hears(t, speaker, prefix, [a, b], 'both again')
  for (const { host } of targets) {
    const sent = await reflector.adjOut(host.v4)
    t.equal(
      new Set(sent.map(({ family, pathId }) => `${family} ${pathId}`)).size,
      4,
      `an identifier for each: ${host.label}`,
    )
    const { perFamily } = await reflector.neighbor(host.v4)
    t.match(perFamily, [
      { addPath: { send: 'all' }, sent: 2 },
      { addPath: { send: 'all' }, sent: 2 },
    ])
  }
  for (const [speaker, left] of [
    [a, [b]],
    [b, []],
  ] as const) {
    await speaker.kill()
    for (const prefix of ANYCAST)
      for (const receiving of receivers)
        await hears(t, receiving, prefix, left, `a source is lost, ${left.length} paths are left`)
  }
  for (const { host } of targets) t.same(await reflector.adjOut(host.v4), [], `nothing is announced to ${host.label}`)
}

async function theySend(t: Test): Promise<void> {
  const segment = new Segment(t)
  const here = segment.host('us', 1)
  const sources = [segment.host('first', 2), segment.host('second', 3)]
  const centers = KINDS.map((kind, at) => ({ kind, host: segment.host(kind, at + 11) }))
  const us = segment.add(
    new Nodebgp({
      host: here,
      asn: ASN,
      peers: centers.map(({ host }) => peer(host, { receive: true })),
    }),
  )
  const [a, b] = sources.map((host) => segment.add(source(host, ...centers.map((center) => center.host)))) as [
    Speaker,
    Speaker,
  ]
  const reflectors = centers.map(({ kind, host }) =>
    segment.add(
      foreign(kind, {
        host,
        asn: ASN,
        clusterId: '10.0.0.1',
        peers: [...sources.map((one) => client(one)), client(here, { send: true })],
      }),
    ),
  )
  await Promise.all([us, a, b, ...reflectors].map((speaker) => speaker.start()))
  const from = (nodes: readonly Speaker[], what: string) => fromEach(t, us, centers, nodes, what)
  await from([a, b], 'both paths')
  for (const prefix of ANYCAST) await b.withdraw(prefix)
  await from([a], 'one path is withdrawn')
  for (const prefix of ANYCAST) await b.announce({ prefix })
  await from([a, b], 'both again')
  for (const { host } of centers) {
    const rows = await us.adjIn(host.v4)
    t.equal(
      new Set(rows.map(({ family, pathId }) => `${family} ${pathId}`)).size,
      4,
      `identifiers differ: ${host.label}`,
    )
    const { perFamily } = await us.neighbor(host.v4)
    t.match(perFamily, [
      { addPath: { receive: true }, received: 2 },
      { addPath: { receive: true }, received: 2 },
    ])
  }
  for (const [speaker, left] of [
    [a, [b]],
    [b, []],
  ] as const) {
    await speaker.kill()
    await from(left, `a source is lost, ${left.length} paths are left`)
  }
}

async function betweenOurs(t: Test): Promise<void> {
  const segment = new Segment(t)
  const center = segment.host('rr', 1)
  const hosts = [segment.host('first', 2), segment.host('second', 3), segment.host('third', 4)]
  const last = segment.host('last', 9)
  const reflector = segment.add(
    new Nodebgp({
      host: center,
      asn: ASN,
      clusterId: '10.0.0.1',
      peers: [...hosts.map((host) => client(host)), client(last, { send: 2 })],
    }),
  )
  const [a, b, c] = hosts.map((host) => segment.add(source(host, center))) as [Speaker, Speaker, Speaker]
  const end = segment.add(new Nodebgp(receiver(last, center)))
  await Promise.all([reflector, a, b, c, end].map((speaker) => speaker.start()))
  for (const prefix of ANYCAST) await hears(t, end, prefix, [a, b], 'the best two of three')
  const ids = async (
    view: Promise<readonly { readonly prefix: string; readonly nextHop: string | null; readonly pathId?: number }[]>,
  ) => (await view).map(({ prefix, nextHop, pathId }) => `${prefix} ${nextHop} ${pathId}`).sort()
  t.same(await ids(end.adjIn(center.v4)), await ids(reflector.adjOut(last.v4)), 'identifiers as they were sent')

  for (const prefix of ANYCAST) await a.withdraw(prefix)
  for (const prefix of ANYCAST) await hears(t, end, prefix, [b, c], 'the third takes the place of one that goes')
  const explained = await reflector.command('explain', ANYCAST[0])
  t.match(explained, /p3 \(172\.31\.5\.9\): path \d+ from p1, path \d+ from p2/, 'explain names the paths sent')
  for (const prefix of ANYCAST) await a.announce({ prefix })
  for (const prefix of ANYCAST) await hears(t, end, prefix, [a, b], 'and gives it back')
  await end.kill()
  await end.start()
  for (const prefix of ANYCAST) await hears(t, end, prefix, [a, b], 'a client that returns')
  for (const speaker of [a, b, c]) for (const prefix of ANYCAST) await speaker.withdraw(prefix)
  for (const prefix of ANYCAST) await hears(t, end, prefix, [], 'the last path is gone')
}

function peer(host: Host, addPath: PeerSpec['addPath'] = undefined): PeerSpec {
  return { address: host.v4, asn: ASN, families: BOTH, ...(addPath === undefined ? {} : { addPath }) }
}

function client(host: Host, addPath: PeerSpec['addPath'] = undefined): PeerSpec {
  return { ...peer(host, addPath), client: true }
}

/** Announces the anycast prefixes, without ADD-PATH. BIRD starts at once. */
function source(host: Host, ...centers: readonly Host[]): Speaker {
  return foreign('bird', {
    host,
    asn: ASN,
    routes: ANYCAST.map((prefix) => ({ prefix })),
    peers: centers.map((center) => peer(center)),
  })
}

function receiver(host: Host, center: Host, addPath: PeerSpec['addPath'] = { receive: true }) {
  return { host, asn: ASN, peers: [peer(center, addPath)] }
}

/** The speaker has the paths of these sources, and no other, for a prefix. */
async function hears(
  t: Test,
  speaker: Speaker,
  prefix: string,
  sources: readonly Speaker[],
  what: string,
): Promise<void> {
  const expected = nextHops(sources, prefix)
  await until(
    `${speaker.name}: ${prefix} by ${expected}`,
    async () =>
      (await speaker.routes(familyOfText(prefix)))
        .filter((route) => route.prefix === prefix)
        .map(({ nextHop }) => nextHop)
        .sort(),
    (seen) => seen.join() === expected.join(),
  )
  t.pass(`${speaker.name}: ${prefix}: ${what}`)
}

/** Each of the neighbours has sent us the paths of these sources. */
async function fromEach(
  t: Test,
  us: Nodebgp,
  centers: readonly { readonly host: Host }[],
  sources: readonly Speaker[],
  what: string,
): Promise<void> {
  for (const { host } of centers) {
    for (const prefix of ANYCAST) {
      const expected = nextHops(sources, prefix)
      await until(
        `${prefix} from ${host.label} by ${expected}`,
        async () =>
          (await us.adjIn(host.v4))
            .filter((row) => row.prefix === prefix)
            .map(({ nextHop }) => nextHop)
            .sort(),
        (seen) => seen.join() === expected.join(),
      )
      t.pass(`from ${host.label}: ${prefix}: ${what}`)
    }
  }
}

function nextHops(sources: readonly Speaker[], prefix: string): string[] {
  return sources.map(({ host }) => (isIpv6(prefix) ? host.v6 : host.v4)).sort()
}
