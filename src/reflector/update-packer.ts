/**
 * Packs one batch of changes into whole UPDATE messages in slabs (RFC 4271 §4.3, RFC 4760 §3): withdrawals first, then announcements bucketed by out
 * set and source, each message filled up to the limit. The octets of one source's announcements lie together, so that the source can be left out.
 */
import { HEADER_OCTETS, MessageType } from '../bgp/message/message.js'
import { Family, familyRow } from '../net/family.js'
import { grown } from '../rib/columns.js'
import type { PathTable } from '../rib/path-table.js'
import type { PrefixTable } from '../rib/prefix-table.js'
import type { OutSetTable } from './out-set.js'

/** Whole messages, and whom they are not for. Never written again after the packer has handed it out. */
export interface PackedSlab {
  readonly octets: Uint8Array
  /** Source index → where its own announcements lie. */
  readonly ranges: ReadonlyMap<number, SourceRange>
  /** Rows that the slab speaks of: prefix ids, with ADD-PATH path ids. */
  readonly prefixes: Int32Array
  /** UPDATE messages in it. */
  readonly messages: number
}
export interface SourceRange {
  readonly start: number
  readonly end: number
  readonly messages: number
}

export class UpdatePacker {
  readonly #family: Family
  readonly #prefixes: PrefixTable
  readonly #outSets: OutSetTable
  /** With ADD-PATH: rows are paths, and each NLRI has the id in front (RFC 7911 §3). Without, rows are prefixes. */
  readonly #paths: PathTable | null
  readonly #limit: number
  readonly #afi: number
  readonly #safi: number
  // The batch: withdrawals, and announcements as chains of items in buckets. Arrays that stay: lists made anew for each batch were 3 % of the way in of 1 M prefixes.
  #withdrawn: number[] = []
  #itemRow = new Int32Array(4096)
  #itemNext = new Int32Array(4096)
  #items = 0
  #bucketSet = new Int32Array(INITIAL_BUCKETS)
  #bucketSource = new Int32Array(INITIAL_BUCKETS)
  #bucketHead = new Int32Array(INITIAL_BUCKETS)
  #bucketTail = new Int32Array(INITIAL_BUCKETS)
  /** Another bucket of the same out set with another source, -1 at the end. */
  #bucketOther = new Int32Array(INITIAL_BUCKETS)
  #buckets = 0
  #estimate = 0
  // The slab being written.
  #slab: Uint8Array = NO_OCTETS
  #at = 0
  #ranges = new Map<number, SourceRange>()
  /** Source whose messages are being written, -1 for none; they begin at #rangeStart. */
  #rangeSource = -1
  #rangeStart = 0
  #rangeMessages = 0
  #spoken = new Int32Array(4096)
  #spokenCount = 0
  #messages = 0
  #done: PackedSlab[] = []

  constructor(
    family: Family,
    prefixes: PrefixTable,
    outSets: OutSetTable,
    maxMessageOctets: number,
    paths: PathTable | null = null,
  ) {
    this.#paths = paths
    this.#family = family
    this.#prefixes = prefixes
    this.#outSets = outSets
    this.#limit = maxMessageOctets
    this.#afi = familyRow(family).afi
    this.#safi = familyRow(family).safi
  }

  withdraw(row: number): void {
    this.#withdrawn.push(row)
    this.#estimate += this.#nlriOctets(row)
  }

