/**
 * Storage for many short byte strings (attribute blocks) outside of the JavaScript heap: chunks of 1 MiB, classes of 16 octets with free lists.
 * An address is a plain number. Replaces a Uint8Array per string, which costs about 100 octets of heap each.
 */
export class ByteArena {
  readonly #chunks: Uint8Array[] = []
  #used = CHUNK_OCTETS
  readonly #free: number[][] = []
  #allocated = 0

  /** Octets handed out, rounded up to their class. */
  get allocatedOctets(): number {
    return this.#allocated
  }

  /** Octets of its chunks. */
  get arrayOctets(): number {
    return this.#chunks.length * CHUNK_OCTETS
  }

  /** Address of `length` octets of undefined content. length: 0..1 MiB. */
  allocate(length: number): number {
    const slots = Math.max(1, (length + SLOT_OCTETS - 1) >>> SLOT_SHIFT)
    this.#allocated += slots << SLOT_SHIFT
    const reused = this.#free[slots]?.pop()
    if (reused !== undefined) return reused
    const size = slots << SLOT_SHIFT
    if (size > CHUNK_OCTETS) throw new RangeError(`ByteArena: ${length} octets are more than a chunk`)
    if (this.#used + size > CHUNK_OCTETS) {
      this.#chunks.push(Buffer.allocUnsafeSlow(CHUNK_OCTETS))
      this.#used = 0
    }
    const address = (this.#chunks.length - 1) * CHUNK_OCTETS + this.#used
    this.#used += size
    return address
  }

  free(address: number, length: number): void {
    const slots = Math.max(1, (length + SLOT_OCTETS - 1) >>> SLOT_SHIFT)
    this.#allocated -= slots << SLOT_SHIFT
    const list = this.#free[slots]
    if (list === undefined) this.#free[slots] = [address]
    else list.push(address)
  }

  /** The chunk that holds an address; the octets lie at offsetOf(address). */
  chunkOf(address: number): Uint8Array {
    return this.#chunks[Math.floor(address / CHUNK_OCTETS)]!
  }

  offsetOf(address: number): number {
    return address % CHUNK_OCTETS
  }

  /** A view, valid until the address is freed. */
  view(address: number, length: number): Uint8Array {
    const offset = this.offsetOf(address)
    return this.chunkOf(address).subarray(offset, offset + length)
  }
}

const CHUNK_OCTETS = 1 << 20
const SLOT_SHIFT = 4
const SLOT_OCTETS = 1 << SLOT_SHIFT
