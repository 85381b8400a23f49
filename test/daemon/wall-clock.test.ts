import t from 'tap'
import { WallClock } from '../../src/daemon/wall-clock.js'

t.test('a moment keeps its time of day while the clocks jitter', async (t) => {
  let wallMs = Date.UTC(2026, 0, 1, 12, 0, 0)
  let nowMs = 5_000
  const clock = new WallClock(
    () => wallMs,
    () => nowMs,
  )
  t.equal(clock.text(4_000), '2026-01-01T11:59:59.000Z')
  wallMs += 60_000
  nowMs += 59_998.7
  t.equal(clock.text(4_000), '2026-01-01T11:59:59.000Z', 'read a little apart')
  wallMs += 3_600_000
  t.equal(clock.text(4_000), '2026-01-01T12:59:59.001Z', 'the clock of the machine was set by an hour')
})
