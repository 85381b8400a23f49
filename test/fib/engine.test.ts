/** The engine against a driver that fails in every way a real one can. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import type { FibDriver, FibFact, FibOperation, FibOutcome, FibTrigger } from '../../src/fib/driver.js'
import type { Encapsulator } from '../../src/fib/encap/types.js'
import type { EngineOptions } from '../../src/fib/engine/state.js'
import { FibEngine } from '../../src/fib/engine.js'
import { MemoryDriver, MemoryTable } from '../../src/fib/memory.js'
import { resolveAnywhere } from '../../src/fib/resolve.js'
import type { KernelRoute } from '../../src/fib/types.js'
import { Turns } from '../support/turns.js'
import { until } from '../support/wait.js'
import { blackhole, unicast } from './support.js'

const RULES = {
  encapsulation: 'never',
  tunnelDevice: 'tunl0',
  vxlan: { device: 'flannel.1', vni: 1, port: 8472 },
  udp: { device: 'flannel0' },
  maxPaths: 4,
  metric: 0,
  metricFromLocalPref: false,
  sources: [null, null],
  programClusterRoutes: 'Enabled',
} as const

/** Forwards to a table in memory, and now and then says that the outcome is lost, whether or not it was done. */
class FailingDriver implements FibDriver {
  readonly memory = new MemoryTable()
  readonly #inner = new MemoryDriver(this.memory, 254, 179)
  /** Taken one per operation: what goes wrong. */
  faults: ('none' | 'lost-before' | 'lost-after' | 'refused')[] = []
  applied: string[] = []

  open(onTrigger: (trigger: FibTrigger) => void): Promise<void> {
    return this.#inner.open(onTrigger)
  }
  dump(take: (route: KernelRoute) => void): Promise<void> {
    return this.#inner.dump(take)
  }
  async apply(operations: readonly FibOperation[]): Promise<readonly FibOutcome[]> {
    const outcomes: FibOutcome[] = []
    let lost = false
    for (const operation of operations) {
      const fault = this.faults.shift() ?? 'none'
      if (lost || fault === 'lost-before') {
        lost = true
        outcomes.push({ type: 'lost', words: 'child ended' })
        continue
      }
      if (fault === 'refused' && operation.type !== 'delete') {
        outcomes.push({ type: 'refused', words: 'no' })
        continue
      }
      this.applied.push(`${operation.type} ${operation.to.prefix}`)
      const [outcome] = await this.#inner.apply([operation])
      if (fault === 'lost-after') lost = true
      outcomes.push(fault === 'lost-after' ? { type: 'lost', words: 'child ended' } : outcome!)
    }
    return outcomes
  }
  close(): Promise<void> {
    return this.#inner.close()
  }
}

function optionsOf(driver: FibDriver, facts: FibFact[] = []): EngineOptions {
  return {
    name: 'memory',
    why: 'for a test',
    driver,
    table: 254,
    protocol: 179,
    rules: RULES,
    resolve: resolveAnywhere,
    tunnel: null,
    log: (fact) => facts.push(fact),
    lostDelayMs: 1,
  }
}

function engineOn(driver: FibDriver, facts: FibFact[] = []): FibEngine {
  return new FibEngine(optionsOf(driver, facts))
}

const ours = (memory: MemoryTable): string[] =>
  memory
    .routes()
    .filter((route) => route.protocol === 179)
    .map((route) => `${route.prefix} ${route.kind} ${route.hops.map((hop) => hop.gateway).join()}`)
    .sort()

const PREFIXES = ['10.0.0.0/26', '10.0.0.64/26', '10.0.0.128/26', 'fd01::/64']
const step = fc.record({
  prefix: fc.constantFrom(...PREFIXES),
  want: fc.constantFrom('none', 'blackhole', 'one', 'two'),
  settle: fc.boolean(),
  byHand: fc.constantFrom('nothing', 'nothing', 'take ours', 'put ours'),
})
const fault = fc.constantFrom('none' as const, 'none' as const, 'lost-before' as const, 'lost-after' as const)

