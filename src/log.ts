/**
 * The log (edge): a catalogue of events with structured fields on top of pino. The core returns facts; the edges write them here.
 *
 * One line per state change of a session, with the reason in words; never a line per route at info. Facts that can repeat
 * without end (a dead peer's retries, a peer's bad updates, refused connections, kernel errors) are counted and thinned by `RepeatLimiter`.
 * Form: JSON lines as pino writes them; one readable line each on a terminal. NODEBGP_LOG_FORMAT=text|json decides otherwise.
 */

import { pino } from 'pino'
import { atExit } from './at-exit.js'
import { formatLogLine, LogOutput } from './log-output.js'
import { hostPort } from './net/host-port.js'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

/** Every event and its fields. */
export interface LogEventFields {
  'daemon-start': { version: string; nodeName: string; asn: number; routerId: string; file: string }
  'daemon-ready': { neighbors: number; tookMs: number }
  'daemon-stop': { reason: string }
  'daemon-failed': { reason: string }
  listen: { address: string; port: number }
  'connection-refused': { remote: string; reason: string }
  /** `dynamic`: the peer belongs to a range; its handshake steps are logged at debug. */
  'session-state': { peer: string; address?: string; from: string; to: string; reason: string; dynamic?: boolean }
  /** Something about a live session that an operator should know: RFC 8212, a limit that is near, a capability that is missing. */
  'session-note': { peer: string; note: string }
  /** Routes of a peer that is away are kept, or go (RFC 4724, 9494); and how our own restart goes. */
  'graceful-restart': { peer: string; note: string }
  /** Changes of BFD sessions (RFC 5880). */
  'bfd-state': { peer: string; address: string; from: string; to: string; reason: string }
  /** RFC 7606: what was done about a malformed UPDATE. */
  'session-update-error': {
    peer: string
    action: string
    rule: string
    reason: string
    /** The attribute as hex, cut at 256 octets. */
    octets?: string
    prefix?: string
    /** The whole message as hex, at most 4096 octets (RFC 7606 §6); only in JSON lines. */
    update?: string
  }
  'config-reloaded': { file: string; changes: string }
  'config-rejected': { file: string; problems: number; reason: string }
  'fib-start': { driver: string; why: string; adopted: number }
  'fib-conflict': { prefix: string; reason: string }
  'fib-failed': { prefix: string; reason: string }
  'fib-swept': { removed: number }
  'fib-trouble': { reason: string }
  'api-listen': { where: string }
  'api-action': { action: string; target: string; result: string }
  'api-error': { path: string; reason: string }
  'log-lost': { lines: number; reason: string }
  /** For the rare fact without an event of its own. */
  notice: { text: string }
  warning: { text: string }
  detail: { text: string }
}
export type LogEvent = keyof LogEventFields

export interface Log {
  readonly level: LogLevel
  write<E extends LogEvent>(event: E, fields: LogEventFields[E]): void
  /** For facts that cost something to put together. */
  enabled(level: Exclude<LogLevel, 'silent'>): boolean
  setLevel(level: LogLevel): void
  /** Everything written so far goes out now, as far as the reader takes it; never waits long. */
  flush(): void
  /** Flushes, and takes the exit handler away. */
  close(): void
}

export interface LogOptions {
  /** File descriptor; 1 by default. */
  readonly fd?: number
  readonly format?: 'text' | 'json'
  /** Monotonic clock in ms, for the limiter. */
  readonly nowMs?: () => number
}

