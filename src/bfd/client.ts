/**
 * Edge: the daemon's side of the BFD thread. The thread is started with the first session: a daemon without BFD pays nothing for it. When it fails, it is started
 * again with all sessions, and no peer is called down for that.
 */
import { Worker } from 'node:worker_threads'
import type { BfdChange, BfdDiscards, BfdRow, BfdSettings, BfdTarget, FromWorker, ToWorker } from './types.js'

export interface BfdEvents {
  readonly changed: (id: number, change: BfdChange) => void
  /** The thread has failed: all sessions begin anew, Down. */
  readonly restarted: () => void
  /** Hop limits cannot be looked at, and why. Once for each start of the thread. */
  readonly unchecked: (why: string) => void
  /** One line for the operator. */
  readonly trouble: (text: string) => void
}

export interface BfdReport {
  /** Null: the thread does not run, or does not answer. */
  readonly checksHopLimit: boolean | null
  readonly rows: readonly BfdRow[]
  readonly discards: BfdDiscards
}

interface Opened {
  readonly target: BfdTarget
  settings: BfdSettings
}

export class BfdClient {
  readonly #events: BfdEvents
  readonly #sessions = new Map<number, Opened>()
  readonly #reports = new Map<number, (report: BfdReport) => void>()
  #worker: Worker | null = null
  #checksHopLimit: boolean | null = null
  #nextId = 1
  #nextReport = 1
  #stopped = false
  #restart: NodeJS.Timeout | null = null

  constructor(events: BfdEvents) {
    this.#events = events
  }

  /** The number that the session is known by from then on. */
  open(target: BfdTarget, settings: BfdSettings): number {
    const id = this.#nextId++
    this.#sessions.set(id, { target, settings })
    if (this.#worker === null && this.#restart === null) this.#start()
    else this.#tell({ type: 'open', id, target, settings })
    return id
  }

  change(id: number, settings: BfdSettings): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    session.settings = settings
    this.#tell({ type: 'change', id, settings })
  }

  /** `failed`: the session had gone down; else its end is no failure, and the peer is told so. */
  close(id: number, failed: boolean): void {
    if (this.#sessions.delete(id)) this.#tell({ type: 'close', id, failed })
  }

  report(): Promise<BfdReport> {
    if (this.#worker === null) return Promise.resolve(NO_REPORT)
    const request = this.#nextReport++
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#reports.get(request)?.(NO_REPORT), REPORT_MS)
      this.#reports.set(request, (report) => {
        clearTimeout(timer)
        this.#reports.delete(request)
        resolve(report)
      })
      this.#tell({ type: 'report', request })
    })
  }

  /** All peers hear AdminDown. Resolves when the thread has ended. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#sessions.clear()
    if (this.#restart !== null) clearTimeout(this.#restart)
    const worker = this.#worker
    if (worker === null) return
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    this.#tell({ type: 'stop' })
    const timer = setTimeout(() => void worker.terminate(), STOP_LIMIT_MS)
    await ended
    clearTimeout(timer)
  }

  #start(): void {
    this.#restart = null
    // Beside this file, in dist/src/bfd and in dist/bundle.
    const worker = new Worker(new URL('./bfd-worker.js', import.meta.url), {
      name: 'bfd',
      argv: [],
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 },
    })
    this.#worker = worker
    let why = ''
    worker.on('message', (message: FromWorker) => this.#received(message))
    worker.on('error', (error) => {
      why = error.message
    })
    worker.on('exit', (code) => this.#exited(worker, why || `exit code ${code}`))
    for (const [id, { target, settings }] of this.#sessions) this.#tell({ type: 'open', id, target, settings })
  }

  #exited(worker: Worker, why: string): void {
    if (this.#worker !== worker) return
    this.#worker = null
    this.#checksHopLimit = null
    for (const answer of [...this.#reports.values()]) answer(NO_REPORT)
    if (this.#stopped) return
    this.#events.restarted()
    this.#events.trouble(`the BFD thread has ended (${why}); it is started again`)
    this.#restart = setTimeout(() => this.#start(), RESTART_MS)
  }

  #tell(message: ToWorker): void {
    this.#worker?.postMessage(message)
  }

  #received(message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        this.#checksHopLimit = message.checksHopLimit
        if (!message.checksHopLimit) this.#events.unchecked(message.why)
        return
      case 'change':
        // Closed by us meanwhile: of no interest any more.
        if (this.#sessions.has(message.id)) this.#events.changed(message.id, message.change)
        return
      case 'report': {
        const { rows, discards } = message
        this.#reports.get(message.request)?.({ checksHopLimit: this.#checksHopLimit, rows, discards })
        return
      }
      case 'trouble':
        this.#events.trouble(message.text)
        return
    }
  }
}

const NO_REPORT: BfdReport = Object.freeze({ checksHopLimit: null, rows: [], discards: {} })
const REPORT_MS = 2000
const RESTART_MS = 1000
const STOP_LIMIT_MS = 1000
