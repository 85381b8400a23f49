/** What the views read; made once by the daemon. */
import type { PeerManager } from '../bgp/peer-manager.js'
import type { Config } from '../config/types.js'
import type { Fib } from '../fib/types.js'
import type { Reflector } from '../reflector/reflector.js'
import type { Rib } from '../rib/rib.js'
import type { BfdPeers } from './bfd-peers.js'
import type { FibFeed } from './fib-feed.js'
import type { OwnRoutes } from './own-routes.js'
import type { PeerRoutes } from './peer-routes.js'
import type { Restart } from './restart.js'
import type { SocketWatch } from './socket-watch.js'

export interface ViewContext {
  readonly config: () => Config
  readonly rib: Rib
  readonly reflector: Reflector
  readonly manager: PeerManager
  readonly routes: PeerRoutes
  readonly own: OwnRoutes
  readonly fib: Fib
  readonly feed: FibFeed
  readonly restart: Restart
  readonly bfd: BfdPeers
  readonly sockets: SocketWatch
  readonly startedMs: number
  /** Seconds since the start, as the paths are stamped. */
  readonly nowSeconds: () => number
}
