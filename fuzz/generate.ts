/**
 * Messages as a good speaker sends them, of everything that this one knows or may meet: all attributes, both families, path identifiers, 2- and 4-octet AS
 * numbers, every capability in every encoding. Prefixes and values come from small pools, so that routes replace, share and withdraw each other.
 */
import type { Random } from './random.js'
import { concat, emptyTree, messageOf, NONE, TRUE_LENGTH, type TreeAttribute, type UpdateTree } from './update-tree.js'

/** How the sender writes. */
export interface Dialect {
  readonly asn: number
  readonly external: boolean
  readonly as4: boolean
  /** Bit n: NLRI of family n carry path identifiers. */
  readonly addPath: number
}

export function generateUpdate(random: Random, dialect: Dialect): UpdateTree {
  const tree = emptyTree()
  const kind = random.below(100)
  if (kind < 2) {
    if (kind === 1) tree.attributes.push(attribute(0x80, 15, Uint8Array.of(0, 2, 1)))
    return tree
  }
  if (kind < 14) {
    if (random.oneIn(3)) tree.attributes.push(mpUnreach(random, dialect))
    else tree.withdrawn = nlri(random, 0, dialect, 1 + random.below(4))
    return tree
  }
  const ipv6 = kind < 40
  const mpIpv4 = kind === 40
  tree.attributes = generateAttributes(random, dialect, !ipv6 && !mpIpv4)
  if (ipv6) tree.attributes.splice(random.oneIn(4) ? tree.attributes.length : 0, 0, mpReach(random, dialect))
  if (mpIpv4) {
    const nextHop = random.oneIn(2) ? ipv4(random) : ipv6NextHop(random)
    const head = Uint8Array.of(0, 1, 1, nextHop.length)
    const value = concat(head, nextHop, Uint8Array.of(0), nlri(random, 0, dialect, 2))
    tree.attributes.unshift(attribute(0x80, 14, value))
  }
  if ((!ipv6 && !mpIpv4) || random.oneIn(20)) tree.nlri = nlri(random, 0, dialect, 1 + random.below(4))
  if (random.oneIn(12)) tree.withdrawn = nlri(random, 0, dialect, 1 + random.below(3))
  if (random.oneIn(20)) tree.attributes.push(mpUnreach(random, dialect))
  if (random.oneIn(400)) {
    const count = 200 + random.below(400)
    tree.nlri =
      (dialect.addPath & 1) !== 0 && random.oneIn(2) ? manyPaths(random, count) : nlri(random, 0, dialect, count)
  }
  return tree
}

export function generateAttributes(random: Random, dialect: Dialect, withNextHop: boolean): TreeAttribute[] {
  const list = [attribute(0x40, 1, Uint8Array.of(random.below(3))), asPath(random, dialect)]
  if (withNextHop) list.push(attribute(0x40, 3, ipv4(random)))
  if (random.oneIn(3)) list.push(attribute(0x80, 4, u32(random.below(4))))
  if (!dialect.external) list.push(attribute(0x40, 5, u32(100 + random.below(3))))
  for (let more = random.below(3); more > 0; more--) list.push(generateAttribute(random, dialect))
  return list
    .filter((one, at) => list.findIndex(({ type }) => type === one.type) === at)
    .sort((a, b) => a.type - b.type)
}