export function createLogger(level: LogLevel, options: LogOptions = {}): Log {
  const fd = options.fd ?? 1
  const nowMs = options.nowMs ?? (() => performance.now())
  const output = new LogOutput(fd)
  const text = (options.format ?? chosenFormat(output.isTerminal)) === 'text'
  const colour = text && output.isTerminal && !process.env['NO_COLOR']
  const sink = { write: (line: string) => output.write(text ? formatLogLine(line, colour) : line) }
  const logger = pino({ level }, sink)
  const limiter = new RepeatLimiter({ burst: 5, intervalMs: 60_000, maxKeys: 4096 })
  output.onRecovered = (lines, reason) => write('log-lost', { lines, reason })
  const forget = atExit(() => output.flush())

  function write<E extends LogEvent>(event: E, fields: LogEventFields[E]): void {
    const row: EventRow<E> = EVENTS[event]
    const at = typeof row.level === 'string' ? row.level : row.level(fields)
    if (!logger.isLevelEnabled(at)) return
    const key = row.limitBy?.(fields)
    const repeated = key === undefined ? 0 : limiter.take(`${event} ${key}`, nowMs())
    if (repeated < 0) return
    const message = row.text(fields) + (repeated > 0 ? ` (and ${repeated} more like this since the last line)` : '')
    const record: Record<string, unknown> = { event, ...fields }
    if (repeated > 0) record['repeated'] = repeated
    logger[at](record, message)
  }

  return {
    get level() {
      return logger.level as LogLevel
    },
    write,
    enabled: (wanted) => logger.isLevelEnabled(wanted),
    setLevel: (wanted) => {
      logger.level = wanted
    },
    flush: () => output.flush(),
    close: () => {
      output.close()
      forget()
    },
  }
}

/** A log that says nothing, for tests and tools. */
export const silentLog: Log = Object.freeze({
  level: 'silent',
  write: () => {},
  enabled: () => false,
  setLevel: () => {},
  flush: () => {},
  close: () => {},
})

/**
 * Thins facts that repeat: `burst` of one key per interval pass, the rest is counted and told with the next one that passes.
 * Keys are bounded: with too many of them the oldest are forgotten.
 */
export class RepeatLimiter {
  private readonly seen = new Map<string, { startMs: number; passed: number; held: number }>()
  private readonly burst: number
  private readonly intervalMs: number
  private readonly maxKeys: number

  constructor(options: { readonly burst: number; readonly intervalMs: number; readonly maxKeys: number }) {
    this.burst = options.burst
    this.intervalMs = options.intervalMs
    this.maxKeys = options.maxKeys
  }

  /** -1: leave it out. Otherwise how many were left out since the last one that passed. */
  take(key: string, nowMs: number): number {
    const entry = this.seen.get(key)
    if (!entry || nowMs - entry.startMs >= this.intervalMs) {
      // Deleted first, so that the map's order is the order of age.
      this.seen.delete(key)
      this.seen.set(key, { startMs: nowMs, passed: 1, held: 0 })
      if (this.seen.size > this.maxKeys) this.seen.delete(this.seen.keys().next().value!)
      return entry?.held ?? 0
    }
    if (entry.passed < this.burst) {
      entry.passed++
      return 0
    }
    entry.held++
    return -1
  }

  get size(): number {
    return this.seen.size
  }
}

type WrittenLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'
interface EventRow<E extends LogEvent> {
  readonly level: WrittenLevel | ((fields: LogEventFields[E]) => WrittenLevel)
  readonly text: (fields: LogEventFields[E]) => string
  /** What makes two facts the same one; absent: every one is written. */
  readonly limitBy?: (fields: LogEventFields[E]) => string | undefined
}

