/**
 * Routes in rtnetlink (pure): RTM_NEWROUTE, RTM_DELROUTE and RTM_GETROUTE, both ways. IPv4 and IPv6, one hop or several (RTA_MULTIPATH), IPv6 next hops of
 * IPv4 routes (RTA_VIA, RFC 8950), tables above 255 (RTA_TABLE), a source-address hint (RTA_PREFSRC).
 */
import { formatAddress, formatIpv4, wordAt } from '../net/address.js'
import { Family } from '../net/family.js'
import {
  forEachAttribute,
  HEADER_OCTETS,
  type MessageHeader,
  type NetlinkReader,
  type NetlinkWriter,
} from './message.js'
import {
  AddressFamily,
  HopFlag,
  MessageFlag,
  MessageType,
  RouteAttribute,
  RouteFlag,
  RouteScope,
  RouteType,
} from './numbers.js'

/** What one hop of a route to be written is made of. Addresses are octets in the order of the network. */
export interface HopFields {
  readonly gateway: Uint8Array | null
  /** Index of the device; 0: the kernel looks for one. */
  readonly device: number
  readonly onlink: boolean
  /** From 1, which is what it is where nothing is said; only among several. */
  readonly weight?: number | undefined
}

/** What a route to be written or removed is made of. */
export interface RouteFields {
  readonly address: Uint8Array
  readonly length: number
  /** RouteType. */
  readonly type: number
  readonly protocol: number
  readonly table: number
  readonly metric: number
  /** Address that packets of this node itself leave with, where the route says. */
  readonly source: Uint8Array | null
  readonly hops: readonly HopFields[]
}

export interface RouteHop {
  /** Canonical text, or null. */
  readonly gateway: string | null
  readonly device: number
  /** HopFlag. */
  readonly flags: number
  /** From 1. */
  readonly weight: number
}

/** A route as the kernel tells it. */
export interface RouteMessage {
  readonly family: Family
  readonly prefix: string
  readonly type: number
  readonly protocol: number
  readonly table: number
  readonly metric: number
  readonly tos: number
  readonly source: string | null
  /** Id of the next-hop object that it uses, or 0. */
  readonly nextHopId: number
  readonly hops: readonly RouteHop[]
}

/** `add` fails with EEXIST where a route of this prefix and metric is there; `replace` takes its place in one step. */
export type RouteVerb = 'add' | 'replace' | 'delete'

const VERB_FLAGS: Readonly<Record<RouteVerb, number>> = Object.freeze({
  add: MessageFlag.REQUEST | MessageFlag.CREATE | MessageFlag.EXCL,
  replace: MessageFlag.REQUEST | MessageFlag.CREATE | MessageFlag.REPLACE,
  delete: MessageFlag.REQUEST,
})

/** One request. A deletion names prefix, protocol, table and metric, so that it hits only routes of that protocol. */
export function encodeRoute(
  route: RouteFields,
  verb: RouteVerb,
  sequence: number,
  writer: NetlinkWriter,
  acknowledged: boolean,
): void {
  const isDelete = verb === 'delete'
  const { address, table, hops } = route
  writer.begin(
    isDelete ? MessageType.DELROUTE : MessageType.NEWROUTE,
    VERB_FLAGS[verb] | (acknowledged ? MessageFlag.ACK : 0),
    sequence,
  )
  const one = !isDelete && hops.length === 1 ? hops[0]! : null
  writer.u8(address.length === 4 ? AddressFamily.INET : AddressFamily.INET6)
  writer.u8(route.length)
  writer.u8(0)
  writer.u8(0)
  writer.u8(table < 256 ? table : 0)
  writer.u8(route.protocol)
  writer.u8(isDelete ? RouteScope.NOWHERE : scopeOf(route))
  writer.u8(isDelete ? RouteType.UNSPEC : route.type)
  writer.u32(one?.onlink === true ? HopFlag.ONLINK : 0)
  writer.attribute(RouteAttribute.DST, address)
  writer.attributeU32(RouteAttribute.TABLE, table)
  if (route.metric !== 0) writer.attributeU32(RouteAttribute.PRIORITY, route.metric)
  if (!isDelete) {
    if (route.source !== null) writer.attribute(RouteAttribute.PREFSRC, route.source)
    if (one !== null) {
      encodeGateway(one, address.length, writer)
      if (one.device !== 0) writer.attributeU32(RouteAttribute.OIF, one.device)
    } else if (hops.length > 1) encodeMultipath(hops, address.length, writer)
  }
  writer.end()
}

