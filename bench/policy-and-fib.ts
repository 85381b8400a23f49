/** Policies over a table's prefixes, and the plan that brings the kernel's routes to what is wanted. */
import { decodePathAttributes } from '../src/bgp/attributes/decode.js'
import type { PolicyConfig } from '../src/config/types.js'
import { ActualTable } from '../src/fib/actual.js'
import { type OurRoute, plan } from '../src/fib/plan.js'
import type { RoutePrefix } from '../src/fib/route-prefix.js'
import type { KernelRoute, PlannedRoute } from '../src/fib/types.js'
import { formatIpv4 } from '../src/net/address.js'
import { Family } from '../src/net/family.js'
import { compilePolicy } from '../src/rib/policy.js'
import { configOf, sound } from '../test/config/support.js'
import { blockNumber, PREFIX_LENGTH, wordNumber } from './given.js'
import type { Bench } from './harness.js'

const SOURCE = Object.freeze({ name: 'tor', type: 'ebgp' as const })
const POLICY = `
  from-tor:
    - { match: { prefix: [10.0.0.0/8, { in: 64.0.0.0/3, length: { max: 24 } }] }, set: { localPref: 150 }, action: next }
    - { match: { communities: [64512:99, 64513:0] }, action: reject }
    - { match: { asPath: "^[0-9]+ [0-9]+ 1[0-9]*", prefix: { in: 0.0.0.0/2, length: { max: 24 } } }, action: accept }
    - { match: { asPathLength: { max: 9 } }, set: { communities: { add: [64512:7] } }, action: accept }`

const SETS = 1000
const PREFIXES_PER_SET = 7

const policy: Bench = {
  name: 'evaluate a policy of 4 statements',
  operation: 'prefix',
  variants: [
    {
      name: 'attributes once per set, then prefixes',
      twin: false,
      prepare: () => {
        const compiled = compilePolicy(policyConfig())
        const sets = decodedSets()
        return () => {
          let n = 0
          for (const set of sets) {
            const candidates = compiled.evaluateAttributes(set, Family.IPV4_UNICAST, SOURCE)
            for (let i = 0; i < PREFIXES_PER_SET; i++)
              compiled.evaluatePrefix(candidates, Family.IPV4_UNICAST, wordNumber(n++) >>> 0, 0, 0, 0, PREFIX_LENGTH)
          }
          return n
        }
      },
    },
    {
      name: 'everything for each prefix',
      twin: true,
      prepare: () => {
        const compiled = compilePolicy(policyConfig())
        const sets = decodedSets()
        return () => {
          let n = 0
          for (const set of sets) {
            for (let i = 0; i < PREFIXES_PER_SET; i++) {
              const candidates = compiled.evaluateAttributes(set, Family.IPV4_UNICAST, SOURCE)
              compiled.evaluatePrefix(candidates, Family.IPV4_UNICAST, wordNumber(n++) >>> 0, 0, 0, 0, PREFIX_LENGTH)
            }
          }
          return n
        }
      },
    },
  ],
}

const ROUTES = 10_000
const TABLE = 254
const PROTOCOL = 179

/** One route in ten has another next hop than the kernel's, one in a hundred is missing there. */
const fibPlan: Bench = {
  name: `plan of ${ROUTES / 1000}k kernel routes, 11 % to change`,
  operation: 'route compared',
  variants: [
    {
      name: 'plan',
      twin: false,
      prepare: () => {
        const wanted = new Map(routes().map((route) => [route.prefix, route]))
        const ours = new Map<string, readonly OurRoute[]>(kernelRoutes().map((route) => [route.prefix, [route]]))
        const foreign = new ActualTable(TABLE)
        const actual = {
          ours: (prefix: string) => ours.get(prefix) ?? [],
          ourPrefixes: () => ours.keys(),
          foreign: (to: RoutePrefix, metric: number) => foreign.foreign(to, metric),
        }
        const expected = simplePlan(routes(), kernelRoutes())
        return () => {
          if (plan(wanted, actual).operations.length !== expected) throw new Error('the plans differ')
          return ROUTES
        }
      },
    },
    {
      name: 'routes compared as text',
      twin: true,
      prepare: () => {
        const wanted = routes()
        const actual = kernelRoutes()
        return () => {
          simplePlan(wanted, actual)
          return ROUTES
        }
      },
    },
  ],
}

export const POLICY_AND_FIB_BENCHES: readonly Bench[] = [policy, fibPlan]

function policyConfig(): PolicyConfig {
  return configOf(sound(`policies:${POLICY}\n`)).policies.get('from-tor')!
}

function decodedSets() {
  return Array.from({ length: SETS }, (_, n) => {
    const block = blockNumber(n)
    return decodePathAttributes(block, 0, block.length, { as4: true, ebgp: true }).attributes
  })
}

type Route = PlannedRoute & { readonly prefix: string }

function routes(): Route[] {
  return Array.from({ length: ROUTES }, (_, n) => routeNumber(n, n % 10 === 0 ? 99 : 1 + (n % 8)))
}

function kernelRoutes(): KernelRoute[] {
  const all = Array.from({ length: ROUTES }, (_, n) => ({
    ...routeNumber(n, 1 + (n % 8)),
    protocol: PROTOCOL,
    table: TABLE,
  }))
  return all.filter((_, n) => n % 100 !== 1)
}

function routeNumber(n: number, host: number): Route {
  return {
    family: Family.IPV4_UNICAST,
    prefix: `${formatIpv4(wordNumber(n) >>> 0)}/${PREFIX_LENGTH}`,
    kind: 'unicast',
    hops: [{ gateway: `192.168.0.${host}`, device: 'eth0', onlink: false }],
    metric: 0,
  }
}

/** How many operations bring `actual` to `wanted`, both made into text. */
function simplePlan(wanted: readonly Route[], actual: readonly KernelRoute[]): number {
  const textOf = ({ prefix, kind, metric, hops }: Route | KernelRoute): [string, string] => [
    `${prefix} ${metric}`,
    JSON.stringify([kind, hops]),
  ]
  const there = new Map(actual.map(textOf))
  const want = new Map(wanted.map(textOf))
  let operations = 0
  for (const [key, text] of want) if (there.get(key) !== text) operations++
  for (const key of there.keys()) if (!want.has(key)) operations++
  return operations
}
