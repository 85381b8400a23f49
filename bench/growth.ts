/**
 * `node dist/bench/growth.js [--quick] [--out FOLDER] [--json FILE] [--from FILE]`: time and memory against peers and prefixes, as docs/growth-peers.svg and
 * docs/growth-prefixes.svg. Each point is a process of its own, run three times; the median counts. `--json` keeps the results, `--from` draws them again.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { machineLine, spreadOf } from './harness.js'
import { heldAfterLoad, type LoadPlan, type LoadTime, timeLoad } from './load.js'
import { formatCount } from './report.js'
import { type Chart, renderCharts } from './svg.js'

interface Point extends LoadPlan, LoadTime {
  readonly heldOctets: number
}

interface Growth {
  readonly machine: string
  readonly quick: boolean
  readonly runs: number
  readonly peers: readonly Point[]
  readonly prefixes: readonly Point[]
}

const ROUTES_A_PEER = 4
const LISTENERS = 10
/** As of the Internet's table: 151k sets for 1 M prefixes. */
const PREFIXES_A_SET = 6.6
/** Before the load that counts, so that the small ones do not show V8's compilers. */
const WARM_UP: LoadPlan = { senders: 20, listeners: 10, prefixes: 10_000, sets: 1500 }
const USAGE = 'usage: node dist/bench/growth.js [--quick] [--out FOLDER] [--json FILE] [--from FILE]'

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      out: { type: 'string', default: 'docs' },
      json: { type: 'string' },
      from: { type: 'string' },
      // One point, in a process of its own; prints the result.
      point: { type: 'string' },
    },
  })
  if (values.point !== undefined) {
    const plan = JSON.parse(values.point) as LoadPlan
    for (let n = 0; n < 10; n++) timeLoad(WARM_UP)
    const time = timeLoad(plan)
    const point: Point = { ...plan, ...time, heldOctets: await heldAfterLoad(plan) }
    process.stdout.write(`${JSON.stringify(point)}\n`)
    return
  }
  const growth =
    values.from === undefined ? measureGrowth(values.quick) : (JSON.parse(readFileSync(values.from, 'utf8')) as Growth)
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(growth, null, 2)}\n`)
  writeFileSync(join(values.out, 'growth-peers.svg'), peersSvg(growth))
  writeFileSync(join(values.out, 'growth-prefixes.svg'), prefixesSvg(growth))
  process.stdout.write(`${values.out}/growth-peers.svg and ${values.out}/growth-prefixes.svg written\n`)
}

function measureGrowth(quick: boolean): Growth {
  const runs = 3
  const peers = [10, 30, 100, 300, 1000, 3000].filter((count) => !quick || count <= 1000)
  const prefixes = [1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 2e6].filter((count) => !quick || count <= 3e5)
  return {
    machine: machineLine(),
    quick,
    runs,
    peers: peers.map((senders) =>
      measurePoint({ senders, listeners: 0, prefixes: senders * ROUTES_A_PEER, sets: senders }, runs),
    ),
    prefixes: prefixes.map((count) =>
      measurePoint(
        { senders: 1, listeners: LISTENERS, prefixes: count, sets: Math.ceil(count / PREFIXES_A_SET) },
        runs,
      ),
    ),
  }
}

function measurePoint(plan: LoadPlan, runs: number): Point {
  const program = fileURLToPath(import.meta.url)
  const results = Array.from({ length: runs }, () => {
    const args = ['--expose-gc', program, '--point', JSON.stringify(plan)]
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Point
  })
  const ms = spreadOf(results.map((result) => result.ms)).median
  const cpuMs = spreadOf(results.map((result) => result.cpuMs)).median
  const heldOctets = spreadOf(results.map((result) => result.heldOctets)).median
  const { senders, prefixes } = plan
  process.stdout.write(
    `${senders} senders, ${formatCount(prefixes)} prefixes: ${ms.toFixed(1)} ms, ${cpuMs.toFixed(1)} ms of processor time, ${formatOctets(heldOctets)}\n`,
  )
  return { ...results[0]!, ms, cpuMs, heldOctets }
}

function peersSvg(growth: Growth): string {
  return charts(
    growth.peers,
    ({ senders }) => senders,
    'clients',
    (one) => one.delivered,
    'linear in the routes delivered',
    [
      `N reflector clients announce ${ROUTES_A_PEER} routes each in one attribute set each; every client hears all but its own.`,
      ...howMade(growth),
    ],
  )
}

function prefixesSvg(growth: Growth): string {
  return charts(
    growth.prefixes,
    ({ prefixes }) => prefixes,
    'prefixes',
    (one) => one.prefixes,
    'linear in the prefixes',
    [
      `One client announces the table, ${PREFIXES_A_SET} prefixes to an attribute set; ${LISTENERS} clients hear it.`,
      ...howMade(growth),
    ],
  )
}

function howMade({ machine, quick, runs }: Growth): string[] {
  return [
    `In one process: UPDATE octets through AdjRibIn, decision, update group and encoding, to links that take everything at once. No sockets, no kernel.`,
    `Memory is what is held afterwards (heap and arrays, after garbage collection).`,
    `Each point: median of ${runs} warmed-up processes${quick ? '; settings --quick, on a machine that had other work' : ''}.`,
    `${machine}. Made by bench/growth.ts.`,
  ]
}

function charts(
  results: readonly Point[],
  xOf: (result: Point) => number,
  xLabel: string,
  workOf: (result: Point) => number,
  guideName: string,
  caption: readonly string[],
): string {
  const last = results[results.length - 1]!
  const measured = (yOf: (result: Point) => number) => results.map((one) => [xOf(one), yOf(one)] as const)
  const guide = (work: (one: Point) => number, y: number) =>
    results.map((one) => [xOf(one), (y * work(one)) / work(last)] as const)
  const time: Chart = {
    title: 'Time until everybody has heard everything',
    xLabel,
    yLabel: 'milliseconds',
    lines: [
      { name: 'elapsed', points: measured((one) => one.ms) },
      { name: 'processor time', points: measured((one) => one.cpuMs) },
      { name: guideName, points: guide(workOf, last.cpuMs).filter(([, y]) => y >= FLOOR_MS), guide: true },
    ],
    formatX: formatTick,
    formatY: formatTick,
  }
  const memory: Chart = {
    title: 'Memory held afterwards',
    xLabel,
    yLabel: 'octets',
    lines: [
      { name: 'measured', points: measured((one) => one.heldOctets) },
      { name: 'linear in the prefixes', points: guide((one) => one.prefixes, last.heldOctets), guide: true },
    ],
    formatX: formatTick,
    formatY: formatOctets,
  }
  return renderCharts([time, memory], caption)
}

/** `1`, `0.5`, `10`, `3 k`, `2 M`. */
function formatTick(value: number): string {
  return value >= 1e6 ? `${value / 1e6} M` : value >= 1e3 ? `${value / 1e3} k` : `${value}`
}

function formatOctets(octets: number): string {
  return octets >= 1e6 ? `${Number((octets / 1e6).toPrecision(3))} MB` : `${Number((octets / 1e3).toPrecision(3))} kB`
}

/** A guide goes no lower: what takes microseconds would stretch the axis. */
const FLOOR_MS = 0.1

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof TypeError && 'code' in error)) throw error
  process.stderr.write(`${error.message}\n${USAGE}\n`)
  process.exitCode = 2
}
