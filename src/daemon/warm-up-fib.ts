/**
 * The rehearsal's kernel routes: what the made-up table gives goes through the feed, the engine and the encoder of requests, to a driver that writes them nowhere.
 */
import type { FibConfig } from '../config/types.js'
import { DONE, type FibDriver, type FibOperation, type FibOutcome } from '../fib/driver.js'
import { FibEngine } from '../fib/engine.js'
import { RouteTranslator } from '../fib/netlink-routes.js'
import { Family } from '../net/family.js'
import { parsePrefix } from '../net/prefix.js'
import { NetlinkWriter } from '../netlink/message.js'
import type { Rib } from '../rib/rib.js'
import { FibFeed } from './fib-feed.js'
import { OwnRoutes } from './own-routes.js'

export interface RehearsedFib {
  readonly feed: FibFeed
  /** Operations that came as far as the driver. */
  readonly written: number
  stop(): void
}

export function rehearseFib(rib: Rib): RehearsedFib {
  const driver = new NowhereDriver()
  const engine = new FibEngine({
    name: 'netlink',
    why: '',
    driver,
    table: RULES.table,
    protocol: RULES.protocol,
    rules: RULES,
    resolve: (gateway) => ({
      metric: 0,
      hops: [{ gateway, device: DEVICE, onlink: false }],
      connected: true,
      reason: '',
      length: 24,
    }),
    tunnel: null,
    log: () => {},
    batch: BATCH,
    prefixes: rib.tables[Family.IPV4_UNICAST]!.prefixes,
  })
  const feed = new FibFeed(rib, engine, new OwnRoutes(rib))
  feed.configure(RULES)
  // Begun in this turn, and nothing in it can fail.
  void engine.start()
  return {
    feed,
    get written() {
      return driver.written
    },
    stop: () => void engine.stop('keep'),
  }
}

class NowhereDriver implements FibDriver {
  written = 0
  readonly #writer = new NetlinkWriter(BATCH * REQUEST_OCTETS)
  readonly #translator = new RouteTranslator(RULES, { indexOf: () => 1, nameOf: () => DEVICE })

  async open(): Promise<void> {}
  async dump(): Promise<void> {}

  async apply(operations: readonly FibOperation[]): Promise<readonly FibOutcome[]> {
    this.#writer.clear()
    this.#translator.begin()
    for (let i = 0; i < operations.length; i++) this.#translator.encode(operations[i]!, i, this.#writer)
    this.written += operations.length
    return operations.map(() => DONE)
  }

  async close(): Promise<void> {}
}

const DEVICE = 'eth0'
const BATCH = 2000
const REQUEST_OCTETS = 64
const RULES: FibConfig = Object.freeze({
  driver: 'netlink',
  table: 254,
  protocol: 1,
  accept: [parsePrefix('10.0.0.0/8')],
  metric: 0,
  metricFromLocalPref: false,
  sources: [null, null],
  maxPaths: 1,
  programClusterRoutes: 'Enabled',
  takeOver: [],
  encapsulation: 'never',
  tunnelDevice: '',
  tunnelAddress: null,
  vxlan: { layout: 'flannel', vni: 1, port: 1, device: '', address: null, mac: null },
  udp: { device: '', port: 1 },
  onExit: 'keep',
  sweepAfterMs: 0,
} as const)
