/** Clients of a route server (RFC 7947): attributes as they came, and no path hidden by a better one that a client may not hear. */
import t from 'tap'
import { NO_ATTRIBUTES } from '../../src/bgp/attributes/decode.js'
import { parseCommunity } from '../../src/bgp/attributes/text.js'
import { octetsOfU32 } from '../../src/net/address.js'
import { outgoingAttributes } from '../../src/reflector/reflect.js'
import { SourceKind } from '../../src/rib/source.js'
import { policy } from '../rib/given.js'
import { announceBytes, withdrawBytes } from '../support/update-bytes.js'
import { attributesWith, exporterOptions, GroupWorld, type PeerSocket, sequence } from './given.js'

const PREFIX = '10.1.0.0/16'
const CLIENT = { kind: SourceKind.EBGP, routeServerClient: true } as const

function world(): GroupWorld {
  return new GroupWorld({ logOctets: 1e6, windowOctets: 1e6 })
}

/** The client announces PREFIX with so many hops. */
function announce(given: GroupWorld, from: PeerSocket, hops: number, communities: readonly string[] = []): void {
  const asn = from.source.options.asn
  const asPath = sequence(...new Array<number>(hops).fill(asn))
  const octets = communities.flatMap((text) => [...octetsOfU32(parseCommunity(text))])
  const more = octets.length === 0 ? {} : { communities: Uint8Array.from(octets) }
  given.send(from, announceBytes([PREFIX], attributesWith({ asPath, localPref: -1, ...more }), true))
  given.quiet()
}

/** AS that the path begins with which the client holds for PREFIX; null without one. */
function heard(socket: PeerSocket): number | null {
  const hex = socket.receiver.routes.get(`0 ${PREFIX}`)
  if (hex === undefined) return null
  return Number.parseInt(/4002..02..(.{8})/.exec(hex)![1]!, 16)
}

t.test('NEXT_HOP, AS_PATH, MED and communities go through (§2.2)', async (t) => {
  const rules = exporterOptions(CLIENT)
  const external = { kind: SourceKind.EBGP, bgpId: 1 }
  const came = attributesWith({
    asPath: sequence(65101, 65102),
    med: 7,
    communities: octetsOfU32(parseCommunity('no-export')),
    extCommunities: Uint8Array.from([0x40, 2, 0, 0, 0, 0, 0, 1]),
    localPref: 100,
  })
  t.same(outgoingAttributes(came, external, rules, null), { ...came, localPref: -1 })
  const own = { ...NO_ATTRIBUTES, origin: 0, asPath: new Uint8Array(0) }
  const out = outgoingAttributes(own, { kind: SourceKind.LOCAL, bgpId: 1 }, rules, null)
  t.same([...out.asPath!], [...sequence(65000)], 'an own route has our AS: nobody takes an empty path')
  t.same(out.nextHop, rules.selfNextHop)
})

t.test('the client whose path is the best hears the next one (§2.3)', async (t) => {
  const given = world()
  const [a, b, c] = ['a', 'b', 'c'].map((name) => given.up(name, CLIENT)) as [PeerSocket, PeerSocket, PeerSocket]
  const asOf = (socket: PeerSocket): number => socket.source.options.asn
  given.quiet()
  announce(given, a, 1)
  t.same([heard(a), heard(b), heard(c)], [null, asOf(a), asOf(a)])
  announce(given, b, 2)
  t.same(
    [heard(a), heard(b), heard(c)],
    [asOf(b), asOf(a), asOf(a)],
    'the second best goes to the source of the best alone',
  )
  announce(given, c, 3)
  t.same([heard(a), heard(b), heard(c)], [asOf(b), asOf(a), asOf(a)], 'the third to nobody')
  announce(given, b, 4)
  t.same([heard(a), heard(b), heard(c)], [asOf(c), asOf(a), asOf(a)], 'another second best')
  announce(given, a, 9)
  t.same([heard(a), heard(b), heard(c)], [asOf(c), asOf(c), asOf(b)], 'another best')
  const { group } = a.member
  t.equal(group.sentTo(1, c.source.index)[0]?.source, b.source.index)
  t.equal(group.sentTo(1, a.source.index)[0]?.source, c.source.index)
  t.same([...group.countsBySource()], [[c.source.index, 0]], 'nobody hears less than all')
  group.refresh(c.member.member)
  given.quiet()
  t.equal(heard(c), asOf(b), 'also after a refresh')
  given.send(c, withdrawBytes([PREFIX]))
  given.send(b, withdrawBytes([PREFIX]))
  given.quiet()
  t.same([heard(a), heard(b), heard(c)], [null, asOf(a), asOf(a)])
  given.send(a, withdrawBytes([PREFIX]))
  given.quiet()
  t.same([heard(a), heard(b), heard(c)], [null, null, null])
})

t.test('an export policy that refuses the best path lets the next one out', async (t) => {
  const given = world()
  const [a, b] = [given.up('a', CLIENT), given.up('b', CLIENT)]
  const exportPolicy = policy([{ peer: ['a'] }, 'reject'], [{}, 'accept'])
  const target = given.up('target', { ...CLIENT, exportPolicy })
  const plain = given.up('plain', { kind: SourceKind.EBGP, exportPolicy })
  given.quiet()
  announce(given, a, 1)
  announce(given, b, 2)
  t.equal(heard(target), b.source.options.asn)
  t.equal(heard(plain), null, 'whoever is no client of the route server has the best path hidden')
})

t.test(
  'well-known communities are for the clients: NO_EXPORT and NO_ADVERTISE of one of them go through',
  async (t) => {
    const given = world()
    const [a, b] = [given.up('a', CLIENT), given.up('b', CLIENT)]
    const plain = given.up('plain', { kind: SourceKind.EBGP })
    given.quiet()
    for (const community of ['no-export', 'no-advertise', 'no-export-subconfed']) {
      announce(given, a, 1, [community])
      t.equal(heard(b), a.source.options.asn, community)
      t.equal(heard(plain), null, `${community}: not to other external peers`)
    }
  },
)
