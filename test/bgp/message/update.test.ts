import t from 'tap'
import { NotificationError } from '../../../src/bgp/errors.js'
import { hasReachable, isEndOfRib, splitUpdate } from '../../../src/bgp/message/update.js'
import { UpdateParts } from '../../../src/bgp/message/update-parts.js'
import { Family } from '../../../src/net/family.js'
import { fromHex, toHex, update } from './samples.js'

const ORIGIN = '40010100'
const REACH = `800e${(5 + 16 + 3).toString(16)}0002 01 10 20010db8000000000000000000000001 00 10fd00`
const UNREACH = '800f06 0002 01 10fd00'

function split(bytes: Uint8Array, ipv6NextHopForIpv4 = false): UpdateParts {
  const parts = new UpdateParts()
  splitUpdate(bytes, 0, bytes.length, parts, ipv6NextHopForIpv4)
  return parts
}

function thrown(bytes: Uint8Array): string {
  try {
    split(bytes)
  } catch (error) {
    if (error instanceof NotificationError) return `${error.code}/${error.subcode} ${toHex(error.data)}`.trim()
    throw error
  }
  return 'nothing'
}

t.test('offsets of all parts, also inside of a larger buffer', async (t) => {
  const message = update('080a', ORIGIN + REACH + UNREACH, '080b')
  const buffer = Buffer.concat([Buffer.alloc(7), message, Buffer.alloc(5)])
  const parts = new UpdateParts()
  splitUpdate(buffer, 7, 7 + message.length, parts)
  const part = (start: number, end: number): string => toHex(buffer.subarray(start, end))
  t.equal(part(parts.withdrawnStart, parts.withdrawnEnd), '080a')
  t.equal(part(parts.nlriStart, parts.nlriEnd), '080b')
  t.equal(part(parts.attributesStart, parts.attributesEnd), (ORIGIN + REACH + UNREACH).replace(/ /g, ''))
  t.equal(part(parts.mpReachAttributeStart, parts.mpReachAttributeEnd), REACH.replace(/ /g, ''))
  t.equal(part(parts.mpReachNextHopStart, parts.mpReachNextHopEnd), '20010db8000000000000000000000001')
  t.equal(part(parts.mpReachNlriStart, parts.mpReachNlriEnd), '10fd00')
  t.equal(part(parts.mpUnreachAttributeStart, parts.mpUnreachAttributeEnd), UNREACH.replace(/ /g, ''))
  t.equal(part(parts.mpUnreachNlriStart, parts.mpUnreachNlriEnd), '10fd00')
  t.same([parts.mpReachAfi, parts.mpReachSafi, parts.mpUnreachAfi, parts.mpUnreachSafi], [2, 1, 2, 1])
  t.equal(parts.fault, null)
})

t.test('an instance that is used again keeps nothing', async (t) => {
  const parts = split(update('', ORIGIN + REACH + UNREACH, ''))
  const plain = update('080a', '', '')
  splitUpdate(plain, 0, plain.length, parts)
  const { mpReachAfi: _a, mpReachSafi: _b, mpUnreachAfi: _c, mpUnreachSafi: _d, ...rest } = parts
  const { mpReachAfi: _e, mpReachSafi: _f, mpUnreachAfi: _g, mpUnreachSafi: _h, ...fresh } = split(plain)
  t.same(rest, fresh)
})

t.test('lengths that do not fit are 3/1', async (t) => {
  const at = (offset: number, value: number): Uint8Array => {
    const bytes = update('080a', ORIGIN, '080b')
    bytes[offset] = value >> 8
    bytes[offset + 1] = value & 255
    return bytes
  }
  t.equal(thrown(at(19, 2)), 'nothing')
  for (const length of [9, 65535]) t.equal(thrown(at(19, length)), '3/1', `withdrawn ${length}`)
  for (const length of [7, 65535]) t.equal(thrown(at(23, length)), '3/1', `attributes ${length}`)
})

t.test('framing of attributes: withdraws with reachable NLRI, else resets (RFC 7606 §4, §5.2)', async (t) => {
  for (const broken of ['40', '4001', '5001', '500100', '400102', '40010200', '5001000300', `${ORIGIN}c008`]) {
    const withNlri = split(update('', broken, '080b'))
    t.match(withNlri.fault, { approach: 'treat-as-withdraw' }, broken)
    t.equal(thrown(update('', broken, '')), '3/1', broken)
    t.equal(thrown(update('080a', broken, '')), '3/1', `${broken}, with withdrawn routes`)
    t.match(split(update('', REACH + broken, '')).fault, { approach: 'treat-as-withdraw' }, `${broken}, MP_REACH_NLRI`)
    t.equal(thrown(update('', UNREACH + broken, '')), '3/1', `${broken}, MP_UNREACH_NLRI`)
  }
})

