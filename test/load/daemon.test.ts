/** `nodebgp load` as a process against our own daemon as a process, on loopback. */
import { type ChildProcess, spawn } from 'node:child_process'
import t from 'tap'
import type { LoadResult } from '../../src/load/types.js'
import { freePort, MAIN, nodebgp, runningDaemon } from '../robustness/daemon.js'
import { until } from '../support/wait.js'

const FAMILIES = ['ipv4-unicast', 'ipv6-unicast']
const REFLECTOR = {
  reflector: { clusterId: '10.255.0.1' },
  neighbors: [
    { name: 'nodes', range: '127.1.0.0/16', asn: 64512, reflectorClient: true, passive: true, families: FAMILIES },
    { name: 'others', range: '127.2.0.0/16', asn: 64512, passive: true },
    {
      name: 'external',
      range: '127.3.0.0/16',
      asn: 65001,
      passive: true,
      import: 'accept-all',
      export: 'accept-all',
    },
  ],
}

t.test('50 peers × 20 routes: complete, every change seen by all, all gone at the end', async (t) => {
  const daemon = await runningDaemon(t, REFLECTOR)
  const run = await load(
    daemon.port,
    '--peers',
    '50',
    '--routes',
    '20',
    '--receivers',
    '5',
    '--workload',
    'churn',
    '--rate',
    '500',
    '--seconds',
    '1',
    '--hold-time',
    '9',
    '--strict',
  )
  t.equal(run.code, 0, run.err)
  t.match(run.result, {
    ok: true,
    mode: 'ibgp',
    announcers: 50,
    receivers: 55,
    prefixes: 1000,
    setup: { ok: true, established: 55 },
    convergence: { ok: true, receiversComplete: 55 },
    churn: { ok: true, events: 500, unfinished: 0 },
    withdrawal: { ok: true, receiversComplete: 55 },
    received: { echoes: 0, duplicates: 0, wrongNextHops: 0, wrongAttributes: 0, otherPrefixes: 0, malformed: 0 },
    missing: 0,
    leftOver: 0,
    drops: 0,
    reasons: [],
  })
  // 1000 routes to all but their announcer, and 250 that came back.
  t.ok(run.result.received.announced >= 50 * 980 + 5 * 1000)
  t.match(run.err, /^55 sessions: Established after .*\n1000 routes of 50 to 55: complete after /)
  t.same(await daemon.rib(), [], 'the daemon has no route left')
})

t.test(
  'hold time 3 s: every session lives through set-up, announcements, changes and withdrawals; the delay of the target is told',
  async (t) => {
    const daemon = await runningDaemon(t, REFLECTOR)
    const size = ['--peers', '40', '--routes', '500', '--hold-time', '3']
    const churn = ['--workload', 'churn', '--rate', '1000', '--seconds', '4']
    const run = await load(daemon.port, ...size, ...churn, '--target-socket', daemon.socket)
    t.match(run, { code: 0, result: { ok: true, setup: { established: 40 }, drops: 0, reasons: [] } })
    const loop = run.result.targetLoop!
    for (const phase of ['setup', 'convergence', 'churn', 'withdrawal'] as const) {
      const { p50Ms, p99Ms, maxMs } = loop[phase]!
      t.ok(0 <= p50Ms && p50Ms <= p99Ms && p99Ms <= maxMs, `${phase}: ${p50Ms} ${p99Ms} ${maxMs}`)
      // Later than this, and keepalives every second could not have been in time.
      t.ok(maxMs < 3000, phase)
    }
    t.equal(loop.restart, null, 'no such phase')
    t.ok(loop.convergence!.maxMs > 0, 'it had something to do')
    const target = ['--target', `127.0.0.1:${daemon.port}`, '--asn', '64512']
    const wrong = await nodebgp('load', ...target, '--target-socket', '/no/such.sock')
    t.match(wrong, { code: 3, err: /no daemon at \/no\/such.sock \(from --target-socket\): no such socket/ })
  },
)

t.test('a table, IPv6, and eBGP', async (t) => {
  const daemon = await runningDaemon(t, REFLECTOR)
  const table = await load(daemon.port, '--workload', 'table', '--routes', '5000', '--receivers', '3')
  t.match(table, { code: 0, result: { ok: true, prefixes: 5000, attributeSets: 758, receivers: 4 } })
  const ipv6 = await load(daemon.port, '--ipv6', '--peers', '10', '--routes', '50', '--attribute-sets', '5')
  t.match(ipv6, { code: 0, result: { ok: true, family: 'ipv6-unicast', prefixes: 500, attributeSets: 50 } })
  const external = await load(daemon.port, '--peers', '10', '--peer-asn', '65001', '--local-addresses', '127.3.0.0/16')
  t.match(external, { code: 0, result: { ok: true, mode: 'ebgp', withdrawal: { ok: true } } })
})

