import fc from 'fast-check'
import t from 'tap'
import { ByteArena } from '../../src/rib/byte-arena.js'

t.test('strings keep their octets until they are freed, whatever comes and goes beside them', async () => {
  const step = fc.record({ length: fc.nat(200), free: fc.boolean(), at: fc.nat() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const arena = new ByteArena()
      const twin: { address: number; octets: Uint8Array }[] = []
      let fill = 0
      for (const { length, free, at } of steps) {
        if (free && twin.length > 0) {
          const [gone] = twin.splice(at % twin.length, 1)
          arena.free(gone!.address, gone!.octets.length)
        } else {
          const address = arena.allocate(length)
          const octets = new Uint8Array(length).fill(++fill)
          arena.view(address, length).set(octets)
          twin.push({ address, octets })
        }
      }
      return (
        twin.every(({ address, octets }) => Buffer.compare(arena.view(address, octets.length), octets) === 0) &&
        twin.every(({ address }) => arena.chunkOf(address).length > arena.offsetOf(address)) &&
        new Set(twin.map(({ address }) => address)).size === twin.length
      )
    }),
  )
})

t.test('counts octets in classes of 16, and reuses what was freed', async (t) => {
  const arena = new ByteArena()
  const first = arena.allocate(0)
  t.equal(arena.allocatedOctets, 16, 'an empty string has an address of its own')
  const second = arena.allocate(17)
  t.equal(arena.allocatedOctets, 48)
  arena.free(second, 17)
  t.equal(arena.allocatedOctets, 16)
  t.equal(arena.allocate(32), second, 'the same class')
  t.not(arena.allocate(16), first)
})

t.test('a string never lies over the end of a chunk', async (t) => {
  const arena = new ByteArena()
  const sizes = [65_536, 1 << 20, 16, 700_000, 700_000, 1]
  for (const size of sizes) {
    const address = arena.allocate(size)
    t.equal(arena.view(address, size).length, size)
    arena.view(address, size).fill(1)
  }
  t.throws(() => arena.allocate((1 << 20) + 1), RangeError)
})

t.test('a walk through all lengths leaves a chunk a class behind, not the peak of each', async (t) => {
  const arena = new ByteArena()
  let peak = 0
  for (let length = 16; length <= 2048; length += 16) {
    const addresses = Array.from({ length: 2000 }, () => arena.allocate(length))
    peak = Math.max(peak, arena.arrayOctets)
    for (const address of addresses) arena.free(address, length)
  }
  t.equal(arena.allocatedOctets, 0)
  t.ok(arena.arrayOctets <= 128 * 65_536, `${arena.arrayOctets} octets are left`)
  t.ok(peak <= 2100 * 2048 + 129 * 65_536, `${peak} octets at the peak`)
})
