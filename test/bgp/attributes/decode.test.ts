import t from 'tap'
import {
  type DecodedAttributes,
  decodePathAttributes,
  faultOfUpdate,
  missingMandatory,
} from '../../../src/bgp/attributes/decode.js'
import { ATTRIBUTE_ROWS } from '../../../src/bgp/attributes/table.js'
import { fromHex, toHex } from '../message/samples.js'

const INTERNAL = { as4: true, ebgp: false }
const EXTERNAL = { as4: true, ebgp: true }
const BASE = '400101004002060201 0000fde9 400304c0a80007'

function decode(hex: string, cls = INTERNAL): DecodedAttributes {
  const bytes = fromHex(hex)
  return decodePathAttributes(bytes, 0, bytes.length, cls)
}

t.test('RFC 7606: fault of a single attribute, from internal and external peers', async (t) => {
  // name, hex, internal, external (W treat-as-withdraw, D attribute-discard, - taken)
  const cases: [string, string, string, string][] = [
    ['ORIGIN length 0', '400100', 'W', 'W'],
    ['ORIGIN length 2', '4001020000', 'W', 'W'],
    ['ORIGIN 3', '40010103', 'W', 'W'],
    ['ORIGIN flags optional', 'c0010100', 'W', 'W'],
    ['ORIGIN not transitive', '00010100', 'W', 'W'],
    ['ORIGIN partial bit', '60010100', '-', '-'],
    ['ORIGIN reserved bits of the flags set', '5f01000100', '-', '-'],
    ['AS_PATH empty', '400200', '-', '-'],
    ['AS_PATH half a header', '40020102', 'W', 'W'],
    ['AS_PATH odd remainder', '4002070201 0000fde9 02', 'W', 'W'],
    ['AS_PATH segment type 0', '4002060001 0000fde9', 'W', 'W'],
    ['AS_PATH confed', '4002060301 0000fde9', '-', 'W'],
    ['AS_PATH AS 0 in a set', '40020a0102 0000fde9 00000000', 'W', 'W'],
    ['NEXT_HOP length 0', '400300', 'W', 'W'],
    ['NEXT_HOP length 16', `400310${'20'.repeat(16)}`, 'W', 'W'],
    ['NEXT_HOP 0.0.0.0', '40030400000000', 'W', 'W'],
    ['NEXT_HOP 127.0.0.1', '4003047f000001', 'W', 'W'],
    ['NEXT_HOP 224.0.0.1', '400304e0000001', 'W', 'W'],
    ['NEXT_HOP 255.255.255.255', '400304ffffffff', 'W', 'W'],
    ['NEXT_HOP 223.255.255.255', '400304dfffffff', '-', '-'],
    ['MED length 5', '8004050000000000', 'W', 'W'],
    ['MED transitive', 'c0040400000000', 'W', 'W'],
    ['LOCAL_PREF', '40050400000064', '-', 'D'],
    ['LOCAL_PREF length 3', '400503000064', 'W', 'D'],
    ['LOCAL_PREF flags', 'c0050400000064', 'W', 'D'],
    ['ATOMIC_AGGREGATE length 1', '40060100', 'D', 'D'],
    ['ATOMIC_AGGREGATE flags', 'c00600', 'W', 'W'],
    ['AGGREGATOR length 6', 'c00706fde90a000001', 'D', 'D'],
    ['AGGREGATOR AS 0', 'c00708000000000a000001', 'D', 'D'],
    ['COMMUNITIES length 0', 'c00800', 'W', 'W'],
    ['COMMUNITIES length 6', 'c00806fc000001fc00', 'W', 'W'],
    ['COMMUNITIES not transitive', '800804fc000001', 'W', 'W'],
    ['ORIGINATOR_ID', '800904c0a80007', '-', 'D'],
    ['ORIGINATOR_ID length 5', '800905c0a8000700', 'W', 'D'],
    ['CLUSTER_LIST', '800a0401010101', '-', 'D'],
    ['CLUSTER_LIST length 0', '800a00', 'W', 'D'],
    ['EXTENDED COMMUNITIES length 7', 'c01007 00020000000000', 'W', 'W'],
    ['EXTENDED COMMUNITIES length 0', 'c01000', 'W', 'W'],
    ['AS4_PATH', 'c01106020100000001', 'D', 'D'],
    ['AS4_AGGREGATOR', 'c01208000111a00a000001', 'D', 'D'],
    ['IPv6 extended communities length 19', `c01913${'00'.repeat(19)}`, 'W', 'W'],
    ['LARGE_COMMUNITY length 0', 'c02000', 'W', 'W'],
    ['LARGE_COMMUNITY length 13', `c0200d${'00'.repeat(13)}`, 'W', 'W'],
    ['OTC length 3', 'c02303000001', 'W', 'W'],
    ['OTC 0', 'c0230400000000', 'W', 'W'],
    ['PMSI_TUNNEL', 'c016050001000010', '-', '-'],
    ['PMSI_TUNNEL length 4', 'c0160400010000', 'W', 'W'],
    ['PMSI_TUNNEL flags', '8016050001000010', 'W', 'W'],
    ['TUNNEL_ENCAPSULATION', 'c0170a 0007 0006 01 04 0a000001', '-', '-'],
    ['TUNNEL_ENCAPSULATION, long sub-TLV', 'c01709 0007 0005 80 0002 ffff', '-', '-'],
    ['TUNNEL_ENCAPSULATION empty', 'c01700', 'W', 'W'],
    ['TUNNEL_ENCAPSULATION, header cut', 'c01703 000700', 'W', 'W'],
    ['TUNNEL_ENCAPSULATION, sub-TLV header cut', 'c01705 0007 0001 01', 'W', 'W'],
    ['TUNNEL_ENCAPSULATION, TLV overruns', 'c01705 0007 0004 01', 'W', 'W'],
    ['TUNNEL_ENCAPSULATION, TLV overruns by more', 'c01706 0007 0004 01 ff', 'W', 'W'],
    ['TUNNEL_ENCAPSULATION, sub-TLV overruns', 'c01706 0007 0002 01 ff', 'W', 'W'],
    ['AIGP', '801a0b 01 000b 0000000000000064', '-', '-'],
    ['AIGP of 4 octets', '801a07 01 0007 00000064', 'D', 'D'],
    ['AIGP, TLV length 0', '801a03 01 0000', 'D', 'D'],
    ['AIGP, TLV length 2', '801a03 01 0002', 'D', 'D'],
    ['AIGP, one octet', '801a01 01', 'D', 'D'],
    ['AIGP, TLV overruns', '801a05 02 0006 0000', 'D', 'D'],
    ['AIGP flags', 'c01a0b 01 000b 0000000000000064', 'D', 'D'],
    ['BGP_LS', '801d06 0404 0002 0001', '-', '-'],
    ['BGP_LS, TLV length 0', '801d04 0404 0000', '-', '-'],
    ['BGP_LS, header cut', '801d03 040400', 'D', 'D'],
    ['BGP_LS, TLV overruns', '801d05 0404 0002 00', 'D', 'D'],
    ['BGP_LS flags', 'c01d06 0404 0002 0001', 'D', 'D'],
    ['NHC', 'c0270c 0001 01 04 0a000001 0003 0000', '-', '-'],
    ['NHC length 3', 'c02703 000101', 'D', 'D'],
    ['NHC, next hop overruns', 'c02706 0001 01 04 0a00', 'D', 'D'],
    ['NHC, TLV just below the rest', 'c0270c 0001 01 04 0a000001 0003 0001', 'D', 'D'],
    ['NHC flags', '802704 0001 01 00', 'D', 'D'],
    ['PREFIX_SID, Label-Index', 'c0280a 01 0007 00 0000 00000064', '-', '-'],
    ['PREFIX_SID, unknown TLV', 'c02804 63 0001 ff', '-', '-'],
    ['PREFIX_SID empty', 'c02800', 'D', 'D'],
    ['PREFIX_SID, all zero (May 2025)', `c02825${'00'.repeat(37)}`, 'D', 'D'],
    ['PREFIX_SID, Label-Index of 4 octets', 'c02807 01 0004 00000064', 'D', 'D'],
    ['PREFIX_SID, SRGB of 7 octets', 'c0280a 03 0007 00000000000000', 'D', 'D'],
    ['PREFIX_SID, TLV overruns', 'c02804 01 0007 00', 'D', 'D'],
    ['PREFIX_SID flags', '80280a 01 0007 00 0000 00000064', 'D', 'D'],
    ['PREFIX_SID, SRv6 service', `c0281c 05 0019 00 01 0015 00${'20'.repeat(16)}00 0013 00`, '-', '-'],
    ['PREFIX_SID, SRv6 service empty', 'c02803 05 0000', 'W', 'W'],
    ['PREFIX_SID, SRv6 SID too short', 'c02808 05 0005 00 01 0001 00', 'W', 'W'],
    ['PREFIX_SID, SRv6 sub-TLV overruns', 'c02807 05 0004 00 01 0015', 'W', 'W'],
    [
      'PREFIX_SID, SRv6 structure of more than 128 bits',
      `c02825 05 0022 00 01 001e 00${'20'.repeat(16)}00 0013 00 01 0006 80 ff 00 00 00 00`,
      'W',
      'W',
    ],
    ['ATTR_SET', 'c0800a 0000fde9 400101 00 0000', 'W', 'W'],
    ['ATTR_SET with ORIGIN', 'c08008 0000fde9 400101 00', '-', '-'],
    ['ATTR_SET length 3', 'c08003 0000fd', 'W', 'W'],
    ['ATTR_SET, inner attribute overruns', 'c08008 0000fde9 400109 00', 'W', 'W'],
    ['deprecated attribute 28', 'c01c0100', '-', '-'],
    ['unknown well-known', '406300', 'W', 'W'],
    ['unknown, attribute 0', 'c00000', '-', '-'],
    ['unknown, attribute 255', 'c0ff00', '-', '-'],
    ['unknown non-transitive', '806300', '-', '-'],
  ]
  const short = { W: 'treat-as-withdraw', D: 'attribute-discard' } as Record<string, string>
  for (const [name, hex, internal, external] of cases) {
    for (const [cls, wanted] of [
      [INTERNAL, internal],
      [EXTERNAL, external],
    ] as const) {
      const { fault, faults } = decode(hex, cls)
      t.equal(fault?.approach, short[wanted], `${name}, ${cls.ebgp ? 'external' : 'internal'}`)
      t.equal(faults.length, wanted === '-' ? 0 : 1, name)
      if (fault !== null) t.match(fault.reason, /RFC \d{4}/, 'names the rule')
    }
  }
})