/** The request written at `from`, `octets` long, again for another IPv4 prefix. Everything else stays. */
export function repeatRoute(
  from: number,
  octets: number,
  address: number,
  length: number,
  sequence: number,
  writer: NetlinkWriter,
): void {
  const start = writer.repeat(from, octets, sequence)
  writer.patchU8(start + LENGTH_OFFSET, length)
  writer.patchAddress(start + DESTINATION_OFFSET, address)
}

/** Asks for the routes of a table; with `protocol` (not 0), where the socket has strict checking, only for those of that protocol. */
export function encodeRouteDump(
  writer: NetlinkWriter,
  sequence: number,
  family: Family,
  table: number,
  protocol: number,
): void {
  writer.begin(MessageType.GETROUTE, MessageFlag.REQUEST | MessageFlag.DUMP, sequence)
  writer.u8(family === Family.IPV4_UNICAST ? AddressFamily.INET : AddressFamily.INET6)
  for (let i = 0; i < 3; i++) writer.u8(0)
  writer.u8(table < 256 ? table : 0)
  writer.u8(protocol)
  writer.u16(0)
  writer.u32(0)
  writer.attributeU32(RouteAttribute.TABLE, table)
  writer.end()
}

/**
 * Of a message NEWROUTE or DELROUTE; null where it is no unicast routing entry (another family, a cached clone, a length or address that cannot be). Throws
 * a RangeError for a message that is too short.
 */
export function decodeRoute(reader: NetlinkReader, { start, end }: MessageHeader): RouteMessage | null {
  const af = reader.u8(start)
  const flags = reader.u32(start + 8)
  if ((af !== AddressFamily.INET && af !== AddressFamily.INET6) || (flags & RouteFlag.CLONED) !== 0) return null
  const octets = af === AddressFamily.INET ? 4 : 16
  const length = reader.u8(start + 1)
  if (length > octets * 8) return null
  let table = reader.u8(start + 4)
  let metric = 0
  let destination = octets === 4 ? '0.0.0.0' : '::'
  let source: string | null = null
  let nextHopId = 0
  let gateway: string | null = null
  let device = 0
  let multipath: readonly RouteHop[] | null = null
  let isBad = false
  // Written out instead of forEachAttribute: 100,000 routes are read in one go.
  let at = start + ROUTE_HEADER_OCTETS
  while (at + 4 <= end) {
    const size = reader.u16(at)
    if (size < 4 || at + size > end) break
    const from = at + 4
    const to = at + size
    switch (reader.u16(at + 2) & 0x3fff) {
      case RouteAttribute.DST:
        if (to - from === octets) destination = addressText(reader, from, to)
        else isBad = true
        break
      case RouteAttribute.OIF:
        device = reader.u32(from)
        break
      case RouteAttribute.GATEWAY:
      case RouteAttribute.VIA:
        gateway = gatewayText(reader, reader.u16(at + 2) & 0x3fff, from, to)
        break
      case RouteAttribute.PRIORITY:
        metric = reader.u32(from)
        break
      case RouteAttribute.PREFSRC:
        if (to - from === octets) source = addressText(reader, from, to)
        break
      case RouteAttribute.TABLE:
        table = reader.u32(from)
        break
      case RouteAttribute.NH_ID:
        nextHopId = reader.u32(from)
        break
      case RouteAttribute.MULTIPATH:
        multipath = decodeMultipath(reader, from, to)
        break
      default:
    }
    at += (size + 3) & ~3
  }
  if (isBad) return null
  const single = gateway === null && device === 0 ? NO_HOPS : [{ gateway, device, flags: flags & 0xff, weight: 1 }]
  return {
    family: octets === 4 ? Family.IPV4_UNICAST : Family.IPV6_UNICAST,
    prefix: `${destination}/${length}`,
    type: reader.u8(start + 7),
    protocol: reader.u8(start + 5),
    table,
    metric,
    tos: reader.u8(start + 3),
    source,
    nextHopId,
    hops: multipath ?? single,
  }
}

