/**
 * Edge: netlink descriptors, and requests over one of them. rtnetlink does its work inside of write(2), so that the replies are there when it
 * returns; writing and reading are plain `fs` calls. Changes are written by a thread of the pool, so that the kernel's work (3 µs a route) goes on beside
 * ours.
 *
 * Who makes the descriptors: a provider of system calls (`findSys`), or whoever started us, with NODEBGP_NETLINK_FD=REQUESTS[,EVENTS].
 */
import { closeSync, openSync, readlinkSync, readSync, write, writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { forEachMessage, type MessageHeader, NetlinkReader, type NetlinkWriter } from '../netlink/message.js'
import { MessageFlag, MessageType } from '../netlink/numbers.js'
import { decodeDone, decodeReply, type NetlinkReply } from '../netlink/reply.js'
import { netlinkSockaddr, openRouteSocket, SO_RCVBUFFORCE, SO_SNDBUFFORCE, SOL_SOCKET } from '../sys/socket.js'
import { findSys, int32, type Sys, SysError } from '../sys/sys.js'
import { FibError } from './types.js'

/** Where descriptors come from. */
export type NetlinkSource =
  | { readonly type: 'sys'; readonly sys: Sys }
  | { readonly type: 'inherited'; readonly requests: number; readonly events: number | null }

/** The source and its name for people, or why there is none. */
export function findNetlink(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): { readonly source: NetlinkSource; readonly words: string } | { readonly source: null; readonly words: string } {
  const given = environment[FD_VARIABLE]
  if (given !== undefined && given !== '') {
    const match = /^(\d{1,6})(?:,(\d{1,6}))?$/.exec(given)
    if (match === null)
      throw new FibError(`${FD_VARIABLE}='${given.slice(0, 40)}' is not FD or FD,FD: numbers of inherited descriptors`)
    const requests = Number(match[1])
    const events = match[2] === undefined ? null : Number(match[2])
    return { source: { type: 'inherited', requests, events }, words: `descriptor ${given} of ${FD_VARIABLE}` }
  }
  const found = findSys()
  if (found.sys === null) return { source: null, words: found.why }
  return { source: { type: 'sys', sys: found.sys }, words: found.sys.provider }
}

export interface OpenedNetlink {
  readonly fd: number
  readonly port: number
  /** Its buffers are large: 8000 changes fit into one write, and as many failures into what it answers. */
  readonly large: boolean
}

/** A non-blocking NETLINK_ROUTE socket in a network namespace (null: our own), for multicast groups or none. Throws a FibError. */
export function openNetlink(sys: Sys, netns: string | null, groups: number): OpenedNetlink {
  try {
    return inNamespace(sys, netns, () => openHere(sys, groups))
  } catch (error) {
    throw error instanceof FibError ? error : new FibError(`no netlink socket: ${(error as Error).message}`)
  }
}

function openHere(sys: Sys, groups: number): OpenedNetlink {
  return openRouteSocket(sys, (fd) => {
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
      // Kernels before 4.20 have not all of them; then dumps are longer and errors without words.
      attempt(() => sys.setsockopt(fd, SOL_NETLINK, option, int32(1)))
    }
    const large =
      attempt(() => sys.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(BUFFER_OCTETS))) &&
      attempt(() => sys.setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, int32(SEND_OCTETS)))
    return { fd, port: bindSomewhere(sys, fd, groups), large }
  })
}

/** The port is ours to choose: then it is known, and events can be told apart by it. */
function bindSomewhere(sys: Sys, fd: number, groups: number): number {
  for (let tries = 0; ; tries++) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT))
    try {
      sys.bind(fd, netlinkSockaddr(port, groups))
      return port
    } catch (error) {
      if (!(error instanceof SysError && error.code === 'EADDRINUSE') || tries >= 10) throw error
    }
  }
}

/** Events caused by the socket with that port are not delivered to `fd`. */
export function ignoreOwn(sys: Sys, fd: number, port: number): void {
  // The loaded word is in the order of the network, whatever the machine's.
  const swapped = new DataView(new Uint8Array(Uint32Array.of(port).buffer).buffer).getUint32(0, false)
  const program = new Uint8Array(4 * 8)
  const put = (at: number, code: number, yes: number, no: number, value: number): void => {
    new Uint16Array(program.buffer)[at * 4] = code
    program[at * 8 + 2] = yes
    program[at * 8 + 3] = no
    new Uint32Array(program.buffer)[at * 2 + 1] = value
  }
  put(0, BPF_LOAD_WORD, 0, 0, PORT_OFFSET)
  put(1, BPF_JUMP_EQUAL, 0, 1, swapped)
  put(2, BPF_RETURN, 0, 0, 0)
  put(3, BPF_RETURN, 0, 0, 0xffffffff)
  sys.attachFilter(fd, program)
}

/** Takes the descriptor into the group of neighbours and FDB entries, or out of it. Throws a SysError. */
export function joinNeighbours(sys: Sys, fd: number, isIn: boolean): void {
  sys.setsockopt(fd, SOL_NETLINK, isIn ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP, int32(RTNLGRP_NEIGH))
}

/** Runs `action` with this thread in a namespace of `ip netns`. */
function inNamespace<T>(sys: Sys, netns: string | null, action: () => T): T {
  if (netns === null) return action()
  const home = openSync('/proc/thread-self/ns/net', 'r')
  let there = -1
  try {
    there = openSync(`/run/netns/${netns}`, 'r')
    sys.setns(there, CLONE_NEWNET)
    try {
      return action()
    } finally {
      sys.setns(home, CLONE_NEWNET)
    }
  } finally {
    closeSync(home)
    if (there >= 0) closeSync(there)
  }
}

