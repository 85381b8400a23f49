import t from 'tap'
import { NotificationError } from '../../../src/bgp/errors.js'
import { decodeOpen, encodeOpen } from '../../../src/bgp/message/open.js'
import { fromHex, toHex } from './samples.js'

function open(fields: string, parameters: string, lengthOctet = fromHex(parameters).length): Uint8Array {
  const body = fields + lengthOctet.toString(16).padStart(2, '0') + parameters
  const length = 19 + fromHex(body).length
  return fromHex(`${'ff'.repeat(16)}${length.toString(16).padStart(4, '0')}01${body}`)
}

const FIELDS = '04fc00005ac0a8000b'

function thrown(bytes: Uint8Array): string {
  try {
    decodeOpen(bytes, 0, bytes.length)
  } catch (error) {
    if (error instanceof NotificationError) return `${error.code}/${error.subcode} ${toHex(error.data)}`.trim()
    throw error
  }
  return 'nothing'
}

t.test('the order in which faults are found', async (t) => {
  t.equal(thrown(open('050000000100000000', '', 255)), '2/1 0004', 'version before all')
  t.equal(thrown(open('040000000100000000', '', 255)), '2/0', 'parameters before the fields')
  t.equal(thrown(open('040000000100000000', '')), '2/2', 'AS before hold time')
  t.equal(thrown(open('04fc00000100000000', '')), '2/6 0001', 'hold time before identifier')
  t.equal(thrown(open('04fc00000300000000', '')), '2/3 00000000')
  t.equal(thrown(open('04fc000003ffffffff', '')), 'nothing', 'an identifier need not be an address (RFC 6286)')
})

t.test('parameters and capabilities stay inside of their lengths', async (t) => {
  const cases: [string, string, number?][] = [
    ['octets behind a length of 0', '0202020000', 0],
    ['length too small', '02020200', 3],
    ['length too large', '02020200', 5],
    ['parameter cut in its header', '02'],
    ['parameter overruns', '02030200'],
    ['capability cut in its header', '020102'],
    ['capability overruns', '02020201'],
    ['AS4 of 2 octets, then more', '02084102000002000200'],
    ['MP of 3 octets', '02050103000100'],
    ['extended: length field cut', 'ff', 255],
    ['extended: half a length', 'ff00', 255],
    ['extended: length too large', 'ff0006020200', 255],
    ['extended: parameter header cut', 'ff00020001', 255],
    ['extended: parameter overruns', 'ff00050200030200', 255],
  ]
  for (const [name, parameters, length] of cases) {
    t.equal(thrown(open(FIELDS, parameters, length)), '2/0', name)
  }
  t.equal(thrown(open(FIELDS, '0200')), 'nothing', 'an empty parameter')
  t.equal(thrown(open(FIELDS, 'ff0000', 255)), 'nothing', 'extended and empty')
  t.equal(thrown(open(FIELDS, '0100')), '2/4')
  t.equal(thrown(open(FIELDS, '0200ff00')), '2/4', '255 is only special in front')
})

t.test('the AS is the one of the capability', async (t) => {
  const decode = (parameters: string): object => {
    const bytes = open(FIELDS, parameters)
    return decodeOpen(bytes, 0, bytes.length)
  }
  t.match(decode(''), { myAs: 64512, asn: 64512 })
  t.match(decode('02064104000111a0'), { myAs: 64512, asn: 70048 })
  t.match(decode('020c4104000111a04104000111a1'), { asn: 70048 }, 'the first one')
  t.equal(thrown(open(FIELDS, '020c4104000111a0410400000000')), '2/2', '0 in any')
})

t.test('unknown and odd capabilities are kept as they are', async (t) => {
  const bytes = open(FIELDS, '0208fe03aabbcc400109')
  t.same(
    decodeOpen(bytes, 0, bytes.length).capabilities.map(({ code, value }) => [code, toHex(value)]),
    [
      [254, 'aabbcc'],
      [64, '09'],
    ],
  )
})

t.test('encode: AS_TRANS, and the long form where it is needed', async (t) => {
  const given = { asn: 70000, holdTimeSeconds: 90, bgpId: 1, capabilities: [{ code: 254, value: new Uint8Array(251) }] }
  const short = encodeOpen(given)
  t.equal(toHex(short.subarray(19, 32)), '045ba0005a00000001ff02fdfe')
  t.match(decodeOpen(short, 0, short.length), { myAs: 23456, capabilities: given.capabilities })
  const more = { ...given, capabilities: [...given.capabilities, { code: 2, value: new Uint8Array(0) }] }
  const long = encodeOpen(more)
  t.equal(toHex(long.subarray(28, 35)), 'ffff0102' + '0200ff')
  t.match(decodeOpen(long, 0, long.length), { capabilities: more.capabilities })
})
