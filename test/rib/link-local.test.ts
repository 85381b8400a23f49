/** Link-local IPv6 next hops in all forms seen in the field, and the links that they belong to (RFC 2545 §2, §3). */
import t from 'tap'
import { parseAddress } from '../../src/net/address.js'
import { announceBytes } from '../support/update-bytes.js'
import { attributesWith, policy, RibWorld } from './given.js'

const PREFIX = '2001:db8:1::/48'

function octets(...addresses: string[]): Uint8Array {
  return Buffer.concat(addresses.map(parseAddress))
}

const LL = octets('fe80::1')

t.test('every form, on a session over a link and on one between link-local addresses', async (t) => {
  const forms: [name: string, nextHop: Uint8Array, overLink: string, linkLocalSession: string][] = [
    ['global', octets('2001:db8::1'), '2001:db8::1', '2001:db8::1'],
    ['global and link-local', octets('2001:db8::1', 'fe80::1'), '2001:db8::1', 'fe80::1%eth0'],
    [':: and link-local', octets('::', 'fe80::1'), 'fe80::1%eth0', 'fe80::1%eth0'],
    ['link-local alone', LL, 'fe80::1%eth0', 'fe80::1%eth0'],
    ['link-local twice', octets('fe80::1', 'fe80::1'), 'fe80::1%eth0', 'fe80::1%eth0'],
  ]
  for (const [name, nextHop, overLink, linkLocal] of forms) {
    for (const linkLocalSession of [false, true]) {
      const world = new RibWorld()
      const source = world.source({ link: { zone: world.rib.nextHops.zoneOf('eth0'), linkLocalSession } })
      world.receive(source, announceBytes([PREFIX], attributesWith({ nextHop })))
      const set = world.effective(source, PREFIX)!
      const expected = linkLocalSession ? linkLocal : overLink
      t.equal(world.rib.nextHops.text(set.nextHopId), expected, `${name}: ${expected}`)
      t.same(Buffer.from(world.rib.store.attributes(set).nextHop!), Buffer.from(nextHop), 'the octets stay')
      t.equal(world.state(source, PREFIX), 'USABLE')
    }
  }
})

t.test('equal octets from two links are two next hops, each with its own fate', async (t) => {
  const world = new RibWorld()
  const [one, two] = ['eth0', 'eth1'].map((name) =>
    world.source({ link: { zone: world.rib.nextHops.zoneOf(name), linkLocalSession: true } }),
  )
  world.rib.setResolver((address) => (address === 'fe80::1%eth1' ? 0 : -1), new Set())
  for (const source of [one!, two!]) world.receive(source, announceBytes([PREFIX], attributesWith({ nextHop: LL })))
  world.turn()
  t.not(world.effective(one!, PREFIX), world.effective(two!, PREFIX))
  t.equal(world.winner(PREFIX)!.source, two!.options.name)
  world.rib.setResolver((address) => (address === 'fe80::1%eth0' ? 0 : -1), new Set())
  world.turn()
  t.equal(world.winner(PREFIX)!.source, one!.options.name)
})

t.test('an address is our own on its link alone', async (t) => {
  const world = new RibWorld()
  const [one, two] = ['eth0', 'eth1'].map((name) =>
    world.source({ link: { zone: world.rib.nextHops.zoneOf(name), linkLocalSession: true } }),
  )
  world.rib.setResolver(() => 0, new Set(['fe80::1', 'fe80::1%eth0']))
  for (const source of [one!, two!]) world.receive(source, announceBytes([PREFIX], attributesWith({ nextHop: LL })))
  world.turn()
  t.equal(world.winner(PREFIX)!.source, two!.options.name)
})

t.test('what the import policy changes stays on the link; a next hop that it sets does not', async (t) => {
  const world = new RibWorld()
  const link = { zone: world.rib.nextHops.zoneOf('eth0'), linkLocalSession: true }
  const kept = world.source({ link, importPolicy: policy([{}, 'accept', { med: 7 }]) })
  const set = world.source({ link, importPolicy: policy([{}, 'accept', { nextHop: '2001:db8::9' }]) })
  for (const source of [kept, set]) world.receive(source, announceBytes([PREFIX], attributesWith({ nextHop: LL })))
  t.equal(world.rib.nextHops.text(world.effective(kept, PREFIX)!.nextHopId), 'fe80::1%eth0')
  t.equal(world.rib.nextHops.text(world.effective(set, PREFIX)!.nextHopId), '2001:db8::9')
})

t.test('a session through routers has no link: the address stays without one', async (t) => {
  const world = new RibWorld()
  const source = world.source()
  world.receive(source, announceBytes([PREFIX], attributesWith({ nextHop: LL })))
  t.equal(world.rib.nextHops.text(world.effective(source, PREFIX)!.nextHopId), 'fe80::1')
})
