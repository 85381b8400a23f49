/** RFC 6793 §4.2.2 (towards a 2-octet peer) and §4.2.3 (from one). */
import fc from 'fast-check'
import t from 'tap'
import { encodeSegments, formatAsPath } from '../../../src/bgp/attributes/as-path.js'
import { decodePathAttributes, NO_ATTRIBUTES } from '../../../src/bgp/attributes/decode.js'
import { encodePathAttributes } from '../../../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../../../src/bgp/attributes/path-attributes.js'
import { fromHex, toHex } from '../message/samples.js'

const OLD = { as4: false, ebgp: false }

function decode(hex: string): PathAttributes {
  const bytes = fromHex(hex)
  return decodePathAttributes(bytes, 0, bytes.length, OLD).attributes
}

function mergedPath(hex: string): string {
  const { asPath } = decode(hex)
  return asPath === null ? 'none' : formatAsPath(asPath)
}

const TRANS = '5ba0'

t.test('AS_PATH and AS4_PATH become one path', async (t) => {
  const three = `4002080203fde9${TRANS}${TRANS}`
  t.equal(mergedPath(`${three}c0110a0202000111a0000111a1`), '65001 70048 70049', 'leading surplus of AS_PATH')
  t.equal(mergedPath(`c0110a0202000111a0000111a1${three}`), '65001 70048 70049', 'in any order on the wire')
  t.equal(mergedPath(three), '65001 23456 23456', 'no AS4_PATH')
  t.equal(mergedPath(`40020402015ba0c0110a0202000111a0000111a1`), '23456', 'AS4_PATH is longer: ignored')
  t.equal(mergedPath(`c0110a0202000111a0000111a1`), 'none', 'AS4_PATH alone is no path')
  t.equal(mergedPath(`40020802035ba0fde95ba0c0110e0203000111a00000fde9000111a1`), '70048 65001 70049', 'same length')
})

t.test('sets and confederation segments', async (t) => {
  // A set counts 1: AS_PATH = fde9 {1,2} TRANS (3), AS4_PATH = 70048 (1).
  t.equal(mergedPath(`40020e0201fde901020001000202015ba0c011060201000111a0`), '65001 {1,2} 70048')
  // Confederation segments count nothing and stay in front.
  t.equal(mergedPath(`40020a0301fdf30202fde95ba0c011060201000111a0`), '(65011) 65001 70048')
  t.equal(mergedPath(`4002080301fdf302015ba0c011060201000111a0`), '(65011) 70048')
  // In AS4_PATH they are dropped (§6).
  t.equal(mergedPath(`40020402015ba0c0110c03010000fdf30201000111a0`), '70048')
})

t.test('AGGREGATOR tells whether the AS4 attributes are up to date', async (t) => {
  const path = '40020402015ba0c011060201000111a0'
  const aggregator4 = 'c01208000111a00a000001'
  const trans = decode(`${path}c007065ba00a000009${aggregator4}`)
  t.same(trans.aggregator, { asn: 70048, id: 0x0a000001 })
  t.equal(formatAsPath(trans.asPath!), '70048')
  const other = decode(`${path}c00706fde90a000009${aggregator4}`)
  t.same(other.aggregator, { asn: 65001, id: 0x0a000009 }, 'aggregated anew by a 2-octet speaker')
  t.equal(formatAsPath(other.asPath!), '23456', 'then AS4_PATH is ignored as well')
  t.equal(decode(`${path}${aggregator4}`).aggregator, null, 'AS4_AGGREGATOR alone is none')
})

t.test('faults of AS4_PATH and AS4_AGGREGATOR discard them', async (t) => {
  for (const bad of [
    'c01100',
    'c0110102',
    'c011060200000111a0',
    'c011060501000111a0',
    'c011060202000111a0',
    'c01106020100000000',
  ]) {
    const bytes = fromHex(`40020402015ba0${bad}`)
    const { attributes, fault } = decodePathAttributes(bytes, 0, bytes.length, OLD)
    t.match(fault, { approach: 'attribute-discard', attribute: 17 }, bad)
    t.equal(formatAsPath(attributes.asPath!), '23456')
  }
  for (const bad of ['c01206000111a00a00', 'c01208000000000a000001']) {
    const bytes = fromHex(bad)
    t.match(decodePathAttributes(bytes, 0, bytes.length, OLD).fault, { approach: 'attribute-discard', attribute: 18 })
  }
})

t.test('towards a 2-octet peer', async (t) => {
  const encode = (asPath: Uint8Array, aggregator: PathAttributes['aggregator'] = null): string =>
    toHex(encodePathAttributes({ ...NO_ATTRIBUTES, asPath, aggregator }, { as4: false, nextHopAttribute: true }))
  const path = (...segments: [number, ...number[]][]): Uint8Array =>
    encodeSegments(segments.map(([type, ...asNumbers]) => ({ type, asNumbers })))
  t.equal(encode(path([2, 65001, 1])), '4002060202fde90001', 'no AS4_PATH without need')
  t.equal(encode(path([2, 70048, 1])), `40020602025ba00001c0110a0202000111a000000001`)
  t.equal(encode(path([3, 70000], [2, 1])), '40020803015ba002010001', 'AS4_PATH never shows the confederation')
  t.equal(encode(path([3, 65011], [2, 70048])), `4002080301fdf302015ba0c011060201000111a0`)
  t.equal(encode(path([2, 1]), { asn: 70048, id: 1 }), '40020402010001c007065ba000000001c01208000111a000000001')
  t.equal(encode(path([2, 1]), { asn: 65001, id: 1 }), '40020402010001c00706fde900000001')
})

t.test('a path goes through a 2-octet session unharmed', async (t) => {
  const asn = fc.oneof(fc.integer({ min: 1, max: 65535 }), fc.integer({ min: 65536, max: 0xffffffff }))
  const sequence = fc.array(asn, { minLength: 1, maxLength: 8 }).map((asNumbers) => ({ type: 2, asNumbers }))
  const set = fc.array(asn, { minLength: 1, maxLength: 4 }).map((asNumbers) => ({ type: 1, asNumbers }))
  const segments = fc
    .tuple(sequence, fc.option(set))
    .map(([first, second]) => (second === null ? [first] : [first, second]))
  fc.assert(
    fc.property(segments, (given) => {
      const asPath = encodeSegments(given)
      const block = encodePathAttributes({ ...NO_ATTRIBUTES, asPath }, { as4: false, nextHopAttribute: false })
      t.same([...decode(toHex(block)).asPath!], [...asPath])
    }),
    { seed: 1, numRuns: 300 },
  )
})
