/** The result of a load run as text for people. Pure. */
import type { LoadResult, LoopDelay, PhaseResult } from './types.js'

export function formatReport(result: LoadResult): string {
  const blocks = [
    formatHead(result),
    formatPhases(result),
    formatTargetLoop(result),
    formatCounts(result),
    formatList(
      'why sessions ended',
      result.reasons.slice(0, 10).map(({ text, count }) => `${count} × ${text}`),
    ),
    formatList('examples', result.examples),
    formatList('hints', result.hints),
    [verdict(result)],
  ]
  return `${blocks
    .filter((block) => block.length > 0)
    .map((block) => block.join('\n'))
    .join('\n\n')}\n`
}

/** Share of a core above which the loader counts as busy. */
const BUSY_CORES = 0.9

function formatHead(result: LoadResult): string[] {
  const { target, workload, mode, announcers, receivers, prefixes, attributeSets, family, seed } = result
  return [
    `${target}: ${workload}, ${mode}, ${receivers} neighbours, ${announcers} of them announcing`,
    `${prefixes} prefixes of ${family} in ${attributeSets} attribute sets, seed ${seed}`,
  ]
}

function formatPhases(result: LoadResult): string[] {
  const { setup, convergence, churn, restart, withdrawal } = result
  const rows: string[][] = [
    [
      'set-up',
      seconds(setup.seconds),
      `${setup.established} sessions${spreadMs(setup.p50Ms, setup.p99Ms, setup.maxMs)}${setup.retries > 0 ? `, ${setup.retries} retries` : ''}`,
    ],
  ]
  if (convergence !== null) rows.push(['convergence', seconds(convergence.seconds), phaseText(convergence)])
  if (churn !== null) {
    rows.push([
      'churn',
      `${churn.events} changes`,
      `p50 ${ms(churn.p50Ms)}, p90 ${ms(churn.p90Ms)}, p99 ${ms(churn.p99Ms)}, max ${ms(churn.maxMs)}; ${Math.round(churn.achievedRate)}/s sent${churn.unfinished > 0 ? `, ${churn.unfinished} not seen by all` : ''}${busy(churn.loaderCores)}`,
    ])
  }
  if (restart !== null) {
    rows.push([
      'restart',
      seconds(restart.secondsFromLoss),
      `${seconds(restart.secondsFromReturn)} after the first session was back`,
    ])
  }
  if (withdrawal !== null) rows.push(['withdrawal', seconds(withdrawal.seconds), phaseText(withdrawal)])
  return aligned(rows)
}

function formatTargetLoop({ targetLoop }: LoadResult): string[] {
  if (targetLoop === null) return []
  const rows = Object.entries(targetLoop).flatMap(([phase, delay]: [string, LoopDelay | null]) =>
    delay === null
      ? []
      : [
          [
            phase === 'setup' ? 'set-up' : phase,
            `p50 ${ms(delay.p50Ms)}, p99 ${ms(delay.p99Ms)}, max ${ms(delay.maxMs)}`,
          ],
        ],
  )
  return rows.length === 0 ? [] : ["delay of the target's event loop:", ...aligned(rows)]
}

function formatCounts(result: LoadResult): string[] {
  const { received } = result
  const plain: [string, number][] = [
    ['UPDATEs', received.updates],
    ['routes announced', received.announced],
    ['routes withdrawn', received.withdrawn],
    ['own routes echoed back', received.echoes],
    ['duplicates', received.duplicates],
    ['withdrawn without being there', received.surplusWithdrawals],
  ]
  const faults: [string, number][] = [
    ['missing routes', result.missing],
    ['routes not withdrawn', result.leftOver],
    ['routes nobody announced', received.otherPrefixes],
    ['wrong next hops', received.wrongNextHops],
    ['wrong attributes', received.wrongAttributes],
    ['malformed UPDATEs', received.malformed],
    ['sessions lost', result.drops],
  ]
  const shown = [...plain, ...faults.filter(([, count]) => count > 0)]
  return aligned(shown.map(([name, count]) => [name, String(count)]))
}

function formatList(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)]
}

function verdict(result: LoadResult): string {
  const cpu = `loader: ${result.loader.cpuSeconds.toFixed(1)} s of CPU, ${result.loader.peakRssMiB} MiB`
  return `${result.ok ? 'ok: every receiver held exactly what it should' : 'NOT OK'} (${cpu})`
}

function phaseText(phase: PhaseResult): string {
  const spread = `half of the receivers ${seconds(phase.p50Seconds)}, 99 % ${seconds(phase.p99Seconds)}`
  return `${phase.ok ? spread : `only ${phase.receiversComplete} receivers were complete`}${busy(phase.loaderCores)}`
}

function busy(cores: number): string {
  return cores > BUSY_CORES ? `; the loader used ${cores.toFixed(2)} cores and may be the limit` : ''
}

function spreadMs(p50: number | null, p99: number | null, max: number | null): string {
  return p50 === null ? '' : `, one took p50 ${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)}`
}

function seconds(value: number | null): string {
  return value === null ? 'not reached' : `${value.toFixed(3)} s`
}

function ms(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)} ms`
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  return rows.map((row) => `  ${row.map((cell, at) => cell.padEnd(widths[at]!)).join('  ')}`.trimEnd())
}
