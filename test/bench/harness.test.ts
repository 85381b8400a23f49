import t from 'tap'
import { type Bench, machineLine, measure, spreadOf } from '../../bench/harness.js'
import { formatCount, formatFigure, formatResult } from '../../bench/report.js'

/** A clock that only the work moves. */
class Clock {
  ns = 0n
  readonly nowNs = (): bigint => this.ns
}

function benchOf(clock: Clock, once: boolean, prepared: string[]): Bench {
  const variant = (name: string, twin: boolean, costNs: bigint) => ({
    name,
    twin,
    prepare: () => {
      prepared.push(name)
      return () => {
        clock.ns += costNs * 10n
        return 10
      }
    },
  })
  return { name: 'b', operation: 'thing', once, variants: [variant('fast', false, 20n), variant('slow', true, 500n)] }
}

t.test('nanoseconds per operation, whatever the number of calls', async (t) => {
  const clock = new Clock()
  const prepared: string[] = []
  const results = measure(benchOf(clock, false, prepared), { repetitions: 3, repetitionMs: 1, nowNs: clock.nowNs })
  t.same(prepared, ['fast', 'slow'], 'prepared a single time')
  t.same(
    results.map(({ variant, twin, nsPerOperation, repetitions }) => ({ variant, twin, nsPerOperation, repetitions })),
    [
      { variant: 'fast', twin: false, nsPerOperation: { min: 20, median: 20, max: 20 }, repetitions: 3 },
      { variant: 'slow', twin: true, nsPerOperation: { min: 500, median: 500, max: 500 }, repetitions: 3 },
    ],
  )
  for (const { operations, nsPerOperation } of results)
    t.ok(operations * nsPerOperation.median >= 1e6, 'a repetition is as long as asked for')
})

t.test('work that is done once: new ground for each repetition, variants in turn, a warm-up first', async (t) => {
  const clock = new Clock()
  const prepared: string[] = []
  const bench = { ...benchOf(clock, true, prepared), atMost: 2 }
  const results = measure(bench, { repetitions: 5, repetitionMs: 1000, nowNs: clock.nowNs })
  t.same(prepared, ['fast', 'slow', 'fast', 'slow', 'fast', 'slow'])
  t.same(
    results.map(({ operations, repetitions }) => [operations, repetitions]),
    [
      [10, 2],
      [10, 2],
    ],
  )
})

t.test('min, median, max', async (t) => {
  t.same(spreadOf([5]), { min: 5, median: 5, max: 5 })
  t.same(spreadOf([9, 1, 10]), { min: 1, median: 9, max: 10 })
  t.same(spreadOf([4, 1, 3, 100]), { min: 1, median: 3.5, max: 100 })
  t.throws(() => spreadOf([]), RangeError)
})

t.test('figures have three digits and no exponent', async (t) => {
  const cases: [number, string][] = [
    [0, '0'],
    [0.01234, '0.0123'],
    [0.9996, '1.00'],
    [1.005, '1.00'],
    [12.34, '12.3'],
    [99.96, '100'],
    [123.4, '123'],
    [123_456, '123000'],
  ]
  for (const [value, text] of cases) t.equal(formatFigure(value), text)
  t.same([950, 12_340, 4.56e6, 1.2e9].map(formatCount), ['950', '12.3 k', '4.56 M', '1.20 G'])
})

t.test('a result is a row of a table, compared with the first', async (t) => {
  const clock = new Clock()
  const all = measure(benchOf(clock, true, []), { repetitions: 1, repetitionMs: 1, nowNs: clock.nowNs })
  t.same(
    all.map((result) => formatResult(result, all)),
    [
      '| b (per thing) | fast | 20.0 (20.0 to 20.0) | 50.0 M |  |',
      '|  | slow, twin | 500 (500 to 500) | 2.00 M | 25.0 × |',
    ],
  )
})

t.test('the machine is named', async (t) => {
  t.match(machineLine(), new RegExp(`^${process.platform} ${process.arch}, .+ × \\d+, \\d+ GiB, Node\\.js v\\d+`))
})
