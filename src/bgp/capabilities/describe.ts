/**
 * Capabilities for people: a name, and the fields of the known ones. A value that does not have the form of its RFC is shown without
 * fields; nothing outside of the value is ever read (each is an array of its own, read with bounds).
 */
import { formatFamily } from '../../net/family.js'
import { CapabilityCode } from '../iana.js'
import type { Capability } from '../message/message.js'
import type { Reader } from '../wire/reader.js'
import { printable } from '../wire/text.js'
import { list, readWhole } from './read.js'

export type CapabilityFields = Readonly<Record<string, unknown>>

export function capabilityName(code: number): string {
  return ROWS.get(code)?.name ?? `capability ${code}`
}

/** Fields by name, or undefined where the capability is unknown or malformed. */
export function describeCapability(capability: Capability): CapabilityFields | undefined {
  const fields = ROWS.get(capability.code)?.fields
  return fields === undefined ? undefined : readWhole(capability, fields)
}

interface CapabilityRow {
  readonly name: string
  readonly fields?: (reader: Reader) => CapabilityFields
}

function family(reader: Reader): string {
  const afi = reader.u16()
  return formatFamily(afi, reader.u8())
}

function text(reader: Reader): string {
  return printable(new TextDecoder().decode(reader.bytes(reader.u8())))
}

const ROLES = ['provider', 'rs', 'rs-client', 'customer', 'peer']
const ADD_PATH_MODES = ['none', 'receive', 'send', 'both']

const ROWS: ReadonlyMap<number, CapabilityRow> = new Map<number, CapabilityRow>([
  [
    CapabilityCode.MULTIPROTOCOL, // RFC 4760 §8: AFI 2, reserved 1, SAFI 1
    {
      name: 'multiprotocol',
      fields: (reader) => {
        const afi = reader.u16()
        reader.u8()
        return { family: formatFamily(afi, reader.u8()) }
      },
    },
  ],
  [CapabilityCode.ROUTE_REFRESH, { name: 'route-refresh' }],
  [CapabilityCode.ORF, { name: 'outbound-route-filtering' }],
  [
    CapabilityCode.EXTENDED_NEXT_HOP, // RFC 8950 §4: the SAFI has two octets here
    {
      name: 'extended-next-hop',
      fields: (reader) => ({
        families: list(reader, (item) => {
          const afi = item.u16()
          return { family: formatFamily(afi, item.u16()), nextHopAfi: item.u16() }
        }),
      }),
    },
  ],
  [CapabilityCode.EXTENDED_MESSAGE, { name: 'extended-message' }],
  [
    CapabilityCode.ROLE, // RFC 9234 §4.1
    {
      name: 'role',
      fields: (reader) => {
        const role = reader.u8()
        return { role: ROLES[role] ?? String(role) }
      },
    },
  ],
  [
    CapabilityCode.GRACEFUL_RESTART, // RFC 4724 §3, N bit RFC 8538 §2
    {
      name: 'graceful-restart',
      fields: (reader) => {
        const first = reader.u16()
        return {
          restarting: (first & 0x8000) !== 0,
          notification: (first & 0x4000) !== 0,
          restartTimeSeconds: first & 0x0fff,
          families: list(reader, (item) => ({ family: family(item), forwarding: (item.u8() & 0x80) !== 0 })),
        }
      },
    },
  ],
  [CapabilityCode.FOUR_OCTET_AS, { name: 'four-octet-as', fields: (reader) => ({ asn: reader.u32() }) }],
  [67, { name: 'dynamic-capability' }],
  [
    CapabilityCode.ADD_PATH, // RFC 7911 §4
    {
      name: 'add-path',
      fields: (reader) => ({
        families: list(reader, (item) => {
          const name = family(item)
          const mode = item.u8()
          return { family: name, mode: ADD_PATH_MODES[mode] ?? String(mode) }
        }),
      }),
    },
  ],
  [CapabilityCode.ENHANCED_ROUTE_REFRESH, { name: 'enhanced-route-refresh' }],
  [
    CapabilityCode.LONG_LIVED_GRACEFUL_RESTART, // RFC 9494 §3.1: stale time has 24 bits
    {
      name: 'long-lived-graceful-restart',
      fields: (reader) => ({
        families: list(reader, (item) => {
          const name = family(item)
          const forwarding = (item.u8() & 0x80) !== 0
          const high = item.u8()
          return { family: name, forwarding, staleTimeSeconds: high * 65536 + item.u16() }
        }),
      }),
    },
  ],
  [
    CapabilityCode.FQDN, // draft-walton-bgp-hostname-capability
    { name: 'fqdn', fields: (reader) => ({ hostname: text(reader), domain: text(reader) }) },
  ],
  [CapabilityCode.SOFTWARE_VERSION, { name: 'software-version', fields: (reader) => ({ software: text(reader) }) }],
  [
    CapabilityCode.PATHS_LIMIT, // draft-abraitis-idr-addpath-paths-limit
    {
      name: 'paths-limit',
      fields: (reader) => ({ families: list(reader, (item) => ({ family: family(item), limit: item.u16() })) }),
    },
  ],
  [CapabilityCode.LINK_LOCAL_NEXT_HOP, { name: 'link-local-next-hop' }],
  [CapabilityCode.CISCO_ROUTE_REFRESH, { name: 'route-refresh-cisco' }],
])
