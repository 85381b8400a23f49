/** From octets to attribute sets and back. */
import { decodePathAttributes } from '../src/bgp/attributes/decode.js'
import { encodePathAttributes } from '../src/bgp/attributes/encode.js'
import type { PathAttributes } from '../src/bgp/attributes/path-attributes.js'
import { splitUpdate } from '../src/bgp/message/update.js'
import { UpdateParts } from '../src/bgp/message/update-parts.js'
import { checkHeader, Framer } from '../src/bgp/wire/framer.js'
import { outgoingAttributes, reflectOctets } from '../src/reflector/reflect.js'
import { scanAttributes } from '../src/rib/attribute-scan.js'
import { AttributeSet } from '../src/rib/attribute-set.js'
import { AttributeStore } from '../src/rib/attribute-store.js'
import { NextHopTable } from '../src/rib/next-hop.js'
import { SourceKind } from '../src/rib/source.js'
import { splitUpdateSimply } from '../test/bgp/message/split-update-twin.js'
import { ASN, attributesNumber, blockNumber, CLIENT_OPTIONS, ROUTER_ID, tableOf } from './given.js'
import type { Bench } from './harness.js'

const IDENTITY = { asn: ASN, routerId: ROUTER_ID, clusterId: ROUTER_ID }
const BLOCKS = 2000
const PEER_ID = 0x0b000001

const frameAndSplit: Bench = {
  name: 'frame and split UPDATE',
  operation: 'message',
  variants: [
    {
      name: 'Framer and splitUpdate, in place, chunks of 64 KiB',
      twin: false,
      prepare: () => {
        const chunks = chunksOf(Buffer.concat(tableOf(13_000, BLOCKS)))
        const framer = new Framer()
        const parts = new UpdateParts()
        let messages = 0
        const onMessage = (buffer: Uint8Array, start: number, end: number): void => {
          splitUpdate(buffer, start, end, parts)
          messages++
        }
        return () => {
          messages = 0
          for (const chunk of chunks) framer.push(chunk, onMessage, 4096)
          return messages
        }
      },
    },
    {
      name: 'a slice per message, bounded readers, parts as text',
      twin: true,
      prepare: () => {
        const stream = Buffer.concat(tableOf(13_000, BLOCKS))
        return () => {
          let messages = 0
          for (let at = 0; at < stream.length; messages++) {
            const length = checkHeader(stream, at, 4096)
            splitUpdateSimply(stream.subarray(at, at + length))
            at += length
          }
          return messages
        }
      },
    },
  ],
}

const decode: Bench = {
  name: 'decode attributes',
  operation: 'attribute block',
  variants: [
    {
      name: 'scanAttributes, integers only',
      twin: false,
      prepare: () => {
        const blocks = blocksOf(BLOCKS)
        const result = { nextHopAt: -1 }
        return () => {
          for (const block of blocks) {
            const set = new AttributeSet()
            if (!scanAttributes(block, 0, block.length, false, IDENTITY, set, result))
              throw new Error('the bench wants blocks that the quick scan takes')
          }
          return blocks.length
        }
      },
    },
    {
      name: 'decodePathAttributes, to an object',
      twin: true,
      prepare: () => {
        const blocks = blocksOf(BLOCKS)
        const internal = { as4: true, ebgp: false }
        return () => {
          for (const block of blocks) decodePathAttributes(block, 0, block.length, internal)
          return blocks.length
        }
      },
    },
  ],
}

const encode: Bench = {
  name: 'encode attributes',
  operation: 'attribute block',
  variants: [
    {
      name: 'encodePathAttributes',
      twin: false,
      prepare: () => {
        const values = valuesOf(BLOCKS)
        return () => {
          for (const value of values) encodePathAttributes(value, AS4)
          return values.length
        }
      },
    },
    {
      name: 'a buffer per attribute, joined',
      twin: true,
      prepare: () => {
        const values = valuesOf(BLOCKS)
        if (!Buffer.from(encodeSimply(values[4]!)).equals(encodePathAttributes(values[4]!, AS4)))
          throw new Error('the twin encodes something else')
        return () => {
          for (const value of values) encodeSimply(value)
          return values.length
        }
      },
    },
  ],
}

