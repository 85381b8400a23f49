/**
 * Line charts as SVG, side by side, both axes logarithmic: what grows by factors shows as a straight line, and its slope is the growth. No dependency.
 */
export interface Chart {
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly lines: readonly Line[]
  /** Text of a tick. */
  readonly formatX: (value: number) => string
  readonly formatY: (value: number) => string
}

export interface Line {
  readonly name: string
  /** x and y above 0. */
  readonly points: readonly (readonly [x: number, y: number])[]
  /** A line to compare with, not one that was measured. */
  readonly guide?: boolean
}

/** `caption`: lines below the charts. */
export function renderCharts(charts: readonly Chart[], caption: readonly string[]): string {
  const width = charts.length * CHART_WIDTH
  const height = CHART_HEIGHT + caption.length * LINE_HEIGHT + 12
  const body = charts.map((chart, n) => `<g transform="translate(${n * CHART_WIDTH} 0)">${renderChart(chart)}</g>`)
  const words = caption.map(
    (line, n) => `<text x="16" y="${CHART_HEIGHT + 14 + n * LINE_HEIGHT}" class="small">${escaped(line)}</text>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<style>${STYLE}</style>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...body,
    ...words,
    '</svg>\n',
  ].join('\n')
}

function renderChart(chart: Chart): string {
  const points = chart.lines.flatMap((line) => line.points)
  if (points.length === 0) throw new RangeError(`renderCharts: '${chart.title}' has no points`)
  const x = axis(
    points.map(([value]) => value),
    LEFT,
    CHART_WIDTH - RIGHT,
  )
  const y = axis(
    points.map(([, value]) => value),
    CHART_HEIGHT - BOTTOM,
    TOP,
  )
  const bottom = CHART_HEIGHT - BOTTOM
  const right = CHART_WIDTH - RIGHT
  return [
    `<text x="${LEFT}" y="24" class="title">${escaped(chart.title)}</text>`,
    ...x.ticks.map((tick) => {
      const at = round(x.place(tick))
      return `<path d="M${at} ${TOP}V${bottom}" class="grid"/><text x="${at}" y="${bottom + 16}" text-anchor="middle">${escaped(chart.formatX(tick))}</text>`
    }),
    ...y.ticks.map((tick) => {
      const at = round(y.place(tick))
      return `<path d="M${LEFT} ${at}H${right}" class="grid"/><text x="${LEFT - 6}" y="${at + 4}" text-anchor="end">${escaped(chart.formatY(tick))}</text>`
    }),
    `<path d="M${LEFT} ${TOP}V${bottom}H${right}" class="axis"/>`,
    `<text x="${(LEFT + right) / 2}" y="${bottom + 34}" text-anchor="middle">${escaped(chart.xLabel)}</text>`,
    `<text transform="translate(14 ${(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(chart.yLabel)}</text>`,
    ...chart.lines.map((line, n) => renderLine(line, n, x.place, y.place)),
  ].join('\n')
}

function renderLine(line: Line, n: number, placeX: Place, placeY: Place): string {
  const color = line.guide === true ? GUIDE_COLOR : COLORS[n % COLORS.length]!
  const at = line.points.map(([x, y]) => [round(placeX(x)), round(placeY(y))] as const)
  const path = `<path d="M${at.map(([x, y]) => `${x} ${y}`).join('L')}" fill="none" stroke="${color}" stroke-width="2"${line.guide === true ? ' stroke-dasharray="5 5"' : ''}/>`
  const dots = line.guide === true ? [] : at.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="${color}"/>`)
  const legend = 44 + n * LINE_HEIGHT
  const dash = line.guide === true ? ' stroke-dasharray="5 5"' : ''
  return [
    path,
    ...dots,
    `<path d="M${LEFT + 10} ${legend}h22" stroke="${color}" stroke-width="2"${dash}/>`,
    `<text x="${LEFT + 38}" y="${legend + 4}">${escaped(line.name)}</text>`,
  ].join('\n')
}

type Place = (value: number) => number

/** Where a value lies between two pixels, and the ticks: decades, or 1, 2 and 5 of them where there are few. */
function axis(values: readonly number[], from: number, to: number): { place: Place; ticks: number[] } {
  if (values.some((value) => !(value > 0))) throw new RangeError('renderCharts: a logarithmic axis has no place for 0')
  const low = Math.log10(Math.min(...values))
  const high = Math.max(Math.log10(Math.max(...values)), low + 0.3)
  const place = (value: number): number => from + ((Math.log10(value) - low) / (high - low)) * (to - from)
  const steps = high - low > 2.5 ? [1] : [1, 2, 5]
  const ticks: number[] = []
  for (let decade = Math.floor(low); decade <= high; decade++) {
    for (const step of steps) {
      const log = decade + Math.log10(step)
      if (log >= low - 1e-9 && log <= high + 1e-9) ticks.push(Number((step * 10 ** decade).toPrecision(6)))
    }
  }
  return { place, ticks }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}

const CHART_WIDTH = 480
const CHART_HEIGHT = 360
const LEFT = 72
const RIGHT = 20
const TOP = 36
const BOTTOM = 48
const LINE_HEIGHT = 18
const COLORS = ['#1f5fa8', '#c0562f', '#3f8a4a', '#7a4fa3']
const GUIDE_COLOR = '#8a8a8a'
const STYLE =
  'text{font:12px sans-serif;fill:#333}.title{font-size:15px;font-weight:bold}.small{font-size:11px;fill:#555}.grid{stroke:#e4e4e4}.axis{stroke:#555;fill:none}'
