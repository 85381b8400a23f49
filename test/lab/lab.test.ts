/**
 * The lab as a user runs it, with real daemons: in network namespaces with real kernels and pings, on loopback, without its tools, and ended in
 * every way there is. Nothing may be left behind.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MAIN } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { projectRoot } from '../support/root.js'
import { until } from '../support/wait.js'

const NAMESPACES = { commands: ['ip', 'ping'], packages: ['iproute2', 'iputils-ping'], root: true }
const UP = 'Ctrl-C ends the lab'
const LIMIT_MS = 120_000

t.test('in network namespaces: converges, kernels hold the routes, all pings come back', async (t) => {
  if (!requireOrSkip(t, NAMESPACES)) return
  const lab = startLab(t, ['--once', '--require-kernel', '--json'])
  await ends(t, lab, 0)
  const result = JSON.parse(lab.output())
  t.match(result, { ok: true, mode: 'kernel', missing: [] })
  t.equal(result.pings.length, 12)
  t.ok(result.pings.every((ping: { back: boolean }) => ping.back))
  for (const node of ['node-1', 'node-2', 'node-3']) {
    const table = lab.progress().split(`Kernel of ${node}:\n`)[1]?.split('\n\n')[0] ?? ''
    for (const other of [1, 2, 3]) {
      const route =
        node === `node-${other}`
          ? `blackhole 10.244.${other}.0/26`
          : `10.244.${other}.0/26 via 192.168.0.10${other} dev eth0`
      t.ok(table.includes(route), `${node} has ${route}`)
    }
    t.ok(table.includes('10.1.0.0/24 via 192.168.0.1 dev eth0'), `${node} reaches the services behind the ToR`)
  }
  t.same(leftovers(lab.pid), [])
})

t.test(
  '--encapsulation vxlan: reflectors carry the VTEPs, kernels lead through the tunnel, all pings come back',
  async (t) => {
    if (!requireOrSkip(t, NAMESPACES)) return
    const lab = startLab(t, ['--once', '--encapsulation', 'vxlan', '--json'])
    await ends(t, lab, 0)
    const result = JSON.parse(lab.output())
    t.match(result, { ok: true, mode: 'kernel', missing: [] })
    t.equal(result.pings.filter((ping: { back: boolean }) => ping.back).length, 12)
    t.match(lab.progress(), /Encapsulation between nodes: vxlan\. Possible here: never, .*vxlan/)
    t.match(lab.progress(), /10\.244\.2\.0\/26 via 10\.244\.2\.0 dev flannel\.1 onlink/)
    t.same(leftovers(lab.pid), [])
  },
)

t.test('--encapsulation without a kernel is refused with words', async (t) => {
  const loopback = startLab(t, ['--once', '--loopback', '--encapsulation', 'vxlan'])
  await ends(t, loopback, 2)
  const without = startLab(t, ['--once', '--encapsulation', 'vxlan'], { PATH: emptyFolder(t) })
  await ends(t, without, 1)
  t.match(without.output(), /--encapsulation vxlan needs them/)
})

t.test('on loopback: converges with the memory FIB', async (t) => {
  const lab = startLab(t, ['--once', '--loopback', '--json'])
  await ends(t, lab, 0)
  t.match(JSON.parse(lab.output()), { ok: true, mode: 'loopback', missing: [], pings: [] })
  t.same(leftovers(lab.pid), [])
})

t.test('without ip and ping: says which packages bring them, and goes on with loopback', async (t) => {
  const lab = startLab(t, ['--once'], { PATH: emptyFolder(t) })
  await ends(t, lab, 0)
  t.match(lab.output(), /ip is missing: apt-get install iproute2/)
  t.match(lab.output(), /ping is missing: apt-get install iputils-ping/)
  t.match(lab.output(), /Going on with loopback/)
  t.match(lab.output(), /Memory FIB of node-1/)
  t.same(leftovers(lab.pid), [])
})

t.test('without ip and ping, --require-kernel is a failure', async (t) => {
  const lab = startLab(t, ['--once', '--require-kernel'], { PATH: emptyFolder(t) })
  await ends(t, lab, 1)
  t.match(lab.output(), /ip is missing/)
  t.notMatch(lab.output(), /A rack/)
  t.same(leftovers(lab.pid), [])
})

t.test('at the limit: exit code 1, and what is missing', async (t) => {
  const lab = startLab(t, ['--once', '--loopback', '--limit', '0.001'])
  await ends(t, lab, 1)
  t.match(lab.output(), /Missing:\n {2}tor: /)
  t.same(leftovers(lab.pid), [])
})

t.test('wrong use: one line and exit code 2', async (t) => {
  const lab = startLab(t, ['--loopback', '--require-kernel'])
  await ends(t, lab, 2)
  t.match(lab.progress(), /--loopback and --require-kernel exclude each other/)
  t.same(leftovers(lab.pid), [])
})

for (const mode of ['loopback', 'kernel']) {
  const args = mode === 'loopback' ? ['--loopback'] : ['--require-kernel']
  const possible = (t: Test): boolean => mode === 'loopback' || requireOrSkip(t, NAMESPACES)

  t.test(`${mode}: stays up for a second terminal; Ctrl-C, also twice, leaves nothing behind`, async (t) => {
    if (!possible(t)) return
    const lab = startLab(t, args)
    await lab.shows(UP)
    const socket = /show summary --socket (\S+)/.exec(lab.output())?.[1] ?? ''
    const summary = await runCommand(t, ['show', 'summary', '--json', '--socket', socket])
    const peers: { state: string; range: boolean }[] = JSON.parse(summary).peers
    t.equal(peers.filter((peer) => peer.state === 'Established').length, 4, 'rr-1 has its four sessions')
    lab.child.kill('SIGINT')
    lab.child.kill('SIGINT')
    await ends(t, lab, 0)
    t.same(leftovers(lab.pid), [])
  })

  t.test(`${mode}: killed without a chance to clean up, still leaves nothing behind`, async (t) => {
    if (!possible(t)) return
    const lab = startLab(t, args)
    await lab.shows(UP)
    t.not(leftovers(lab.pid).length, 0, 'there is something to leave')
    lab.child.kill('SIGKILL')
    await lab.ended
    t.same(
      await until(
        'nothing is left',
        () => leftovers(lab.pid),
        (left) => left.length === 0,
      ),
      [],
    )
  })
}

t.test('ends when the process that started it over an IPC channel is gone', async (t) => {
  const lab = startLab(t, ['--loopback'], {}, true)
  await lab.shows(UP)
  lab.child.disconnect()
  await ends(t, lab, 0)
  t.same(leftovers(lab.pid), [])
})

t.test('npm start: Ctrl-C in its terminal ends npm, the lab and all daemons', async (t) => {
  if (!requireOrSkip(t, { commands: ['npm'], packages: ['npm'] })) return
  const npm = spawn('npm', ['start', '--', '--loopback'], {
    cwd: projectRoot,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const output = collect(npm, 'stdout')
  const complaints = collect(npm, 'stderr')
  const ended = whenEnded(npm)
  t.teardown(() => npm.kill('SIGTERM'))
  const seen = (): string => output() + complaints()
  await until(`npm start prints '${UP}'`, seen, (all) => all.includes(UP), LIMIT_MS)
  const pid = Number(/nodebgp-lab-(\d+)-/.exec(output())?.[1])
  t.not(leftovers(pid).length, 0, 'there is something to leave')
  // A terminal signals the whole process group: npm, scripts/start.mjs and the lab.
  process.kill(-(npm.pid ?? 0), 'SIGINT')
  await ended
  t.same(leftovers(pid), [])
})

t.test('a daemon that dies shows in the output, the others go on', async (t) => {
  const lab = startLab(t, ['--loopback'])
  await lab.shows(UP)
  const folder = join(tmpdir(), folders(lab.pid)[0] ?? '')
  process.kill(Number(readFileSync(join(folder, 'rr-1.pid'), 'utf8')), 'SIGKILL')
  await lab.shows('The daemon rr-1 has ended (SIGKILL)')
  await lab.shows('session  node-1  with rr-1 is gone')
  lab.child.kill('SIGINT')
  await ends(t, lab, 0)
  t.same(leftovers(lab.pid), [])
})

interface LabRun {
  readonly child: ChildProcess
  readonly pid: number
  /** Exit code, or the signal. */
  readonly ended: Promise<number | string | null>
  /** Standard output. */
  output(): string
  /** Standard error: the progress with --json, else complaints. */
  progress(): string
  shows(text: string): Promise<unknown>
}

