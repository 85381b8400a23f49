/**
 * Network devices and their addresses in rtnetlink (pure): requests for all of them, and what the kernel tells about one.
 */
import { formatAddress } from '../net/address.js'
import { forEachAttribute, type MessageHeader, type NetlinkReader, type NetlinkWriter } from './message.js'
import { AddressAttribute, AddressFamily, LinkAttribute, MessageFlag, MessageType } from './numbers.js'

export interface LinkMessage {
  /** AF_UNSPEC; a bridge tells about its ports with AF_BRIDGE, which says nothing about the device itself. */
  readonly family: number
  readonly index: number
  /** LinkFlag. */
  readonly flags: number
  readonly name: string
  readonly mtu: number
  readonly alias: string
  /** `ipip`, `vxlan`; empty where the kernel names none. */
  readonly kind: string
}

export interface AddressMessage {
  /** AddressFamily. */
  readonly family: number
  /** Index of the device. */
  readonly index: number
  readonly length: number
  readonly scope: number
  /** Our own address of the subnet or point-to-point link; empty where it could not be read. */
  readonly address: string
}

/** Asks for all devices, without their statistics. */
export function encodeLinkDump(writer: NetlinkWriter, sequence: number): void {
  writer.begin(MessageType.GETLINK, MessageFlag.REQUEST | MessageFlag.DUMP, sequence)
  for (let i = 0; i < LINK_HEADER_OCTETS / 4; i++) writer.u32(0)
  writer.attributeU32(LinkAttribute.EXT_MASK, SKIP_STATISTICS)
  writer.end()
}

/** Asks for all addresses of a family; AF_UNSPEC: of both. */
export function encodeAddressDump(writer: NetlinkWriter, family: number, sequence: number): void {
  writer.begin(MessageType.GETADDR, MessageFlag.REQUEST | MessageFlag.DUMP, sequence)
  writer.u8(family)
  for (let i = 1; i < ADDRESS_HEADER_OCTETS; i++) writer.u8(0)
  writer.end()
}

/** ifinfomsg: family u8, padding, type u16, index i32, flags u32, change u32. Throws a RangeError for a message that is too short. */
export function decodeLink(reader: NetlinkReader, { start, end }: MessageHeader): LinkMessage {
  const link = { family: reader.u8(start), index: reader.i32(start + 4), flags: reader.u32(start + 8) }
  const more = { name: '', mtu: 0, alias: '', kind: '' }
  forEachAttribute(reader, start + LINK_HEADER_OCTETS, end, (type, from, to) => {
    if (type === LinkAttribute.IFNAME) more.name = reader.text(from, to)
    else if (type === LinkAttribute.MTU) more.mtu = reader.u32(from)
    else if (type === LinkAttribute.IFALIAS) more.alias = reader.text(from, to)
    else if (type === LinkAttribute.LINKINFO) {
      forEachAttribute(reader, from, to, (inner, innerFrom, innerTo) => {
        if (inner === LinkAttribute.INFO_KIND) more.kind = reader.text(innerFrom, innerTo)
      })
    }
  })
  return { ...link, ...more }
}

/** ifaddrmsg: family u8, prefix length u8, flags u8, scope u8, index u32. Throws a RangeError for a message that is too short. */
export function decodeAddress(reader: NetlinkReader, { start, end }: MessageHeader): AddressMessage {
  const family = reader.u8(start)
  const octets = family === AddressFamily.INET ? 4 : 16
  let local = ''
  let address = ''
  forEachAttribute(reader, start + ADDRESS_HEADER_OCTETS, end, (type, from, to) => {
    if (to - from !== octets) return
    if (type === AddressAttribute.LOCAL) local = formatAddress(reader.bytes.subarray(from, to))
    if (type === AddressAttribute.ADDRESS) address = formatAddress(reader.bytes.subarray(from, to))
  })
  return {
    family,
    index: reader.u32(start + 4),
    length: reader.u8(start + 1),
    scope: reader.u8(start + 3),
    address: local === '' ? address : local,
  }
}

/** ndmsg: family u8, padding, index i32, … Of a neighbour or FDB entry, its device. Throws a RangeError for a message that is too short. */
export function decodeNeighbourDevice(reader: NetlinkReader, { start }: MessageHeader): number {
  return reader.i32(start + 4)
}

const LINK_HEADER_OCTETS = 16
const ADDRESS_HEADER_OCTETS = 8
/** RTEXT_FILTER_SKIP_STATS. */
const SKIP_STATISTICS = 8
