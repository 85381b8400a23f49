/**
 * Graceful restart as the restarting speaker (RFC 4724 §4.1), in virtual time: what our OPENs say, how long the first decisions wait and for whom; and the state file.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type CapabilityOffer, readOffer } from '../../src/bgp/capabilities/offer.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { parseState, readState, StateWriter } from '../../src/daemon/state-file.js'
import { Family } from '../../src/net/family.js'
import { GracefulWorld, Played } from '../support/graceful-world.js'
import { neighbor, range } from '../support/speaker.js'
import { until } from '../support/wait.js'

const A = '10.0.0.11'
const B = '10.0.0.12'
const V4 = Family.IPV4_UNICAST
const RESTARTER = { restarter: true, restartTimeSeconds: 120, staleTimeSeconds: 300, notification: true }
const HELPS: Partial<CapabilityOffer> = {
  gracefulRestart: { restarting: false, notification: false, restartTimeSeconds: 0, families: [] },
}
const RESTARTS: Partial<CapabilityOffer> = {
  gracefulRestart: { restarting: true, notification: false, restartTimeSeconds: 60, families: [] },
}

const folder = mkdtempSync(join(tmpdir(), 'nodebgp-restart-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

function stateOf(...addresses: string[]): string {
  const file = join(folder, `${++files}.json`)
  const peers = addresses.map((address) => ({ address, name: address, families: ['ipv4-unicast'] }))
  writeFileSync(file, JSON.stringify({ version: 1, peers }))
  return file
}

function peer(name: string, address: string, more: Partial<NeighborConfig> = {}): NeighborConfig {
  return neighbor({ name, address, passive: true, reflectorClient: true, gracefulRestart: RESTARTER, ...more })
}

/** We after a restart, with two clients that connect to us. */
function given(stateFile = stateOf(A, B), neighbors = [peer('a', A), peer('b', B)]) {
  const world = new GracefulWorld(neighbors, { stateFile }).start()
  return { world, a: new Played(A), b: new Played(B) }
}

function ours(played: Played) {
  return readOffer(played.theirOpen().capabilities).gracefulRestart
}

t.test('a first start waits for nobody, and says so', async (t) => {
  const { world, a, b } = given(join(folder, 'none.json'))
  await world.up(a, HELPS)
  t.match(ours(a), { restarting: false, restartTimeSeconds: 120, families: [{ family: V4, forwarding: true }] })
  await world.up(b, HELPS)
  a.announce(['10.1.0.0/16'])
  await world.settle()
  t.same(b.heard(), ['10.1.0.0/16'])
  t.equal(b.receiver.endOfRib[0], 1)
})

t.test('after a restart nothing is sent, and our End-of-RIB not, before each peer has sent its own', async (t) => {
  const { world, a, b } = given()
  await world.up(a, HELPS)
  await world.up(b, HELPS)
  t.match(ours(a), { restarting: true, families: [{ family: V4, forwarding: true }] })
  t.same(world.restart!.waitsFor, [A, B])
  a.announce(['10.1.0.0/16'])
  a.endOfRib()
  await world.advance(2)
  t.same(b.heard(), [])
  t.equal(b.receiver.endOfRib[0], 0)
  t.same(world.restart!.waitsFor, [B])
  t.same(world.table(), [], 'nothing is decided')
  b.announce(['10.2.0.0/16'])
  b.endOfRib()
  await world.settle()
  t.same(world.restart!.waitsFor, [])
  t.same(world.table(), ['10.1.0.0/16', '10.2.0.0/16'])
  t.same(b.heard(), ['10.1.0.0/16'])
  t.equal(b.receiver.endOfRib[0], 1)
  a.read()
  t.equal(a.receiver.endOfRib[0], 1)
  a.lose()
  await world.up(a, HELPS)
  t.match(ours(a), { restarting: false }, 'a session that returns later is no restart')
})

t.test('a peer that restarts itself, or comes without the capability, is not waited for', async (t) => {
  for (const offered of [RESTARTS, {}]) {
    const { world, a } = given(stateOf(A))
    await world.up(a, offered)
    t.same(world.restart!.waitsFor, [])
    a.read()
    t.equal(a.receiver.endOfRib[0], 1)
  }
})

