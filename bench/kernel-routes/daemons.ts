/**
 * The daemons under test, as their operators would configure them for one plain session whose routes go to the kernel: no policies, a hold time of 90 s, logs of
 * errors only. The neighbour opens the session.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Process } from '../../test/support/daemons/process.js'
import { whatIsMissing } from '../../test/support/require.js'
import { until } from '../../test/support/wait.js'
import { LOOP_FILE } from './loop-delay.js'
import type { DaemonKind, LoopDelay } from './types.js'

/** Where a daemon runs, and whom it talks to. */
export interface Place {
  readonly netns: string
  /** A folder of its own. */
  readonly dir: string
  readonly device: string
  readonly address: string
  readonly neighbour: string
  readonly asn: number
  /** nodebgp's main file. */
  readonly program: string
}

export interface Daemon {
  /** The one that talks BGP first. */
  readonly processes: readonly Process[]
  /** What the event loop did since the last call; null where there is none of ours. */
  loopDelay(): Promise<LoopDelay | null>
}

export const DAEMON_NAMES: Readonly<Record<DaemonKind, string>> = { nodebgp: 'nodebgp', bird: 'BIRD', frr: 'FRR' }

/** Why the daemon cannot be measured here, with the command that helps; empty where it can. */
export function daemonMissing(kind: DaemonKind, program: string): string {
  if (kind === 'bird') return whatIsMissing({ commands: ['bird'], packages: ['bird2'] })
  if (kind === 'frr') {
    return whatIsMissing({ commands: ['/usr/lib/frr/bgpd', '/usr/lib/frr/zebra'], packages: ['frr'] })
  }
  return existsSync(program) ? '' : `${program} is not there: npm run build`
}

/** What the daemon calls itself: `BIRD version 2.0.12`. */
export function daemonVersion(kind: DaemonKind, program: string): string {
  const [command, ...args] = VERSION_COMMANDS[kind](program)
  const { stdout, stderr } = spawnSync(command!, args, { encoding: 'utf8' })
  return `${stdout}${stderr}`.split('\n')[0]!.trim()
}

export async function startDaemon(kind: DaemonKind, place: Place): Promise<Daemon> {
  if (kind === 'bird') return startBird(place)
  return kind === 'frr' ? startFrr(place) : startNodebgp(place)
}

function startNodebgp({ netns, dir, address, neighbour, asn, program }: Place): Daemon {
  const file = join(dir, 'bgp.yaml')
  const loopFile = join(dir, 'loop.json')
  writeFileSync(loopFile, '')
  writeFileSync(
    file,
    `asn: ${asn}
routerId: ${address}
listen: [{ address: ${address}, port: 179 }]
log: { level: warn }
api: { socket: ${join(dir, 'n.sock')} }
neighbors:
  - { name: sender, address: ${neighbour}, asn: ${asn}, passive: true, holdTime: 90s }
fib: { driver: netlink, accept: ["0.0.0.0/0"] }
`,
  )
  const hook = new URL('./loop-delay.js', import.meta.url).href
  const args = ['--import', hook, program, 'run', '-c', file]
  const daemon = new Process(netns, join(dir, 'out.log'), process.execPath, args, { [LOOP_FILE]: loopFile })
  let taken = 0
  return {
    processes: [daemon],
    async loopDelay() {
      const before = taken
      daemon.signal('SIGUSR2')
      const end = performance.now() + LOOP_LIMIT_MS
      for (;;) {
        const lines = readFileSync(loopFile, 'utf8').split('\n')
        taken = lines.length - 1
        if (taken > before) return JSON.parse(lines[taken - 1]!) as LoopDelay
        daemon.mustRun()
        if (performance.now() > end) throw new Error(`nodebgp did not answer SIGUSR2 within ${LOOP_LIMIT_MS / 1000} s`)
        await pause(1)
      }
    },
  }
}

/** `multihop`: next hops are looked up, as between nodes; here over the connected network of the device. */
function startBird({ netns, dir, device, address, neighbour, asn }: Place): Daemon {
  const file = join(dir, 'bird.conf')
  writeFileSync(
    file,
    `log "${join(dir, 'bird.log')}" { error, fatal, bug };
router id ${address};
protocol device { scan time 60; }
protocol direct { ipv4; interface "${device}"; }
protocol kernel { scan time 600; ipv4 { import none; export where source = RTS_BGP; }; }
protocol bgp sender {
  local ${address} port 179 as ${asn};
  neighbor ${neighbour} as ${asn};
  multihop; passive on; hold time 90;
  ipv4 { import all; export where source = RTS_BGP; };
}
`,
  )
  const args = ['-f', '-c', file, '-s', join(dir, 'bird.ctl'), '-P', join(dir, 'bird.pid')]
  return { processes: [new Process(netns, join(dir, 'out.log'), 'bird', args)], loopDelay: nothing }
}

async function startFrr({ netns, dir, address, neighbour, asn }: Place): Promise<Daemon> {
  const log = join(dir, 'out.log')
  const folder = join(dir, 'zebra')
  const socket = join(folder, 'z.api')
  // zebra gives up root for the user frr, which has to write here.
  mkdirSync(folder)
  chmodSync(folder, 0o777)
  const common = ['--vty_socket', folder, '-P', '0', '-z', socket]
  const zebra = new Process(netns, log, '/usr/lib/frr/zebra', [
    ...['-f', '/dev/null', '-i', join(folder, 'z.pid')],
    ...common,
  ])
  await until('zebra has its socket', () => zebra.mustRun() ?? existsSync(socket))
  const file = join(dir, 'bgpd.conf')
  writeFileSync(
    file,
    `log file ${join(dir, 'bgpd.log')} errors
router bgp ${asn}
 bgp router-id ${address}
 no bgp ebgp-requires-policy
 no bgp network import-check
 coalesce-time 0
 neighbor ${neighbour} remote-as ${asn}
 neighbor ${neighbour} passive
 neighbor ${neighbour} timers 30 90
 address-family ipv4 unicast
  neighbor ${neighbour} activate
 exit-address-family
`,
  )
  const bgpd = new Process(netns, log, '/usr/lib/frr/bgpd', [
    ...['-f', file, '-i', join(dir, 'bgpd.pid'), '-p', '179', '-l', address, '-S', '-u', 'root', '-g', 'root'],
    ...common,
  ])
  return { processes: [bgpd, zebra], loopDelay: nothing }
}

async function nothing(): Promise<null> {
  return null
}

const VERSION_COMMANDS: Readonly<Record<DaemonKind, (program: string) => readonly string[]>> = {
  nodebgp: (program) => [process.execPath, program, '--version'],
  bird: () => ['bird', '--version'],
  frr: () => ['/usr/lib/frr/bgpd', '--version'],
}
const LOOP_LIMIT_MS = 20_000
