/**
 * Encodes an attribute set in canonical form: ascending type, extended length only where needed, low nibble of the flags zero. MP_REACH_NLRI
 * and MP_UNREACH_NLRI are the update packer's.
 */
import { Flags } from '../iana.js'
import { Writer } from '../wire/writer.js'
import { type EncodeOptions, writeAttribute } from './descriptor.js'
import type { OtherAttribute, PathAttributes } from './path-attributes.js'
import { ATTRIBUTE_ROWS } from './table.js'

export function encodePathAttributes(attributes: PathAttributes, options: EncodeOptions): Uint8Array {
  const writer = new Writer(128)
  const others = attributes.others
  let next = 0
  for (const row of ATTRIBUTE_ROWS) {
    while (next < others.length && others[next]!.type <= row.type) writeOther(writer, others[next++]!)
    const value = row.encode(attributes, options)
    if (value !== null) writeAttribute(writer, row.flags, row.type, value)
  }
  while (next < others.length) writeOther(writer, others[next++]!)
  return writer.take()
}

function writeOther(writer: Writer, other: OtherAttribute): void {
  writeAttribute(writer, other.flags & KEPT_FLAGS, other.type, other.value)
}

const KEPT_FLAGS = Flags.OPTIONAL | Flags.TRANSITIVE | Flags.PARTIAL