t.test('a peer that says no End-of-RIB delays 20 s at most', async (t) => {
  const { world, a } = given(stateOf(A))
  await world.up(a, HELPS)
  await world.advance(19)
  t.same(world.restart!.waitsFor, [A])
  await world.advance(1)
  t.same(world.restart!.waitsFor, [])
  a.read()
  t.equal(a.receiver.endOfRib[0], 1)
})

t.test(
  'one dead peer delays nothing: refused at once, silent after one attempt, one that dials us a short grace',
  async (t) => {
    const { world: refused } = given(stateOf(A), [peer('a', A, { passive: false })])
    await refused.settle()
    t.same(refused.restart!.waitsFor, [])
    const silent = new GracefulWorld([peer('a', A, { passive: false, connectRetryMs: 4_000 })], {
      stateFile: stateOf(A),
      latencyMs: 3_600_000,
    }).start()
    await silent.advance(4)
    t.same(silent.restart!.waitsFor, [A])
    await silent.advance(1)
    t.same(silent.restart!.waitsFor, [])
    const { world: passive } = given(stateOf(A))
    await passive.advance(9)
    t.same(passive.restart!.waitsFor, [A])
    await passive.advance(1)
    t.same(passive.restart!.waitsFor, [])
  },
)

t.test('a session that is lost again is not waited for', async (t) => {
  const { world, a } = given(stateOf(A))
  await world.up(a, HELPS)
  a.lose()
  await world.settle()
  t.same(world.restart!.waitsFor, [])
})

t.test('peers of ranges are in the file, and waited for', async (t) => {
  const nodes = neighbor({ name: 'nodes', range: range('10.0.0.0/24'), gracefulRestart: RESTARTER })
  const file = join(folder, 'ranges.json')
  const first = given(file, [nodes])
  await first.world.up(first.a, HELPS)
  await first.world.settle()
  await first.world.restart!.stop(true)
  t.match(readState(file), {
    peers: [{ address: A, name: `nodes-${A}`, families: ['ipv4-unicast'] }],
    trouble: null,
  })
  const { world, a } = given(file, [nodes])
  t.same(world.restart!.waitsFor, [`nodes-${A}`])
  await world.up(a, HELPS)
  t.match(ours(a), { restarting: true })
  a.endOfRib()
  await world.settle()
  t.same(world.restart!.waitsFor, [])
})

t.test('peers that the configuration does not have any more are not waited for', async (t) => {
  const { world } = given(stateOf(A, '10.9.9.9'), [peer('b', B)])
  t.same(world.restart!.waitsFor, [])
})

t.test('stopping: a peer that helps loses the connection, the others hear 6/2; an operator ends both', async (t) => {
  const { world, a, b } = given(join(folder, 'none.json'), [peer('a', A), peer('b', B, { gracefulRestart: null })])
  await world.up(a, HELPS)
  await world.up(b, HELPS)
  void world.manager.stop('', true)
  await world.settle()
  t.ok(a.raw!.link.isClosed)
  t.same(a.notification(), [])
  t.same(b.notification(), [6, 2])
  const again = given(join(folder, 'none.json'))
  await again.world.up(again.a, HELPS)
  again.world.manager.down('a')
  await again.world.settle()
  t.same(again.a.notification(), [6, 2])
})

t.test('a state file that is no use is a first start, with one line that says why', (t) => {
  const bad: readonly (readonly [string, RegExp])[] = [
    ['', /not JSON/],
    ['\u0000\u0001garbage', /not JSON/],
    ['null', /version 1/],
    ['{"version":2,"peers":[]}', /version 1/],
    ['{"version":1,"peers":{}}', /version 1/],
    ['{"version":1,"peers":[null]}', /no address/],
    ['{"version":1,"peers":[{"address":"x;y"}]}', /no address/],
    ['{"version":1,"peers":[{"address":"10.0.0.1"}]}', /not whole/],
    [JSON.stringify({ version: 1, peers: new Array(50_001).fill(null) }), /50001 peers/],
  ]
  for (const [text, expected] of bad) {
    const file = join(folder, 'bad.json')
    writeFileSync(file, text)
    const { peers, trouble } = readState(file)
    t.same(peers, [])
    t.match(trouble, expected)
    t.match(trouble, file)
  }
  const huge = join(folder, 'huge.json')
  writeFileSync(huge, Buffer.alloc((8 << 20) + 1, 32))
  t.match(readState(huge).trouble, /8388609 octets/)
  t.match(readState(folder).trouble, /not a file|EISDIR/)
  t.same(readState(join(folder, 'absent')), { peers: [], places: [], trouble: null })
  const places = join(folder, 'places.json')
  const written = [
    { table: 100, protocol: 181 },
    { table: 254, protocol: 80 },
    { table: 0, protocol: 181 },
    { table: 254, protocol: '179' },
    null,
  ]
  writeFileSync(places, JSON.stringify({ version: 1, peers: [], fib: written }))
  t.same(readState(places).places, [{ table: 100, protocol: 181 }], "never another owner's number")
  t.same(parseState('{"version":1,"peers":[{"address":"::1","name":"a","families":["ipv6-unicast","evpn"]}]}'), [
    { address: '::1', name: 'a', families: ['ipv6-unicast'] },
  ])
  t.end()
})

