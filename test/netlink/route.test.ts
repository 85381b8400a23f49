import fc from 'fast-check'
import t from 'tap'
import { formatAddress } from '../../src/net/address.js'
import { formatPrefix, maskHostBits } from '../../src/net/prefix.js'
import { NetlinkWriter } from '../../src/netlink/message.js'
import { MessageFlag, MessageType } from '../../src/netlink/numbers.js'
import { decodeRoute, encodeRoute, encodeRouteDump, type RouteFields } from '../../src/netlink/route.js'
import { littleEndian, read, samples } from './given.js'

for (const { name, hex, value } of samples.routes) {
  t.test(`the kernel after: ${name}`, littleEndian, async (t) => {
    const octets = Buffer.from(hex, 'hex')
    const { reader, headers, whole } = read(octets)
    t.ok(whole)
    t.equal(headers.length, 1)
    t.equal(headers[0]!.type, name.startsWith('ip route del') ? MessageType.DELROUTE : MessageType.NEWROUTE)
    t.equal((headers[0]!.flags & MessageFlag.REPLACE) !== 0, name.startsWith('ip route replace'))
    t.same(decodeRoute(reader, headers[0]!), value)
  })
}

const V4 = Uint8Array.of(10, 244, 1, 0)
const route = (over: Partial<RouteFields>): RouteFields => ({
  address: V4,
  length: 26,
  type: 1,
  protocol: 179,
  table: 254,
  metric: 0,
  source: null,
  hops: [{ gateway: Uint8Array.of(192, 168, 0, 2), device: 10, onlink: false }],
  ...over,
})

function encoded(...requests: readonly ((writer: NetlinkWriter) => void)[]): Uint8Array {
  const writer = new NetlinkWriter(16)
  for (const request of requests) request(writer)
  return writer.bytes()
}

t.test('requests, octet by octet', littleEndian, async (t) => {
  const cases: [name: string, octets: Uint8Array, hex: string][] = [
    [
      'add via one gateway',
      encoded((writer) => encodeRoute(route({}), 'add', 7, writer, false)),
      // length, type, REQUEST|CREATE|EXCL, sequence, port
      '3c000000 1800 0106 07000000 00000000' +
        // AF_INET /26, table main, protocol 179, universe, unicast; flags
        ' 02 1a 00 00 fe b3 00 01 00000000' +
        // DST, TABLE, GATEWAY, OIF
        ' 0800 0100 0af40100 0800 0f00 fe000000 0800 0500 c0a80002 0800 0400 0a000000',
    ],
    [
      'replace by a blackhole in table 1000 at metric 5, acknowledged',
      encoded((writer) =>
        encodeRoute(route({ type: 6, hops: [], table: 1000, metric: 5 }), 'replace', 8, writer, true),
      ),
      '34000000 1800 0505 08000000 00000000 02 1a 00 00 00 b3 00 06 00000000' +
        ' 0800 0100 0af40100 0800 0f00 e8030000 0800 0600 05000000',
    ],
    [
      'delete: scope nowhere, any type, our protocol',
      encoded((writer) => encodeRoute(route({}), 'delete', 9, writer, false)),
      '2c000000 1900 0100 09000000 00000000 02 1a 00 00 fe b3 ff 00 00000000 0800 0100 0af40100 0800 0f00 fe000000',
    ],
    [
      'onlink, over IPv6, with a source',
      encoded((writer) => {
        const gateway = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5)
        const hops = [{ gateway, device: 10, onlink: true }]
        encodeRoute(route({ hops, source: Uint8Array.of(10, 0, 0, 1) }), 'add', 1, writer, false)
      }),
      '54000000 1800 0106 01000000 00000000 02 1a 00 00 fe b3 00 01 04000000 0800 0100 0af40100 0800 0f00 fe000000' +
        ' 0800 0700 0a000001 1600 1200 0a00 fe800000000000000000000000000005 0000 0800 0400 0a000000',
    ],
    [
      'two hops: lengths, flags, weight - 1, device',
      encoded((writer) => {
        const one = { gateway: Uint8Array.of(192, 168, 0, 2), device: 10, onlink: false }
        encodeRoute(
          route({
            hops: [
              { ...one, weight: 7 },
              { ...one, device: 12, onlink: true },
            ],
          }),
          'add',
          1,
          writer,
          false,
        )
      }),
      '50000000 1800 0106 01000000 00000000 02 1a 00 00 fe b3 00 01 00000000 0800 0100 0af40100 0800 0f00 fe000000' +
        ' 2400 0900 1000 00 06 0a000000 0800 0500 c0a80002 1000 04 00 0c000000 0800 0500 c0a80002',
    ],
    [
      'all routes of a protocol in a table',
      encoded((writer) => encodeRouteDump(writer, 3, 1, 300, 179)),
      '24000000 1a00 0103 03000000 00000000 0a 00 00 00 00 b3 00 00 00000000 0800 0f00 2c010000',
    ],
  ]
  for (const [name, octets, hex] of cases) {
    t.equal(Buffer.from(octets).toString('hex'), hex.replaceAll(' ', ''), name)
  }
})

