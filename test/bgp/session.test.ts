import fc from 'fast-check'
import t from 'tap'
import { NotificationError } from '../../src/bgp/errors.js'
import { Session, type SessionOptions } from '../../src/bgp/session.js'
import { newPeerCounters } from '../../src/bgp/session-types.js'
import { Family } from '../../src/net/family.js'
import { bodies, message } from '../support/pair.js'

/** OPEN of AS 64513, hold time 90, identifier 0.0.0.2, with 4-octet AS and IPv4 unicast. */
const OPEN = '04 fc01 005a 00000002 0e 02 0c 0104 0001 0001 4104 0000fc01'
const UPDATE = message(2, '0000 0000')
const KEEPALIVE = message(4)

function session(options: Partial<SessionOptions> = {}): Session {
  return new Session({
    direction: 'in',
    asn: 64512,
    peerAsn: 64513,
    routerId: 1,
    families: [Family.IPV4_UNICAST],
    holdTimeSeconds: 90,
    keepaliveSeconds: 0,
    connectRetryMs: 5_000,
    sendCapabilities: true,
    counters: newPeerCounters(),
    random: () => 1,
    onUpdate: () => {},
    ...options,
  })
}

const given = {
  openSent(options: Partial<SessionOptions> = {}): Session {
    const one = session(options)
    one.start(0)
    one.connected(0)
    one.takeOutputs()
    return one
  },
  openConfirm(options: Partial<SessionOptions> = {}, open = OPEN): Session {
    const one = given.openSent(options)
    one.receiveBytes(message(1, open), 0)
    one.takeOutputs()
    return one
  },
  established(options: Partial<SessionOptions> = {}, open = OPEN): Session {
    const one = given.openConfirm(options, open)
    one.receiveBytes(KEEPALIVE, 0)
    one.takeOutputs()
    return one
  },
}

/** What a session sent and did: `3 0400`, `close`. */
function did(one: Session): string[] {
  return one.takeOutputs().flatMap((output) => {
    if (output.type === 'send') return bodies([output.bytes])
    if (output.type === 'close') return [output.reset ? 'reset' : 'close']
    return []
  })
}

t.test('OpenSent: sends an OPEN with our families, route refresh and 4-octet AS', async (t) => {
  const one = session({ asn: 4_200_000_001, families: [Family.IPV4_UNICAST, Family.IPV6_UNICAST] })
  one.start(0)
  one.connected(0)
  t.same(did(one), ['1 045ba0005a00000001' + '16' + '0214' + '010400010001' + '010400020001' + '0200' + '4104fa56ea01'])
  t.equal(one.state, 'OpenSent')
})

t.test('OpenSent: hold timer is 240 s', async (t) => {
  const one = given.openSent()
  t.equal(one.nextDeadlineMs(), 240_000)
  one.handleTimeout(240_000)
  t.same(did(one), ['3 0400', 'close'])
  t.equal(one.state, 'Idle')
})

t.test('OpenConfirm: an OPEN is answered with a KEEPALIVE, and the timers are the negotiated ones', async (t) => {
  const cases = [
    { local: 90, remote: 90, hold: 90_000, keepalive: 30_000 },
    { local: 90, remote: 9, hold: 9_000, keepalive: 3_000 },
    { local: 9, remote: 90, hold: 9_000, keepalive: 3_000 },
    { local: 3, remote: 65535, hold: 3_000, keepalive: 1_000 },
    { local: 65535, remote: 65535, hold: 65_535_000, keepalive: 21_845_000 },
  ]
  for (const { local, remote, hold, keepalive } of cases) {
    const one = given.openSent({ holdTimeSeconds: local })
    one.receiveBytes(message(1, OPEN.replace('005a', remote.toString(16).padStart(4, '0'))), 0)
    t.same(did(one), ['4'], `${local} and ${remote}`)
    t.equal(one.state, 'OpenConfirm')
    t.equal(one.holdDeadlineMs, hold)
    t.equal(one.nextDeadlineMs(), keepalive)
  }
})

