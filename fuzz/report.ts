/** What a run prints: its summary, and a finding as steps and as a fixture of fixtures/robustness. */
import type { Failure } from './campaign.js'
import { SENDERS } from './peers.js'
import type { WorldCounters } from './world.js'

/** `seconds` of processor time: the machine may have other work. */
export function summaryLine(counters: WorldCounters, seconds: number): string {
  const { messages, accepted, rejected, sets, slowestMs } = counters
  const ends = [...rejected].sort((a, b) => b[1] - a[1]).map(([why, count]) => `${why} ${count}`)
  const rate = seconds === 0 ? 0 : Math.round(messages / seconds)
  return [
    `${messages} messages`,
    `${accepted} UPDATEs accepted`,
    `sessions ended: ${ends.join(', ') || 'none'}`,
    `${sets} attribute sets`,
    `slowest message ${slowestMs.toFixed(2)} ms`,
    `${rate} messages a second of processor time`,
  ].join('; ')
}

export function failureText({ finding, seed, epoch, steps }: Failure): string {
  const lines = [`FOUND by seed ${seed}, epoch ${epoch}: ${clipped(finding.message)}`, '', `${steps.length} steps:`]
  for (const { sender, bytes, cut } of steps) {
    const pieces = cut === 0 ? '' : ` in pieces of ${cut} octets`
    lines.push(`  ${SENDERS[sender]!.name}${pieces}: ${hex(bytes)}`)
  }
  const last = steps.at(-1)
  if (last !== undefined)
    lines.push('', 'The last one as a fixture:', '', fixtureText(finding.oracle, last.sender, last.bytes))
  return lines.join('\n')
}

function fixtureText(oracle: string, sender: number, bytes: Uint8Array): string {
  const { name } = SENDERS[sender]!
  const peer = name.startsWith('external') ? 'external' : name.endsWith('as2') ? 'internal-as2' : 'internal'
  const body = hex(bytes.subarray(19)).replace(/(.{64})/g, '$1\n    ')
  return [
    '- id: X1',
    `  shape: found by the fuzzer (${oracle})`,
    '  source: fuzz',
    '  send: established',
    `  peer: ${peer}`,
    '  hex: |',
    `    ${hex(bytes.subarray(0, 19))} # header`,
    `    ${body}`,
    '  decode: ?',
    '  session: ?',
    '  rib: {}',
    '  downstream: []',
  ].join('\n')
}

/** Values of attributes can be long. */
function clipped(text: string): string {
  return text.length <= 2000 ? text : `${text.slice(0, 2000)}…`
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