/** An inherited descriptor has to be a socket; what it answers shows whether it is the right one. */
export function checkInherited(fd: number): void {
  let target = 'nothing'
  try {
    target = readlinkSync(`/proc/self/fd/${fd}`)
  } catch {}
  if (!target.startsWith('socket:'))
    throw new FibError(
      `${FD_VARIABLE}: descriptor ${fd} is ${target}, not a netlink socket; unset it, or start us with one`,
    )
}

/** Nobody knows what became of a request: replies were lost, or the descriptor does not answer. */
export class NetlinkLostError extends Error {}

/** Numbers for requests. They go on with the next descriptor, so that no late answer is taken for another. */
export class Sequence {
  #last = 0

  /** The first of `count` numbers. */
  reserve(count: number): number {
    if (this.#last > MAX_SEQUENCE) this.#last = 0
    const first = this.#last + 1
    this.#last += count
    return first
  }
}

/** Requests over one descriptor, one at a time. */
export class NetlinkRequests {
  readonly fd: number
  readonly #buffer = new Uint8Array(READ_OCTETS)
  readonly #reader = new NetlinkReader(this.#buffer)
  /** Port of the descriptor, as its replies tell; 0 before the first. */
  port = 0

  constructor(fd: number) {
    this.fd = fd
  }

  /**
   * Writes requests `first` to `last`, of which only the last asks for an acknowledgement; those that fail answer all the same. Returns the failures by
   * number. The kernel works in a thread of the pool meanwhile; `writer` is not to be touched until then. Rejects with a NetlinkLostError.
   */
  async run(writer: NetlinkWriter, first: number, last: number): Promise<ReadonlyMap<number, NetlinkReply>> {
    const failures = new Map<number, NetlinkReply>()
    await this.#writeBeside(writer)
    let isDone = false
    while (!isDone) {
      const length = this.#read()
      forEachMessage(this.#reader, length, (header) => {
        if (header.type !== MessageType.ERROR || header.sequence < first || header.sequence > last) return
        const reply = decodeReply(this.#reader, header)
        this.port = header.port
        if (reply.errno !== 0) failures.set(header.sequence, reply)
        if (header.sequence === last) isDone = true
      })
    }
    return failures
  }

  /**
   * Reads a table: `visit` for each of its messages. Gives the event loop a turn every few milliseconds. Returns the reply at its end, and whether the
   * table changed meanwhile (then the picture may not be whole). Throws a NetlinkLostError.
   */
  async dump(
    writer: NetlinkWriter,
    sequence: number,
    visit: (reader: NetlinkReader, header: MessageHeader) => void,
  ): Promise<{ readonly reply: NetlinkReply; readonly interrupted: boolean }> {
    this.#write(writer)
    let end: NetlinkReply | null = null
    let interrupted = false
    const take = (header: MessageHeader): void => {
      if (header.sequence !== sequence) return
      if ((header.flags & MessageFlag.DUMP_INTR) !== 0) interrupted = true
      if (header.type === MessageType.DONE) end = decodeDone(this.#reader, header)
      else if (header.type === MessageType.ERROR) end = decodeReply(this.#reader, header)
      else visit(this.#reader, header)
    }
    let sliceMs = performance.now()
    while (end === null) {
      forEachMessage(this.#reader, this.#read(), take)
      if (performance.now() - sliceMs < SLICE_MS) continue
      await nextTurn()
      sliceMs = performance.now()
    }
    return { reply: end, interrupted }
  }

  #writeBeside(writer: NetlinkWriter): Promise<void> {
    return new Promise((resolve, reject) => {
      write(this.fd, writer.bytes(), (error) => {
        if (error === null) resolve()
        else reject(new NetlinkLostError(`netlink write: ${error.message}`))
      })
    })
  }

  #write(writer: NetlinkWriter): void {
    try {
      writeSync(this.fd, writer.bytes())
    } catch (error) {
      throw new NetlinkLostError(`netlink write: ${(error as Error).message}`)
    }
  }

  #read(): number {
    try {
      return readSync(this.fd, this.#buffer, 0, this.#buffer.length, null)
    } catch (error) {
      throw new NetlinkLostError(`netlink read: ${(error as Error).message}`)
    }
  }
}

function attempt(action: () => void): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}

/** Descriptors from whoever started us. */
export const FD_VARIABLE = 'NODEBGP_NETLINK_FD'
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NETLINK_DROP_MEMBERSHIP = 2
/** The number of Group.NEIGH. */
const RTNLGRP_NEIGH = 3
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
const CLONE_NEWNET = 0x40000000
/** Ports below are process ids, those that the kernel picks are above. */
const LOWEST_PORT = 0x1000_0000
const HIGHEST_PORT = 0x7fff_0000
const BPF_LOAD_WORD = 0x20
const BPF_JUMP_EQUAL = 0x15
const BPF_RETURN = 0x06
/** nlmsg_pid. */
const PORT_OFFSET = 12
/** With the default of 208 KiB a flood of 50,000 changes loses three quarters of its events. */
const BUFFER_OCTETS = 8 << 20
/** A write is taken whole or not at all. */
const SEND_OCTETS = 4 << 20
/** The kernel fills up to 32 KiB per read of a dump. */
const READ_OCTETS = 64 << 10
const SLICE_MS = 4
const MAX_SEQUENCE = 0x7fff_ffff
