import fc from 'fast-check'
import t from 'tap'
import { BFD_STATES, type BfdState, Diagnostic } from '../../src/bfd/types.js'
import { Alone, Both, FAST } from './given.js'

t.test('the state machine: every state and what the peer says (RFC 5880 §6.2, §6.8.6)', async (t) => {
  const expected: Readonly<Record<'Down' | 'Init' | 'Up', Readonly<Record<BfdState, BfdState>>>> = {
    Down: { AdminDown: 'Down', Down: 'Init', Init: 'Up', Up: 'Down' },
    Init: { AdminDown: 'Down', Down: 'Init', Init: 'Up', Up: 'Up' },
    Up: { AdminDown: 'Down', Down: 'Down', Init: 'Up', Up: 'Up' },
  }
  const reach = { Down: [], Init: ['Down'], Up: ['Down', 'Up'] } as const
  for (const from of ['Down', 'Init', 'Up'] as const) {
    for (const said of BFD_STATES) {
      const alone = new Alone()
      for (const state of reach[from]) alone.hear({ state })
      t.equal(alone.session.state, from)
      alone.changes.length = 0
      alone.hear({ state: said, diagnostic: 5 })
      const to = expected[from][said]
      t.equal(alone.session.state, to, `${from}, the peer says ${said}`)
      t.equal(alone.changes.length, from === to ? 0 : 1, 'told once')
      if (from === to) continue
      t.match(alone.changes[0], { from, to, remoteState: said, remoteDiagnostic: 5 })
      t.equal(alone.last.state, to, 'and said at once (§6.8.7)')
      if (to === 'Down') t.equal(alone.last.diagnostic, Diagnostic.NEIGHBOR_SIGNALED_DOWN)
    }
  }
})

t.test('what a packet leaves behind (§6.8.6)', async (t) => {
  const alone = new Alone()
  t.match(alone.last, { state: 'Down', yourDiscriminator: 0, poll: false, multiplier: 3, demand: false })
  alone.hear({ myDiscriminator: 900, multiplier: 5, desiredMinTxUs: 250_000, independent: true })
  t.equal(alone.last.yourDiscriminator, 900, 'the discriminator of the peer goes back')
  t.match(alone.session, { remoteMultiplier: 5, remoteIndependent: true, remoteState: 'Down', detectionMs: 1250 })
  alone.hear({ myDiscriminator: 901 })
  t.equal(alone.session.remoteDiscriminator, 901, 'it may change')
})

t.test('slow until Up, then at its pace, announced by a Poll Sequence (§6.8.3)', async (t) => {
  const alone = new Alone()
  t.match(alone.last, { desiredMinTxUs: 1_000_000, requiredMinRxUs: 100_000 })
  alone.run(3500)
  t.same(alone.gaps, [1000, 1000, 1000])
  alone.hear({ state: 'Down' })
  alone.sent.length = 0
  alone.hear({ state: 'Up' })
  t.match(alone.last, { state: 'Up', poll: true, desiredMinTxUs: 100_000 })
  alone.run(450, { everyMs: 100, packet: { state: 'Up' } })
  t.same(alone.gaps, [100, 100, 100, 100])
  t.equal(alone.last.poll, true, 'until F comes')
  alone.hear({ state: 'Up', final: true })
  alone.run(100)
  t.equal(alone.last.poll, false)
  const slow = new Alone({ transmitMs: 5000, receiveMs: 300, multiplier: 3 })
  t.equal(slow.last.desiredMinTxUs, 5_000_000, 'slower than a second stays as it is')
})

t.test('the pace is the slower of what we want and what the peer takes (§6.8.2); 0: nothing (§6.8.7)', async (t) => {
  const alone = Alone.up()
  const slow = { state: 'Up', requiredMinRxUs: 400_000 } as const
  alone.hear(slow)
  alone.run(2000, { everyMs: 90, packet: slow })
  t.same(alone.gaps, [400, 400, 400, 400])
  alone.sent.length = 0
  const quiet = { state: 'Up', requiredMinRxUs: 0 } as const
  alone.hear(quiet)
  alone.run(2000, { everyMs: 90, packet: quiet })
  t.equal(alone.sent.length, 0)
  alone.hear({ ...quiet, poll: true })
  t.match(alone.sent, [{ packet: { final: true, poll: false } }], 'a Poll is answered all the same')
  alone.hear({ state: 'Up' })
  alone.run(500, { everyMs: 90, packet: { state: 'Up' } })
  t.ok(alone.sent.length > 4, 'and it goes on when the peer takes packets again')
})

