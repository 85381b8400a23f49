/**
 * VTEPs that no rule could guess, in the Tunnel Encapsulation attribute (RFC 9012): two daemons learn each other's through BIRD as route reflector; a third one, in an
 * AS of its own, takes and gives none until both ends have `tunnelEncapsulation: true` (§11).
 */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { ruleMac } from '../../src/fib/encap/rule.js'
import { foreign, REQUIREMENTS } from '../support/daemons/index.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const ASN = 64512
const FAR_ASN = 64513
const families = ['ipv4-unicast'] as const

const requirement = {
  commands: ['ip', 'bridge', 'ping', ...REQUIREMENTS.bird.commands],
  packages: ['iproute2', 'iputils-ping', REQUIREMENTS.bird.package],
  root: true,
}

if (requireOrSkip(t, requirement)) {
  t.test('VTEPs through a reflector of somebody else, and across ASes', async (t) => {
    const segment = new Segment(t)
    const [one, two, middle, far] = ['one', 'two', 'rr', 'far'].map((label, index) => segment.host(label, index + 1))
    const hosts = [one!, two!, far!]
    const numberOf = (host: Host): number => Number(host.v4.split('.')[3])
    const macOf = (host: Host): string => `66:00:00:00:00:0${numberOf(host)}`
    const plain = (host: Host, peer: Host) => ({ address: peer.v4, connectRetry: '1s', sourceAddress: host.v4 })
    const inside = (host: Host) => ({ ...plain(host, middle!), name: 'rr', asn: ASN })
    const outside = (host: Host, peer: Host, asn: number, more: object = {}) => ({
      ...plain(host, peer),
      ...{ name: 'other', asn, import: 'accept-all', export: 'accept-all', ...more },
    })
    const node = (host: Host, asn: number, ...neighbors: readonly object[]): Nodebgp => {
      const i = numberOf(host)
      host.ns.ip(`addr add 10.244.${i}.2/32 dev lo`)
      const vxlan = { layout: 'calico', address: `10.244.${i}.9/32`, mac: macOf(host) }
      const fib = { accept: ['10.244.0.0/16'], encapsulation: 'vxlan', vxlan }
      const spec = { host, asn, kernel: true, routes: [{ prefix: `10.244.${i}.0/26` }], peers: [] }
      return segment.add(new Nodebgp(spec, { neighbors, fib }))
    }
    const first = node(one!, ASN, inside(one!), outside(one!, far!, FAR_ASN))
    const second = node(two!, ASN, inside(two!))
    const third = node(far!, FAR_ASN, outside(far!, one!, ASN))
    const client = (host: Host) => ({ address: host.v4, asn: ASN, families, client: true })
    const reflector = foreign('bird', {
      host: middle!,
      asn: ASN,
      clusterId: middle!.v4,
      peers: [client(one!), client(two!)],
    })
    await Promise.all([first, second, third, segment.add(reflector)].map((speaker) => speaker.start()))

    /** The route to the far block leads to the VTEP with that last octet and MAC. */
    const leads = async (at: Host, to: Host, octet: number, mac: string): Promise<void> => {
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
    await leads(one!, two!, 9, macOf(two!))
    await leads(two!, one!, 9, macOf(one!))
    const [program, ...args] = [...one!.ns.execPrefix, 'ping', '-n', '-q', '-c', '3', '-i', '0.2', '-W', '5']
    const ping = spawnSync(program!, [...args, '-I', '10.244.1.2', '10.244.2.2'], { encoding: 'utf8' })
    t.match(ping.stdout, / 0% packet loss/)

    await leads(one!, far!, 0, ruleMac(far!.v4))
    await leads(far!, one!, 0, ruleMac(one!.v4))
    const more = { tunnelEncapsulation: true }
    first.overrides = { ...first.overrides, neighbors: [inside(one!), outside(one!, far!, FAR_ASN, more)] }
    third.overrides = { ...third.overrides, neighbors: [outside(far!, one!, ASN, more)] }
    for (const speaker of [first, third]) speaker.reload()
    await leads(one!, far!, 9, macOf(far!))
    await leads(far!, one!, 9, macOf(one!))
    await leads(two!, far!, 9, macOf(far!))
    t.same(new Set(hosts.map((host) => host.ns.ip('-d link show vxlan.calico').includes('id 4096'))), new Set([true]))
  })
}
