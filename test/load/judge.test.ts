/**
 * `nodebgp load` as a judge: a target with one deliberate fault, and the run says which. Three neighbours announce two /26 each: 127.1.0.1 has
 * 10.0.0.0/26 and 10.0.0.64/26, 127.1.0.2 the next two, and so on.
 */
import t from 'tap'
import { makePlan } from '../../src/load/plan.js'
import { runLoad } from '../../src/load/run.js'
import type { LoadOptions, LoadResult } from '../../src/load/types.js'
import { message } from '../robustness/client.js'
import { FakeSpeaker, type Faults, type Update } from './fake-speaker.js'
import { OPTIONS } from './options.js'

// They mostly wait, each with a target of its own.
t.jobs = 6

/** The limit of a phase that cannot end well. */
const NO_END = { timeoutSeconds: 3 }
const FIRST_OF_2 = '1a0a000080'

t.test('a target without faults: complete, withdrawn, every change seen, nothing counted', async (t) => {
  const { result, target } = await judged(t, {}, { workload: 'churn', rate: 200, seconds: 0.3 })
  t.match(result, {
    ok: true,
    setup: { ok: true, established: 3 },
    convergence: { ok: true, receiversComplete: 3 },
    churn: { ok: true, events: 60, unfinished: 0 },
    withdrawal: { ok: true },
    missing: 0,
    leftOver: 0,
    drops: 0,
    reasons: [],
    examples: [],
    received: { echoes: 0, duplicates: 0, wrongNextHops: 0, wrongAttributes: 0, otherPrefixes: 0 },
  })
  // 6 routes to 2 receivers each, and 30 announcing changes.
  t.equal(result.received.announced, 12 + 30 * 2)
  t.same(target.notifications, ['6/2', '6/2', '6/2'], 'sessions end with Cease')
})

t.test('a route that is dropped is missing, by name', async (t) => {
  const pass = (one: Update, from: number, to: number) => [
    to === 0 && from === 1 ? { ...one, nlri: one.nlri.filter((prefix) => prefix !== FIRST_OF_2) } : one,
  ]
  const { result } = await judged(t, { pass }, NO_END)
  t.match(result, { ok: false, missing: 1, convergence: { ok: false, seconds: null, receiversComplete: 2 } })
  t.same(result.examples, ['127.1.0.1 has no route to 10.0.0.128/26, announced by 127.1.0.2'])
  t.equal(result.withdrawal, null, 'what follows is left out')
})

t.test('a route in place of another is missing and other, though the count is right', async (t) => {
  const pass = (one: Update, from: number, to: number) => [
    to === 0 && from === 1 ? { ...one, nlri: one.nlri.map((p) => (p === FIRST_OF_2 ? '180b0101' : p)) } : one,
  ]
  const { result } = await judged(t, { pass }, NO_END)
  t.match(result, { ok: false, missing: 1, received: { otherPrefixes: 1 } })
  t.match(result.examples.join('\n'), '127.1.0.1 got 11.1.1.0/24, which no neighbour announced')
})

t.test('an altered next hop is reported, with both addresses', async (t) => {
  const pass = (one: Update, from: number, to: number) => [
    to === 2 && from === 0 ? { ...one, attributes: one.attributes.map(changed('400304', 'c0000201')) } : one,
  ]
  const { result } = await judged(t, { pass })
  t.match(result, { ok: false, missing: 0, convergence: { ok: true }, received: { wrongNextHops: 2 } })
  t.equal(result.examples[0], '127.1.0.3 got 10.0.0.0/26 with next hop 192.0.2.1; 127.1.0.1 announced 172.29.0.1')
})

t.test("another neighbour's next hop is wrong too, and a missing one; --expect-next-hop any takes all", async (t) => {
  const pass = (one: Update, from: number) => [
    from === 0
      ? { ...one, attributes: one.attributes.map(changed('400304', 'ac1d0002')) }
      : { ...one, attributes: one.attributes.filter((attribute) => !attribute.startsWith('400304')) },
  ]
  t.match((await judged(t, { pass })).result, { ok: false, received: { wrongNextHops: 12 } })
  t.match((await judged(t, { pass }, { expectNextHop: 'any' })).result, { ok: true, received: { wrongNextHops: 0 } })
})