/** Any attribute but those that every route has. */
export function generateAttribute(random: Random, dialect: Dialect): TreeAttribute {
  const kind = random.below(26)
  switch (kind) {
    case 0:
      return attribute(0x40, 6, NONE)
    case 1: {
      const asn = asNumber(random)
      return attribute(0xc0, 7, concat(dialect.as4 ? u32(asn) : u16(asn > 65535 ? 23456 : asn), ipv4(random)))
    }
    case 2:
    case 3:
      return attribute(
        0xc0,
        8,
        list(random, 4, (item) => item.set([0xff, 0xff, 0xff, random.below(6)], 0)),
      )
    case 4:
      return attribute(0x80, 9, random.oneIn(6) ? Uint8Array.of(10, 0, 0, 1) : ipv4(random))
    case 5:
      return attribute(
        0x80,
        10,
        list(random, 4, (item) => item.set([10, 0, 0, random.below(3)], 0)),
      )
    case 6:
    case 7:
      return attribute(
        0xc0,
        16,
        list(random, 8, (item) => item.set([random.pick([0, 1, 2, 3, 0x40, 0x43]), 2], 0)),
      )
    case 8: {
      const segment = Uint8Array.of(2, 2)
      return attribute(0xc0, 17, concat(segment, u32(asNumber(random)), u32(asNumber(random))))
    }
    case 9:
      return attribute(0xc0, 18, concat(u32(asNumber(random)), ipv4(random)))
    case 10:
      return attribute(0xc0, 22, concat(Uint8Array.of(0, 6, 0, 0, 16), ipv4(random)))
    case 11:
      return attribute(0xc0, 23, tlvs(random, 2, 2))
    case 12:
      return attribute(
        0xc0,
        25,
        list(random, 20, () => {}),
      )
    case 13:
      return attribute(0x80, 26, concat(Uint8Array.of(1, 0, 11), random.octets(8)))
    case 14:
      return attribute(0x80, 29, tlvs(random, 2, 2))
    case 15:
    case 16:
      return attribute(
        0xc0,
        32,
        list(random, 12, (item) => item.set([0, 0, 0xfc, random.below(2)], 0)),
      )
    case 17:
    case 18:
      return attribute(0xc0, 35, u32(random.pick([64512, 65010, 65020, 1])))
    case 19:
      return attribute(0xc0, 39, concat(Uint8Array.of(0, 1, 1, 4), ipv4(random), tlvs(random, 2, 2)))
    case 20:
    case 21:
      return attribute(0xc0, 40, prefixSid(random))
    case 22:
      return attribute(0xc0, 128, concat(u32(65000), Uint8Array.of(0x40, 1, 1, 0)))
    case 23:
      return attribute(0x80, random.pick([27, 36, 99, 200]), random.octets(random.below(8)))
    default:
      return attribute(
        random.pick([0xc0, 0xe0]),
        random.pick([0, 28, 31, 33, 34, 38, 99, 255]),
        random.octets(random.below(12)),
      )
  }
}

/** An OPEN that the neighbour of this dialect is known by, with random capabilities beyond `needed`. */
export function generateOpen(random: Random, asn: number, bgpId: number, needed: readonly Uint8Array[]): Uint8Array {
  const capabilities = [...needed]
  for (let more = random.below(4); more > 0; more--) {
    capabilities.splice(random.below(capabilities.length + 1), 0, generateCapability(random, asn))
  }
  const head = concat(Uint8Array.of(4), u16(asn > 65535 ? 23456 : asn), u16(random.pick([0, 3, 90, 180])), u32(bgpId))
  return messageOf(1, concat(head, openParameters(random, capabilities)))
}

/** One parameter, one for each, or the extended form (RFC 5492 §4, RFC 9072). */
function openParameters(random: Random, capabilities: readonly Uint8Array[]): Uint8Array {
  const all = concat(...capabilities)
  if (all.length > 200 || random.oneIn(8)) {
    const parameter = concat(Uint8Array.of(2), u16(all.length), all)
    return concat(Uint8Array.of(255, 255), u16(parameter.length), parameter)
  }
  const parts = random.oneIn(3) ? capabilities : all.length === 0 ? [] : [all]
  const parameters = concat(...parts.map((part) => concat(Uint8Array.of(2, part.length), part)))
  if (parameters.length > 255) return openParameters(random, [all])
  return concat(Uint8Array.of(parameters.length), parameters)
}

export function capability(code: number, value: Uint8Array = NONE): Uint8Array {
  return concat(Uint8Array.of(code, value.length), value)
}