t.test('a peer that takes packets faster does not wait for the slow interval to end', async (t) => {
  const alone = Alone.up()
  const slow = { state: 'Up', requiredMinRxUs: 10_000_000 } as const
  alone.hear(slow)
  alone.run(200, { everyMs: 100, packet: slow })
  alone.sent.length = 0
  alone.hear({ state: 'Up' })
  alone.run(120, { everyMs: 50, packet: { state: 'Up' } })
  t.ok(alone.sent.length >= 1)
})

t.test('jitter: 75 to 100 % of the interval, to 90 % with a multiplier of 1 (§6.8.7)', async (t) => {
  for (const [multiplier, most] of [
    [3, 100],
    [1, 90],
  ] as const) {
    let step = 0
    const alone = Alone.up({ ...FAST, multiplier }, () => (step++ % 11) / 10)
    alone.run(5000, { everyMs: 50, packet: { state: 'Up' } })
    t.equal(Math.round(Math.min(...alone.gaps)), 75)
    t.equal(Math.round(Math.max(...alone.gaps)), most)
  }
})

t.test('the detection time is the multiplier of the peer times the slower of both sides (§6.8.4)', async (t) => {
  const cases = [
    { desiredMinTxUs: 100_000, multiplier: 3, receiveMs: 100, detectionMs: 300 },
    { desiredMinTxUs: 200_000, multiplier: 3, receiveMs: 100, detectionMs: 600 },
    { desiredMinTxUs: 50_000, multiplier: 10, receiveMs: 100, detectionMs: 1000 },
    { desiredMinTxUs: 50_000, multiplier: 1, receiveMs: 20, detectionMs: 50 },
  ]
  for (const { receiveMs, detectionMs, ...said } of cases) {
    const alone = Alone.up({ ...FAST, receiveMs })
    alone.hear({ state: 'Up', ...said })
    alone.run(detectionMs - 1)
    t.equal(alone.session.state, 'Up')
    alone.run(1)
    t.equal(alone.session.state, 'Down', `after ${detectionMs} ms`)
    t.match(alone.changes, [
      { from: 'Up', to: 'Down', diagnostic: Diagnostic.DETECTION_TIME_EXPIRED, silentMs: detectionMs, detectionMs },
    ])
    t.match(alone.last, { state: 'Down', diagnostic: 1, desiredMinTxUs: 1_000_000 }, 'said at once')
    t.equal(alone.session.downs, 1)
  }
})

t.test('Init ends by silence too; Down does not, but forgets the peer (§6.8.1, §6.8.4)', async (t) => {
  const alone = new Alone()
  alone.hear({ state: 'Down' })
  t.equal(alone.session.state, 'Init')
  alone.run(300)
  t.equal(alone.session.state, 'Down')
  t.equal(alone.session.downs, 0, 'it was not Up')
  t.equal(alone.last.yourDiscriminator, 77)
  alone.run(2000)
  t.equal(alone.last.yourDiscriminator, 0, 'after one more detection time')
  t.equal(alone.changes.length, 2)
  t.equal(alone.session.detectionMs, 0)
})

t.test('Poll and Final (§6.5)', async (t) => {
  const alone = Alone.up()
  alone.run(40)
  alone.hear({ state: 'Up', poll: true })
  t.match(alone.sent, [{ atMs: 40, packet: { final: true, poll: false, state: 'Up' } }], 'answered at once')
  alone.configure({ ...FAST, transmitMs: 200 })
  alone.hear({ state: 'Up', poll: true })
  t.match(alone.last, { final: true, poll: false }, 'never both, though a Poll Sequence of our own is under way')
  t.ok(alone.session.polling)
  const fresh = new Alone()
  fresh.hear({ state: 'Down', final: true })
  t.equal(fresh.session.state, 'Init', 'F that nobody asked for is a packet like others')
})

