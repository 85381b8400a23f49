/** Next hops on the way out: IPv4 over IPv6 (RFC 8950), and link-local ones on their link and elsewhere (RFC 2545). */
import t from 'tap'
import { parseAddress } from '../../src/net/address.js'
import { Family } from '../../src/net/family.js'
import { SourceKind } from '../../src/rib/source.js'
import { policy } from '../rib/given.js'
import { announceBytes, announceIpv4OverIpv6, withdrawBytes } from '../support/update-bytes.js'
import { attributesWith, GroupWorld, type PeerSocket, sequence } from './given.js'

const LIMITS = { logOctets: 1 << 20, windowOctets: 1 << 20 }
const V6 = octets('2001:db8::7')
const SELF6 = octets('2001:db8::1')

function octets(...addresses: string[]): Uint8Array {
  return Buffer.concat(addresses.map(parseAddress))
}

/** `prefix → next hop of MP_REACH_NLRI in hex`, `-` for the NEXT_HOP attribute. */
function nextHops(socket: PeerSocket): Record<string, string> {
  return Object.fromEntries(
    [...socket.receiver.routes].map(([route, attributes]) => [route.slice(2), attributes.split(' ')[1] ?? '-']),
  )
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function refusal(world: GroupWorld, from: PeerSocket, to: PeerSocket, family: Family): string | null {
  const { exporter } = to.member.group
  const { paths, prefixes } = world.rib.tables[family]!
  const path = from.source.head[family]!
  const set = world.rib.store.get(paths.effective[path]!)
  return exporter.refusal(set, from.source, prefixes, paths.prefix[path]!)
}

t.test('IPv4 with an IPv6 next hop: unchanged to peers that can, withheld from the others', async (t) => {
  const world = new GroupWorld(LIMITS)
  const sender = world.up('sender', { extendedNextHop: true })
  const can = world.up('can', { extendedNextHop: true })
  const cannot = world.up('cannot')
  world.send(sender, announceIpv4OverIpv6(['10.1.0.0/16', '10.2.0.0/16'], attributesWith({ nextHop: V6 })))
  world.quiet()
  t.same(nextHops(can), { '10.1.0.0/16': hex(V6), '10.2.0.0/16': hex(V6) })
  t.same(nextHops(cannot), {})
  t.match(refusal(world, sender, cannot, Family.IPV4_UNICAST), /IPv6 address.*RFC 8950/)
  t.equal(refusal(world, sender, can, Family.IPV4_UNICAST), null)

  world.send(sender, announceBytes(['10.1.0.0/16'], attributesWith()))
  world.quiet()
  t.same(nextHops(can), { '10.1.0.0/16': '-', '10.2.0.0/16': hex(V6) }, 'IPv4 next hops go the plain way')
  t.same(nextHops(cannot), { '10.1.0.0/16': '-' })

  world.send(sender, announceIpv4OverIpv6(['10.1.0.0/16'], attributesWith({ nextHop: V6 })))
  world.send(sender, withdrawBytes(['10.2.0.0/16']))
  world.quiet()
  t.same(nextHops(can), { '10.1.0.0/16': hex(V6) }, 'a plain withdrawal ends it')
  t.same(nextHops(cannot), {}, 'withheld means withdrawn')
})

t.test('without RFC 8950 on the session an IPv6 next hop for IPv4 is 3/9', async (t) => {
  const world = new GroupWorld(LIMITS)
  const sender = world.up('sender')
  t.throws(() => world.send(sender, announceIpv4OverIpv6(['10.1.0.0/16'], attributesWith({ nextHop: V6 }))), {
    code: 3,
    subcode: 9,
  })
})

t.test('our own next hop for IPv4 is the IPv6 address of the session', async (t) => {
  const world = new GroupWorld(LIMITS)
  const sender = world.up('sender')
  const external = { kind: SourceKind.EBGP, extendedNextHop: true, selfNextHop: SELF6 } as const
  const peer = world.up('external', external)
  const byPolicy = world.up('policy', {
    extendedNextHop: true,
    selfNextHop: SELF6,
    exportPolicy: policy([{}, 'accept', { nextHop: 'self' }]),
  })
  world.send(sender, announceBytes(['10.1.0.0/16'], attributesWith()))
  world.quiet()
  t.same(nextHops(peer), { '10.1.0.0/16': hex(SELF6) })
  t.same(nextHops(byPolicy), { '10.1.0.0/16': hex(SELF6) })
})

t.test('link-local next hops: on their link as they are, elsewhere the global one or ours', async (t) => {
  const forms: [nextHop: Uint8Array, sameLink: Uint8Array, elsewhere: Uint8Array][] = [
    [octets('fe80::7'), octets('fe80::7'), SELF6],
    [octets('::', 'fe80::7'), octets('::', 'fe80::7'), SELF6],
    [octets('fe80::7', 'fe80::7'), octets('fe80::7', 'fe80::7'), SELF6],
    [octets('2001:db8::7', 'fe80::7'), octets('2001:db8::7', 'fe80::7'), V6],
  ]
  for (const [nextHop, sameLink, elsewhere] of forms) {
    const world = new GroupWorld(LIMITS)
    const zone = world.rib.nextHops.zoneOf('eth0')
    const link = { zone, linkLocalSession: true }
    const v6 = { family: Family.IPV6_UNICAST, selfNextHop: SELF6 }
    const sender = world.up('sender', v6, { source: { link } })
    const beside = world.up('beside', { ...v6, zone })
    const far = world.up('far', v6)
    world.send(sender, announceBytes(['2001:db8:1::/48'], attributesWith({ nextHop })))
    world.quiet()
    t.same(nextHops(beside), { '2001:db8:1::/48': hex(sameLink) }, `${hex(nextHop)} on its link`)
    t.same(nextHops(far), { '2001:db8:1::/48': hex(elsewhere) }, `${hex(nextHop)} elsewhere`)
  }
})

t.test('a link-local address beside a global one goes no further than its link', async (t) => {
  const world = new GroupWorld(LIMITS)
  const v6 = { family: Family.IPV6_UNICAST, selfNextHop: SELF6 }
  const sender = world.up('sender', v6)
  const peer = world.up('peer', v6)
  world.send(
    sender,
    announceBytes(
      ['2001:db8:1::/48'],
      attributesWith({ nextHop: octets('2001:db8::7', 'fe80::7'), asPath: sequence(1) }),
    ),
  )
  world.quiet()
  t.same(nextHops(peer), { '2001:db8:1::/48': hex(V6) })
})
