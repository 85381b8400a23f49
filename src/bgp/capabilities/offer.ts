/**
 * The capabilities beyond families, route refresh and 4-octet AS numbers, as values in both directions: what we offer, and what a peer's OPEN
 * says. A value that does not have the form of its RFC counts as not offered (RFC 5492 §3); nothing outside of it is read.
 */
import { type Family, familyOf, familyRow } from '../../net/family.js'
import { CapabilityCode } from '../iana.js'
import type { Capability } from '../message/message.js'
import type { Reader } from '../wire/reader.js'
import { printable } from '../wire/text.js'
import { Writer } from '../wire/writer.js'
import { list, readWhole } from './read.js'

/** RFC 9234 §4.1: who we are, or the peer is, for the other. */
export const Role = Object.freeze({ PROVIDER: 0, RS: 1, RS_CLIENT: 2, CUSTOMER: 3, PEER: 4 } as const)
export type Role = (typeof Role)[keyof typeof Role]
export const ROLE_NAMES = Object.freeze(['provider', 'rs', 'rs-client', 'customer', 'peer'] as const)
export type RoleName = (typeof ROLE_NAMES)[number]

/** Unknown numbers as `role 9`. */
export function roleName(role: number): string {
  return ROLE_NAMES[role] ?? `role ${role}`
}

/** One family of the ADD-PATH capability (RFC 7911 §4), as its sender means it. */
export interface AddPathOffer {
  readonly family: Family
  readonly receive: boolean
  readonly send: boolean
}

/** One family of capability 64 (RFC 4724 §3). */
export interface GracefulFamily {
  readonly family: Family
  /** F bit: forwarding went on. */
  readonly forwarding: boolean
}
export interface GracefulRestartOffer {
  /** R bit: the sender has just restarted. */
  readonly restarting: boolean
  /** N bit (RFC 8538 §2): NOTIFICATIONs and hold timer expiry are graceful, too. */
  readonly notification: boolean
  /** 0 to 4095. */
  readonly restartTimeSeconds: number
  /** None: only End-of-RIB is promised; the sender helps others. */
  readonly families: readonly GracefulFamily[]
}

/** One family of capability 71 (RFC 9494 §3.1). */
export interface LongLivedFamily extends GracefulFamily {
  /** 0 to 2^24 - 1. */
  readonly staleTimeSeconds: number
}

export interface CapabilityOffer {
  /** RFC 8654. */
  readonly extendedMessages: boolean
  /** RFC 7313. */
  readonly enhancedRefresh: boolean
  /** RFC 8950: IPv4 unicast with IPv6 next hops. */
  readonly extendedNextHop: boolean
  /** Capability 77: a link-local next hop may stand alone. */
  readonly linkLocalNextHop: boolean
  readonly addPath: readonly AddPathOffer[]
  readonly gracefulRestart: GracefulRestartOffer | null
  readonly longLived: readonly LongLivedFamily[]
  /** Capability 73; empty: not sent. Printable text. */
  readonly hostname: string
  /** RFC 9234; null: not sent. */
  readonly role: number | null
}

/** Plain RFC 4271 with RFC 4760, 2918 and 6793. */
export const NO_OFFER: CapabilityOffer = Object.freeze({
  extendedMessages: false,
  enhancedRefresh: false,
  extendedNextHop: false,
  linkLocalNextHop: false,
  addPath: [],
  gracefulRestart: null,
  longLived: [],
  hostname: '',
  role: null,
})

export function encodeOffer(offer: CapabilityOffer): Capability[] {
  const capabilities: Capability[] = []
  const add = (code: number, write: (writer: Writer) => void = () => {}): void => {
    const writer = new Writer(16)
    write(writer)
    capabilities.push({ code, value: Uint8Array.from(writer.take()) })
  }
  if (offer.extendedNextHop)
    add(CapabilityCode.EXTENDED_NEXT_HOP, (writer) => {
      for (const word of [1, 1, 2]) writer.u16(word)
    })
  if (offer.extendedMessages) add(CapabilityCode.EXTENDED_MESSAGE)
  if (offer.role !== null) add(CapabilityCode.ROLE, (writer) => writer.u8(offer.role!))
  if (offer.gracefulRestart !== null) {
    const { restarting, notification, restartTimeSeconds, families } = offer.gracefulRestart
    add(CapabilityCode.GRACEFUL_RESTART, (writer) => {
      writer.u16((restarting ? 0x8000 : 0) | (notification ? 0x4000 : 0) | (restartTimeSeconds & 0x0fff))
      for (const { family, forwarding } of families) writeFamily(writer, family, forwarding ? 0x80 : 0)
    })
  }
  const addPath = offer.addPath.filter(({ receive, send }) => receive || send)
  if (addPath.length > 0)
    add(CapabilityCode.ADD_PATH, (writer) => {
      for (const { family, receive, send } of addPath) writeFamily(writer, family, (receive ? 1 : 0) | (send ? 2 : 0))
    })
  if (offer.enhancedRefresh) add(CapabilityCode.ENHANCED_ROUTE_REFRESH)
  if (offer.longLived.length > 0)
    add(CapabilityCode.LONG_LIVED_GRACEFUL_RESTART, (writer) => {
      for (const { family, forwarding, staleTimeSeconds } of offer.longLived) {
        writeFamily(writer, family, forwarding ? 0x80 : 0)
        writer.u8(staleTimeSeconds >>> 16)
        writer.u16(staleTimeSeconds & 0xffff)
      }
    })
  if (offer.hostname !== '')
    add(CapabilityCode.FQDN, (writer) => {
      writer.lengthPrefixed8(() => writer.bytes(clippedUtf8(offer.hostname)))
      writer.u8(0)
    })
  if (offer.linkLocalNextHop) add(CapabilityCode.LINK_LOCAL_NEXT_HOP)
  return capabilities
}

