import fc from 'fast-check'
import t from 'tap'
import { NotificationError } from '../../../src/bgp/errors.js'
import { splitUpdate } from '../../../src/bgp/message/update.js'
import { UpdateParts } from '../../../src/bgp/message/update-parts.js'
import { toHex } from './samples.js'
import { type SimpleParts, splitUpdateSimply } from './split-update-twin.js'

const parts = new UpdateParts()

function splitFast(message: Uint8Array, families: number): SimpleParts | string {
  try {
    splitUpdate(message, 0, message.length, parts, false, families)
  } catch (error) {
    if (error instanceof NotificationError) return `${error.code}/${error.subcode}`
    throw error
  }
  const part = (start: number, end: number): string => toHex(message.subarray(start, end))
  const p = parts
  return {
    withdrawn: part(p.withdrawnStart, p.withdrawnEnd),
    attributes: part(p.attributesStart, p.attributesEnd),
    nlri: part(p.nlriStart, p.nlriEnd),
    reach:
      p.mpReachAttributeStart < 0
        ? null
        : [
            p.mpReachAfi,
            p.mpReachSafi,
            part(p.mpReachNextHopStart, p.mpReachNextHopEnd),
            part(p.mpReachNlriStart, p.mpReachNlriEnd),
          ],
    unreach:
      p.mpUnreachAttributeStart < 0
        ? null
        : [p.mpUnreachAfi, p.mpUnreachSafi, part(p.mpUnreachNlriStart, p.mpUnreachNlriEnd)],
    faulty: p.fault !== null,
  }
}

t.test('the cutter by offsets and the simple one agree', async (t) => {
  const octets = (maxLength: number): fc.Arbitrary<number[]> => fc.array(fc.nat(255), { maxLength })
  const length = fc.constantFrom(0, 4, 4, 5, 16, 16, 16, 17, 32)
  const family = fc.constantFrom([0, 1, 1], [0, 2, 1], [0, 2, 1], [0, 25, 70])
  const reach = fc
    .tuple(family, length, octets(6), fc.constantFrom(0, 0, 0, 1, -1, -9))
    .map(([afi, nextHop, nlri, lie]) => [
      ...afi,
      Math.max(0, nextHop + lie),
      ...new Array<number>(nextHop).fill(32),
      0,
      ...nlri,
    ])
  const unreach = fc
    .tuple(family, octets(6), fc.constantFrom(9, 9, 9, 2))
    .map(([afi, nlri, cut]) => [...afi, ...nlri].slice(0, cut))
  const attribute = fc
    .oneof(
      fc.tuple(fc.constant(14), reach),
      fc.tuple(fc.constant(15), unreach),
      fc.tuple(fc.constantFrom(1, 2, 3, 99), octets(9)),
    )
    .chain(([type, value]) =>
      fc.tuple(fc.constantFrom(0x80, 0x80, 0x90, 0xc0), fc.constantFrom(0, 0, 0, 0, 1, -1)).map(([flags, lie]) => {
        const size = Math.max(0, value.length + lie)
        return [flags, type, ...((flags & 0x10) !== 0 ? [0, size] : [size]), ...value]
      }),
    )
  const message = fc
    .tuple(
      octets(5),
      fc.array(attribute, { maxLength: 4 }),
      octets(5),
      fc.constantFrom(0, 0, 0, 1, -1),
      fc.constantFrom(0, 0, 0, 1, -1),
    )
    .map(([withdrawn, attributes, nlri, lieFirst, lieSecond]) => {
      const block = attributes.flat()
      const first = Math.max(0, withdrawn.length + lieFirst)
      const second = Math.max(0, block.length + lieSecond)
      const body = [0, first, ...withdrawn, second >> 8, second & 255, ...block, ...nlri]
      return Uint8Array.from([...new Array<number>(16).fill(255), 0, 0, 2, ...body])
    })
  const seen = new Map<string, number>()
  fc.assert(
    fc.property(message, fc.constantFrom(3, 3, 3, 1, 2, 0), (bytes, families) => {
      const used = [1, 2].filter((afi) => (families & afi) !== 0)
      const wanted = splitUpdateSimply(bytes, used)
      const kind = typeof wanted === 'string' ? wanted : wanted.faulty ? 'faulty' : 'well'
      seen.set(kind, (seen.get(kind) ?? 0) + 1)
      const got = splitFast(bytes, families)
      if (JSON.stringify(got) !== JSON.stringify(wanted)) {
        throw new Error(`${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`)
      }
    }),
    { seed: 1, numRuns: 20000 },
  )
  for (const kind of ['well', 'faulty', '3/1', '3/9'])
    t.ok((seen.get(kind) ?? 0) > 100, `${kind}: ${seen.get(kind)} times`)
})
