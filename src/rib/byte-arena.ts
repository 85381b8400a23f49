/**
 * Storage for many short byte strings (attribute blocks) outside of the JavaScript heap, in classes of 16 octets. An address is an int32. It replaces a
 * Uint8Array per string, which costs about 100 octets of heap each.
 *
 * Each class has chunks of its own, which are given back when their last string goes: a peer that walks through all lengths leaves no more behind than a
 * chunk a class.
 */
export class ByteArena {
  readonly #chunks: (Chunk | undefined)[] = []
  readonly #freeChunks: number[] = []
  /** By class: chunks with room. */
  readonly #roomy: (number[] | undefined)[] = []
  #allocated = 0
  #reserved = 0

  /** Octets handed out, rounded up to their class. */
  get allocatedOctets(): number {
    return this.#allocated
  }

  /** Octets of its chunks. */
  get arrayOctets(): number {
    return this.#reserved
  }

  /** Address of `length` octets of undefined content. length: 0..1 MiB. */
  allocate(length: number): number {
    const slots = slotsOf(length)
    const size = slots << SLOT_SHIFT
    if (size > MAX_OCTETS) throw new RangeError(`ByteArena: ${length} octets are more than ${MAX_OCTETS}`)
    this.#allocated += size
    this.#roomy[slots] ??= []
    const roomy = this.#roomy[slots]
    if (roomy.length === 0) roomy.push(this.#addChunk(size))
    const number = roomy[roomy.length - 1]!
    const chunk = this.#chunks[number]!
    const at = chunk.take()
    if (chunk.isFull) roomy.pop()
    return (number << CHUNK_SHIFT) | (at * slots)
  }

  free(address: number, length: number): void {
    const slots = slotsOf(length)
    const size = slots << SLOT_SHIFT
    this.#allocated -= size
    const number = address >>> CHUNK_SHIFT
    const chunk = this.#chunks[number]!
    const roomy = this.#roomy[slots]!
    if (chunk.isFull) roomy.push(number)
    chunk.give((address & SLOT_MASK) / slots)
    // One chunk of a class stays, so that a single string that comes and goes costs nothing.
    if (chunk.used > 0 || roomy.length === 1) return
    roomy.splice(roomy.indexOf(number), 1)
    this.#chunks[number] = undefined
    this.#freeChunks.push(number)
    this.#reserved -= chunk.octets.length
  }

  /** The chunk that holds an address; the octets lie at offsetOf(address). */
  chunkOf(address: number): Uint8Array {
    return this.#chunks[address >>> CHUNK_SHIFT]!.octets
  }

  offsetOf(address: number): number {
    return (address & SLOT_MASK) << SLOT_SHIFT
  }

  /** A view, valid until the address is freed. */
  view(address: number, length: number): Uint8Array {
    const offset = this.offsetOf(address)
    return this.chunkOf(address).subarray(offset, offset + length)
  }

  #addChunk(size: number): number {
    const chunk = new Chunk(size)
    const number = this.#freeChunks.pop() ?? this.#chunks.length
    if (number > SLOT_MASK) throw new RangeError('ByteArena: more than 65,536 chunks')
    this.#chunks[number] = chunk
    this.#reserved += chunk.octets.length
    return number
  }
}

/** Strings of one class: slots with a list of free ones. */
class Chunk {
  readonly octets: Uint8Array
  used = 0
  readonly #slots: number
  readonly #free: number[] = []
  /** Slots below this have been in use. */
  #fresh = 0

  constructor(size: number) {
    this.#slots = Math.max(1, Math.floor(CHUNK_OCTETS / size))
    this.octets = Buffer.allocUnsafeSlow(this.#slots * size)
  }

  get isFull(): boolean {
    return this.used === this.#slots
  }

  take(): number {
    this.used++
    return this.#free.pop() ?? this.#fresh++
  }

  give(slot: number): void {
    this.used--
    this.#free.push(slot)
  }
}

function slotsOf(length: number): number {
  return Math.max(1, (length + SLOT_OCTETS - 1) >>> SLOT_SHIFT)
}

const SLOT_SHIFT = 4
const SLOT_OCTETS = 1 << SLOT_SHIFT
/** A chunk, unless one string is longer. */
const CHUNK_OCTETS = 1 << 16
/** Longest string. */
const MAX_OCTETS = 1 << 20
/** An address is the number of the chunk and a slot within it: 65,536 chunks, 4 GiB or more. */
const CHUNK_SHIFT = 16
const SLOT_MASK = 0xffff