const reflect: Bench = {
  name: 'reflect attributes',
  operation: 'attribute block',
  variants: [
    {
      name: 'reflectOctets, from octets to octets',
      twin: false,
      prepare: () => {
        const blocks = blocksOf(BLOCKS)
        const target = new Uint8Array(4096)
        return () => {
          for (const block of blocks) reflectOctets(block, PEER_ID, ROUTER_ID, target)
          return blocks.length
        }
      },
    },
    {
      name: 'decode, change, encode',
      twin: true,
      prepare: () => {
        const blocks = blocksOf(BLOCKS)
        const source = { kind: SourceKind.CLIENT, bgpId: PEER_ID }
        return () => {
          for (const block of blocks) {
            const { attributes } = decodePathAttributes(block, 0, block.length, { as4: true, ebgp: false })
            encodePathAttributes(outgoingAttributes(attributes, source, CLIENT_OPTIONS, null), AS4)
          }
          return blocks.length
        }
      },
    },
  ],
}

const internKnown: Bench = {
  name: 'intern known attribute sets',
  operation: 'attribute block',
  variants: [
    {
      name: 'AttributeStore, by octets',
      twin: false,
      prepare: () => {
        const blocks = blocksOf(15_000)
        const store = newStore()
        return () => internAll(store, blocks)
      },
    },
    {
      name: 'Map by hex text',
      twin: true,
      prepare: () => {
        const blocks = blocksOf(15_000)
        const known = new Map<string, PathAttributes>()
        return () => internSimply(known, blocks)
      },
    },
  ],
}

const internNew: Bench = {
  name: 'intern new attribute sets',
  operation: 'attribute block',
  once: true,
  variants: [
    {
      name: 'AttributeStore, scanned',
      twin: false,
      prepare: () => {
        const blocks = blocksOf(15_000)
        const store = newStore()
        return () => internAll(store, blocks)
      },
    },
    {
      name: 'Map by hex text, decoded to an object',
      twin: true,
      prepare: () => {
        const blocks = blocksOf(15_000)
        return () => internSimply(new Map(), blocks)
      },
    },
  ],
}

export const CODEC_BENCHES: readonly Bench[] = [frameAndSplit, decode, encode, reflect, internKnown, internNew]

function blocksOf(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, n) => blockNumber(n))
}

function valuesOf(count: number): PathAttributes[] {
  return Array.from({ length: count }, (_, n) => attributesNumber(n))
}

function chunksOf(stream: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < stream.length; at += CHUNK_OCTETS) chunks.push(stream.subarray(at, at + CHUNK_OCTETS))
  return chunks
}

function newStore(): AttributeStore {
  return new AttributeStore(new NextHopTable(7), IDENTITY, 7)
}

function internAll(store: AttributeStore, blocks: readonly Uint8Array[]): number {
  for (const block of blocks) store.intern(block, 0, block.length, null, true, false)
  return blocks.length
}

function internSimply(known: Map<string, PathAttributes>, blocks: readonly Uint8Array[]): number {
  for (const block of blocks) {
    const key = Buffer.from(block.buffer, block.byteOffset, block.length).toString('hex')
    if (!known.has(key))
      known.set(key, decodePathAttributes(block, 0, block.length, { as4: true, ebgp: false }).attributes)
  }
  return blocks.length
}

/** The attributes that the benches use, as one would write it first. */
function encodeSimply(value: PathAttributes): Uint8Array {
  const parts = [
    part(0x40, 1, Uint8Array.of(value.origin)),
    part(0x40, 2, value.asPath!),
    part(0x40, 3, value.nextHop!),
  ]
  if (value.med >= 0) parts.push(part(0x80, 4, u32(value.med)))
  parts.push(part(0x40, 5, u32(value.localPref)), part(0xc0, 8, value.communities!))
  return Buffer.concat(parts)
}

function part(flags: number, type: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(flags, type, value.length), value])
}

function u32(value: number): Uint8Array {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(value)
  return octets
}

const AS4 = Object.freeze({ as4: true, nextHopAttribute: true })
const CHUNK_OCTETS = 65_536
