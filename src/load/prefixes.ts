/**
 * The prefixes of a run as numbers 0 to count - 1, and back from the wire. A prefix is two words (its first 64 bits) and a length; nothing that
 * is announced here is longer than /64, so that no object and no bigint is needed on the way in.
 */
import { wordAt } from '../net/address.js'
import { Family } from '../net/family.js'
import { formatPrefixWords } from '../net/prefix.js'
import { Random } from './random.js'

export interface PrefixSpace {
  readonly family: Family
  readonly count: number
  /** The number of the prefix, or -1 where it is none of this run's. Host bits are zero; w1 is 0 for IPv4. */
  find(w0: number, w1: number, length: number): number
  w0(id: number): number
  w1(id: number): number
  lengthOf(id: number): number
}

export function formatId(space: PrefixSpace, id: number): string {
  return formatPrefixWords(space.family, space.w0(id), space.w1(id), 0, 0, space.lengthOf(id))
}

/** Blocks of equal length, one after the other from `base`: 10.0.0.0/26, 10.0.0.64/26, … */
export class BlockSpace implements PrefixSpace {
  readonly family: Family
  readonly count: number
  readonly #base0: number
  readonly #base1: number
  readonly #length: number
  /** Addresses of a block: IPv4 whole ones, IPv6 in units of the 64th bit. */
  readonly #size: number

  /** `base`: 4 or 16 octets, host bits zero, room for `count` blocks. */
  constructor(family: Family, base: Uint8Array, length: number, count: number) {
    this.family = family
    this.count = count
    this.#base0 = wordAt(base, 0)
    this.#base1 = family === Family.IPV4_UNICAST ? 0 : wordAt(base, 4)
    this.#length = length
    this.#size = 2 ** ((family === Family.IPV4_UNICAST ? 32 : 64) - length)
  }

  find(w0: number, w1: number, length: number): number {
    if (length !== this.#length) return -1
    const distance =
      this.family === Family.IPV4_UNICAST ? w0 - this.#base0 : (w0 - this.#base0) * WORD + (w1 - this.#base1)
    const id = distance / this.#size
    // Host bits that the sender left set are no part of the prefix.
    return id >= 0 && id < this.count ? Math.floor(id) : -1
  }

  w0(id: number): number {
    if (this.family === Family.IPV4_UNICAST) return this.#base0 + id * this.#size
    return this.#base0 + Math.floor((this.#base1 + id * this.#size) / WORD)
  }

  w1(id: number): number {
    return this.family === Family.IPV4_UNICAST ? 0 : (this.#base1 + id * this.#size) % WORD
  }

  lengthOf(): number {
    return this.#length
  }
}

/** A synthetic table: a mix of lengths as in the Internet's, in ranges that no speaker filters as martian. */
export class TableSpace implements PrefixSpace {
  readonly family: Family
  readonly count: number
  readonly #w0: Uint32Array
  readonly #w1: Uint32Array
  readonly #lengths: Uint8Array
  /** Open addressing: id + 1, 0 for free. */
  readonly #index: Uint32Array

  constructor(family: Family, count: number, seed: number) {
    this.family = family
    this.count = count
    this.#w0 = new Uint32Array(count)
    this.#w1 = new Uint32Array(family === Family.IPV4_UNICAST ? 0 : count)
    this.#lengths = new Uint8Array(count)
    this.#index = new Uint32Array(2 ** Math.ceil(Math.log2(count * 2 + 2)))
    const random = new Random(seed)
    for (let id = 0; id < count; ) if (this.#add(id, random)) id++
  }

  find(w0: number, w1: number, length: number): number {
    const found = this.#index[this.#slot(w0, w1, length)]!
    return found - 1
  }

  w0(id: number): number {
    return this.#w0[id]!
  }

  w1(id: number): number {
    return this.family === Family.IPV4_UNICAST ? 0 : this.#w1[id]!
  }

  lengthOf(id: number): number {
    return this.#lengths[id]!
  }

  /** False where the prefix drawn is there already. */
  #add(id: number, random: Random): boolean {
    const [w0, w1, length] = this.family === Family.IPV4_UNICAST ? drawIpv4(random) : drawIpv6(random)
    const slot = this.#slot(w0, w1, length)
    if (this.#index[slot] !== 0) return false
    this.#w0[id] = w0
    if (this.family !== Family.IPV4_UNICAST) this.#w1[id] = w1
    this.#lengths[id] = length
    this.#index[slot] = id + 1
    return true
  }

  /** Where the prefix stands, or the free slot where it would. */
  #slot(w0: number, w1: number, length: number): number {
    const mask = this.#index.length - 1
    let hash = Math.imul(w0 ^ Math.imul(w1, 0x85ebca6b) ^ length, 0x9e3779b1)
    hash ^= hash >>> 15
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.#index[slot]! - 1
      if (id < 0) return slot
      if (this.#w0[id] === w0 && this.#lengths[id] === length && this.w1(id) === w1) return slot
    }
  }
}

/** 65 % /24, the rest /13 to /23, mostly long ones; 1.0.0.0 to 223.255.255.255 without 10/8 and 127/8. */
function drawIpv4(random: Random): [number, number, number] {
  const length = random.chance(0.65) ? 24 : 23 - Math.min(random.below(11), random.below(11))
  const first = 1 + random.below(223)
  const w0 = (first === 10 || first === 127 ? 11 : first) * 0x100_0000 + random.below(0x100_0000)
  return [w0 - (w0 % 2 ** (32 - length)), 0, length]
}

/** 60 % /48, the rest /32 to /47, in 2400::/6. */
function drawIpv6(random: Random): [number, number, number] {
  const length = random.chance(0.6) ? 48 : 32 + random.below(16)
  const w1 = random.u32()
  return [(0x2400_0000 + random.below(0x400_0000)) >>> 0, w1 - (w1 % 2 ** (64 - length)), length]
}

const WORD = 0x1_0000_0000
