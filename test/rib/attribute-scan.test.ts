/**
 * The quick scan against the decoder: whatever the scan accepts, the decoder accepts without a fault, and both give the store the same integers.
 */
import fc from 'fast-check'
import t from 'tap'
import { asPathContains, asPathLength, asPathNumbers, firstAs } from '../../src/bgp/attributes/as-path.js'
import { decodePathAttributes } from '../../src/bgp/attributes/decode.js'
import { communityBits, scanAttributes } from '../../src/rib/attribute-scan.js'
import { AttributeSet, asNumbersOf, communitiesOf, hasAsSets } from '../../src/rib/attribute-set.js'

const IDENTITY = { asn: 65001, routerId: 0x0a000001, clusterId: 0x0a000002 }

/** One attribute, mostly as it should be. */
const attribute = fc
  .record({
    type: fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17, 32, 99),
    flags: fc.option(fc.integer({ min: 0, max: 255 }), { freq: 30, nil: undefined }),
    extra: fc.option(fc.integer({ min: -2, max: 3 }), { freq: 30, nil: undefined }),
    words: fc.array(
      fc.constantFrom(
        0,
        1,
        65001,
        65002,
        0x0a000001,
        0x0a000002,
        0xffffff01,
        0xffffff02,
        0x7f000001,
        0xe0000001,
        4200000000,
      ),
      { minLength: 1, maxLength: 4 },
    ),
    pick: fc.integer({ min: 0, max: 7 }),
  })
  .map(({ type, flags, extra, words, pick }) => {
    const right = [1, 2, 3, 5, 6].includes(type) ? 0x40 : [4, 9, 10].includes(type) ? 0x80 : 0xc0
    const value = octetsOf(type, words, pick)
    const cut =
      extra === undefined
        ? value
        : extra < 0
          ? value.subarray(0, Math.max(0, value.length + extra))
          : Buffer.concat([value, Buffer.alloc(extra)])
    return Buffer.concat([Buffer.from([flags ?? right, type, cut.length]), cut])
  })

function octetsOf(type: number, words: readonly number[], pick: number): Buffer {
  const list = Buffer.concat(
    words.map((word) => Buffer.from([word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255])),
  )
  if (type === 1) return Buffer.from([pick % 4])
  if (type === 2)
    return pick === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([pick === 1 ? 1 : 2, words.length]), list])
  if (type === 6) return Buffer.alloc(0)
  if (type === 16) return Buffer.concat([list, list])
  if (type === 7 || type === 8 || type === 10 || type === 17 || type === 32) return list
  return list.subarray(0, 4)
}

t.test('what the scan accepts, the decoder says too', async (t) => {
  let accepted = 0
  fc.assert(
    fc.property(fc.array(attribute, { maxLength: 8 }), fc.boolean(), (attributes, ebgp) => {
      const block = Buffer.concat(attributes)
      const set = new AttributeSet()
      const result = { nextHopAt: -1 }
      if (!scanAttributes(block, 0, block.length, ebgp, IDENTITY, set, result)) return true
      accepted++
      const decoded = decodePathAttributes(block, 0, block.length, { as4: true, ebgp })
      const { attributes: values } = decoded
      const path = values.asPath ?? new Uint8Array(0)
      return (
        decoded.fault === null &&
        decoded.present === set.present &&
        set.origin === (values.origin < 0 ? 2 : values.origin) &&
        set.med >>> 0 === Math.max(0, values.med) &&
        set.localPref >>> 0 === (values.localPref < 0 ? 100 : values.localPref) &&
        set.asPathLength === asPathLength(path) &&
        hasAsSets(set) === decoded.asSets &&
        asNumbersOf(set) === asPathNumbers(path) &&
        communitiesOf(set) === (values.communities?.length ?? 0) / 4 + (values.extCommunities?.length ?? 0) / 8 &&
        set.neighborAs >>> 0 === (path.length === 0 ? 0 : firstAs(path)) &&
        set.ownAsCount === asPathContains(path, IDENTITY.asn) &&
        set.hasOriginator === values.originatorId >= 0 &&
        (values.originatorId < 0 || set.originatorId >>> 0 === values.originatorId) &&
        set.loopsOriginator === (values.originatorId === IDENTITY.routerId) &&
        set.clusterLength === (values.clusterList?.length ?? 0) / 4 &&
        set.loopsCluster ===
          (values.clusterList !== null && Buffer.from(values.clusterList).includes(Buffer.from([10, 0, 0, 2]))) &&
        set.communityBits ===
          (values.communities === null ? 0 : communityBits(values.communities, 0, values.communities.length)) &&
        Buffer.compare(
          result.nextHopAt < 0 ? Buffer.alloc(0) : block.subarray(result.nextHopAt, result.nextHopAt + 4),
          values.nextHop ?? Buffer.alloc(0),
        ) === 0
      )
    }),
    { numRuns: 20000, seed: 42 },
  )
  t.ok(accepted > 1000, `${accepted} blocks were accepted`)
})

t.test('a truncated block is never accepted, and nothing behind its end is read', async (t) => {
  const block = Buffer.from(
    '4001010040020602010000fde94003040a000001800404000000054005040000006480090401020304c008040001000200',
    'hex',
  )
  for (let end = 0; end <= block.length; end++) {
    const exact = Uint8Array.from(block.subarray(0, end))
    const set = new AttributeSet()
    const accepted = scanAttributes(exact, 0, end, false, IDENTITY, set, { nextHopAt: -1 })
    if (accepted) t.equal(decodePathAttributes(exact, 0, end, { as4: true, ebgp: false }).fault, null)
  }
})
