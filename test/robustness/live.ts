/**
 * A session with RIB and update groups in memory, in virtual time: what a fixture does to the session, to the tables, and to a client downstream.
 */

import { NO_OFFER } from '../../src/bgp/capabilities/offer.js'
import { Session } from '../../src/bgp/session.js'
import { newPeerCounters } from '../../src/bgp/session-types.js'
import { prefixText } from '../../src/daemon/fib-feed.js'
import { FAMILIES, type Family, familyByName } from '../../src/net/family.js'
import { PLAIN_CLIENT } from '../../src/reflector/exporter.js'
import { type GroupMember, Reflector } from '../../src/reflector/reflector.js'
import { AdjRibIn } from '../../src/rib/adj-rib-in.js'
import type { AttributeRules } from '../../src/rib/attribute-rules.js'
import { PLAIN_INTAKE } from '../../src/rib/intake.js'
import { Rib } from '../../src/rib/rib.js'
import { type RibSource, SourceKind } from '../../src/rib/source.js'
import { Receiver } from '../support/update-bytes.js'
import { KEEPALIVE } from './client.js'
import { bytesOf, type Fixture, type Outcome, stateWord } from './fixtures.js'
import { announcement, EXTERNAL_ASN, OUR_ASN, openFor, PROBE, ROUTE } from './peers.js'

const ROUTER_ID = 0x0a000001
const IPV6 = Uint8Array.from([0x20, 1, 0xd, 0xb8, ...new Array<number>(11).fill(0), 1])

export interface LiveOutcome extends Outcome {
  /** NOTIFICATIONs sent. */
  readonly notifications: number
  /** AFI/SAFI of NLRI that were left out. */
  readonly ignored: readonly string[]
  /** Attribute sets and prefixes that are left when the session is gone. */
  readonly left: number
}

/** `chunkOctets`: how the octets of the fixture are cut. */
export function runLive(fixture: Fixture, chunkOctets: number): LiveOutcome {
  const world = new LiveWorld(fixture)
  if (fixture.send === 'established') {
    world.receive(openFor(fixture), KEEPALIVE, announcement(fixture, ROUTE))
    world.receiveChunks(bytesOf(fixture), chunkOctets)
  } else {
    world.receiveChunks(bytesOf(fixture), chunkOctets)
    world.receive(KEEPALIVE, announcement(fixture, ROUTE))
  }
  if (world.isUp) world.receive(announcement(fixture, PROBE))
  world.settle()
  const { session, rib, downstream } = world.outcome()
  world.close()
  return {
    session,
    rib,
    downstream,
    notifications: world.notifications.length,
    ignored: world.ignored,
    left: world.left(),
  }
}

class LiveWorld {
  readonly rib: Rib
  readonly input: AdjRibIn
  readonly reflector: Reflector
  readonly downstream = new Receiver()
  readonly notifications: string[] = []
  readonly ignored: string[] = []
  readonly #session: Session
  readonly #members: GroupMember[]
  readonly #listener: RibSource
  #source: RibSource | null = null
  #families = 0
  #closed = false

