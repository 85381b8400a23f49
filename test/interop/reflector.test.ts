/**
 * Our reflector between all five speakers at once (RFC 4456): every one hears every other's routes, untouched but for ORIGINATOR_ID and
 * CLUSTER_LIST; then the rules for non-clients, two reflectors in one cluster, and two clusters in a row.
 */
import t, { type Test } from 'tap'
import type { FamilyName } from '../../src/net/family.js'
import { type ForeignKind, foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { Segment } from '../support/daemons/segment.js'
import { isIpv6, type Speaker } from '../support/daemons/speaker.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { subject } from '../support/subject.js'
import { until } from '../support/wait.js'

const FAMILIES: readonly FamilyName[] = ['ipv4-unicast']
const BOTH: readonly FamilyName[] = ['ipv4-unicast', 'ipv6-unicast']
const KINDS: readonly ForeignKind[] = ['bird', 'frr', 'gobgp', 'openbgpd', 'exabgp']
const ASN = 64512

const all = Object.values(REQUIREMENTS)
const requirement = {
  commands: ['ip', ...all.flatMap((one) => one.commands)],
  packages: ['iproute2', ...all.map((one) => one.package)],
  root: true,
}

if (requireOrSkip(t, requirement)) {
  t.test('five clients: each hears the other four', fiveClients)
  t.test('clients, non-clients and an external neighbour', nonClients)
  t.test('two reflectors in one cluster', oneCluster)
  t.test('two clusters in a row', twoClusters)
}

/** Both families in one IPv4 session each. */
async function fiveClients(t: Test): Promise<void> {
  const segment = new Segment(t)
  const center = segment.host('rr', 1)
  const reflector = segment.add(
    subject({
      host: center,
      asn: ASN,
      clusterId: '10.0.0.1',
      peers: [{ range: '172.31.5.0/24', asn: ASN, families: BOTH, passive: true, client: true }],
    }),
  )
  const clients = KINDS.map((kind, index) =>
    segment.add(
      foreign(kind, {
        host: segment.host(kind, index + 11),
        asn: ASN,
        routes: blocksOf(index).map((prefix) => ({ prefix, med: index + 1, communities: [`64512:${index + 1}`] })),
        peers: [{ address: center.v4, asn: ASN, families: BOTH }],
      }),
    ),
  )
  await reflector.start()
  await Promise.all(clients.map((client) => client.start()))

  for (const [to, receiver] of clients.entries()) {
    for (const [from, sender] of clients.entries()) {
      if (from === to) continue
      for (const block of blocksOf(from)) {
        const { prefix, ...attributes } = await receiver.learned(block)
        t.same(
          attributes,
          {
            from: center.v4,
            nextHop: isIpv6(block) ? sender.host.v6 : sender.host.v4,
            asPath: '',
            origin: 'igp',
            med: from + 1,
            localPref: 100,
            communities: [`64512:${from + 1}`],
            largeCommunities: [],
            originatorId: sender.host.v4,
            clusterList: ['10.0.0.1'],
          },
          `${sender.kind} to ${receiver.kind}: ${prefix}`,
        )
      }
    }
  }
  // ExaBGP records every UPDATE and drops none; the others would hide their own route by its ORIGINATOR_ID.
  for (const [index, client] of clients.entries()) {
    const routes = (await Promise.all(BOTH.map((family) => client.routes(family)))).flat()
    t.notOk(
      routes.some((route) => blocksOf(index).includes(route.prefix)),
      `${client.kind} does not get its own routes back`,
    )
  }

  await clients[0]!.kill()
  for (const client of clients.slice(1)) for (const block of blocksOf(0)) await client.lost(block)
  await clients[0]!.start()
  for (const client of clients.slice(1)) for (const block of blocksOf(0)) await client.learned(block)
  t.pass('the routes of a killed client go everywhere, and come back')
}

async function nonClients(t: Test): Promise<void> {
  const segment = new Segment(t)
  const center = segment.host('rr', 1)
  const roles = ['client', 'client', 'internal', 'external', 'internal'] as const
  const hosts = KINDS.map((kind, index) => segment.host(kind, index + 11))
  const asnOf = (index: number) => (roles[index] === 'external' ? 65001 : ASN)
  const reflector = segment.add(
    subject({
      host: center,
      asn: ASN,
      clusterId: '10.0.0.1',
      peers: hosts.map((host, index) => ({
        address: host.v4,
        asn: asnOf(index),
        families: FAMILIES,
        client: roles[index] === 'client',
      })),
    }),
  )
  const speakers = KINDS.map((kind, index) =>
    segment.add(
      foreign(kind, {
        host: hosts[index]!,
        asn: asnOf(index),
        routes: [{ prefix: blockOf(index) }],
        peers: [{ address: center.v4, asn: ASN, families: FAMILIES }],
      }),
    ),
  )
  await Promise.all([reflector.start(), ...speakers.map((speaker) => speaker.start())])
  for (const [index] of speakers.entries()) await reflector.learned(blockOf(index))

  for (const [to, receiver] of speakers.entries()) {
    for (const [from, sender] of speakers.entries()) {
      const bothInternal = roles[from] === 'internal' && roles[to] === 'internal'
      if (from === to || bothInternal) continue
      const route = await receiver.learned(blockOf(from))
      const pair = `${roles[from]} ${sender.kind} to ${roles[to]} ${receiver.kind}`
      const reflected = roles[from] !== 'external' && roles[to] !== 'external'
      t.equal(route.originatorId, reflected ? sender.host.v4 : null, `${pair}: ORIGINATOR_ID`)
      t.same(route.clusterList, reflected ? ['10.0.0.1'] : [], `${pair}: CLUSTER_LIST`)
      // Our own address towards the external neighbour unless it shares the segment with the next hop: then either is right.
      const nextHops = roles[to] === 'external' ? [center.v4, sender.host.v4] : [sender.host.v4]
      t.ok(nextHops.includes(route.nextHop), `${pair}: NEXT_HOP ${route.nextHop}`)
      t.equal(route.asPath, asPathOf(roles[from]!, roles[to]!), `${pair}: AS_PATH`)
    }
  }

  // What a client announces after everything else has been settled: whoever has it would also have had what came before.
  const marker = '10.244.99.0/26'
  await speakers[0]!.announce({ prefix: marker })
  const internals = speakers.filter((_, index) => roles[index] === 'internal')
  for (const receiver of internals) {
    await receiver.learned(marker)
    const heard = (await receiver.routes('ipv4-unicast')).map((route) => route.prefix)
    for (const [index, sender] of speakers.entries()) {
      if (roles[index] === 'internal' && sender !== receiver)
        t.notOk(
          heard.includes(blockOf(index)),
          `non-client ${sender.kind} is not reflected to non-client ${receiver.kind}`,
        )
    }
  }
}

function asPathOf(from: string, to: string): string {
  if (to === 'external') return String(ASN)
  return from === 'external' ? '65001' : ''
}

async function oneCluster(t: Test): Promise<void> {
  const segment = new Segment(t)
  const centers = [segment.host('rr1', 1), segment.host('rr2', 2)]
  const hosts = [segment.host('bird', 11), segment.host('gobgp', 12)]
  const reflectors = centers.map((host, index) =>
    segment.add(
      subject({
        host,
        asn: ASN,
        clusterId: '10.0.0.1',
        peers: [
          { address: centers[1 - index]!.v4, asn: ASN, families: FAMILIES },
          ...hosts.map((client) => ({ address: client.v4, asn: ASN, families: FAMILIES, client: true })),
        ],
      }),
    ),
  )
  const clients = (['bird', 'gobgp'] as const).map((kind, index) =>
    segment.add(
      foreign(kind, {
        host: hosts[index]!,
        asn: ASN,
        routes: [{ prefix: blockOf(index) }],
        peers: centers.map((center) => ({ address: center.v4, asn: ASN, families: FAMILIES })),
      }),
    ),
  )
  await Promise.all([...reflectors, ...clients].map((speaker) => speaker.start()))
  await reflectors[0]!.established(centers[1]!.v4)

  for (const [index, client] of clients.entries()) {
    for (const center of centers) {
      const route = await client.learned(blockOf(1 - index), center.v4)
      t.same(route.clusterList, ['10.0.0.1'], `${client.kind} from ${center.label}: one hop of reflection`)
      t.equal(route.nextHop, hosts[1 - index]!.v4, `${client.kind} from ${center.label}: NEXT_HOP`)
    }
  }
  // BIRD (as a control in our place) looks for its cluster only in routes of clients.
  for (const [index, reflector] of reflectors.entries()) {
    if (!(reflector instanceof Nodebgp)) continue
    const other = centers[1 - index]!.v4
    const looped = await until(
      `${reflector.name} has what its own cluster has reflected`,
      async () => (await reflector.rib('ipv4-unicast')).filter((path) => path.fromAddress === other),
      (paths) => paths.length === hosts.length,
    )
    for (const path of looped) {
      t.notOk(path.valid || path.best, `${reflector.name} does not use ${path.prefix} of its own cluster`)
      t.match(path.reason, /our cluster id is in CLUSTER_LIST/, 'and says why')
    }
  }

  await reflectors[0]!.kill()
  for (const [index, client] of clients.entries()) {
    await client.notEstablished(centers[0]!.v4)
    await client.lost(blockOf(1 - index), centers[0]!.v4)
    await client.learned(blockOf(1 - index), centers[1]!.v4)
  }
  t.pass('with one reflector killed, the other one is enough')
  await reflectors[0]!.start()
  for (const [index, client] of clients.entries()) await client.learned(blockOf(1 - index), centers[0]!.v4)
  t.pass('the killed reflector comes back with everything')
}

async function twoClusters(t: Test): Promise<void> {
  const segment = new Segment(t)
  const centers = [segment.host('rr1', 1), segment.host('rr2', 2)]
  const kinds = ['frr', 'openbgpd'] as const
  const hosts = kinds.map((kind, index) => segment.host(kind, index + 11))
  const clusterOf = (index: number) => `10.0.0.${index + 1}`
  const reflectors = centers.map((host, index) =>
    segment.add(
      subject({
        host,
        asn: ASN,
        clusterId: clusterOf(index),
        peers: [
          { address: centers[1 - index]!.v4, asn: ASN, families: FAMILIES },
          { address: hosts[index]!.v4, asn: ASN, families: FAMILIES, client: true },
        ],
      }),
    ),
  )
  const clients: readonly Speaker[] = kinds.map((kind, index) =>
    segment.add(
      foreign(kind, {
        host: hosts[index]!,
        asn: ASN,
        routes: [{ prefix: blockOf(index), med: 3 }],
        peers: [{ address: centers[index]!.v4, asn: ASN, families: FAMILIES }],
      }),
    ),
  )
  await Promise.all([...reflectors, ...clients].map((speaker) => speaker.start()))

  for (const [index, client] of clients.entries()) {
    const far = 1 - index
    const route = await client.learned(blockOf(far))
    t.same(
      route.clusterList,
      [clusterOf(index), clusterOf(far)],
      `${client.kind}: CLUSTER_LIST, the last cluster first`,
    )
    t.equal(route.originatorId, hosts[far]!.v4, `${client.kind}: ORIGINATOR_ID is the first speaker's`)
    t.equal(route.nextHop, hosts[far]!.v4, `${client.kind}: NEXT_HOP is the first speaker's`)
    t.equal(route.med, 3, `${client.kind}: MED`)
  }
  await clients[0]!.withdraw(blockOf(0))
  await clients[1]!.lost(blockOf(0))
  t.pass('a withdrawal goes through both clusters')
}

/** A block of each family. */
function blocksOf(index: number): string[] {
  return [blockOf(index), `fd00:244:${index + 11}::/64`]
}
function blockOf(index: number): string {
  return `10.244.${index + 11}.0/26`
}