/** What a peer offers. Of a capability that is there twice the last readable one counts, except for roles (see `rolesOf`). */
export function readOffer(capabilities: readonly Capability[]): CapabilityOffer {
  const last = <T>(code: number, read: (reader: Reader) => T | undefined): T | undefined => {
    let found: T | undefined
    for (const capability of capabilities) if (capability.code === code) found = readWhole(capability, read) ?? found
    return found
  }
  const has = (code: number): boolean => capabilities.some((capability) => capability.code === code)
  return {
    extendedMessages: has(CapabilityCode.EXTENDED_MESSAGE),
    enhancedRefresh: has(CapabilityCode.ENHANCED_ROUTE_REFRESH),
    extendedNextHop: capabilities.some(
      (capability) =>
        capability.code === CapabilityCode.EXTENDED_NEXT_HOP &&
        readWhole(capability, (reader) =>
          list(reader, (item) => ({ afi: item.u16(), safi: item.u16(), nextHopAfi: item.u16() })),
        )?.some(({ afi, safi, nextHopAfi }) => afi === 1 && safi === 1 && nextHopAfi === 2) === true,
    ),
    linkLocalNextHop: has(CapabilityCode.LINK_LOCAL_NEXT_HOP),
    addPath: capabilities
      .filter(({ code }) => code === CapabilityCode.ADD_PATH)
      .flatMap((capability) => readWhole(capability, (reader) => list(reader, readAddPath)) ?? [])
      .filter((entry) => entry !== undefined),
    gracefulRestart: last(CapabilityCode.GRACEFUL_RESTART, readGracefulRestart) ?? null,
    longLived: capabilities
      .filter(({ code }) => code === CapabilityCode.LONG_LIVED_GRACEFUL_RESTART)
      .flatMap((capability) => readWhole(capability, (reader) => list(reader, readLongLived)) ?? [])
      .filter((entry) => entry !== undefined),
    hostname: last(CapabilityCode.FQDN, readHostname) ?? '',
    role: rolesOf(capabilities)[0] ?? null,
  }
}

/** The different roles that a peer claims; more than one is a mismatch (RFC 9234 §4.2). */
export function rolesOf(capabilities: readonly Capability[]): number[] {
  const roles = capabilities
    .filter(({ code, value }) => code === CapabilityCode.ROLE && value.length === 1)
    .map(({ value }) => value[0]!)
  return [...new Set(roles)]
}

function writeFamily(writer: Writer, family: Family, flags: number): void {
  const { afi, safi } = familyRow(family)
  writer.u16(afi)
  writer.u8(safi)
  writer.u8(flags)
}

/** A mode other than 1 to 3 makes the family count as not offered (RFC 7911 §4). */
function readAddPath(reader: Reader): AddPathOffer | undefined {
  const family = familyOf(reader.u16(), reader.u8())
  const mode = reader.u8()
  if (family === undefined || mode < 1 || mode > 3) return undefined
  return { family, receive: (mode & 1) !== 0, send: (mode & 2) !== 0 }
}

function readGracefulRestart(reader: Reader): GracefulRestartOffer {
  const first = reader.u16()
  const families = list(reader, (item) => {
    const family = familyOf(item.u16(), item.u8())
    return { family, forwarding: (item.u8() & 0x80) !== 0 }
  })
  return {
    restarting: (first & 0x8000) !== 0,
    notification: (first & 0x4000) !== 0,
    restartTimeSeconds: first & 0x0fff,
    families: families.filter((entry): entry is GracefulFamily => entry.family !== undefined),
  }
}

function readLongLived(reader: Reader): LongLivedFamily | undefined {
  const family = familyOf(reader.u16(), reader.u8())
  const forwarding = (reader.u8() & 0x80) !== 0
  const high = reader.u8()
  const staleTimeSeconds = high * 65536 + reader.u16()
  return family === undefined ? undefined : { family, forwarding, staleTimeSeconds }
}

function readHostname(reader: Reader): string {
  const text = (octets: Uint8Array): string => printable(new TextDecoder().decode(octets))
  const host = text(reader.bytes(reader.u8()))
  const domain = text(reader.bytes(reader.u8()))
  return domain === '' ? host : `${host}.${domain}`
}

/** At most 64 octets of UTF-8, never half a character. */
function clippedUtf8(text: string): Uint8Array {
  const octets = new Uint8Array(MAX_HOSTNAME_OCTETS)
  return octets.subarray(0, new TextEncoder().encodeInto(text, octets).written)
}

const MAX_HOSTNAME_OCTETS = 64
