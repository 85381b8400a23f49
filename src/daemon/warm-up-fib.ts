/**
 * The rehearsal's kernel routes: what the made-up table gives goes through the feed, the engine and the encoder of requests, to a driver that writes them nowhere.
 */
import type { FibConfig } from '../config/types.js'
import { DONE, type FibDriver, type FibOperation, type FibOutcome } from '../fib/driver.js'
import { createEncapsulator } from '../fib/encap/encapsulator.js'
import type { Encapsulator } from '../fib/encap/types.js'
import { FibEngine } from '../fib/engine.js'
import { fibOptions } from '../fib/fib.js'
import { RouteTranslator } from '../fib/netlink-routes.js'
import type { KernelRoute } from '../fib/types.js'
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

/** `config` as it is, but for what is accepted; tunnels are left out. */
export function rehearseFib(rib: Rib, config: FibConfig): RehearsedFib {
  const { prefixes } = rib.tables[Family.IPV4_UNICAST]!
  const driver = new NowhereDriver()
  const engine = new FibEngine({
    name: 'netlink',
    why: '',
    driver,
    table: TARGET.table,
    protocol: TARGET.protocol,
    rules: fibOptions(config, { takeOver: [], file: '', prefixes, nodeAddresses: [] }),
    resolve: (gateway) => ({
      metric: 0,
      hops: [{ gateway, device: DEVICE, onlink: false }],
      connected: true,
      reason: '',
      length: 24,
    }),
    tunnel: config.encapsulation === 'never' ? tunnels(config) : null,
    log: () => {},
    batch: BATCH,
    prefixes,
  })
  const feed = new FibFeed(rib, engine, new OwnRoutes(rib))
  feed.configure({ ...config, accept: [parsePrefix('10.0.0.0/8')] })
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

/** They have nothing to do. */
function tunnels({ tunnelAddress, vxlan, udp }: FibConfig): Encapsulator {
  const log = (): void => {}
  return createEncapsulator({ netns: null, nodeAddresses: [], tunnelAddress, vxlan, udp, watchNeighbours: null, log })
}

class NowhereDriver implements FibDriver {
  written = 0
  readonly #writer = new NetlinkWriter(BATCH * REQUEST_OCTETS)
  readonly #translator = new RouteTranslator(TARGET, { indexOf: () => 1, nameOf: () => DEVICE })

  async open(): Promise<void> {}
  /** Some of others, so that there is something to compare with. */
  async dump(take: (route: KernelRoute) => void): Promise<void> {
    const hops = [{ gateway: null, device: DEVICE, onlink: false }]
    for (const prefix of ['0.0.0.0/0', '192.0.2.0/24', '192.0.2.1/32'])
      take({ family: 0, prefix, kind: 'unicast', protocol: 2, metric: 0, table: TARGET.table, hops })
  }

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
const TARGET = Object.freeze({ table: 254, protocol: 1 })
