/**
 * Edge: the thread that runs BFD. It has an event loop of its own, so that no work of the daemon makes a packet late (docs/adr/0014-bfd-in-a-worker.md). Started by
 * client.ts; the name is that of the file in dist/bundle, too.
 */
import { randomBytes } from 'node:crypto'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { Requests } from './requests.js'
import { BfdSockets } from './sockets.js'
import { BfdTable } from './table.js'
import type { FromWorker, ToWorker } from './types.js'

const port = parentPort!

const sockets = new BfdSockets({
  message(octets, address, multihop) {
    table.receive(octets, { address, multihop }, performance.now())
    arm()
  },
  trouble: (text) => tell({ type: 'trouble', text }),
})
const table = new BfdTable({
  random: Math.random,
  newDiscriminator: () => randomBytes(4).readUInt32BE() || 1,
  send: (id, octets) => sockets.send(id, octets),
  changed: (id, change) => tell({ type: 'change', id, change }),
  ended(id) {
    sockets.close(id)
    if (stopping && table.size === 0) end()
  },
  checksHopLimit: sockets.checksHopLimit,
})

let timer: NodeJS.Timeout | null = null
let timerAtMs = Number.POSITIVE_INFINITY
let judging = false
let stopping = false

const requests = new Requests<ToWorker>({
  serve,
  nowMs: () => performance.now(),
  later: (call) => setImmediate(call),
})
port.on('message', (message: ToWorker) => requests.push(message))

preferred()
tell({ type: 'ready', checksHopLimit: sockets.checksHopLimit, why: sockets.why })

function serve(message: ToWorker): void {
  const nowMs = performance.now()
  switch (message.type) {
    case 'open':
      sockets.open(message.id, message.target)
      table.open(message.id, message.target, message.settings, nowMs)
      break
    case 'change':
      table.change(message.id, message.settings, nowMs)
      break
    case 'close':
      table.close(message.id, message.failed, nowMs)
      break
    case 'report': {
      const rows = table.rows(nowMs, (id) => sockets.sourcePort(id))
      tell({ type: 'report', request: message.request, rows, discards: table.discards })
      break
    }
    case 'stop':
      stop(nowMs)
      break
  }
  arm()
}

function tell(message: FromWorker): void {
  port.postMessage(message)
}

function arm(): void {
  const next = table.nextMs
  if (timer !== null) {
    // An earlier timer is left alone: it finds nothing due and arms again.
    if (timerAtMs <= next) return
    clearTimeout(timer)
    timer = null
  }
  if (next === Number.POSITIVE_INFINITY) return
  timerAtMs = next
  timer = setTimeout(fire, Math.max(0, Math.ceil(next - performance.now())))
}

/** What is due goes out first: the peers are to hear from us. Then what they sent meanwhile is read, and only then are they judged. */
function fire(): void {
  timer = null
  table.transmit(performance.now())
  if (!judging) judge()
  arm()
}

function judge(): void {
  const suspects = table.takeSuspects()
  judging = suspects !== null
  if (suspects === null) return
  readAll(READ_PASSES, () => {
    table.judge(suspects, performance.now())
    judge()
    arm()
  })
}

/** Until a pass over the sockets finds nothing more: each takes a few dozen datagrams of each socket. */
function readAll(passesLeft: number, done: () => void): void {
  const before = table.received
  // setImmediate runs after a poll phase; the second one makes sure that a whole one lies between, whatever phase called us.
  setImmediate(() =>
    setImmediate(() => {
      if (table.received === before || passesLeft === 0) done()
      else readAll(passesLeft - 1, done)
    }),
  )
}

/** AdminDown goes out now, and once more: the process does not wait for the peers' detection times. */
function stop(nowMs: number): void {
  if (stopping) return
  stopping = true
  table.closeAll(nowMs)
  setTimeout(end, STOP_MS)
}

function end(): void {
  sockets.closeAll()
  port.close()
}

/** Before the rest of the process where it may: one thread's nice value, on Linux. */
function preferred(): void {
  try {
    setPriority(0, NICE)
  } catch {
    // Needs CAP_SYS_NICE; all works without it.
  }
}

/** At a few dozen datagrams each: more than the sockets' buffers hold; a flood cannot keep us from judging. */
const READ_PASSES = 1000
const STOP_MS = 50
const NICE = -10
