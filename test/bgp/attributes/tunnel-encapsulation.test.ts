import fc from 'fast-check'
import t from 'tap'
import {
  decodeVxlanTunnel,
  encodeVxlanTunnel,
  type VxlanTunnel,
} from '../../../src/bgp/attributes/tunnel-encapsulation.js'
import { formatIpv4 } from '../../../src/net/address.js'

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex')
const ENCAP = '01 0c c0 001000 6e62c0a80002 0000'
const ENDPOINT = '06 0a 00000000 0001 c0a80002'

t.test('octets of RFC 9012 §3', async (t) => {
  const tunnel = { endpoint: '192.168.0.2', address: null, mac: '6e:62:c0:a8:00:02', vni: 4096, port: 4789 }
  t.equal(
    Buffer.from(encodeVxlanTunnel(tunnel)).toString('hex'),
    Buffer.from(hex(`0008 001a ${ENCAP} ${ENDPOINT}`)).toString('hex'),
  )
  t.same(decodeVxlanTunnel(hex(`0008 001a ${ENCAP} ${ENDPOINT}`)), tunnel)
  const other = { endpoint: null, address: '10.244.9.1', mac: null, vni: null, port: 8472 }
  const octets = '0008 0020 01 0c 00 000000 000000000000 0000 06 06 00000000 0000 08 02 2118 7e 04 0af40901'
  t.equal(Buffer.from(encodeVxlanTunnel(other)).toString('hex'), Buffer.from(hex(octets)).toString('hex'))
  t.same(decodeVxlanTunnel(hex(octets)), other)
})

t.test('what is malformed within a tunnel (RFC 9012 §13)', async (t) => {
  const wrapped = (body: string): Uint8Array => hex(`0008 ${hex(body).length.toString(16).padStart(4, '0')} ${body}`)
  const cases: readonly (readonly [what: string, value: Uint8Array, expected: Partial<VxlanTunnel> | null])[] = [
    ['no endpoint', wrapped(ENCAP), null],
    ['endpoint of a family with too few octets', wrapped(`${ENCAP} 06 08 00000000 0001 c0a8`), null],
    ['endpoint in 127/8', wrapped(`${ENCAP} 06 0a 00000000 0001 7f000001`), null],
    ['endpoint of multicast', wrapped(`06 0a 00000000 0001 e0000001`), null],
    ['unknown family', wrapped('06 0a 00000000 0007 c0a80002'), null],
    [
      'encapsulation of 8 octets counts as absent',
      wrapped(`01 08 c000100000000000 ${ENDPOINT}`),
      { vni: null, mac: null },
    ],
    ['group MAC', wrapped(`01 0c 40 000000 01005e000001 0000 ${ENDPOINT}`), { mac: null, vni: null }],
    ['port 0', wrapped(`08 02 0000 ${ENDPOINT}`), { port: 4789 }],
    ['the first of two counts', wrapped(`${ENDPOINT} 06 0a 00000000 0001 c0a80009`), { endpoint: '192.168.0.2' }],
    ['unknown sub-TLVs are passed over', wrapped(`7f 02 ffff 80 0003 aabbcc ${ENDPOINT}`), { endpoint: '192.168.0.2' }],
    ['other tunnels are passed over', hex(`0007 000c ${ENDPOINT} 0008 000c ${ENDPOINT}`), { endpoint: '192.168.0.2' }],
    ['IPv6 endpoint', wrapped(`06 16 00000000 0002 fd000000000000000000000000000002`), { endpoint: 'fd00::2' }],
    [
      'a tunnel without an endpoint, then one with',
      hex(`0008 0000 0008 000c ${ENDPOINT}`),
      { endpoint: '192.168.0.2' },
    ],
    ['cut', hex('0008 0010 06'), null],
    ['none', hex(''), null],
  ]
  for (const [what, value, expected] of cases) {
    const tunnel = decodeVxlanTunnel(value)
    if (expected === null) t.equal(tunnel, null, what)
    else t.match(tunnel, expected, what)
  }
})

const host = fc.integer({ min: 0x0b000000, max: 0x7effffff }).map(formatIpv4)
const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((octets) => [0x6e, ...octets.subarray(1)].map((octet) => octet.toString(16).padStart(2, '0')).join(':'))

t.test('what is written is read again', async () => {
  const tunnel = fc.record({
    endpoint: fc.option(host),
    address: fc.option(host),
    mac: fc.option(mac),
    vni: fc.option(fc.integer({ min: 0, max: 0xffffff })),
    port: fc.integer({ min: 1, max: 65535 }),
  })
  fc.assert(
    fc.property(tunnel, (one) => {
      const read = decodeVxlanTunnel(encodeVxlanTunnel(one))
      return JSON.stringify(read) === JSON.stringify(one)
    }),
  )
})

t.test('no octets make it throw', async () => {
  const chaos = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.uint8Array({ maxLength: 40 }).map((body) => Uint8Array.of(0, 8, 0, body.length, ...body)),
  )
  fc.assert(
    fc.property(chaos, (value) => {
      decodeVxlanTunnel(value)
    }),
    { numRuns: 3000 },
  )
})
