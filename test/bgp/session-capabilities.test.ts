/** What a session does by what both OPENs offer: long messages (RFC 8654), marked refreshes (RFC 7313), roles (RFC 9234). */
import t from 'tap'
import { NO_OFFER } from '../../src/bgp/capabilities/offer.js'
import type { SessionOutput } from '../../src/bgp/session.js'
import { newPeerCounters } from '../../src/bgp/session-types.js'
import { bodies, type EndOptions, message, Pair } from '../support/pair.js'

/** OPEN of AS 64513 with IPv4 unicast, extended messages, and enhanced refresh. */
const OPEN = '04 fc01 005a 00000002 12 02 10 0104 0001 0001 4104 0000fc01 0600 4600'
const BOTH = { offer: { ...NO_OFFER, extendedMessages: true, enhancedRefresh: true } }
const BORR = message(5, '0001 01 01')
const EORR = message(5, '0001 02 01')

/** An UPDATE that withdraws as many prefixes as fit. */
function longUpdate(octets: number): Uint8Array {
  const withdrawn = octets - 23
  return message(2, `${withdrawn.toString(16).padStart(4, '0')}${'00'.repeat(withdrawn)}0000`)
}

/** `a` of a pair whose other end is played by the test. */
function listening(options: EndOptions = BOTH): Pair {
  const pair = new Pair(options, {})
  pair.a.session.start(0)
  pair.a.session.connected(0)
  pair.a.session.takeOutputs()
  return pair
}

function established(options: EndOptions = BOTH): Pair {
  const pair = listening(options)
  pair.a.session.receiveBytes(Buffer.concat([message(1, OPEN), message(4)]), 0)
  pair.a.session.takeOutputs()
  return pair
}

function sent(outputs: readonly SessionOutput[]): string[] {
  return outputs.flatMap((output) => (output.type === 'send' ? bodies([output.bytes]) : []))
}

function marks(outputs: readonly SessionOutput[]): string[] {
  return outputs.flatMap((output) => (output.type === 'refreshMark' ? [output.mark] : []))
}

t.test('a long UPDATE in the same chunk as OPEN and KEEPALIVE (RFC 8654)', async (t) => {
  const { a } = listening()
  a.session.receiveBytes(Buffer.concat([message(1, OPEN), message(4), longUpdate(65535)]), 0)
  t.equal(a.session.state, 'Established')
  t.same(
    a.updates.map(({ length }) => length),
    [65535],
  )
})

t.test('a long UPDATE cut everywhere', async (t) => {
  const { a } = established()
  const update = longUpdate(9000)
  for (let at = 0; at < update.length; at += 7) a.session.receiveBytes(update.subarray(at, at + 7), 0)
  t.same(
    a.updates.map(({ length }) => length),
    [9000],
  )
})

t.test('a long message that was not agreed on is 1/2 with its length', async (t) => {
  for (const options of [{}, { offer: { ...NO_OFFER, enhancedRefresh: true } }]) {
    const { a } = established(options)
    a.session.receiveBytes(longUpdate(4097), 0)
    t.same(sent(a.session.takeOutputs()), ['3 01021001'])
  }
})

t.test('a long message before the OPEN of the peer is 1/2', async (t) => {
  const { a } = listening()
  a.session.receiveBytes(longUpdate(4097), 0)
  t.same(sent(a.session.takeOutputs()), ['3 01021001'])
})

t.test('OPEN stays within 4096 octets, NOTIFICATION may be longer (RFC 8654 §4)', async (t) => {
  const one = established()
  one.a.session.receiveBytes(message(1, '00'.repeat(4100)), 0)
  t.match(sent(one.a.session.takeOutputs())[0], /^3 0102/)
  const two = established()
  two.a.session.receiveBytes(message(3, `0602${'00'.repeat(5000)}`), 0)
  t.equal(two.a.session.state, 'Idle')
  t.same(sent(two.a.session.takeOutputs()), [], 'taken, and not answered')
})

t.test('BoRR and EoRR are handed on in order', async (t) => {
  const { a } = established()
  a.session.receiveBytes(Buffer.concat([BORR, BORR, EORR]), 0)
  t.same(marks(a.session.takeOutputs()), ['begin', 'begin', 'end'])
  t.equal(a.session.nextDeadlineMs() < 600_000, true, 'no timer of a refresh is left')
})

