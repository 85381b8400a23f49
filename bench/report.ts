/** Results as lines of a Markdown table, so that what is printed can go into README.md as it is. */
import type { Result } from './harness.js'

export const TITLE = [
  '| bench | variant | ns per operation: median (min to max) | operations/s | against the first |',
  '|---|---|---|---|---|',
].join('\n')

/** `all`: the results of the same bench; the first one is what the others are compared with. */
export function formatResult(result: Result, all: readonly Result[]): string {
  const { min, median, max } = result.nsPerOperation
  const first = all[0]!
  const factor = result === first ? '' : `${formatFigure(median / first.nsPerOperation.median)} ×`
  const name = result === first ? `${result.bench} (per ${result.operation})` : ''
  const spread = `${formatFigure(median)} (${formatFigure(min)} to ${formatFigure(max)})`
  return `| ${name} | ${result.variant}${result.twin ? ', twin' : ''} | ${spread} | ${formatCount(1e9 / median)} | ${factor} |`
}

/** Three significant digits, without an exponent: `0.123`, `1.23`, `12.3`, `1230`. */
export function formatFigure(value: number): string {
  const rounded = Number(value.toPrecision(3))
  if (rounded === 0) return '0'
  const decimals = 2 - Math.floor(Math.log10(Math.abs(rounded)))
  return rounded.toFixed(Math.min(20, Math.max(0, decimals)))
}

/** `950`, `12.3 k`, `4.56 M`. */
export function formatCount(value: number): string {
  if (value >= 1e9) return `${formatFigure(value / 1e9)} G`
  if (value >= 1e6) return `${formatFigure(value / 1e6)} M`
  if (value >= 1e3) return `${formatFigure(value / 1e3)} k`
  return formatFigure(value)
}
