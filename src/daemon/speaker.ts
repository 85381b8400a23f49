/**
 * One running speaker: tables, groups, sessions, FIB and API, put together from a configuration and changed by reloads.
 */
import { randomBytes } from 'node:crypto'
import { createMetrics } from '../api/metrics.js'
import { type ApiServer, startApi } from '../api/server.js'
import type { ReloadResult, Views } from '../api/types.js'
import { RealClock } from '../bgp/clock.js'
import { PeerManager } from '../bgp/peer-manager.js'
import type { SessionFact } from '../bgp/session-types.js'
import { diffConfig, formatDiff } from '../config/diff.js'
import { loadConfig } from '../config/load.js'
import { formatProblem } from '../config/problems.js'
import type { Config, ConfigDiff, FibConfig, NeighborConfig } from '../config/types.js'
import { createFib, fibOptions } from '../fib/fib.js'
import type { Fib } from '../fib/types.js'
import type { Log } from '../log.js'
import { FAMILIES, Family } from '../net/family.js'
import { Reflector } from '../reflector/reflector.js'
import { Rib } from '../rib/rib.js'
import type { RibSource } from '../rib/source.js'
import { readTcpDrops } from '../sys/tcp-counters.js'
import { createActions } from './actions.js'
import { BfdPeers } from './bfd-peers.js'
import { Engine } from './engine.js'
import { FibFeed } from './fib-feed.js'
import { clearLeftPlaces, withLeftProtocols } from './left-places.js'
import { nodeAddresses, ownAddresses } from './local-addresses.js'
import { OwnRoutes } from './own-routes.js'
import { PeerErrors } from './peer-errors.js'
import { PeerRoutes } from './peer-routes.js'
import { Policies } from './policies.js'
import { Restart } from './restart.js'
import { SocketWatch } from './socket-watch.js'
import { Sweep } from './sweep.js'
import type { ViewContext } from './view-context.js'
import { createViews } from './views.js'

export class Speaker {
  readonly #log: Log
  readonly #startedMs = performance.now()
  readonly #rib: Rib
  readonly #reflector: Reflector
  readonly #engine: Engine
  readonly #policies = new Policies()
  readonly #routes: PeerRoutes
  readonly #errors: PeerErrors
  readonly #manager: PeerManager
  readonly #bfd: BfdPeers
  readonly #sockets: SocketWatch
  readonly #own: OwnRoutes
  readonly #fib: Fib
  readonly #feed: FibFeed
  readonly #sweep: Sweep
  readonly #restart: Restart
  readonly #views: Views
  #config: Config
  #api: ApiServer | null = null
  #listening = false
  #clearing: Promise<void> = Promise.resolve()
  #reloading: Promise<unknown> = Promise.resolve()

