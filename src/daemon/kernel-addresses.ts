/**
 * Edge: the addresses of this machine as the kernel has them. Node.js leaves out devices that are not "running": one that has just come up is missing there for up
 * to a second, in which sessions already come up over it.
 */
import { readSync, writeSync } from 'node:fs'
import { type AddressMessage, decodeAddress, decodeLink, encodeAddressDump, encodeLinkDump } from '../netlink/link.js'
import { forEachMessage, NetlinkReader, NetlinkWriter } from '../netlink/message.js'
import { AddressFamily, MessageType } from '../netlink/numbers.js'
import { openRouteSocket } from '../sys/socket.js'
import { findSys, type Sys } from '../sys/sys.js'

export interface KernelAddress {
  readonly device: string
  /** Canonical text, without a zone. */
  readonly address: string
  readonly length: number
}

/** Null where no system calls can be made, or the kernel does not answer. */
export function kernelAddresses(): readonly KernelAddress[] | null {
  const { sys } = findSys()
  if (sys === null) return null
  try {
    return read(sys)
  } catch {
    return null
  }
}

function read(sys: Sys): readonly KernelAddress[] {
  const fd = openRouteSocket(sys, (opened) => opened)
  try {
    const buffer = new Uint8Array(READ_OCTETS)
    const reader = new NetlinkReader(buffer)
    const names = new Map<number, string>()
    const addresses: AddressMessage[] = []
    for (const encode of [encodeLinkDump, encodeAddresses]) {
      const writer = new NetlinkWriter()
      encode(writer, 1)
      writeSync(fd, writer.bytes())
      // The kernel has the next part ready when one was read.
      for (let isDone = false; !isDone; ) {
        forEachMessage(reader, readSync(fd, buffer), (header) => {
          if (header.type === MessageType.DONE || header.type === MessageType.ERROR) isDone = true
          else if (header.type === MessageType.NEWADDR) addresses.push(decodeAddress(reader, header))
          else if (header.type === MessageType.NEWLINK) {
            const { index, name } = decodeLink(reader, header)
            names.set(index, name)
          }
        })
      }
    }
    return addresses.flatMap(({ index, address, length }) => {
      const device = names.get(index)
      return device === undefined || address === '' ? [] : [{ device, address, length }]
    })
  } finally {
    sys.close(fd)
  }
}

function encodeAddresses(writer: NetlinkWriter, sequence: number): void {
  encodeAddressDump(writer, AddressFamily.UNSPEC, sequence)
}

const READ_OCTETS = 64 << 10