function generateCapability(random: Random, asn: number): Uint8Array {
  const family = (): Uint8Array => random.pick(FAMILIES)
  switch (random.below(16)) {
    case 0:
      return capability(1, concat(family().subarray(0, 2), Uint8Array.of(0), family().subarray(2)))
    case 1:
      return capability(2)
    case 2:
      return capability(5, concat(u16(1), u16(random.below(3)), u16(2)))
    case 3:
      return capability(6)
    case 4:
      return capability(9, Uint8Array.of(random.below(6)))
    case 5:
      return capability(
        64,
        concat(u16(random.below(0x10000)), family(), Uint8Array.of(0x80), family(), Uint8Array.of(0)),
      )
    case 6:
      return capability(65, u32(asn))
    case 7:
      return capability(69, concat(family(), Uint8Array.of(random.below(5))))
    case 8:
      return capability(70)
    case 9:
      return capability(71, concat(family(), Uint8Array.of(0x80), random.octets(3)))
    case 10:
      return capability(73, concat(Uint8Array.of(2, 0x61, 0x62, 1, 0x63)))
    case 11:
      return capability(75, Uint8Array.of(2, 0x61, 0x62))
    case 12:
      return capability(76, concat(family(), u16(random.below(9))))
    case 13:
      return capability(77)
    case 14:
      return capability(128)
    default:
      return capability(random.below(256), random.octets(random.below(6)))
  }
}

export function generateRefresh(random: Random): Uint8Array {
  const family = random.oneIn(6) ? random.octets(3) : random.pick(FAMILIES)
  const subtype = random.oneIn(10) ? random.below(256) : random.below(3)
  return messageOf(5, Uint8Array.of(family[0]!, family[1]!, subtype, family[2]!))
}

export function generateNotification(random: Random): Uint8Array {
  const data = random.oneIn(2) ? random.octets(random.below(20)) : Uint8Array.of(2, 0x61, 0x62)
  return messageOf(3, concat(Uint8Array.of(random.below(10), random.below(12)), data))
}

function nlri(random: Random, family: 0 | 1, { addPath }: Dialect, count: number): Uint8Array {
  const out: number[] = []
  for (let left = count; left > 0; left--) {
    if ((addPath & (1 << family)) !== 0) out.push(0, 0, 0, random.below(4))
    const number = random.below(48)
    if (family === 0) {
      const bits = random.oneIn(30) ? random.below(33) : 16 + (number % 3) * 8
      const address = [10, number, number & 3, number]
      out.push(bits, ...address.slice(0, (bits + 7) >> 3))
    } else {
      const bits = random.oneIn(30) ? random.below(129) : 48 + (number % 3) * 8
      const address = [0x20, 1, 0xd, 0xb8, 0, number, 0, number & 1, 0, 0, 0, 0, 0, 0, 0, 1]
      out.push(bits, ...address.slice(0, (bits + 7) >> 3))
    }
  }
  return Uint8Array.from(out)
}

/** Of one prefix, each under another identifier. */
function manyPaths(random: Random, count: number): Uint8Array {
  const first = random.below(2000)
  return concat(...Array.from({ length: count }, (_, n) => concat(u32(first + n), Uint8Array.of(8, 10))))
}

function mpReach(random: Random, dialect: Dialect): TreeAttribute {
  const nextHop = ipv6NextHop(random)
  const items = nlri(random, 1, dialect, 1 + random.below(3))
  return attribute(0x80, 14, concat(Uint8Array.of(0, 2, 1, nextHop.length), nextHop, Uint8Array.of(0), items))
}

/** Global, link-local, both (RFC 2545 §3), and the link-local one behind none. */
function ipv6NextHop(random: Random): Uint8Array {
  const global = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 + random.below(4))
  const linkLocal = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 + random.below(4))
  return random.pick([
    global,
    global,
    global,
    concat(global, linkLocal),
    linkLocal,
    concat(new Uint8Array(16), linkLocal),
  ])
}

