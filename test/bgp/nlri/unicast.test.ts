import fc from 'fast-check'
import t from 'tap'
import { decodeNlri, encodeNlri, NlriError } from '../../../src/bgp/nlri/unicast.js'
import { Writer } from '../../../src/bgp/wire/writer.js'
import { Family } from '../../../src/net/family.js'
import { formatPrefix, parsePrefix } from '../../../src/net/prefix.js'
import { fromHex } from '../message/samples.js'

const { IPV4_UNICAST, IPV6_UNICAST } = Family

function decode(hex: string, family: Family, addPath = false): unknown[] {
  const bytes = fromHex(hex)
  return [...decodeNlri(bytes, 0, bytes.length, family, addPath)]
}

t.test('items in order, host bits zero', async (t) => {
  t.same(decode('00 1a0af4017f 200a000001 010f', IPV4_UNICAST), [
    { prefix: '0.0.0.0/0' },
    { prefix: '10.244.1.64/26' },
    { prefix: '10.0.0.1/32' },
    { prefix: '0.0.0.0/1' },
  ])
  t.same(decode('00 07ff 10fd00', IPV6_UNICAST), [{ prefix: '::/0' }, { prefix: 'fe00::/7' }, { prefix: 'fd00::/16' }])
  t.same(decode('ffffffff00 00000001080a', IPV4_UNICAST, true), [
    { prefix: '0.0.0.0/0', pathId: 0xffffffff },
    { prefix: '10.0.0.0/8', pathId: 1 },
  ])
  t.same(decode('', IPV4_UNICAST), [])
})

t.test('faults', async (t) => {
  const bad: [string, Family, boolean][] = [
    ['210a00000000', IPV4_UNICAST, false],
    ['ff', IPV4_UNICAST, false],
    [`81${'00'.repeat(17)}`, IPV6_UNICAST, false],
    ['08', IPV4_UNICAST, false],
    ['180a00', IPV4_UNICAST, false],
    ['000000', IPV4_UNICAST, true],
    ['00000000', IPV4_UNICAST, true],
    ['0000000008', IPV4_UNICAST, true],
  ]
  for (const [hex, family, addPath] of bad) t.throws(() => decode(hex, family, addPath), NlriError, hex)
})

t.test('there and back', async (t) => {
  const item = fc.record({
    bytes: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    bits: fc.nat(128),
    pathId: fc.nat(),
  })
  fc.assert(
    fc.property(fc.array(item, { maxLength: 10 }), fc.boolean(), fc.boolean(), (items, ipv6, addPath) => {
      const family = ipv6 ? IPV6_UNICAST : IPV4_UNICAST
      const wanted = items.map(({ bytes, bits, pathId }) => {
        const prefix = formatPrefix(family, bytes, ipv6 ? bits : bits % 33)
        return addPath ? { prefix, pathId } : { prefix }
      })
      const writer = new Writer()
      for (const one of wanted) {
        const { address, length } = parsePrefix(one.prefix)
        encodeNlri(address, length, writer, one.pathId)
      }
      const encoded = writer.take()
      t.same([...decodeNlri(encoded, 0, encoded.length, family, addPath)], wanted)
    }),
    { seed: 1, numRuns: 200 },
  )
})
