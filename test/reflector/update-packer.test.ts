/** What the packer packed, decoded again. */
import fc from 'fast-check'
import t from 'tap'
import { splitUpdate } from '../../src/bgp/message/update.js'
import { UpdateParts } from '../../src/bgp/message/update-parts.js'
import { Family } from '../../src/net/family.js'
import { NO_NEXT_HOP, OutSetTable } from '../../src/reflector/out-set.js'
import { endOfRibMessage, type PackedSlab, UpdatePacker } from '../../src/reflector/update-packer.js'
import { PathTable } from '../../src/rib/path-table.js'
import { PrefixTable } from '../../src/rib/prefix-table.js'

interface Announcement {
  readonly prefix: string
  readonly attributes: string
  readonly nextHop: string
}

/** Messages of octets, each whole. */
function messages(octets: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = []
  for (let at = 0; at < octets.length; ) {
    const length = (octets[at + 16]! << 8) | octets[at + 17]!
    if (length < 23 || at + length > octets.length || octets[at + 18] !== 2)
      throw new Error(`no whole message at ${at}`)
    for (let i = at; i < at + 16; i++) if (octets[i] !== 0xff) throw new Error(`no marker at ${at}`)
    found.push(octets.subarray(at, at + length))
    at += length
  }
  return found
}

/** With ADD-PATH an item has four octets in front. */
function nlriOf(buffer: Uint8Array, start: number, end: number, addPath: boolean): string[] {
  const found: string[] = []
  for (let at = start; at < end; ) {
    const lengthAt = addPath ? at + 4 : at
    const next = lengthAt + 1 + ((buffer[lengthAt]! + 7) >> 3)
    found.push(Buffer.from(buffer.subarray(at, next)).toString('hex'))
    at = next
  }
  return found
}

function read(message: Uint8Array, addPath = false): { withdrawn: string[]; announced: Announcement[] } {
  const parts = new UpdateParts()
  splitUpdate(message, 0, message.length, parts)
  if (parts.fault !== null) throw new Error(parts.fault.reason)
  const hex = (start: number, end: number): string => Buffer.from(message.subarray(start, end)).toString('hex')
  const withdrawn = [
    ...nlriOf(message, parts.withdrawnStart, parts.withdrawnEnd, addPath),
    ...nlriOf(message, parts.mpUnreachNlriStart, parts.mpUnreachNlriEnd, addPath),
  ]
  const mp = parts.mpReachAttributeStart >= 0
  const attributes = mp
    ? hex(parts.mpReachAttributeEnd, parts.attributesEnd)
    : hex(parts.attributesStart, parts.attributesEnd)
  const nextHop = mp ? hex(parts.mpReachNextHopStart, parts.mpReachNextHopEnd) : ''
  const nlri = mp
    ? nlriOf(message, parts.mpReachNlriStart, parts.mpReachNlriEnd, addPath)
    : nlriOf(message, parts.nlriStart, parts.nlriEnd, addPath)
  return { withdrawn, announced: nlri.map((prefix) => ({ prefix, attributes, nextHop })) }
}

function given(family: Family, limit: number, addPath = false) {
  const prefixes = new PrefixTable(family, 1)
  const paths = new PathTable()
  const outSets = new OutSetTable(1)
  const packer = new UpdatePacker(family, prefixes, outSets, limit, addPath ? paths : null)
  /** Row `n` of the packer: a prefix, with ADD-PATH a path of one of few prefixes. */
  const row = (n: number): number => {
    if (!addPath) return prefix(n)
    const id = prefix(n % 500)
    paths.reservePrefixes(prefixes.capacity)
    return paths.find(id, n) || paths.insert(id, n, 0)
  }
  const prefix = (n: number): number => {
    const length = family === Family.IPV4_UNICAST ? 8 + (n % 25) : 16 + (n % 113)
    const word =
      family === Family.IPV4_UNICAST
        ? Math.imul(n + 1, 0x9e3779b1) & (-1 << (32 - length))
        : (0x2000 << 16) | (n & 0xffff)
    return family === Family.IPV4_UNICAST
      ? prefixes.intern(word, 0, 0, 0, length)
      : prefixes.intern(length < 32 ? word & (-1 << (32 - length)) : word, 0, 0, 0, length)
  }
  /** One optional transitive attribute of `size` octets of value. */
  const set = (number: number, size: number): number => {
    const value = new Uint8Array(size).fill(number)
    const octets = Uint8Array.from([0xd0, 99, size >> 8, size & 255, ...value])
    const nextHop =
      family === Family.IPV4_UNICAST ? NO_NEXT_HOP : new Uint8Array(number % 2 === 0 ? 16 : 32).fill(number)
    return outSets.intern(octets, octets.length, nextHop)
  }
  const hexOf = (row: number): string => {
    const target = new Uint8Array(17)
    const id = addPath ? paths.prefix[row]! : row
    const nlri = Buffer.from(target.subarray(0, prefixes.writeNlri(id, target, 0))).toString('hex')
    return addPath ? `${row.toString(16).padStart(8, '0')}${nlri}` : nlri
  }
  return { packer, row, set, hexOf, outSets }
}

const change = fc.record({ number: fc.nat(3000), source: fc.nat(4), set: fc.nat(4), withdraw: fc.boolean() })

for (const family of [Family.IPV4_UNICAST, Family.IPV6_UNICAST] as const) {
  for (const limit of [4096, 65535]) {
    t.test(`family ${family}, ${limit} octets: decoded, it is what was put in`, async () =>
      whatWasPutIn(family, limit, false),
    )
    t.test(`the same with path identifiers`, async () => whatWasPutIn(family, limit, true))
  }
}

