import fc from 'fast-check'
import t from 'tap'
import { PrefixBits, SLICE_PREFIXES } from '../../src/reflector/prefix-bits.js'
import { PrefixLimbo } from '../../src/reflector/prefix-limbo.js'
import { UpdateLog } from '../../src/reflector/update-log.js'
import type { PackedSlab } from '../../src/reflector/update-packer.js'
import { PrefixTable } from '../../src/rib/prefix-table.js'

function slab(octets: number): PackedSlab {
  return { octets: new Uint8Array(octets), ranges: new Map(), prefixes: new Int32Array(0), messages: 1 }
}

t.test('entries go when all their readers have passed them, the oldest first', async (t) => {
  const log = new UpdateLog()
  log.append(slab(10), new Map(), 2)
  log.append(slab(20), new Map(), 2)
  log.append(slab(30), new Map(), 1)
  t.same([log.tail, log.head, log.length, log.octets], [0, 3, 3, 60])
  log.pass(1, 2)
  log.pass(1, 2)
  t.equal(log.length, 3, 'the first is in the way')
  log.pass(0, 1)
  t.equal(log.octets, 60)
  log.pass(0, 1)
  t.same([log.tail, log.head, log.length, log.octets], [2, 3, 1, 30])
  t.equal(log.entry(2).octets.length, 30)
  log.pass(2, 3)
  t.same([log.tail, log.head, log.length, log.octets], [3, 3, 0, 0])
})

t.test('as a list of readers sees it', async () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3), { maxLength: 200 }), (steps) => {
      const log = new UpdateLog()
      const positions = [0, 0, 0]
      const sizes: number[] = []
      for (const step of steps) {
        if (step === 3) {
          sizes.push(sizes.length + 1)
          log.append(slab(sizes.length), new Map(), 3)
        } else if (positions[step]! < log.head) {
          log.pass(positions[step]!, positions[step]! + 1)
          positions[step]!++
        }
        const oldest = Math.min(...positions)
        const octets = sizes.slice(oldest).reduce((sum, size) => sum + size, 0)
        if (log.tail !== oldest || log.octets !== octets || log.head !== sizes.length) return false
      }
      return true
    }),
  )
})

t.test('PrefixBits is a Set that is taken in slices', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(200), fc.nat(50_000)), { maxLength: 300 }),
      fc.array(fc.nat(13), { maxLength: 5 }),
      (ids, slices) => {
        const bits = new PrefixBits()
        const twin = new Set<number>()
        const target = new Int32Array(SLICE_PREFIXES)
        for (const id of ids) {
          bits.add(id)
          twin.add(id)
        }
        for (const slice of [...slices, -1]) {
          const sorted = [...twin].sort((a, b) => a - b)
          const next = sorted.find((id) => id >= Math.max(0, slice) * SLICE_PREFIXES)
          if (bits.nextSlice(Math.max(0, slice)) !== (next === undefined ? -1 : Math.floor(next / SLICE_PREFIXES)))
            return false
          if (slice < 0) break
          const inSlice = sorted.filter((id) => Math.floor(id / SLICE_PREFIXES) === slice)
          if (target.subarray(0, bits.takeSlice(slice, target)).join() !== inSlice.join()) return false
          for (const id of inSlice) twin.delete(id)
        }
        return bits.size === twin.size && ids.every((id) => bits.has(id) === twin.has(id)) && !bits.has(1_000_000)
      },
    ),
  )
})

t.test('PrefixLimbo gives back each prefix once, when no entry names it any more', async () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(9), fc.boolean()), { maxLength: 100 }), (steps) => {
      const prefixes = new PrefixTable(0, 1)
      const limbo = new PrefixLimbo(prefixes)
      const twin = new Map<number, number>()
      let tail = 0
      for (const [at, [number, release]] of steps.entries()) {
        if (release) {
          tail = Math.max(tail, at - number)
          limbo.releaseBefore(tail, Number.POSITIVE_INFINITY)
        } else {
          const id = prefixes.intern(number << 24, 0, 0, 0, 8)
          prefixes.retain(id)
          limbo.keep(id, at)
          twin.set(number, at)
        }
        // What an entry still names is kept; the others may wait for their turn in the queue, and go at the end.
        for (const [kept, sequence] of twin)
          if (sequence >= tail && prefixes.find(kept << 24, 0, 0, 0, 8) === 0) return false
      }
      limbo.releaseBefore(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
      return prefixes.size === 0 && limbo.size === 0
    }),
  )
})