t.test('the extended length is accepted on any attribute', async (t) => {
  const { attributes, fault } = decode('5001000102 50020006 0201 0000fde9 50030004c0a80007')
  t.equal(fault, null)
  t.equal(attributes.origin, 2)
  t.equal(toHex(attributes.asPath!), '02010000fde9')
})

t.test('what is usable is told', async (t) => {
  const all = decode(BASE)
  t.equal(all.present, (1 << 1) | (1 << 2) | (1 << 3))
  t.equal(missingMandatory(all.present, true, true), null)
  const broken = decode(BASE.replace('40010100', '40010109'))
  t.equal(broken.present, (1 << 2) | (1 << 3), 'a faulty one is not there')
  t.match(missingMandatory(broken.present, true, true), { approach: 'treat-as-withdraw', attribute: 1 })
  t.match(missingMandatory(2, true, false), { attribute: 2 })
  t.match(missingMandatory(6, true, false), { attribute: 3 })
  t.equal(missingMandatory(6, false, false), null, 'MP_REACH_NLRI carries the next hop')
})

t.test('the strongest fault decides, the first one counts among equals', async (t) => {
  const { fault, faults, attributes } = decode('400601aa 400100 400200 8004020000 400300')
  t.match(fault, { approach: 'treat-as-withdraw', attribute: 1 })
  t.same(
    faults.map((one) => one.attribute),
    [6, 1, 4, 3],
  )
  t.equal(attributes.asPath?.length, 0, 'what is well is decoded')
})

