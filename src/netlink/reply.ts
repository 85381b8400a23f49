/**
 * Replies of the kernel to a request (pure): the acknowledgement, or the error with its own words (extended acknowledgement, NETLINK_EXT_ACK).
 */
import { forEachAttribute, type MessageHeader, type NetlinkReader } from './message.js'
import { MessageFlag } from './numbers.js'

export interface NetlinkReply {
  /** Number of the request that is answered. */
  readonly sequence: number
  /** 0: done. Positive: the error number, 17 for EEXIST. */
  readonly errno: number
  /** The kernel's words, empty where it has none. */
  readonly words: string
}

/** Of a message of type ERROR. nlmsgerr: error i32, header of the request (and the request, unless it is capped), then attributes. */
export function decodeReply(reader: NetlinkReader, header: MessageHeader): NetlinkReply {
  const errno = 0 - reader.i32(header.start)
  let words = ''
  if ((header.flags & MessageFlag.ACK_TLVS) !== 0 && header.end - header.start >= ERROR_OCTETS) {
    const capped = (header.flags & MessageFlag.CAPPED) !== 0
    const request = capped ? REQUEST_HEADER_OCTETS : (reader.u32(header.start + 4) + 3) & ~3
    forEachAttribute(reader, header.start + 4 + request, header.end, (type, start, end) => {
      if (type === EXT_ACK_MESSAGE) words = reader.text(start, end)
    })
  }
  return { sequence: header.sequence, errno, words }
}

/** Of a message of type DONE: the error number of a dump that failed after its start, or 0. */
export function decodeDone(reader: NetlinkReader, header: MessageHeader): NetlinkReply {
  const errno = header.end - header.start >= 4 ? 0 - reader.i32(header.start) : 0
  let words = ''
  if ((header.flags & MessageFlag.ACK_TLVS) !== 0) {
    forEachAttribute(reader, header.start + 4, header.end, (type, start, end) => {
      if (type === EXT_ACK_MESSAGE) words = reader.text(start, end)
    })
  }
  return { sequence: header.sequence, errno, words }
}

const REQUEST_HEADER_OCTETS = 16
const ERROR_OCTETS = 20
/** NLMSGERR_ATTR_MSG. */
const EXT_ACK_MESSAGE = 1
