/**
 * Values that pass between the BFD session, the worker thread that runs it, and the daemon.
 */

/** RFC 5880 §4.1. The number on the wire is the index. */
export const BFD_STATES = Object.freeze(['AdminDown', 'Down', 'Init', 'Up'] as const)
export type BfdState = (typeof BFD_STATES)[number]

/** RFC 5880 §4.1. */
export const Diagnostic = Object.freeze({
  NONE: 0,
  DETECTION_TIME_EXPIRED: 1,
  NEIGHBOR_SIGNALED_DOWN: 3,
  ADMINISTRATIVELY_DOWN: 7,
})

const DIAGNOSTIC_TEXTS: readonly string[] = Object.freeze([
  'none',
  'control detection time expired',
  'echo function failed',
  'neighbor signaled session down',
  'forwarding plane reset',
  'path down',
  'concatenated path down',
  'administratively down',
  'reverse concatenated path down',
  'mis-connectivity defect',
])

/** In words; numbers that IANA has not given yet as they are. */
export function diagnosticText(diagnostic: number): string {
  return DIAGNOSTIC_TEXTS[diagnostic] ?? `diagnostic ${diagnostic}`
}

/** What we want of a session. Milliseconds. */
export interface BfdSettings {
  /** Desired Min TX Interval while Up. */
  readonly transmitMs: number
  /** Required Min RX Interval. */
  readonly receiveMs: number
  /** Detect Mult: so many of our packets may be lost. */
  readonly multiplier: number
}

export interface BfdTarget {
  /** Canonical text; a link-local address carries its zone. */
  readonly address: string
  readonly localAddress: string
  /** RFC 5883: over routers, port 4784, any hop limit. Else RFC 5881: one hop, port 3784, hop limit 255. */
  readonly multihop: boolean
}

/** One change of state. `silentMs`: time since the last packet of the peer; null: none came. */
export interface BfdChange {
  readonly from: BfdState
  readonly to: BfdState
  readonly remoteState: BfdState
  readonly diagnostic: number
  readonly remoteDiagnostic: number
  readonly silentMs: number | null
  /** Of the session when it changed. */
  readonly detectionMs: number
}

/** All there is to know of a session, for views. */
export interface BfdRow extends BfdTarget {
  readonly id: number
  readonly state: BfdState
  readonly remoteState: BfdState
  readonly localDiscriminator: number
  /** 0: unknown. */
  readonly remoteDiscriminator: number
  readonly diagnostic: number
  readonly remoteDiagnostic: number
  /** Our multiplier, and the peer's (0: unknown). */
  readonly multiplier: number
  readonly remoteMultiplier: number
  /** What both sides agreed on: we send every `transmitMs` (less the jitter; null: not at all), the peer every `receiveMs`. */
  readonly transmitMs: number | null
  readonly receiveMs: number
  /** After so much silence the peer is gone; 0: not known yet. */
  readonly detectionMs: number
  /** The peer's control plane and its BFD live apart (C bit). */
  readonly remoteIndependent: boolean
  readonly polling: boolean
  readonly stateSeconds: number
  /** Times that it came up, and went down after that. */
  readonly ups: number
  readonly downs: number
  readonly packetsReceived: number
  readonly packetsSent: number
  /** Judged late, because this program was not running, and let off once. */
  readonly lateWakes: number
  readonly sourcePort: number
}

/** Packets thrown away, by why (RFC 5880 §6.8.6). */
export type BfdDiscards = Readonly<Record<string, number>>

export type ToWorker =
  | { readonly type: 'open'; readonly id: number; readonly target: BfdTarget; readonly settings: BfdSettings }
  | { readonly type: 'change'; readonly id: number; readonly settings: BfdSettings }
  /** `failed`: the peer goes on hearing that we are Down; else that we are AdminDown, which is no failure (RFC 5882 §3.2). */
  | { readonly type: 'close'; readonly id: number; readonly failed: boolean }
  | { readonly type: 'report'; readonly request: number }
  /** AdminDown to all, and the end of the thread. */
  | { readonly type: 'stop' }

export type FromWorker =
  /** `checksHopLimit`: packets of other hop limits than 255 are kept out by the kernel; else `why` not. */
  | { readonly type: 'ready'; readonly checksHopLimit: boolean; readonly why: string }
  | { readonly type: 'change'; readonly id: number; readonly change: BfdChange }
  | {
      readonly type: 'report'
      readonly request: number
      readonly rows: readonly BfdRow[]
      readonly discards: BfdDiscards
    }
  | { readonly type: 'trouble'; readonly text: string }
