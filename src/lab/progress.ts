/**
 * What is missing until the rack works, and what has changed since the last look, as lines for people. Pure: observations in, text out.
 */
import {
  type ExpectedPing,
  expectedHop,
  expectedPings,
  expectedRoutes,
  peersOf,
  type Rack,
  type Speaker,
} from './plan.js'

/** What one speaker shows. */
export interface Observation {
  readonly answers: boolean
  readonly sessions: readonly { readonly address: string; readonly state: string; readonly reason: string }[]
  /** Best paths. */
  readonly routes: readonly { readonly prefix: string; readonly nextHop: string | null; readonly from: string }[]
  readonly fib: readonly {
    readonly prefix: string
    readonly installed: boolean
    readonly gateways: readonly string[]
    readonly reason: string
  }[]
  /** Lines of `ip route` in its namespace; empty on loopback. */
  readonly kernel: readonly string[]
}
export interface PingResult {
  readonly expected: ExpectedPing
  readonly back: boolean
  /** Mean round trip. */
  readonly milliseconds: number | null
}
/** By name of the speaker. */
export type Observations = ReadonlyMap<string, Observation>

/** Sessions, routes and kernel routes that are not there yet; empty when the rack has converged. */
export function missingRoutes(rack: Rack, observations: Observations): readonly string[] {
  return rack.speakers.flatMap((speaker) => {
    const seen = observations.get(speaker.name)
    if (seen === undefined || !seen.answers) return [`${speaker.name}: the daemon does not answer`]
    return [...missingSessions(rack, speaker, seen), ...missingForSpeaker(rack, speaker, seen)]
  })
}

/** Pings that were not tried or did not all come back. */
export function missingPings(rack: Rack, results: readonly PingResult[]): readonly string[] {
  const isBack = (wanted: ExpectedPing): boolean =>
    results.some((one) => one.back && one.expected.from === wanted.from && one.expected.to === wanted.to)
  return expectedPings(rack)
    .filter((wanted) => !isBack(wanted))
    .map((wanted) => `ping ${pingName(wanted)}: no answer`)
}

/** One line per session, route and kernel route that came, changed or went. */
export function changes(rack: Rack, before: Observations, after: Observations): readonly string[] {
  return rack.speakers.flatMap((speaker) => {
    const old = facts(rack, before.get(speaker.name))
    const now = facts(rack, after.get(speaker.name))
    const came = [...now]
      .filter(([fact, text]) => old.get(fact) !== text)
      .map(([fact, text]) => line(speaker, fact, text))
    const went = [...old.keys()].filter((fact) => !now.has(fact)).map((fact) => line(speaker, fact, 'gone'))
    return [...came, ...went]
  })
}

export function pingName(ping: ExpectedPing): string {
  return `${hostName(ping.from)} -> ${hostName(ping.to)} ${ping.address}`
}

function missingSessions(rack: Rack, speaker: Speaker, seen: Observation): string[] {
  return peersOf(rack, speaker).flatMap((peer) => {
    const session = seen.sessions.find((one) => one.address === peer.address)
    if (session?.state === 'Established') return []
    const why = session?.reason ? ` (${session.reason})` : ''
    return [`${speaker.name}: session with ${peer.name} is ${session?.state ?? 'not there'}${why}`]
  })
}

function missingForSpeaker(rack: Rack, speaker: Speaker, seen: Observation): string[] {
  return expectedRoutes(rack, speaker).flatMap((expected) => {
    const { prefix, nextHop } = expected
    const [gateway, device] = expectedHop(rack, speaker, expected)
    const route = seen.routes.find((one) => one.prefix === prefix)
    if (route === undefined) return [`${speaker.name}: no route to ${prefix}`]
    if (route.nextHop !== nextHop) return [`${speaker.name}: ${prefix} has next hop ${route.nextHop}, not ${nextHop}`]
    const entry = seen.fib.find((one) => one.prefix === prefix)
    if (entry === undefined || !entry.installed || !entry.gateways.includes(gateway)) {
      return [`${speaker.name}: ${prefix} is not in the FIB${entry?.reason ? `: ${entry.reason}` : ''}`]
    }
    const written = gateway === '' ? `${prefix} dev ${device}` : `${prefix} via ${gateway} dev ${device}`
    if (rack.mode === 'kernel' && !seen.kernel.some((text) => `${text} `.startsWith(`${written} `))) {
      return [`${speaker.name}: the kernel has no route ${written}`]
    }
    return []
  })
}

/** Key and text of everything worth a line. */
function facts(rack: Rack, seen: Observation | undefined): Map<string, string> {
  const found = new Map<string, string>()
  if (seen === undefined) return found
  for (const session of seen.sessions) {
    const peer = rack.speakers.find((speaker) => speaker.address === session.address)?.name ?? session.address
    // States on the way up follow each other too quickly to be of interest.
    if (session.state === 'Established') found.set(`session with ${peer}`, 'Established')
  }
  for (const route of seen.routes) {
    if (route.from !== 'local') found.set(`route ${route.prefix}`, `via ${route.nextHop} from ${route.from}`)
  }
  if (rack.mode === 'kernel') {
    for (const text of seen.kernel) {
      const [first = '', second = '', ...rest] = text.split(/\s+/)
      const blackhole = first === 'blackhole'
      found.set(`kernel ${blackhole ? second : first}`, blackhole ? 'blackhole' : [second, ...rest].join(' '))
    }
  } else {
    for (const entry of seen.fib) {
      if (entry.installed) found.set(`fib ${entry.prefix}`, entry.gateways.join(' ') || 'blackhole')
    }
  }
  return found
}

function line(speaker: Speaker, fact: string, text: string): string {
  const [kind = '', ...rest] = fact.split(' ')
  return `${kind.padEnd(8)} ${speaker.name.padEnd(7)} ${rest.join(' ')} ${kind === 'session' ? `is ${text}` : text}`
}

function hostName(speaker: Speaker): string {
  return speaker.role === 'node' ? speaker.name.replace('node', 'pod') : speaker.name
}
