/**
 * What each receiver holds: one bit per prefix, one row per session, in one typed array (1000 receivers of 100,000 prefixes: 12.5 MB). A count
 * per row says cheaply when it may be complete; `compare` looks at every bit.
 */
export class Ledger {
  readonly rows: number
  readonly prefixes: number
  readonly #words: number
  readonly #bits: Uint32Array
  readonly #held: Uint32Array
  readonly #goals: Uint32Array
  #complete = 0

  constructor(rows: number, prefixes: number) {
    this.rows = rows
    this.prefixes = prefixes
    this.#words = (prefixes + 31) >>> 5
    this.#bits = new Uint32Array(rows * this.#words)
    this.#held = new Uint32Array(rows)
    this.#goals = new Uint32Array(rows)
    this.#complete = rows
  }

  /** Octets of such a ledger. */
  static octets(rows: number, prefixes: number): number {
    return rows * ((prefixes + 31) >>> 5) * 4
  }

  /** Rows that hold as many prefixes as they should. */
  get complete(): number {
    return this.#complete
  }

  held(row: number): number {
    return this.#held[row]!
  }

  isComplete(row: number): boolean {
    return this.#held[row] === this.#goals[row]
  }

  /** How many prefixes each row is to hold. */
  setGoals(goal: (row: number) => number): void {
    this.#complete = 0
    for (let row = 0; row < this.rows; row++) {
      this.#goals[row] = goal(row)
      if (this.isComplete(row)) this.#complete++
    }
  }

  has(row: number, id: number): boolean {
    return (this.#bits[row * this.#words + (id >>> 5)]! & (1 << (id & 31))) !== 0
  }

  /** False where it was there already. */
  add(row: number, id: number): boolean {
    const word = row * this.#words + (id >>> 5)
    const bit = 1 << (id & 31)
    const old = this.#bits[word]!
    if ((old & bit) !== 0) return false
    this.#bits[word] = old | bit
    this.#count(row, 1)
    return true
  }

  /** False where it was not there. */
  remove(row: number, id: number): boolean {
    const word = row * this.#words + (id >>> 5)
    const bit = 1 << (id & 31)
    const old = this.#bits[word]!
    if ((old & bit) === 0) return false
    this.#bits[word] = old & ~bit
    this.#count(row, -1)
    return true
  }

  /** The session is gone, and its routes with it. */
  clear(row: number): void {
    this.#bits.fill(0, row * this.#words, (row + 1) * this.#words)
    this.#count(row, -this.#held[row]!)
  }

  /** Calls back for each prefix whose bit is not as wanted: all, or none, [exceptFrom, exceptTo) never. Returns how many. */
  compare(
    row: number,
    wanted: boolean,
    exceptFrom: number,
    exceptTo: number,
    onDifference: (id: number) => void,
  ): number {
    let differences = 0
    const right = wanted ? 0xffffffff : 0
    for (let word = 0; word < this.#words; word++) {
      // The common case by words; bits after the last prefix and the exception are looked at one by one.
      const from = word << 5
      const isPlain = from + 32 <= this.prefixes && (from + 32 <= exceptFrom || from >= exceptTo)
      if (isPlain && this.#bits[row * this.#words + word] === right) continue
      const end = Math.min(from + 32, this.prefixes)
      for (let id = from; id < end; id++) {
        const isExcepted = id >= exceptFrom && id < exceptTo
        if (this.has(row, id) === (wanted && !isExcepted)) continue
        differences++
        onDifference(id)
      }
    }
    return differences
  }

  #count(row: number, change: number): void {
    if (change === 0) return
    if (this.isComplete(row)) this.#complete--
    this.#held[row]! += change
    if (this.isComplete(row)) this.#complete++
  }
}