  announce(row: number, set: number, source: number): void {
    const bucket = this.#bucketFor(set, source)
    if (this.#items === this.#itemRow.length) this.#growItems()
    const item = this.#items++
    this.#itemRow[item] = row
    this.#itemNext[item] = -1
    if (this.#bucketHead[bucket] === -1) this.#bucketHead[bucket] = item
    else this.#itemNext[this.#bucketTail[bucket]!] = item
    this.#bucketTail[bucket] = item
    this.#estimate += this.#nlriOctets(row)
  }

  #nlriOctets(row: number): number {
    const paths = this.#paths
    return paths === null ? this.#prefixes.nlriOctets(row) : 4 + this.#prefixes.nlriOctets(paths.prefix[row]!)
  }

  #writeRow(row: number, at: number): number {
    const paths = this.#paths
    if (paths === null) return this.#prefixes.writeNlri(row, this.#slab, at)
    writeU16(this.#slab, at, row >>> 16)
    writeU16(this.#slab, at + 2, row)
    return this.#prefixes.writeNlri(paths.prefix[row]!, this.#slab, at + 4)
  }

  /** Octets of its arrays, which are as long as the largest batch asked for. */
  get arrayOctets(): number {
    const items = this.#itemRow.byteLength + this.#itemNext.byteLength + this.#spoken.byteLength
    return items + this.#bucketSet.byteLength * BUCKET_COLUMNS
  }

  get isEmpty(): boolean {
    return this.#items === 0 && this.#withdrawn.length === 0
  }

  /** The batch as slabs; the packer is empty again. */
  take(): PackedSlab[] {
    if (this.#withdrawn.length > 0) {
      this.#estimate += WITHDRAW_OVERHEAD * (1 + Math.floor(this.#estimate / (this.#limit - WITHDRAW_OVERHEAD)))
      this.#writeWithdrawals()
    }
    const order = this.#bucketsBySource()
    for (let at = 0; at < this.#buckets; at++) this.#writeBucket(order === null ? at : order[at]!)
    this.#seal()
    const slabs = this.#done
    this.#reset()
    return slabs
  }

  #bucketFor(set: number, source: number): number {
    const last = this.#buckets - 1
    if (last >= 0 && this.#bucketSet[last] === set && this.#bucketSource[last] === source) return last
    const outSets = this.#outSets
    let first = outSets.buckets[set]!
    // What another batch has left there names another set, or nothing.
    if (first > last || this.#bucketSet[first] !== set) first = -1
    else {
      for (let bucket = first; bucket !== -1; bucket = this.#bucketOther[bucket]!)
        if (this.#bucketSource[bucket] === source) return bucket
    }
    const bucket = this.#buckets++
    if (bucket === this.#bucketSet.length) this.#growBuckets()
    this.#bucketSet[bucket] = set
    this.#bucketSource[bucket] = source
    this.#bucketHead[bucket] = -1
    this.#bucketTail[bucket] = -1
    this.#bucketOther[bucket] = first
    outSets.buckets[set] = bucket
    this.#estimate += ANNOUNCE_OVERHEAD + outSets.lengthOf(set) + outSets.nextHopLengthOf(set)
    return bucket
  }

  /** null: they are in that order as they are. */
  #bucketsBySource(): Int32Array | null {
    const sources = this.#bucketSource
    let at = 1
    while (at < this.#buckets && sources[at - 1]! <= sources[at]!) at++
    if (at >= this.#buckets) return null
    const order = Int32Array.from({ length: this.#buckets }, (_, bucket) => bucket)
    return order.sort((a, b) => sources[a]! - sources[b]! || a - b)
  }

  #writeBucket(bucket: number): void {
    const set = this.#bucketSet[bucket]!
    const source = this.#bucketSource[bucket]!
    // An IPv4 route with an IPv6 next hop goes in MP_REACH_NLRI (RFC 8950 §4); withdrawals of IPv4 stay in their own field, which ends both kinds.
    const nextHopLength = this.#outSets.nextHopLengthOf(set)
    const classic = nextHopLength === 0
    const fixed = HEADER_OCTETS + 4 + this.#outSets.lengthOf(set) + (classic ? 0 : 9 + nextHopLength)
    let item = this.#bucketHead[bucket]!
    while (item !== -1) {
      this.#reserve(Math.min(this.#limit, fixed + this.#chainOctets(item, this.#limit - fixed)))
      const start = this.#at
      item = classic ? this.#writeIpv4(set, item) : this.#writeMpReach(set, item)
      if (source !== this.#rangeSource) this.#beginRange(source, start)
      this.#rangeMessages++
      this.#messages++
    }
  }

  /** NLRI octets of the chain, no more than `limit`. */
  #chainOctets(item: number, limit: number): number {
    let octets = 0
    for (let at = item; at !== -1 && octets < limit; at = this.#itemNext[at]!)
      octets += this.#nlriOctets(this.#itemRow[at]!)
    return Math.min(octets, limit)
  }

  #writeIpv4(set: number, first: number): number {
    const start = this.#at
    const slab = this.#slab
    let at = writeHeader(slab, start)
    slab[at++] = 0
    slab[at++] = 0
    const length = this.#outSets.lengthOf(set)
    slab[at++] = length >>> 8
    slab[at++] = length
    at = this.#outSets.write(set, slab, at)
    const item = this.#writeNlri(first, start, at)
    finishHeader(slab, start, this.#at)
    return item
  }

  /** MP_REACH_NLRI first (RFC 7606 §5.1), then the other attributes; its length is known only after the NLRI, so they are written behind. */
  #writeMpReach(set: number, first: number): number {
    const start = this.#at
    const slab = this.#slab
    let at = writeHeader(slab, start)
    slab[at++] = 0
    slab[at++] = 0
    const attributesLengthAt = at
    at += 2
    slab[at++] = 0x90
    slab[at++] = 14
    const lengthAt = at
    at += 2
    slab[at++] = this.#afi >>> 8
    slab[at++] = this.#afi
    slab[at++] = this.#safi
    slab[at++] = this.#outSets.nextHopLengthOf(set)
    at = this.#outSets.writeNextHop(set, slab, at)
    slab[at++] = 0
    const item = this.#writeNlri(first, start, at, this.#outSets.lengthOf(set))
    writeU16(slab, lengthAt, this.#at - lengthAt - 2)
    this.#at = this.#outSets.write(set, slab, this.#at)
    writeU16(slab, attributesLengthAt, this.#at - attributesLengthAt - 2)
    finishHeader(slab, start, this.#at)
    return item
  }

  /** Writes NLRI from `item` on until the message is full (`behind` octets follow them). Returns the first that is left, -1 for none. */
  #writeNlri(item: number, start: number, at: number, behind = 0): number {
    const end = start + this.#limit - behind
    while (item !== -1) {
      const row = this.#itemRow[item]!
      if (at + this.#nlriOctets(row) > end) break
      at = this.#writeRow(row, at)
      this.#speak(row)
      item = this.#itemNext[item]!
    }
    this.#at = at
    return item
  }

  #writeWithdrawals(): void {
    let next = 0
    while (next < this.#withdrawn.length) {
      let octets = WITHDRAW_OVERHEAD
      for (let i = next; i < this.#withdrawn.length && octets < this.#limit; i++)
        octets += this.#nlriOctets(this.#withdrawn[i]!)
      this.#reserve(Math.min(this.#limit, octets))
      next = this.#family === Family.IPV4_UNICAST ? this.#writeWithdrawnIpv4(next) : this.#writeMpUnreach(next)
      this.#messages++
    }
  }

  #writeWithdrawnIpv4(from: number): number {
    const start = this.#at
    const lengthAt = writeHeader(this.#slab, start)
    const next = this.#writeWithdrawn(from, lengthAt + 2, start + this.#limit - 2)
    writeU16(this.#slab, lengthAt, this.#at - lengthAt - 2)
    this.#slab[this.#at++] = 0
    this.#slab[this.#at++] = 0
    finishHeader(this.#slab, start, this.#at)
    return next
  }

  #writeMpUnreach(from: number): number {
    const start = this.#at
    const slab = this.#slab
    let at = writeHeader(slab, start)
    slab[at++] = 0
    slab[at++] = 0
    const attributesLengthAt = at
    at += 2
    slab[at++] = 0x90
    slab[at++] = 15
    const lengthAt = at
    at += 2
    slab[at++] = this.#afi >>> 8
    slab[at++] = this.#afi
    slab[at++] = this.#safi
    const next = this.#writeWithdrawn(from, at, start + this.#limit)
    writeU16(slab, lengthAt, this.#at - lengthAt - 2)
    writeU16(slab, attributesLengthAt, this.#at - attributesLengthAt - 2)
    finishHeader(slab, start, this.#at)
    return next
  }

  #writeWithdrawn(from: number, at: number, end: number): number {
    let next = from
    for (; next < this.#withdrawn.length; next++) {
      const row = this.#withdrawn[next]!
      if (at + this.#nlriOctets(row) > end) break
      at = this.#writeRow(row, at)
      this.#speak(row)
    }
    this.#at = at
    return next
  }

  #speak(row: number): void {
    if (this.#spokenCount === this.#spoken.length) this.#spoken = grown(this.#spoken, 0, 2)
    this.#spoken[this.#spokenCount++] = row
  }

  /** Room for a message of `octets`; otherwise the slab is sealed and a new one begun. */
  #reserve(octets: number): void {
    if (this.#at + octets <= this.#slab.length) return
    this.#seal()
    const size = Math.max(octets, Math.min(SLAB_OCTETS, this.#estimate))
    this.#slab = Buffer.allocUnsafeSlow(size)
  }

  #seal(): void {
    if (this.#at === 0) return
    this.#beginRange(-1, this.#at)
    this.#done.push({
      octets: this.#slab.subarray(0, this.#at),
      ranges: this.#ranges,
      prefixes: this.#spoken.slice(0, this.#spokenCount),
      messages: this.#messages,
    })
    this.#estimate -= this.#at
    this.#ranges = new Map()
    this.#spokenCount = 0
    this.#messages = 0
    this.#slab = NO_OCTETS
    this.#at = 0
  }

  /** Messages of `source` begin at `start`, where those of the one before end: buckets come source by source. */
  #beginRange(source: number, start: number): void {
    if (this.#rangeSource !== -1)
      this.#ranges.set(this.#rangeSource, { start: this.#rangeStart, end: start, messages: this.#rangeMessages })
    this.#rangeSource = source
    this.#rangeStart = start
    this.#rangeMessages = 0
  }

  #growItems(): void {
    this.#itemRow = grown(this.#itemRow, 0, 2)
    this.#itemNext = grown(this.#itemNext, 0, 2)
  }

  #growBuckets(): void {
    this.#bucketSet = grown(this.#bucketSet, 0, 2)
    this.#bucketSource = grown(this.#bucketSource, 0, 2)
    this.#bucketHead = grown(this.#bucketHead, 0, 2)
    this.#bucketTail = grown(this.#bucketTail, 0, 2)
    this.#bucketOther = grown(this.#bucketOther, 0, 2)
  }

  #reset(): void {
    this.#withdrawn = []
    this.#items = 0
    this.#buckets = 0
    this.#estimate = 0
    this.#done = []
  }
}

/** End-of-RIB of a family (RFC 4724 §2). */
export function endOfRibMessage(family: Family): Uint8Array {
  const { afi, safi } = familyRow(family)
  const octets = new Uint8Array(family === Family.IPV4_UNICAST ? 23 : 29)
  const at = writeHeader(octets, 0)
  if (family !== Family.IPV4_UNICAST) octets.set([0, 0, 0, 6, 0x80, 15, 3, afi >>> 8, afi, safi], at)
  finishHeader(octets, 0, octets.length)
  return octets
}

function writeHeader(slab: Uint8Array, at: number): number {
  for (let i = 0; i < 16; i++) slab[at + i] = 0xff
  slab[at + 18] = MessageType.UPDATE
  return at + HEADER_OCTETS
}

function finishHeader(slab: Uint8Array, start: number, end: number): void {
  writeU16(slab, start + 16, end - start)
}

function writeU16(slab: Uint8Array, at: number, value: number): void {
  slab[at] = value >>> 8
  slab[at + 1] = value
}

const NO_OCTETS = new Uint8Array(0)
const INITIAL_BUCKETS = 64
const BUCKET_COLUMNS = 5
/** Whole messages up to this size share memory. */
const SLAB_OCTETS = 65536
/** Header, two length fields, and the larger of the MP attributes' headers. */
const WITHDRAW_OVERHEAD = HEADER_OCTETS + 4 + 7
const ANNOUNCE_OVERHEAD = HEADER_OCTETS + 4 + 9
