/**
 * The AS number that our OPENs tell a peer. With dualAsn it is one of two (RFC 7705 §4): a peer that takes us for the other one refuses our OPEN with 2/2; what it expects cannot be
 * known before.
 */
export class DualAsn {
  /** Our own AS, where the neighbour's localAsn is another one. */
  readonly #asn: number
  #next: number
  /** The peer refused one of both, and neither was taken since. */
  #wasRefused = false

  constructor(asn: number, localAsn: number) {
    this.#asn = asn
    this.#next = localAsn
  }

  /** What the next OPEN tells: localAsn, or the one that the peer took last. */
  get next(): number {
    return this.#next
  }

  /** The configuration says another one. */
  configure(localAsn: number): void {
    this.#next = localAsn
  }

  /** A session is Established with it. */
  taken(asn: number): void {
    this.#next = asn
    this.#wasRefused = false
  }

  /** The peer has refused it: the other one's turn. True: at once, unless both were refused in a row. */
  refused(asn: number, localAsn: number): boolean {
    // A second connection under way may be refused for the AS that we have given up already.
    if (asn === this.#next) this.#next = asn === this.#asn ? localAsn : this.#asn
    const first = !this.#wasRefused
    this.#wasRefused = true
    return first
  }
}