t.test('a state change and a Poll are answered by one packet', async (t) => {
  const alone = new Alone()
  alone.sent.length = 0
  alone.hear({ state: 'Down', poll: true })
  t.equal(alone.sent.length, 1)
  t.match(alone.last, { state: 'Init', final: true })
})

t.test('new settings while Up: slower sending and faster detection wait for F (§6.8.3)', async (t) => {
  const alone = Alone.up()
  alone.configure({ transmitMs: 400, receiveMs: 50, multiplier: 4 })
  t.match(alone.last, { poll: true, desiredMinTxUs: 400_000, requiredMinRxUs: 50_000, multiplier: 4 })
  t.match(alone.session, { transmitMs: 100, receiveMs: 100, detectionMs: 300 })
  alone.hear({ state: 'Up', desiredMinTxUs: 50_000, final: true })
  t.match(alone.session, { transmitMs: 400, receiveMs: 50, detectionMs: 150, polling: false })
  alone.configure({ transmitMs: 50, receiveMs: 500, multiplier: 4 })
  t.match(alone.session, { transmitMs: 100, receiveMs: 500, detectionMs: 1500 }, 'the other way round at once')
  t.equal(alone.session.state, 'Up')
  t.same(alone.changes, [])
})

t.test('a change in the middle of a Poll Sequence has one of its own (§6.5)', async (t) => {
  const alone = Alone.up()
  alone.configure({ ...FAST, transmitMs: 200 })
  alone.configure({ ...FAST, transmitMs: 400 })
  alone.hear({ state: 'Up', final: true })
  t.ok(alone.session.polling, 'that F may be the answer to the first')
  t.equal(alone.session.transmitMs, 100)
  alone.hear({ state: 'Up', final: true })
  t.notOk(alone.session.polling)
  t.equal(alone.session.transmitMs, 400)
  t.equal(alone.session.state, 'Up')
})

t.test('the same settings again say nothing', async (t) => {
  const alone = Alone.up()
  alone.configure({ ...FAST })
  t.same(alone.sent, [])
  alone.configure({ ...FAST, multiplier: 5 })
  t.match(alone.sent, [{ packet: { multiplier: 5, poll: false } }], 'a multiplier needs no Poll Sequence')
})

t.test('Demand mode of the peer: nothing periodic, but polls (§6.8.6, §6.8.7)', async (t) => {
  const said = { state: 'Up', demand: true } as const
  const alone = Alone.up()
  alone.hear(said)
  alone.run(1000, { everyMs: 90, packet: said })
  t.equal(alone.sent.length, 0)
  alone.configure({ ...FAST, transmitMs: 200 })
  alone.run(1000, { everyMs: 90, packet: said })
  t.ok(alone.sent.length > 3, 'until F comes')
  t.ok(alone.sent.every(({ packet }) => packet.poll))
  alone.hear({ ...said, final: true })
  alone.sent.length = 0
  alone.run(1000, { everyMs: 90, packet: said })
  t.equal(alone.sent.length, 0)
  alone.run(400)
  t.match(alone.changes, [{ to: 'Down', diagnostic: 1 }], 'its silence is noticed all the same')
})

t.test('AdminDown of the peer: Down, and told as what it is (RFC 5882 §3.2)', async (t) => {
  const alone = Alone.up()
  alone.hear({ state: 'AdminDown', diagnostic: 7 })
  t.match(alone.changes, [{ from: 'Up', to: 'Down', remoteState: 'AdminDown', diagnostic: 3, remoteDiagnostic: 7 }])
  alone.hear({ state: 'AdminDown' })
  t.equal(alone.session.state, 'Down', 'it stays there')
  alone.hear({ state: 'Down' })
  t.equal(alone.session.state, 'Init', 'until the peer comes back')
})

t.test('our end: AdminDown, and deaf from then on (§6.8.16)', async (t) => {
  const alone = Alone.up()
  alone.retire(false)
  t.match(alone.sent, [{ packet: { state: 'AdminDown', diagnostic: 7, poll: false } }])
  alone.hear({ state: 'Up' })
  alone.hear({ state: 'Down' })
  alone.run(2500)
  t.same(alone.changes, [])
  t.same(
    alone.sent.map(({ packet }) => packet.state),
    ['AdminDown', 'AdminDown', 'AdminDown'],
    'said again, slowly',
  )
})

