import fc from 'fast-check'
import t from 'tap'
import { hopLimitFilter } from '../../src/bfd/filter.js'
import { type BfdPacket, decodePacket, encodePacket, PACKET_OCTETS } from '../../src/bfd/packet.js'
import { BFD_STATES } from '../../src/bfd/types.js'
import { packet } from './given.js'

const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const packets: fc.Arbitrary<BfdPacket> = fc
  .record({
    diagnostic: fc.integer({ min: 0, max: 31 }),
    state: fc.constantFrom(...BFD_STATES),
    poll: fc.boolean(),
    final: fc.boolean(),
    independent: fc.boolean(),
    demand: fc.boolean(),
    multiplier: fc.integer({ min: 1, max: 255 }),
    myDiscriminator: u32.map((value) => value || 1),
    yourDiscriminator: u32,
    desiredMinTxUs: u32,
    requiredMinRxUs: u32,
    requiredMinEchoRxUs: u32,
  })
  .map((one) =>
    one.state === 'Init' || one.state === 'Up' ? { ...one, yourDiscriminator: one.yourDiscriminator || 1 } : one,
  )

t.test('a packet, octet by octet (RFC 5880 §4.1)', async (t) => {
  const octets = Buffer.from('20e003180000002adeadbeef000186a0000186a000000000', 'hex')
  t.same(decodePacket(octets), packet({ state: 'Up', poll: true, myDiscriminator: 42, yourDiscriminator: 0xdeadbeef }))
  const flags = Buffer.from('275a05180000000100000002000000030000000400000005', 'hex')
  t.same(
    decodePacket(flags),
    packet({
      diagnostic: 7,
      state: 'Down',
      final: true,
      independent: true,
      demand: true,
      multiplier: 5,
      myDiscriminator: 1,
      yourDiscriminator: 2,
      desiredMinTxUs: 3,
      requiredMinRxUs: 4,
      requiredMinEchoRxUs: 5,
    }),
  )
})

t.test('what is encoded is decoded, whatever lies behind it', async () => {
  fc.assert(
    fc.property(packets, fc.uint8Array({ maxLength: 20 }), (one, behind) => {
      const decoded = decodePacket(Buffer.concat([encodePacket(one), behind]))
      return JSON.stringify(decoded) === JSON.stringify(one)
    }),
  )
})

t.test('any octets give a packet that can be sent again, or the name of a fault', async () => {
  const likely = fc
    .tuple(fc.integer({ min: 0x20, max: 0x3f }), fc.uint8Array({ minLength: 1, maxLength: 40 }))
    .map(([first, rest]) => Uint8Array.of(first, ...rest))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), likely), (octets) => {
      const decoded = decodePacket(octets)
      return (
        typeof decoded === 'string' || JSON.stringify(decodePacket(encodePacket(decoded))) === JSON.stringify(decoded)
      )
    }),
    { numRuns: 2000 },
  )
})

t.test('reception rules that need no session (RFC 5880 §6.8.6)', async (t) => {
  const good = encodePacket(packet({ state: 'Up' }))
  const changed = (bytes: Readonly<Record<number, number>>, length = PACKET_OCTETS): Uint8Array => {
    const octets = new Uint8Array(length)
    octets.set(good)
    for (const [at, value] of Object.entries(bytes)) octets[Number(at)] = value
    return octets
  }
  const noMine = { 4: 0, 5: 0, 6: 0, 7: 0 }
  const noYours = { 8: 0, 9: 0, 10: 0, 11: 0 }
  t.type(decodePacket(good), 'object')
  for (let length = 0; length < PACKET_OCTETS; length++) t.equal(decodePacket(good.subarray(0, length)), 'too short')
  const faults: readonly (readonly [string, Uint8Array])[] = [
    ['version', changed({ 0: 0x00 })],
    ['version', changed({ 0: 0x40 })],
    ['length', changed({ 3: 23 })],
    ['length', changed({ 3: 25 })],
    ['multiplier 0', changed({ 2: 0 })],
    ['multipoint', changed({ 1: 0xc1 })],
    ['discriminator 0', changed(noMine)],
    ['your discriminator 0', changed(noYours)],
    ['your discriminator 0', changed({ ...noYours, 1: 0x80 })],
    // With the A bit the length is 26 at least; authentication is not in use here.
    ['length', changed({ 1: 0xc4 }, 30)],
    ['authentication', changed({ 1: 0xc4, 3: 26 }, 26)],
  ]
  for (const [fault, octets] of faults) t.equal(decodePacket(octets), fault, Buffer.from(octets).toString('hex'))
  // Who does not know us yet says so in these states.
  t.match(decodePacket(changed({ ...noYours, 1: 0x00 })), { state: 'AdminDown', yourDiscriminator: 0 })
  t.match(decodePacket(changed({ ...noYours, 1: 0x40 })), { state: 'Down', yourDiscriminator: 0 })
})

t.test('the socket filter looks where TTL and hop limit stand', async (t) => {
  for (const [family, offset] of [
    [4, 8],
    [6, 7],
  ] as const) {
    const program = hopLimitFilter(family)
    t.equal(program.length, 4 * 8)
    t.equal(new Uint32Array(program.buffer)[1], 0xfff0_0000 + offset)
  }
})
