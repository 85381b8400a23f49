import fc from 'fast-check'
import t from 'tap'
import {
  addressOrNull,
  formatAddress,
  formatIpv4,
  isIpv4Text,
  isLinkLocal,
  isLoopback,
  parseAddress,
  parseIpv4,
} from '../../src/net/address.js'
import { hostPort } from '../../src/net/host-port.js'
import { splitZone, withoutZone } from '../../src/net/zone.js'

t.test('IPv6 text is canonical (RFC 5952)', async (t) => {
  const cases: [string, string][] = [
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // the first of two equal runs (§4.2.3)
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'], // the longer run
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // one group is not shortened (§4.2.2)
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'], // IPv4-mapped (§5)
    ['::ffff:c000:0201', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['::1:2:3:4:5:6:7', '0:1:2:3:4:5:6:7'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ]
  for (const [text, wanted] of cases) t.equal(formatAddress(parseAddress(text)), wanted, text)
})

t.test('what is no address is refused, with the text in the message', async (t) => {
  const bad = [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '01.2.3.4',
    '00.0.0.0',
    '256.1.1.1',
    '1.2.3.4 ',
    ' 1.2.3.4',
  ]
  bad.push(
    '+1.2.3.4',
    '0x1.2.3.4',
    '1.2.3.4/32',
    'localhost',
    '1:2',
    '1::2::3',
    ':::',
    '12345::',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:',
  )
  bad.push('g::', 'fe80::1%eth0', '::01.2.3.4', '::1.2.3', '1:2:3:4:5:6:7:8::', '::1.2.3.4:5', ':'.repeat(10000))
  for (const text of bad)
    t.throws(() => parseAddress(text), { message: /is not an IP/ }, JSON.stringify(text.slice(0, 30)))
})

t.test('IPv4 as number', async (t) => {
  t.equal(parseIpv4('192.168.0.11'), 0xc0a8000b)
  t.equal(formatIpv4(0xc0a8000b), '192.168.0.11')
  t.equal(formatIpv4(0xffffffff), '255.255.255.255')
  t.throws(() => parseIpv4('::1'), { message: "'::1' is not an IPv4 address (example: 192.0.2.1)" })
  t.equal(isIpv4Text('0.0.0.0'), true)
  t.equal(isIpv4Text('::'), false)
  t.equal(isIpv4Text('10.0.0.256'), false)
})

t.test('octets to text and back', async (t) => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    // Many zeros, where the text form is hard.
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
      .map((octets) => Uint8Array.from(octets)),
  )
  fc.assert(
    fc.property(address, (octets) => {
      const text = formatAddress(octets)
      return Buffer.compare(parseAddress(text), octets) === 0 && formatAddress(parseAddress(text)) === text
    }),
    { seed: 1, numRuns: 1000 },
  )
  t.throws(() => formatAddress(new Uint8Array(5)), { message: /4 or 16 octets, not 5/ })
})

t.test('kinds of addresses', (t) => {
  t.same(
    ['fe80::1', 'febf::1', 'fec0::1', '2001:db8::1', '254.128.0.1'].map((text) => isLinkLocal(parseAddress(text))),
    [true, true, false, false, false],
  )
  t.ok(
    isLinkLocal(Uint8Array.of(...parseAddress('2001:db8::1'), ...parseAddress('fe80::1')), 16),
    'behind a global one',
  )
  t.same(
    ['127.0.0.1', '127.255.0.9', '::1', '::', '::2', '10.0.0.1'].map((text) => isLoopback(parseAddress(text))),
    [true, true, true, false, false, false],
  )
  t.equal(addressOrNull('fe80::1%eth0'), null)
  t.same(addressOrNull('192.0.2.1'), Uint8Array.of(192, 0, 2, 1))
  t.end()
})

t.test('text with an interface, and with a port', (t) => {
  t.same(splitZone('fe80::1%eth0'), ['fe80::1', 'eth0'])
  t.same(splitZone('fe80::1'), ['fe80::1', null])
  t.same(splitZone('fe80::1%'), ['fe80::1', ''])
  t.equal(withoutZone('fe80::1%eth0'), 'fe80::1')
  t.equal(withoutZone('192.0.2.1'), '192.0.2.1')
  t.equal(hostPort('2001:db8::1', 179), '[2001:db8::1]:179')
  t.equal(hostPort('rr.example', 179), 'rr.example:179')
  t.end()
})