t.test('a target that is no reflector for them: exit code 1, what is missing, and why perhaps', async (t) => {
  const daemon = await runningDaemon(t, REFLECTOR)
  const run = await nodebgp(
    'load',
    '--target',
    `127.0.0.1:${daemon.port}`,
    '--asn',
    '64512',
    '--peers',
    '4',
    '--local-addresses',
    '127.2.0.0/16',
    '--timeout',
    '2',
  )
  t.equal(run.code, 1)
  t.match(run.out, /missing routes +48\n/)
  t.match(run.out, '127.2.0.1 has no route to 10.0.1.0/26, announced by 127.2.0.2')
  t.match(run.out, 'is the target a route reflector for these neighbours')
  t.match(run.out, 'NOT OK')
})

t.test('the target is restarted: all come back and are complete again', async (t) => {
  const daemon = await runningDaemon(t, REFLECTOR)
  const child = spawnLoad(
    daemon.port,
    ...['--peers', '20', '--workload', 'restart-wait', '--hold-time', '3', '--target-socket', daemon.socket, '--json'],
  )
  t.teardown(child.end)
  await until('asks for the restart', () => child.err.includes('restart the target now'))
  await daemon.stop('SIGKILL')
  daemon.log = ''
  daemon.start()
  await daemon.ready()
  await until('the load run ends', () => child.code !== undefined)
  t.equal(child.code, 0, child.err)
  t.match(JSON.parse(child.out), {
    ok: true,
    restart: { ok: true, secondsFromLoss: Number },
    targetLoop: { restart: { maxMs: Number } },
    drops: 0,
  })
})

t.test('SIGINT: sessions end with Cease, exit code 1', async (t) => {
  const daemon = await runningDaemon(t, REFLECTOR)
  const child = spawnLoad(daemon.port, '--peers', '5', '--workload', 'restart-wait', '--json')
  t.teardown(child.end)
  await until('asks for the restart', () => child.err.includes('restart the target now'))
  child.process.kill('SIGINT')
  await until('the load run ends', () => child.code !== undefined)
  t.equal(child.code, 1)
  t.match(JSON.parse(child.out), { ok: false, drops: 0, convergence: { ok: true } })
  await daemon.until('was told', () => daemon.log.includes('Administrative Shutdown'))
})

t.test('nobody listens: exit code 3 and one clear line', async (t) => {
  const port = await freePort()
  const run = await nodebgp('load', '--target', `localhost:${port}`, '--asn', '64512', '--json', '--peers', '3')
  t.match(run, {
    code: 3,
    out: '',
    err: new RegExp(`nodebgp: connection refused: nothing listens on .* port ${port}\n$`),
  })
  const away = await nodebgp(
    'load',
    '--target',
    `127.0.0.1:${port}`,
    '--asn',
    '64512',
    '--source',
    '192.0.2.1,192.0.2.2',
    '--peers',
    '2',
  )
  t.match(away, { code: 3, err: /cannot connect from 192\.0\.2\.[12]: give addresses of this machine/ })
})

t.test('wrong usage: exit code 2 and one line', async (t) => {
  const target = ['--target', '127.0.0.1:179', '--asn', '64512']
  const cases: [string[], RegExp][] = [
    [['--asn', '1'], /target/],
    [['--target', 'here', '--asn', '1'], /--target 'here' is not HOST:PORT/],
    [['--target', '192.0.2.1:179', '--asn', '1'], /say with --local-addresses/],
    [[...target, '--peers', '1'], /at least two sessions/],
    [[...target, '--peers', 'many'], /--peers takes a whole number/],
    [[...target, '--hold-time', '2'], /--hold-time is 0 or at least 3/],
    [[...target, '--workload', 'stress'], /fanout/],
    [[...target, '--prefixes', '10.0.0.1/8'], /--prefixes: .*bits set after its length/],
    [[...target, '--source', '127.1.0.1', '--local-addresses', '127.1.0.0/16'], /exclude each other/],
  ]
  for (const [args, err] of cases) {
    const run = await nodebgp('load', ...args)
    t.match(run, { code: 2, out: '', err }, args.join(' '))
    t.equal(run.err.split('\n').length, 2, 'one line')
  }
})

t.test('--help names the workloads', async (t) => {
  t.match(await nodebgp('load', '--help'), { code: 0, out: /"fanout", "table", "churn", "restart-wait"/ })
})

async function load(port: number, ...args: string[]): Promise<{ code: number; err: string; result: LoadResult }> {
  const run = await nodebgp('load', '--target', `127.0.0.1:${port}`, '--asn', '64512', '--json', ...args)
  if (run.out === '') throw new Error(`no result: ${run.err}`)
  return { code: run.code, err: run.err, result: JSON.parse(run.out) as LoadResult }
}

interface Child {
  readonly process: ChildProcess
  out: string
  err: string
  code: number | null | undefined
  readonly end: () => void
}

function spawnLoad(port: number, ...args: string[]): Child {
  const target = ['load', '--target', `127.0.0.1:${port}`, '--asn', '64512']
  const child = spawn(process.execPath, [MAIN, ...target, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const run: Child = { process: child, out: '', err: '', code: undefined, end: () => child.kill('SIGKILL') }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    run.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    run.err += text
  })
  child.on('close', (code) => {
    run.code = code
  })
  return run
}
