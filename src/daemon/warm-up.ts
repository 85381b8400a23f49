/**
 * A rehearsal: small tables of made-up routes go through all that a table goes through, from octets to octets, in a RIB and groups of their own, while the process has
 * nothing else to do. The first real table, and the first loss of a peer, then meet compiled code (gain: bench/README.md, 'What was tried').
 *
 * Everything is made as the real one is, by the same functions where there are any: V8 compiles for objects of the same make, and throws the code away when others come.
 *
 * It runs once after the start, in steps of a few milliseconds, waits while sessions come or go and while the event loop is late, and leaves nothing behind.
 */
import { encodeSegments } from '../bgp/attributes/as-path.js'
import { NO_ATTRIBUTES } from '../bgp/attributes/decode.js'
import { encodePathAttributes } from '../bgp/attributes/encode.js'
import { Framer } from '../bgp/wire/framer.js'
import type { FibConfig } from '../config/types.js'
import { Family } from '../net/family.js'
import { type ExporterOptions, PLAIN_CLIENT } from '../reflector/exporter.js'
import { Reflector } from '../reflector/reflector.js'
import { AdjRibIn } from '../rib/adj-rib-in.js'
import { Rib } from '../rib/rib.js'
import { type RibSource, SourceKind, type SourceOptions } from '../rib/source.js'
import { type AttributeSettings, attributeRulesOf, type IntakeSettings, intakeOf, sourceOptions } from './peer-rules.js'
import { rehearseFib } from './warm-up-fib.js'

/** Begins soon; returns what ends it early. `quietSince`: when a session changed its state last, by performance.now(). */
export function warmUp(fib: FibConfig | null, quietSince: () => number = () => Number.NEGATIVE_INFINITY): () => void {
  const steps = rehearsal(fib)
  let dueMs = 0
  let timer: NodeJS.Timeout
  const wait = (ms: number): void => {
    dueMs = performance.now() + ms
    timer = setTimeout(step, ms).unref()
  }
  const step = (): void => {
    const nowMs = performance.now()
    if (nowMs - dueMs > LATE_MS || nowMs - quietSince() < QUIET_MS) wait(BUSY_MS)
    else if (steps.next().done !== true) wait(GAP_MS)
  }
  wait(GAP_MS)
  return () => clearTimeout(timer)
}

/** All of it, step by step: twice, since code that has seen one RIB only is compiled for that one. */
export function* rehearsal(fib: FibConfig | null = null): Generator<void, Heard> {
  const heard = { announced: 0, withdrawn: 0, written: 0 }
  for (let round = 0; round < 2; round++) yield* oneRound(round, heard, fib)
  return heard
}

export interface Heard {
  /** Prefixes that the other client was told of. */
  announced: number
  withdrawn: number
  /** Changes of kernel routes. */
  written: number
}

function* oneRound(round: number, heard: Heard, config: FibConfig | null): Generator<void, void> {
  const rib = new Rib({
    asn: ASN,
    routerId: 1,
    clusterId: 1,
    seed: round,
    nodeName: '',
    nowSeconds: () => performance.now() / 1000,
  })
  const reflector = new Reflector(rib, round)
  const input = new AdjRibIn(rib, { fault: () => {}, endOfRib: () => {} })
  const framer = new Framer()
  const taken: (() => void)[] = []
  const fib = config === null ? null : rehearseFib(rib, config)
  const join = (number: number): RibSource => {
    const source = rib.openSource(optionsOf(number))
    const client = new Framer()
    const told = number === RECEIVER ? heard : { announced: 0, withdrawn: 0, written: 0 }
    const send = (chunks: readonly Uint8Array[], done: () => void): void => {
      for (const chunk of chunks) client.push(chunk, (buffer, start, end) => count(buffer, start, end, told), 4096)
      taken.push(done)
    }
    reflector.join(source.index, source.options.name, CLIENT, { send })
    return source
  }
  const settle = (): void => {
    do {
      if (rib.hasClearing) rib.clearSlice(STEP_PREFIXES)
      const count = rib.decide(Family.IPV4_UNICAST)
      reflector.change(Family.IPV4_UNICAST, rib.batch, count)
      fib?.feed.change(Family.IPV4_UNICAST, rib.batch, count)
      rib.finish(Family.IPV4_UNICAST, count)
      if (reflector.hasTableWork) reflector.tableSlices()
      reflector.pump(() => false)
      for (const done of taken.splice(0)) done()
      rib.store.sweep()
    } while (reflector.hasTableWork || reflector.hasQueue || taken.length > 0)
  }
  const sender = join(1)
  const take = (buffer: Uint8Array, start: number, end: number): void =>
    input.update(sender, 1, buffer, start, end, rib.nowSeconds())
  join(RECEIVER)
  settle()
  for (const withdraws of [false, true, false]) {
    for (let at = 0; at < ROUND_PREFIXES; ) {
      const end = at + (heard.announced < SLOW_PREFIXES ? UPDATE_PREFIXES * 4 : STEP_PREFIXES)
      for (let n = at; n < end; n += UPDATE_PREFIXES) {
        const message = withdraws ? withdrawal(n) : announcement(n)
        // Some lie across two chunks.
        const cut = (n / UPDATE_PREFIXES) % 3 === 0 ? 40 : message.length
        framer.push(message.subarray(0, cut), take, 4096)
        if (cut < message.length) framer.push(message.subarray(cut), take, 4096)
      }
      settle()
      at = end
      yield
    }
  }
  rib.closeSource(sender)
  while (rib.hasClearing) {
    settle()
    yield
  }
  heard.written += fib?.written ?? 0
  fib?.stop()
}