function whatWasPutIn(family: Family, limit: number, addPath: boolean): void {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 400 }),
      fc.array(fc.nat(limit - 200), { minLength: 5, maxLength: 5 }),
      (changes, sizes) => {
        const { packer, row, set, hexOf, outSets } = given(family, limit, addPath)
        const withdrawn: string[] = []
        const expected = new Map<string, Announcement & { readonly source: number }>()
        const ids = new Set<number>()
        for (const one of changes) {
          const id = row(one.number)
          if (ids.has(id)) continue
          ids.add(id)
          if (one.withdraw) {
            packer.withdraw(id)
            withdrawn.push(hexOf(id))
          } else {
            const out = set(one.set, sizes[one.set]!)
            packer.announce(id, out, one.source)
            const attributes = Buffer.from(outSets.octets(out)).toString('hex')
            expected.set(hexOf(id), {
              prefix: hexOf(id),
              attributes,
              nextHop: Buffer.from(outSets.nextHop(out)).toString('hex'),
              source: one.source,
            })
          }
        }
        if (packer.isEmpty !== (ids.size === 0)) return false
        const slabs = packer.take()
        return packer.isEmpty && check(slabs, withdrawn, expected, limit, ids, addPath)
      },
    ),
    { numRuns: 60 },
  )
}

function check(
  slabs: readonly PackedSlab[],
  withdrawn: readonly string[],
  expected: ReadonlyMap<string, Announcement & { readonly source: number }>,
  limit: number,
  ids: ReadonlySet<number>,
  addPath: boolean,
): boolean {
  const gone: string[] = []
  const heard = new Map<string, Announcement>()
  const spoken: number[] = []
  for (const slab of slabs) {
    const all = messages(slab.octets)
    if (all.length !== slab.messages || all.some((message) => message.length > limit)) return false
    for (const message of all) {
      const { withdrawn: removed, announced } = read(message, addPath)
      // Withdrawals first.
      if (removed.length > 0 && heard.size > 0) return false
      gone.push(...removed)
      for (const one of announced) heard.set(one.prefix, one)
    }
    // A range holds exactly the messages of its source, and is cut between messages.
    for (const [source, range] of slab.ranges) {
      const own = messages(slab.octets.subarray(range.start, range.end))
      if (own.length !== range.messages) return false
      if (
        !own.every((message) =>
          read(message, addPath).announced.every(({ prefix }) => expected.get(prefix)!.source === source),
        )
      )
        return false
      const others = [...messages(slab.octets.subarray(0, range.start)), ...messages(slab.octets.subarray(range.end))]
      if (
        others.some((message) =>
          read(message, addPath).announced.some(({ prefix }) => expected.get(prefix)!.source === source),
        )
      )
        return false
    }
    spoken.push(...slab.prefixes)
  }
  return (
    gone.sort().join() === [...withdrawn].sort().join() &&
    heard.size === expected.size &&
    [...expected].every(
      ([prefix, { attributes, nextHop }]) =>
        heard.get(prefix)?.attributes === attributes && heard.get(prefix)?.nextHop === nextHop,
    ) &&
    spoken.sort((a, b) => a - b).join() === [...ids].sort((a, b) => a - b).join()
  )
}

t.test('messages are filled up: 4000 prefixes of one set need the fewest that there can be', async (t) => {
  const { packer, outSets } = given(Family.IPV4_UNICAST, 4096)
  const prefixes = new PrefixTable(Family.IPV4_UNICAST, 1)
  const own = new UpdatePacker(Family.IPV4_UNICAST, prefixes, outSets, 4096)
  const out = outSets.intern(new Uint8Array(50), 50, NO_NEXT_HOP)
  for (let n = 0; n < 4000; n++) own.announce(prefixes.intern(n << 8, 0, 0, 0, 24), out, 1)
  const slabs = own.take()
  t.equal(
    slabs.reduce((sum, slab) => sum + slab.messages, 0),
    Math.ceil(4000 / Math.floor((4096 - 23 - 50) / 4)),
  )
  t.ok(slabs.length <= 2)
  t.ok(packer.isEmpty)
  for (let n = 0; n < 4000; n++) own.withdraw(prefixes.find(n << 8, 0, 0, 0, 24))
  t.equal(
    own.take().reduce((sum, slab) => sum + slab.messages, 0),
    Math.ceil(4000 / Math.floor((4096 - 23) / 4)),
  )
})

t.test('slabs share memory up to 64 KiB, and no more is taken than is needed', async (t) => {
  const { packer, row, set } = given(Family.IPV4_UNICAST, 4096)
  packer.announce(row(1), set(1, 20), 1)
  const [slab] = packer.take()
  t.ok(slab!.octets.buffer.byteLength < 200, `${slab!.octets.buffer.byteLength} octets for one small message`)
  for (let n = 0; n < 200; n++) packer.announce(row(n), set(n, 3000), 1)
  const slabs = packer.take()
  t.ok(slabs.length >= 9)
  t.ok(slabs.every(({ octets }) => octets.buffer.byteLength <= 65536))
})

t.test('End-of-RIB (RFC 4724 §2)', async (t) => {
  t.equal(Buffer.from(endOfRibMessage(Family.IPV4_UNICAST)).toString('hex'), `${'ff'.repeat(16)}00170200000000`)
  t.equal(
    Buffer.from(endOfRibMessage(Family.IPV6_UNICAST)).toString('hex'),
    `${'ff'.repeat(16)}001d0200000006800f03000201`,
  )
})
