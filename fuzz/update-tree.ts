/**
 * An UPDATE as a tree whose length fields may lie (RFC 4271 §4.3): read leniently from any octets, changed by the mutators, written as it says.
 */
const HEADER = 19
export const TRUE_LENGTH = -1

export interface TreeAttribute {
  flags: number
  type: number
  value: Uint8Array
  /** What the length field says; TRUE_LENGTH: what is there. */
  declared: number
}

export interface UpdateTree {
  withdrawn: Uint8Array
  withdrawnDeclared: number
  attributes: TreeAttribute[]
  attributesDeclared: number
  nlri: Uint8Array
}

export function emptyTree(): UpdateTree {
  return {
    withdrawn: NONE,
    withdrawnDeclared: TRUE_LENGTH,
    attributes: [],
    attributesDeclared: TRUE_LENGTH,
    nlri: NONE,
  }
}

/** Of a whole message; what does not fit is cut. */
export function readTree(message: Uint8Array): UpdateTree {
  const tree = emptyTree()
  const end = message.length
  let at = HEADER
  const u16 = (): number => {
    const value = ((message[at] ?? 0) << 8) | (message[at + 1] ?? 0)
    at = Math.min(end, at + 2)
    return value
  }
  const withdrawnEnd = Math.min(end, u16() + at)
  tree.withdrawn = message.slice(at, withdrawnEnd)
  at = withdrawnEnd
  const attributesEnd = Math.min(end, u16() + at)
  while (at + 3 <= attributesEnd) {
    const flags = message[at]!
    const type = message[at + 1]!
    at += 2
    const extended = (flags & 0x10) !== 0
    const length = extended ? u16() : message[at++]!
    const valueEnd = Math.min(attributesEnd, at + length)
    tree.attributes.push({ flags, type, value: message.slice(at, valueEnd), declared: TRUE_LENGTH })
    at = valueEnd
  }
  tree.nlri = message.slice(attributesEnd)
  return tree
}

/** A whole message, its header's length included. Up to 65535 octets; more is cut. */
export function writeTree(tree: UpdateTree): Uint8Array {
  const out = SCRATCH
  let at = HEADER + 2
  at = append(out, at, tree.withdrawn)
  put16(out, HEADER, said(tree.withdrawnDeclared, tree.withdrawn.length))
  const lengthAt = at
  at += 2
  for (const { flags, type, value, declared } of tree.attributes) {
    const length = said(declared, value.length)
    const extended = (flags & 0x10) !== 0 || (declared === TRUE_LENGTH && length > 255)
    out[at++] = extended ? flags | 0x10 : flags
    out[at++] = type
    if (extended) out[at++] = length >>> 8
    out[at++] = length
    at = append(out, at, value)
  }
  put16(out, lengthAt, said(tree.attributesDeclared, at - lengthAt - 2))
  at = append(out, at, tree.nlri)
  const message = out.slice(0, Math.min(at, 65535))
  return withHeader(message, 2)
}

/** Marker, length and type over the first 19 octets. */
export function withHeader(message: Uint8Array, type: number): Uint8Array {
  message.fill(255, 0, 16)
  message[16] = message.length >>> 8
  message[17] = message.length
  message[18] = type
  return message
}

export function messageOf(type: number, body: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER + body.length)
  message.set(body, HEADER)
  return withHeader(message, type)
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

function said(declared: number, length: number): number {
  return declared === TRUE_LENGTH ? length : declared
}

function append(out: Uint8Array, at: number, octets: Uint8Array): number {
  const fits = octets.length <= LIMIT - at ? octets : octets.subarray(0, Math.max(0, LIMIT - at))
  out.set(fits, at)
  return at + fits.length
}

function put16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 8
  out[at + 1] = value
}

export const NONE: Uint8Array = new Uint8Array(0)
const LIMIT = 70_000
const SCRATCH = new Uint8Array(LIMIT + 8)
