/**
 * What the kernel of a network namespace has, asked as cheaply as it can be while a daemon is at work: a single route with RTM_GETROUTE, the number of routes
 * from fib_triestat, and a whole dump.
 */
import { closeSync, readFileSync, readSync, writeSync } from 'node:fs'
import { NetlinkRequests, openNetlink, Sequence } from '../../src/fib/netlink-socket.js'
import { formatIpv4, octetsOfU32, parseIpv4 } from '../../src/net/address.js'
import { Family } from '../../src/net/family.js'
import { forEachMessage, NetlinkReader, NetlinkWriter } from '../../src/netlink/message.js'
import { AddressFamily, Group, MessageFlag, MessageType, RouteAttribute } from '../../src/netlink/numbers.js'
import { decodeRoute, encodeRouteDump } from '../../src/netlink/route.js'
import type { Sys } from '../../src/sys/sys.js'
import { BLOCK_LENGTH, blockAddress, blockNumberAt } from './messages.js'

/** What a dump found of the first `routes` blocks. */
export interface Census {
  /** Blocks that have one route. */
  readonly present: number
  /** Those with the gateway that was asked for. */
  readonly matching: number
  /** Blocks with a second route. */
  readonly doubled: number
}

export class KernelTable {
  readonly #sys: Sys
  readonly #netns: string
  readonly #fd: number
  readonly #requests: NetlinkRequests
  readonly #writer = new NetlinkWriter()
  readonly #sequence = new Sequence()
  readonly #buffer = new Uint8Array(4096)
  readonly #reader = new NetlinkReader(this.#buffer)

  constructor(sys: Sys, netns: string) {
    this.#sys = sys
    this.#netns = netns
    this.#fd = openNetlink(sys, netns, 0).fd
    this.#requests = new NetlinkRequests(this.#fd)
  }

  /** Gateway of the route of exactly this block, or null where there is none. About 10 µs. */
  gatewayOf(block: number): string | null {
    const sequence = this.#sequence.reserve(1)
    const writer = this.#writer
    writer.clear()
    writer.begin(MessageType.GETROUTE, MessageFlag.REQUEST, sequence)
    // rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type (u8 each), flags u32.
    writer.u8(AddressFamily.INET)
    writer.u8(32)
    for (let i = 0; i < 6; i++) writer.u8(0)
    writer.u32(RTM_F_FIB_MATCH)
    writer.attribute(RouteAttribute.DST, octetsOfU32(blockAddress(block) + 1))
    writer.end()
    writeSync(this.#fd, writer.bytes())
    let gateway: string | null = null
    const prefix = `${formatIpv4(blockAddress(block))}/${BLOCK_LENGTH}`
    // The kernel answers inside of write(2): with the route, or with an error.
    forEachMessage(this.#reader, readSync(this.#fd, this.#buffer, 0, this.#buffer.length, null), (header) => {
      if (header.sequence !== sequence || header.type !== MessageType.NEWROUTE) return
      const route = decodeRoute(this.#reader, header)
      if (route?.prefix === prefix) gateway = route.hops[0]?.gateway ?? null
    })
    return gateway
  }

  /** From now on: does the kernel still change routes? `end` tells whether it did. */
  watchChanges(): { end(): boolean } {
    const { fd } = openNetlink(this.#sys, this.#netns, Group.IPV4_ROUTE)
    return {
      end: () => {
        try {
          return readSync(fd, this.#buffer, 0, this.#buffer.length, null) > 0
        } catch (error) {
          // Nothing came. Any other error is that of too many events at once.
          return (error as NodeJS.ErrnoException).code !== 'EAGAIN'
        } finally {
          closeSync(fd)
        }
      },
    }
  }

  /** Reads the whole main table. Takes tenths of a second: not for while a daemon is measured. */
  async census(routes: number, gateway: string | null): Promise<Census> {
    const sequence = this.#sequence.reserve(1)
    this.#writer.clear()
    encodeRouteDump(this.#writer, sequence, Family.IPV4_UNICAST, MAIN_TABLE, 0)
    const seen = new Uint8Array(routes)
    let present = 0
    let matching = 0
    let doubled = 0
    const { reply } = await this.#requests.dump(this.#writer, sequence, (reader, header) => {
      const route = decodeRoute(reader, header)
      if (route === null || route.table !== MAIN_TABLE || !route.prefix.endsWith(`/${BLOCK_LENGTH}`)) return
      const n = blockNumberAt(parseIpv4(route.prefix.slice(0, -3)), routes)
      if (n < 0) return
      if (seen[n] !== 0) doubled++
      else present++
      seen[n] = 1
      if (route.hops.length === 1 && route.hops[0]!.gateway === gateway) matching++
    })
    if (reply.errno !== 0) throw new Error(`the kernel's table cannot be read: error ${reply.errno} ${reply.words}`)
    return { present, matching, doubled }
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** Routes of the main table in the namespace of a process. Does not take the lock that changes of routes need. */
export function routeCount(pid: number): number {
  const text = readFileSync(`/proc/${pid}/net/fib_triestat`, 'latin1')
  const match = /^Main:[\s\S]*?Prefixes:\s+(\d+)/m.exec(text)
  if (match === null) throw new Error(`/proc/${pid}/net/fib_triestat has no line 'Prefixes:' of the main table`)
  return Number(match[1])
}

/** Answer with the entry of the table, not with what a packet would take. */
const RTM_F_FIB_MATCH = 0x2000
const MAIN_TABLE = 254