t.test('hold time 0: no keepalive and no hold timer, ever', async (t) => {
  for (const [local, remote] of [
    [0, '005a'],
    [90, '0000'],
  ] as const) {
    const one = given.established({ holdTimeSeconds: local }, OPEN.replace('005a', remote))
    t.equal(one.state, 'Established')
    t.equal(one.nextDeadlineMs(), Number.POSITIVE_INFINITY)
    one.handleTimeout(1e12)
    t.equal(one.state, 'Established')
    t.same(did(one), [])
  }
})

t.test('hold time 0: a peer that stays in OpenConfirm is gone after 240 s', async (t) => {
  const one = given.openConfirm({ holdTimeSeconds: 0 })
  t.equal(one.nextDeadlineMs(), 240_000)
  one.handleTimeout(240_000)
  t.same(did(one), ['3 0400', 'close'])
})

t.test('Established: keepalives go out at their interval, UPDATEs of ours put them off', async (t) => {
  const one = given.established()
  one.handleTimeout(29_999)
  t.same(did(one), [])
  one.handleTimeout(30_000)
  t.same(did(one), ['4'])
  one.updatesSent(50_000)
  one.receiveBytes(KEEPALIVE, 50_000)
  t.equal(one.nextDeadlineMs(), 80_000)
})

t.test('keepalives are jittered down to 0.75 of the interval, never above it', async (t) => {
  t.equal(given.established({ random: () => 0 }).nextDeadlineMs(), 22_500)
})

t.test('Established: hold timer expiry sends 4/0 and goes Idle (event 10)', async (t) => {
  const one = given.established()
  one.receiveBytes(UPDATE, 10_000)
  one.receiveBytes(KEEPALIVE, 20_000)
  for (let at = 30_000; at < 110_000; at += 30_000) one.handleTimeout(at)
  one.takeOutputs()
  one.handleTimeout(109_999)
  t.equal(one.state, 'Established')
  one.handleTimeout(110_000)
  t.match(one.takeOutputs(), [
    { type: 'state', from: 'Established', to: 'Idle', reason: 'hold timer expired: nothing received for 90 s' },
    { type: 'send', bytes: message(3, '0400') },
    { type: 'close', reset: false },
    { type: 'down', wasEstablished: true, reason: { kind: 'hold-timer', code: 4, subcode: 0 } },
  ])
  t.equal(one.nextDeadlineMs(), Number.POSITIVE_INFINITY)
})

t.test('the hold timer stands still while we do not read', async (t) => {
  const one = given.established()
  one.pauseHold(80_000)
  one.handleTimeout(1_000_000)
  t.equal(one.state, 'Established')
  one.resumeHold(1_000_000)
  t.equal(one.holdDeadlineMs, 1_010_000, 'what was left')
})

t.test('send hold timer: 8 minutes without progress send 8/0 and reset (RFC 9687)', async (t) => {
  const one = given.established()
  one.outputPending(false, 1_000)
  one.outputPending(false, 100_000)
  one.outputPending(true, 200_000)
  const stuckAt = 200_000 + 480_000
  for (let at = 30_000; at < stuckAt; at += 30_000) {
    one.receiveBytes(KEEPALIVE, at)
    one.handleTimeout(at)
  }
  t.equal(one.state, 'Established', 'the peer itself is alive')
  one.takeOutputs()
  one.receiveBytes(KEEPALIVE, stuckAt)
  one.handleTimeout(stuckAt)
  const outputs = one.takeOutputs()
  t.match(outputs, [
    {},
    { bytes: message(3, '0800') },
    { type: 'close', reset: true },
    { reason: { kind: 'send-hold-timer' } },
  ])
  const other = given.established()
  other.outputPending(false, 0)
  other.outputTaken()
  t.equal(other.nextDeadlineMs(), 30_000, 'nothing pending, nothing runs but keepalive')
})

