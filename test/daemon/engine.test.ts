/** The turn: no piece of work keeps the event loop for longer than its slice, and what is waited for comes. */
import t from 'tap'
import { Engine } from '../../src/daemon/engine.js'
import { FAMILIES, Family } from '../../src/net/family.js'
import { Reflector } from '../../src/reflector/reflector.js'
import { BATCH_PREFIXES } from '../../src/rib/rib.js'
import { exporterOptions } from '../reflector/given.js'
import { attributesWith, RibWorld } from '../rib/given.js'

function given(): { world: RibWorld; engine: Engine; batches: number[] } {
  const world = new RibWorld()
  const batches: number[] = []
  const engine = new Engine(world.rib, new Reflector(world.rib, 1), (_, __, count) => batches.push(count))
  return { world, engine, batches }
}

function announceMany(world: RibWorld, count: number): void {
  const source = world.source()
  const { prefixes } = world.rib.tables[0]!
  const set = world.rib.store.internAttributes(attributesWith())
  for (let n = 0; n < count; n++)
    world.rib.announce(Family.IPV4_UNICAST, source, prefixes.intern(n << 8, 0, 0, 0, 24), set, set, 0, 0)
}

t.test('after a batch that held the event loop for long the next one is smaller, and never empty', async (t) => {
  const world = new RibWorld()
  const batches: number[] = []
  const engine = new Engine(world.rib, new Reflector(world.rib, 1), (_, __, count) => {
    batches.push(count)
    const endMs = performance.now() + 7
    while (performance.now() < endMs);
  })
  announceMany(world, 2 * BATCH_PREFIXES + 5)
  engine.schedule()
  await engine.idle()
  t.same(batches.slice(0, 3), [512, 256, 256])
  t.equal(
    batches.reduce((sum, count) => sum + count, 0),
    2 * BATCH_PREFIXES + 5,
  )
})

t.test('everything dirty is decided, in batches, in later passes of the loop', async (t) => {
  const { world, engine, batches } = given()
  announceMany(world, 3 * BATCH_PREFIXES + 5)
  engine.schedule()
  engine.schedule()
  t.same(batches, [], 'not in the pass that reads')
  await engine.idle()
  t.equal(
    batches.reduce((sum, count) => sum + count, 0),
    3 * BATCH_PREFIXES + 5,
  )
  t.equal(batches[0], 512)
  t.ok(
    batches.every((count) => count <= BATCH_PREFIXES),
    `${batches}`,
  )
  t.equal(world.rib.dirtyCount, 0)
  t.equal(world.rib.batch.length, BATCH_PREFIXES)
  await engine.idle()
})

t.test('the loop turns between the slices of a long job', async (t) => {
  const { engine } = given()
  let passes = 0
  let running = true
  const count = (): void => {
    passes++
    if (running) setImmediate(count)
  }
  setImmediate(count)
  const seen: number[] = []
  let pieces = 0
  engine.addJob(() => {
    seen.push(passes)
    // Each piece uses up the slice of its turn.
    const end = performance.now() + 10
    while (performance.now() < end) {}
    return ++pieces === 20
  })
  await engine.idle()
  running = false
  t.equal(pieces, 20)
  t.equal(new Set(seen).size, 20, 'one pass of the loop between any two')
})

t.test('jobs run one after the other, between batches of tables', async (t) => {
  const { world, engine, batches } = given()
  const done: string[] = []
  announceMany(world, 2 * BATCH_PREFIXES)
  for (const name of ['first', 'second']) {
    let left = 3
    engine.addJob(() => {
      done.push(`${name} ${batches.length}`)
      return --left === 0
    })
  }
  await engine.idle()
  t.same(
    done.map((text) => text.split(' ')[0]),
    ['first', 'first', 'first', 'second', 'second', 'second'],
  )
  t.equal(done[0], 'first 1', 'with a batch before it, not all')
})

t.test('closed sources are cleared, and freed sets swept, with nobody else asking', async (t) => {
  const { world, engine } = given()
  announceMany(world, 2 * BATCH_PREFIXES)
  engine.schedule()
  await engine.idle()
  world.rib.closeSource(world.rib.source(1)!)
  engine.schedule()
  await engine.idle()
  for (const { family } of FAMILIES)
    t.equal(world.rib.tables[family]!.paths.size + world.rib.tables[family]!.prefixes.size, 0)
  t.equal(world.rib.store.size, 0)
})

t.test(
  'held: nothing is decided or sent; released: End-of-RIB comes behind all that was marked (RFC 4724 §4.1)',
  async (t) => {
    const world = new RibWorld()
    const reflector = new Reflector(world.rib, 1)
    let decided = 0
    // A slow FIB: one batch uses up the slice of its turn.
    const engine = new Engine(world.rib, reflector, (_, __, count) => {
      decided += count
      const end = performance.now() + 8
      while (performance.now() < end) {}
    })
    const sent: { endOfRib: boolean; decided: number }[] = []
    engine.hold()
    reflector.join(99, 'helper', exporterOptions(), {
      send: (chunks, taken) => {
        const octets = chunks.at(-1)!
        sent.push({ endOfRib: octets.length === 23 || octets.subarray(-4).every((octet) => octet === 0), decided })
        taken()
      },
    })
    announceMany(world, 5 * BATCH_PREFIXES)
    engine.schedule()
    await engine.idle()
    t.same([decided, sent], [0, []])
    engine.release()
    await engine.idle()
    t.equal(decided, 5 * BATCH_PREFIXES)
    t.ok(sent.length > 0)
    t.ok(sent.at(-1)!.endOfRib, 'End-of-RIB comes last')
    t.same([...new Set(sent.map((one) => one.decided))], [decided], 'and nothing was sent before all was decided')
  },
)

t.test('nothing runs after stop', async (t) => {
  const { world, engine, batches } = given()
  announceMany(world, 10)
  engine.schedule()
  engine.stop()
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  t.same(batches, [])
})

t.test('routes wait while sessions come up, and are then decided at once', async (t) => {
  const { world, engine, batches } = given()
  engine.sessionUp()
  announceMany(world, 3)
  engine.schedule()
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  t.same(batches, [], 'a pass of the loop later nothing is decided')
  announceMany(world, 2)
  await engine.idle()
  t.same(batches, [3], 'five announcements of three prefixes are one batch')
})

t.test('sessions that come up without end do not keep routes for ever', async (t) => {
  const { world, engine, batches } = given()
  announceMany(world, 3)
  let going = true
  const another = (): void => {
    engine.sessionUp()
    if (going) setImmediate(another)
  }
  another()
  await new Promise<void>((resolve) => {
    const look = (): void => void (batches.length > 0 ? resolve() : setImmediate(look))
    look()
  })
  t.same(batches, [3])
  going = false
  engine.stop()
})

t.test('what is not about routes goes on while sessions come up', async (t) => {
  const { engine } = given()
  engine.sessionUp()
  const done = new Promise<void>((resolve) => {
    engine.addJob(() => {
      resolve()
      return true
    })
  })
  engine.sessionUp()
  await done
  await engine.idle()
  t.pass()
})
