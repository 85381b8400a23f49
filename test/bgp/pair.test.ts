import t from 'tap'
import { NotificationError } from '../../src/bgp/errors.js'
import { bodies, message, Pair } from '../support/pair.js'

t.test('two sessions reach Established and stay there', async (t) => {
  const pair = new Pair().open()
  t.same([pair.a.session.state, pair.b.session.state], ['Established', 'Established'])
  t.same(
    bodies(pair.a.sent).map((body) => body[0]),
    ['1', '4'],
    'one OPEN, one KEEPALIVE',
  )
  pair.run(3_600_000)
  t.same([pair.a.session.state, pair.b.session.state], ['Established', 'Established'])
  const keepalives = pair.a.sent.filter((bytes) => bytes[18] === 4).length
  t.ok(keepalives >= 120 && keepalives <= 161, `${keepalives} keepalives in an hour, 22.5 to 30 s apart`)
})

t.test('hold time 0: an hour without a single message', async (t) => {
  const pair = new Pair({ holdTimeSeconds: 0 }).open()
  t.equal(pair.a.session.negotiated?.holdTimeSeconds, 0)
  const before = pair.a.sent.length + pair.b.sent.length
  pair.run(3_600_000)
  t.equal(pair.a.sent.length + pair.b.sent.length, before)
  t.equal(pair.b.session.state, 'Established')
})

t.test('a silent peer: the other end says 4/0 after the negotiated hold time', async (t) => {
  const pair = new Pair({ holdTimeSeconds: 9 }, { holdTimeSeconds: 90 }).open()
  pair.run(60_000)
  pair.b.silent = true
  const since = pair.nowMs
  while (pair.a.session.state === 'Established') t.ok(pair.toNextDeadline(), 'a deadline is there')
  t.ok(pair.nowMs - since <= 9_000, `${pair.nowMs - since} ms`)
  t.same(bodies(pair.a.sent).at(-1), '3 0400')
})

t.test('a stop is seen as what it is at the other end', async (t) => {
  const pair = new Pair().open()
  pair.a.session.stop(new NotificationError(6, 4, 'cleared'), pair.nowMs)
  pair.settle()
  t.match(pair.b.outputs.at(-1), { type: 'down', reason: { kind: 'notification-received', code: 6, subcode: 4 } })
  t.same([pair.a.session.state, pair.b.session.state], ['Idle', 'Idle'])
  t.notOk(
    pair.b.sent.some((bytes) => bytes[18] === 3),
    'not answered',
  )
})

t.test('a peer with the wrong AS: 2/2 and words that say what to do', async (t) => {
  const pair = new Pair({ peerAsn: 65000 }).open()
  t.same(bodies(pair.a.sent).at(-1), '3 0202')
  t.match(pair.a.outputs.at(-1), { reason: { text: /in AS 64513, configured is AS 65000: correct/ } })
})

t.test('UPDATEs arrive as they were sent', async (t) => {
  const pair = new Pair().open()
  const update = message(2, '0000 0000')
  pair.b.session.receiveBytes(Buffer.concat([update, update]), pair.nowMs)
  t.same(pair.b.updates, [update, update])
})
