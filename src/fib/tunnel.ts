/**
 * The IPIP tunnel device. One that we made (alias `nodebgp`) gets its address, MTU and state, and gets them again when somebody changes them; of
 * any other, such as Felix's tunl0, we only say what is wrong.
 */
import type { FibFact } from './driver.js'
import { ALIAS, isOurs } from './encap/ours.js'
import type { TunnelRules } from './encap/types.js'
import { netnsArgs, runIp } from './ip-run.js'
import { isDeviceName } from './ip-text.js'
import { FibError } from './types.js'

export interface TunnelOptions {
  readonly netns: string | null
  readonly nodeAddresses: readonly string[]
  /** For a device that we make: `10.244.1.0/32`. */
  readonly tunnelAddress: string | null
  readonly log: (fact: FibFact) => void
}

/** What `ip -j -d address show` says of a device, as far as it matters. */
export interface LinkJson {
  readonly ifname: string
  readonly flags: readonly string[]
  readonly mtu: number
  readonly ifindex?: number
  /** MAC address. */
  readonly address?: string
  readonly ifalias?: string
  readonly linkinfo?: {
    readonly info_kind?: string
    readonly info_data?: {
      readonly id?: number
      readonly local?: string
      readonly port?: number
      readonly learning?: boolean
      readonly type?: string
    }
  }
  readonly addr_info?: readonly {
    readonly family: string
    readonly local?: string
    readonly prefixlen?: number
    readonly scope?: string
  }[]
}

export interface TunnelVerdict {
  /** Arguments of `ip`, for a device of ours. */
  readonly repairs: readonly string[]
  /** Words for people, for a device of somebody else's. */
  readonly problems: readonly string[]
}

/** Pure: what is to be done or said about a tunnel device. `parentMtu` 0: not known. */
export function judgeTunnel(link: LinkJson, parentMtu: number, tunnelAddress: string | null): TunnelVerdict {
  const name = link.ifname
  const kind = link.linkinfo?.info_kind ?? 'unknown'
  if (kind !== 'ipip') {
    return {
      repairs: [],
      problems: [`tunnel device ${name} is of type ${kind}, not ipip; set fib.tunnelDevice to another name`],
    }
  }
  const ours = isOurs(link)
  const isUp = link.flags.includes('UP')
  const addresses = (link.addr_info ?? []).filter((one) => one.family === 'inet')
  const repairs: string[] = []
  const problems: string[] = []
  const wantedMtu = parentMtu - IPIP_OVERHEAD
  if (parentMtu > 0 && (ours ? link.mtu !== wantedMtu : link.mtu > wantedMtu)) {
    repairs.push(`link set dev ${name} mtu ${wantedMtu}`)
    problems.push(
      `has MTU ${link.mtu}, above ${wantedMtu} (${parentMtu} of its parent less ${IPIP_OVERHEAD}): big packets are lost`,
    )
  }
  if (tunnelAddress !== null && !addresses.some((one) => `${one.local}/${one.prefixlen}` === tunnelAddress)) {
    repairs.push(`address add ${tunnelAddress} dev ${name}`)
  }
  if (addresses.length === 0) problems.push('has no IPv4 address: this node itself reaches no Pod through it')
  if (!isUp) {
    repairs.push(`link set dev ${name} up`)
    problems.push(`is down: routes through it cannot be written (ip link set ${name} up)`)
  }
  if (ours) return { repairs, problems: [] }
  return { repairs: [], problems: problems.map((problem) => `tunnel device ${name} ${problem}`) }
}

export interface Parent {
  /** Null: the node's address is on no device that carries packets (such as lo), or there is no address. */
  readonly device: string | null
  /** 0: not known. */
  readonly mtu: number
  /** Source of the outer packets, or null. */
  readonly address: string | null
}

/** Pure: what carries the outer packets: the device with the first node address that is on one, else the one with the smallest MTU of those that may. */
export function findParent(links: readonly LinkJson[], nodeAddresses: readonly string[]): Parent {
  const usable = links
    .filter((link) => link.flags.includes('UP') && !link.flags.includes('LOOPBACK'))
    .map((link) => ({
      link,
      addresses: (link.addr_info ?? []).filter((one) => one.family === 'inet' && one.scope === 'global'),
    }))
  for (const address of nodeAddresses) {
    const own = usable.find(({ addresses }) => addresses.some((one) => one.local === address))
    if (own !== undefined) return { device: own.link.ifname, mtu: own.link.mtu, address }
  }
  const node = nodeAddresses.find((address) => !address.includes(':')) ?? null
  let found: Parent = { device: null, mtu: 0, address: node }
  for (const { link, addresses } of usable) {
    const subnet = addresses.find((one) => one.prefixlen !== 32)
    if (subnet === undefined || (found.mtu > 0 && found.mtu <= link.mtu)) continue
    found = { device: node === null ? link.ifname : null, mtu: link.mtu, address: node ?? subnet.local ?? null }
  }
  return found
}

/** What `ip` says of one device or of all; empty where there is none of that name. */
export async function showLinks(netns: string | null, device: string | null): Promise<readonly LinkJson[]> {
  const one = device === null ? [] : ['dev', device]
  const result = await runIp([...netnsArgs(netns), '-j', '-d', 'address', 'show', ...one])
  if (result.status !== 0) return []
  try {
    const list = JSON.parse(result.stdout) as LinkJson[]
    return list.filter((link) => typeof link.ifname === 'string')
  } catch {
    return []
  }
}

/**
 * What carries the outer packets now. All devices are read every 30 s, the one that was found each time: a smaller MTU of it, or another address, must not wait, or big
 * packets are lost.
 */
