/**
 * Edge: the VXLAN device, its neighbours and its FDB, through `ip` and `bridge`. The kernel driver, or an `ip monitor neigh` child on this one device, tells when somebody
 * changes them; they are then read and put back. What other owners have on a device of theirs is left alone: there, only what we wrote is removed.
 */
import type { VxlanConfig } from '../../config/types.js'
import type { FibFact, NeighbourWatch } from '../driver.js'
import { IpBatch } from '../ip-batch.js'
import { IpMonitor } from '../ip-monitor.js'
import { netnsArgs, runIp } from '../ip-run.js'
import { type LinkJson, OtherDeviceError, ParentReader, showLinks } from '../tunnel.js'
import { FibError } from '../types.js'
import { ipv4Of, judgeVxlan, vxlanCommand, type WantedVxlan } from './devices.js'
import { FarTable, fdbText, SEVERAL, type VxlanChanges } from './far-table.js'
import { ALIAS, isOurs } from './ours.js'
import { ruleMac } from './rule.js'
import type { FarNode, OwnVtep } from './types.js'

export interface VxlanOptions {
  readonly netns: string | null
  readonly nodeAddresses: readonly string[]
  readonly vxlan: VxlanConfig
  /** Null: an `ip monitor` child tells of neighbours. */
  readonly watchNeighbours: NeighbourWatch | null
  readonly log: (fact: FibFact) => void
}

export class VxlanKeeper {
  readonly #options: VxlanOptions
  readonly #device: string
  readonly #before: readonly string[]
  readonly #far = new FarTable()
  readonly #ip: IpBatch
  readonly #bridge: IpBatch
  readonly #neighbours = new Map<string, string>()
  readonly #fdb = new Map<string, string>()
  /** What this process wrote: addresses and MACs. */
  readonly #written = new Set<string>()
  #link: LinkJson | null = null
  /** The device as it was when it was last in order; while it is looked at again, what others know of it stays. */
  #told: LinkJson | null = null
  readonly #carrier: ParentReader
  #monitor: IpMonitor | null = null
  /** Of the device whose neighbours are watched. */
  #watchedIndex = 0
  #timer: NodeJS.Timeout | null = null
  #queue: Promise<unknown> = Promise.resolve()
  #said = ''
  #closed = false

  constructor(options: VxlanOptions) {
    this.#options = options
    this.#device = options.vxlan.device
    const mayCarry = (link: LinkJson): boolean => !TUNNELS.has(link.linkinfo?.info_kind ?? '')
    this.#carrier = new ParentReader(options.netns, options.nodeAddresses, mayCarry)
    this.#before = netnsArgs(options.netns)
    const onExit = (words: string): void => this.#warn(`${words}; starting it again`)
    this.#ip = new IpBatch(this.#before, onExit)
    this.#bridge = new IpBatch(this.#before, onExit, 'bridge')
  }

  get ownVtep(): OwnVtep | null {
    const link = this.#told
    const endpoint = link?.linkinfo?.info_data?.local ?? this.#carrier.last.address
    if (link === null || link.address === undefined || endpoint === null) return null
    const { id, port } = link.linkinfo?.info_data ?? {}
    const address = ipv4Of(link).find((one) => one.endsWith('/32')) ?? null
    return {
      endpoint,
      address: address === null ? null : address.split('/')[0]!,
      mac: link.address,
      vni: id ?? this.#options.vxlan.vni,
      port: port ?? this.#options.vxlan.port,
    }
  }

  /** No route needs it, and nothing that this process wrote for one is left. */
  get isUnused(): boolean {
    return this.#far.isEmpty && this.#written.size === 0
  }

  want(prefix: string, far: readonly FarNode[]): void {
    this.#far.want(prefix, far)
  }

