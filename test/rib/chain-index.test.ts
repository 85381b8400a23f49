import fc from 'fast-check'
import t from 'tap'
import { ChainIndex, finish, hashOctets, mixWord } from '../../src/rib/chain-index.js'

/** Ids found under a hash, in ascending order. */
function found(index: ChainIndex, hash: number): number[] {
  const ids: number[] = []
  for (let id = index.first(hash); id !== 0; id = index.next(id)) if (index.hashOf(id) === hash) ids.push(id)
  return ids.sort((a, b) => a - b)
}

t.test('finds what a Map finds, over growth, splits, deletions and reuse of ids', async () => {
  const change = fc.tuple(fc.nat(40), fc.integer(), fc.nat(3))
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 300 }), fc.integer(), (changes, base) => {
      const index = new ChainIndex()
      const twin = new Map<number, number>()
      // Enough beforehand that the later ones split buckets, in chains that share low bits.
      for (let id = 1; id <= 1100; id++) {
        const hash = Math.imul(id, base | 1) | 0
        index.add(id, hash)
        twin.set(id, hash)
      }
      for (const [offset, hash, kind] of changes) {
        const id = kind === 0 ? 1 + offset : 1101 + offset * (kind === 1 ? 1 : 90)
        if (twin.has(id)) {
          index.delete(id)
          twin.delete(id)
        } else {
          index.add(id, kind === 2 ? hash & 3 : hash)
          twin.set(id, kind === 2 ? hash & 3 : hash)
        }
      }
      if (index.size !== twin.size) return false
      const byHash = new Map<number, number[]>()
      for (const [id, hash] of twin) byHash.set(hash, [...(byHash.get(hash) ?? []), id])
      for (const [hash, ids] of byHash) if (found(index, hash).join() !== ids.sort((a, b) => a - b).join()) return false
      return true
    }),
    { numRuns: 60 },
  )
})

t.test('empties and fills again', async (t) => {
  const index = new ChainIndex()
  for (let round = 0; round < 3; round++) {
    for (let id = 1; id <= 5000; id++) index.add(id, finish(id))
    t.equal(index.size, 5000)
    const lost = Array.from({ length: 5000 }, (_, at) => at + 1).filter((id) => found(index, finish(id))[0] !== id)
    t.same(lost, [])
    for (let id = 5000; id >= 1; id--) index.delete(id)
    t.equal(index.size, 0)
    t.equal(index.first(finish(17)), 0)
  }
})

t.test('chains are short: no bucket holds many of 20,000 hashes', async (t) => {
  const index = new ChainIndex()
  for (let id = 1; id <= 20_000; id++) index.add(id, finish(mixWord(99, id)))
  let longest = 0
  for (let id = 1; id <= 20_000; id++) {
    let length = 0
    for (let at = index.first(finish(mixWord(99, id))); at !== 0; at = index.next(at)) length++
    longest = Math.max(longest, length)
  }
  t.ok(longest <= 16, `${longest}`)
})

t.test('hashOctets: equal octets at any place, other octets or another seed otherwise', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(9), fc.integer(), (octets, shift, seed) => {
      const moved = new Uint8Array(octets.length + 20).fill(0xee)
      moved.set(octets, shift)
      return hashOctets(octets, 0, octets.length, seed) === hashOctets(moved, shift, shift + octets.length, seed)
    }),
  )
  const hashes = new Set<number>()
  for (let n = 0; n < 5000; n++) hashes.add(hashOctets(Uint8Array.from([n >> 8, n & 255, 1, 2, 3]), 0, 5, 5))
  t.ok(hashes.size > 4990, `${hashes.size} of 5000 hashes are different`)
  const seeds = new Set(
    Array.from({ length: 1000 }, (_, seed) => hashOctets(Uint8Array.from([1, 2, 3, 4]), 0, 4, seed)),
  )
  t.ok(seeds.size > 990)
})

/** Two blocks of 4 octets that cancel each other in Murmur3 with its public multipliers, whatever the seed. */
function collidingBlocks(first: number, second: number): [number[], number[]] {
  const block = (mixed: number): number[] => {
    let k = Math.imul(mixed, inverse(0x1b873593))
    k = (k >>> 15) | (k << 17)
    k = Math.imul(k, inverse(0xcc9e2d51))
    return [k & 255, (k >>> 8) & 255, (k >>> 16) & 255, k >>> 24]
  }
  // Bit 18 becomes bit 31 by the rotation, stays it in the multiplication by 5, and is taken back by the next block.
  return [
    [...block(first), ...block(second)],
    [...block(first ^ (1 << 18)), ...block(second ^ (1 << 31))],
  ]
}

/** Of an odd number modulo 2^32, by Newton. */
function inverse(odd: number): number {
  let x = odd
  for (let i = 0; i < 5; i++) x = Math.imul(x, 2 - Math.imul(odd, x))
  return x
}

t.test('octets made to collide under every seed of Murmur3 do not collide here', async (t) => {
  const strings: Uint8Array[] = []
  for (let n = 0; n < 256; n++) {
    const octets: number[] = []
    for (let bit = 0; bit < 8; bit++) octets.push(...collidingBlocks(0x1234567 * (bit + 1), 0x7654321)[(n >> bit) & 1]!)
    strings.push(Uint8Array.from(octets))
  }
  for (const seed of [0, 1, 12345, -99]) {
    const hashes = new Set(strings.map((octets) => hashOctets(octets, 0, octets.length, seed)))
    t.ok(hashes.size > 250, `${hashes.size} hashes of 256 strings with seed ${seed}`)
  }
})