/** The scope tells the kernel how far its search for the gateway goes. */
function scopeOf({ type, hops }: RouteFields): number {
  if (type === RouteType.LOCAL) return RouteScope.HOST
  const isDirect = type === RouteType.UNICAST && hops.length > 0 && hops.every((hop) => hop.gateway === null)
  return isDirect ? RouteScope.LINK : RouteScope.UNIVERSE
}

function encodeGateway({ gateway }: HopFields, octets: number, writer: NetlinkWriter): void {
  if (gateway === null) return
  if (gateway.length === octets) {
    writer.attribute(RouteAttribute.GATEWAY, gateway)
    return
  }
  // rtvia: family u16, address.
  const nested = writer.beginNested(RouteAttribute.VIA)
  writer.u16(gateway.length === 4 ? AddressFamily.INET : AddressFamily.INET6)
  writer.octets(gateway)
  writer.endNested(nested)
}

/** rtnexthop: length u16, flags u8, hops u8 (weight - 1), device i32, attributes. */
function encodeMultipath(hops: readonly HopFields[], octets: number, writer: NetlinkWriter): void {
  const all = writer.beginNested(RouteAttribute.MULTIPATH)
  for (const hop of hops) {
    const nested = writer.beginNestedPair(hop.onlink ? HopFlag.ONLINK : 0, (hop.weight ?? 1) - 1)
    writer.u32(hop.device)
    encodeGateway(hop, octets, writer)
    writer.endNested(nested)
  }
  writer.endNested(all)
}

function decodeMultipath(reader: NetlinkReader, start: number, end: number): readonly RouteHop[] {
  const hops: RouteHop[] = []
  let at = start
  while (at + HOP_OCTETS <= end) {
    const size = reader.u16(at)
    if (size < HOP_OCTETS || at + size > end) break
    let gateway: string | null = null
    forEachAttribute(reader, at + HOP_OCTETS, at + size, (type, from, to) => {
      if (type === RouteAttribute.GATEWAY || type === RouteAttribute.VIA)
        gateway = gatewayText(reader, type, from, to) ?? gateway
    })
    hops.push({ gateway, device: reader.u32(at + 4), flags: reader.u8(at + 2), weight: reader.u8(at + 3) + 1 })
    at += (size + 3) & ~3
  }
  return hops
}

function gatewayText(reader: NetlinkReader, type: number, start: number, end: number): string | null {
  const from = type === RouteAttribute.VIA ? start + 2 : start
  return end - from === 4 || end - from === 16 ? addressText(reader, from, end) : null
}

function addressText(reader: NetlinkReader, start: number, end: number): string {
  const { bytes } = reader
  return end - start === 16 ? formatAddress(bytes.subarray(start, end)) : formatIpv4(wordAt(bytes, start))
}

const NO_HOPS: readonly RouteHop[] = Object.freeze([])
/** rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type (u8 each), flags u32. */
const ROUTE_HEADER_OCTETS = 12
/** In a request: dst_len, and the value of RTA_DST, which comes first. */
const LENGTH_OFFSET = HEADER_OCTETS + 1
const DESTINATION_OFFSET = HEADER_OCTETS + ROUTE_HEADER_OCTETS + 4
const HOP_OCTETS = 8