export class ParentReader {
  readonly #netns: string | null
  readonly #nodeAddresses: readonly string[]
  readonly #mayCarry: (link: LinkJson) => boolean
  #parent: Parent = { device: null, mtu: 0, address: null }
  #seen = ''
  #readMs = Number.NEGATIVE_INFINITY

  constructor(netns: string | null, nodeAddresses: readonly string[], mayCarry: (link: LinkJson) => boolean) {
    this.#netns = netns
    this.#nodeAddresses = nodeAddresses
    this.#mayCarry = mayCarry
  }

  /** As it was read last. */
  get last(): Parent {
    return this.#parent
  }

  async read(): Promise<Parent> {
    const { device } = this.#parent
    const isDue = performance.now() - this.#readMs > PARENT_READ_MS
    if (!isDue && (device === null || carrierText((await showLinks(this.#netns, device))[0]) === this.#seen))
      return this.#parent
    this.#readMs = performance.now()
    const links = (await showLinks(this.#netns, null)).filter(this.#mayCarry)
    this.#parent = findParent(links, this.#nodeAddresses)
    this.#seen = carrierText(links.find((link) => link.ifname === this.#parent.device))
    return this.#parent
  }
}

function carrierText(link: LinkJson | undefined): string {
  if (link === undefined) return ''
  const addresses = (link.addr_info ?? []).map(({ local, prefixlen }) => `${local}/${prefixlen}`)
  return [link.mtu, link.flags.includes('UP'), ...addresses].join(' ')
}

/** A device of another type has the tunnel's name. */
export class OtherDeviceError extends FibError {}

/** Says what is wrong, once per change; rejects with a FibError where there cannot be a tunnel. */
export function createTunnelKeeper(options: TunnelOptions): (rules: TunnelRules) => Promise<void> {
  const before = netnsArgs(options.netns)
  let said = ''
  let carrier: { readonly device: string; readonly reader: ParentReader } | null = null

  const show = (device: string | null): Promise<readonly LinkJson[]> => showLinks(options.netns, device)

  async function make(device: string, parent: Parent): Promise<void> {
    // tunl0 takes what no other device claims; a device beside it has to name the address that the other nodes send to (as Flannel's does).
    const local = device === FALLBACK_DEVICE ? 'any' : (parent.address ?? 'any')
    const words = `link add name ${device} type ipip local ${local} remote any`
    const added = await runIp([...before, ...words.split(' ')])
    if (added.status !== 0 && (device !== FALLBACK_DEVICE || !/File exists/i.test(added.stderr))) {
      throw new FibError(explainMissing(device, local, added.stderr))
    }
    // Loading the module makes tunl0 by itself, and the request for it then finds it there.
    const marked = await runIp([...before, 'link', 'set', 'dev', device, 'alias', ALIAS])
    if (marked.status !== 0) throw new FibError(`tunnel device ${device} cannot be set up: ${marked.stderr}`)
    options.log({ event: 'notice', fields: { text: `made the tunnel device ${device} (IPIP)` } })
  }

  async function keep(device: string, tunnelAddress: string | null): Promise<void> {
    if (carrier?.device !== device) {
      const reader = new ParentReader(options.netns, options.nodeAddresses, (one) => one.ifname !== device)
      carrier = { device, reader }
    }
    const parent = await carrier.reader.read()
    let link = (await show(device))[0]
    if (link === undefined) {
      await make(device, parent)
      link = (await show(device))[0]
      if (link === undefined) throw new FibError(`tunnel device ${device} is not there after it was made`)
    }
    const verdict = judgeTunnel(link, parent.mtu, tunnelAddress)
    if (link.linkinfo?.info_kind !== 'ipip') throw new OtherDeviceError(verdict.problems.join('; '))
    for (const repair of verdict.repairs) {
      const result = await runIp([...before, ...repair.split(' ')])
      if (result.status !== 0) throw new FibError(`ip ${repair}: ${result.stderr}`)
    }
    say(verdict.problems.join('; '))
  }

  /** Once per change. */
  function say(text: string): void {
    if (text === said) return
    if (text !== '') options.log({ event: 'warning', fields: { text } })
    else options.log({ event: 'notice', fields: { text: 'the tunnel device is in order again' } })
    said = text
  }

  return async (rules) => {
    if (!isDeviceName(rules.tunnelDevice))
      throw new FibError(`fib.tunnelDevice '${rules.tunnelDevice}' is no device name`)
    await keep(rules.tunnelDevice, rules.tunnelAddress === undefined ? options.tunnelAddress : rules.tunnelAddress)
  }
}

function explainMissing(device: string, local: string, words: string): string {
  if (/File exists/i.test(words)) {
    return `tunnel device ${device} cannot be made: there is another IPIP device with local address ${local} (ip link show type ipip); set fib.tunnelDevice to its name`
  }
  if (!/Unknown device type|not supported|No such device/i.test(words)) {
    return `tunnel device ${device} cannot be made: ip says '${words.slice(0, 200)}'`
  }
  return (
    `this kernel has no IPIP tunnels, which fib.encapsulation asks for: load the module ipip ('modprobe ipip'; some cloud kernels keep it in a ` +
    `package of extra modules), or set fib.encapsulation: never where the nodes share a subnet`
  )
}

/** Made by the module ipip in every network namespace. */
const FALLBACK_DEVICE = 'tunl0'
/** Octets of the outer IPv4 header. */
const IPIP_OVERHEAD = 20
const PARENT_READ_MS = 30_000
