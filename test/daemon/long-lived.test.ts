/**
 * Long-lived graceful restart (RFC 9494) in virtual time: how stale routes age, what they mean to the decision, and who hears of them.
 */
import t from 'tap'
import { formatCommunities } from '../../src/bgp/attributes/text.js'
import type { CapabilityOffer } from '../../src/bgp/capabilities/offer.js'
import { readOffer } from '../../src/bgp/capabilities/offer.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { Family } from '../../src/net/family.js'
import { GracefulWorld, Played } from '../support/graceful-world.js'
import { neighbor } from '../support/speaker.js'

const V4 = Family.IPV4_UNICAST
const HELPER = { restarter: false, restartTimeSeconds: 120, staleTimeSeconds: 300, notification: true }
const LLGR = { gracefulRestart: HELPER, longLivedStaleSeconds: 1000, passive: true, reflectorClient: true }
const NO_LLGR = Uint8Array.of(0xff, 0xff, 0, 7)

function offer(restartTimeSeconds = 60, staleTimeSeconds = 3600, forwarding = true): Partial<CapabilityOffer> {
  return {
    gracefulRestart: {
      restarting: false,
      notification: false,
      restartTimeSeconds,
      families: [{ family: V4, forwarding }],
    },
    longLived: [{ family: V4, forwarding, staleTimeSeconds }],
  }
}

/** a restarts; b knows of long-lived routes; c does not; a2 has another route to one of a's prefixes. */
async function given(settings: Partial<NeighborConfig> = {}, offered = offer()) {
  const world = new GracefulWorld([
    neighbor({ name: 'a', address: '10.0.0.11', ...LLGR, ...settings }),
    neighbor({ name: 'b', address: '10.0.0.12', ...LLGR }),
    neighbor({ name: 'c', address: '10.0.0.13', passive: true, reflectorClient: true }),
    neighbor({ name: 'a2', address: '10.0.0.14', passive: true, reflectorClient: true }),
  ]).start()
  const [a, b, c, a2] = [11, 12, 13, 14].map((last) => new Played(`10.0.0.${last}`)) as [Played, Played, Played, Played]
  await world.up(b, offer())
  await world.up(c)
  await world.up(a2)
  await world.up(a, offered)
  a.announce(['10.1.0.0/16', '10.2.0.0/16'], { localPref: 500 })
  a.announce(['10.3.0.0/16'], { communities: NO_LLGR })
  a2.announce(['10.2.0.0/16'], { localPref: 50 })
  await world.settle()
  return { world, a, b, c, a2 }
}

function communitiesOf(world: GracefulWorld, prefix: string): readonly string[] {
  const { store, tables } = world.rib
  const set = store.get(tables[V4]!.paths.effective[world.bestOf(prefix)]!)
  return formatCommunities(store.attributes(set).communities ?? new Uint8Array(0))
}

t.test(
  'after the restart time routes live on as the last resort, until the lesser of both times is over',
  async (t) => {
    const { world, a, b, c } = await given()
    a.lose()
    await world.advance(59)
    t.same(world.table(), ['10.1.0.0/16 S', '10.2.0.0/16 S', '10.3.0.0/16 S'])
    await world.advance(2)
    t.same(world.table(), ['10.1.0.0/16 S', '10.2.0.0/16'], 'NO_LLGR is gone, any other route is better')
    t.match(communitiesOf(world, '10.1.0.0/16'), [/llgr-stale|65535:6/])
    t.same(b.heard(), ['10.1.0.0/16', '10.2.0.0/16'])
    t.match(b.receiver.routes.get('0 10.1.0.0/16'), /ffff0006/)
    c.read()
    t.match(c.receiver.routes.get('0 10.1.0.0/16'), /40050400000000.*ffff0006ffffff01/, 'NO_EXPORT and LOCAL_PREF 0')
    await world.advance(997)
    t.same(world.table(), ['10.1.0.0/16 S', '10.2.0.0/16'])
    await world.advance(3)
    t.same(world.table(), ['10.2.0.0/16'])
    t.same(c.heard(), ['10.2.0.0/16'])
  },
)

t.test('a restart time of 0: long-lived at once', async (t) => {
  const { world, a } = await given({}, offer(0, 100))
  a.lose()
  await world.settle()
  t.same(world.table(), ['10.1.0.0/16 S', '10.2.0.0/16'])
  await world.advance(101)
  t.same(world.table(), ['10.2.0.0/16'])
})

t.test('the peer returns: what it says again is as good as ever, the rest goes with End-of-RIB', async (t) => {
  const { world, a } = await given()
  a.lose()
  await world.advance(100)
  await world.up(a, offer())
  t.same(world.table(), ['10.1.0.0/16 S', '10.2.0.0/16'])
  a.announce(['10.2.0.0/16'], { localPref: 500 })
  await world.settle()
  t.same(communitiesOf(world, '10.2.0.0/16'), [])
  t.match(communitiesOf(world, '10.1.0.0/16'), [/llgr-stale|65535:6/])
  a.endOfRib()
  await world.settle()
  t.same(world.table(), ['10.2.0.0/16'])
})

t.test('it returns without forwarding by them, or without the capability: they go at once', async (t) => {
  for (const offered of [offer(60, 3600, false), { gracefulRestart: offer().gracefulRestart! }]) {
    const { world, a } = await given()
    a.lose()
    await world.advance(100)
    await world.up(a, offered)
    t.same(world.table(), ['10.2.0.0/16'])
  }
})

t.test('without the capability on our side there is no second life', async (t) => {
  const { world, a } = await given({ longLivedStaleSeconds: 0 })
  t.same(readOffer(a.theirOpen().capabilities).longLived, [])
  a.lose()
  await world.advance(61)
  t.same(world.table(), ['10.2.0.0/16'])
})

t.test('policies that are applied again leave them long-lived', async (t) => {
  const { world, a } = await given()
  a.lose()
  await world.advance(61)
  world.routes.judgeAgain(new Set([world.routes.entry(world.manager.find('a')[0]!)!.source]))
  await world.settle()
  t.same(world.table(), ['10.1.0.0/16 S', '10.2.0.0/16'])
  t.match(communitiesOf(world, '10.1.0.0/16'), [/llgr-stale|65535:6/])
})

t.test('LLGR_STALE from another speaker: last choice here, too', async (t) => {
  const { world, a, a2 } = await given()
  a2.announce(['10.5.0.0/16'], { localPref: 50 })
  a.announce(['10.5.0.0/16'], { localPref: 500, communities: Uint8Array.of(0xff, 0xff, 0, 6) })
  await world.settle()
  const best = world.bestOf('10.5.0.0/16')
  t.equal(world.rib.source(world.rib.tables[V4]!.paths.source[best]!)!.options.name, 'a2')
})