  constructor(config: Config, log: Log) {
    this.#config = config
    this.#log = log
    const clock = new RealClock()
    const seed = randomBytes(4).readInt32LE()
    const nowSeconds = (): number => clock.now() / 1000
    const { asn, routerId, nodeName, reflector } = config
    this.#rib = new Rib({ asn, routerId, clusterId: reflector?.clusterId ?? null, seed, nodeName, nowSeconds })
    this.#reflector = new Reflector(this.#rib, seed)
    this.#own = new OwnRoutes(this.#rib, () => this.#engine.schedule())
    this.#restart = new Restart(config.stateFile, {
      clock,
      log,
      hostname: nodeName,
      live: (peer) => this.#routes.live.get(peer),
      released: () => this.#sweep.look(),
    })
    this.#fib = createFib(
      fibOptions(config.fib, {
        takeOver: withLeftProtocols(config.fib, this.#restart),
        file: config.file,
        prefixes: this.#rib.tables[Family.IPV4_UNICAST]!.prefixes,
        nodeAddresses: nodeAddresses(config),
      }),
      { log: (fact) => log.write(fact.event, fact.fields as never) },
    )
    this.#feed = new FibFeed(this.#rib, this.#fib, this.#own)
    this.#feed.configure(config.fib)
    this.#policies.configure(config)
    this.#errors = new PeerErrors(log)
    this.#bfd = new BfdPeers({ log, errors: this.#errors, peers: () => this.#manager.peers() })
    this.#routes = new PeerRoutes({
      rib: this.#rib,
      reflector: this.#reflector,
      policies: this.#policies,
      config: () => this.#config,
      log,
      errors: this.#errors,
      clock,
      restart: this.#restart,
      bfd: this.#bfd,
      progress: () => {
        this.#restart.progress(this.#routes.live.values())
        this.#sweep.look()
      },
    })
    this.#engine = new Engine(this.#rib, this.#reflector, (family, ids, count) => this.#feed.change(family, ids, count))
    this.#routes.start(this.#engine)
    this.#manager = new PeerManager({
      asn,
      routerId,
      clock,
      local: this.#restart,
      maxPendingConnections: () => this.#config.limits.pendingConnections,
      events: this.#routes,
      log: (fact) => this.#sessionFact(fact),
    })
    this.#sockets = new SocketWatch({
      read: readTcpDrops,
      nowMs: () => performance.now(),
      waiting: () => this.#withoutSession(),
      log,
    })
    this.#sweep = new Sweep(this.#fib, this.#routes, this.#manager, this.#engine, this.#restart, () => {
      this.#clearing = clearLeftPlaces(this.#config.fib, this.#restart, log)
    })
    this.#sweep.configure(config.fib.sweepAfterMs)
    const context: ViewContext = {
      config: () => this.#config,
      rib: this.#rib,
      reflector: this.#reflector,
      manager: this.#manager,
      routes: this.#routes,
      own: this.#own,
      fib: this.#fib,
      feed: this.#feed,
      restart: this.#restart,
      bfd: this.#bfd,
      sockets: this.#sockets,
      startedMs: this.#startedMs,
      nowSeconds,
    }
    this.#views = createViews(context, this.#errors, () => this.#ready())
  }

  /** Null: routes go no further than to the other peers. */
  get fibConfig(): FibConfig | null {
    return this.#fib.driver === 'off' ? null : this.#config.fib
  }

  /** When a session changed its state last, by performance.now(). */
  get lastStateChangeMs(): number {
    return this.#routes.lastStateChangeMs
  }

  /** Rejects with an Error of one line: what, where, what to do. */
  async start(): Promise<void> {
    const log = this.#log
    const actions = createActions({
      manager: this.#manager,
      own: this.#own,
      fib: this.#fib,
      changed: () => this.#engine.schedule(),
      moved: (peers) => this.#routes.judgeAgain(new Set(peers.flatMap((peer) => this.#routes.reconfigure(peer) ?? []))),
      reload: (dryRun) => this.reload(dryRun),
    })
    const { socket, http } = this.#config.api
    this.#api = await startApi({ socket, http, views: this.#views, actions, metrics: createMetrics(this.#views), log })
    await this.#fib.start()
    this.#fib.onForeignRoutesChanged(() => this.#kernelChanged())
    this.#restart.forwarding =
      (this.#fib.driver !== 'iproute2' && this.#fib.driver !== 'netlink') || this.#keptForwarding()
    this.#kernelChanged()
    await this.#manager.listen(this.#config.listen, this.#config.neighbors)
    this.#listening = true
    for (const { address, port } of this.#manager.listenAddresses()) log.write('listen', { address, port })
    this.#restart.begin(this.#config, this.#engine)
    this.#manager.configure(this.#config.neighbors)
    this.#sockets.start()
    this.#sweep.look()
    log.write('daemon-ready', {
      neighbors: this.#config.neighbors.length,
      tookMs: Math.round(performance.now() - this.#startedMs),
    })
  }

  /** Reads the file again. A bad file, or one that needs a restart, changes nothing. One reload at a time. */
  reload(dryRun = false): Promise<ReloadResult> {
    const result = this.#reloading.then(() => this.#reloadNow(dryRun))
    this.#reloading = result.catch(() => {})
    return result
  }

  /** `routes`: what becomes of the kernel's routes. */
  async stop(routes = this.#config.fib.onExit): Promise<void> {
    this.#sweep.stop()
    this.#sockets.stop()
    await this.#reloading
    this.#routes.stop()
    this.#own.stop()
    this.#feed.stop()
    // Who flushes the kernel's routes does not come back to them.
    const began = this.#listening
    await this.#manager.stop('', began && routes === 'keep' && !this.#fib.flushed)
    this.#listening = false
    // Each peer has closed its BGP session, or has had its time for it.
    await this.#bfd.stop()
    await this.#clearing
    await this.#restart.stop(began)
    this.#engine.stop()
    await this.#fib.stop(routes)
    await this.#api?.close()
  }

  async #reloadNow(dryRun: boolean): Promise<ReloadResult> {
    const { file } = this.#config
    const result = loadConfig(file, { defaultRouterId: () => this.#config.routerId, again: true })
    if (!result.ok) {
      const first = result.problems[0]
      if (!dryRun)
        this.#log.write('config-rejected', {
          file,
          problems: result.problems.length,
          reason: first === undefined ? '' : formatProblem(first),
        })
      return result
    }
    const diff = diffConfig(this.#config, result.config)
    if (diff.restartNeeded.length > 0) {
      const message = `cannot change while running: ${diff.restartNeeded.join(', ')}; nothing was changed; restart the daemon to apply it`
      if (!dryRun) this.#log.write('config-rejected', { file, problems: 1, reason: message })
      return {
        ok: false,
        problems: diff.restartNeeded.map((path) => ({
          file,
          line: 0,
          column: 0,
          path,
          message: 'cannot change while running; restart the daemon to apply it',
        })),
      }
    }
    if (dryRun) return { ok: true, diff, applied: false }
    const failed = await this.#applyListeners(result.config, diff)
    if (failed !== null) {
      this.#log.write('config-rejected', { file, problems: 1, reason: failed })
      return {
        ok: false,
        problems: [{ file, line: 0, column: 0, path: '', message: `${failed}; nothing was changed` }],
      }
    }
    this.#apply(result.config, diff)
    this.#log.write('config-reloaded', { file, changes: formatDiff(diff) })
    return { ok: true, diff, applied: true }
  }

  /** What can fail comes first. Null: all is listening as the new configuration says; else one line, and everything as before. */
  async #applyListeners(config: Config, diff: ConfigDiff): Promise<string | null> {
    try {
      if (diff.listenChanged) await this.#manager.listen(config.listen, config.neighbors)
    } catch (error) {
      return (error as Error).message
    }
    try {
      if (diff.apiChanged) await this.#api?.reconfigure(config.api)
    } catch (error) {
      if (diff.listenChanged) await this.#manager.listen(this.#config.listen, this.#config.neighbors)
      return (error as Error).message
    }
    return null
  }

  #apply(config: Config, diff: ConfigDiff): void {
    const before = this.#config
    this.#config = config
    if (diff.logChanged) this.#log.setLevel(config.log.level)
    const dropped = this.#policies.configure(config)
    if (diff.reflectorChanged)
      this.#rib.store.setIdentity({
        asn: config.asn,
        routerId: config.routerId,
        clusterId: config.reflector?.clusterId ?? null,
      })
    this.#manager.configure(config.neighbors)
    this.#restart.configure(config)
    const judged = new Set<RibSource>()
    for (const live of [...this.#routes.live.values(), ...this.#routes.stale.allAway()]) {
      const source = this.#routes.reconfigure(live.peer)
      if (source !== null) judged.add(source)
      if (diff.reflectorChanged) judged.add(live.source)
    }
    this.#routes.judgeAgain(judged)
    for (const policy of dropped) this.#rib.dropPolicy(policy)
    if (diff.fibChanged.length > 0) {
      this.#fib.reconfigure(config.fib)
      this.#feed.configure(config.fib)
      this.#sweep.configure(config.fib.sweepAfterMs)
    }
    this.#own.setVtep(this.#fib.ownVtep(), config.fib.encapsulation)
    this.#own.configure(config, this.#fib.foreignRoutes())
    // What `fib` and blackholes say of a winner may differ though the winner is the same.
    if (diff.fibChanged.length > 0 || diff.originateChanged || before.fib.maxPaths !== config.fib.maxPaths)
      for (const { family } of FAMILIES) this.#rib.markAllDirty(family)
    this.#engine.schedule()
    this.#sweep.look()
  }

  /** Routes of the kernel that are not ours changed: next hops, and own routes read from the kernel. */
  #kernelChanged(): void {
    this.#rib.setResolver((address) => this.#fib.resolve(address), ownAddresses())
    this.#own.setVtep(this.#fib.ownVtep(), this.#config.fib.encapsulation)
    this.#own.kernelChanged(this.#config, this.#fib.foreignRoutes())
    this.#engine.schedule()
  }

  /** F bit: routes of the last run are in the kernel, here or where the last configuration had them, or none would be ours. */
  #keptForwarding(): boolean {
    const { accept, table, protocol } = this.#config.fib
    const elsewhere = this.#restart.leftPlaces.some((place) => place.table !== table || place.protocol !== protocol)
    return accept.length === 0 || elsewhere || this.#fib.entries().some(({ state }) => state === 'adopted')
  }

  /** Neighbours that a silent drop of the kernel may keep from a session; of a range more may always come. */
  #withoutSession(): { name: string; config: NeighborConfig }[] {
    const peers = [...this.#manager.peers()].filter((peer) => peer.state !== 'Established' && !peer.adminDown)
    return [...peers, ...this.#manager.ranges().map((config) => ({ name: config.name, config }))]
  }

  #sessionFact(fact: SessionFact): void {
    const text =
      fact.suppressed === undefined || fact.suppressed === 0 ? fact.text : `${fact.text} (and ${fact.suppressed} more)`
    if (fact.event === 'listener.unknown-peer')
      this.#log.write('connection-refused', { remote: fact.address ?? '', reason: text })
    else
      this.#log.write(
        fact.level === 'warn' || fact.level === 'error' ? 'warning' : fact.level === 'info' ? 'notice' : 'detail',
        { text },
      )
  }

  #ready(): { ready: boolean; reasons: string[] } {
    const reasons: string[] = []
    if (!this.#listening) reasons.push('not listening yet')
    const { waitsFor } = this.#restart
    if (waitsFor.length > 0) reasons.push(`restarting: waiting for End-of-RIB of ${waitsFor.slice(0, 10).join(', ')}`)
    if (this.#fib.flushed) reasons.push("kernel routes are flushed by command: 'nodebgp fib restore' writes them again")
    if (this.#config.neighbors.length > 0 && this.#routes.live.size === 0) reasons.push('no neighbor is Established')
    return { ready: reasons.length === 0, reasons }
  }
}