const EVENTS: { readonly [E in LogEvent]: EventRow<E> } = {
  'daemon-start': {
    level: 'info',
    text: (f) => `nodebgp ${f.version} starts: ${f.nodeName}, AS ${f.asn}, router id ${f.routerId}, from ${f.file}`,
  },
  'daemon-ready': {
    level: 'info',
    text: (f) =>
      `started with ${f.neighbors === 1 ? '1 neighbour' : `${f.neighbors} neighbours`} in ${Math.round(f.tookMs)} ms`,
  },
  'daemon-stop': { level: 'info', text: (f) => `stopping: ${f.reason}` },
  'daemon-failed': { level: 'fatal', text: (f) => f.reason },
  listen: { level: 'info', text: (f) => `listening for BGP on ${hostPort(f.address, f.port)}` },
  'connection-refused': {
    level: 'info',
    text: (f) => `connection from ${f.remote} refused: ${f.reason}`,
    limitBy: (f) => f.remote,
  },
  'session-state': {
    level: sessionLevel,
    text: (f) => `${f.peer}: ${f.from} to ${f.to}: ${f.reason}`,
    // The comings and goings of a session are always told; the retries towards a dead peer are the same line again and again.
    limitBy: (f) =>
      f.from === 'Established' || f.to === 'Established' ? undefined : `${f.peer} ${f.from} ${f.to} ${f.reason}`,
  },
  'session-note': { level: 'warn', text: (f) => `${f.peer}: ${f.note}`, limitBy: (f) => `${f.peer} ${f.note}` },
  'graceful-restart': { level: 'info', text: (f) => `${f.peer} ${f.note}` },
  'bfd-state': {
    level: (f) => (f.from === 'Up' ? 'warn' : 'info'),
    text: (f) => `${f.peer}: BFD ${f.from} to ${f.to}: ${f.reason}`,
    // A peer may go up and down by AdminDown as fast as packets come: BGP, whose losses are always told, does not end for that.
    limitBy: (f) => `${f.peer} ${f.from} ${f.to}`,
  },
  'session-update-error': {
    level: 'warn',
    text: (f) =>
      `${f.peer}: wrong UPDATE${f.prefix ? ` for ${f.prefix}` : ''}: ${f.reason}${f.rule ? ` (${f.rule})` : ''}: ${f.action}${f.octets ? `; octets ${f.octets}` : ''}`,
    limitBy: (f) => `${f.peer} ${f.action} ${f.rule}`,
  },
  'config-reloaded': { level: 'info', text: (f) => `configuration ${f.file} applied: ${f.changes}` },
  'config-rejected': {
    level: 'error',
    text: (f) => `configuration ${f.file} not applied, the old one stays: ${f.reason}`,
  },
  'fib-start': {
    level: 'info',
    text: (f) =>
      `kernel routes by driver ${f.driver}${f.why === '' ? '' : ` (${f.why})`}, ${f.adopted} adopted from an earlier run`,
  },
  'fib-conflict': { level: 'warn', text: (f) => `kernel route ${f.prefix}: ${f.reason}`, limitBy: () => '' },
  'fib-failed': {
    level: 'error',
    text: (f) => `${f.prefix} not installed: ${f.reason}`,
    limitBy: (f) => f.reason.split(';', 1)[0]!,
  },
  'fib-swept': {
    level: 'info',
    text: (f) =>
      f.removed === 0
        ? 'no route of an earlier run is left unconfirmed in the kernel'
        : `${f.removed} routes of an earlier run removed from the kernel: nobody confirmed them`,
  },
  'fib-trouble': { level: 'error', text: (f) => f.reason, limitBy: (f) => f.reason },
  'api-listen': { level: 'info', text: (f) => `API on ${f.where}` },
  'api-action': { level: 'info', text: (f) => `${f.action}${f.target ? ` ${f.target}` : ''}: ${f.result}` },
  'api-error': {
    level: 'error',
    text: (f) => `request ${f.path} failed inside: ${f.reason}`,
    limitBy: (f) => f.reason,
  },
  'log-lost': { level: 'warn', text: (f) => `${f.lines} log lines were lost: ${f.reason}` },
  notice: { level: 'info', text: (f) => f.text, limitBy: (f) => f.text },
  warning: { level: 'warn', text: (f) => f.text, limitBy: (f) => f.text },
  detail: { level: 'debug', text: (f) => f.text },
}

/** Lost sessions warn; the steps of a handshake are of interest for the few configured peers, not for thousands of dynamic ones, unless it fails by an error. */
function sessionLevel(f: LogEventFields['session-state']): WrittenLevel {
  if (f.from === 'Established') return 'warn'
  if (f.to === 'Established') return 'info'
  if (!f.dynamic) return 'info'
  // Idle: it pays for a protocol error. Without a word of it nobody would know why a node does not come up.
  return f.to === 'Idle' ? 'warn' : 'debug'
}

function chosenFormat(terminal: boolean): 'text' | 'json' {
  const wanted = process.env['NODEBGP_LOG_FORMAT']
  if (wanted === 'text' || wanted === 'json') return wanted
  return terminal ? 'text' : 'json'
}
