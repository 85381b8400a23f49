/**
 * A node under churn: a FIB on a real kernel, what its RIB wants, and the hands of others. The twin that says what has to be in the kernel is made anew for each
 * comparison: from what the kernel shows then, with the pure functions alone, so that everything that is kept up to date piece by piece is compared with the whole.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { ActualTable } from '../../src/fib/actual.js'
import type { FibFact } from '../../src/fib/driver.js'
import { createFib, type FibOptions } from '../../src/fib/fib.js'
import { parseRoute } from '../../src/fib/ip-json.js'
import { formatOperation } from '../../src/fib/ip-text.js'
import { leftToFelix } from '../../src/fib/ownership.js'
import { isSameHop, isSameRoute } from '../../src/fib/plan.js'
import { LearnedRoutes } from '../../src/fib/recursion.js'
import { isLocalAddress, planRoute, type Resolution, resolveInKernel } from '../../src/fib/resolve.js'
import { routePrefix } from '../../src/fib/route-prefix.js'
import type { DesiredRoute, Fib, FibEntry, KernelRoute, PlannedRoute } from '../../src/fib/types.js'
import { makeNetns, makeVeth, type Netns, type TestScope } from '../support/netns.js'
import { BASE, PROTOCOL } from './support.js'

/** Protocols of the hands of others. */
export const FOREIGN = [3, 4, 80, 188]
const SCRATCH = 999
const MAIN = 254
const LOCAL = 255

export class World {
  readonly netns: Netns
  readonly #other: Netns
  readonly wanted = new Map<string, DesiredRoute>()
  readonly facts: FibFact[] = []
  options: FibOptions
  fib!: Fib
  /** What others have in the kernel, as it was after their last deed. */
  #foreign: readonly string[] = []

  constructor(t: TestScope, driver: 'netlink' | 'iproute2') {
    this.netns = makeNetns(t, 'chaos')
    this.#other = makeNetns(t, 'chaos')
    const { netns } = this
    makeVeth(
      { netns, device: 'v0', addresses: ['192.168.0.1/24', 'fd00::1/64'] },
      { netns: this.#other, device: 'v0', addresses: ['192.168.0.2/24', 'fd00::2/64'] },
    )
    this.makeV1()
    this.options = {
      ...BASE,
      driver,
      netns: netns.name,
      compareMs: 3_600_000,
      nodeAddresses: ['192.168.0.1'],
      metric: 20,
    }
  }

  makeV1(): void {
    const { netns } = this
    const addresses = ['192.168.1.1/24', 'fd00:1::1/64']
    makeVeth({ netns, device: 'v1', addresses }, { netns: this.#other, device: 'v1', addresses: [] })
  }

  async open(): Promise<void> {
    this.fib = createFib(this.options, { log: (fact) => this.facts.push(fact) })
    await this.fib.start()
  }

  /** As the RIB of a new run has it; what it does not name is known no more. */
  async restart(wanted: Iterable<readonly [string, DesiredRoute]>, between: () => void): Promise<void> {
    await this.fib.stop('keep')
    between()
    this.wanted.clear()
    await this.open()
    for (const [prefix, route] of wanted) this.set(prefix, route)
  }

  set(prefix: string, route: DesiredRoute | null): void {
    if (route === null) this.wanted.delete(prefix)
    else this.wanted.set(prefix, route)
    this.fib.set(prefix, route)
  }

  reconfigure(over: Partial<FibOptions>): void {
    this.options = { ...this.options, ...over }
    this.fib.reconfigure(this.options)
  }

  /** Its picture of the kernel is made anew, and nothing is under way. */
  look(): Promise<void> {
    this.fib.reconfigure(this.options)
    return this.fib.settled()
  }

  /** Commands of `ip`, in one go; those that fail are passed over, as much that others try is not possible. */
  hand(...commands: readonly string[]): void {
    this.checkForeign()
    const args = ['-n', this.netns.name, '-force', '-batch', '-']
    spawnSync('ip', args, { input: `${commands.join('\n')}\n`, env: { ...process.env, LC_ALL: 'C' } })
    this.#foreign = this.#readForeign()
  }

  /** Throws where the routes of others are not as they left them. */
  checkForeign(): void {
    const now = this.#readForeign()
    const before = this.#foreign
    if (now.join() === before.join()) return
    const gone = before.filter((one) => !now.includes(one))
    const came = now.filter((one) => !before.includes(one))
    throw new Error(`routes of others were touched: gone ${gone.join('; ')}; came ${came.join('; ')}`)
  }

  /** Paths of IPv6 routes live and die with their devices, some time after. */
  #readForeign(): readonly string[] {
    return this.#read()
      .filter(({ protocol }) => FOREIGN.includes(protocol))
      .map((route) => (route.family === 0 ? textOf(route) : textOf({ ...route, hops: [] })))
      .sort()
  }

  #read(): readonly KernelRoute[] {
    return ([0, 1] as const).flatMap((family) => {
      const args = [
        '-n',
        this.netns.name,
        family === 0 ? '-4' : '-6',
        '-N',
        '-j',
        '-d',
        'route',
        'show',
        'table',
        'all',
      ]
      const text = execFileSync('ip', args, { encoding: 'utf8', maxBuffer: 64 << 20 })
      const list = JSON.parse(text || '[]') as unknown[]
      return list.flatMap((one) => parseRoute(JSON.stringify(one), family, MAIN) ?? [])
    })
  }

  /** What is not as it has to be, in words; empty: all is well. */
  compare(): string[] {
    const routes = this.#read()
    const actual = new ActualTable(MAIN)
    actual.beginDump()
    const ours = new Map<string, KernelRoute[]>()
    for (const route of routes) {
      if (route.table !== MAIN && route.table !== LOCAL) continue
      if (route.protocol !== PROTOCOL) actual.add(route)
      else ours.set(route.prefix, [...(ours.get(route.prefix) ?? []), route])
    }
    const wrong: string[] = []
    const resolve = this.#resolver(actual)
    const far = new Map<string, string>()
    for (const [prefix, desired] of this.wanted) {
      const words = this.#judge(prefix, desired, ours.get(prefix) ?? [], actual, resolve, far)
      if (words !== '') wrong.push(`${prefix}: ${words}`)
      ours.delete(prefix)
    }
    for (const prefix of ours.keys()) wrong.push(`${prefix}: nobody wants it`)
    for (const { prefix } of this.fib.entries())
      if (!this.wanted.has(prefix)) wrong.push(`${prefix}: an entry that nobody wants`)
    wrong.push(...this.#compareFar(far))
    return wrong
  }

  #resolver(actual: ActualTable): (nextHop: string) => Resolution {
    const mine = (prefix: string): DesiredRoute | undefined => {
      const route = this.wanted.get(prefix)
      return route !== undefined && leftToFelix(routePrefix(prefix), route, this.options) === '' ? route : undefined
    }
    const learned = new LearnedRoutes(mine)
    for (const prefix of this.wanted.keys()) learned.change(routePrefix(prefix), 1)
    return (nextHop) => learned.resolve(nextHop, this.options, (one) => resolveInKernel(one, actual))
  }

  #judge(
    prefix: string,
    desired: DesiredRoute,
    ours: readonly KernelRoute[],
    actual: ActualTable,
    resolve: (nextHop: string) => Resolution,
    far: Map<string, string>,
  ): string {
    const entry = this.fib.entry(prefix)
    if (entry === undefined) return 'no entry'
    const found = `${entry.state} (${entry.reason}), kernel has ${ours.map(textOf).join(' and ') || 'nothing'}`
    const to = routePrefix(prefix)
    if (leftToFelix(to, desired, this.options) !== '')
      return entry.state === 'left' && ours.length === 0 ? '' : `left to Felix, but ${found}`
    let planned = planRoute(prefix, desired, this.options, resolve)
    if (typeof planned !== 'string' && planned.source !== undefined && !isLocalAddress(planned.source, actual))
      planned = 'no such source address'
    if (typeof planned === 'string')
      return entry.state === 'unresolved' && ours.length === 0 ? '' : `unresolved (${planned}), but ${found}`
    for (const node of planned.far ?? [])
      if (node.kind === 'vxlan') far.set(node.address, `${node.mac} ${node.endpoint}`)
    const isThere = ours.length === 1 && isSameRoute(ours[0]!, planned) && hasHops(entry, planned)
    if (entry.state === 'installed') return isThere ? '' : `wanted ${textOf(planned)}, but ${found}`
    if (entry.state === 'conflict') {
      const foreign = actual.foreign(to, planned.metric)
      return foreign !== undefined && ours.length === 0 ? '' : `no conflict, but ${found}`
    }
    if (entry.state === 'failed' && entry.reason !== '' && !this.#kernelTakes(prefix, planned)) return ''
    return `wanted ${textOf(planned)}, but ${found}`
  }

  #kernelTakes(prefix: string, route: PlannedRoute): boolean {
    const line = formatOperation({ type: 'replace', to: routePrefix(prefix), route }, { table: SCRATCH, protocol: 99 })
    const taken = spawnSync('ip', ['-n', this.netns.name, ...line.split(' ')]).status === 0
    if (taken) spawnSync('ip', ['-n', this.netns.name, 'route', 'flush', 'table', String(SCRATCH)])
    return taken
  }