  constructor({ peer, options }: Fixture) {
    const identity = { asn: OUR_ASN, routerId: ROUTER_ID, clusterId: ROUTER_ID }
    this.rib = new Rib({ ...identity, seed: 3, nodeName: 'test', nowSeconds: () => 0 })
    this.input = new AdjRibIn(this.rib, {
      fault: () => {},
      familyIgnored: (_, afi, safi) => this.ignored.push(`${afi}/${safi}`),
      endOfRib: () => {},
    })
    this.reflector = new Reflector(this.rib, 3)
    this.#listener = this.#open(SourceKind.CLIENT, OUR_ASN, true, 2)
    this.#members = FAMILIES.map(({ family }) =>
      this.reflector.join(
        this.#listener.index,
        'downstream',
        {
          ...PLAIN_CLIENT,
          family,
          localAsn: OUR_ASN,
          clusterId: ROUTER_ID,
          selfNextHop: family === 0 ? Uint8Array.of(10, 0, 0, 1) : IPV6,
        },
        {
          send: (chunks, taken) => {
            for (const chunk of chunks) this.downstream.receive(chunk)
            taken()
          },
        },
      ),
    )
    const addPath = (options?.addpath ?? []).map((name) => ({
      family: familyByName(name)!,
      receive: true,
      send: false,
    }))
    const external = peer === 'external'
    this.#session = new Session({
      direction: 'in',
      asn: OUR_ASN,
      routerId: ROUTER_ID,
      peerAsn: external ? EXTERNAL_ASN : OUR_ASN,
      families: [0, 1],
      holdTimeSeconds: 90,
      keepaliveSeconds: 0,
      connectRetryMs: 5000,
      sendCapabilities: true,
      offer: { ...NO_OFFER, extendedMessages: true, addPath },
      counters: newPeerCounters(),
      random: () => 0.5,
      onUpdate: (buffer, start, end) => this.input.update(this.#source!, this.#families, buffer, start, end),
    })
    this.#session.start(0)
    this.#session.connected(0)
    this.#drain(external)
    this.#external = external
  }
  readonly #external: boolean

  get isUp(): boolean {
    return !this.#closed
  }

  receive(...messages: string[]): void {
    for (const one of messages) this.receiveChunks(Buffer.from(one, 'hex'), Number.POSITIVE_INFINITY)
  }

  receiveChunks(bytes: Uint8Array, octets: number): void {
    for (let at = 0; at < bytes.length && !this.#closed; at += octets) {
      this.#session.receiveBytes(bytes.subarray(at, Math.min(bytes.length, at + octets)), 0)
      this.#drain(this.#external)
    }
  }

  /** Until nothing is left to decide or to send. */
  settle(): void {
    for (let pass = 0; pass < 10; pass++) {
      if (this.rib.hasClearing) this.rib.clearSlice(100_000)
      for (const { family } of FAMILIES) {
        for (let count = this.rib.decide(family); count > 0; count = this.rib.decide(family)) {
          this.reflector.change(family, this.rib.batch, count)
          this.rib.finish(family, count)
        }
      }
      this.reflector.tableSlices()
      this.reflector.pump(() => false)
      this.rib.store.sweep()
    }
  }

  outcome(): Outcome {
    const rib: Record<string, string> = {}
    for (const { family, prefixes, paths } of this.rib.tables) {
      for (let prefix = 1; prefix < prefixes.end; prefix++) {
        for (let path = paths.firstOfPrefix[prefix] ?? 0; path !== 0; path = paths.nextOfPrefix[path]!) {
          if (paths.source[path] !== this.#source?.index) continue
          const name = prefixText(family, prefixes, prefix)
          if (name !== PROBE) rib[name + pathIdText(paths.receivedIdOf(path))] = stateWord(paths.state[path]!)
        }
      }
    }
    const downstream = [...this.downstream.routes.keys()].map((route) => route.slice(2)).filter((p) => p !== PROBE)
    return { session: this.#closed ? (this.notifications[0] ?? 'closed') : 'kept', rib, downstream }
  }

  close(): void {
    if (this.#source !== null) this.rib.closeSource(this.#source)
    this.settle()
    for (const member of this.#members) this.reflector.leave(member)
    this.settle()
  }

  left(): number {
    const { tables, store } = this.rib
    return store.size + tables.reduce((sum, { paths, prefixes }) => sum + paths.size + prefixes.size, 0)
  }

  #drain(external: boolean): void {
    for (const output of this.#session.takeOutputs()) {
      switch (output.type) {
        case 'established': {
          const { families, as4, peerAsn, addPathReceive } = output.negotiated
          this.#families = families.reduce<number>((bits, family: Family) => bits | (1 << family), 0)
          this.#source = this.#open(external ? SourceKind.EBGP : SourceKind.CLIENT, peerAsn, as4, 1, addPathReceive)
          break
        }
        case 'send':
          if (output.bytes[18] === 3) this.notifications.push(notificationText(output.bytes))
          break
        case 'down':
          this.#closed = true
          if (this.#source !== null) this.rib.closeSource(this.#source)
          break
      }
    }
  }

  #open(kind: SourceKind, asn: number, as4: boolean, number: number, addPathReceive = 0): RibSource {
    return this.rib.openSource({
      name: `peer ${number}`,
      kind,
      bgpId: number,
      asn,
      localAsn: OUR_ASN,
      address: Uint8Array.of(127, 66, 0, number),
      as4,
      weight: 0,
      allowOwnAs: 0,
      intake: PLAIN_INTAKE,
      importPolicy: null,
      addPathReceive,
      attributeRules: RULES,
    })
  }
}

/** `3/9 DATA` of a whole NOTIFICATION. */
function notificationText(bytes: Uint8Array): string {
  const data = Buffer.from(bytes.subarray(21)).toString('hex')
  return `${bytes[19]}/${bytes[20]}${data === '' ? '' : ` ${data}`}`
}

/** As the fixtures name it; 0 is not named. */
function pathIdText(id: number): string {
  return id === 0 ? '' : ` ${id}`
}

/** As a neighbour has them that is configured without any of these keys. */
const RULES: AttributeRules = {
  allowAsSets: false,
  maxAsPath: 1000,
  maxCommunities: 1000,
  maxSets: 1 << 20,
  discard: [],
  withdraw: [],
  tunnelEncapsulation: true,
}
