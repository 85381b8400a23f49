/** The benchmark of kernel routes: that it measures what it says. No times are judged. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { announceAll, blockAddress, withdrawAll } from '../../bench/kernel-routes/messages.js'
import { formatSummaries, type Summary, summarise } from '../../bench/kernel-routes/table.js'
import { PHASES, type PhaseRun } from '../../bench/kernel-routes/types.js'
import { splitUpdate } from '../../src/bgp/message/update.js'
import { UpdateParts } from '../../src/bgp/message/update-parts.js'
import { Framer } from '../../src/bgp/wire/framer.js'
import { needsNetns } from '../support/netns.js'
import { requireOrSkip } from '../support/require.js'
import { projectRoot } from '../support/root.js'

const ROUTES = 2000

t.test('the messages hold all blocks in their order, in as few messages as can be', async (t) => {
  const announced = addressesOf(announceAll(ROUTES, Uint8Array.of(172, 31, 9, 11)), 'nlri')
  t.same(
    announced.addresses,
    Array.from({ length: ROUTES }, (_, n) => blockAddress(n)),
  )
  t.equal(announced.addresses[1], 0x0a400040)
  // 23 octets around 25 of attributes, 5 octets a block: 809 in a message.
  t.equal(announced.messages, 3)
  const withdrawn = addressesOf(withdrawAll(ROUTES), 'withdrawn')
  t.same(withdrawn.addresses, announced.addresses)
  t.equal(withdrawn.messages, 3)
})

t.test('medians, their spread and the factor to BIRD', async (t) => {
  const run = (daemon: 'nodebgp' | 'bird', round: number, seconds: number): PhaseRun[] =>
    PHASES.map((phase) => ({
      ...{ daemon, round, phase, seconds, cpuSeconds: seconds / 2, verified: ROUTES, late: phase === 'out' },
      loop: daemon === 'bird' ? null : { p50Ms: 1, p99Ms: 10 * round, maxMs: 30, turns: 100 },
    }))
  const runs = [...run('nodebgp', 1, 1), ...run('bird', 1, 2), ...run('nodebgp', 2, 2), ...run('bird', 2, 2)]
  runs.push(...run('nodebgp', 3, 5))
  const summaries = summarise(runs)
  t.equal(summaries.length, 6)
  const first = summaries[0]!
  t.match(first, { phase: 'in', daemon: 'nodebgp', seconds: { min: 1, median: 2, max: 5 }, againstBird: 1, late: 0 })
  t.same(first.loop?.p99Ms, { min: 10, median: 20, max: 30 })
  t.match(summaries[1], { daemon: 'bird', againstBird: null, loop: null })
  const text = formatSummaries(summaries)
  t.match(text, '| in | nodebgp | 2.00 (1.00 to 5.00) | 1.00 × | 1.00 (0.500 to 2.50) |  |\n')
  t.match(text, '| out | BIRD | 2.00 (2.00 to 2.00) |  | 1.00 (1.00 to 1.00) | in 2 of the rounds |\n')
  t.match(text, '| in | 1.00 (1.00 to 1.00) | 20.0 (10.0 to 30.0) | 30.0 (30.0 to 30.0) | 100 |\n')
})

t.test('nodebgp and BIRD: every block in, replaced and out, in the kernel', needsNetns(), async (t) => {
  if (!requireOrSkip(t, { commands: ['bird'], packages: ['bird2'], root: true })) return
  const args = ['--routes', String(ROUTES), '--rounds', '1', '--daemons', 'nodebgp,bird', '--json']
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...args], { timeout: 120_000 })
  const result = JSON.parse(stdout) as { routes: number; runs: PhaseRun[]; summaries: Summary[] }
  t.equal(result.routes, ROUTES)
  t.same(
    result.runs.map(({ daemon, phase, verified }) => [daemon, phase, verified]),
    ['nodebgp', 'bird'].flatMap((daemon) => PHASES.map((phase) => [daemon, phase, ROUTES])),
  )
  for (const { daemon, phase, loop, cpuSeconds, seconds } of result.runs) {
    t.ok(seconds > 0 && cpuSeconds > 0, `${daemon} ${phase}: has worked`)
    if (daemon === 'bird') t.equal(loop, null)
    else t.ok(loop !== null && loop.turns > 0 && loop.maxMs >= loop.p99Ms && loop.p99Ms >= loop.p50Ms, `${phase}: loop`)
  }
  t.equal(result.summaries.length, 6)
})

t.test('what cannot be measured is refused with the usage', async (t) => {
  for (const args of ['--routes=2000000', '--daemons=quagga']) {
    await t.rejects(promisify(execFile)(process.execPath, [PROGRAM, args]), { code: 2, stderr: /^usage: / }, args)
  }
})

function addressesOf(octets: Buffer, field: 'nlri' | 'withdrawn'): { addresses: number[]; messages: number } {
  const addresses: number[] = []
  const parts = new UpdateParts()
  let messages = 0
  new Framer().push(
    octets,
    (buffer, start, end) => {
      messages++
      splitUpdate(buffer, start, end, parts)
      const [from, to] =
        field === 'nlri' ? [parts.nlriStart, parts.nlriEnd] : [parts.withdrawnStart, parts.withdrawnEnd]
      const view = new DataView(buffer.buffer, buffer.byteOffset)
      for (let at = from; at < to; at += 5) addresses.push(buffer[at] === 26 ? view.getUint32(at + 1) : -1)
    },
    4096,
  )
  return { addresses, messages }
}

const PROGRAM = join(projectRoot, 'dist', 'bench', 'kernel-routes', 'main.js')
