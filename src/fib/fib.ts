/**
 * Makes the FIB that a configuration asks for.
 */

import { isIP } from 'node:net'
import type { FibConfig } from '../config/types.js'
import type { PrefixTable } from '../rib/prefix-table.js'
import type { FibDriver, FibFact, FibOutcome } from './driver.js'
import { createEncapsulator } from './encap/encapsulator.js'
import { FibEngine } from './engine.js'
import { Iproute2Driver } from './iproute2.js'
import { takeLock } from './lock.js'
import { MemoryDriver, MemoryTable } from './memory.js'
import { NetlinkDriver } from './netlink.js'
import { FD_VARIABLE, findNetlink } from './netlink-socket.js'
import { resolveAnywhere, resolveInKernel } from './resolve.js'
import { type Fib, FibError } from './types.js'

export interface FibOptions extends Omit<FibConfig, 'sweepAfterMs'> {
  /** Addresses of this node: they tell the device whose MTU the tunnel gets. */
  readonly nodeAddresses?: readonly string[]
  /** Network namespace to write to (`ip -n NAME`), for tests and the lab. */
  readonly netns?: string
  /** The table of the memory driver, to share or to look into. */
  readonly memory?: MemoryTable
  /** IPv4 prefixes of the RIB, whose ids `setId` takes. */
  readonly prefixes?: PrefixTable
  /** The configuration file, for a second daemon that finds the table taken. */
  readonly file?: string
  /** How the netlink driver waits for events, for tests. */
  readonly netlinkWait?: 'handle' | 'poll'
  /** Time between full comparisons with the kernel, 45 s by default. */
  readonly compareMs?: number
}

/** Made in one place for all FIBs of a daemon, the rehearsal's too: V8 compiles for objects that were made alike. */
export function fibOptions(
  fib: FibConfig,
  {
    takeOver,
    file,
    prefixes,
    nodeAddresses,
  }: Required<Pick<FibOptions, 'takeOver' | 'file' | 'prefixes' | 'nodeAddresses'>>,
): FibOptions & FibConfig {
  return { ...fib, takeOver, file, prefixes, nodeAddresses }
}

export interface FibHooks {
  /** Facts are named and shaped as the log's events. */
  readonly log: (fact: FibFact) => void
  /** For tests: the kernel driver that was made. */
  readonly onDriver?: (driver: NetlinkDriver | Iproute2Driver | MissingDriver) => void
}

/** `auto` is the kernel; where that is not possible, start() rejects and says why. Never falls back by itself. */
export function createFib(config: FibOptions, hooks: FibHooks): Fib {
  if (config.driver === 'off') return createOffFib()
  const { table, protocol, takeOver } = config
  const shared = config.prefixes === undefined ? {} : { prefixes: config.prefixes }
  if (config.driver === 'memory') {
    const driver = new MemoryDriver(config.memory ?? new MemoryTable(), table, protocol)
    // Without devices there is nothing to tunnel through.
    const rules = { ...config, encapsulation: 'never' as const }
    return new FibEngine({
      name: 'memory',
      why: AS_CONFIGURED,
      driver,
      table,
      protocol,
      takeOver,
      rules,
      resolve: resolveAnywhere,
      ...shared,
      tunnel: null,
      log: hooks.log,
    })
  }
  const netns = config.netns ?? null
  const { name, driver, why } = kernelDriver(config, hooks)
  hooks.onDriver?.(driver)
  const { watchNeighbours }: FibDriver = driver
  const tunnel = createEncapsulator({
    netns,
    nodeAddresses: config.nodeAddresses ?? [],
    tunnelAddress: config.tunnelAddress,
    vxlan: config.vxlan,
    udp: config.udp,
    watchNeighbours: watchNeighbours ?? null,
    log: hooks.log,
  })
  return new FibEngine({
    name,
    why,
    ...(name === 'netlink' ? { batch: NETLINK_BATCH } : {}),
    lock: () => takeLock({ table, protocol, netns, file: config.file ?? '' }),
    driver,
    table,
    protocol,
    takeOver,
    rules: config,
    resolve: resolveInKernel,
    ...shared,
    tunnel,
    log: hooks.log,
  })
}

interface Choice {
  readonly name: 'netlink' | 'iproute2'
  readonly driver: NetlinkDriver | Iproute2Driver | MissingDriver
  readonly why: string
}

/** `auto`: netlink where something gives us its descriptors, else the program `ip`. */
function kernelDriver(config: FibOptions, hooks: FibHooks): Choice {
  const { table, protocol } = config
  const compareMs = config.compareMs ?? COMPARE_MS
  const options = { table, protocol, netns: config.netns ?? null, compareMs, log: hooks.log }
  const iproute2 = (why: string): Choice => ({ name: 'iproute2', driver: new Iproute2Driver(options), why })
  if (config.driver === 'iproute2') return iproute2(AS_CONFIGURED)
  let found: ReturnType<typeof findNetlink>
  try {
    found = findNetlink()
  } catch (error) {
    const reason = (error as Error).message
    return { name: 'netlink', driver: new MissingDriver(reason), why: reason }
  }
  const { source, words } = found
  if (source !== null) {
    const wait = config.netlinkWait === undefined ? {} : { wait: config.netlinkWait }
    return { name: 'netlink', driver: new NetlinkDriver({ ...options, ...wait, source }), why: chosen(config, words) }
  }
  if (config.driver === 'auto') return iproute2(chosen(config, `no netlink: ${words}`))
  const reason = `fib.driver: netlink needs system calls that Node.js has no API for, and nothing provides them: ${words}; install the package koffi, start us with ${FD_VARIABLE}, or set fib.driver: iproute2`
  return { name: 'netlink', driver: new MissingDriver(reason), why: words }
}

/** What `auto` found; what was asked for by name needs no reason but what it works with. */
function chosen({ driver }: FibOptions, found: string): string {
  return driver === 'auto' ? `auto found ${found}` : `${AS_CONFIGURED}, with ${found}`
}

/** What was asked for cannot be had: the start says so. */
class MissingDriver implements FibDriver {
  readonly #reason: string

  constructor(reason: string) {
    this.#reason = reason
  }

  open(): Promise<void> {
    return Promise.reject(new FibError(this.#reason))
  }
  async dump(): Promise<void> {}
  async apply(): Promise<readonly FibOutcome[]> {
    return []
  }
  async close(): Promise<void> {}
}

/** Nothing is written; every valid next hop counts as resolved at metric 0. */
function createOffFib(): Fib {
  return {
    driver: 'off',
    driverReason: AS_CONFIGURED,
    start: async () => {},
    set: () => {},
    setId: () => {},
    sweepAdopted: () => {},
    flush: async () => 0,
    restore: () => {},
    flushed: false,
    settled: async () => {},
    onForeignRoutesChanged: () => {},
    resolve: (nextHop) => (isIP(nextHop) === 0 ? -1 : 0),
    foreignRoutes: () => [],
    entries: () => [],
    entry: () => undefined,
    reconfigure: () => {},
    ownVtep: () => null,
    stop: async () => {},
  }
}

/** One write: 5 to 15 ms of the kernel's work, 1 to 2 ms of ours that nothing comes between. */
const NETLINK_BATCH = 4000
const AS_CONFIGURED = 'as configured'
const COMPARE_MS = 45_000