/** What an UPDATE of a round says. */
function count(buffer: Uint8Array, start: number, end: number, heard: Heard): void {
  const withdrawnEnd = start + 21 + (buffer[start + 19]! << 8) + buffer[start + 20]!
  heard.withdrawn += (withdrawnEnd - start - 21) / 4
  const attributesEnd = withdrawnEnd + 2 + (buffer[withdrawnEnd]! << 8) + buffer[withdrawnEnd + 1]!
  heard.announced += (end - attributesEnd) / 4
}

/** UPDATE_PREFIXES of them, with attributes that no other UPDATE has. */
function announcement(n: number): Uint8Array {
  const attributes = {
    ...NO_ATTRIBUTES,
    origin: 0,
    asPath: encodeSegments([{ type: 2, asNumbers: [64500, 3356 + (n % 12), 1 + n, 64501].slice(0, 2 + (n & 2)) }]),
    nextHop: Uint8Array.of(192, 0, 2, 1 + (n & 15)),
    med: n % 3 === 0 ? n : -1,
    localPref: 100,
    communities: n % 4 === 0 ? null : Uint8Array.of(0xfb, 0xf4, n >>> 8, n, 0xfb, 0xf5, n >>> 8, n).subarray(n & 4),
  }
  const block = encodePathAttributes(attributes, { as4: true, nextHopAttribute: true })
  return update([0, 0, block.length >>> 8, block.length], block, nlri(n))
}

function withdrawal(n: number): Uint8Array {
  const octets = nlri(n)
  return update([octets.length >>> 8, octets.length], octets, Uint8Array.of(0, 0))
}

function update(lengths: readonly number[], ...parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat([Uint8Array.from(lengths), ...parts])
  const length = 19 + body.length
  return Buffer.concat([new Uint8Array(16).fill(255), Uint8Array.of(length >>> 8, length, 2), body])
}

function nlri(first: number): Uint8Array {
  const octets: number[] = []
  for (let n = first; n < first + UPDATE_PREFIXES; n++)
    if (n % 3 === 0) octets.push(23, 10 + (n >>> 14), n >>> 6, (n << 2) & 0xfe)
    else octets.push(24, 10 + (n >>> 14), n >>> 6, (n << 2) & 0xff)
  return Uint8Array.from(octets)
}

function optionsOf(number: number): SourceOptions {
  const fields = {
    name: `${number}`,
    kind: SourceKind.CLIENT,
    bgpId: number,
    asn: ASN,
    localAsn: ASN,
    address: Uint8Array.of(192, 0, 2, number),
    as4: true,
    addPathReceive: 0,
    weight: 0,
    allowOwnAs: 0,
    intake: intakeOf(SETTINGS, 0, false),
    importPolicy: null,
    attributeRules: attributeRulesOf(SETTINGS),
    extendedNextHop: false,
  }
  return sourceOptions(fields, null, null)
}

const ASN = 64_512
const RECEIVER = 2
const CLIENT: ExporterOptions = Object.freeze({
  ...PLAIN_CLIENT,
  localAsn: ASN,
  clusterId: 1,
  selfNextHop: Uint8Array.of(192, 0, 2, 254),
})
const SETTINGS: IntakeSettings & AttributeSettings = Object.freeze({
  ebgp: false,
  enforceFirstAs: true,
  honorGracefulShutdown: false,
  allowAsSets: false,
  maxAsPath: 1000,
  maxCommunities: 1000,
  maxAttributeSets: 1_000_000,
  discardAttributes: [],
  treatAsWithdrawAttributes: [],
  tunnelEncapsulation: true,
})
const ROUND_PREFIXES = 8192
const STEP_PREFIXES = 512
const UPDATE_PREFIXES = 8
/** The first ones take a hundred times as long as later ones: short steps. */
const SLOW_PREFIXES = 1536
const GAP_MS = 0
/** So late the loop has other work, which goes first. */
const LATE_MS = 4
const BUSY_MS = 20
/** Without this 1000 sessions took 0.8 s instead of 0.5 s to come up. */
const QUIET_MS = 100
