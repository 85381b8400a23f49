import fc from 'fast-check'
import t from 'tap'
import { encodeSegments } from '../../../src/bgp/attributes/as-path.js'
import { decodePathAttributes, NO_ATTRIBUTES } from '../../../src/bgp/attributes/decode.js'
import { encodePathAttributes } from '../../../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../../../src/bgp/attributes/path-attributes.js'
import { toHex } from '../message/samples.js'

const OPTIONS = { as4: true, nextHopAttribute: true }

t.test('ascending types, unknown ones in their place', async (t) => {
  const block = encodePathAttributes(
    {
      ...NO_ATTRIBUTES,
      origin: 0,
      asPath: new Uint8Array(0),
      med: 7,
      largeCommunities: new Uint8Array(12),
      others: [
        { type: 0, flags: 0xe0, value: new Uint8Array(0) },
        { type: 25, flags: 0xc0, value: new Uint8Array(20) },
        { type: 30, flags: 0xef, value: Uint8Array.of(1) },
        { type: 99, flags: 0xe0, value: Uint8Array.of(2) },
      ],
    },
    OPTIONS,
  )
  t.equal(
    toHex(block),
    `e00000 40010100 400200 80040400000007 c01914${'00'.repeat(20)} e01e0101 c0200c${'00'.repeat(12)} e0630102`.replace(
      / /g,
      '',
    ),
  )
})

t.test('NEXT_HOP only where it is asked for and is IPv4', async (t) => {
  const encode = (nextHop: Uint8Array, nextHopAttribute: boolean): string =>
    toHex(encodePathAttributes({ ...NO_ATTRIBUTES, nextHop }, { as4: true, nextHopAttribute }))
  t.equal(encode(Uint8Array.of(10, 0, 0, 1), true), '4003040a000001')
  t.equal(encode(Uint8Array.of(10, 0, 0, 1), false), '')
  t.equal(encode(new Uint8Array(16), true), '')
})

t.test('the extended length from 256 octets on', async (t) => {
  const lengthField = (octets: number): string =>
    toHex(encodePathAttributes({ ...NO_ATTRIBUTES, communities: new Uint8Array(octets) }, OPTIONS)).slice(0, 8)
  t.equal(lengthField(252), 'c008fc00')
  t.equal(lengthField(256), 'd0080100')
})

t.test('empty lists are not written', async (t) => {
  const empty = new Uint8Array(0)
  const attributes = {
    ...NO_ATTRIBUTES,
    communities: empty,
    extCommunities: empty,
    largeCommunities: empty,
    clusterList: empty,
  }
  t.equal(encodePathAttributes(attributes, OPTIONS).length, 0)
})

t.test('what is encoded is decoded', async (t) => {
  const u32 = fc.integer({ min: 0, max: 0xffffffff })
  const optional = fc.oneof(fc.constant(-1), u32)
  const items = (octets: number): fc.Arbitrary<Uint8Array | null> =>
    fc.option(
      fc.integer({ min: 1, max: 40 }).chain((n) => fc.uint8Array({ minLength: n * octets, maxLength: n * octets })),
    )
  const segment = fc.record({
    type: fc.integer({ min: 1, max: 4 }),
    asNumbers: fc.array(fc.integer({ min: 1, max: 0xffffffff }), { minLength: 1, maxLength: 255 }),
  })
  const other = fc.record({
    type: fc.integer({ min: 41, max: 255 }).filter((type) => type !== 128),
    flags: fc.constant(0xe0),
    value: fc.uint8Array({ maxLength: 300 }),
  })
  const attributes: fc.Arbitrary<PathAttributes> = fc.record({
    origin: fc.integer({ min: -1, max: 2 }),
    asPath: fc.option(fc.array(segment, { maxLength: 3 }).map(encodeSegments)),
    nextHop: fc.option(
      fc.tuple(fc.integer({ min: 1, max: 126 }), fc.nat(255)).map(([a, b]) => Uint8Array.of(a, b, b, a)),
    ),
    med: optional,
    localPref: optional,
    atomicAggregate: fc.boolean(),
    aggregator: fc.option(fc.record({ asn: fc.integer({ min: 1, max: 0xffffffff }), id: u32 })),
    communities: items(4),
    extCommunities: items(8),
    largeCommunities: fc.option(u32.map((n) => Uint8Array.from(Buffer.from(n.toString(16).padStart(24, '0'), 'hex')))),
    originatorId: optional,
    clusterList: items(4),
    others: fc
      .uniqueArray(other, { maxLength: 4, selector: (one) => one.type })
      .map((list) => list.sort((a, b) => a.type - b.type)),
  })
  fc.assert(
    fc.property(attributes, (given) => {
      const block = encodePathAttributes(given, OPTIONS)
      const decoded = decodePathAttributes(block, 0, block.length, { as4: true, ebgp: false })
      t.equal(decoded.fault, null)
      t.same(decoded.attributes, given)
      t.same(encodePathAttributes(decoded.attributes, OPTIONS), block)
    }),
    { seed: 1, numRuns: 200 },
  )
})

t.test('a value that no length field can name is refused, not cut', async (t) => {
  const encode = (octets: number) => () =>
    encodePathAttributes({ ...NO_ATTRIBUTES, communities: new Uint8Array(octets) }, OPTIONS)
  t.equal(encode(65532)().length, 65536)
  t.throws(encode(65536), RangeError)
})
