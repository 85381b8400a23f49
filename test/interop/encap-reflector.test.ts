/**
 * VTEPs that no rule could guess, in the Tunnel Encapsulation attribute (RFC 9012): two daemons learn each other's through BIRD as route reflector; a third one, in an
 * AS of its own, takes and gives none until both ends have `tunnelEncapsulation: true` (§11). Of the other reflectors FRR keeps the attribute to itself: there the rule has to do.
 */
import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { ruleMac } from '../../src/fib/encap/rule.js'
import { foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const ASN = 64512
const FAR_ASN = 64513
const families = ['ipv4-unicast'] as const

const requirement = (kind: 'bird' | 'frr' | 'gobgp' | 'openbgpd') => ({
  commands: ['ip', 'bridge', 'ping', ...REQUIREMENTS[kind].commands],
  packages: ['iproute2', 'iputils-ping', REQUIREMENTS[kind].package],
  root: true,
})

const numberOf = (host: Host): number => Number(host.v4.split('.')[3])
const macOf = (host: Host): string => `66:00:00:00:00:0${numberOf(host)}`
const plain = (host: Host, peer: Host) => ({ address: peer.v4, connectRetry: '1s', sourceAddress: host.v4 })
const inside = (host: Host, reflector: Host) => ({ ...plain(host, reflector), name: 'rr', asn: ASN })
const client = (host: Host) => ({ address: host.v4, asn: ASN, families, client: true })

/** With an address in its block for pings. */
function node(host: Host, asn: number, vxlan: object, ...neighbors: readonly object[]): Nodebgp {
  const i = numberOf(host)
  host.ns.ip(`addr add 10.244.${i}.2/32 dev lo`)
  const fib = { accept: ['10.244.0.0/16'], encapsulation: 'vxlan', vxlan: { layout: 'calico', ...vxlan } }
  const spec = { host, asn, kernel: true, routes: [{ prefix: `10.244.${i}.0/26` }], peers: [] }
  return new Nodebgp(spec, { neighbors, fib })
}

/** The route to the far block leads to the VTEP with that last octet and MAC. */
async function leads(t: Test, at: Host, to: Host, octet: number, mac: string): Promise<void> {
  const block = `10.244.${numberOf(to)}`
  const route = `${block}.0/26 via ${block}.${octet} dev vxlan.calico proto 179 onlink`
  await until(
    `${at.label}: ${route}`,
    () => at.ns.ip(`route show ${block}.0/26`).replaceAll(/ +/g, ' '),
    (text) => text.includes(route),
  )
  t.match(at.ns.ip('neigh show dev vxlan.calico'), `${block}.${octet} lladdr ${mac} PERMANENT`)
  t.match(at.ns.exec('bridge', 'fdb', 'show', 'dev', 'vxlan.calico'), `${mac} dst ${to.v4} self`)
}

function ping(from: Host, to: Host): string {
  const address = (host: Host): string => `10.244.${numberOf(host)}.2`
  const [program, ...args] = [...from.ns.execPrefix, 'ping', '-n', '-q', '-c', '3', '-i', '0.2', '-W', '5']
  return spawnSync(program!, [...args, '-I', address(from), address(to)], { encoding: 'utf8' }).stdout
}

if (requireOrSkip(t, requirement('bird'))) {
  t.test('VTEPs through a reflector of somebody else, and across ASes', async (t) => {
    const segment = new Segment(t)
    const [one, two, middle, far] = ['one', 'two', 'rr', 'far'].map((label, index) => segment.host(label, index + 1))
    const hosts = [one!, two!, far!]
    const outside = (host: Host, peer: Host, asn: number, more: object = {}) => ({
      ...plain(host, peer),
      ...{ name: 'other', asn, import: 'accept-all', export: 'accept-all', ...more },
    })
    const speaker = (host: Host, asn: number, ...neighbors: readonly object[]): Nodebgp =>
      segment.add(node(host, asn, { address: `10.244.${numberOf(host)}.9/32`, mac: macOf(host) }, ...neighbors))
    const first = speaker(one!, ASN, inside(one!, middle!), outside(one!, far!, FAR_ASN))
    const second = speaker(two!, ASN, inside(two!, middle!))
    const third = speaker(far!, FAR_ASN, outside(far!, one!, ASN))
    const reflector = foreign('bird', {
      host: middle!,
      asn: ASN,
      clusterId: middle!.v4,
      peers: [client(one!), client(two!)],
    })
    await Promise.all([first, second, third, segment.add(reflector)].map((speaker) => speaker.start()))

    await leads(t, one!, two!, 9, macOf(two!))
    await leads(t, two!, one!, 9, macOf(one!))
    t.match(ping(one!, two!), / 0% packet loss/)

    await leads(t, one!, far!, 0, ruleMac(far!.v4))
    await leads(t, far!, one!, 0, ruleMac(one!.v4))
    const more = { tunnelEncapsulation: true }
    first.overrides = { ...first.overrides, neighbors: [inside(one!, middle!), outside(one!, far!, FAR_ASN, more)] }
    third.overrides = { ...third.overrides, neighbors: [outside(far!, one!, ASN, more)] }
    for (const speaker of [first, third]) speaker.reload()
    await leads(t, one!, far!, 9, macOf(far!))
    await leads(t, far!, one!, 9, macOf(one!))
    await leads(t, two!, far!, 9, macOf(far!))
    t.same(new Set(hosts.map((host) => host.ns.ip('-d link show vxlan.calico').includes('id 4096'))), new Set([true]))
  })
}

/** Should a later FRR pass the attribute on, docs/kernel.md has to say so. */
const OTHERS = [
  { kind: 'frr', passes: false },
  { kind: 'gobgp', passes: true },
  { kind: 'openbgpd', passes: true },
] as const

for (const { kind, passes } of OTHERS)
  if (requireOrSkip(t, requirement(kind)))
    t.test(
      `${kind} as reflector ${passes ? 'passes the attribute on' : 'keeps the attribute to itself'}`,
      async (t) => {
        const segment = new Segment(t)
        const [one, two, middle, odd] = ['one', 'two', 'rr', 'odd'].map((label, index) =>
          segment.host(label, index + 1),
        )
        const byRule = (host: Host) =>
          node(host, ASN, { address: `10.244.${numberOf(host)}.0/32` }, inside(host, middle!))
        const third = node(odd!, ASN, { address: '10.244.4.9/32', mac: macOf(odd!) }, inside(odd!, middle!))
        const peers = [one!, two!, odd!].map(client)
        const reflector = foreign(kind, { host: middle!, asn: ASN, clusterId: middle!.v4, peers })
        const speakers = [byRule(one!), byRule(two!), third, reflector]
        await Promise.all(speakers.map((speaker) => segment.add(speaker).start()))
        await leads(t, one!, two!, 0, ruleMac(two!.v4))
        await leads(t, two!, one!, 0, ruleMac(one!.v4))
        t.match(ping(one!, two!), / 0% packet loss/, 'what follows the rule meets, whoever reflects')
        await leads(t, one!, odd!, passes ? 9 : 0, passes ? macOf(odd!) : ruleMac(odd!.v4))
      },
    )
