import fc from 'fast-check'
import t from 'tap'
import { Family } from '../../src/net/family.js'
import { DirtyList } from '../../src/rib/dirty-list.js'
import { PrefixTable } from '../../src/rib/prefix-table.js'

function given(): { prefixes: PrefixTable; dirty: DirtyList; id: (n: number) => number } {
  const prefixes = new PrefixTable(Family.IPV4_UNICAST, 1)
  return { prefixes, dirty: new DirtyList(prefixes), id: (n) => prefixes.intern(n * 65536, 0, 0, 0, 16) }
}

t.test('each prefix once, in order, as a Set keeps them', async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ add: fc.nat(60) }) },
    { weight: 1, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 20 }) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { prefixes, dirty, id } = given()
      const twin = new Set<number>()
      const target = new Int32Array(64)
      for (const one of steps) {
        if ('add' in one) {
          const prefix = id(one.add)
          dirty.add(prefix)
          twin.add(prefix)
          if (!dirty.has(prefix)) return false
        } else {
          const expected = [...twin].slice(0, one.take)
          const count = dirty.take(target, one.take)
          if ([...target.subarray(0, count)].join() !== expected.join()) return false
          for (const prefix of expected) twin.delete(prefix)
          if (expected.some((prefix) => dirty.has(prefix) || prefixes.usesOf(prefix) !== 1)) return false
          dirty.done(target, count)
        }
        if (dirty.size !== twin.size) return false
      }
      return prefixes.size === twin.size
    }),
  )
})

t.test('a prefix taken may become dirty again before it is done, and lives until both are', async (t) => {
  const { prefixes, dirty, id } = given()
  const prefix = id(1)
  dirty.add(prefix)
  const target = new Int32Array(4)
  t.equal(dirty.take(target, 4), 1)
  dirty.add(prefix)
  dirty.done(target, 1)
  t.equal(prefixes.usesOf(prefix), 1)
  t.equal(dirty.take(target, 4), 1)
  dirty.done(target, 1)
  t.equal(prefixes.size, 0)
})

t.test('grows, and takes no more than the target holds', async (t) => {
  const { dirty, id, prefixes } = given()
  const ids = Array.from({ length: 30_000 }, (_, n) => id(n))
  const target = new Int32Array(4096)
  const seen: number[] = []
  const take = (): void => {
    const count = dirty.take(target, 10_000)
    t.ok(count <= 4096)
    seen.push(...target.subarray(0, count))
    dirty.done(target, count)
  }
  for (const [at, prefix] of ids.entries()) {
    dirty.add(prefix)
    if (at % 5000 === 4999) take()
  }
  while (dirty.size > 0) take()
  t.same(seen, ids)
  t.equal(prefixes.size, 0)
})