t.test('OPEN faults (RFC 4271 §6.2, RFC 5492, RFC 6286, RFC 7607)', async (t) => {
  const cases: [name: string, open: string, answer: string, options?: Partial<SessionOptions>][] = [
    ['version 3', OPEN.replace('04 fc01', '03 fc01'), '3 02010004'],
    ['another AS', OPEN, '3 0202', { peerAsn: 64999 }],
    ['AS 0', '04 0000 005a 00000002 00', '3 0202'],
    ['AS in the capability differs from the configured', OPEN.replace('0000fc01', '0001fc01'), '3 0202'],
    ['identifier 0', OPEN.replace('00000002', '00000000'), '3 020300000000'],
    ['our identifier in our AS', '04 fc00 005a 00000001 00', '3 020300000001', { peerAsn: 64512 }],
    ['parameter type 1', '04 fc01 005a 00000002 04 01 02 0000', '3 0204'],
    ['hold time 1', OPEN.replace('005a', '0001'), '3 02060001'],
    ['hold time 2', OPEN.replace('005a', '0002'), '3 02060002'],
    ['no family in common', OPEN, '3 0207010400020001', { families: [Family.IPV6_UNICAST] }],
    ['parameters cut', '04 fc01 005a 00000002 ff', '3 0200'],
  ]
  for (const [name, open, answer, options] of cases) {
    const one = given.openSent(options)
    one.receiveBytes(message(1, open), 0)
    t.same(did(one), [answer, 'close'], name)
    t.equal(one.state, 'Idle')
  }
})

t.test('the same identifier in another AS is fine (RFC 6286)', async (t) => {
  t.equal(given.established({ routerId: 2 }).state, 'Established')
})

t.test('a 4-octet AS behind AS_TRANS', async (t) => {
  const one = given.established(
    { peerAsn: 4_200_000_001 },
    OPEN.replace('fc01', '5ba0').replace('0000fc01', 'fa56ea01'),
  )
  t.equal(one.state, 'Established')
  t.match(one.negotiated, { as4: true, peerAsn: 4_200_000_001 })
})

t.test('a peer without capabilities has IPv4 unicast, two-octet AS and no route refresh', async (t) => {
  const one = given.established({ families: [Family.IPV4_UNICAST, Family.IPV6_UNICAST] }, '04 fc01 005a 00000002 00')
  t.match(one.negotiated, { families: [Family.IPV4_UNICAST], as4: false, routeRefresh: false })
})

t.test('an OPEN without capabilities, for a peer that refused them', async (t) => {
  const one = session({ sendCapabilities: false, families: [Family.IPV4_UNICAST, Family.IPV6_UNICAST] })
  one.start(0)
  one.connected(0)
  t.same(did(one), ['1 04fc00005a0000000100'])
  one.receiveBytes(message(1, OPEN), 0)
  t.match(one.negotiated, { families: [Family.IPV4_UNICAST], as4: false, routeRefresh: false })
})

t.test('unexpected messages: 5/1, 5/2, 5/3 with the type as data (RFC 6608)', async (t) => {
  const refresh = message(5, '00010001')
  const cases: [name: string, one: Session, bytes: Uint8Array, answer: string][] = [
    ['KEEPALIVE in OpenSent', given.openSent(), KEEPALIVE, '3 050104'],
    ['UPDATE in OpenSent', given.openSent(), UPDATE, '3 050102'],
    ['ROUTE-REFRESH in OpenSent', given.openSent(), refresh, '3 050105'],
    ['UPDATE in OpenConfirm', given.openConfirm(), UPDATE, '3 050202'],
    ['OPEN in OpenConfirm', given.openConfirm(), message(1, OPEN), '3 050201'],
    ['ROUTE-REFRESH in OpenConfirm', given.openConfirm(), refresh, '3 050205'],
    ['OPEN in Established', given.established(), message(1, OPEN), '3 050301'],
  ]
  for (const [name, one, bytes, answer] of cases) {
    one.receiveBytes(bytes, 0)
    const outputs = one.takeOutputs()
    t.match(
      outputs.at(-1),
      { type: 'down', reason: { kind: 'notification-sent', code: 5, text: `${name.split(' ')[0]} received in` } },
      name,
    )
    t.same(bodies(outputs.flatMap((o) => (o.type === 'send' ? [o.bytes] : []))), [answer], name)
  }
})

