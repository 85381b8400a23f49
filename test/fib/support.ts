/** A FIB under test, and where its routes can be seen and disturbed: a kernel in a namespace, or a table in memory. */

import type { FibFact } from '../../src/fib/driver.js'
import { createFib, type FibOptions } from '../../src/fib/fib.js'
import { parseRoute } from '../../src/fib/ip-json.js'
import { Iproute2Driver } from '../../src/fib/iproute2.js'
import { MemoryTable } from '../../src/fib/memory.js'
import { NetlinkDriver } from '../../src/fib/netlink.js'
import type { DesiredRoute, Fib, KernelRoute } from '../../src/fib/types.js'
import { makeNetns, makeVeth, type Netns, type TestScope } from '../support/netns.js'

export const PROTOCOL = 179

export interface Bench {
  readonly name: 'memory' | 'iproute2' | 'netlink'
  readonly netns: Netns | null
  /** A new FIB on the same table; stopped (routes kept) at the end of the test. */
  open(over?: Partial<FibOptions>): Promise<TestFib>
  /** What the table holds, as text: `10.244.1.0/26 via 192.168.0.2`. */
  ours(): string[]
  foreign(prefix: string): KernelRoute[]
  putForeign(prefix: string, gateway: string): void
  takeForeign(prefix: string): void
  /** Removes a route of ours by hand. */
  takeOurs(prefix: string): void
}
export interface TestFib {
  readonly fib: Fib
  readonly facts: FibFact[]
  /** The kernel driver, where it is that one. */
  readonly driver: Iproute2Driver | null
  readonly netlink: NetlinkDriver | null
}

interface Scope extends TestScope {
  teardown(action: () => void | Promise<void>): void
}

export const BASE: FibOptions = {
  driver: 'memory',
  table: 254,
  protocol: PROTOCOL,
  accept: [],
  metric: 0,
  metricFromLocalPref: false,
  sources: [null, null],
  maxPaths: 16,
  programClusterRoutes: 'Enabled',
  takeOver: [],
  encapsulation: 'never',
  tunnelDevice: 'tunl0',
  tunnelAddress: null,
  vxlan: { layout: 'flannel', vni: 1, port: 8472, device: 'flannel.1', address: null, mac: null },
  udp: { device: 'flannel0', port: 8285 },
  onExit: 'keep',
}

/** Node 192.168.0.1/24 and fd00::1/64 on v0, 192.168.1.1/24 on v1. */
export function kernelBench(t: Scope, driver: 'iproute2' | 'netlink' = 'iproute2'): Bench {
  const netns = makeNetns(t, 'fib')
  const other = makeNetns(t, 'fib')
  makeVeth(
    { netns, device: 'v0', addresses: ['192.168.0.1/24', 'fd00::1/64'] },
    { netns: other, device: 'v0', addresses: ['192.168.0.2/24', 'fd00::2/64'] },
  )
  makeVeth({ netns, device: 'v1', addresses: ['192.168.1.1/24'] }, { netns: other, device: 'v1', addresses: [] })
  const show = (): KernelRoute[] =>
    ([0, 1] as const).flatMap((family) => {
      const list = netns.ipJson(`${family === 0 ? '-4' : '-6'} -N -d route show table main`) as unknown[]
      return list.map((one) => parseRoute(JSON.stringify(one), family, 254)!)
    })
  return {
    name: driver,
    netns,
    open: (over = {}) => openFib(t, { ...BASE, driver, netns: netns.name, ...over }),
    ours: () => textOf(show().filter((route) => route.protocol === PROTOCOL)),
    foreign: (prefix) => show().filter((route) => route.prefix === prefix && route.protocol !== PROTOCOL),
    putForeign: (prefix, gateway) => void netns.ip(`route add ${prefix} via ${gateway} proto 4`),
    takeForeign: (prefix) => void netns.ip(`route del ${prefix} proto 4`),
    takeOurs: (prefix) => void netns.ip(`route del ${prefix} proto ${PROTOCOL}`),
  }
}

export function memoryBench(t: Scope): Bench {
  const memory = new MemoryTable()
  return {
    name: 'memory',
    netns: null,
    open: (over = {}) => openFib(t, { ...BASE, driver: 'memory', memory, ...over }),
    ours: () => textOf(memory.routes().filter((route) => route.protocol === PROTOCOL)),
    foreign: (prefix) => memory.routes().filter((route) => route.prefix === prefix && route.protocol !== PROTOCOL),
    putForeign: (prefix, gateway) => {
      const hops = [{ gateway, device: null, onlink: false }]
      memory.put({ family: 0, prefix, kind: 'unicast', protocol: 4, metric: 0, table: 254, hops })
    },
    takeForeign: (prefix) => memory.take(prefix, 4),
    takeOurs: (prefix) => memory.take(prefix, PROTOCOL),
  }
}

/** What is wanted, and for which prefix. */
export type Wanted = DesiredRoute & { readonly prefix: string }

export function unicast(prefix: string, ...nextHops: readonly string[]): Wanted {
  return { family: prefix.includes(':') ? 1 : 0, prefix, kind: 'unicast', nextHops }
}

export function blackhole(prefix: string): Wanted {
  return { family: prefix.includes(':') ? 1 : 0, prefix, kind: 'blackhole', nextHops: [] }
}

export function setAll(fib: Fib, ...routes: readonly Wanted[]): Promise<void> {
  for (const route of routes) fib.set(route.prefix, route)
  return fib.settled()
}

/** Looks again and again until it holds; the limit is generous and only there to fail with words. */
export async function until(what: string, holds: () => boolean, limitMs = 20_000): Promise<void> {
  const endMs = performance.now() + limitMs
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`did not come: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export async function openFib(t: Scope, options: FibOptions): Promise<TestFib> {
  const facts: FibFact[] = []
  let driver: Iproute2Driver | null = null
  let netlink: NetlinkDriver | null = null
  const fib = createFib(options, {
    log: (fact) => facts.push(fact),
    onDriver: (made) => {
      if (made instanceof Iproute2Driver) driver = made
      if (made instanceof NetlinkDriver) netlink = made
    },
  })
  t.teardown(() => fib.stop('keep'))
  await fib.start()
  return { fib, facts, driver, netlink }
}

function textOf(routes: readonly KernelRoute[]): string[] {
  const hop = (route: KernelRoute): string =>
    route.hops.map((one) => `via ${one.gateway}${one.weight === undefined ? '' : `*${one.weight}`}`).join(' ')
  return routes
    .map(
      (route) =>
        `${route.prefix} ${route.kind === 'unicast' ? hop(route) : route.kind}${route.hops.some((h) => h.onlink) ? ' onlink' : ''}`,
    )
    .sort()
}