function mpUnreach(random: Random, dialect: Dialect): TreeAttribute {
  const family = random.oneIn(5) ? 0 : 1
  return attribute(
    0x80,
    15,
    concat(Uint8Array.of(0, family + 1, 1), nlri(random, family, dialect, 1 + random.below(3))),
  )
}

function asPath(random: Random, { asn, external, as4 }: Dialect): TreeAttribute {
  const numbers = external ? [asn] : []
  for (let more = random.below(4); more > 0; more--) numbers.push(asNumber(random))
  if (random.oneIn(60)) for (let more = random.below(300); more > 0; more--) numbers.push(65300)
  const parts: Uint8Array[] = []
  const write = (type: number, members: readonly number[]): void => {
    parts.push(
      Uint8Array.of(type, members.length),
      ...members.map((one) => (as4 ? u32(one) : u16(one > 65535 ? 23456 : one))),
    )
  }
  if (!external && random.oneIn(40)) write(random.pick([3, 4]), [65000, 65001])
  for (let at = 0; at < numbers.length; at += 255) write(2, numbers.slice(at, at + 255))
  if (random.oneIn(40)) write(1, [asNumber(random), 65400])
  return attribute(0x40, 2, concat(...parts))
}

function asNumber(random: Random): number {
  return random.pick([65010, 65020, 65300, 65301, 200000, 4200000000, random.oneIn(10) ? 64512 : 65302])
}

/** Label index, SRGB or SRv6 service (RFC 8669 §3, RFC 9252 §2). */
function prefixSid(random: Random): Uint8Array {
  if (random.oneIn(3)) return Uint8Array.of(1, 0, 7, 0, 0, 0, 0, 0, 0, random.below(4))
  if (random.oneIn(2)) return concat(Uint8Array.of(3, 0, 8, 0, 0), random.octets(6))
  const structure = Uint8Array.of(1, 0, 6, 40, 24, 16, 0, 16, 64)
  const sid = concat(Uint8Array.of(1, 0, 30, 0), random.octets(16), Uint8Array.of(0, 0, 0x11, 0), structure)
  return concat(Uint8Array.of(random.pick([5, 6]), 0, 1 + sid.length, 0), sid)
}

/** Some TLVs with fields of these sizes; now and then one within another. */
function tlvs(random: Random, typeOctets: number, lengthOctets: number, depth = 0): Uint8Array {
  const parts: Uint8Array[] = []
  for (let left = 1 + random.below(3); left > 0; left--) {
    const value = depth < 2 && random.oneIn(3) ? tlvs(random, 1, 1, depth + 1) : random.octets(random.below(6))
    const type = typeOctets === 2 ? u16(random.below(20)) : Uint8Array.of(random.below(20))
    parts.push(type, lengthOctets === 2 ? u16(value.length) : Uint8Array.of(value.length), value)
  }
  return concat(...parts)
}

function list(random: Random, octets: number, dress: (item: Uint8Array) => void): Uint8Array {
  const items: Uint8Array[] = []
  const count = random.oneIn(100) ? 70 + random.below(100) : 1 + random.below(3)
  for (let left = count; left > 0; left--) {
    const item = new Uint8Array(octets)
    item[octets - 1] = random.below(4)
    if (random.oneIn(3)) dress(item)
    items.push(item)
  }
  return concat(...items)
}

function attribute(flags: number, type: number, value: Uint8Array): TreeAttribute {
  return { flags, type, value, declared: TRUE_LENGTH }
}
function ipv4(random: Random): Uint8Array {
  return Uint8Array.of(10, 9, random.below(2), 1 + random.below(4))
}
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value)
}
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}

/** AFI and SAFI: ours, labelled, EVPN, flowspec. */
const FAMILIES = [
  Uint8Array.of(0, 1, 1),
  Uint8Array.of(0, 2, 1),
  Uint8Array.of(0, 1, 1),
  Uint8Array.of(0, 2, 1),
  Uint8Array.of(0, 1, 4),
  Uint8Array.of(0, 25, 70),
  Uint8Array.of(0, 1, 133),
]