  /** Neighbours of the VXLAN device, and what their MACs lead to. */
  #compareFar(wanted: ReadonlyMap<string, string>): string[] {
    if (this.options.encapsulation === 'never') return []
    const read = (program: string, ...args: readonly string[]): Record<string, string>[] => {
      const { stdout } = spawnSync(program, ['-n', this.netns.name, '-j', ...args], { encoding: 'utf8' })
      return JSON.parse(stdout || '[]') as Record<string, string>[]
    }
    const fdb = read('bridge', 'fdb', 'show', 'dev', 'flannel.1').filter(({ dst }) => dst !== undefined)
    const found = read('ip', '-4', 'neigh', 'show', 'dev', 'flannel.1', 'nud', 'permanent')
      .map(({ dst, lladdr }) => `${dst} ${lladdr} ${fdb.filter(({ mac }) => mac === lladdr).map((one) => one['dst'])}`)
      .sort()
    const expected = [...wanted].map(([address, text]) => `${address} ${text}`).sort()
    const [here, right] = [new Set(found), new Set(expected)]
    const surplus = found.filter((one) => !right.has(one))
    const missing = expected.filter((one) => !here.has(one))
    if (surplus.length + missing.length === 0) return []
    return [
      `${surplus.length} far nodes too many: ${surplus.slice(0, 3)}; ${missing.length} missing: ${missing.slice(0, 3)}`,
    ]
  }
}

function hasHops({ hops }: FibEntry, planned: PlannedRoute): boolean {
  return hops.length === planned.hops.length && hops.every((hop) => planned.hops.some((one) => isSameHop(one, hop)))
}

function textOf(route: KernelRoute | PlannedRoute): string {
  const hops = route.hops.map((hop) => `${hop.gateway}%${hop.device}${hop.onlink ? '!' : ''}`).join('+')
  const name = 'prefix' in route ? `${route.prefix} ` : ''
  const owner = 'protocol' in route ? ` proto ${route.protocol}` : ''
  return `${name}${route.kind} ${hops}${owner} metric ${route.metric}${route.source === undefined ? '' : ` src ${route.source}`}`
}
