/**
 * Columns: typed arrays indexed by small ids. They grow by copying into a longer one; what nobody has touched of it costs no memory.
 */

type Column = Int32Array<ArrayBufferLike> | Uint16Array<ArrayBufferLike> | Uint8Array<ArrayBufferLike>

/** A longer copy: four times the length (memory that nobody has touched yet costs nothing), or `times` it, or more where `atLeast` asks for it. */
export function grown<T extends Column>(old: T, atLeast: number, times = 4): T {
  const make = old.constructor as new (length: number) => T
  const bigger = new make(Math.max(old.length * times, atLeast))
  whenLarge(bigger)
  bigger.set(old)
  return bigger
}

/** An empty one. */
export function column(length: number): Int32Array<ArrayBuffer> {
  const made = new Int32Array(length)
  whenLarge(made)
  return made
}

/**
 * Called with each column of LARGE_OCTETS or more before it is written to. The kernel can then be asked to back it with huge pages: of 61,600 page faults of some
 * 2 µs in the way in of 1 M prefixes 17,400 less, 4 % of the time (bench/README.md, 'What was tried').
 */
export function onLargeColumn(listener: (column: Column) => void): void {
  onLarge = listener
}

function whenLarge(made: Column): void {
  if (made.byteLength >= LARGE_OCTETS) onLarge(made)
}

let onLarge: (column: Column) => void = () => {}
/** Two huge pages on x86-64 and most of arm64. */
const LARGE_OCTETS = 4 << 20
