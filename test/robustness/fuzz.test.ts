/** The short run of the fuzzer: a seed that is always the same, one that is another each time, and the proof that its oracles see. */
import t from 'tap'
import { runCampaign } from '../../fuzz/campaign.js'
import { Finding } from '../../fuzz/finding.js'
import { generateOpen } from '../../fuzz/generate.js'
import { neededCapabilities, SENDERS } from '../../fuzz/peers.js'
import { Random } from '../../fuzz/random.js'
import { failureText, summaryLine } from '../../fuzz/report.js'
import { replay, shrink } from '../../fuzz/shrink.js'
import type { Step } from '../../fuzz/step.js'
import { concat, messageOf, NONE } from '../../fuzz/update-tree.js'
import { newCounters, World } from '../../fuzz/world.js'
import { GOOD, hex32, nlri, update } from './client.js'

const MESSAGES = 40_000

t.setTimeout(280_000)

for (const seed of [1, Math.floor(Math.random() * 2 ** 31)]) {
  t.test(`${MESSAGES} messages, seed ${seed}`, async (t) => {
    const before = process.cpuUsage()
    const { counters, failure } = runCampaign({ seed, messages: MESSAGES })
    const { user, system } = process.cpuUsage(before)
    t.comment(`seed ${seed}: ${summaryLine(counters, (user + system) / 1e6)}`)
    t.equal(failure === null ? '' : failureText(failure), '', `npm run fuzz -- --messages ${MESSAGES} --seed ${seed}`)
    t.equal(counters.messages, MESSAGES)
    t.ok(counters.accepted > MESSAGES / 2, `${counters.accepted} UPDATEs were taken in`)
    for (const end of ['1/1', '1/2', '1/3', '2/0', '2/1', '3/1', '3/9', '3/10', '5/1', '5/3', '7/1'])
      t.ok(counters.rejected.has(end), `some sessions ended with ${end}`)
  })
}

t.test('the same seed sends the same', async (t) => {
  const once = (): unknown => {
    const { accepted, rejected, sets } = runCampaign({ seed: 5, messages: 3000 }).counters
    return { accepted, rejected: [...rejected], sets }
  }
  t.same(once(), once())
})

t.test('the oracles see what they are there for', async (t) => {
  const sabotage = (oracle: string, spoil: (world: World) => void): void => {
    const world = established()
    spoil(world)
    let found: unknown = null
    try {
      world.step(step(update('', GOOD, nlri('10.2.0.0/16'))))
      world.finish()
    } catch (error) {
      found = error
    }
    t.ok(found instanceof Finding && found.oracle === oracle, `${oracle}: ${found}`)
  }
  const routes = (world: World) => world.senders[0]!.model!.routes
  sabotage('table', (world) => routes(world).delete('0 10.1.0.0/16'))
  sabotage('table', (world) => {
    const set = routes(world).get('0 10.1.0.0/16')!
    routes(world).set('0 10.1.0.0/16', { ...set, state: 6 })
  })
  sabotage('table', (world) => {
    const set = routes(world).get('0 10.1.0.0/16')!
    routes(world).set('0 10.1.0.0/16', { ...set, canonical: '' })
  })
  sabotage('downstream', (world) => {
    const set = routes(world).get('0 10.1.0.0/16')!
    routes(world).set('0 10.1.0.0/16', { ...set, attributes: { ...set.attributes, med: 7 } })
  })
  sabotage('answer', (world) => {
    world.senders[0]!.model!.update = () => '3/1'
  })
  sabotage('exception', (world) => {
    world.senders[0]!.source = { index: 1 } as never
  })
})

t.test('a finding is shrunk to the steps and octets that make it', async (t) => {
  const given = Array.from({ length: 200 }, (_, n) =>
    step(update('', `${GOOD}c008040000000${n % 10}c06304${hex32(n)}`, nlri(`10.${n}.0.0/16`))),
  )
  const has = (steps: readonly Step[], hex: string): boolean =>
    steps.some(({ bytes }) => Buffer.from(bytes).toString('hex').includes(hex))
  // As if attribute 99 of one message and the prefix of another made it.
  const few = shrink(given, (steps) => has(steps, `c06304${hex32(17)}`) && has(steps, '100ab7'))
  t.same(
    few.map(({ bytes }) => Buffer.from(bytes.subarray(19)).toString('hex')),
    [`c06304${hex32(17)}`, '100ab7'],
  )
  const [first] = few
  t.equal(first!.bytes[17], first!.bytes.length, 'with a header that is right')
  t.equal(replay([open(), ...given]), null, 'no finding in good messages')
  t.equal(
    shrink(given, () => false),
    given,
    'what does not fail again is left as it is',
  )
  const finding = new Finding('table', 'made up')
  t.match(failureText({ finding, seed: 1, epoch: 0, steps: few }), /made up[\s\S]*2 steps[\s\S]*- id: X1/)
})

function established(): World {
  const world = new World(newCounters())
  world.step(open())
  world.step(step(update('', GOOD, nlri('10.1.0.0/16'))))
  return world
}

function open(): Step {
  const bytes = generateOpen(new Random(1), SENDERS[0]!.asn, 0x0a090901, neededCapabilities(SENDERS[0]!))
  return { sender: 0, bytes: concat(bytes, messageOf(4, NONE)), cut: 0 }
}

function step(hex: string): Step {
  return { sender: 0, bytes: Uint8Array.from(Buffer.from(hex, 'hex')), cut: 0 }
}
