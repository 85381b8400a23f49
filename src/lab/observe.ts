/** Edge: what every speaker of the rack knows right now, asked over its API and read from the kernel of its namespace. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { PathView, SummaryView } from '../api/types.js'
import { Client } from '../cli/client.js'
import type { FibEntry } from '../fib/types.js'
import { socketFile } from './configuration.js'
import { hostNamespace, speakerNamespace } from './namespaces.js'
import type { ExpectedPing, Rack, Speaker } from './plan.js'
import type { Observation, PingResult } from './progress.js'

const run = promisify(execFile)

/** One speaker. `answers: false` when its daemon does not answer. */
export async function observe(rack: Rack, speaker: Speaker, prefix: string, folder: string): Promise<Observation> {
  const daemon = new Client({ socket: socketFile(folder, speaker), from: '--socket' })
  try {
    const [summary, paths, fib, kernel] = await Promise.all([
      daemon.get<SummaryView>('/v1/summary'),
      daemon.get<PathView[]>('/v1/rib?best=true'),
      daemon.get<FibEntry[]>('/v1/fib'),
      rack.mode === 'kernel' ? kernelRoutes(speakerNamespace(prefix, speaker)) : [],
    ])
    return {
      answers: true,
      sessions: summary.peers
        .filter((peer) => !peer.range)
        .map((peer) => ({ address: peer.address, state: peer.stateText, reason: peer.lastReason })),
      routes: paths.map((path) => ({ prefix: path.prefix, nextHop: path.nextHop, from: path.from })),
      fib: fib.map((entry) => ({
        prefix: entry.prefix,
        installed: entry.state === 'installed',
        gateways: entry.hops.map((hop) => hop.gateway ?? ''),
        reason: entry.reason,
      })),
      kernel,
    }
  } catch {
    return { answers: false, sessions: [], routes: [], fib: [], kernel: [] }
  }
}

/** Three echo requests; all have to come back. */
export async function ping(prefix: string, expected: ExpectedPing): Promise<PingResult> {
  const args = [
    'netns',
    'exec',
    hostNamespace(prefix, expected.from),
    'ping',
    '-n',
    '-q',
    '-c',
    '3',
    '-i',
    '0.2',
    '-W',
    '1',
  ]
  try {
    const { stdout } = await run('ip', [...args, expected.address])
    const milliseconds = /= [\d.]+\/([\d.]+)\//.exec(stdout)?.[1]
    const back = / 0% packet loss/.test(stdout)
    return { expected, back, milliseconds: milliseconds === undefined ? null : Number(milliseconds) }
  } catch {
    return { expected, back: false, milliseconds: null }
  }
}

/** Lines of `ip route` for the routes that carry our protocol number. */
async function kernelRoutes(namespace: string): Promise<string[]> {
  const { stdout } = await run('ip', ['-n', namespace, 'route', 'show', 'proto', '179'])
  return stdout
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
