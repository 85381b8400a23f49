/**
 * Edge: which encapsulations this kernel has, found by trying them in a namespace of the lab.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { findSys } from '../sys/sys.js'

export const LAB_ENCAPSULATIONS = ['never', 'ipip', 'ipip-cross-subnet', 'vxlan', 'vxlan-cross-subnet', 'udp'] as const
export type LabEncapsulation = (typeof LAB_ENCAPSULATIONS)[number]

export interface Modes {
  readonly possible: readonly LabEncapsulation[]
  /** `ipip: the kernel has no module ipip`. */
  readonly impossible: readonly string[]
}

/** `namespace`: one that is removed later, with what is tried in it. */
export function findModes(namespace: string): Modes {
  const reasons = {
    ipip: tryDevice(namespace, 'ipip', 'type ipip local 192.0.2.1 remote 192.0.2.2'),
    vxlan: tryDevice(namespace, 'vxlan', 'type vxlan id 1 dstport 8472'),
    udp: tryTun(),
  }
  const kindOf = (mode: string): keyof typeof reasons => mode.split('-')[0] as keyof typeof reasons
  return {
    possible: LAB_ENCAPSULATIONS.filter((mode) => mode === 'never' || reasons[kindOf(mode)] === null),
    impossible: Object.entries(reasons).flatMap(([kind, reason]) => (reason === null ? [] : [`${kind}: ${reason}`])),
  }
}

/** What is said where the mode that was asked for is not possible. */
export function explainImpossible(mode: LabEncapsulation, modes: Modes): string {
  return `This kernel cannot do --encapsulation ${mode}. ${explainModes(modes)}`
}

export function explainModes({ possible, impossible }: Modes): string {
  const not = impossible.length === 0 ? '' : ` Not possible here: ${impossible.join('; ')}.`
  return `Possible here: ${possible.join(', ')}.${not}`
}

function tryDevice(namespace: string, module: string, words: string): string | null {
  const args = ['-n', namespace, 'link', 'add', PROBE, ...words.split(' ')]
  const made = spawnSync('ip', args, { encoding: 'utf8' })
  if (made.status === 0) {
    spawnSync('ip', ['-n', namespace, 'link', 'delete', PROBE], { stdio: 'ignore' })
    return null
  }
  const unknown = /Unknown device type|not supported/i.test(made.stderr)
  return unknown ? `the kernel has no module ${module} (modprobe ${module})` : made.stderr.trim()
}

function tryTun(): string | null {
  const found = findSys()
  if (found.sys === null) return `nothing provides the system calls (${found.why})`
  try {
    closeSync(openSync('/dev/net/tun', 'r+'))
    return null
  } catch (error) {
    return `/dev/net/tun cannot be opened: ${(error as Error).message.split(',')[0]}`
  }
}

const PROBE = 'nodebgp-probe'
