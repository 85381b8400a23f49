/**
 * Members whose sockets take nothing: what they make the group keep is bounded, and the others go on following.
 */
import t from 'tap'
import { Family } from '../../src/net/family.js'
import { announceBytes, Receiver, withdrawBytes } from '../support/update-bytes.js'
import { attributesWith, GroupWorld } from './given.js'

t.test('a socket that takes nothing holds a window, not the log', async (t) => {
  const world = new GroupWorld({ logOctets: 4000, windowOctets: 500 })
  const sender = world.up('sender')
  const reader = world.up('reader')
  const stuck = world.up('stuck')
  world.quiet()
  stuck.stalled = true
  const held: number[] = []
  for (let round = 0; round < 400; round++) {
    world.send(sender, announceBytes([`10.${round & 15}.0.0/16`], attributesWith({ med: round })))
    world.turn()
    reader.take()
    held.push(world.group().log.octets)
  }
  t.ok(Math.max(...held) <= 4000 + 500, `the log held ${Math.max(...held)} octets`)
  t.ok(world.group().log.length < 100, `the log holds ${world.group().log.length} entries`)
  t.same([world.memberOf(reader).state, world.memberOf(stuck).state], ['following', 'behind'])
  stuck.stalled = false
  world.quiet()
  t.same(stuck.receiver.routes, reader.receiver.routes)
  t.equal(stuck.receiver.routes.size, 16)
  t.equal(world.memberOf(stuck).state, 'following')
})

t.test('a prefix that comes and goes while a member is behind is remembered once', async (t) => {
  const world = new GroupWorld({ logOctets: 2000, windowOctets: 500 })
  const sender = world.up('sender')
  world.up('reader')
  const stuck = world.up('stuck')
  world.quiet()
  stuck.stalled = true
  for (let round = 0; round < 2000; round++) {
    world.send(sender, announceBytes(['10.1.0.0/16'], attributesWith({ med: round })))
    world.turn()
    world.send(sender, withdrawBytes(['10.1.0.0/16']))
    world.turn()
    for (const socket of world.sockets) socket.take()
  }
  t.equal(world.memberOf(stuck).state, 'behind')
  const { prefixes } = world.rib.tables[Family.IPV4_UNICAST]!
  const id = prefixes.find(0x0a010000, 0, 0, 0, 16)
  t.ok(id > 0, 'the id is kept for the member behind')
  t.ok(prefixes.usesOf(id) <= 2, `${prefixes.usesOf(id)} uses`)
  stuck.stalled = false
  world.quiet()
  t.equal(prefixes.size, 0, 'and given back when it has heard')
})

t.test('prefix ids in limbo go in spite of one that is withdrawn again and again', async (t) => {
  const world = new GroupWorld({ logOctets: 1 << 20, windowOctets: 1 << 20 })
  const sender = world.up('sender')
  const reader = world.up('reader')
  world.quiet()
  const { prefixes } = world.rib.tables[Family.IPV4_UNICAST]!
  let most = 0
  for (let round = 0; round < 300; round++) {
    const both = ['10.1.0.0/16', `10.2.${round & 255}.${round >> 8}/32`]
    world.send(sender, announceBytes(both, attributesWith({ med: round })))
    world.turn()
    world.send(sender, withdrawBytes(both))
    world.turn()
    // Two rounds late: the log is never empty.
    if (round > 1) for (const socket of world.sockets) socket.take(2)
    most = Math.max(most, prefixes.size)
  }
  t.ok(most < 20, `${most} prefixes were kept`)
  world.quiet()
  t.equal(prefixes.size, 0)
  t.ok(reader.receiver instanceof Receiver)
})

t.test('a group that fills its table leaves out what waits to be decided', async (t) => {
  const world = new GroupWorld({ logOctets: 4000, windowOctets: 500 })
  world.rib.setResolver((address) => (address === '10.0.1.66' ? -1 : 0), new Set())
  const sender = world.up('sender')
  world.send(sender, announceBytes(['10.1.0.0/16'], attributesWith()))
  world.quiet()
  // The winner is replaced by a path that cannot be used; before that is decided, a group is made and filled.
  world.send(sender, announceBytes(['10.1.0.0/16'], attributesWith({ nextHop: Uint8Array.from([10, 0, 1, 66]) })))
  const late = world.up('late', { sendCommunities: false })
  world.reflector.tableSlices()
  world.reflector.pump(() => false)
  late.take()
  t.equal(late.updates, 1, 'End-of-RIB only')
  world.quiet()
  t.equal(late.receiver.routes.size, 0)
  t.equal(late.updates, 1)
})
