import fc from 'fast-check'
import t from 'tap'
import { Family } from '../../src/net/family.js'
import { formatPrefixWords, parsePrefix } from '../../src/net/prefix.js'
import { PrefixTable } from '../../src/rib/prefix-table.js'
import { nlri } from '../support/update-bytes.js'

type Words = [number, number, number, number]

function wordsOf(text: string): { words: Words; length: number; family: Family } {
  const { address, length, family } = parsePrefix(text)
  const view = new DataView(Uint8Array.from([...address, ...new Array(12).fill(0)]).buffer)
  const words: Words = [view.getUint32(0), 0, 0, 0]
  if (address.length === 16) for (const at of [1, 2, 3] as const) words[at] = view.getUint32(at * 4)
  return { words, length, family }
}

function intern(table: PrefixTable, text: string): number {
  const { words, length } = wordsOf(text)
  return table.intern(...words, length)
}

function find(table: PrefixTable, text: string): number {
  const { words, length } = wordsOf(text)
  return table.find(...words, length)
}

const EDGES = {
  [Family.IPV4_UNICAST]: [
    '0.0.0.0/0',
    '0.0.0.0/1',
    '128.0.0.0/1',
    '255.255.255.255/32',
    '0.0.0.0/32',
    '10.1.0.0/16',
    '10.1.0.0/17',
    '10.1.2.0/23',
    '10.1.2.0/24',
    '10.1.2.128/25',
  ],
  [Family.IPV6_UNICAST]: [
    '::/0',
    '::/128',
    '::/32',
    '::/33',
    '2001:db8::/32',
    '2001:db8::/33',
    '2001:db8:0:1::/64',
    '2001:db8:0:1:8000::/65',
    '2001:db8::1:0:0/96',
    '2001:db8::1:8000:0/97',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128',
  ],
} as const

for (const family of [Family.IPV4_UNICAST, Family.IPV6_UNICAST] as const) {
  t.test(`family ${family}: the edges are different prefixes and come back as NLRI`, async (t) => {
    const table = new PrefixTable(family, 3)
    const ids = EDGES[family].map((text) => intern(table, text))
    t.equal(new Set(ids).size, ids.length)
    t.notOk(ids.includes(0))
    for (const [at, text] of EDGES[family].entries()) {
      const id = ids[at]!
      t.equal(find(table, text), id)
      t.equal(intern(table, text), id)
      t.equal(
        formatPrefixWords(
          family,
          table.word0(id),
          table.word(id, 1),
          table.word(id, 2),
          table.word(id, 3),
          table.lengthOf(id),
        ),
        text,
      )
      const target = new Uint8Array(20).fill(0xaa)
      const end = table.writeNlri(id, target, 1)
      t.same(target.subarray(1, end), nlri(text))
      t.equal(table.nlriOctets(id), end - 1)
      t.equal(target[end], 0xaa)
    }
  })

  t.test(`family ${family}: what a Map of use counts says, over growth and reuse`, async () => {
    const text =
      family === Family.IPV4_UNICAST
        ? fc.tuple(fc.nat(30), fc.integer({ min: 8, max: 32 })).map(([n, length]) => `${n}.0.0.0/${length}`)
        : fc.tuple(fc.nat(30), fc.integer({ min: 16, max: 128 })).map(([n, length]) => `${n.toString(16)}::/${length}`)
    fc.assert(
      fc.property(fc.array(fc.tuple(text, fc.boolean()), { maxLength: 300 }), fc.integer(), (steps, seed) => {
        const table = new PrefixTable(family, seed)
        const twin = new Map<string, { id: number; uses: number }>()
        for (const [prefix, add] of steps) {
          const entry = twin.get(prefix)
          if (find(table, prefix) !== (entry?.id ?? 0)) return false
          if (add) {
            const id = intern(table, prefix)
            table.retain(id)
            twin.set(prefix, { id, uses: (entry?.uses ?? 0) + 1 })
          } else if (entry !== undefined) {
            table.release(entry.id)
            if (entry.uses === 1) twin.delete(prefix)
            else twin.set(prefix, { id: entry.id, uses: entry.uses - 1 })
          }
        }
        const ids = new Set([...twin.values()].map(({ id }) => id))
        return (
          table.size === twin.size &&
          ids.size === twin.size &&
          [...twin.values()].every(({ id, uses }) => table.usesOf(id) === uses && id < table.end && id < table.capacity)
        )
      }),
    )
  })

  t.test(`family ${family}: 20,000 prefixes and the ids of the freed ones again`, async (t) => {
    const table = new PrefixTable(family, 11)
    const add = (n: number): number => {
      const id =
        family === Family.IPV4_UNICAST ? table.intern(n * 256, 0, 0, 0, 24) : table.intern(0x20010db8, n, n ^ 5, 0, 96)
      table.retain(id)
      return id
    }
    const ids = Array.from({ length: 20_000 }, (_, n) => add(n + 1))
    t.equal(new Set(ids).size, 20_000)
    t.same(
      ids.filter((id, n) => add(n + 1) !== id),
      [],
    )
    for (const id of ids) table.release(id)
    const { end } = table
    for (const id of ids.slice(0, 10_000)) table.release(id)
    t.equal(table.size, 10_000)
    for (let n = 0; n < 10_000; n++) add(50_000 + n)
    t.equal(table.end, end, 'no new ids while there are free ones')
    t.equal(table.size, 20_000)
  })
}

t.test('an interned prefix that nobody retained goes with collect()', async (t) => {
  const table = new PrefixTable(Family.IPV4_UNICAST, 1)
  const id = intern(table, '10.0.0.0/8')
  table.collect(id)
  t.equal(find(table, '10.0.0.0/8'), 0)
  const used = intern(table, '10.0.0.0/8')
  table.retain(used)
  table.collect(used)
  t.equal(find(table, '10.0.0.0/8'), used)
})
