/**
 * What a neighbour asks of its sockets (password, hop limits, interface), over the life of a peer: whether it can be had, and what the operator is told where it cannot, or
 * where the other end does not have it.
 */
import type { NeighborConfig } from '../config/types.js'
import type { PeerConnections } from './peer-connections.js'
import type { SessionFact } from './session-types.js'
import { demandsOf, socketSettings, unansweredText } from './socket-settings.js'

export interface PeerSocketsContext {
  /** What the neighbour asks of its sockets cannot be had: why, in one line. Empty: it can. */
  readonly refusal: (config: NeighborConfig) => string
  readonly log: (fact: SessionFact) => void
}

export class PeerSockets {
  readonly #address: string
  readonly #context: PeerSocketsContext
  #refusal = ''
  #toldUnanswered = false

  constructor(address: string, context: PeerSocketsContext) {
    this.#address = address
    this.#context = context
  }

  /** Why there cannot be a session before something is changed; empty: there can. */
  get refusal(): string {
    return this.#refusal
  }

  /** True: the refusal is another one than before. */
  judge(config: NeighborConfig): boolean {
    const before = this.#refusal
    this.#refusal = this.#context.refusal(config)
    return this.#refusal !== before
  }

  /** Another password on what is open; what the peer sends with the old one is lost, and sent again until it has the new one, too. */
  changeKey({ password: before }: NeighborConfig, { name, password }: NeighborConfig, open: PeerConnections): void {
    if (password === null || before === null || password.equals(before)) return
    open.each(({ link }) => {
      const failed = link?.changeKey?.(password) ?? ''
      if (failed !== '') this.#warn(name, failed)
    })
    // An attempt under way is signed with the old one.
    open.dialled?.dialAgain()
  }

  /** An attempt to connect had no answer; said once, until there is one. Returns why that may be. */
  unanswered(config: NeighborConfig): string {
    const text = unansweredText(this.#address, config.port, socketSettings(config))
    if (!this.#toldUnanswered && demandsOf(config).length > 0) {
      this.#toldUnanswered = true
      this.#warn(config.name, text)
    }
    return text
  }

  answered(): void {
    this.#toldUnanswered = false
  }

  #warn(peer: string, text: string): void {
    const address = this.#address
    this.#context.log({ event: 'peer.sockets', level: 'warn', peer, address, text: `neighbor ${peer}: ${text}` })
  }
}
