/** One neighbour that sends: its session as the speaker has it, its source in the RIB, and the model of what it said. */

import { NO_OFFER } from '../src/bgp/capabilities/offer.js'
import { NotificationError } from '../src/bgp/errors.js'
import { Session } from '../src/bgp/session.js'
import { newPeerCounters } from '../src/bgp/session-types.js'
import type { Family } from '../src/net/family.js'
import type { AdjRibIn } from '../src/rib/adj-rib-in.js'
import { PLAIN_INTAKE } from '../src/rib/intake.js'
import type { Rib } from '../src/rib/rib.js'
import { type RibSource, SourceKind } from '../src/rib/source.js'
import { Finding } from './finding.js'
import { ModelTable } from './model.js'
import { FEATURES, OUR_ASN, ROUTER_ID, type Sender } from './peers.js'
import { checkDescription } from './set-oracles.js'

export interface SenderEvents {
  /** Code and subcode that the speaker sent, `received` where the peer ended it, or the kind of the end. */
  down(why: string): void
  accepted(): void
  refresh(family: Family): void
}

export class SenderSession {
  readonly sender: Sender
  readonly number: number
  source: RibSource | null = null
  model: ModelTable | null = null
  /** How the established session reads; for the generator. */
  as4 = true
  addPath = 0
  /** Time spent in the speaker by the last delivery, milliseconds. */
  spentMs = 0
  readonly #rib: Rib
  readonly #input: AdjRibIn
  readonly #events: SenderEvents
  #session: Session
  #families = 0
  #bgpId = 0
  #notification = ''
  #sawEnd = false
  #updates = 0
  #modelMs = 0

  constructor(number: number, sender: Sender, rib: Rib, input: AdjRibIn, events: SenderEvents) {
    this.number = number
    this.sender = sender
    this.#rib = rib
    this.#input = input
    this.#events = events
    this.#session = this.#connect()
  }

  get state(): string {
    return this.#session.state
  }
  get bgpId(): number {
    return this.#bgpId
  }

  /** Octets as they come in; `cut`: in pieces of so many, 0: at once. */
  deliver(bytes: Uint8Array, cut: number): void {
    if (this.#session.state === 'Idle') this.#session = this.#connect()
    const step = cut === 0 ? bytes.length : cut
    this.spentMs = 0
    for (let at = 0; at < bytes.length && this.#session.state !== 'Idle'; at += step) {
      const chunk = cut === 0 ? bytes : bytes.subarray(at, at + step)
      this.#modelMs = 0
      const before = performance.now()
      try {
        this.#session.receiveBytes(chunk, 0)
      } catch (error) {
        if (error instanceof Finding) throw error
        throw new Finding('exception', error instanceof Error ? (error.stack ?? error.message) : String(error))
      }
      this.spentMs += performance.now() - before - this.#modelMs
      this.#drain()
    }
  }

  /** The TCP connection is gone. */
  close(): void {
    if (this.#session.state === 'Idle') return
    this.#session.disconnected('end', 0)
    this.#drain()
  }

  #connect(): Session {
    const { sender } = this
    const addPath = FEATURES.addPath ? sender.addPath.map((family) => ({ family, receive: true, send: false })) : []
    const session = new Session({
      direction: 'in',
      asn: OUR_ASN,
      routerId: ROUTER_ID,
      peerAsn: sender.asn,
      families: sender.families,
      holdTimeSeconds: 90,
      keepaliveSeconds: 0,
      connectRetryMs: 5000,
      sendCapabilities: true,
      offer: {
        ...NO_OFFER,
        extendedMessages: FEATURES.extendedMessages,
        extendedNextHop: FEATURES.extendedNextHop,
        role: sender.role,
        enhancedRefresh: FEATURES.enhancedRefresh,
        addPath,
      },
      counters: newPeerCounters(),
      random: () => 0.5,
      onUpdate: (buffer, start, end) => this.#update(buffer, start, end),
    })
    this.#notification = ''
    this.#sawEnd = false
    session.start(0)
    session.connected(0)
    this.#session = session
    this.#drain()
    return session
  }

  #update(buffer: Uint8Array, start: number, end: number): void {
    // The peer's KEEPALIVE and this UPDATE may have come in one chunk.
    if (this.source === null) this.#drain()
    const message = buffer.slice(start, end)
    let thrown: NotificationError | null = null
    try {
      this.#input.update(this.source!, this.#families, buffer, start, end)
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error
      thrown = error
    }
    const before = performance.now()
    const expected = this.model!.update(message)
    const found = thrown === null ? null : `${thrown.code}/${thrown.subcode}`
    if (found !== expected) {
      throw new Finding(
        'answer',
        `the speaker says ${found ?? 'nothing'} (${thrown?.message}), the model ${expected ?? 'nothing'}`,
      )
    }
    if ((this.#updates++ & 3) === 0) {
      const addPath = new Set<Family>(([0, 1] as const).filter((family) => (this.addPath & (1 << family)) !== 0))
      checkDescription(message, { as4: this.as4, ebgp: this.sender.kind === SourceKind.EBGP, addPath })
    }
    this.#modelMs += performance.now() - before
    if (thrown !== null) throw thrown
    this.#events.accepted()
  }

  #drain(): void {
    for (const output of this.#session.takeOutputs()) {
      switch (output.type) {
        case 'send':
          if (this.#notification !== '')
            throw new Finding('notification', `something is sent after ${this.#notification}`)
          if (output.bytes[18] === 3) this.#notification = `${output.bytes[19]}/${output.bytes[20]}`
          break
        case 'established':
          this.#established(output.negotiated)
          break
        case 'refresh':
          this.#events.refresh(output.family)
          break
        case 'down':
          if (this.#sawEnd) throw new Finding('notification', 'the session ends twice')
          this.#sawEnd = true
          if (this.source !== null) this.#rib.closeSource(this.source)
          this.source = null
          this.model = null
          this.#events.down(this.#notification === '' ? output.reason.kind : this.#notification)
          break
      }
    }
  }

  #established(negotiated: NonNullable<Session['negotiated']>): void {
    const { sender } = this
    const { families, as4, peerAsn, peerBgpId, extendedNextHop, addPathReceive } = negotiated
    this.as4 = as4
    this.addPath = FEATURES.addPath ? addPathReceive : 0
    this.#bgpId = peerBgpId
    this.#families = families.reduce<number>((bits, family) => bits | (1 << family), 0)
    this.source = this.#rib.openSource({
      name: sender.name,
      kind: sender.kind,
      bgpId: peerBgpId,
      asn: peerAsn,
      localAsn: OUR_ASN,
      address: Uint8Array.of(10, 9, 9, this.number + 1),
      as4,
      weight: 0,
      allowOwnAs: 0,
      intake: PLAIN_INTAKE,
      importPolicy: null,
      addPathReceive: this.addPath,
      extendedNextHop,
      attributeRules: sender.rules,
      ...(sender.role === null ? {} : { role: sender.role }),
    })
    this.model = new ModelTable(
      { asn: OUR_ASN, routerId: ROUTER_ID, clusterId: ROUTER_ID },
      {
        external: sender.kind === SourceKind.EBGP,
        asn: peerAsn,
        as4,
        families: this.#families,
        addPath: this.addPath,
        extendedNextHop,
        role: sender.role,
        rules: sender.rules,
      },
    )
  }
}