t.test('header faults end the session in every state with the code of the fault (RFC 4271 §6.1)', async (t) => {
  const badMarker = message(4)
  badMarker[3] = 0
  const tooLong = message(2)
  tooLong[16] = 0x10
  tooLong[17] = 0x01
  const cases: [string, Uint8Array, string][] = [
    ['marker', badMarker, '3 0101'],
    ['length 4097', tooLong, '3 01021001'],
    ['KEEPALIVE of 20 octets', message(4, '00'), '3 01020014'],
    ['type 6', message(6, '00000000'), '3 010306'],
  ]
  for (const [name, bytes, answer] of cases) {
    for (const state of ['openSent', 'openConfirm', 'established'] as const) {
      const one = given[state]()
      one.receiveBytes(bytes, 0)
      t.same(did(one), [answer, 'close'], `${name}, ${state}`)
      t.equal(one.state, 'Idle')
    }
  }
})

t.test('a NOTIFICATION is never answered, whatever is in it and whenever it comes (RFC 4271 §6.4)', async (t) => {
  const contents = ['0602', '0602 05 68656c6c6f', '0602 ff 00', 'ffff', '0000', '0201 0004', '0400', '0204']
  for (const content of contents) {
    for (const state of ['openSent', 'openConfirm', 'established'] as const) {
      const one = given[state]()
      one.receiveBytes(message(3, content), 0)
      const outputs = one.takeOutputs()
      t.notOk(outputs.some((output) => output.type === 'send'))
      t.match(outputs.at(-1), {
        type: 'down',
        reason: { kind: 'notification-received', text: /^received NOTIFICATION/ },
      })
    }
  }
  const cut = given.established()
  cut.receiveBytes(message(3, '06'), 0)
  t.match(cut.takeOutputs().at(-1), { reason: { kind: 'notification-received', text: /malformed NOTIFICATION.*20/ } })
  const one = given.established()
  one.receiveBytes(message(3, '0602 05 68656c6c6f'), 0)
  t.match(one.takeOutputs().at(-1), { reason: { code: 6, subcode: 2, text: /"hello"$/ } })
})

t.test('UPDATEs go to the handler; what it throws is sent, and nothing further is delivered', async (t) => {
  let calls = 0
  const one = given.established({
    onUpdate: () => {
      if (++calls === 2) throw new NotificationError(3, 1, 'attribute list is cut', Uint8Array.of(1, 2))
    },
  })
  one.receiveBytes(Buffer.concat([UPDATE, UPDATE, UPDATE, KEEPALIVE]), 0)
  t.equal(calls, 2)
  t.same(did(one), ['3 03010102', 'close'])
  one.receiveBytes(UPDATE, 0)
  t.equal(calls, 2)
})

t.test('a handler may end the session from inside', async (t) => {
  let calls = 0
  const one: Session = given.established({
    onUpdate: () => {
      calls++
      one.fail(new NotificationError(6, 1, 'limit'), 0)
    },
  })
  one.receiveBytes(Buffer.concat([UPDATE, UPDATE]), 0)
  t.equal(calls, 1)
  const outputs = one.takeOutputs()
  t.match(outputs.at(-1), { type: 'down', reason: { kind: 'max-prefix' }, wasEstablished: true })
})

t.test('a bug in a handler is not taken for a fault of the peer', async (t) => {
  const one = given.established({
    onUpdate: () => {
      throw new TypeError('bug')
    },
  })
  t.throws(() => one.receiveBytes(UPDATE, 0), TypeError)
})

t.test(
  'ROUTE-REFRESH: known families are told, others ignored and counted, a wrong length ends the session',
  async (t) => {
    const counters = newPeerCounters()
    const one = given.established({ counters })
    one.receiveBytes(message(5, '00010001'), 0)
    t.same(one.takeOutputs(), [{ type: 'refresh', family: Family.IPV4_UNICAST }])
    for (const body of ['00020001', '00010002', '00190041', '00010101', '00010201'])
      one.receiveBytes(message(5, body), 0)
    t.same(one.takeOutputs(), [])
    t.equal(counters.routeRefreshIgnored, 5)
    one.receiveBytes(message(5, '000100'), 0)
    t.equal(one.state, 'Idle')
    t.equal(did(one).length, 2, 'NOTIFICATION and close')
  },
)

