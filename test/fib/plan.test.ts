import fc from 'fast-check'
import t from 'tap'
import { ActualTable } from '../../src/fib/actual.js'
import type { FibOperation } from '../../src/fib/driver.js'
import { MemoryTable } from '../../src/fib/memory.js'
import { type ActualRoutes, applyTo, type OurRoute, plan, planPrefix } from '../../src/fib/plan.js'
import { type RoutePrefix, routePrefix } from '../../src/fib/route-prefix.js'
import type { KernelRoute, PlannedRoute } from '../../src/fib/types.js'

const TABLE = 254
const OURS = 179
const PREFIX = '10.244.1.0/26'

function via(gateway: string, device = 'eth0'): { gateway: string; device: string; onlink: boolean } {
  return { gateway, device, onlink: false }
}

type Route = PlannedRoute & { readonly prefix: string }

function route(over: Partial<Route> = {}): Route {
  return { family: 0, prefix: PREFIX, kind: 'unicast', hops: [via('192.168.0.2')], metric: 0, ...over }
}

function inKernel(over: Partial<KernelRoute> = {}): KernelRoute {
  return { ...route(), protocol: OURS, table: TABLE, ...over }
}

/** Ours and others', as the engine has them. */
class Table implements ActualRoutes {
  readonly #foreign = new ActualTable(TABLE)
  readonly #ours = new Map<string, readonly OurRoute[]>()

  add(one: KernelRoute): void {
    if (one.protocol !== OURS) this.#foreign.add(one)
    else if (one.table === TABLE) this.#ours.set(one.prefix, [...this.ours(one.prefix), one])
  }

  ours(prefix: string): readonly OurRoute[] {
    return this.#ours.get(prefix) ?? []
  }

