/** What the lab prints. With `json` the progress goes to standard error, so that standard output holds nothing but the result. */

import { configFile, socketFile } from './configuration.js'
import { PROGRAM } from './daemons.js'
import { hostNamespace, speakerNamespace } from './namespaces.js'
import type { Rack, Speaker } from './plan.js'
import { type Observations, type PingResult, pingName } from './progress.js'

export interface Output {
  line(text?: string): void
}

export function makeOutput(json: boolean, onLost: () => void): Output {
  const stream = json ? process.stderr : process.stdout
  // A reader that goes away (`nodebgp lab | head`) ends the lab in the ordinary way, with everything removed.
  stream.on('error', onLost)
  return { line: (text = '') => void stream.write(`${text}\n`) }
}

export function printRack(out: Output, rack: Rack): void {
  const where =
    rack.mode === 'kernel' ? 'in network namespaces, with kernel routes' : 'on loopback addresses, with the memory FIB'
  out.line(`A rack ${where}:`)
  for (const speaker of rack.speakers) {
    const role = speaker.role === 'reflector' ? 'reflector' : `originates ${speaker.prefix}`
    out.line(`  ${speaker.name.padEnd(7)} AS ${speaker.asn}  ${speaker.address.padEnd(14)} ${role}`)
  }
  out.line()
}

/** Kernel tables (or the memory FIB) of the speakers that forward, and the pings. */
export function printTables(out: Output, rack: Rack, observations: Observations, pings: readonly PingResult[]): void {
  for (const speaker of rack.speakers.filter((one) => one.role !== 'reflector')) {
    const seen = observations.get(speaker.name)
    out.line()
    out.line(rack.mode === 'kernel' ? `Kernel of ${speaker.name}:` : `Memory FIB of ${speaker.name}:`)
    const fib = (seen?.fib ?? []).map(
      (one) => `${one.prefix} ${one.gateways.map((hop) => `via ${hop}`).join(' ') || 'blackhole'}`,
    )
    for (const text of rack.mode === 'kernel' ? (seen?.kernel ?? []) : fib) out.line(`  ${text}`)
  }
  if (pings.length > 0) out.line('\nPings:')
  for (const ping of pings) out.line(`  ${pingLine(ping)}`)
}

export function pingLine(ping: PingResult): string {
  return `${pingName(ping.expected)}: ${ping.back ? `${ping.milliseconds ?? '?'} ms` : 'no answer'}`
}

/** What to type in a second terminal. */
export function printUsage(out: Output, rack: Rack, prefix: string, folder: string): void {
  const node = firstOf(rack, 'node')
  const reflector = firstOf(rack, 'reflector')
  const far = rack.speakers.findLast((speaker) => speaker.role === 'node') ?? node
  const program = `node ${PROGRAM}`
  out.line('\nThe rack stays up. From a second terminal:')
  out.line(`  ${program} show summary --socket ${socketFile(folder, reflector)}`)
  out.line(`  ${program} explain ${far.prefix} --socket ${socketFile(folder, node)}`)
  out.line(`  ${program} neighbor rr-1 down --socket ${socketFile(folder, node)}`)
  out.line(`  ${program} check ${configFile(folder, node)}`)
  if (rack.mode === 'kernel') {
    out.line(`  ip -n ${speakerNamespace(prefix, node)} route show proto 179`)
    out.line(`  ip netns exec ${hostNamespace(prefix, node)} ping ${far.host}`)
  }
  out.line(`Configurations, sockets and logs are in ${folder}.`)
  out.line('Ctrl-C ends the lab and removes everything.\n')
}

function firstOf(rack: Rack, role: Speaker['role']): Speaker {
  const found = rack.speakers.find((speaker) => speaker.role === role)
  if (found === undefined) throw new Error(`the rack has no ${role}`)
  return found
}
