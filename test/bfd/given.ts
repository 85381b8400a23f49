/** BFD sessions on virtual time: one alone that is told packets, or two with a path between them that can lose and delay. */
import { type BfdPacket, decodePacket } from '../../src/bfd/packet.js'
import { BfdSession } from '../../src/bfd/session.js'
import type { BfdChange, BfdSettings } from '../../src/bfd/types.js'

export const FAST: BfdSettings = Object.freeze({ transmitMs: 100, receiveMs: 100, multiplier: 3 })

/** What the far end says by default: Down, at the fast pace. */
export function packet(given: Partial<BfdPacket> = {}): BfdPacket {
  return {
    diagnostic: 0,
    state: 'Down',
    poll: false,
    final: false,
    independent: false,
    demand: false,
    multiplier: 3,
    myDiscriminator: 77,
    yourDiscriminator: 1,
    desiredMinTxUs: 100_000,
    requiredMinRxUs: 100_000,
    requiredMinEchoRxUs: 0,
    ...given,
  }
}

/** One session, and the time. */
export class Alone {
  readonly session: BfdSession
  nowMs = 0
  readonly sent: { readonly atMs: number; readonly packet: BfdPacket }[] = []
  readonly changes: BfdChange[] = []

  constructor(settings: BfdSettings = FAST, random: () => number = () => 1) {
    this.session = new BfdSession({ discriminator: 1, settings, random, nowMs: 0 })
    this.run(0)
  }

  /** Up, with both sides at the fast pace and no Poll Sequence under way. */
  static up(settings?: BfdSettings, random?: () => number): Alone {
    const alone = new Alone(settings, random)
    alone.hear({ state: 'Down' })
    alone.hear({ state: 'Up' })
    alone.hear({ state: 'Up', final: true })
    alone.sent.length = 0
    alone.changes.length = 0
    return alone
  }

  hear(given: Partial<BfdPacket> = {}): void {
    this.session.receive(packet(given), this.nowMs)
    this.#take()
  }

  /** Lets time pass, waking the session when it wants. `hears`: what comes every so many ms. */
  run(ms: number, hears?: { readonly everyMs: number; readonly packet: Partial<BfdPacket> }): void {
    const endMs = this.nowMs + ms
    let heardAtMs = hears === undefined ? Number.POSITIVE_INFINITY : this.nowMs + hears.everyMs
    for (;;) {
      const next = Math.min(this.session.sendAtMs, this.session.silentAtMs, heardAtMs)
      if (next > endMs) break
      this.nowMs = Math.max(this.nowMs, next)
      if (next === heardAtMs) {
        this.hear(hears!.packet)
        heardAtMs += hears!.everyMs
      }
      this.session.transmit(this.nowMs)
      this.session.judge(this.nowMs, 0)
      this.#take()
    }
    this.nowMs = endMs
  }

  configure(settings: BfdSettings): void {
    this.session.configure(settings, this.nowMs)
    this.#take()
  }

  retire(failed: boolean): void {
    this.session.retire(failed, this.nowMs)
    this.#take()
  }

  /** The thread did not run for so long: judged only now. */
  late(lateMs: number): void {
    this.session.judge(this.nowMs, lateMs)
    this.#take()
  }

  /** Times between the packets sent. */
  get gaps(): number[] {
    return this.sent.slice(1).map(({ atMs }, index) => atMs - this.sent[index]!.atMs)
  }

  get last(): BfdPacket {
    return this.sent.at(-1)!.packet
  }

  #take(): void {
    for (const output of this.session.takeOutputs()) {
      if (output.type === 'change') this.changes.push(output.change)
      else this.sent.push({ atMs: this.nowMs, packet: decodePacket(output.octets) as BfdPacket })
    }
  }
}

/** Two sessions that hear each other after `delayMs`, unless `lost` says otherwise. */
export class Both {
  readonly ends: readonly [BfdSession, BfdSession]
  nowMs = 0
  delayMs = 2
  lost: (from: 0 | 1, sent: number) => boolean = () => false
  readonly changes: [BfdChange[], BfdChange[]] = [[], []]
  readonly #sent: [number, number] = [0, 0]
  #wire: { readonly atMs: number; readonly to: 0 | 1; readonly octets: Uint8Array }[] = []

  constructor(a: BfdSettings, b: BfdSettings, random: () => number) {
    this.ends = [
      new BfdSession({ discriminator: 0x11, settings: a, random, nowMs: 0 }),
      new BfdSession({ discriminator: 0x22, settings: b, random, nowMs: 0 }),
    ]
  }

  run(ms: number): void {
    const endMs = this.nowMs + ms
    for (;;) {
      const [a, b] = this.ends
      const next = Math.min(a.sendAtMs, a.silentAtMs, b.sendAtMs, b.silentAtMs, this.#wire[0]?.atMs ?? endMs + 1)
      if (next > endMs) break
      this.nowMs = Math.max(this.nowMs, next)
      const arrived = this.#wire.filter(({ atMs }) => atMs <= this.nowMs)
      this.#wire = this.#wire.filter(({ atMs }) => atMs > this.nowMs)
      for (const { to, octets } of arrived) {
        const decoded = decodePacket(octets)
        if (typeof decoded === 'string') throw new Error(decoded)
        this.ends[to].receive(decoded, this.nowMs)
      }
      for (const end of this.ends) {
        end.transmit(this.nowMs)
        end.judge(this.nowMs, 0)
      }
      this.#take()
    }
    this.nowMs = endMs
  }

  configure(end: 0 | 1, settings: BfdSettings): void {
    this.ends[end].configure(settings, this.nowMs)
    this.#take()
  }

  #take(): void {
    for (const from of [0, 1] as const) {
      for (const output of this.ends[from].takeOutputs()) {
        if (output.type === 'change') this.changes[from].push(output.change)
        else if (!this.lost(from, ++this.#sent[from]))
          this.#wire.push({ atMs: this.nowMs + this.delayMs, to: from === 0 ? 1 : 0, octets: output.octets })
      }
    }
  }
}
