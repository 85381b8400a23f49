/** The parts of `nodebgp load` that decide what is right: prefixes and their numbers, messages, the ledger, the record of changes, the plan. */
import fc from 'fast-check'
import t from 'tap'
import { decodePathAttributes } from '../../src/bgp/attributes/decode.js'
import type { PathAttributes } from '../../src/bgp/attributes/path-attributes.js'
import { isEndOfRib, splitUpdate } from '../../src/bgp/message/update.js'
import { UpdateParts } from '../../src/bgp/message/update-parts.js'
import { decodeNlri } from '../../src/bgp/nlri/unicast.js'
import { Framer } from '../../src/bgp/wire/framer.js'
import { announcements, attributesOf, withdrawals } from '../../src/load/announce.js'
import { ChurnLog } from '../../src/load/churn-log.js'
import { Ledger } from '../../src/load/ledger.js'
import { percentile } from '../../src/load/percentile.js'
import { makePlan, type Plan } from '../../src/load/plan.js'
import { formatId } from '../../src/load/prefixes.js'
import type { LoadOptions } from '../../src/load/types.js'
import { Family } from '../../src/net/family.js'
import { parsePrefix } from '../../src/net/prefix.js'
import { OPTIONS } from './options.js'

const IPV6: Partial<LoadOptions> = {
  family: Family.IPV6_UNICAST,
  prefixes: parsePrefix('fd00:10::/32'),
  blockLength: 64,
}

for (const [name, options] of [
  ['blocks', {}],
  ['IPv6 blocks', IPV6],
  ['IPv6 blocks across a word', { ...IPV6, prefixes: parsePrefix('fd00::/16'), blockLength: 33 }],
  ['a table', { workload: 'table', peers: 1, receivers: 1, routes: 5000, attributeSets: null }],
  ['an IPv6 table', { ...IPV6, workload: 'table', peers: 1, receivers: 1, routes: 5000, attributeSets: null }],
] as [string, Partial<LoadOptions>][]) {
  t.test(`${name}: every prefix has one number, and what is announced decodes to it`, async (t) => {
    const plan = makePlan({ ...OPTIONS, peers: 3, routes: 2000, attributeSets: 7, ...options })
    const { space } = plan
    const texts = new Set<string>()
    for (let id = 0; id < space.count; id++) {
      texts.add(formatId(space, id))
      if (space.find(space.w0(id), space.w1(id), space.lengthOf(id)) !== id)
        t.fail(`${formatId(space, id)} is not ${id}`)
    }
    t.equal(texts.size, space.count)
    t.equal(space.find(0xdead_beef, 0, 31), -1)
    t.equal(space.find(space.w0(0), space.w1(0), space.lengthOf(0) - 1), -1)

    const seen = new Set<string>()
    let endOfRibs = 0
    for (const member of plan.members.slice(0, plan.announcers)) {
      for (const one of decoded(plan, whole(announcements(plan, member, true)))) {
        if (one.isEndOfRib) endOfRibs++
        for (const prefix of one.announced) seen.add(prefix)
        if (one.announced.length === 0) continue
        const id = idOf(plan, one.announced[0]!)
        const expected = attributesOf(plan, member, plan.setOf(id))
        t.same(one.nextHop, expected.nextHop)
        t.same({ ...one.attributes, nextHop: null }, { ...expected, nextHop: null })
        t.ok(one.announced.every((prefix) => plan.setOf(idOf(plan, prefix)) === plan.setOf(id)))
      }
      const gone = decoded(plan, withdrawals(plan, member)).flatMap((one) => one.withdrawn)
      t.equal(gone.length, member.to - member.from)
      t.ok(gone.every((prefix) => idOf(plan, prefix) >= member.from && idOf(plan, prefix) < member.to))
    }
    t.same([...seen].sort(), [...texts].sort())
    t.equal(endOfRibs, plan.announcers)
  })
}

