/** What a real kernel (Linux 6.18, little-endian) said: messages with the command that brought them about and what they mean. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AddressMessage, LinkMessage } from '../../src/netlink/link.js'
import { forEachMessage, type MessageHeader, NetlinkReader } from '../../src/netlink/message.js'
import type { NetlinkReply } from '../../src/netlink/reply.js'
import type { RouteMessage } from '../../src/netlink/route.js'
import { projectRoot } from '../support/root.js'

export interface Sample<T> {
  readonly name: string
  readonly hex: string
  readonly value: T
}
export interface Samples {
  readonly routes: readonly Sample<RouteMessage>[]
  readonly links: readonly Sample<LinkMessage>[]
  readonly addresses: readonly Sample<AddressMessage>[]
  readonly replies: readonly Sample<NetlinkReply>[]
}

export const samples = JSON.parse(readFileSync(join(projectRoot, 'fixtures/netlink/kernel.json'), 'utf8')) as Samples

export interface Read {
  readonly reader: NetlinkReader
  readonly headers: readonly MessageHeader[]
  /** The octets end with a whole message. */
  readonly whole: boolean
}

export function read(octets: Uint8Array): Read {
  const reader = new NetlinkReader(octets)
  const headers: MessageHeader[] = []
  const whole = forEachMessage(reader, octets.length, (header) => headers.push(header))
  return { reader, headers, whole }
}

/** Skips where the samples have another order of octets. */
export const littleEndian = {
  skip: new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? false : 'the samples are little-endian',
}
