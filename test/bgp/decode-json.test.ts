import t from 'tap'
import { DEFAULT_DECODE_OPTIONS, decodeLine, parseAddPath } from '../../src/bgp/decode-json.js'
import { Family } from '../../src/net/family.js'
import { toHex, update } from './message/samples.js'

const KEEPALIVE = `${'ff'.repeat(16)}001304`
const BASE = '40010100 4002140202 0000fde9 0000fc00 0102 0000fdf2 0000fdf3 400304c0a80007'
const NLRI = '1a0af40100'

t.test('the sample line of the documentation', async (t) => {
  const hex = toHex(update('', `${BASE} c00804fc000001`, NLRI))
  t.equal(
    JSON.stringify(decodeLine(JSON.stringify({ id: 'a', hex }))),
    '{"id":"a","result":"ok","notify":null,"decoded":{"type":"update","announced":[{"family":"ipv4-unicast","prefix":"10.244.1.0/26"}],' +
      '"withdrawn":[],"origin":"igp","asPath":"65001 64512 {65010,65011}","nextHop":"192.168.0.7","communities":["64512:1"],"attrCodes":[1,2,3,8]}}',
  )
})

t.test('hex as people paste it', async (t) => {
  const spaced = KEEPALIVE.replace(/(..)/g, '$1 ')
  for (const line of [
    KEEPALIVE,
    KEEPALIVE.toUpperCase(),
    spaced,
    `  ${KEEPALIVE}\r`,
    spaced.trim().replaceAll(' ', ':'),
  ]) {
    t.same(decodeLine(line), { id: null, result: 'ok', notify: null, decoded: { type: 'keepalive' } }, line)
  }
})

t.test('a bad line is answered with what is wrong', async (t) => {
  const cases: [string, RegExp, unknown?][] = [
    ['hello', /"h" is no hex digit/],
    ['fff', /odd number of hex digits \(3\)/],
    ['{"id":"x"', /not JSON/],
    ['{}', /no hex/],
    ['{"id":"x","hex":1}', /no hex/, 'x'],
    ['{"id":7,"hex":"ff","as4":"yes"}', /as4 is true or false, not "yes"/, 7],
    ['{"id":"x","hex":"ff","kind":"pcap"}', /kind is 'message' or 'stream', not "pcap"/, 'x'],
    ['{"id":"x","hex":"ff","addpath":"ipv4-unicast"}', /addpath is a list/, 'x'],
    ['{"id":"x","hex":"ff","addpath":["ipv5"]}', /not "ipv5"/, 'x'],
    ['{"id":"x","hex":"ff","addpath":[1]}', /not 1/, 'x'],
    [`{"id":"x","hex":"ff","as4":${'['.repeat(50000)}${']'.repeat(50000)}}`, /as4 is true or false, not a list/, 'x'],
    [`{"id":"x","hex":"ff","kind":"${'k'.repeat(1000)}"}`, /not "k{40}…"$/, 'x'],
    ['{"__proto__":{"hex":"ff"}}', /no hex/],
  ]
  for (const [line, reason, id] of cases) {
    const answer = decodeLine(line)
    t.match(answer, { id: id ?? null, result: 'error', notify: null, decoded: null }, line)
    t.match(answer.reason, reason, line)
  }
})

t.test('incomplete and what is behind a message', async (t) => {
  for (const hex of ['', 'ff', KEEPALIVE.slice(0, -2), `${'ff'.repeat(16)}0014`, `${'ff'.repeat(16)}00170200`]) {
    t.match(decodeLine(JSON.stringify({ hex })), { result: 'incomplete', notify: null, decoded: null }, hex)
  }
  t.match(decodeLine(`${KEEPALIVE}00`), { result: 'ok', reason: /octets after the message were not read: 1/ })
  const faulty = toHex(update('', BASE.replace('40010100', '40010109'), NLRI))
  t.match(decodeLine(`${faulty}ff`), { result: 'treat-as-withdraw', reason: /ORIGIN.*; octets after/ })
})

t.test('the size limit', async (t) => {
  const big = `${'ff'.repeat(16)}100102`
  t.match(decodeLine(big), { result: 'error', notify: { code: 1, subcode: 2, data: '1001' } })
  t.match(decodeLine(JSON.stringify({ hex: big, extendedMessage: true })), { result: 'incomplete' })
})

t.test('the class of the peer', async (t) => {
  const hex = toHex(update('', `${BASE} 40050400000064`, NLRI))
  t.match(decodeLine(JSON.stringify({ hex })), { result: 'ok', decoded: { localPref: 100 } })
  const external = decodeLine(JSON.stringify({ hex, ebgp: true }))
  t.match(external, { result: 'attribute-discard', decoded: { attrCodes: [1, 2, 3, 5] } })
  t.notHas(external.decoded, { localPref: 100 })
})

t.test('path identifiers', async (t) => {
  const hex = toHex(update('', BASE, `00000005${NLRI}`))
  const announced = [{ family: 'ipv4-unicast', prefix: '10.244.1.0/26', pathId: 5 }]
  t.match(decodeLine(JSON.stringify({ hex, addpath: ['ipv4-unicast'] })), { result: 'ok', decoded: { announced } })
  t.match(decodeLine(hex, { ...DEFAULT_DECODE_OPTIONS, addPath: parseAddPath(['ipv4-unicast']) }).decoded, {
    announced,
  })
  const other = decodeLine(JSON.stringify({ hex, addpath: ['ipv6-unicast', '25/70'] })).decoded
  t.match(
    other,
    { announced: [{ prefix: '0.0.0.0/0' }, {}, {}, {}, {}] },
    'the octets mean something else without them',
  )
  t.same([...parseAddPath(['25/70', 'ipv6-unicast'])], [Family.IPV6_UNICAST])
})

t.test('a stream: messages before an error are shown', async (t) => {
  const withdrawn = toHex(update('080a', '', ''))
  const faulty = toHex(update('', BASE.replace('40010100', '40010109'), NLRI))
  const stream = (hex: string): unknown => decodeLine(JSON.stringify({ id: 's', kind: 'stream', hex }))
  t.match(stream(KEEPALIVE + withdrawn), {
    result: 'ok',
    decoded: { messages: 2, messageTypes: ['keepalive', 'update'] },
  })
  t.match(stream(faulty + KEEPALIVE), { result: 'treat-as-withdraw', reason: /ORIGIN/, decoded: { messages: 2 } })
  t.match(stream(KEEPALIVE + toHex(update('210a00000000', '', ''))), {
    result: 'error',
    notify: { code: 3, subcode: 10 },
    decoded: { messages: 1, items: [{ type: 'keepalive' }] },
  })
  t.match(stream(`${KEEPALIVE}ffff`), {
    result: 'incomplete',
    reason: '2 octets of a further message',
    decoded: { messages: 1 },
  })
  t.match(stream(''), { result: 'ok', decoded: { messages: 0, messageTypes: [] } })
})

t.test('a message full of prefixes', async (t) => {
  const nlri = Array.from({ length: 900 }, (_, i) => `18${(0x0a0000 + i).toString(16).padStart(6, '0')}`).join('')
  const { decoded } = decodeLine(toHex(update('', BASE, nlri)))
  t.match(decoded, { announced: { length: 900 } })
})
