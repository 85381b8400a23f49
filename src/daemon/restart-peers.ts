/**
 * Which peers of the last run the first decisions of this one still wait for (RFC 4724 §4.1). Pure: what happens and the time go in.
 *
 * A peer is waited for until it has sent End-of-RIB, or turned out not to be one to wait for: it restarts itself, came back without graceful restart, or an attempt
 * to connect to it has failed. One that has to connect to us gets a short grace.
 */

export interface AwaitedPeer {
  readonly address: string
  readonly name: string
  /** We connect to it, and see when that fails. */
  readonly dialled: boolean
  /** An attempt that has no answer by then has failed. */
  readonly answerUntilMs: number
  up: boolean
}

export class RestartPeers {
  readonly #waiting = new Map<string, AwaitedPeer>()
  readonly limitMs: number

  constructor(peers: Iterable<AwaitedPeer>, limitMs: number) {
    for (const peer of peers) this.#waiting.set(peer.address, peer)
    this.limitMs = limitMs
  }

  get names(): string[] {
    return [...this.#waiting.values()].map(({ name }) => name)
  }

  get isOver(): boolean {
    return this.#waiting.size === 0
  }

  /** When time alone changes something next. */
  get nextMs(): number {
    let next = this.limitMs
    for (const { up, answerUntilMs } of this.#waiting.values()) if (!up) next = Math.min(next, answerUntilMs)
    return next
  }

  /** It is Established; `loads`: it will send End-of-RIB, and does not restart itself. */
  established(address: string, loads: boolean): void {
    const peer = this.#waiting.get(address)
    if (peer === undefined) return
    if (loads) peer.up = true
    else this.#waiting.delete(address)
  }

  /** It has sent End-of-RIB of all its families, its session or an attempt to connect has failed, or it is no peer any more. */
  settled(address: string): void {
    this.#waiting.delete(address)
  }

  passed(nowMs: number): void {
    if (nowMs >= this.limitMs) this.#waiting.clear()
    for (const [address, { up, answerUntilMs }] of this.#waiting)
      if (!up && nowMs >= answerUntilMs) this.#waiting.delete(address)
  }
}

/** Text that can be an address: nothing that a log or a terminal would stumble over. */
export function canonicalAddress(text: string): boolean {
  return text.length <= 64 && /^[0-9a-f:.]+(%[\w.-]+)?$/.test(text)
}
