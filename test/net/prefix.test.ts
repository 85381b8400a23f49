import fc from 'fast-check'
import t from 'tap'
import { wordAt } from '../../src/net/address.js'
import { Family } from '../../src/net/family.js'
import { addressInPrefix, formatPrefix, formatPrefixWords, parsePrefix, prefixContains } from '../../src/net/prefix.js'

t.test('host bits become zero', async (t) => {
  t.match(parsePrefix('10.244.1.77/26'), { family: Family.IPV4_UNICAST, text: '10.244.1.64/26', length: 26 })
  t.same([...parsePrefix('10.244.1.77/26').address], [10, 244, 1, 64])
  t.equal(parsePrefix('255.255.255.255/0').text, '0.0.0.0/0')
  t.equal(parsePrefix('192.0.2.1/32').text, '192.0.2.1/32')
  t.match(parsePrefix('2001:db8:ffff::1/33'), { family: Family.IPV6_UNICAST, text: '2001:db8:8000::/33' })
  t.equal(parsePrefix('::1/128').text, '::1/128')
})

t.test('options', async (t) => {
  t.throws(() => parsePrefix('10.0.0.1/8', { strict: true }), { message: /write 10\.0\.0\.0\/8/ })
  t.equal(parsePrefix('10.0.0.0/8', { strict: true }).text, '10.0.0.0/8')
  t.equal(parsePrefix('10.0.0.1', { allowHost: true }).text, '10.0.0.1/32')
  t.equal(parsePrefix('::1', { allowHost: true }).text, '::1/128')
})

t.test('what is no prefix is refused', async (t) => {
  for (const text of [
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/1e1',
    '10.0.0.0/ 8',
  ]) {
    t.throws(() => parsePrefix(text), { message: /prefix length/ }, text)
  }
  t.throws(() => parsePrefix('::/129'), { message: /0 to 128/ })
  t.throws(() => parsePrefix('10.0.0/8'), { message: /not an IP address/ })
})

t.test('containment', async (t) => {
  const contains = (outer: string, inner: string): boolean => prefixContains(parsePrefix(outer), parsePrefix(inner))
  t.equal(contains('10.244.0.0/16', '10.244.1.0/26'), true)
  t.equal(contains('10.244.0.0/16', '10.244.0.0/16'), true)
  t.equal(contains('10.244.1.0/26', '10.244.0.0/16'), false)
  t.equal(contains('10.244.0.0/15', '10.245.0.0/16'), true)
  t.equal(contains('10.244.0.0/15', '10.246.0.0/16'), false)
  t.equal(contains('0.0.0.0/0', '255.0.0.0/8'), true)
  t.equal(contains('0.0.0.0/0', '::/0'), false)
  t.equal(contains('fd00::/8', 'fd12::/16'), true)
  t.equal(addressInPrefix(Uint8Array.of(10, 1, 2, 3), parsePrefix('10.1.2.0/30')), true)
  t.equal(addressInPrefix(Uint8Array.of(10, 1, 2, 4), parsePrefix('10.1.2.0/30')), false)
  t.equal(addressInPrefix(new Uint8Array(16), parsePrefix('0.0.0.0/0')), false)
})

t.test('text from octets, from words and from text agree', async (t) => {
  const octets = fc.uint8Array({ minLength: 16, maxLength: 16 })
  fc.assert(
    fc.property(octets, fc.nat(128), fc.boolean(), (bytes, bits, ipv4) => {
      const family = ipv4 ? Family.IPV4_UNICAST : Family.IPV6_UNICAST
      const length = ipv4 ? bits % 33 : bits
      const text = formatPrefix(family, bytes, length)
      const parsed = parsePrefix(text, { strict: true })
      const address = new Uint8Array(16)
      address.set(parsed.address)
      const words = [0, 4, 8, 12].map((at) => wordAt(address, at)) as [number, number, number, number]
      t.equal(formatPrefixWords(family, ...words, length), text)
      t.equal(parsed.text, text)
      t.equal(addressInPrefix(ipv4 ? bytes.subarray(0, 4) : bytes, parsed), true)
    }),
    { seed: 1, numRuns: 300 },
  )
})