t.test('eBGP: the next hop is the one announced or the address of the target, nothing else', async (t) => {
  const nextHop = (value: string): Faults => ({
    pass: (one, from) => [from === 0 ? { ...one, attributes: one.attributes.map(changed('400304', value)) } : one],
  })
  const own = await judged(t, nextHop('7f000001'), { ebgp: true })
  t.match(own.result, { ok: true, mode: 'ebgp', received: { wrongNextHops: 0, wrongAttributes: 0 } })
  const other = await judged(t, nextHop('7f000002'), { ebgp: true })
  t.match(other.result, { ok: false, mode: 'ebgp', received: { wrongNextHops: 4 } })
})

t.test('an altered attribute, and a wrong ORIGINATOR_ID', async (t) => {
  const pass = (one: Update, from: number, to: number) => [
    {
      ...one,
      attributes: one.attributes.map(from === 0 && to === 1 ? changed('400504', '00000065') : (x) => x),
    },
  ]
  const altered = await judged(t, { pass })
  t.match(altered.result, { ok: false, convergence: { ok: true } })
  t.ok(altered.result.received.wrongAttributes > 0)
  t.match(
    altered.result.examples[0],
    /127\.1\.0\.2 got 10\.0\.0\.0\/26 of 127\.1\.0\.1 with wrong attributes: .*LOCAL_PREF/,
  )

  const wrongId = await judged(t, {
    pass: (one) => [{ ...one, attributes: one.attributes.map(changed('800904', '01020304')) }],
  })
  t.match(wrongId.result.examples[0], 'ORIGINATOR_ID 1.2.3.4, not 127.1.0.1')
  const kept = await judged(t, { pass }, { expectAttributes: 'any' })
  t.equal(kept.result.ok, true)
})

t.test('a MED of 0 that the target adds is no change', async (t) => {
  const pass = (one: Update) => [
    one.nlri.length === 0 ? one : { ...one, attributes: [...one.attributes, '80040400000000'] },
  ]
  t.equal((await judged(t, { pass })).result.ok, true)
})

t.test('own routes that come back are counted; with --strict they are a fault', async (t) => {
  const { result } = await judged(t, { echoes: true })
  t.match(result, { ok: true, missing: 0, received: { echoes: 6 } })
  t.equal((await judged(t, { echoes: true }, { strict: true })).result.ok, false)
})

t.test('duplicates are counted; with --strict they are a fault', async (t) => {
  const pass = (one: Update, from: number, to: number) =>
    from === 0 && to === 1 && one.nlri.length > 0 ? [one, one] : [one]
  const { result } = await judged(t, { pass })
  t.match(result, { ok: true, received: { duplicates: 2 } })
  t.equal((await judged(t, { pass }, { strict: true })).result.ok, false)
})

t.test('a session that is closed ends the run, with the reason', async (t) => {
  const { result } = await judged(t, { after: (_from, to) => (to === 2 ? 'close' : undefined) }, { timeoutSeconds: 60 })
  t.match(result, {
    ok: false,
    drops: 1,
    reasons: [{ text: /session lost: the target (closed|reset) the TCP connection/, count: 1 }],
  })
})

t.test('a NOTIFICATION is told in words', async (t) => {
  const cease = message(3, '0602' + '05' + Buffer.from('later').toString('hex'))
  const { result } = await judged(t, { after: (from, to) => (from === 0 && to === 1 ? cease : undefined) })
  t.match(result, { ok: false, drops: 1 })
  t.match(result.reasons[0]?.text, 'NOTIFICATION 6/2 (Cease/Administrative Shutdown) "later"')
})

t.test('a malformed UPDATE is answered, and counted as a lost session', async (t) => {
  // A prefix length of 33.
  const bad = message(2, '0000' + '0000' + '21' + '0a00000080')
  const { result, target } = await judged(t, { after: (from, to) => (from === 0 && to === 1 ? bad : undefined) })
  t.match(result, { ok: false, drops: 1 })
  t.match(result.reasons[0]?.text, 'prefix of length 33')
  t.ok(target.notifications.includes('3/10'))
})

