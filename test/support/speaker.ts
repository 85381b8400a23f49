/**
 * A speaker without a RIB for tests of sessions: a peer manager on loopback or on links in memory, with its events recorded.
 */

import type { Clock } from '../../src/bgp/clock.js'
import type { Dial } from '../../src/bgp/link.js'
import type { Negotiated } from '../../src/bgp/message/message.js'
import type { Peer } from '../../src/bgp/peer.js'
import { PeerManager } from '../../src/bgp/peer-manager.js'
import type { DownReason, PeerEvents, RefreshMark, SessionFact, SessionState } from '../../src/bgp/session-types.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { parseAddress } from '../../src/net/address.js'
import { Family } from '../../src/net/family.js'

export type Happening =
  | { readonly type: 'established'; readonly peer: Peer; readonly negotiated: Negotiated }
  | { readonly type: 'down'; readonly peer: Peer; readonly reason: DownReason }
  | { readonly type: 'update'; readonly peer: Peer; readonly bytes: Uint8Array }
  | { readonly type: 'refresh'; readonly peer: Peer; readonly family: Family }
  | { readonly type: 'refreshMark'; readonly peer: Peer; readonly family: Family; readonly mark: RefreshMark }
  | { readonly type: 'drained'; readonly peer: Peer }
  | { readonly type: 'dynamic'; readonly peer: Peer; readonly present: boolean }
  | {
      readonly type: 'state'
      readonly peer: Peer
      readonly from: SessionState
      readonly to: SessionState
      readonly reason: string
    }

export interface SpeakerOptions {
  readonly asn: number
  readonly routerId: number
  readonly clock?: Clock
  readonly dial?: Dial
  readonly random?: () => number
  readonly maxPendingConnections?: number
  readonly maxOpenFiles?: number
  /** Instead of only recording. */
  readonly onUpdate?: (peer: Peer, buffer: Uint8Array, start: number, end: number) => void
  readonly onEstablished?: (peer: Peer) => void
}

export class TestSpeaker {
  readonly manager: PeerManager
  readonly happenings: Happening[] = []
  readonly facts: SessionFact[] = []
  readonly #waiting = new Set<() => void>()

  constructor(options: SpeakerOptions) {
    const note = (happening: Happening) => {
      this.happenings.push(happening)
      for (const check of [...this.#waiting]) check()
    }
    const events: PeerEvents<Peer> = {
      established: (peer, negotiated) => {
        options.onEstablished?.(peer)
        note({ type: 'established', peer, negotiated })
      },
      down: (peer, reason) => note({ type: 'down', peer, reason }),
      update: (peer, buffer, start, end) => {
        options.onUpdate?.(peer, buffer, start, end)
        note({ type: 'update', peer, bytes: Uint8Array.from(buffer.subarray(start, end)) })
      },
      routeRefresh: (peer, family) => note({ type: 'refresh', peer, family }),
      refreshMark: (peer, family, mark) => note({ type: 'refreshMark', peer, family, mark }),
      drained: (peer) => note({ type: 'drained', peer }),
      dynamicPeer: (peer, present) => note({ type: 'dynamic', peer, present }),
      stateChange: (peer, from, to, reason) => note({ type: 'state', peer, from, to, reason }),
    }
    const { asn, routerId, clock, dial, random, maxPendingConnections, maxOpenFiles } = options
    this.manager = new PeerManager({
      asn,
      routerId,
      events,
      log: (fact) => {
        this.facts.push(fact)
        for (const check of [...this.#waiting]) check()
      },
      ...(random === undefined ? {} : { random }),
      ...(maxPendingConnections === undefined ? {} : { maxPendingConnections: () => maxPendingConnections }),
      ...(maxOpenFiles === undefined ? {} : { maxOpenFiles }),
      ...(clock === undefined ? {} : { clock }),
      ...(dial === undefined ? {} : { dial }),
    })
  }

  only<T extends Happening['type']>(type: T): Extract<Happening, { type: T }>[] {
    return this.happenings.filter((one): one is Extract<Happening, { type: T }> => one.type === type)
  }

  /** Resolves once `holds` is true, looked at after every event. Rejects after a generous limit. */
  until(what: string, holds: () => boolean, limitMs = 20_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (!holds()) return
        clearTimeout(limit)
        this.#waiting.delete(check)
        resolve()
      }
      const limit = setTimeout(() => {
        this.#waiting.delete(check)
        const last = this.only('state').slice(-5)
        reject(new Error(`not in time: ${what}; last: ${last.map((s) => `${s.from}→${s.to} ${s.reason}`).join('; ')}`))
      }, limitMs)
      this.#waiting.add(check)
      check()
    })
  }
}

/** A neighbour with the defaults of the configuration. */
export function neighbor(given: Partial<NeighborConfig> & { readonly name: string }): NeighborConfig {
  const asn = given.asn ?? 64512
  const localAsn = given.localAsn ?? 64512
  return {
    description: '',
    address: null,
    range: null,
    port: 179,
    asn,
    localAsn,
    ebgp: asn !== localAsn,
    families: [Family.IPV4_UNICAST],
    holdTimeSeconds: 90,
    keepaliveSeconds: 30,
    connectRetryMs: 5_000,
    sourceAddress: null,
    password: null,
    ttlSecurityHops: null,
    multihop: null,
    bindDevice: null,
    passive: false,
    reflectorClient: false,
    nextHopSelf: false,
    nextHopKeep: false,
    weight: 0,
    maxPrefix: null,
    allowOwnAs: 0,
    importPolicy: null,
    exportPolicy: null,
    sendCommunities: true,
    shutdown: false,
    addPath: [
      { sendPaths: 0, receive: false },
      { sendPaths: 0, receive: false },
    ],
    gracefulRestart: null,
    longLivedStaleSeconds: 0,
    bfd: null,
    extendedNextHop: false,
    extendedMessages: false,
    enhancedRefresh: true,
    linkLocalNextHop: 'native',
    advertiseHostname: false,
    role: null,
    roleStrict: false,
    routeServerClient: false,
    tunnelEncapsulation: true,
    enforceFirstAs: true,
    localAsnMode: 'replace',
    dualAsn: false,
    asOverride: false,
    removePrivateAs: false,
    discardAttributes: [],
    treatAsWithdrawAttributes: [],
    allowAsSets: false,
    maxAsPath: 1000,
    maxCommunities: 1000,
    maxAttributeSets: 200_000,
    gracefulShutdown: false,
    honorGracefulShutdown: true,
    damping: true,
    maxPeers: 20_000,
    ...given,
  }
}

export function range(text: string): NonNullable<NeighborConfig['range']> {
  const [address = '', length = ''] = text.split('/')
  const octets = parseAddress(address)
  const family = octets.length === 4 ? Family.IPV4_UNICAST : Family.IPV6_UNICAST
  return { family, text, address: octets, length: Number(length) }
}

/** A KEEPALIVE-sized UPDATE: End-of-RIB of IPv4 unicast (RFC 4724 §2). */
export const EMPTY_UPDATE: Uint8Array = Uint8Array.from([...new Array<number>(16).fill(255), 0, 23, 2, 0, 0, 0, 0])
