/**
 * Who has seen which change. In round n each of `slots` prefixes changes once: version n. Odd versions are withdrawals, even ones announcements
 * that carry their version in a community; version 0 is what was there before. A receiver that has a version has all before it, so a target
 * may leave out what is outdated. A withdrawal carries no number: it counts as the first one after what the receiver had, which is never too
 * early. The last round announces, so that each receiver's end state is known by number.
 */
export class ChurnLog {
  readonly slots: number
  readonly rounds: number
  readonly receivers: number
  /** Last version sent, by slot. */
  readonly #sent: Uint32Array
  /** Version held, by receiver and slot. */
  readonly #held: Uint32Array
  /** By event: version - 1 times slots, plus slot. */
  readonly #sentAtMs: Float64Array
  readonly #waiting: Uint32Array
  readonly #latencies: Float64Array
  #finished = 0
  #sentEvents = 0

  /** `receivers` rows; each event is to reach all of them but the one that sends it. */
  constructor(receivers: number, slots: number, rounds: number) {
    this.receivers = receivers
    this.slots = slots
    this.rounds = rounds
    this.#sent = new Uint32Array(slots)
    this.#held = new Uint32Array(receivers * slots)
    this.#sentAtMs = new Float64Array(slots * rounds)
    this.#waiting = new Uint32Array(slots * rounds).fill(receivers - 1)
    this.#latencies = new Float64Array(slots * rounds)
  }

  static octets(receivers: number, slots: number, rounds: number): number {
    return receivers * slots * 4 + slots * rounds * 20
  }

  get events(): number {
    return this.slots * this.rounds
  }
  get sentEvents(): number {
    return this.#sentEvents
  }
  get unfinished(): number {
    return this.events - this.#finished
  }

  /** The next version of this slot goes out now. */
  sent(slot: number, nowMs: number): number {
    const version = ++this.#sent[slot]!
    this.#sentAtMs[(version - 1) * this.slots + slot] = nowMs
    this.#sentEvents++
    return version
  }

  /** False: nothing new, a version that was never sent, or a prefix that does not change (slot -1). */
  announced(receiver: number, slot: number, version: number, nowMs: number): boolean {
    if (slot < 0 || version > this.#sent[slot]! || (version & 1) !== 0) return false
    return this.#advance(receiver, slot, version, nowMs)
  }

  /** False: nobody withdrew it, or the receiver had it withdrawn already. */
  withdrawn(receiver: number, slot: number, nowMs: number): boolean {
    if (slot < 0) return false
    const next = this.#held[receiver * this.slots + slot]! + 1
    if ((next & 1) === 0 || next > this.#sent[slot]!) return false
    return this.#advance(receiver, slot, next, nowMs)
  }

  /** Of finished events, ascending. */
  sortedLatencies(): Float64Array {
    return this.#latencies.subarray(0, this.#finished).sort()
  }

  #advance(receiver: number, slot: number, version: number, nowMs: number): boolean {
    const at = receiver * this.slots + slot
    const old = this.#held[at]!
    if (version <= old) return false
    this.#held[at] = version
    for (let seen = old; seen < version; seen++) {
      const event = seen * this.slots + slot
      if (--this.#waiting[event]! > 0) continue
      this.#latencies[this.#finished++] = nowMs - this.#sentAtMs[event]!
    }
    return true
  }
}
