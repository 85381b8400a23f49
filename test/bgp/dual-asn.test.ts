/** dualAsn (RFC 7705 §4): the peer takes us for one of two AS numbers, and only its answer to our OPEN tells which. */
import t from 'tap'
import type { NeighborConfig } from '../../src/config/types.js'
import { neighbor, TestSpeaker } from '../support/speaker.js'
import { MemoryNetwork, VirtualClock } from '../support/virtual.js'

const A = '10.0.0.1'
const B = '10.0.0.2'

/** `a` is AS 64512 and was AS 64999; `b` is AS 64513 and takes it for `known`. */
function given(known: number, a: Partial<NeighborConfig> = {}, b: Partial<NeighborConfig> = {}) {
  const clock = new VirtualClock()
  const network = new MemoryNetwork(clock)
  const random = () => 0.5
  const speakerA = new TestSpeaker({ asn: 64512, routerId: 1, clock, random, dial: network.dialFrom(A) })
  const speakerB = new TestSpeaker({ asn: 64513, routerId: 2, clock, random, dial: network.dialFrom(B) })
  network.listen(A, speakerA.manager)
  network.listen(B, speakerB.manager)
  const dual = { localAsn: 64999, dualAsn: true, ...a }
  speakerA.manager.configure([neighbor({ name: 'b', address: B, asn: 64513, ...dual })])
  speakerB.manager.configure([neighbor({ name: 'a', address: A, asn: known, localAsn: 64513, passive: true, ...b })])
  const peer = speakerA.manager.find('b')[0]!
  clock.run()
  return { clock, peer, speakerA, speakerB }
}

t.test('localAsn comes first', async (t) => {
  const { peer } = given(64999)
  t.equal(peer.state, 'Established')
  t.equal(peer.localAsn, 64999)
})

t.test('after 2/2 the other AS is tried without a back-off, and remembered', async (t) => {
  const { clock, peer, speakerA } = given(64512)
  clock.advance(30_000)
  t.equal(peer.state, 'Established')
  t.equal(peer.localAsn, 64512)
  const before = peer.history.length
  speakerA.manager.clear('b')
  clock.advance(2_000)
  t.equal(peer.state, 'Established')
  t.notOk(
    peer.history.slice(before).some(({ reason }) => reason.includes('2/2')),
    'the AS that worked is the first of the next session',
  )
})

t.test('the peer connects: the same', async (t) => {
  const { clock, peer } = given(64512, { passive: true }, { passive: false })
  clock.advance(60_000)
  t.equal(peer.state, 'Established')
  t.equal(peer.localAsn, 64512)
})

t.test('neither is right: both in turn, with the back-off of protocol errors', async (t) => {
  const { clock, peer } = given(65555)
  clock.advance(600_000)
  t.equal(peer.state === 'Established', false)
  t.ok(peer.backoff.failures > 2 && peer.backoff.failures < 30, `${peer.backoff.failures} failures in ten minutes`)
})

t.test('without dualAsn only localAsn is tried', async (t) => {
  const { clock, peer } = given(64512, { dualAsn: false })
  clock.advance(60_000)
  t.equal(peer.localAsn, 64999)
  t.match(peer.lastReason, /2\/2/)
})