t.test('EoRR without BoRR, an unknown subtype, and marks that were not agreed on are ignored', async (t) => {
  const counters = newPeerCounters()
  const { a } = established({ ...BOTH, counters })
  a.session.receiveBytes(Buffer.concat([EORR, message(5, '0001 03 01'), message(5, '0002 01 01')]), 0)
  t.same(marks(a.session.takeOutputs()), [])
  t.equal(counters.routeRefreshIgnored, 3)
  const plain = established({ counters })
  plain.a.session.receiveBytes(Buffer.concat([BORR, EORR]), 0)
  t.same(marks(plain.a.session.takeOutputs()), [])
  t.equal(counters.routeRefreshIgnored, 5)
  t.equal(plain.a.session.state, 'Established')
})

t.test('BoRR of a wrong length is 7/1 with the message (RFC 7313 §5)', async (t) => {
  const { a } = established()
  const wrong = message(5, '0001 01 01 00')
  a.session.receiveBytes(wrong, 0)
  t.same(sent(a.session.takeOutputs()), [`3 0701${Buffer.from(wrong).toString('hex')}`])
})

t.test('EoRR that does not come: ten minutes after the last BoRR', async (t) => {
  const { a } = established()
  const { session } = a
  let nowMs = 0
  const keptAliveUntil = (endMs: number): string[] => {
    const found: string[] = []
    while (nowMs < endMs) {
      nowMs = Math.min(endMs, Math.max(nowMs + 1, session.nextDeadlineMs()))
      session.receiveBytes(message(4), nowMs)
      session.handleTimeout(nowMs)
      found.push(...marks(session.takeOutputs()))
    }
    return found
  }
  session.receiveBytes(BORR, 0)
  t.same(keptAliveUntil(300_000), ['begin'])
  session.receiveBytes(BORR, nowMs)
  t.same(keptAliveUntil(899_999), ['begin'])
  t.same(keptAliveUntil(900_000), ['timeout'])
  session.receiveBytes(EORR, nowMs)
  t.same(marks(session.takeOutputs()), [], 'too late')
  t.equal(session.state, 'Established')
})

t.test('roles have to be the two ends of one relation, else 2/11 (RFC 9234 §4.2)', async (t) => {
  const names = ['provider', 'rs', 'rs-client', 'customer', 'peer']
  for (const ours of [0, 1, 2, 3, 4]) {
    for (const theirs of [0, 1, 2, 3, 4, 9]) {
      const pair = new Pair({ offer: { ...NO_OFFER, role: ours } }, { offer: { ...NO_OFFER, role: theirs } }).open()
      const fits = (ours === 4 && theirs === 4) || ours + theirs === 3
      t.equal(pair.a.session.state, fits ? 'Established' : 'Idle', `${names[ours]} and ${names[theirs] ?? theirs}`)
      if (!fits) t.ok(bodies(pair.a.sent).concat(bodies(pair.b.sent)).includes('3 020b'))
    }
  }
})

t.test('a peer without a role: taken, unless roleStrict', async (t) => {
  const offer = { ...NO_OFFER, role: 0 }
  t.equal(new Pair({ offer }, {}).open().a.session.state, 'Established')
  const strict = new Pair({ offer, roleStrict: true }, {}).open()
  t.same(bodies(strict.a.sent).at(-1), '3 020b')
})

t.test('several roles at once: the same twice is one, different ones are 2/11', async (t) => {
  const open = (roles: string): Uint8Array =>
    message(1, `04 fc01 005a 00000002 14 02 12 0104 0001 0001 4104 0000fc01 ${roles}`)
  const same = listening({ offer: { ...NO_OFFER, role: 0 } })
  same.a.session.receiveBytes(open('0901 03 0901 03'), 0)
  t.equal(same.a.session.state, 'OpenConfirm')
  const different = listening({})
  different.a.session.receiveBytes(open('0901 03 0901 04'), 0)
  t.same(sent(different.a.session.takeOutputs()), ['3 020b'])
})

t.test('roles mean nothing between internal peers', async (t) => {
  const pair = new Pair(
    { asn: 64512, offer: { ...NO_OFFER, role: 0 } },
    { asn: 64512, offer: { ...NO_OFFER, role: 0 } },
  ).open()
  t.equal(pair.a.session.state, 'Established')
})
