/**
 * `explain PREFIX`: where it came from, what policies said, why this path won, who is sent it, which kernel route, and what is missing.
 */
import type { ExplainView } from '../../api/types.js'
import { paint, printable, type Style, table } from '../format.js'
import { formatHops, PATH_COLUMNS, PATH_REASON } from './columns.js'

export function formatExplain(view: ExplainView, style: Style): string {
  const lines: string[] = [paint(view.prefix, 'bold', style)]
  if (!view.known) {
    const covered = view.coveredBy ? `; traffic follows ${view.coveredBy}` : ''
    lines.push(`not in the table${covered}`)
  }
  const section = (title: string, rows: readonly string[]): void => {
    if (rows.length > 0) lines.push('', paint(title, 'bold', style), ...rows.map((row) => `  ${row}`))
  }
  section(
    'Paths',
    table([...PATH_COLUMNS, PATH_REASON], view.paths, style)
      .trimEnd()
      .split('\n')
      .filter(Boolean),
  )
  section(
    'Policies',
    view.policy.map(({ peer, policy, verdict }) => printable(`${peer}: ${policy ?? 'no policy'}: ${verdict}`)),
  )
  section('Decision', view.decision ? [printable(view.decision)] : [])
  section(
    'Sent to',
    view.sentTo.map(({ peer, address, note }) => printable(`${peer} (${address})${note ? `: ${note}` : ''}`)),
  )
  section(
    'Not sent to',
    view.notSentTo.map(({ peer, address, reason }) => printable(`${peer} (${address}): ${reason}`)),
  )
  if (view.fib) {
    const { prefix, state, reason } = view.fib
    section('Kernel', [printable(`${prefix} ${formatHops(view.fib)}: ${state}${reason ? `, ${reason}` : ''}`)])
  }
  section(
    'Missing',
    view.missing.map((what) => paint(printable(what), 'red', style)),
  )
  return lines.join('\n') + '\n'
}
