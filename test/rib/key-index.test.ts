import fc from 'fast-check'
import t from 'tap'
import { Family } from '../../src/net/family.js'
import { KeyIndex } from '../../src/rib/key-index.js'
import { PrefixTable } from '../../src/rib/prefix-table.js'

t.test('KeyIndex equals a Map through growth and deletions, with a hash that collides often', async (t) => {
  const operation = fc.tuple(fc.integer({ min: 0, max: 2500 }), fc.boolean())
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 6000, minLength: 2000 }),
      fc.integer({ min: 1, max: 64 }),
      (operations, spread) => {
        const hashOf = (_: number, tag: number, length: number): number => Math.floor((tag * 31 + length) / spread)
        const index = new KeyIndex(hashOf, null)
        const twin = new Map<number, number>()
        for (const [key, remove] of operations) {
          const tag = key * 256
          const length = key % 33
          const known = twin.get(key) ?? 0
          if (index.find(hashOf(0, tag, length), tag, length) !== known) return false
          if (known !== 0 && remove) {
            index.delete(hashOf(0, tag, length), tag, length)
            twin.delete(key)
          } else if (known === 0) {
            index.findOrAdd(key + 1, hashOf(0, tag, length), tag, length)
            twin.set(key, key + 1)
          }
        }
        for (let key = 0; key <= 2500; key++) {
          if (index.find(hashOf(0, key * 256, key % 33), key * 256, key % 33) !== (twin.get(key) ?? 0)) return false
        }
        return index.size === twin.size
      },
    ),
    { numRuns: 30, seed: 11 },
  )
  t.pass('equal')
})

t.test('an id as large as the index takes comes back as it went in', async (t) => {
  const index = new KeyIndex((_, tag) => tag, null)
  const largest = (1 << 24) - 1
  index.findOrAdd(largest, 5, 5, 32)
  t.equal(index.find(5, 5, 32), largest)
})

for (const family of [Family.IPV4_UNICAST, Family.IPV6_UNICAST]) {
  t.test(`PrefixTable of family ${family} keeps 20,000 prefixes apart, with all lengths of one address`, async (t) => {
    const table = new PrefixTable(family, 12345)
    const longest = family === Family.IPV4_UNICAST ? 32 : 128
    const ids = new Set<number>()
    for (let length = 0; length <= longest; length++) ids.add(table.intern(0, 0, 0, 0, length))
    for (let i = 1; i <= 20000; i++) ids.add(table.intern(i << 8, family === Family.IPV4_UNICAST ? 0 : i, 0, 0, 24))
    t.equal(ids.size, longest + 1 + 20000)
    for (const id of ids) table.retain(id)
    for (let i = 1; i <= 20000; i += 2)
      table.release(table.find(i << 8, family === Family.IPV4_UNICAST ? 0 : i, 0, 0, 24))
    t.equal(table.size, longest + 1 + 10000)
    for (let i = 1; i <= 20000; i++) {
      const found = table.find(i << 8, family === Family.IPV4_UNICAST ? 0 : i, 0, 0, 24)
      if ((found !== 0) !== (i % 2 === 0)) t.fail(`prefix ${i}`)
    }
  })
}

t.test('all 131,071 prefixes of one /16 are in one bucket and keep apart, and go again', async (t) => {
  const table = new PrefixTable(Family.IPV4_UNICAST, 99)
  const base = (192 << 24) | (168 << 16)
  const ids: number[] = []
  for (let length = 16; length <= 32; length++)
    for (let n = 0; n < 1 << (length - 16); n++) ids.push(table.intern(base | (n << (32 - length)), 0, 0, 0, length))
  t.equal(new Set(ids).size, 131_071)
  let at = 0
  let wrong = 0
  for (let length = 16; length <= 32; length++)
    for (let n = 0; n < 1 << (length - 16); n++)
      if (table.find(base | (n << (32 - length)), 0, 0, 0, length) !== ids[at++]) wrong++
  t.equal(wrong, 0)
  for (const id of ids) table.collect(id)
  t.equal(table.size, 0)
})