t.test('NEXT_HOP counts only where the UPDATE has IPv4 NLRI', async (t) => {
  const both = decode('40030400000000 40060100')
  t.match(faultOfUpdate(both, true), { attribute: 3 })
  t.match(faultOfUpdate(both, false), { approach: 'attribute-discard', attribute: 6 })
  t.equal(faultOfUpdate(decode('40030400000000'), false), null)
})

t.test('repeated attributes: the first one counts (RFC 7606 §3 g)', async (t) => {
  const { attributes, faults } = decode('8004040000000180040400000002 c06300 c0630101')
  t.equal(attributes.med, 1)
  t.same(
    faults.map((one) => [one.approach, one.attribute]),
    [
      ['attribute-discard', 4],
      ['attribute-discard', 99],
    ],
  )
  t.same(
    attributes.others.map((other) => other.value.length),
    [0],
  )
  const first = decode('400100 40010100')
  t.equal(first.attributes.origin, -1, 'also where the first one is the faulty one')
  t.match(first.fault, { approach: 'treat-as-withdraw' })
})

t.test('unknown attributes (RFC 4271 §5)', async (t) => {
  const { attributes } = decode('d0630001ee 806401ff c0620100 e06500')
  t.same(
    attributes.others.map(({ type, flags, value }) => [type, flags, toHex(value)]),
    [
      [98, 0xe0, '00'],
      [99, 0xe0, 'ee'],
      [101, 0xe0, ''],
    ],
    'kept as Partial, in order; non-transitive ones are gone',
  )
  const known = decode('c02304000000c8')
  t.match(known.attributes.others, [{ type: 35, flags: 0xc0 }], 'a known one is not Partial')
})

