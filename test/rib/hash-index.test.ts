import fc from 'fast-check'
import t from 'tap'
import { HashIndex } from '../../src/rib/hash-index.js'

/** Ids found under a hash, in ascending order. */
function found(index: HashIndex, hash: number): number[] {
  const ids: number[] = []
  for (let at = index.first(hash); at !== -1; at = index.next(at, hash)) ids.push(index.idAt(at))
  return ids.sort((a, b) => a - b)
}

t.test(
  'finds what a Map finds, over growth, deletions, reuse of ids, and runs that go over the end of the table',
  async (t) => {
    const change = fc.tuple(fc.nat(40), fc.integer(), fc.nat(3))
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 300 }), fc.integer(), (changes, base) => {
        const index = new HashIndex()
        const twin = new Map<number, number>()
        const add = (id: number, hash: number): void => {
          index.add(id, hash)
          twin.set(id, hash)
        }
        // Enough that the table grows among the changes; a third of the hashes have the last slots as their home.
        for (let id = 1; id <= 700; id++) add(id, id % 3 === 0 ? -(id % 7) : Math.imul(id, base | 1) | 0)
        for (const [offset, hash, kind] of changes) {
          const id = kind === 0 ? 1 + offset : 701 + offset * (kind === 1 ? 1 : 90)
          if (twin.has(id)) {
            index.delete(id)
            twin.delete(id)
          } else add(id, kind === 2 ? -(hash & 3) : hash)
        }
        if (index.size !== twin.size) return false
        const byHash = new Map<number, number[]>()
        for (const [id, hash] of twin) byHash.set(hash, [...(byHash.get(hash) ?? []), id])
        for (const [hash, ids] of byHash)
          if (found(index, hash).join() !== ids.sort((a, b) => a - b).join()) return false
        return index.first(0x1234_5678) === -1 || byHash.has(0x1234_5678)
      }),
      { numRuns: 60, seed: 5 },
    )
    t.pass('equal')
  },
)

t.test('grows with what it holds, and is as small after everything has gone and come again', async (t) => {
  const index = new HashIndex()
  for (let id = 1; id <= 3000; id++) index.add(id, Math.imul(id, 0x9e3779b1))
  const { arrayOctets } = index
  for (let round = 0; round < 5; round++) {
    for (let id = 1; id <= 3000; id++) index.delete(id)
    t.equal(index.size, 0)
    for (let id = 1; id <= 3000; id++) index.add(id, Math.imul(id + round, 0x85ebca6b))
  }
  t.equal(index.size, 3000)
  t.equal(index.arrayOctets, arrayOctets)
})