t.test('the same seed gives the same table, another one another', async (t) => {
  const table = (seed: number) => {
    const plan = makePlan({ ...OPTIONS, workload: 'table', peers: 1, receivers: 1, routes: 500, seed })
    return Buffer.concat(whole(announcements(plan, plan.members[0]!, true))).toString('hex')
  }
  t.equal(table(7), table(7))
  t.not(table(7), table(8))
})

t.test('the ledger equals sets of numbers', async (t) => {
  const action = fc.tuple(fc.constantFrom('add', 'remove', 'clear'), fc.nat(2), fc.nat(99))
  fc.assert(
    fc.property(fc.array(action, { maxLength: 300 }), fc.nat(99), fc.nat(99), (actions, a, b) => {
      const ledger = new Ledger(3, 100)
      const twins = [new Set<number>(), new Set<number>(), new Set<number>()]
      ledger.setGoals((row) => row)
      for (const [verb, row, id] of actions) {
        const twin = twins[row]!
        if (verb === 'clear') {
          ledger.clear(row)
          twin.clear()
        } else if (verb === 'add') {
          t.equal(ledger.add(row, id), !twin.has(id))
          twin.add(id)
        } else {
          t.equal(ledger.remove(row, id), twin.delete(id))
        }
      }
      const [from, to] = [Math.min(a, b), Math.max(a, b)]
      t.equal(ledger.complete, twins.filter((twin, row) => twin.size === row).length)
      for (const [row, twin] of twins.entries()) {
        for (const wanted of [true, false]) {
          const found: number[] = []
          ledger.compare(row, wanted, from, to, (id) => found.push(id))
          const expected = numbers(100).filter((id) => twin.has(id) !== (wanted && (id < from || id >= to)))
          t.same(found, expected)
        }
      }
    }),
    { numRuns: 100 },
  )
})

t.test('changes: a newer version stands for those before it, latency is that of the last receiver', async (t) => {
  // Three neighbours, one slot, four rounds: slot 0 belongs to neighbour 0, so two receive.
  const log = new ChurnLog(3, 1, 4)
  log.sent(0, 0)
  t.equal(log.withdrawn(1, 0, 5), true)
  t.equal(log.withdrawn(1, 0, 6), false, 'again')
  log.sent(0, 10)
  log.sent(0, 20)
  log.sent(0, 30)
  t.equal(log.announced(2, 0, 4, 40), true, 'the first three were left out')
  t.equal(log.announced(2, 0, 2, 41), false, 'older')
  t.equal(log.announced(2, 0, 3, 41), false, 'odd versions are withdrawals')
  t.equal(log.announced(1, 0, 6, 41), false, 'never sent')
  t.same([...log.sortedLatencies()], [40])
  t.equal(log.unfinished, 3)
  t.equal(log.announced(1, 0, 2, 50), true)
  t.equal(log.withdrawn(1, 0, 60), true)
  t.equal(log.announced(1, 0, 4, 70), true)
  t.same([...log.sortedLatencies()], [40, 40, 40, 40])
  t.equal(log.unfinished, 0)
})

t.test('changes: a withdrawal that nobody sent counts for nothing', async (t) => {
  const log = new ChurnLog(2, 1, 2)
  t.equal(log.withdrawn(1, 0, 1), false)
  log.sent(0, 2)
  t.equal(log.withdrawn(1, 0, 3), true)
})

t.test('percentiles are values that were there', async (t) => {
  const sorted = Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
  t.same(
    [0.5, 0.9, 0.99, 1, 0].map((share) => percentile(sorted, share)),
    [5, 9, 10, 10, 1],
  )
  t.equal(percentile(new Float64Array(0), 0.5), null)
})