t.test('what is known but not used goes on as it came, or ends here when it is not transitive', async (t) => {
  const { attributes, fault } = decode('c02804 63 0001 ff e01605 0001000010 801a03 63 0003 801d04 0404 0000')
  t.equal(fault, null)
  t.same(
    attributes.others.map(({ type, flags, value }) => [type, flags, toHex(value)]),
    [
      [22, 0xe0, '0001000010'],
      [40, 0xc0, '630001ff'],
    ],
  )
})

t.test('any number of attributes', async (t) => {
  let hex = ''
  for (let type = 0; type < 256; type++) {
    if (type > 40 && type !== 128) hex += `c0${type.toString(16).padStart(2, '0')}00`
  }
  const { attributes, fault } = decode(`${BASE}${hex}`)
  t.equal(fault, null)
  t.equal(attributes.others.length, 214)
  const repeated = decode(`${BASE}${'c06300'.repeat(300)}`)
  t.equal(repeated.faults.length, 299)
  t.match(repeated.fault, { approach: 'attribute-discard', attribute: 99 })
})

t.test('AS_SETs are told, in AS4_PATH too', async (t) => {
  t.equal(decode('4002060101 0000fde9').asSets, true)
  t.equal(decode('4002060401 0000fde9').asSets, true)
  t.equal(decode('4002060201 0000fde9').asSets, false)
  const old = { as4: false, ebgp: false }
  // AS4_PATH is longer than AS_PATH and not used: it was sent all the same.
  t.equal(decode('4002040201fde9 c0110c0102 00010000 00010001 ', old).asSets, false, 'malformed: discarded')
  t.equal(decode('4002040201fde9 c01110 0201 00010000 0102 00010000 00010001', old).asSets, true)
})

t.test('MP attributes in the block are left out', async (t) => {
  const { attributes, fault, present } = decode(`800f03000201 40010100 800e0400020100`)
  t.equal(fault, null)
  t.equal(present, 1 << 1)
  t.same(attributes.others, [])
})

t.test('a cut block keeps what lies before the cut', async (t) => {
  for (const cut of [
    '40',
    '4002',
    '400206',
    '40020602010000fd',
    '5002',
    '500200',
    '50020006',
    '5002ffff02010000fde9',
  ]) {
    const { attributes, fault } = decode(`40010100${cut}`)
    t.equal(attributes.origin, 0, cut)
    t.equal(attributes.asPath, null, cut)
    t.match(fault, { approach: 'treat-as-withdraw' }, cut)
  }
})

t.test('large communities: repeated values are dropped', async (t) => {
  const one = '0000fc000000000100000002'
  const two = '0000fc000000000100000003'
  const { attributes, fault } = decode(`c02030${one}${two}${one}${two}`)
  t.equal(fault, null)
  t.equal(toHex(attributes.largeCommunities!), one + two)
})

t.test('rows are in order of type, so that blocks are encoded in order', async (t) => {
  const types = ATTRIBUTE_ROWS.map((row) => row.type)
  t.same(
    types,
    [...types].sort((a, b) => a - b),
  )
})
