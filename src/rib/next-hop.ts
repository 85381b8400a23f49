/**
 * Next hops as small integers with what is known of each: does it resolve, at what IGP metric, is it one of our own addresses.
 *
 * Who resolves (the kernel's routes, or nobody) is passed in; after a change of those routes `resolveAgain` says which next hops have moved.
 */
import { formatAddress, isLinkLocal, wordAt } from '../net/address.js'
import { ChainIndex, hashOctets } from './chain-index.js'
import { grown } from './columns.js'

/** Metric of a next hop's route, 0 and up; -1: no route. */
export type Resolver = (address: string) => number

export class NextHopTable {
  readonly #index = new ChainIndex()
  readonly #seed: number
  readonly #bytes: Uint8Array[] = [new Uint8Array(0)]
  readonly #texts: string[] = ['']
  readonly #freeIds: number[] = []
  /** Names of links by number; 0 is none. */
  readonly #zones: string[] = ['']
  #metric = new Int32Array(64)
  #refs = new Int32Array(64)
  #own = new Int32Array(64)
  #resolver: Resolver = () => 0
  #ownAddresses: ReadonlySet<string> = new Set()

  constructor(seed: number) {
    this.#seed = seed
  }

  get size(): number {
    return this.#index.size
  }
  /** Octets of its arrays, the next hops' own aside. */
  get arrayOctets(): number {
    return this.#index.arrayOctets + this.#metric.byteLength + this.#refs.byteLength + this.#own.byteLength
  }

  /** Number of a link (an interface) for `zoned`; links are few and never forgotten. */
  zoneOf(name: string): number {
    const known = this.#zones.indexOf(name)
    return known === -1 ? this.#zones.push(name) - 1 : known
  }