t.test('property: whatever gets lost or is changed by hand, the table ends as wanted', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.array(fault, { maxLength: 4 }), async (steps, faults) => {
      const driver = new FailingDriver()
      driver.faults = [...faults]
      const engine = engineOn(driver)
      await engine.start()
      engine.sweepAdopted()
      const wanted = new Map<string, string>()
      for (const { prefix, want, settle, byHand } of steps) {
        if (want === 'none') {
          engine.set(prefix, null)
          wanted.delete(prefix)
        } else {
          const both = prefix.includes(':') ? ['fd00::2', 'fd00::3'] : ['192.168.0.2', '192.168.0.3']
          const hops = want === 'two' ? both : both.slice(0, 1)
          engine.set(prefix, want === 'blackhole' ? blackhole(prefix) : unicast(prefix, ...hops))
          wanted.set(prefix, want === 'blackhole' ? `${prefix} blackhole ` : `${prefix} unicast ${hops.join()}`)
        }
        if (byHand === 'take ours') driver.memory.take(prefix, 179)
        if (byHand === 'put ours') {
          const family = prefix.includes(':') ? 1 : 0
          const metric = family === 1 ? 1024 : 0
          driver.memory.take(prefix, 179)
          driver.memory.put({ family, prefix, kind: 'blackhole', protocol: 179, metric, table: 254, hops: [] })
        }
        if (settle) await engine.settled()
      }
      // Stands for the slow comparison.
      engine.reconfigure(RULES)
      await engine.settled()
      const expected = [...wanted.values()].sort().join('\n')
      const reached = ours(driver.memory).join('\n')
      const states = engine.entries().map((entry) => entry.state)
      await engine.stop('flush')
      if (reached !== expected) throw new Error(`${reached}\nis not\n${expected}`)
      if (states.some((state) => state !== 'installed')) throw new Error(states.join())
      if (ours(driver.memory).length > 0) throw new Error('left after flush')
    }),
    {
      numRuns: 25,
      // Given up after three rounds: another configuration tries again.
      examples: [
        [
          [{ prefix: '10.0.0.0/26', want: 'one', settle: true, byHand: 'put ours' }],
          ['none', 'lost-before', 'lost-before'],
        ],
      ],
    },
  )
  t.pass('holds')
})

t.test('a change of hops is one replace, never a delete', async (t) => {
  const driver = new FailingDriver()
  const engine = engineOn(driver)
  await engine.start()
  engine.set(PREFIXES[0]!, unicast(PREFIXES[0]!, '192.168.0.2'))
  await engine.settled()
  engine.set(PREFIXES[0]!, unicast(PREFIXES[0]!, '192.168.0.3', '192.168.0.4'))
  await engine.settled()
  t.same(driver.applied, ['add 10.0.0.0/26', 'replace 10.0.0.0/26'])
  await engine.stop('keep')
})

t.test('sets before the start are written after it, and what they confirm is not swept', async (t) => {
  const driver = new FailingDriver()
  const first = engineOn(driver)
  await first.start()
  for (const prefix of PREFIXES) first.set(prefix, blackhole(prefix))
  await first.settled()
  await first.stop('keep')
  driver.applied = []
  const engine = engineOn(driver)
  engine.set(PREFIXES[0]!, blackhole(PREFIXES[0]!))
  engine.sweepAdopted()
  await engine.start()
  await engine.settled()
  t.same(ours(driver.memory), [`${PREFIXES[0]} blackhole `])
  t.same(
    driver.applied.filter((line) => line.endsWith(PREFIXES[0]!)),
    [],
  )
  await engine.stop('keep')
})

t.test('a refused route is told once, and tried again', async (t) => {
  const driver = new FailingDriver()
  const facts: FibFact[] = []
  const engine = engineOn(driver, facts)
  await engine.start()
  driver.faults = ['refused', 'refused']
  engine.set(PREFIXES[0]!, unicast(PREFIXES[0]!, '192.168.0.2'))
  await engine.settled()
  t.match(engine.entry(PREFIXES[0]!), { state: 'failed', reason: 'no' })
  engine.reconfigure(RULES)
  await engine.settled()
  t.equal(engine.entry(PREFIXES[0]!)?.state, 'failed')
  engine.reconfigure(RULES)
  await engine.settled()
  t.equal(engine.entry(PREFIXES[0]!)?.state, 'installed')
  t.equal(facts.filter((fact) => fact.event === 'fib-failed').length, 1)
  await engine.stop('keep')
})