t.test('stop: Cease where there is a connection, silence where there is none', async (t) => {
  const cease = new NotificationError(6, 2, 'down', Uint8Array.of(1, 0x78))
  for (const state of ['openSent', 'openConfirm', 'established'] as const) {
    const one = given[state]()
    one.stop(cease, 0)
    t.same(did(one), ['3 06020178', 'close'], state)
  }
  const connecting = session({ direction: 'out' })
  connecting.start(0)
  connecting.takeOutputs()
  connecting.stop(cease, 0)
  t.same(did(connecting), ['close'])
  t.equal(connecting.state, 'Idle')
})

t.test('dialling: Connect, Active after a failure, Connect again by the timer', async (t) => {
  const one = session({ direction: 'out', random: () => 0.5 })
  one.start(0)
  t.match(one.takeOutputs(), [{ type: 'state', to: 'Connect' }, { type: 'connect' }])
  one.disconnected('connection refused', 10)
  t.match(one.takeOutputs(), [{ type: 'state', to: 'Active', reason: 'connection refused' }, { type: 'close' }])
  t.equal(one.nextDeadlineMs(), 5_010)
  one.handleTimeout(5_010)
  t.match(one.takeOutputs(), [{ type: 'state', to: 'Connect' }, { type: 'connect' }])
  one.handleTimeout(10_010)
  t.match(one.takeOutputs(), [{ type: 'close' }, { type: 'connect' }], 'an attempt without an answer is given up')
  one.connected(10_020)
  t.equal(one.state, 'OpenSent')
  one.disconnected('closed', 10_030)
  t.equal(one.state, 'Active')
})

t.test('any cut of the stream gives the same session', async (t) => {
  const stream = Buffer.concat([message(1, OPEN), KEEPALIVE, UPDATE, UPDATE, KEEPALIVE, message(3, '0604')])
  const run = (chunks: readonly Uint8Array[]) => {
    const one = given.openSent()
    for (const chunk of chunks) one.receiveBytes(chunk, 0)
    return one
      .takeOutputs()
      .map((output) => (output.type === 'send' ? { ...output, bytes: [...output.bytes] } : output))
  }
  const whole = run([stream])
  t.same(run([...stream].map((octet) => Uint8Array.of(octet))), whole)
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length), { maxLength: 8 }), (cuts) => {
      const at = [0, ...cuts.sort((x, y) => x - y), stream.length]
      const chunks = at.slice(1).map((end, i) => stream.subarray(at[i], end))
      return JSON.stringify(run(chunks)) === JSON.stringify(whole)
    }),
  )
})

t.test('any bytes in any state: a session ends with at most one NOTIFICATION, and nothing else is thrown', async () => {
  const states = fc.constantFrom('openSent', 'openConfirm', 'established')
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc
      .tuple(fc.nat(7), fc.uint8Array({ maxLength: 60 }))
      .map(([type, body]) => message(type, Buffer.from(body).toString('hex'))),
    fc.constantFrom(UPDATE, KEEPALIVE, message(1, OPEN), message(3, '0600')),
  )
  fc.assert(
    fc.property(states, fc.array(piece, { maxLength: 12 }), (state, pieces) => {
      const one = given[state as keyof typeof given]()
      for (const [i, bytes] of pieces.entries()) one.receiveBytes(bytes, i)
      const outputs = one.takeOutputs()
      const notifications = outputs.filter((output) => output.type === 'send' && output.bytes[18] === 3).length
      const downs = outputs.filter((output) => output.type === 'down').length
      const closes = outputs.filter((output) => output.type === 'close').length
      if (one.state === 'Idle')
        return downs === 1 && closes === 1 && notifications <= 1 && one.nextDeadlineMs() === Infinity
      return downs === 0 && closes === 0 && notifications === 0
    }),
    { numRuns: 500 },
  )
})
