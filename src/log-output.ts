/**
 * Where log lines go (edge): a file descriptor that may be slow, full or closed, none of which may stop or delay the daemon.
 *
 * Lines of one turn of the event loop are written together. Pipes, terminals and sockets (systemd's journal) are written without blocking,
 * so that a reader that stopped reading cannot hold the loop; what it does not take waits in a bounded queue, and beyond that lines are
 * dropped and counted. A full disk or closed pipe loses lines, and the loss is told when writing works again.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { isatty } from 'node:tty'
import { stripVTControlCharacters } from 'node:util'

const MAX_WAITING_OCTETS = 1 << 20
const RETRY_MS = 200

export class LogOutput {
  readonly isTerminal: boolean
  /** Called once when writing works again after lines were lost. */
  onRecovered: (lines: number, reason: string) => void = () => {}
  private readonly fd: number
  private readonly owned: boolean
  private waiting: Buffer[] = []
  private waitingOctets = 0
  private lost = 0
  private lostReason = ''
  private scheduled = false
  private retry: NodeJS.Timeout | null = null
  private closed = false

  constructor(fd: number) {
    this.isTerminal = isatty(fd)
    const own = reopenWithoutBlocking(fd)
    this.owned = own !== null
    this.fd = own ?? fd
    if (!this.owned) stopBlocking(fd)
  }

  write(line: string): void {
    if (this.closed) return
    if (this.waitingOctets + line.length > MAX_WAITING_OCTETS) {
      this.lost++
      this.lostReason ||= 'the reader of the log is too slow'
      return
    }
    const bytes = Buffer.from(line)
    this.waiting.push(bytes)
    this.waitingOctets += bytes.length
    if (this.scheduled || this.retry) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.flush()
    }).unref()
  }

  flush(): void {
    if (this.closed || this.waiting.length === 0) return
    const bytes = this.waiting.length === 1 ? this.waiting[0]! : Buffer.concat(this.waiting)
    const lines = this.waiting.length
    this.waiting = []
    this.waitingOctets = 0
    let done = 0
    try {
      while (done < bytes.length) done += writeSync(this.fd, bytes, done)
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException
      if (code === 'EAGAIN' || code === 'EINTR') {
        this.keep(bytes.subarray(done))
        return
      }
      this.lost += lines
      this.lostReason = REASONS[code] ?? code
      return
    }
    if (this.lost === 0) return
    const lost = this.lost
    const reason = this.lostReason
    this.lost = 0
    this.lostReason = ''
    this.onRecovered(lost, reason)
  }

  close(): void {
    this.flush()
    this.closed = true
    if (this.retry) clearTimeout(this.retry)
    if (this.owned) closeSync(this.fd)
  }

  private keep(rest: Buffer): void {
    this.waiting.unshift(rest)
    this.waitingOctets += rest.length
    if (this.retry) return
    this.retry = setTimeout(() => {
      this.retry = null
      this.flush()
    }, RETRY_MS).unref()
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the device',
  EDQUOT: 'disk quota exceeded',
  EPIPE: 'nobody reads the log (closed pipe)',
  EIO: 'input/output error',
}

/**
 * A second, non-blocking opening of a pipe or terminal (Linux), because the mode of the first is shared with other processes.
 * Null where that is not possible, or where the file is of another kind.
 */
function reopenWithoutBlocking(fd: number): number | null {
  try {
    const stat = fstatSync(fd)
    if (!stat.isFIFO() && !isatty(fd)) return null
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    return null
  }
}

/** Sockets, and pipes of another user, cannot be opened again: libuv sets the mode of what is there. The handle is kept, as it would close the descriptor. */
function stopBlocking(fd: number): void {
  try {
    const stat = fstatSync(fd)
    if (stat.isSocket() || stat.isFIFO()) KEPT.push(new Socket({ fd, readable: false, writable: true }).unref())
  } catch {
    // Written as it is.
  }
}
const KEPT: Socket[] = []

/** One pino line as a line for people: `15:04:05.123 INFO  message  peer=tor-a`. Text that came from the network cannot steer the terminal. */
export function formatLogLine(line: string, colour: boolean): string {
  let record: Record<string, unknown>
  try {
    record = JSON.parse(line) as Record<string, unknown>
  } catch {
    return line
  }
  const { level, time, msg, pid: _pid, hostname: _hostname, event, ...fields } = record
  const name = LEVELS[Number(level)] ?? String(level)
  const clock = new Date(Number(time)).toISOString().slice(11, 23)
  const message = printable(String(msg ?? ''))
  const rest = Object.entries(fields)
    .filter(([, value]) => !message.includes(String(value)))
    .map(([key, value]) => `${key}=${printable(typeof value === 'string' ? value : JSON.stringify(value))}`)
    .join(' ')
  const tail = `${event ? ` [${String(event)}]` : ''}${rest ? ` ${rest}` : ''}`
  if (!colour) return `${clock} ${name.padEnd(5)} ${message}${tail}\n`
  return `\x1b[2m${clock}\x1b[0m ${COLOURS[name] ?? ''}${name.padEnd(5)}\x1b[0m ${message}\x1b[2m${tail}\x1b[0m\n`
}

/** Control characters, escape sequences and characters that turn the writing direction are made visible or left out. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, '?')
}

const LEVELS: Readonly<Record<number, string>> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARN',
  50: 'ERROR',
  60: 'FATAL',
}
const COLOURS: Readonly<Record<string, string>> = {
  DEBUG: '\x1b[2m',
  INFO: '\x1b[32m',
  WARN: '\x1b[33m',
  ERROR: '\x1b[31m',
  FATAL: '\x1b[31m',
}
