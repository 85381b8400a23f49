import t from 'tap'
import { ErrorLog, MAX_ENTRIES, MAX_ENTRIES_OF_PEER, OCTETS_KEPT, WHOLE_KEPT } from '../../src/bgp/error-log.js'

const FACT = {
  peer: 'a',
  address: '10.0.0.1',
  message: 'UPDATE',
  action: 'treat-as-withdraw',
  attribute: 4,
  notification: null,
  reason: 'MULTI_EXIT_DISC: length 3 is not 4 (RFC 7606 §7.4)',
} as const
const WHOLE = new Uint8Array(60)
const DETAIL = { octets: Uint8Array.of(0x80, 4, 3, 0, 0, 1), whole: WHOLE, prefixes: ['10.1.0.0/16'], prefixCount: 3 }

t.test('repeats are folded, octets are taken once', async (t) => {
  const log = new ErrorLog()
  let asked = 0
  const detail = (): typeof DETAIL => {
    asked++
    return DETAIL
  }
  log.record({ ...FACT, atMs: 5 }, detail)
  log.record({ ...FACT, attribute: 1, reason: 'ORIGIN is missing (RFC 7606 §3 d)', atMs: 6 }, detail)
  for (let n = 0; n < 1000; n++) log.record({ ...FACT, atMs: 10 + n }, detail)
  t.equal(asked, 2)
  t.match(log.entries(), [
    {
      peer: 'a',
      rule: 'RFC 7606 §7.4',
      reason: 'MULTI_EXIT_DISC: length 3 is not 4',
      count: 1001,
      firstAtMs: 5,
      lastAtMs: 1009,
      octets: '800403000001',
      octetsLength: 6,
      prefixes: ['10.1.0.0/16'],
      prefixCount: 3,
    },
    { attribute: 1, count: 1, rule: 'RFC 7606 §3 d' },
  ])
})

t.test('bounded: by peer, over all, and in octets', async (t) => {
  const log = new ErrorLog()
  const record = (peer: string, n: number): void => {
    log.record({ ...FACT, peer, reason: `fault ${n}`, atMs: n }, () => ({
      ...DETAIL,
      octets: new Uint8Array(5000),
      whole: new Uint8Array(65_000),
    }))
  }
  for (let n = 0; n < 1000; n++) record('loud', n)
  t.equal(log.size, MAX_ENTRIES_OF_PEER)
  t.match(log.entries()[0], {
    reason: 'fault 999',
    rule: '',
    octetsLength: 5000,
    octets: '00'.repeat(OCTETS_KEPT),
    wholeLength: 65_000,
  })
  t.equal(log.entries()[0]?.whole.length, WHOLE_KEPT)
  record('quiet', 1)
  for (let n = 0; n < 500; n++) record('loud', n)
  t.ok(
    log.entries().some(({ peer }) => peer === 'quiet'),
    'one peer does not push the others out',
  )
  for (let peer = 0; peer < 400; peer++) record(`p${peer}`, peer)
  t.equal(log.size, MAX_ENTRIES)
  t.equal(log.entries().at(-1)?.peer, 'p144', 'the oldest ones are gone')
  for (let peer = 0; peer < 400; peer++) for (let n = 0; n < 40; n++) record(`p${peer}`, n)
  t.equal(log.size, MAX_ENTRIES)
})
