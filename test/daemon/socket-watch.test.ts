/** What the kernel's counters are taken to mean, in virtual time. */
import t from 'tap'
import { Secret } from '../../src/config/secret.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { SocketWatch } from '../../src/daemon/socket-watch.js'
import type { TcpDrop } from '../../src/sys/tcp-counters.js'
import { neighbor } from '../support/speaker.js'

const plain = neighbor({ name: 'plain', address: '10.0.0.1' })
const signed = neighbor({ name: 'signed', address: '10.0.0.2', password: new Secret(Buffer.from('hunter2')) })
const near = neighbor({ name: 'near', address: '10.0.0.3', ttlSecurityHops: 1 })

function given(waiting: NeighborConfig[]) {
  const counters: Record<TcpDrop, number> = { md5Failure: 7, md5NotFound: 7, md5Unexpected: 7, minTtl: 7 }
  const logged: string[] = []
  const world = { nowMs: 0, reads: 0 }
  const watch = new SocketWatch({
    read: () => {
      world.reads++
      return { ...counters }
    },
    nowMs: () => world.nowMs,
    waiting: () => waiting.map((config) => ({ name: config.name, config })),
    log: { write: (_event, fields) => void logged.push((fields as { text: string }).text) },
  })
  const rise = (drop: TcpDrop, by: number): void => {
    counters[drop] += by
    world.nowMs += 5_000
    watch.look()
  }
  return { watch, rise, logged, world }
}

t.test('what was counted before the start says nothing', async (t) => {
  const { watch, logged } = given([plain, signed, near])
  watch.look()
  t.same(logged, [])
  t.same(
    [plain, signed, near].map((one) => watch.hints(one).length),
    [0, 0, 0],
  )
})

t.test('a counter that rises is told of those that it may be about, and logged once', async (t) => {
  const { watch, rise, logged } = given([plain, signed, near])
  rise('md5Failure', 3)
  rise('md5Failure', 2)
  t.match(logged, [/signed with another password.*\(TCPMD5Failure: 3 more\).*concerned: signed$/])
  t.match(watch.hints(signed), [/another password.*TCPMD5Failure: 5 since/])
  t.same([...watch.hints(plain), ...watch.hints(near)], [])
  rise('minTtl', 1)
  t.match(watch.hints(near), [/is ttlSecurity on there\?/])
  rise('md5Unexpected', 1)
  t.match(watch.hints(plain), [/configured at the other end, and not here/])
  rise('md5NotFound', 1)
  t.equal(watch.hints(signed).length, 2)
  t.notMatch(logged.join(), 'hunter2')
})

t.test('a neighbour that comes later is told of, too, once', async (t) => {
  const waiting = [signed]
  const { rise, logged } = given(waiting)
  rise('md5Failure', 3)
  waiting.push({ ...signed, name: 'later' })
  rise('md5Failure', 2)
  rise('md5Failure', 1)
  t.match(logged, [/concerned: signed$/, /TCPMD5Failure: 2 more\).*concerned: later$/])
  t.equal(logged.length, 2)
})

t.test('nobody waits: somebody else is meant', async (t) => {
  const { watch, rise, logged } = given([plain])
  rise('md5Failure', 3)
  t.same(logged, [])
  t.same(watch.hints(signed), [])
})

t.test('a counter that stands still is forgotten after a while, and told again', async (t) => {
  const { watch, rise, logged, world } = given([signed])
  rise('md5Failure', 1)
  world.nowMs += 60_000
  watch.look()
  t.equal(watch.hints(signed).length, 1, 'the peer may try again')
  world.nowMs += 200_000
  watch.look()
  t.same(watch.hints(signed), [])
  rise('md5Failure', 1)
  t.equal(logged.length, 2)
})

t.test('a view of many neighbours reads the counters once', async (t) => {
  const { watch, world } = given([signed])
  world.nowMs = 10_000
  const before = world.reads
  for (let i = 0; i < 1000; i++) watch.hints(signed)
  t.equal(world.reads, before + 1)
})