t.test('MP attributes', async (t) => {
  const reach = (hex: string): string => `800e${fromHex(hex).length.toString(16).padStart(2, '0')}${hex}`
  t.equal(thrown(update('', REACH + REACH, '')), '3/1', 'twice (RFC 7606 §3 g)')
  t.equal(thrown(update('', UNREACH + UNREACH, '')), '3/1', 'twice')
  for (const short of [
    '',
    '00',
    '000201',
    '00020100',
    '0002011020010db8',
    '00020104c0a8000100',
    '0001010300000000',
    '00010110' + '20'.repeat(17),
  ]) {
    t.equal(thrown(update('', reach(short), '')), `3/9 ${reach(short)}`, `MP_REACH_NLRI ${short}`)
  }
  // Overruns by the reserved octet alone.
  t.equal(thrown(update('', reach(`00020110${'20'.repeat(16)}`), '')), `3/9 ${reach(`00020110${'20'.repeat(16)}`)}`)
  for (const short of ['', '0002']) {
    t.equal(thrown(update('', `800f0${short.length / 2}${short}`, '')), `3/9 800f0${short.length / 2}${short}`)
  }
  const overIpv6 = update('', reach(`00010110${'20'.repeat(16)}00080a`), '')
  t.match(thrown(overIpv6), /^3\/9/, 'RFC 8950 was not agreed')
  t.equal(split(overIpv6, true).mpReachAfi, 1)
  t.equal(split(update('', reach(`00010104c0a8000100080a`), '')).mpReachNlriEnd > 0, true)
  const other = split(update('', reach('001946 04 c0a80001 00 0102'.replace(/ /g, '')), ''))
  t.same([other.mpReachAfi, other.mpReachSafi], [25, 70], 'unknown families are the caller’s to ignore')
  const flags = split(update('', REACH.replace('800e', 'c00e'), ''))
  t.match(flags.fault, { approach: 'treat-as-withdraw', attribute: 14 })
  t.match(split(update('', UNREACH.replace('800f', '400f'), '')).fault, {
    approach: 'treat-as-withdraw',
    attribute: 15,
  })
})

t.test('End-of-RIB (RFC 4724 §2)', async (t) => {
  t.equal(isEndOfRib(split(update('', '', ''))), Family.IPV4_UNICAST)
  t.equal(isEndOfRib(split(update('', '800f03000201', ''))), Family.IPV6_UNICAST)
  t.equal(isEndOfRib(split(update('', '800f03000101', ''))), Family.IPV4_UNICAST, 'IPv4 in MP form')
  t.equal(isEndOfRib(split(update('', '900f0003000201', ''))), Family.IPV6_UNICAST, 'extended length')
  t.equal(isEndOfRib(split(update('', '800f03001946', ''))), undefined, 'no table for it')
  t.equal(isEndOfRib(split(update('', ORIGIN, ''))), undefined, 'attributes')
  t.equal(isEndOfRib(split(update('', `${ORIGIN}800f03000201`, ''))), undefined)
  t.equal(isEndOfRib(split(update('00', '', ''))), undefined)
  t.equal(isEndOfRib(split(update('', UNREACH, ''))), undefined)
  t.equal(isEndOfRib(split(update('00', '800f03000201', ''))), undefined)
})

t.test('reachable NLRI', async (t) => {
  t.equal(hasReachable(split(update('', ORIGIN, '080b'))), true)
  t.equal(hasReachable(split(update('', REACH, ''))), true)
  t.equal(hasReachable(split(update('', UNREACH, ''))), false)
  t.equal(
    hasReachable(split(update('', REACH.slice(0, -6).replace('800e18', '800e15'), ''))),
    false,
    'an empty MP_REACH_NLRI',
  )
})

t.test('the data of an error is a copy: the buffer belongs to the transport', async (t) => {
  const buffer = Buffer.from(update('', '800f020002', ''))
  let data = new Uint8Array(0)
  try {
    split(buffer)
  } catch (error) {
    if (error instanceof NotificationError) data = Uint8Array.from(error.data)
    buffer.fill(0)
    t.same((error as NotificationError).data, data)
  }
  t.equal(toHex(data), '800f020002')
})
