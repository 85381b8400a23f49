import t from 'tap'
import { type Chart, renderCharts } from '../../bench/svg.js'

function chart(over: Partial<Chart> = {}): Chart {
  return {
    title: 'time',
    xLabel: 'peers',
    yLabel: 'ms',
    lines: [
      {
        name: 'measured',
        points: [
          [10, 1],
          [100, 10],
          [1000, 100],
        ],
      },
    ],
    formatX: String,
    formatY: String,
    ...over,
  }
}

function attributes(svg: string, pattern: RegExp): number[][] {
  return [...svg.matchAll(pattern)].map((match) => match.slice(1).map(Number))
}

t.test('growth by factors is a straight line on both logarithmic axes', async (t) => {
  const dots = attributes(renderCharts([chart()], []), /<circle cx="([\d.]+)" cy="([\d.]+)"/g)
  t.equal(dots.length, 3)
  const [a, b, c] = dots as [number, number][]
  t.ok(Math.abs(b![0] - (a![0] + c![0]) / 2) < 0.2, 'the middle one lies in the middle')
  t.ok(Math.abs(b![1] - (a![1] + c![1]) / 2) < 0.2)
  t.ok(a![0] < c![0] && a![1] > c![1], 'up is more')
})

t.test('ticks lie within the axes and name themselves', async (t) => {
  const svg = renderCharts([chart({ formatX: (value) => `x${value}`, formatY: (value) => `y${value}` })], [])
  for (const tick of ['x10', 'x100', 'x1000', 'y1', 'y10', 'y100']) t.match(svg, `>${tick}</text>`)
  t.notMatch(svg, />x10000</)
})

t.test('guides are dashed and without dots, one group a chart, the caption below', async (t) => {
  const guided = chart({ lines: [...chart().lines, { name: 'linear', guide: true, points: [[10, 2]] }] })
  const svg = renderCharts([guided, chart()], ['how it was made', 'and where'])
  t.equal(svg.match(/<circle/g)?.length, 6)
  t.equal(svg.match(/stroke-dasharray/g)?.length, 2, 'line and legend')
  t.match(svg, 'translate(480 0)')
  t.match(svg, '>how it was made</text>')
  t.match(svg, '>and where</text>')
})

t.test('text is escaped', async (t) => {
  const svg = renderCharts([chart({ title: 'a < b & c' })], ['<script>'])
  t.match(svg, 'a &lt; b &amp; c')
  t.notMatch(svg, '<script>')
})

t.test('what has no place on a logarithmic axis is refused', async (t) => {
  const withPoint = (y: number) => () => renderCharts([chart({ lines: [{ name: 'm', points: [[1, y]] }] })], [])
  t.throws(withPoint(0), RangeError)
  t.throws(withPoint(-1), RangeError)
  t.throws(withPoint(Number.NaN), RangeError)
  t.throws(() => renderCharts([chart({ lines: [] })], []), RangeError)
})