t.test('a route that is not withdrawn is left over, by name', async (t) => {
  const pass = (one: Update, _from: number, to: number) => [
    to === 0 ? { ...one, withdrawn: one.withdrawn.filter((prefix) => prefix !== FIRST_OF_2) } : one,
  ]
  const { result } = await judged(t, { pass }, NO_END)
  t.match(result, {
    ok: false,
    leftOver: 1,
    convergence: { ok: true },
    withdrawal: { ok: false, receiversComplete: 2 },
  })
  t.match(result.examples, ['127.1.0.1 still has 10.0.0.128/26, withdrawn by 127.1.0.2'])
})

t.test('a route that is announced and taken back is not converged', async (t) => {
  const pass = (one: Update, from: number, to: number) =>
    to === 0 && from === 1 && one.nlri.length > 0 ? [one, { withdrawn: [FIRST_OF_2], attributes: [], nlri: [] }] : [one]
  const { result } = await judged(t, { pass }, NO_END)
  t.match(result, { ok: false, missing: 1, convergence: { ok: false } })
})

t.test('churn: a change that one receiver does not get is unfinished', async (t) => {
  let withdrawals = 0
  const pass = (one: Update, from: number, to: number) =>
    from === 1 && to === 0 && one.withdrawn.length === 1 && ++withdrawals > 0 ? [] : [one]
  const { result } = await judged(t, { pass }, { workload: 'churn', rate: 200, seconds: 0.1 })
  t.ok(withdrawals > 0)
  // The announcement after it makes up for it: late, but seen; it is a withdrawal at the end that stays.
  t.match(result, { churn: { unfinished: 0 }, withdrawal: { ok: true } })

  const lost = (one: Update, from: number, to: number) =>
    from === 1 && to === 0 && one.attributes.some((attribute) => attribute.startsWith('c008')) ? [] : [one]
  const silent = await judged(t, { pass: lost }, { workload: 'churn', rate: 200, seconds: 0.1, ...NO_END })
  t.match(silent.result, { ok: false, missing: 1, churn: { ok: false } })
  t.ok((silent.result.churn?.unfinished ?? 0) > 0)
})

t.test('sessions that are refused: the reason of the target, and nothing announced', async (t) => {
  const { result } = await judged(t, { answer: message(3, '0202') })
  t.match(result, { ok: false, setup: { ok: false, established: 0 }, convergence: null })
  t.match(result.reasons, [{ text: 'session not opened: NOTIFICATION 2/2 (OPEN Message Error/Bad Peer AS)', count: 3 }])
})

t.test('the wrong --asn is found out by the OPEN of the target', async (t) => {
  const { result } = await judged(t, {}, { asn: 64513 })
  t.match(result.reasons, [{ text: /the target's AS is 64512, not 64513: correct --asn/, count: 3 }])
})

t.test('hold time 3: sessions live by KEEPALIVEs', async (t) => {
  const { result, target } = await judged(t, {}, { workload: 'restart-wait', holdTimeSeconds: 3, ...NO_END })
  t.match(result, { ok: false, drops: 0, restart: { ok: false }, convergence: { ok: true } })
  t.ok(target.keepalives > 3, 'more than those of the OPEN exchange')
})

t.test('a target that falls silent loses the session for its hold time', async (t) => {
  const { result, target } = await judged(
    t,
    { silent: true },
    { workload: 'restart-wait', holdTimeSeconds: 3, timeoutSeconds: 6 },
  )
  t.equal(result.ok, false)
  t.ok(target.notifications.includes('4/0'))
})

async function judged(
  t: { ok(value: unknown): unknown },
  faults: Faults,
  options: Partial<LoadOptions> = {},
): Promise<{ result: LoadResult; target: FakeSpeaker }> {
  const target = new FakeSpeaker(faults)
  const port = await target.listen()
  const plan = makePlan({ ...OPTIONS, port, ...options })
  const quiet = { start: () => {}, say: () => {}, end: () => {} }
  const result = await runLoad(plan, [Uint8Array.of(127, 0, 0, 1)], quiet, new AbortController().signal)
  await target.close()
  t.ok(result)
  return { result, target }
}

function changed(head: string, value: string): (attribute: string) => string {
  return (attribute) => (attribute.startsWith(head) ? head + value : attribute)
}
