/**
 * Text for people: aligned tables, durations, colour on a terminal. What came from other machines cannot steer the terminal.
 */
import { printable } from '../log-output.js'

export { printable }

export interface Style {
  readonly colour: boolean
}
export type Colour = 'green' | 'red' | 'yellow' | 'dim' | 'bold'

export interface Column<T> {
  readonly title: string
  readonly align?: 'left' | 'right'
  readonly value: (row: T) => string
  readonly colour?: (row: T) => Colour | undefined
}

export function chooseStyle(terminal: boolean): Style {
  return { colour: terminal && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb' }
}

export function paint(text: string, colour: Colour | undefined, style: Style): string {
  return style.colour && colour ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text
}

/**
 * A table whose rows come one by one: the widths follow the first rows, later ones that are wider push their line out.
 */
export class TableWriter<T> {
  private readonly columns: readonly Column<T>[]
  private readonly style: Style
  private readonly write: (text: string) => void
  private waiting: T[] | null = []
  private widths: number[] = []
  /** Rows written. */
  count = 0

  constructor(columns: readonly Column<T>[], style: Style, write: (text: string) => void) {
    this.columns = columns
    this.style = style
    this.write = write
  }

  add(row: T): void {
    this.count++
    if (!this.waiting) {
      this.write(this.line(row))
      return
    }
    this.waiting.push(row)
    if (this.waiting.length >= WIDTH_ROWS) this.start()
  }

  end(): void {
    if (this.waiting && this.waiting.length > 0) this.start()
  }

  private start(): void {
    const rows = this.waiting ?? []
    this.waiting = null
    this.widths = this.columns.map(({ title, value }) =>
      rows.reduce((width, row) => Math.max(width, printable(value(row)).length), title.length),
    )
    const titles = this.columns.map(({ title, align }, n) => pad(title, this.widths[n]!, align))
    this.write(paint(titles.join('  ').trimEnd(), 'bold', this.style) + '\n')
    this.write(rows.map((row) => this.line(row)).join(''))
  }

  private line(row: T): string {
    const cells = this.columns.map(({ value, align, colour }, n) =>
      paint(pad(printable(value(row)), this.widths[n]!, align), colour?.(row), this.style),
    )
    return cells.join('  ').trimEnd() + '\n'
  }
}

export function table<T>(columns: readonly Column<T>[], rows: Iterable<T>, style: Style): string {
  let text = ''
  const writer = new TableWriter(columns, style, (part) => {
    text += part
  })
  for (const row of rows) writer.add(row)
  writer.end()
  return text
}

/** `Name:  value` lines, aligned; null is left out. */
export function fields(pairs: readonly (readonly [string, string | number | null])[], indent = ''): string {
  const shown = pairs.filter(([, value]) => value !== null && value !== '')
  const width = Math.max(...shown.map(([name]) => name.length)) + 2
  return shown.map(([name, value]) => `${indent}${`${name}:`.padEnd(width)}${printable(String(value))}\n`).join('')
}

/** `00:00:07`, `1d02h03m`, `2w3d04h`: the form of Up/Down columns. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  if (whole < DAY) return `${two(whole / 3600)}:${two((whole % 3600) / 60)}:${two(whole % 60)}`
  if (whole < 7 * DAY) return `${Math.floor(whole / DAY)}d${two((whole % DAY) / 3600)}h${two((whole % 3600) / 60)}m`
  return `${Math.floor(whole / (7 * DAY))}w${Math.floor((whole % (7 * DAY)) / DAY)}d${two((whole % DAY) / 3600)}h`
}

export function optional(value: string | number | null): string {
  return value === null ? '-' : String(value)
}

function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  return align === 'left' ? text.padEnd(width) : text.padStart(width)
}

const WIDTH_ROWS = 500
const DAY = 86_400
const CODES: Readonly<Record<Colour, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 }
