/** Members that a reload moves from one group to another. */
import t from 'tap'
import { Family } from '../../src/net/family.js'
import { announceBytes, withdrawBytes } from '../support/update-bytes.js'
import { attributesWith, exporterOptions, GroupWorld } from './given.js'

t.test('many members that move together cost the table once, and hear what differs', async (t) => {
  const world = new GroupWorld({ logOctets: 1 << 20, windowOctets: 1 << 20 })
  const peers = Array.from({ length: 40 }, (_, n) => world.up(`peer ${n}`))
  const [sender, reader] = peers as [(typeof peers)[0], (typeof peers)[0]]
  const prefixes = Array.from({ length: 200 }, (_, n) => `10.${n}.0.0/16`)
  const attributes = attributesWith({ communities: Uint8Array.of(0xfd, 0xe8, 0, 1) })
  world.send(sender, announceBytes(prefixes, attributes))
  world.quiet()
  const withCommunities = reader.receiver.routes.get('0 10.1.0.0/16')
  // A withdrawal that no socket has taken when the move comes.
  world.send(sender, withdrawBytes(['10.0.0.0/16']))
  world.turn()

  const table = world.rib.tables[Family.IPV4_UNICAST]!.prefixes
  const retain = table.retain.bind(table)
  let uses = 0
  table.retain = (id) => {
    uses++
    retain(id)
  }
  const options = exporterOptions({ sendCommunities: false })
  for (const peer of peers) peer.member = world.reflector.move(peer.member, options)
  t.ok(uses <= 2 * prefixes.length, `${uses} uses were taken for 40 members and 200 prefixes`)
  world.quiet()
  for (const peer of peers.slice(1)) t.equal(peer.receiver.routes.size, 199)
  t.equal(sender.receiver.routes.size, 0)
  t.not(reader.receiver.routes.get('0 10.1.0.0/16'), withCommunities)
  t.equal(new Set(reader.receiver.routes.values()).size, 1)

  // And back, one of them between two changes.
  reader.member = world.reflector.move(reader.member, exporterOptions())
  world.send(sender, withdrawBytes(['10.2.0.0/16']))
  world.turn()
  peers[2]!.member = world.reflector.move(peers[2]!.member, exporterOptions())
  world.quiet()
  for (const peer of peers.slice(1)) t.equal(peer.receiver.routes.size, 198)
  t.equal(reader.receiver.routes.get('0 10.1.0.0/16'), withCommunities)
  t.same(peers[2]!.receiver.routes, reader.receiver.routes)
  world.down(sender)
  world.quiet()
  for (const peer of peers.slice(1)) t.equal(peer.receiver.routes.size, 0)
  t.equal(table.size, 0, 'every prefix id is given back')
})
