/** The sender as its parent sees it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Netns } from '../../test/support/netns.js'
import { GaveUp } from '../../test/support/wait.js'
import type { SenderAnswer, SenderPlan } from './sender.js'
import type { Phase } from './types.js'

const PROGRAM = fileURLToPath(new URL('./sender.js', import.meta.url))

export class SenderSession {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #failure: string | null = null
  #waiting: { resolve(answer: SenderAnswer): void; reject(error: Error): void } | null = null

  constructor(netns: Netns, plan: SenderPlan) {
    const [command, ...args] = netns.execPrefix
    this.#child = spawn(command!, [...args, process.execPath, PROGRAM, JSON.stringify(plan)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#child.on('message', (answer: SenderAnswer) => this.#take(answer))
    this.#ended = new Promise((resolve) => {
      const end = (text: string): void => {
        this.#take({ type: 'failed', text })
        resolve()
      }
      this.#child.once('exit', (code) => end(`the sender has ended with code ${code}`))
      this.#child.once('error', (error) => end(error.message))
    })
  }

  async established(): Promise<void> {
    await this.#answer()
  }

  /** Sends what belongs to the phase. Returns when that began, as `process.hrtime.bigint()` would have told. */
  async send(phase: Phase): Promise<bigint> {
    const answer = this.#answer()
    this.#child.send(phase)
    const sent = await answer
    return BigInt((sent as { startNs: string }).startNs)
  }

  mustRun(): void {
    if (this.#failure !== null) throw new GaveUp(`the session of the sender is over: ${this.#failure}`)
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  #answer(): Promise<SenderAnswer> {
    this.mustRun()
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  #take(answer: SenderAnswer): void {
    const waiting = this.#waiting
    this.#waiting = null
    if (answer.type !== 'failed') {
      waiting?.resolve(answer)
      return
    }
    this.#failure ??= answer.text
    waiting?.reject(new GaveUp(`the sender: ${answer.text}`))
  }
}
