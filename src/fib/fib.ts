/**
 * Makes the FIB that a configuration asks for.
 */

import { isIP } from 'node:net'
import type { FibConfig } from '../config/types.js'
import type { FibFact } from './driver.js'
import { FibEngine } from './engine.js'
import { KernelDriver } from './kernel.js'
import { MemoryDriver, MemoryTable } from './memory.js'
import { resolveAnywhere, resolveInKernel } from './resolve.js'
import { createTunnelKeeper } from './tunnel.js'
import type { Fib } from './types.js'

export interface FibOptions extends FibConfig {
  /** Addresses of this node: they tell the device whose MTU the tunnel gets. */
  readonly nodeAddresses?: readonly string[]
  /** Network namespace to write to (`ip -n NAME`), for tests and the lab. */
  readonly netns?: string
  /** The table of the memory driver, to share or to look into. */
  readonly memory?: MemoryTable
  /** Time between full comparisons with the kernel, 45 s by default. */
  readonly compareMs?: number
}

export interface FibHooks {
  /** Facts are named and shaped as the log's events. */
  readonly log: (fact: FibFact) => void
  /** For tests: the kernel driver that was made. */
  readonly onDriver?: (driver: KernelDriver) => void
}

/** `auto` is the kernel; where that is not possible, start() rejects and says why. Never falls back by itself. */
export function createFib(config: FibOptions, hooks: FibHooks): Fib {
  if (config.driver === 'off') return createOffFib()
  const { table, protocol } = config
  if (config.driver === 'memory') {
    const driver = new MemoryDriver(config.memory ?? new MemoryTable(), table, protocol)
    // Without devices there is nothing to tunnel through.
    const rules = { ...config, encapsulation: 'never' as const }
    return new FibEngine({
      name: 'memory',
      driver,
      table,
      protocol,
      rules,
      resolve: resolveAnywhere,
      tunnel: null,
      log: hooks.log,
    })
  }
  const netns = config.netns ?? null
  const driver = new KernelDriver({ table, protocol, netns, compareMs: config.compareMs ?? COMPARE_MS, log: hooks.log })
  hooks.onDriver?.(driver)
  const tunnel = createTunnelKeeper({
    netns,
    nodeAddresses: config.nodeAddresses ?? [],
    tunnelAddress: config.tunnelAddress,
    log: hooks.log,
  })
  return new FibEngine({
    name: 'iproute2',
    driver,
    table,
    protocol,
    rules: config,
    resolve: resolveInKernel,
    tunnel,
    log: hooks.log,
  })
}

/** Nothing is written; every valid next hop counts as resolved at metric 0. */
function createOffFib(): Fib {
  return {
    driver: 'off',
    start: async () => {},
    set: () => {},
    sweepAdopted: () => {},
    settled: async () => {},
    onForeignRoutesChanged: () => {},
    resolve: (nextHop) => (isIP(nextHop) === 0 ? -1 : 0),
    foreignRoutes: () => [],
    entries: () => [],
    entry: () => undefined,
    reconfigure: () => {},
    stop: async () => {},
  }
}

const COMPARE_MS = 45_000