function startLab(t: Test, args: readonly string[], environment: Record<string, string> = {}, ipc = false): LabRun {
  const child = spawn(process.execPath, [MAIN, 'lab', ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
  })
  const output = collect(child, 'stdout')
  const progress = collect(child, 'stderr')
  const ended = whenEnded(child)
  t.teardown(async () => {
    child.kill('SIGTERM')
    await ended
  })
  const shows = (text: string): Promise<unknown> => {
    const seen = (): string => output() + progress()
    return until(`the lab prints '${text}'`, seen, (all) => all.includes(text), LIMIT_MS)
  }
  return { child, pid: child.pid ?? 0, ended, output, progress, shows }
}

/** Not by the event `close`: it does not come where we have closed the IPC channel ourselves. */
async function whenEnded(child: ChildProcess): Promise<number | string | null> {
  const closed = [child.stdout, child.stderr].map((stream) => stream && once(stream, 'close'))
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  await Promise.all(closed)
  return code ?? signal
}

async function ends(t: Test, lab: LabRun, code: number): Promise<void> {
  const ended = await lab.ended
  t.equal(ended, code, 'exit code')
  if (ended !== code) t.comment(`${lab.output()}\n${lab.progress()}`)
}

function runCommand(t: Test, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const output = collect(child, 'stdout')
  return new Promise((resolve) => {
    child.on('close', (code) => {
      t.equal(code, 0, args.join(' '))
      resolve(output())
    })
  })
}

function collect(child: ChildProcess, stream: 'stdout' | 'stderr'): () => string {
  let text = ''
  child[stream]?.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  return () => text
}

/** Namespaces, folders and processes that carry the name of the lab with this process id. */
function leftovers(pid: number): string[] {
  const processes = list('/proc')
    .filter((name) => /^\d+$/.test(name) && read(`/proc/${name}/cmdline`).includes(`nodebgp-lab-${pid}-`))
    .map((name) => `process ${name}: ${read(`/proc/${name}/cmdline`).replaceAll('\0', ' ')}`)
  return [...list('/run/netns').filter((name) => name.startsWith(`nodebgp-lab-${pid}-`)), ...folders(pid), ...processes]
}

function folders(pid: number): string[] {
  return list(tmpdir()).filter((name) => name.startsWith(`nodebgp-lab-${pid}-`))
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** Empty for a process that has ended in the meantime. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function emptyFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'lab-test-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}
