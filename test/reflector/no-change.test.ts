/**
 * Nothing is sent where nothing changed for the receiver (RFC 4271 §9.2): repeated announcements, changes of losing paths, a change and its reverse in one turn,
 * and changes that the outgoing rules take away again.
 */
import t from 'tap'
import { SourceKind } from '../../src/rib/source.js'
import { announceBytes, withdrawBytes } from '../support/update-bytes.js'
import { attributesWith, GroupWorld, sequence } from './given.js'

const LIMITS = { logOctets: 1 << 20, windowOctets: 1 << 20 }
const PREFIX = '10.1.0.0/16'

t.test('clients hear a change once, and no repetition', async (t) => {
  const world = new GroupWorld(LIMITS)
  const [first, second, reader] = ['first', 'second', 'reader'].map((name) => world.up(name))
  world.quiet()
  const heard = (): number => reader!.receiver.messages
  world.send(first!, announceBytes([PREFIX], attributesWith({ localPref: 200 })))
  world.quiet()
  const before = heard()
  t.equal(reader!.receiver.routes.size, 1)
  world.send(first!, announceBytes([PREFIX], attributesWith({ localPref: 200 })))
  world.quiet()
  t.equal(heard(), before, 'the same announcement again')
  for (const med of [1, 2, 3]) world.send(second!, announceBytes([PREFIX], attributesWith({ localPref: 100, med })))
  world.send(second!, withdrawBytes([PREFIX]))
  world.quiet()
  t.equal(heard(), before, 'paths that lose')
  world.send(first!, announceBytes([PREFIX], attributesWith({ localPref: 300 })))
  world.send(first!, announceBytes([PREFIX], attributesWith({ localPref: 200 })))
  world.quiet()
  t.equal(heard(), before, 'there and back in one turn')
  world.send(first!, withdrawBytes(['10.2.0.0/16']))
  world.quiet()
  t.equal(heard(), before, 'a withdrawal of what was never announced')
  world.send(first!, announceBytes([PREFIX], attributesWith({ localPref: 201 })))
  world.quiet()
  t.equal(heard(), before + 1, 'a change that shows')
})

t.test('external peers hear nothing of a LOCAL_PREF that is stripped on the way to them', async (t) => {
  const world = new GroupWorld(LIMITS)
  const client = world.up('client')
  const external = world.up('external', { kind: SourceKind.EBGP })
  world.quiet()
  world.send(client, announceBytes([PREFIX], attributesWith({ localPref: 100, asPath: sequence(65200) })))
  world.quiet()
  const before = external.receiver.messages
  t.equal(external.receiver.routes.size, 1)
  world.send(client, announceBytes([PREFIX], attributesWith({ localPref: 150, asPath: sequence(65200) })))
  world.quiet()
  t.equal(external.receiver.messages, before)
})