t.test(
  'a refused route is tried again soon after a look that came too soon, also where nothing else comes',
  async (t) => {
    const driver = new FailingDriver()
    let trigger: (trigger: FibTrigger) => void = () => {}
    const open = driver.open.bind(driver)
    driver.open = (onTrigger) => {
      trigger = onTrigger
      return open(onTrigger)
    }
    const engine = engineOn(driver)
    await engine.start()
    driver.faults = ['refused', 'refused']
    engine.set(PREFIXES[0]!, unicast(PREFIXES[0]!, '192.168.0.2'))
    await engine.settled()
    engine.reconfigure(RULES)
    await engine.settled()
    t.equal(engine.entry(PREFIXES[0]!)?.state, 'failed', 'a device is down for a moment')
    trigger('event')
    await until('tried again', () => engine.entry(PREFIXES[0]!)?.state === 'installed')
    await engine.stop('keep')
  },
)

t.test('a route that ends the driver each time is given up, the others go in', async (t) => {
  const driver = new FailingDriver()
  const engine = engineOn(driver)
  await engine.start()
  const poison = PREFIXES[1]!
  const inner = driver.apply.bind(driver)
  driver.apply = async (operations) => {
    const at = operations.findIndex((operation) => operation.to.prefix === poison)
    if (at < 0) return inner(operations)
    const before = await inner(operations.slice(0, at))
    return [...before, ...operations.slice(at).map((): FibOutcome => ({ type: 'lost', words: 'child ended' }))]
  }
  for (const prefix of PREFIXES) engine.set(prefix, blackhole(prefix))
  await engine.settled()
  t.match(engine.entry(poison), { state: 'failed', reason: 'child ended' })
  t.same(engine.entries().filter((entry) => entry.state === 'installed').length, PREFIXES.length - 1)
  await engine.stop('keep')
})

t.test('what was said to be lost three times, and is there, is installed', async (t) => {
  const driver = new FailingDriver()
  driver.faults = ['lost-before', 'lost-before', 'lost-after']
  const engine = engineOn(driver)
  await engine.start()
  engine.set(PREFIXES[0]!, unicast(PREFIXES[0]!, '192.168.0.2'))
  await engine.settled()
  t.match(engine.entry(PREFIXES[0]!), { state: 'installed', reason: '' })
  await engine.stop('keep')
})

t.test(
  'where all tables take long to read, the slow comparison reads ours, and all of them now and then',
  async (t) => {
    const scopes: string[] = []
    let slowly = true
    let trigger: (trigger: FibTrigger) => void = () => {}
    const driver = new FailingDriver()
    const open = driver.open.bind(driver)
    driver.open = (onTrigger) => {
      trigger = onTrigger
      return open(onTrigger)
    }
    driver.dump = async (take: (route: KernelRoute) => void, scope = 'all') => {
      scopes.push(scope)
      const until = performance.now() + (slowly ? 50 : 0)
      while (performance.now() < until);
      for (const route of driver.memory.routes()) take(route)
    }
    const engine = engineOn(driver)
    await engine.start()
    trigger('slow')
    await engine.settled()
    t.same(scopes, ['all', 'ours'])
    slowly = false
    engine.reconfigure(RULES)
    await engine.settled()
    t.same(scopes, ['all', 'ours', 'all'])
    await engine.stop('keep')
  },
)

t.test('a comparison notices foreign routes that came and went, and one that fails takes none away', async (t) => {
  const driver = new FailingDriver()
  const engine = engineOn(driver)
  const static_ = (prefix: string): KernelRoute => ({
    family: 0,
    prefix,
    kind: 'unicast',
    protocol: 4,
    metric: 0,
    table: 254,
    hops: [{ gateway: '192.168.0.1', device: 'eth0', onlink: false }],
  })
  driver.memory.put(static_('10.9.0.0/24'))
  driver.memory.put(static_('10.9.1.0/24'))
  await engine.start()
  const foreign = (): string =>
    engine
      .foreignRoutes()
      .map(({ prefix }) => prefix)
      .sort()
      .join()
  t.equal(foreign(), '10.9.0.0/24,10.9.1.0/24')
  const dump = driver.dump.bind(driver)
  let failures = 1
  driver.dump = async (take) => {
    if (failures-- > 0) throw new Error('cut off')
    return dump(take)
  }
  let told = 0
  engine.onForeignRoutesChanged(() => told++)
  driver.memory.take('10.9.0.0/24', 4)
  driver.memory.put(static_('10.9.2.0/24'))
  engine.reconfigure(RULES)
  await engine.settled()
  t.equal(foreign(), '10.9.1.0/24,10.9.2.0/24')
  t.ok(told > 0, 'who asked is told')
  await engine.stop('keep')
})

