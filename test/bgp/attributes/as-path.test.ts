import fc from 'fast-check'
import t from 'tap'
import {
  asPathContains,
  asPathLength,
  checkSegments,
  decodeSegments,
  encodeSegments,
  firstAs,
  formatAsPath,
  prependAs,
} from '../../../src/bgp/attributes/as-path.js'
import { SegmentType } from '../../../src/bgp/iana.js'

const { AS_SET, AS_SEQUENCE, AS_CONFED_SEQUENCE, AS_CONFED_SET } = SegmentType
const path = (...segments: [type: number, ...asNumbers: number[]][]): Uint8Array =>
  encodeSegments(segments.map(([type, ...asNumbers]) => ({ type, asNumbers })))

const MIXED = path([AS_CONFED_SEQUENCE, 65001, 65002], [AS_CONFED_SET, 65003], [AS_SEQUENCE, 1, 2, 2], [AS_SET, 3, 4])

t.test('questions', async (t) => {
  t.equal(formatAsPath(MIXED), '(65001 65002) [65003] 1 2 2 {3,4}')
  t.equal(formatAsPath(path()), '')
  t.equal(asPathLength(MIXED), 4, 'a set is 1, confederation segments are 0')
  t.equal(asPathLength(path()), 0)
  t.equal(firstAs(MIXED), 1, 'confederation segments are skipped')
  t.equal(firstAs(path([AS_SET, 7], [AS_SEQUENCE, 1])), -1)
  t.equal(firstAs(path()), -1)
  t.equal(firstAs(path([AS_SEQUENCE, 0xffffffff])), 0xffffffff)
  t.equal(asPathContains(MIXED, 2), 2)
  t.equal(asPathContains(MIXED, 4), 1)
  t.equal(asPathContains(MIXED, 65003), 1)
  t.equal(asPathContains(MIXED, 5), 0)
})

t.test('prepend', async (t) => {
  t.equal(formatAsPath(prependAs(path(), [5, 6])), '5 6')
  t.equal(formatAsPath(prependAs(path([AS_SEQUENCE, 1, 2]), [70000])), '70000 1 2')
  t.same(prependAs(path([AS_SEQUENCE, 1, 2]), [70000]).length, 2 + 3 * 4, 'the sequence takes it')
  t.same(decodeSegments(prependAs(path([AS_SET, 1]), [9])), [
    { type: AS_SEQUENCE, asNumbers: [9] },
    { type: AS_SET, asNumbers: [1] },
  ])
  const unchanged = path([AS_SEQUENCE, 1])
  t.equal(prependAs(unchanged, []), unchanged)
  prependAs(unchanged, [2])
  t.equal(formatAsPath(unchanged), '1', 'the given path is left alone')
})

t.test('a segment takes 255 ASNs, then a further one starts in front (RFC 4271 §5.1.2)', async (t) => {
  const full = path([AS_SEQUENCE, ...new Array<number>(254).fill(1)])
  const counts = (asPath: Uint8Array): number[] => decodeSegments(asPath).map((segment) => segment.asNumbers.length)
  t.same(counts(prependAs(full, [2])), [255])
  t.same(counts(prependAs(full, [3, 2])), [1, 255])
  t.same(counts(prependAs(full, new Array<number>(600).fill(2))), [89, 255, 255, 255])
  t.equal(firstAs(prependAs(full, [3, 2])), 3)
  t.equal(asPathLength(prependAs(full, [3, 2])), 256)
})

t.test('prepending in one go or one by one is the same path', async (t) => {
  const asn = fc.integer({ min: 1, max: 0xffffffff })
  fc.assert(
    fc.property(fc.array(asn, { maxLength: 300 }), fc.array(asn, { maxLength: 12 }), (start, added) => {
      const base = start.length === 0 ? path() : prependAs(path(), start)
      const once = prependAs(base, added)
      let stepwise = base
      for (const one of added.toReversed()) stepwise = prependAs(stepwise, [one])
      t.same(stepwise, once)
      t.same(
        decodeSegments(once).flatMap((segment) => segment.asNumbers),
        [...added, ...start],
      )
      t.equal(checkSegments(once, 0, once.length, 4, true), undefined)
    }),
    { seed: 1, numRuns: 100 },
  )
})
