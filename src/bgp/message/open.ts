/**
 * OPEN (RFC 4271 §4.2, errors §6.2), capabilities in all their encodings (RFC 5492 §4: several in a parameter, several parameters), extended
 * optional parameters (RFC 9072), AS 0 (RFC 7607), BGP Identifier (RFC 6286: anything but 0).
 *
 * Faults are looked for in the order: version, parameters, AS, hold time, identifier. What only a configured neighbour can judge (its AS, our
 * own identifier) is the session's.
 */
import { NotificationError } from '../errors.js'
import { AS_TRANS, CapabilityCode } from '../iana.js'
import { BoundsError, Reader } from '../wire/reader.js'
import { encodeMessage, type Writer } from '../wire/writer.js'
import type { Capability, OpenMessage } from './message.js'
import { HEADER_OCTETS, MessageType } from './message.js'

/** buffer[start, end) is a whole message. Capability values are copies. Throws NotificationError 2/x. */
export function decodeOpen(buffer: Uint8Array, start: number, end: number): OpenMessage {
  try {
    return readOpen(new Reader(buffer, start + HEADER_OCTETS, end))
  } catch (error) {
    if (error instanceof BoundsError) throw malformed(`OPEN is cut: ${error.message}`)
    throw error
  }
}

/** What an OPEN is made of; My Autonomous System follows from `asn`. */
export interface OpenFields {
  readonly asn: number
  readonly holdTimeSeconds: number
  /** u32. */
  readonly bgpId: number
  readonly capabilities: readonly Capability[]
}

/** All capabilities in one parameter; in the form of RFC 9072 where they need more than 253 octets. */
export function encodeOpen(open: OpenFields): Uint8Array {
  const body = capabilityOctets(open.capabilities)
  return encodeMessage(
    MessageType.OPEN,
    (writer) => {
      writer.u8(VERSION)
      writer.u16(open.asn > 65535 ? AS_TRANS : open.asn)
      writer.u16(open.holdTimeSeconds)
      writer.u32(open.bgpId)
      if (body === 0) {
        writer.u8(0)
      } else if (body + 2 <= 255) {
        writer.u8(body + 2)
        writer.u8(CAPABILITIES_PARAMETER)
        writer.lengthPrefixed8(() => writeCapabilities(writer, open.capabilities))
      } else {
        writer.u8(EXTENDED)
        writer.u8(EXTENDED)
        writer.lengthPrefixed16(() => {
          writer.u8(CAPABILITIES_PARAMETER)
          writer.lengthPrefixed16(() => writeCapabilities(writer, open.capabilities))
        })
      }
    },
    body + 16,
  )
}

function readOpen(reader: Reader): OpenMessage {
  const version = reader.u8()
  if (version !== VERSION) {
    throw new NotificationError(2, 1, `BGP version ${version}, not 4`, Uint8Array.of(0, VERSION))
  }
  const myAs = reader.u16()
  const holdTimeSeconds = reader.u16()
  const bgpId = reader.u32()
  const capabilities = readParameters(reader)
  const asn = fourOctetAs(capabilities) ?? myAs
  if (myAs === 0 || asn === 0) throw new NotificationError(2, 2, 'AS 0 is no AS (RFC 7607 §2)')
  if (holdTimeSeconds === 1 || holdTimeSeconds === 2) {
    const data = Uint8Array.of(0, holdTimeSeconds)
    throw new NotificationError(2, 6, `hold time ${holdTimeSeconds} s; it is 0 or at least 3 s (RFC 4271 §4.2)`, data)
  }
  if (bgpId === 0) {
    throw new NotificationError(2, 3, 'BGP Identifier 0.0.0.0 (RFC 6286 §2.2)', new Uint8Array(4))
  }
  return { type: 'open', version, myAs, asn, holdTimeSeconds, bgpId, capabilities }
}

/** The rest of the OPEN: length octet and parameters, which have to end where the message ends. */
function readParameters(reader: Reader): Capability[] {
  const capabilities: Capability[] = []
  const length = reader.u8()
  const extended = length !== 0 && reader.peekU8() === EXTENDED
  if (extended) reader.u8()
  const total = extended ? reader.u16() : length
  if (total !== reader.remaining) {
    throw malformed(`optional parameters of ${reader.remaining} octets, ${total} by their length field`)
  }
  while (reader.remaining > 0) {
    const type = reader.u8()
    const value = reader.sub(extended ? reader.u16() : reader.u8())
    if (type !== CAPABILITIES_PARAMETER) {
      throw new NotificationError(2, 4, `optional parameter ${type} is not supported`)
    }
    readCapabilities(value, capabilities)
  }
  return capabilities
}

function readCapabilities(reader: Reader, into: Capability[]): void {
  while (reader.remaining > 0) {
    const code = reader.u8()
    const value = reader.bytes(reader.u8())
    // The session works with these two; what is wrong in others makes them unusable, no more (RFC 5492 §3).
    if ((code === CapabilityCode.MULTIPROTOCOL || code === CapabilityCode.FOUR_OCTET_AS) && value.length !== 4) {
      throw malformed(`capability ${code} has ${value.length} octets, not 4`)
    }
    into.push({ code, value: Uint8Array.from(value) })
  }
}

/** The first one counts; 0 in any of them is seen as 0. */
function fourOctetAs(capabilities: readonly Capability[]): number | undefined {
  const values = capabilities
    .filter((capability) => capability.code === CapabilityCode.FOUR_OCTET_AS)
    .map((capability) => new Reader(capability.value).u32())
  return values.includes(0) ? 0 : values[0]
}

function writeCapabilities(writer: Writer, capabilities: readonly Capability[]): void {
  for (const { code, value } of capabilities) {
    writer.u8(code)
    writer.lengthPrefixed8(() => writer.bytes(value))
  }
}

function capabilityOctets(capabilities: readonly Capability[]): number {
  let octets = 0
  for (const { value } of capabilities) octets += 2 + value.length
  return octets
}

/** OPEN Message Error, Unspecific (RFC 4271 §6.2). */
function malformed(reason: string): NotificationError {
  return new NotificationError(2, 0, reason)
}

const VERSION = 4
const CAPABILITIES_PARAMETER = 2
/** Marks the form of RFC 9072, as length and as first parameter type. */
const EXTENDED = 255
