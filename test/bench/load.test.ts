import t from 'tap'
import { CODEC_BENCHES } from '../../bench/codec.js'
import { blockNumber, tableOf, wordNumber } from '../../bench/given.js'
import { timeLoad } from '../../bench/load.js'
import { POLICY_AND_FIB_BENCHES } from '../../bench/policy-and-fib.js'
import { TABLE_BENCHES } from '../../bench/tables.js'
import { splitUpdate } from '../../src/bgp/message/update.js'
import { UpdateParts } from '../../src/bgp/message/update-parts.js'

t.test('the tables that benches load: as many distinct prefixes and sets as they say, whole messages', async (t) => {
  const messages = tableOf(5000, 3)
  const parts = new UpdateParts()
  const sets = new Set<string>()
  let nlriOctets = 0
  for (const message of messages) {
    t.ok(message.length <= 4096)
    splitUpdate(message, 0, message.length, parts)
    sets.add(Buffer.from(message.subarray(parts.attributesStart, parts.attributesEnd)).toString('hex'))
    nlriOctets += parts.nlriEnd - parts.nlriStart
  }
  t.equal(sets.size, 3)
  t.equal(nlriOctets, 5000 * 4)
  t.equal(new Set(Array.from({ length: 20_000 }, (_, n) => wordNumber(n))).size, 20_000)
  t.equal(new Set(Array.from({ length: 20_000 }, (_, n) => Buffer.from(blockNumber(n)).toString('hex'))).size, 20_000)
})

t.test('a load delivers each route to everybody else', async (t) => {
  // timeLoad throws when a client has not heard what it should.
  t.equal(timeLoad({ senders: 7, listeners: 0, prefixes: 28, sets: 7 }).delivered, 28 * 6)
  t.equal(timeLoad({ senders: 1, listeners: 3, prefixes: 10_000, sets: 1500 }).delivered, 30_000)
  t.equal(timeLoad({ senders: 3, listeners: 2, prefixes: 1000, sets: 100 }).delivered, 4000)
})

t.test('every bench has a twin and does what it says', async (t) => {
  for (const bench of [...CODEC_BENCHES, ...TABLE_BENCHES, ...POLICY_AND_FIB_BENCHES]) {
    t.equal(bench.variants[0]!.twin, false, bench.name)
    t.ok(
      bench.variants.slice(1).every(({ twin }) => twin) && bench.variants.length > 1,
      `${bench.name}: the others are twins`,
    )
    if (bench.atMost !== undefined || /64 paths| 1 M /.test(bench.name)) continue
    // The work of each variant checks its own result; here that they count alike.
    const operations = bench.variants.map(({ prepare }) => prepare()())
    t.equal(new Set(operations).size, 1, `${bench.name}: ${operations}`)
  }
})