t.test('stopped while it starts: nothing stays open', async (t) => {
  const calls: string[] = []
  const driver = new FailingDriver()
  driver.open = async () => {
    await nextTurn()
    calls.push('open')
  }
  driver.close = async () => {
    calls.push('close')
  }
  const lock = async (): Promise<() => Promise<void>> => async () => {
    calls.push('unlock')
  }
  const engine = new FibEngine({ ...optionsOf(driver), lock })
  engine.set(PREFIXES[0]!, blackhole(PREFIXES[0]!))
  const started = engine.start()
  await engine.stop('keep')
  await started
  await nextTurn()
  t.same(calls, ['open', 'close', 'unlock'])
})

t.test('foreign routes change all the time, and whoever is told takes long: told at a pace', async (t) => {
  const driver = new FailingDriver()
  let trigger: (trigger: FibTrigger) => void = () => {}
  driver.open = async (onTrigger) => {
    trigger = onTrigger
  }
  const engine = engineOn(driver)
  let told = 0
  await engine.start()
  engine.onForeignRoutesChanged(() => {
    told++
    const endMs = performance.now() + 10
    while (performance.now() < endMs);
  })
  const startMs = performance.now()
  for (let n = 0; n < 100; n++) {
    const hops = [{ gateway: '192.168.0.2', device: 'eth0', onlink: false }]
    const prefix = `10.9.${n}.0/24`
    const route: KernelRoute = { family: 0, prefix, kind: 'unicast', protocol: 4, metric: 0, table: 254, hops }
    trigger({ type: 'put', replaces: false, appended: false, route })
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const elapsedMs = performance.now() - startMs
  t.ok(told >= 1 && told <= 2 + elapsedMs / 400, `${told} times in ${Math.round(elapsedMs)} ms`)
  t.equal(engine.foreignRoutes().length, 100)
  await engine.stop('keep')
})

t.test('what is told while a dump is compared comes after what was told during it', async (t) => {
  const driver = new FailingDriver()
  let trigger: (trigger: FibTrigger) => void = () => {}
  const open = driver.open.bind(driver)
  driver.open = (onTrigger) => {
    trigger = onTrigger
    return open(onTrigger)
  }
  const route = (n: number): KernelRoute => ({
    family: 0,
    prefix: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}/32`,
    kind: 'unicast',
    protocol: 4,
    metric: 0,
    table: 254,
    hops: [{ gateway: '192.168.0.1', device: 'eth0', onlink: false }],
  })
  const routes = Array.from({ length: 20_000 }, (_, n) => route(n))
  const late = route(20_000)
  let dumps = 0
  driver.dump = async (take) => {
    for (const one of routes) take(one)
    if (++dumps === 1) return
    trigger({ type: 'put', replaces: false, appended: false, route: late })
    setImmediate(() => trigger({ type: 'gone', replaces: false, appended: false, route: late }))
  }
  const engine = engineOn(driver)
  await engine.start()
  engine.reconfigure(RULES)
  while (dumps < 2) await new Promise((resolve) => setImmediate(resolve))
  // Written when the comparison is done.
  engine.set(PREFIXES[0]!, unicast('', '192.168.0.2'))
  await engine.settled()
  t.equal(engine.foreignRoutes().length, routes.length, 'the last word is that it is gone')
  await engine.stop('keep')
})

t.test(
  'somebody takes out what we put back, each time: after a while not as fast as we can, and for ever',
  async (t) => {
    const driver = new FailingDriver()
    let trigger: (trigger: FibTrigger) => void = () => {}
    driver.open = async (onTrigger) => {
      trigger = onTrigger
    }
    const hops = [{ gateway: '192.168.0.2', device: null, onlink: false }]
    const prefix = PREFIXES[0]!
    const route: KernelRoute = { family: 0, prefix, kind: 'unicast', protocol: 179, metric: 0, table: 254, hops }
    let lastMs = Number.POSITIVE_INFINITY
    const apply = driver.apply.bind(driver)
    driver.apply = async (operations) => {
      const outcomes = await apply(operations)
      lastMs = performance.now()
      driver.memory.take(prefix, 179)
      setImmediate(() => trigger({ type: 'gone', replaces: false, appended: false, route }))
      return outcomes
    }
    const engine = engineOn(driver)
    await engine.start()
    engine.set(prefix, unicast(prefix, '192.168.0.2'))
    await until('many repairs', () => driver.applied.length > 20)
    await until('a pause', () => performance.now() - lastMs > 200)
    const { length } = driver.applied
    await until('it is put back all the same', () => driver.applied.length > length)
    t.match(engine.entry(prefix), { state: 'installed' })
    await engine.stop('keep')
  },
)

t.test(
  'a reload while a batch is planned: no route is planned by the new rules before its tunnels are looked at',
  async (t) => {
    const wrong: string[] = []
    let kept: unknown = null
    let planned = 0
    let rules: Parameters<FibEngine['reconfigure']>[0] = RULES
    const tunnel: Encapsulator = {
      keep: async (_first, now) => {
        kept = now
      },
      want: (to) => {
        planned++
        if (kept !== rules) wrong.push(to.prefix)
      },
      prepare: async () => {},
      tidy: async () => {},
      ownVtep: () => null,
      troubles: new Map(),
      close: async () => {},
    }
    const driver = new MemoryDriver(new MemoryTable(), 254, 179)
    const apply = driver.apply.bind(driver)
    let isWriting = false
    driver.apply = async (operations) => {
      isWriting = true
      for (let n = 0; n < 50; n++) await nextTurn()
      return apply(operations)
    }
    const engine = new FibEngine({
      name: 'netlink',
      why: 'for a test',
      driver,
      table: 254,
      protocol: 179,
      rules,
      resolve: resolveAnywhere,
      tunnel,
      log: () => {},
      batch: MANY,
    })
    await engine.start()
    for (let n = 0; n < MANY; n++)
      engine.set(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}/32`, unicast('', '192.168.0.2'))
    while (!isWriting) await nextTurn()
    await nextTurn()
    t.ok(planned < MANY, 'in the middle')
    rules = { ...RULES, metric: 7 }
    engine.reconfigure(rules)
    await engine.settled()
    t.equal(wrong.length, 0)
    t.equal(engine.entries().filter(({ state }) => state === 'installed').length, MANY)
    await engine.stop('keep')
  },
)

t.test(
  'a batch is planned in slices, and its outcomes are taken in slices: what is set meanwhile is kept, and nothing counts as settled too early',
  async (t) => {
    const memory = new MemoryTable()
    const turns = new Turns()
    t.teardown(() => turns.stop())
    const engine = new FibEngine({
      name: 'memory',
      why: 'for a test',
      driver: new MemoryDriver(memory, 254, 179),
      table: 254,
      protocol: 179,
      rules: RULES,
      resolve: (nextHop) => {
        const endMs = performance.now() + 0.2
        while (performance.now() < endMs) {}
        turns.work()
        return resolveAnywhere(nextHop)
      },
      tunnel: null,
      log: () => {},
      batch: 10_000,
    })
    await engine.start()
    const prefix = (n: number): string => `10.${n >> 8}.${n & 255}.0/26`
    for (let n = 0; n < 1000; n++) engine.set(prefix(n), unicast(prefix(n), `192.168.${n >> 8}.${n & 255}`))
    let isSettled = false
    const settled = engine.settled().then(() => {
      isSettled = true
    })
    await until('some are planned', () => turns.mostWork > 0)
    await nextTurn()
    t.notOk(isSettled)
    t.ok(memory.routes().length < 1000, 'not all are written')
    engine.set(prefix(0), unicast(prefix(0), '192.168.9.9'))
    engine.set(prefix(1), null)
    engine.set(prefix(999), null)
    await settled
    t.ok(memory.routes().length >= 998)
    await engine.settled()
    t.ok(turns.mostWork <= 64, `${turns.mostWork} in one turn`)
    t.equal(memory.routes().length, 998)
    t.match(
      memory.routes().find((route) => route.prefix === prefix(0)),
      { hops: [{ gateway: '192.168.9.9' }] },
    )
    await engine.stop('keep')
  },
)

/** Planning them takes more than a slice. */
const MANY = 50_000