const octets = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
const routes: fc.Arbitrary<RouteFields> = fc.constantFrom(4, 16).chain((size) => {
  const gateway = size === 4 ? fc.oneof(octets(4), octets(16)) : octets(16)
  const hop = fc.record({
    gateway: fc.option(gateway),
    device: fc.integer({ min: 1, max: 0x7fffffff }),
    onlink: fc.boolean(),
  })
  return fc.record({
    address: octets(size),
    length: fc.integer({ min: 0, max: size * 8 }),
    type: fc.constant(1),
    protocol: fc.integer({ min: 1, max: 255 }),
    table: fc.integer({ min: 1, max: 0xffffffff }),
    metric: fc.integer({ min: 0, max: 0xffffffff }),
    source: fc.option(octets(size)),
    hops: fc.array(hop, { minLength: 1, maxLength: 64 }),
  })
})

t.test('property: what is encoded is decoded to the same, many in one buffer', async (t) => {
  fc.assert(
    fc.property(fc.array(routes, { minLength: 1, maxLength: 5 }), (list) => {
      for (const one of list) maskHostBits(one.address, one.length)
      const writes = list.map((one, at) => (writer: NetlinkWriter) => encodeRoute(one, 'add', at, writer, at === 0))
      const { reader, headers, whole } = read(encoded(...writes))
      if (!whole || headers.length !== list.length) throw new Error('framing')
      for (const [at, one] of list.entries()) {
        const { address, length, type, protocol, table, metric, source, hops } = one
        const family = address.length === 4 ? 0 : 1
        const expected = {
          family,
          prefix: formatPrefix(family, address, length),
          type,
          protocol,
          table,
          metric,
          tos: 0,
          source: source === null ? null : formatAddress(source),
          nextHopId: 0,
          hops: hops.map((hop) => ({
            gateway: hop.gateway === null ? null : formatAddress(hop.gateway),
            device: hop.device,
            flags: hop.onlink ? 4 : 0,
            weight: 1,
          })),
        }
        const decoded = decodeRoute(reader, headers[at]!)
        if (JSON.stringify(decoded) !== JSON.stringify(expected)) throw new Error(JSON.stringify({ decoded, expected }))
        if (headers[at]!.sequence !== at) throw new Error('sequence')
      }
    }),
    { numRuns: 200 },
  )
  t.pass('holds')
})

t.test('property: any octets end in a value, null or a RangeError', async (t) => {
  const spoiled = fc
    .tuple(fc.constantFrom(...samples.routes), fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))), fc.nat())
    .map(([{ hex }, changes, cut]) => {
      const bytes = Uint8Array.from(Buffer.from(hex, 'hex'))
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      return bytes.subarray(0, cut % (bytes.length + 1))
    })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), spoiled), (bytes) => {
      try {
        const { reader, headers } = read(bytes)
        for (const header of headers) decodeRoute(reader, header)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
      }
    }),
    { numRuns: 2000 },
  )
  t.pass('holds')
})