  ourPrefixes(): Iterable<string> {
    return [...this.#ours.keys()].filter((prefix) => this.ours(prefix).length > 0)
  }

  foreign(to: RoutePrefix, metric: number): KernelRoute | undefined {
    return this.#foreign.foreign(to, metric)
  }

  applied(operation: FibOperation): void {
    const { prefix } = operation.to
    this.#ours.set(prefix, applyTo(this.ours(prefix), operation))
  }
}

function tableOf(...routes: readonly KernelRoute[]): Table {
  const actual = new Table()
  for (const one of routes) actual.add(one)
  return actual
}

t.test('nothing there: added exclusively', async (t) => {
  t.same(planPrefix(PREFIX, route(), tableOf()), {
    operations: [{ type: 'add', to: routePrefix(PREFIX), route: route() }],
    conflict: null,
  })
})

t.test('equal, also with the hops in another order: nothing to do', async (t) => {
  const hops = [via('192.168.0.2'), via('192.168.0.3')]
  const there = inKernel({ hops: [...hops].reverse() })
  t.same(planPrefix(PREFIX, route({ hops }), tableOf(there)).operations, [])
})

t.test('as many hops, of which one is there twice: not equal, whichever side has it', async (t) => {
  const [two, twice] = [
    [via('192.168.0.2'), via('192.168.0.3')],
    [via('192.168.0.2'), via('192.168.0.2')],
  ]
  for (const [hops, there] of [
    [two, twice],
    [twice, two],
  ])
    t.match(planPrefix(PREFIX, route({ hops: hops! }), tableOf(inKernel({ hops: there! }))).operations, [
      { type: 'replace' },
    ])
})

t.test('ours with another content: one replace, never a delete and an add', async (t) => {
  const { operations } = planPrefix(PREFIX, route({ hops: [via('192.168.0.9')] }), tableOf(inKernel()))
  t.same(
    operations.map((operation) => operation.type),
    ['replace'],
  )
})

t.test('a foreign route of the same prefix and metric: conflict, nothing is written', async (t) => {
  const foreign = inKernel({ protocol: 4 })
  t.same(planPrefix(PREFIX, route(), tableOf(foreign)), { operations: [], conflict: foreign })
})

t.test('a foreign route that equals ours in content is a conflict as well', async (t) => {
  t.equal(planPrefix(PREFIX, route(), tableOf(inKernel({ protocol: 3 }))).conflict?.protocol, 3)
})

t.test('a foreign route with another metric, or in another table, is no conflict', async (t) => {
  const foreign = [inKernel({ protocol: 4, metric: 100 }), inKernel({ protocol: 4, table: 100 })]
  t.same(
    planPrefix(PREFIX, route(), tableOf(...foreign)).operations.map((operation) => operation.type),
    ['add'],
  )
})

t.test('ours beside a foreign one that came later: stays while equal, goes when it would have to change', async (t) => {
  const actual = tableOf(inKernel(), inKernel({ protocol: 4 }))
  t.same(planPrefix(PREFIX, route(), actual).operations, [])
  const changed = planPrefix(PREFIX, route({ hops: [via('192.168.0.9')] }), actual)
  t.equal(changed.conflict?.protocol, 4)
  t.same(
    changed.operations.map((operation) => operation.type),
    ['delete'],
  )
})

t.test('a new metric: first the new route, then the old one goes', async (t) => {
  const actual = tableOf(inKernel({ metric: 50 }))
  const first = planPrefix(PREFIX, route(), actual).operations
  t.same(
    first.map((operation) => `${operation.type} ${operation.route.metric}`),
    ['add 0'],
  )
  actual.applied(first[0]!)
  t.same(
    planPrefix(PREFIX, route(), actual).operations.map((operation) => `${operation.type} ${operation.route.metric}`),
    ['delete 50'],
  )
})

t.test('not wanted: every route of ours goes, no foreign one', async (t) => {
  const actual = tableOf(inKernel(), inKernel({ metric: 50 }), inKernel({ protocol: 4 }))
  t.same(
    planPrefix(PREFIX, null, actual).operations.map((operation) => `${operation.type} ${operation.route.metric}`),
    ['delete 0', 'delete 50'],
  )
})

const prefixes = fc.constantFrom('10.0.0.0/26', '10.0.0.64/26', '10.0.0.128/26', '10.0.0.192/26', '10.0.1.0/26')
const hopLists = fc.uniqueArray(fc.constantFrom('192.168.0.2', '192.168.0.3', '192.168.0.4'), { minLength: 1 })
const metrics = fc.constantFrom(0, 10)
const kernelRoutes = fc
  .record({
    prefix: prefixes,
    gateways: hopLists,
    metric: metrics,
    protocol: fc.constantFrom(2, 4, 80, OURS, OURS, OURS),
  })
  .map(({ prefix, gateways, metric, protocol }) => {
    return inKernel({ prefix, hops: gateways.map((gateway) => via(gateway)), metric, protocol })
  })
const plannedRoutes = fc
  .record({ prefix: prefixes, gateways: hopLists, blackhole: fc.boolean() })
  .map(({ prefix, gateways, blackhole }): Route => {
    if (blackhole) return route({ prefix, kind: 'blackhole', hops: [] })
    return route({ prefix, hops: gateways.map((gateway) => via(gateway)) })
  })

t.test('property: plans applied until empty reach the wanted routes, and no foreign route is touched', async (t) => {
  fc.assert(
    fc.property(
      fc.uniqueArray(kernelRoutes, { selector: (one) => `${one.prefix} ${one.metric}`, maxLength: 10 }),
      fc.uniqueArray(plannedRoutes, { selector: (one) => one.prefix, maxLength: 5 }),
      (there, wantedRoutes) => {
        const memory = new MemoryTable()
        for (const one of there) memory.put(one)
        const wanted = new Map(wantedRoutes.map((one) => [one.prefix, one]))
        const foreignBefore = foreignText(memory)
        const conflicting = new Set<string>()
        let rounds = 0
        for (;;) {
          const round = plan(wanted, tableOf(...memory.routes()))
          for (const prefix of round.conflicts.keys()) conflicting.add(prefix)
          if (round.operations.length === 0) break
          for (const operation of round.operations) {
            if (memory.apply(operation, TABLE, OURS).type !== 'done') throw new Error(`refused: ${operation.type}`)
          }
          if (++rounds > 3) throw new Error('does not come to rest')
        }
        if (foreignText(memory) !== foreignBefore) throw new Error('a foreign route was touched')
        const reached = memory.routes().filter((one) => one.protocol === OURS)
        const expected = [...wanted.values()].filter((one) => !conflicting.has(one.prefix))
        if (textOf(reached) !== textOf(expected)) throw new Error(`${textOf(reached)} is not ${textOf(expected)}`)
      },
    ),
  )
  t.pass('holds')
})

function foreignText(memory: MemoryTable): string {
  return textOf(memory.routes().filter((one) => one.protocol !== OURS))
}

function textOf(routes: readonly (Route | KernelRoute)[]): string {
  const line = (one: Route | KernelRoute): string => {
    const gateways = one.hops.map((hop) => hop.gateway).sort()
    return `${one.prefix} ${one.kind} ${one.metric} ${gateways.join(',')}`
  }
  return routes.map(line).sort().join('\n')
}
