/**
 * BFD with BIRD and FRR (RFC 5880, 5881, 9384): it comes up, a frozen and a cut-off peer are gone by it and not by the hold timer, AdminDown is no failure, timers
 * change on the live session, and a main loop that does not turn keeps it up. The times that it took are printed, not judged: the machine may be busy.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import type { BfdSessionView, BfdView } from '../../src/api/types.js'
import { REQUIREMENTS } from '../support/daemons/index.js'
import { Process } from '../support/daemons/process.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { MAIN, Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'
import { BIRD_TIMERS, frrTimers, PlainBird, PlainFrr } from './plain-daemons.js'

const ASN = 64512
const TIMERS = 'min rx interval 100 ms; min tx interval 100 ms; multiplier 3;'
const FAST = { interval: '100ms', multiplier: 3 }

/** SIGUSR2 holds its main loop for two seconds. */
class Nodebgp2 extends Nodebgp {
  protected override async launch(): Promise<Process> {
    this.writeConfiguration()
    const hold = `process.on('SIGUSR2',()=>{process.emitWarning('held');Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0,2000)})`
    const hook = `import{isMainThread}from'node:worker_threads';if(isMainThread){${hold}}`
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` }
    return new Process(this.host.netns, this.logFile, process.execPath, [MAIN, 'run', '-c', this.file], env)
  }

  bfd(): Promise<BfdView> {
    return this.get('/v1/bfd') as Promise<BfdView>
  }

  async bfdTo(host: Host): Promise<BfdSessionView> {
    const { sessions } = await this.bfd()
    return sessions.find(({ address }) => address === host.v4)!
  }

  async isUp(host: Host): Promise<BfdSessionView> {
    return until(
      `BFD to ${host.label} is up at its pace`,
      () => this.bfdTo(host),
      ({ state, session }) => state === 'Up' && session?.detectionMs === 300 && session.transmitMs === 100,
    )
  }

  /** Lines of the log, from the `from`th on. */
  lines(from = 0): LogLine[] {
    const text = readFileSync(this.logFile, 'utf8').split('\n').slice(from)
    return text.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine)
  }
}

interface LogLine {
  readonly time: number
  readonly event: string
  readonly peer?: string
  readonly from?: string
  readonly to?: string
  readonly reason?: string
}

t.test('BFD with BIRD and FRR', async (t) => {
  const needed = [REQUIREMENTS.bird, REQUIREMENTS.frr]
  const commands = [...needed.flatMap((one) => one.commands), '/usr/lib/frr/bfdd', 'ip']
  const packages = [...needed.map((one) => one.package), 'iproute2']
  if (!requireOrSkip(t, { commands, packages, root: true })) return
  const segment = new Segment(t)
  const [here, birdHost, frrHost] = [segment.host('us', 1), segment.host('bird', 2), segment.host('frr', 3)]
  const neighbors = (bfd: unknown): Record<string, unknown>[] => [
    { name: 'bird', address: birdHost.v4, asn: ASN, connectRetry: '1s', holdTime: '90s', bfd },
    { name: 'frr', address: frrHost.v4, asn: ASN, connectRetry: '1s', holdTime: '90s', bfd },
  ]
  const us = segment.add(new Nodebgp2({ host: here, asn: ASN, peers: [] }, { neighbors: neighbors(FAST) }))
  const bird = segment.add(
    new PlainBird(
      birdHost,
      `protocol static { ipv4; route 10.244.2.0/26 blackhole; }
protocol bfd bfd1 { interface "eth0" { ${TIMERS} }; }
protocol bgp up { local ${birdHost.v4} as ${ASN}; neighbor ${here.v4} as ${ASN}; direct; bfd on; ${BIRD_TIMERS.replace('hold time 9', 'hold time 90')}
  ipv4 { import all; export all; }; }`,
    ),
  )
  const frr = segment.add(
    new PlainFrr(
      frrHost,
      `router bgp ${ASN}
 bgp router-id ${frrHost.v4}
 neighbor ${here.v4} remote-as ${ASN}
 neighbor ${here.v4} bfd 3 100 100
 ${frrTimers(here.v4).replace('timers 3 9', 'timers 30 90')}`,
      { bfd: true },
    ),
  )
  await Promise.all([us.start(), bird.start(), frr.start()])

  /** Ends a peer by `fail`, and says by what it was noticed. */
  const goneByBfd = async (name: string, host: Host, fail: () => void): Promise<void> => {
    await us.isUp(host)
    const before = us.lines().length
    const failedAt = Date.now()
    fail()
    await until(`${name} is gone`, async () => (await us.sessions()).get(host.v4) !== 'Established')
    const lines = us.lines().slice(before)
    const change = lines.find((line) => line.event === 'bfd-state' && line.peer === name && line.from === 'Up')
    const end = lines.find(
      (line) => line.event === 'session-state' && line.peer === name && line.from === 'Established',
    )
    t.match(change?.reason, /nothing heard for \d+ ms; the detection time is 300 ms/, `${name}: BFD noticed`)
    t.match(end?.reason, /6\/10 \(Cease\/BFD Down\): BFD is down/, 'and ended the session')
    t.comment(`${name}: gone ${end === undefined ? '?' : end.time - failedAt} ms after the failure, ${change?.reason}`)
  }

  t.test('comes up, and both ends agree', async (t) => {
    const [toBird, toFrr] = [await us.isUp(birdHost), await us.isUp(frrHost)]
    t.equal((await us.bfd()).checksHopLimit, true)
    t.match(await bird.ask('show', 'bfd', 'sessions'), /172\.31\.5\.1 +eth0 +Up .* 0\.100 +0\.300/)
    const peers = JSON.parse(await frr.askBfd('show bfd peers json')) as Record<string, unknown>[]
    t.match(peers, [
      {
        peer: here.v4,
        status: 'up',
        id: toFrr.session?.remoteDiscriminator,
        'remote-id': toFrr.session?.localDiscriminator,
      },
    ])
    t.ok(toBird.session!.sourcePort >= 49152)
    t.match(await us.command('show', 'bfd'), /bird +172\.31\.5\.2 +Up +Up .* 100 ms +100 ms +300 ms/)
    t.match(await us.command('show', 'neighbors', 'bird'), /BFD: +Up/)
  })

  t.test('a frozen peer', async () => {
    await goneByBfd('bird', birdHost, () => bird.signal('SIGSTOP'))
    t.match(await us.command('show', 'errors', 'bird'), /session-reset, NOTIFICATION 6\/10 \(Cease\/BFD Down\)/)
    bird.signal('SIGCONT')
    await us.isUp(birdHost)
  })

  t.test('a peer that is cut off', async () => {
    await goneByBfd('frr', frrHost, () => segment.unplug(frrHost))
    segment.plug(frrHost)
    await us.isUp(frrHost)
  })
})