t.test('a state file that cannot be written is said, and changes nothing else', async (t) => {
  const told: string[] = []
  const place = join(folder, 'place')
  mkdirSync(place)
  const file = join(place, 'state.json')
  await new StateWriter(file, (text) => told.push(text)).write([])
  t.match(JSON.parse(readFileSync(file, 'utf8')), { version: 1, peers: [] })
  await new StateWriter(join(folder, 'missing', 'state.json'), (text) => told.push(text)).write([])
  t.match(told, [/cannot write the state file .*missing/])
  const directory = join(folder, 'directory')
  mkdirSync(directory)
  await new StateWriter(directory, (text) => told.push(text)).write([])
  t.match(told[1], /EISDIR|directory/)
  if (process.getuid?.() !== 0) {
    chmodSync(place, 0o500)
    await new StateWriter(file, (text) => told.push(text)).write([])
    t.match(told[2], /EACCES/)
    chmodSync(place, 0o700)
  }
})

t.test('between two writes there is a pause, which the last one ends', async (t) => {
  const place = join(folder, 'paused')
  mkdirSync(place)
  const file = join(place, 'state.json')
  const writer = new StateWriter(file, (text) => t.fail(text), 3_600_000)
  const said = (name: string) => [{ address: A, name, families: [] }]
  const seen: string[] = []
  const watcher = watch(place, (type, name) => type === 'rename' && seen.push(`${name}`))
  t.teardown(() => watcher.close())
  let marks = 0
  /** What was written before has been seen after this. */
  const mark = async (): Promise<void> => {
    const name = `mark-${++marks}`
    writeFileSync(join(place, name), '')
    await until(name, () => seen.includes(name))
  }
  await writer.write(said('first'))
  const second = writer.write(said('second'))
  await mark()
  await Promise.all([second, writer.write(said('last'), true)])
  t.equal(readState(file).peers[0]!.name, 'last')
  await mark()
  t.equal(seen.filter((name) => name === 'state.json').length, 2)
  await writer.write(said('after the last'))
  t.equal(readState(file).peers[0]!.name, 'after the last', 'nothing waits any more')
})

t.test('peers of a range that never come back are not waited for in all later runs', async (t) => {
  const neighbors = [peer('a', A), neighbor({ name: 'r', range: range('10.9.0.0/16'), gracefulRestart: RESTARTER })]
  const file = stateOf(A, '10.9.0.21', '10.9.0.22', '172.16.0.1')
  const world = new GracefulWorld(neighbors, { stateFile: file }).start()
  t.same(world.restart!.waitsFor, [A, '10.9.0.21', '10.9.0.22'], 'no range has 172.16.0.1')
  const known = () => readState(file).peers.map(({ address }) => address)
  await world.up(new Played(A), HELPS)
  await world.up(new Played('10.9.0.21'), HELPS)
  await world.advance(60)
  await world.restart!.stop(true)
  t.same(known(), [A, '10.9.0.21', '10.9.0.22', '172.16.0.1'], 'two restarts soon after each other')
  await world.advance(4100)
  await world.restart!.stop(true)
  t.same(known(), [A, '10.9.0.21'])
})

t.test('names in the state file come to a terminal as text', async (t) => {
  const text = JSON.stringify({ version: 1, peers: [{ address: A, name: '\u001b[2Jx\ny', families: [] }] })
  t.equal(parseState(text)[0]!.name, ' [2Jx y')
})
