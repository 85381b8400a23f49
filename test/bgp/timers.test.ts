import fc from 'fast-check'
import t from 'tap'
import { Backoff } from '../../src/bgp/backoff.js'
import { RealClock } from '../../src/bgp/clock.js'
import { RateLimit } from '../../src/bgp/rate-limit.js'
import { DeadlineQueue, jitterAround, jitterDown, sendHoldMs, type Wakeable } from '../../src/bgp/timers.js'

interface Named extends Wakeable {
  readonly name: number
}
const item = (name: number): Named => ({ name, queueIndex: -1, wakeAtMs: 0, onDeadline() {} })

t.test('the queue gives items in the order of their times, whatever was scheduled and cancelled', async () => {
  const operation = fc.tuple(fc.constantFrom('schedule', 'cancel', 'take'), fc.nat(9), fc.nat(50))
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const queue = new DeadlineQueue()
      const items = Array.from({ length: 10 }, (_, i) => item(i))
      const model = new Map<number, number>()
      for (const [what, name, time] of operations) {
        if (what === 'schedule') {
          queue.schedule(items[name]!, time)
          model.set(name, Math.min(model.get(name) ?? time, time))
        } else if (what === 'cancel') {
          queue.cancel(items[name]!)
          model.delete(name)
        } else {
          const due = [...model].filter(([, at]) => at <= time)
          const taken = queue.takeDue(time) as Named | undefined
          if (taken === undefined) {
            if (due.length > 0) return false
            continue
          }
          const earliest = Math.min(...due.map(([, at]) => at))
          if (model.get(taken.name) !== earliest || taken.queueIndex !== -1) return false
          model.delete(taken.name)
        }
        if (queue.size !== model.size) return false
        if (queue.nextMs !== Math.min(...model.values(), Number.POSITIVE_INFINITY)) return false
      }
      return true
    }),
  )
})

t.test('never is never: Infinity is not queued', async (t) => {
  const queue = new DeadlineQueue()
  queue.schedule(item(1), Number.POSITIVE_INFINITY)
  t.equal(queue.size, 0)
})

t.test('the real clock wakes in order, not before the time, and serves new deadlines set while waking', async (t) => {
  const clock = new RealClock()
  const woken: number[] = []
  await new Promise<void>((resolve) => {
    const wake = (name: number, inMs: number, then = () => {}) => {
      const at = clock.now() + inMs
      const wakeable: Wakeable = {
        queueIndex: -1,
        wakeAtMs: 0,
        onDeadline: (nowMs) => {
          t.ok(nowMs >= at, `${name} not early`)
          woken.push(name)
          then()
        },
      }
      clock.schedule(wakeable, at)
      return wakeable
    }
    wake(2, 20, () => wake(3, 5, resolve))
    wake(1, 5)
    clock.cancel(wake(4, 1))
  })
  t.same(woken, [1, 2, 3])
})

t.test('jitter: keepalive 0.75 to 1.0 (RFC 4271 §10), connect retry ± 25 %', async (t) => {
  t.same([jitterDown(1000, () => 0), jitterDown(1000, () => 1)], [750, 1000])
  t.same([jitterAround(1000, () => 0), jitterAround(1000, () => 1)], [750, 1250])
})

t.test('send hold time is the greater of 8 minutes and twice the hold time (RFC 9687)', async (t) => {
  t.same([sendHoldMs(0), sendHoldMs(90), sendHoldMs(300)], [480_000, 480_000, 600_000])
})

t.test('back-off doubles from 5 s to 60 s, survives short sessions, and is forgotten after a long one', async (t) => {
  const backoff = new Backoff()
  const full = () => 1
  t.equal(backoff.untilMs, Number.NEGATIVE_INFINITY)
  const delays = [0, 0, 0, 0, 0, 0].map(() => backoff.failed(0, full))
  t.same(delays, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000])
  backoff.sessionEnded(60_000)
  t.equal(backoff.failed(0, full), 60_000, 'a minute of Established changes nothing')
  backoff.sessionEnded(300_000)
  t.equal(backoff.failed(0, full), 5_000, 'five do')
  t.equal(backoff.failed(0, full, 1_800_000), 1_800_000, 'a fixed time, as maxPrefix.restart')
  backoff.clear()
  t.equal(backoff.untilMs, Number.NEGATIVE_INFINITY)
  t.ok(backoff.isClean)
})

t.test('rate limit: one per interval, with the number held back', async (t) => {
  const limit = new RateLimit(1000)
  t.same(
    [0, 10, 20, 1000, 1001, 3000].map((nowMs) => limit.take(nowMs)),
    [0, null, null, 2, null, 1],
  )
})

t.test('damping: five short sessions in a row are free, then 5 s, doubled up to 60 s', async (t) => {
  const full = () => 1
  const backoff = new Backoff()
  const flap = (nowMs: number, lastedMs = 1_000): number | null =>
    backoff.flapped(lastedMs, nowMs, full) ? backoff.untilMs - nowMs : null
  t.same(
    [0, 1, 2, 3, 4].map((n) => flap(n * 10_000)),
    [null, null, null, null, null],
  )
  t.notOk(backoff.isClean)
  t.same(
    [5, 6, 7, 8, 9, 10].map((n) => flap(50_000 + (n - 5) * 70_000)),
    [5_000, 10_000, 20_000, 40_000, 60_000, 60_000],
  )
  t.equal(flap(450_000, 30_000), null, 'a session of half a minute ends the row')
  t.equal(backoff.flaps, 0)
  for (let n = 0; n < 5; n++) flap(900_000 + n)
  t.equal(flap(1_300_000), null, 'and so do five quiet minutes')
  backoff.clear()
  t.ok(backoff.isClean)
})