  /** Device, neighbours and FDB as they are to be. Rejects with a FibError. */
  keep(): Promise<void> {
    return this.#exclusive(async () => {
      try {
        await this.#keepDevice()
      } finally {
        this.#told = this.#link
      }
      await this.#repair()
    })
  }

  prepare(): Promise<void> {
    return this.#exclusive(() => this.#write(this.#far.missing(this.#entries())))
  }

  /** `complete`: what routes need is known, and leftovers of an earlier run on a device of ours go too. */
  tidy(complete: boolean): Promise<void> {
    return this.#exclusive(async () => {
      const all = complete && this.#link !== null && isOurs(this.#link)
      const entries = this.#entries()
      const mine = (map: ReadonlyMap<string, string>): Map<string, string> =>
        new Map([...map].filter(([key]) => all || this.#written.has(key)))
      const surplus = this.#far.surplus({ neighbours: mine(entries.neighbours), fdb: mine(entries.fdb) })
      // The reverse order of writing; the routes are gone by now.
      await this.#run(this.#bridge, surplus.bridge)
      await this.#run(this.#ip, surplus.ip)
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    const end = this.#monitor?.close()
    this.#options.watchNeighbours?.(0, () => {})
    await this.#queue
    await Promise.all([this.#ip.close(), this.#bridge.close(), end])
  }

  // --- device

  async #keepDevice(): Promise<void> {
    const { netns } = this.#options
    await this.#carrier.read()
    const wanted = this.#wanted()
    this.#link = null
    let link = (await showLinks(netns, this.#device))[0] ?? null
    let verdict = link === null ? null : judgeVxlan(link, wanted)
    if (verdict === null || verdict.remake) {
      if (verdict?.remake) await this.#ipNow(`link delete dev ${this.#device}`)
      await this.#make(wanted)
      link = (await showLinks(netns, this.#device))[0] ?? null
      if (link === null) throw new FibError(`VXLAN device ${this.#device} is not there after it was made`)
      verdict = judgeVxlan(link, wanted)
    }
    if (link?.linkinfo?.info_kind !== 'vxlan') throw new OtherDeviceError(verdict.problems.join('; '))
    for (const repair of verdict.repairs) await this.#ipNow(repair)
    this.#link = verdict.repairs.length === 0 ? link : ((await showLinks(netns, this.#device))[0] ?? null)
    this.#say(verdict.problems.join('; '))
    const index = this.#link?.ifindex ?? 0
    if (index !== this.#watchedIndex) this.#watch(index)
  }

  #wanted(): WantedVxlan {
    const { device, vni, port, address, mac } = this.#options.vxlan
    const { address: local, mtu: parentMtu } = this.#carrier.last
    return {
      device,
      vni,
      port,
      address,
      mac: mac ?? (local === null ? null : ruleMac(local)),
      local,
      parentMtu,
    }
  }

  async #make(wanted: WantedVxlan): Promise<void> {
    const result = await runIp([...this.#before, ...vxlanCommand(wanted, this.#carrier.last.device).split(' ')])
    if (result.status !== 0) throw new FibError(explainMissing(this.#device, result.stderr || `${result.spawnError}`))
    await this.#ipNow(`link set dev ${this.#device} alias ${ALIAS}`)
    // Nobody is to be asked for routers and neighbours through the tunnel.
    await this.#ipNow(`link set dev ${this.#device} addrgenmode none`)
    const text = `made the VXLAN device ${this.#device} (VNI ${wanted.vni}, port ${wanted.port})`
    this.#options.log({ event: 'notice', fields: { text } })
  }

  async #ipNow(words: string): Promise<void> {
    const result = await runIp([...this.#before, ...words.split(' ')])
    if (result.status !== 0) throw new FibError(`ip ${words}: ${result.stderr.slice(0, 200)}`)
  }

  // --- neighbours and FDB

  #entries(): { readonly neighbours: ReadonlyMap<string, string>; readonly fdb: ReadonlyMap<string, string> } {
    return { neighbours: this.#neighbours, fdb: this.#fdb }
  }

  async #repair(): Promise<void> {
    await this.#read()
    const missing = this.#far.missing(this.#entries())
    const lost = [...missing.ip, ...missing.bridge].filter((line) => this.#written.has(line.split(' ')[2]!)).length
    if (lost > 0) {
      const text = `${lost} neighbour or FDB entries of ${this.#device} were changed by somebody else; putting them back`
      this.#options.log({ event: 'notice', fields: { text } })
    }
    await this.#write(missing)
  }

  async #read(): Promise<void> {
    const [neighbours, fdb] = await Promise.all([
      runIp([...this.#before, '-4', '-j', 'neigh', 'show', 'dev', this.#device, 'nud', 'permanent']),
      runIp([...this.#before, '-j', 'fdb', 'show', 'dev', this.#device], undefined, 'bridge'),
    ])
    this.#neighbours.clear()
    this.#fdb.clear()
    for (const { dst, lladdr } of listOf<NeighbourJson>(neighbours.stdout)) {
      if (dst !== undefined && lladdr !== undefined) this.#neighbours.set(dst, lladdr)
    }
    for (const { mac, dst, port, vni, state } of listOf<FdbJson>(fdb.stdout)) {
      if (mac === undefined || dst === undefined || state !== 'permanent' || mac === ALL_ZERO) continue
      const text = fdbText(dst, port ?? null, vni ?? null)
      const known = this.#fdb.get(mac)
      this.#fdb.set(mac, known === undefined ? text : `${known}${SEVERAL}${text}`)
    }
  }

  async #write(missing: VxlanChanges): Promise<void> {
    // Said already; when the device is back, all is looked at again.
    if (this.#link === null) return
    await this.#run(this.#ip, missing.ip)
    await this.#run(this.#bridge, missing.bridge)
  }

  /** Lines without their device; the picture follows what succeeded. */
  async #run(batch: IpBatch, lines: readonly string[]): Promise<void> {
    for (let at = 0; at < lines.length; at += MAX_LINES) {
      const part = lines.slice(at, at + MAX_LINES)
      const result = await batch.run(part.map((line) => withDevice(line, this.#device)))
      const failures: string[] = []
      for (const [index, line] of part.entries()) {
        const words = result.failures.get(index)
        const failed = words !== undefined && !(/ del /.test(line) && ABSENT.test(words))
        if (failed) failures.push(`'${withDevice(line, this.#device)}': ${words}`)
        else if (result.lost === null) this.#note(line)
      }
      // There may be thousands. Without the device all of them fail: its own event tells what is wrong.
      if (failures.length > 0 && !failures.every((line) => GONE.test(line))) {
        const others = failures.length > 1 ? ` and ${failures.length - 1} more` : ''
        this.#warn(`cannot write ${failures.find((line) => !GONE.test(line))}${others}`)
      }
      // Nobody knows what was written: the next look tells.
      if (result.lost !== null) this.#lookSoon()
    }
  }

  #note(line: string): void {
    const [object, verb, key, , value, ...rest] = line.split(' ')
    const map = object === 'neigh' ? this.#neighbours : this.#fdb
    if (verb === 'del') {
      map.delete(key!)
      this.#written.delete(key!)
      return
    }
    map.set(key!, object === 'neigh' ? value! : [value, ...rest.slice(0, rest.indexOf('self'))].join(' '))
    this.#written.add(key!)
  }

  // --- events

  #watch(index: number): void {
    void this.#monitor?.close()
    this.#monitor = null
    this.#watchedIndex = index
    if (this.#closed) return
    const isTold = this.#options.watchNeighbours?.(index, () => this.#lookSoon()) ?? false
    if (index === 0) return
    // A device that has come back has another number, which the children have to learn.
    this.#ip.renew()
    this.#bridge.renew()
    if (!isTold) {
      this.#monitor = new IpMonitor([...this.#before, '-o', 'monitor', 'neigh', 'dev', this.#device], {
        take: () => this.#lookSoon(),
        ended: () => {
          this.#monitor = null
          this.#watchedIndex = 0
        },
      })
    }
    // What happened before it listened.
    this.#lookSoon()
  }

  #lookSoon(): void {
    if (this.#timer !== null || this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      void this.#exclusive(() => this.#repair()).catch((error: Error) => this.#say(error.message))
    }, DEBOUNCE_MS)
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => {})
    return result
  }

  #warn(text: string): void {
    this.#options.log({ event: 'warning', fields: { text } })
  }

  /** Once per change. */
  #say(text: string): void {
    if (text === this.#said) return
    if (text !== '') this.#warn(text)
    else this.#options.log({ event: 'notice', fields: { text: `the VXLAN device ${this.#device} is in order again` } })
    this.#said = text
  }
}

interface NeighbourJson {
  readonly dst?: string
  readonly lladdr?: string
}
interface FdbJson {
  readonly mac?: string
  readonly dst?: string
  readonly port?: number
  readonly vni?: number
  readonly state?: string
}

function listOf<T>(text: string): readonly T[] {
  try {
    return JSON.parse(text || '[]') as T[]
  } catch {
    return []
  }
}

/** `neigh del A` → `neigh del A dev D`; with a MAC the device comes behind it. */
function withDevice(line: string, device: string): string {
  const [object, verb, key, ...rest] = line.split(' ')
  return [object, verb, key, 'dev', device, ...rest].join(' ')
}

function explainMissing(device: string, words: string): string {
  if (/exists/i.test(words))
    return `VXLAN device ${device} cannot be made: another device has its VNI and port (ip -d link show type vxlan); set fib.vxlan.device to its name, or another fib.vxlan.vni`
  if (/Unknown device type|not supported/i.test(words))
    return `this kernel has no VXLAN, which fib.encapsulation asks for: load the module vxlan ('modprobe vxlan'), or set fib.encapsulation: udp (slow), or never where the nodes share a subnet`
  return `VXLAN device ${device} cannot be made: ip says '${words.slice(0, 200)}'`
}

const ALL_ZERO = '00:00:00:00:00:00'
const ABSENT = /No such file|No such process|Cannot find|not found|Invalid argument/i
const GONE = /Cannot find device|unknown ifindex|No such device/i
/** Devices that carry no outer packets. */
const TUNNELS: ReadonlySet<string> = new Set(['vxlan', 'ipip', 'tun', 'bridge', 'wireguard', 'geneve', 'gre'])
const MAX_LINES = 1000
const DEBOUNCE_MS = 75