t.test('members: addresses, identifiers and ASes are their own', async (t) => {
  const own = makePlan({ ...OPTIONS, peers: 300, ebgp: true })
  t.equal(new Set(own.members.map(({ address }) => address)).size, 300)
  t.equal(new Set(own.members.map(({ bgpId }) => bgpId)).size, 300)
  t.equal(new Set(own.members.map(({ asn }) => asn)).size, 300)
  t.match(own, { ebgp: true, expectNextHop: 'self', expectAttributes: false })
  t.match(own.members[299], { address: '127.1.1.44', asn: 4_200_000_299 })
  const listed = makePlan({ ...OPTIONS, peers: 2, localAddresses: ['10.0.0.7', '10.0.0.9'] })
  t.same(listed.nextHopOf(1), Uint8Array.of(10, 0, 0, 9), 'real addresses are next hops')
  t.match(makePlan({ ...OPTIONS, peers: 2 }).nextHopOf(1), Uint8Array.of(172, 29, 0, 2), 'those of loopback are none')
})

t.test('options that cannot work are refused in one line', async (t) => {
  const cases: [Partial<LoadOptions>, RegExp][] = [
    [{ peers: 1 }, /at least two sessions/],
    [{ workload: 'table', peers: 2 }, /one announcing neighbour/],
    [{ prefixes: parsePrefix('10.0.0.0/24'), routes: 5 }, /room for 4 blocks of \/26, not for 15/],
    [{ blockLength: 33 }, /--block-length 33 is not between/],
    [{ prefixes: parsePrefix('fd00::/32') }, /not of the family ipv4-unicast/],
    [{ localAddresses: parsePrefix('127.1.0.0/30') }, /too few addresses for 3 sessions/],
    [{ localAddresses: ['127.1.0.1'] }, /has 1 addresses, and 3 sessions/],
    [{ ebgp: true, peerAsn: 64512 }, /contradict/],
    [{ peers: 20_000, routes: 800 }, /MiB for what each receiver holds/],
    [{ workload: 'churn', rate: 1_000_000, seconds: 1000 }, /too much to keep in memory/],
    [{ nextHops: parsePrefix('fd00::/64') }, /is of the other family/],
  ]
  for (const [options, message] of cases) t.throws(() => makePlan({ ...OPTIONS, ...options }), { message })
})

interface Decoded {
  readonly announced: readonly string[]
  readonly withdrawn: readonly string[]
  readonly attributes: PathAttributes
  readonly nextHop: Uint8Array | null
  readonly isEndOfRib: boolean
}

/** By the codec's plain way, text and all. */
function decoded(plan: Plan, chunks: readonly Uint8Array[]): Decoded[] {
  const { family } = plan.space
  const found: Decoded[] = []
  const parts = new UpdateParts()
  const framer = new Framer()
  for (const chunk of chunks) {
    const read = (buffer: Uint8Array, start: number, end: number): void => {
      splitUpdate(buffer, start, end, parts)
      const text = (from: number, to: number) =>
        [...decodeNlri(buffer, from, to, family, false)].map((one) => one.prefix)
      const isIpv4 = family === Family.IPV4_UNICAST
      const { attributes } = decodePathAttributes(buffer, parts.attributesStart, parts.attributesEnd, {
        as4: true,
        ebgp: false,
      })
      const mpNextHop =
        parts.mpReachNextHopStart < 0 ? null : buffer.slice(parts.mpReachNextHopStart, parts.mpReachNextHopEnd)
      found.push({
        announced: isIpv4 ? text(parts.nlriStart, parts.nlriEnd) : text(parts.mpReachNlriStart, parts.mpReachNlriEnd),
        withdrawn: isIpv4
          ? text(parts.withdrawnStart, parts.withdrawnEnd)
          : text(parts.mpUnreachNlriStart, parts.mpUnreachNlriEnd),
        attributes,
        nextHop: isIpv4 ? attributes.nextHop : mpNextHop,
        isEndOfRib: isEndOfRib(parts) === family,
      })
    }
    framer.push(chunk, read, 4096)
  }
  return found
}

function idOf(plan: Plan, text: string): number {
  const { address, length } = parsePrefix(text)
  const view = new DataView(address.buffer, address.byteOffset)
  return plan.space.find(view.getUint32(0), address.length === 4 ? 0 : view.getUint32(4), length)
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}

/** What the steps return, all taken at once. */
function whole<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