  /** Id of a next hop of 4, 16 or 32 octets (RFC 2545 §3: global, then link-local), or of `zoned`; retained once for the caller. */
  intern(octets: Uint8Array, start = 0, end: number = octets.length): number {
    const hash = hashOctets(octets, start, end, this.#seed)
    for (let id = this.#index.first(hash); id !== 0; id = this.#index.next(id)) {
      if (equalsRange(this.#bytes[id]!, octets, start, end)) {
        this.#refs[id]!++
        return id
      }
    }
    return this.#create(Uint8Array.from(octets.subarray(start, end)), hash)
  }

  #create(octets: Uint8Array, hash: number): number {
    const id = this.#freeIds.pop() ?? this.#bytes.length
    if (id >= this.#metric.length) {
      this.#metric = grown(this.#metric, id + 1)
      this.#refs = grown(this.#refs, id + 1)
      this.#own = grown(this.#own, id + 1)
    }
    this.#bytes[id] = octets
    const zone = zoneIn(octets)
    this.#texts[id] = `${formatAddress(forwardingAddress(octets))}${zone === 0 ? '' : `%${this.#zones[zone]}`}`
    this.#refs[id] = 1
    this.#index.add(id, hash)
    this.#judge(id)
    return id
  }

  release(id: number): void {
    if (id === 0 || --this.#refs[id]! > 0) return
    this.#index.delete(id)
    this.#freeIds.push(id)
  }

  /** -1 when there is no route to it. */
  metric(id: number): number {
    return this.#metric[id]!
  }
  isOwn(id: number): boolean {
    return this.#own[id] === 1
  }
  octets(id: number): Uint8Array {
    return this.#bytes[id]!
  }
  /** The address that traffic goes to; a link-local one with its link: `fe80::1%eth0`. */
  text(id: number): string {
    return this.#texts[id]!
  }

  setResolver(resolver: Resolver): void {
    this.#resolver = resolver
  }
  setOwnAddresses(addresses: ReadonlySet<string>): void {
    this.#ownAddresses = addresses
  }

  /** Looks all next hops up again. Returns the ids whose metric or ownership changed. */
  resolveAgain(): ReadonlySet<number> {
    const changed = new Set<number>()
    for (let id = 1; id < this.#bytes.length; id++) {
      if (this.#refs[id] === 0) continue
      const metric = this.#metric[id]
      const own = this.#own[id]
      this.#judge(id)
      if (this.#metric[id] !== metric || this.#own[id] !== own) changed.add(id)
    }
    return changed
  }

  #judge(id: number): void {
    const text = this.#texts[id]!
    this.#own[id] = this.#ownAddresses.has(text) ? 1 : 0
    this.#metric[id] = this.#resolver(text)
  }
}

/** Octets behind a next hop that name its link. */
const ZONE_OCTETS = 4

/** The next hop of a link: with the number of the link behind it, so that equal link-local addresses of two links are two next hops. */
export function zoned(octets: Uint8Array, zone: number): Uint8Array {
  const out = new Uint8Array(octets.length + ZONE_OCTETS)
  out.set(octets)
  new DataView(out.buffer).setUint32(octets.length, zone)
  return out
}

/** Octets of the next hop on the wire, given those that are kept. */
export function wireOctets(keptOctets: number): number {
  return keptOctets === 16 + ZONE_OCTETS || keptOctets === 32 + ZONE_OCTETS ? keptOctets - ZONE_OCTETS : keptOctets
}

/** The number of its link, 0 for none. */
export function zoneIn(kept: Uint8Array): number {
  const at = wireOctets(kept.length)
  return at === kept.length ? 0 : wordAt(kept, at)
}

/**
 * The next hop means something on one link only: link-local alone, twice, or behind no global address. On a session between link-local addresses also
 * behind a global one, which may be in no subnet that we know.
 */
export function isLinkScoped(octets: Uint8Array, linkLocalSession: boolean): boolean {
  if (octets.length < 16) return false
  if (isLinkLocal(octets, 0)) return true
  return octets.length === 32 && isLinkLocal(octets, 16) && (linkLocalSession || isUnspecified(octets))
}

/** The global address of 16 octets in an IPv6 next hop; null where it has none. */
export function globalPart(octets: Uint8Array): Uint8Array | null {
  if (octets.length < 16 || isLinkLocal(octets, 0) || isUnspecified(octets)) return null
  return octets.subarray(0, 16)
}

function isUnspecified(octets: Uint8Array): boolean {
  for (let i = 0; i < 16; i++) if (octets[i] !== 0) return false
  return true
}

/**
 * Of a 32-octet next hop the global address, or the link-local one where the global is unspecified, or where the next hop is kept with its link (`zoned`).
 */
export function forwardingAddress(octets: Uint8Array): Uint8Array {
  if (octets.length === 16 + ZONE_OCTETS) return octets.subarray(0, 16)
  if (octets.length === 32 + ZONE_OCTETS)
    return isLinkLocal(octets, 16) ? octets.subarray(16, 32) : octets.subarray(0, 16)
  if (octets.length !== 32) return octets
  const global = octets.subarray(0, 16)
  return global.every((octet) => octet === 0) ? octets.subarray(16) : global
}

/** Addresses that no packet can be forwarded to: unspecified, loopback, multicast, reserved (RFC 4271 §6.3; RFC 4291 §2.7). */
export function isMartianNextHop(octets: Uint8Array): boolean {
  const address = forwardingAddress(octets)
  if (address.length === 4) {
    const first = address[0]!
    return first === 0 || first === 127 || first >= 224
  }
  if (address.length !== 16) return true
  if (address[0] === 0xff) return true
  for (let i = 0; i < 15; i++) if (address[i] !== 0) return false
  return address[15]! <= 1
}

function equalsRange(whole: Uint8Array, octets: Uint8Array, start: number, end: number): boolean {
  if (whole.length !== end - start) return false
  for (let i = 0; i < whole.length; i++) if (whole[i] !== octets[start + i]) return false
  return true
}

export function equalOctets(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