t.test('our end after a failure: the peer goes on hearing Down', async (t) => {
  const alone = Alone.up()
  alone.run(300)
  t.equal(alone.session.state, 'Down')
  alone.sent.length = 0
  alone.retire(true)
  alone.run(1000)
  t.equal(alone.sent.length, 2)
  for (const { packet } of alone.sent) t.match(packet, { state: 'Down', diagnostic: 1 })
})

t.test('who was late itself lets the peer off, but once', async (t) => {
  const alone = Alone.up()
  alone.nowMs = 2000
  alone.late(1700)
  t.equal(alone.session.state, 'Up', 'nothing can be said of the time in which we did not run')
  t.equal(alone.session.silentAtMs, 2300, 'a detection time more')
  alone.nowMs = 2300
  alone.late(0)
  t.equal(alone.session.state, 'Down')
  t.equal(alone.session.lateWakes, 1)

  const again = Alone.up()
  again.nowMs = 2000
  again.late(1700)
  again.nowMs = 4000
  again.late(1700)
  t.equal(again.session.state, 'Down', 'late again, and not a word since')

  const heard = Alone.up()
  heard.nowMs = 2000
  heard.hear({ state: 'Up' })
  heard.late(1700)
  t.equal(heard.session.silentAtMs, 2300, 'what lay in the socket counts')
  t.equal(heard.session.lateWakes, 0)
  heard.nowMs = 2301
  heard.late(1)
  t.equal(heard.session.state, 'Down', 'a little late is not late')
})

t.test('two ends on a good path come up and stay up, whatever their settings', async () => {
  const settings = fc.record({
    transmitMs: fc.integer({ min: 10, max: 3000 }),
    receiveMs: fc.integer({ min: 10, max: 3000 }),
    multiplier: fc.integer({ min: 1, max: 10 }),
  })
  const jitter = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 5, maxLength: 5 })
  fc.assert(
    fc.property(settings, settings, jitter, (a, b, random) => {
      let step = 0
      const both = new Both(a, b, () => random[step++ % random.length]!)
      // Less than the 10 % that jitter leaves with a multiplier of 1.
      both.delayMs = 0.2
      both.run(20_000)
      return both.ends.every((end) => end.state === 'Up' && end.downs === 0 && !end.polling)
    }),
    { numRuns: 60 },
  )
})

t.test('two ends: intervals are negotiated, a change of them costs nothing', async (t) => {
  let step = 0
  const both = new Both(FAST, { transmitMs: 300, receiveMs: 200, multiplier: 5 }, () => (step++ % 10) / 10)
  both.run(5000)
  t.match(both.ends[0], { state: 'Up', transmitMs: 200, receiveMs: 300, detectionMs: 1500 })
  t.match(both.ends[1], { state: 'Up', transmitMs: 300, receiveMs: 200, detectionMs: 600 })
  both.configure(1, FAST)
  both.run(2000)
  t.match(both.ends[0], { state: 'Up', transmitMs: 100, receiveMs: 100, detectionMs: 300, downs: 0 })
  both.configure(0, { transmitMs: 2000, receiveMs: 2000, multiplier: 2 })
  both.run(10_000)
  t.match(both.ends[1], { state: 'Up', receiveMs: 2000, detectionMs: 4000, downs: 0 })
  t.match(both.ends[0], { state: 'Up', downs: 0 })
})

t.test('two ends: lost packets below the multiplier are borne, more are not, and the path heals', async (t) => {
  const both = new Both(FAST, FAST, () => 0.5)
  both.run(4000)
  both.lost = (from, sent) => from === 0 && sent % 3 !== 0
  both.run(5000)
  for (const end of both.ends) t.match(end, { state: 'Up', downs: 0 }, 'two of three lost')
  both.lost = (from) => from === 0
  both.run(1000)
  t.match(both.changes[1].at(-1), { from: 'Up', to: 'Down', diagnostic: 1 }, 'the end that hears nothing')
  t.match(both.changes[0].at(-1), { to: 'Down', diagnostic: 3, remoteDiagnostic: 1 }, 'tells the other')
  both.lost = () => false
  both.run(5000)
  for (const end of both.ends) t.match(end, { state: 'Up', downs: 1 })
})
