/** Changes that break a message where parsers break: length fields, flags, nesting, truncation, repetition, order, splices, single bits. */
import { type Dialect, generateAttribute } from './generate.js'
import type { Random } from './random.js'
import { concat, type TreeAttribute, type UpdateTree, withHeader } from './update-tree.js'

/** Changes the tree in place, `times` times. */
export function mutateTree(
  random: Random,
  tree: UpdateTree,
  donor: () => UpdateTree,
  dialect: Dialect,
  times: number,
): void {
  for (let left = times; left > 0; left--) mutateOnce(random, tree, donor, dialect)
}

function mutateOnce(random: Random, tree: UpdateTree, donor: () => UpdateTree, dialect: Dialect): void {
  const { attributes } = tree
  const at = attributes.length === 0 ? -1 : random.below(attributes.length)
  const one = attributes[at]
  switch (random.below(22)) {
    case 0:
      if (at >= 0) attributes.splice(at, 1)
      return
    case 1:
      if (one !== undefined) attributes.splice(random.below(attributes.length + 1), 0, { ...one })
      return
    case 2:
      if (one !== undefined) attributes.push(...attributes.splice(at, 1))
      return
    case 3:
    case 4:
      attributes.splice(random.below(attributes.length + 1), 0, generateAttribute(random, dialect))
      return
    case 5:
      if (one !== undefined) one.flags ^= 1 << random.below(8)
      return
    case 6:
      if (one !== undefined) one.type = random.oneIn(2) ? random.below(48) : random.below(256)
      return
    case 7:
    case 8:
      if (one !== undefined) one.declared = lie(random, one.value.length)
      return
    case 9:
      if (one !== undefined) one.value = one.value.slice(0, random.below(one.value.length + 1))
      return
    case 10:
      if (one !== undefined) one.value = concat(one.value, random.octets(1 + random.below(4)))
      return
    case 11:
    case 12:
    case 13:
      if (one !== undefined) one.value = mutateOctets(random, one.value)
      return
    case 14:
    case 15:
      tree.nlri = mutateOctets(random, tree.nlri)
      return
    case 16:
      tree.withdrawn = mutateOctets(random, tree.withdrawn)
      return
    case 17:
      if (random.oneIn(2)) tree.withdrawnDeclared = lie(random, tree.withdrawn.length)
      else tree.attributesDeclared = lie(random, octetsOf(attributes))
      return
    case 18: {
      const other = donor()
      const from = random.below(other.attributes.length + 1)
      attributes.splice(random.below(attributes.length + 1), attributes.length, ...other.attributes.slice(from))
      return
    }
    case 19: {
      const other = donor()
      if (random.oneIn(2)) tree.nlri = concat(tree.nlri, other.nlri)
      else tree.withdrawn = concat(tree.withdrawn, other.nlri)
      return
    }
    case 20:
      if (one !== undefined && random.oneIn(8)) one.value = repeated(one.value, 1 + random.below(1000))
      else if (random.oneIn(16)) tree.nlri = repeated(tree.nlri, 2 + random.below(40))
      return
    default:
      if (random.oneIn(40)) for (let n = 0; n < 260; n++) attributes.push(generateAttribute(random, dialect))
      else if (one !== undefined) one.value = one.value.slice(random.below(one.value.length + 1))
  }
}

/** An octet or bit, something cut out, put in, or said twice. */
export function mutateOctets(random: Random, octets: Uint8Array): Uint8Array {
  if (octets.length === 0) return random.octets(1 + random.below(4))
  // Fields that say how to read the rest stand in front.
  const at = random.below(random.oneIn(2) ? octets.length : Math.min(8, octets.length))
  switch (random.below(8)) {
    case 0:
    case 1: {
      const out = octets.slice()
      out[at]! ^= 1 << random.below(8)
      return out
    }
    case 2:
    case 3: {
      const out = octets.slice()
      out[at] = random.pick(INTERESTING)
      return out
    }
    case 4:
      return octets.slice(0, at)
    case 5:
      return concat(octets.subarray(0, at), octets.subarray(at + 1))
    case 6:
      return concat(octets.subarray(0, at), Uint8Array.of(random.pick(INTERESTING)), octets.subarray(at))
    default:
      return concat(
        octets.subarray(0, at),
        octets.subarray(0, Math.min(octets.length, 1 + random.below(16))),
        octets.subarray(at),
      )
  }
}

/** The body of a message that is no UPDATE; mostly the header says the new length. */
export function mutateMessage(random: Random, message: Uint8Array): Uint8Array {
  let body: Uint8Array = message.subarray(19)
  for (let left = 1 + random.below(3); left > 0; left--) body = mutateOctets(random, body)
  const out = new Uint8Array(19 + body.length)
  out.set(body, 19)
  withHeader(out, message[18]!)
  return random.oneIn(12) ? mutateHeader(random, out) : out
}

/** Marker, length or type. Octets that the length promises and are not there come with what is sent next. */
export function mutateHeader(random: Random, message: Uint8Array): Uint8Array {
  const out = message.slice()
  switch (random.below(4)) {
    case 0:
      out[random.below(16)]! ^= 1 << random.below(8)
      break
    case 1:
      out[18] = random.oneIn(2) ? random.below(8) : random.below(256)
      break
    default: {
      const length = random.oneIn(2) ? lie(random, message.length) : random.below(0x10000)
      out[16] = length >>> 8
      out[17] = length
    }
  }
  return out
}

/** A length that is not the true one. */
function lie(random: Random, length: number): number {
  return (
    random.pick([
      length + 1,
      length + 2,
      length + 4,
      Math.max(0, length - 1),
      Math.max(0, length - 2),
      0,
      1,
      255,
      65535,
      length * 2,
      length ^ 0x80,
    ]) & 0xffff
  )
}

function repeated(octets: Uint8Array, times: number): Uint8Array {
  if (octets.length === 0) return octets
  const out = new Uint8Array(Math.min(octets.length * times, 4200))
  for (let at = 0; at < out.length; at++) out[at] = octets[at % octets.length]!
  return out
}

function octetsOf(attributes: readonly TreeAttribute[]): number {
  let octets = 0
  for (const { value } of attributes) octets += value.length + (value.length > 255 ? 4 : 3)
  return octets
}

const INTERESTING = [0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 20, 31, 32, 33, 64, 65, 127, 128, 129, 192, 240, 254, 255] as const
