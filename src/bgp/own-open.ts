/**
 * Our OPEN towards a neighbour, encoded once for all peers of a range: thousands of them come at once after a restart (gain: bench/README.md, 'What was tried').
 */
import type { NeighborConfig } from '../config/types.js'
import type { CapabilityOffer } from './capabilities/offer.js'
import { type LocalState, localOffer } from './local-offer.js'
import { encodeOpen } from './message/open.js'
import { OpenAnswers } from './open-answers.js'
import { localOpen } from './open-check.js'

export interface OwnOpen {
  readonly offer: CapabilityOffer
  /** The whole message; shared, never to be changed. */
  readonly octets: Uint8Array
  /** What follows from the peers' OPENs. */
  readonly answers: OpenAnswers
}

/** What it depends on beside the configuration. */
interface Circumstances {
  readonly asn: number
  readonly sendCapabilities: boolean
  readonly restarting: boolean
  readonly forwarding: boolean
}

export class OwnOpens {
  readonly #routerId: number
  readonly #state: LocalState
  /** The last one by configuration: of the neighbour, or of the range that it came from. */
  readonly #last = new WeakMap<NeighborConfig, Circumstances & OwnOpen>()

  constructor(routerId: number, state: LocalState) {
    this.#routerId = routerId
    this.#state = state
  }

  /** `config`: the neighbour's own; `range`: the configuration that it is a copy of, but for name and address. `asn`: the AS that we tell. */
  of(config: NeighborConfig, range: NeighborConfig | null, asn: number, sendCapabilities: boolean): OwnOpen {
    const shared = range ?? config
    const { forwarding } = this.#state
    const restarting = config.gracefulRestart?.restarter === true && this.#state.restarting(config.address ?? '')
    const last = this.#last.get(shared)
    if (
      last !== undefined &&
      last.asn === asn &&
      last.sendCapabilities === sendCapabilities &&
      last.restarting === restarting &&
      last.forwarding === forwarding
    )
      return last
    const offer = localOffer(config, this.#state)
    const { families, holdTimeSeconds, keepaliveSeconds, asn: peerAsn } = config
    const settings = { asn, routerId: this.#routerId, peerAsn, families, holdTimeSeconds, keepaliveSeconds }
    const octets = encodeOpen(localOpen({ ...settings, sendCapabilities, offer }))
    const open = { asn, sendCapabilities, restarting, forwarding, offer, octets, answers: new OpenAnswers() }
    this.#last.set(shared, open)
    return open
  }
}
