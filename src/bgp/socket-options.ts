/**
 * Edge: socket options that Node.js has no API for, set by system calls (src/sys/sys.ts). Without a provider of those a neighbour that asks for one
 * of them is refused: never a session without the password, or the hop limit, that was asked for.
 */
import { readFileSync } from 'node:fs'
import type { NeighborConfig } from '../config/types.js'
import * as socket from '../sys/socket.js'
import { findSys, int32, type Sys, SysError } from '../sys/sys.js'
import * as tcp from '../sys/tcp.js'
import {
  addressOctets,
  demandsOf,
  EMPTY_PLAN,
  keyId,
  type ListenKey,
  type ListenPlan,
  type SocketSettings,
} from './socket-settings.js'

/** How a socket sees addresses: IPv4, IPv6, or IPv6 that takes IPv4, too. */
export type SocketFamily = 'ipv4' | 'ipv6' | 'dual'

export class SocketOptions {
  readonly sys: Sys | null
  readonly #why: string
  #plan: ListenPlan = EMPTY_PLAN
  readonly #listening = new Map<number, ListeningSocket>()

  constructor() {
    const found = findSys()
    this.sys = found.sys
    this.#why = found.sys === null ? found.why : ''
  }

  /** Why this neighbour cannot have a session; empty: it can. */
  refusal(config: NeighborConfig): string {
    const demands = demandsOf(config)
    if (demands.length === 0) return ''
    if (this.sys === null)
      return `${demands.join(', ')}: needs system calls, and nothing here provides them: ${this.#why}; install koffi, or take the key${demands.length > 1 ? 's' : ''} out`
    if (config.password === null) return ''
    for (const { failures } of this.#listening.values()) {
      const failure = failures.get(keyId(config))
      if (failure !== undefined) return failure
    }
    return ''
  }

  /** What sockets that listen have to know of the neighbours, from now on: those that are open, and those to come. */
  setPlan(plan: ListenPlan): void {
    this.#plan = plan
    for (const listening of this.#listening.values()) listening.apply(plan)
  }

  /**
   * A socket that is bound, with all keys set before it can take a connection. Its descriptor, or null without a provider. Throws an error with the `code` of
   * the kernel.
   */
  listeningSocket(address: string, port: number, ipv6Only: boolean): number | null {
    const { sys } = this
    if (sys === null) return null
    const octets = addressOctets(address)
    const isIpv6 = octets.length === 16
    return openTcp(sys, isIpv6, (fd) => {
      sys.setsockopt(fd, socket.SOL_SOCKET, socket.SO_REUSEADDR, int32(1))
      if (isIpv6) sys.setsockopt(fd, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int32(ipv6Only ? 1 : 0))
      const family = !isIpv6 ? 'ipv4' : ipv6Only || address !== '::' ? 'ipv6' : 'dual'
      const listening = new ListeningSocket(sys, fd, family)
      listening.apply(this.#plan)
      sys.bind(fd, socket.sockaddr(octets, port))
      this.#listening.set(fd, listening)
      return fd
    })
  }

  /** The descriptor is closed, or about to be. */
  forgetListening(fd: number): void {
    this.#listening.delete(fd)
  }

  /** A socket that is to connect, with everything set. Null without a provider. Throws an Error of one line. */
  connectingSocket(address: string, settings: SocketSettings): number | null {
    const { sys } = this
    if (sys === null) return null
    const octets = addressOctets(address)
    const isIpv6 = octets.length === 16
    try {
      return openTcp(sys, isIpv6, (fd) => {
        bestEffort(() => setTos(sys, fd, isIpv6))
        if (settings.password !== null) setKey(sys, fd, octets, null, settings.password.octets)
        apply(sys, fd, isIpv6, settings)
        return fd
      })
    } catch (error) {
      throw new Error(optionErrorText(error, settings))
    }
  }

  /** The neighbour's options for a connection that it opened; the key came with the listening socket. Empty, or what failed in one line. */
  adopt(fd: number, remoteAddress: string, settings: SocketSettings): string {
    const { sys } = this
    if (sys === null) return ''
    try {
      apply(sys, fd, isIpv6Peer(remoteAddress), settings)
      return ''
    } catch (error) {
      return optionErrorText(error, settings)
    }
  }

  /** Another key for a connection that is open. Empty, or what failed in one line. */
  changeKey(fd: number, remoteAddress: string, key: Uint8Array): string {
    const { sys } = this
    if (sys === null) return ''
    try {
      setKey(sys, fd, addressOctets(remoteAddress), null, key)
      return ''
    } catch (error) {
      return `the changed password: ${errorText(error)}`
    }
  }
}

/** Keys and TTL of one socket that listens, kept equal to the plan. */
class ListeningSocket {
  /** By key id: why a key could not be set, in one line. */
  readonly failures = new Map<string, string>()
  readonly #sys: Sys
  readonly #fd: number
  readonly #family: SocketFamily
  readonly #set = new Map<string, ListenKey>()
  #ttl: number | null = null
  #minTtl = 0

  constructor(sys: Sys, fd: number, family: SocketFamily) {
    this.#sys = sys
    this.#fd = fd
    this.#family = family
    // Connections that come in take it over.
    for (const ipv6 of this.#families) bestEffort(() => setTos(sys, fd, ipv6))
  }

  apply(plan: ListenPlan): void {
    this.failures.clear()
    for (const [id, key] of this.#set) {
      if (plan.keys.has(id)) continue
      this.#remove(key)
      this.#set.delete(id)
    }
    for (const [id, key] of plan.keys) {
      if (!this.#takes(key) || this.#set.get(id)?.secret.equals(key.secret) === true) continue
      try {
        setKey(this.#sys, this.#fd, this.#addressOf(key), key.prefixLength, key.secret.octets)
        this.#set.set(id, key)
      } catch (error) {
        this.failures.set(id, keyErrorText(error, key, plan.keys.size))
      }
    }
    for (const ipv6 of this.#families) {
      if (plan.ttl !== this.#ttl) bestEffort(() => setTtl(this.#sys, this.#fd, ipv6, plan.ttl ?? SYSTEM_TTL))
      if (plan.minTtl !== this.#minTtl) bestEffort(() => setMinTtl(this.#sys, this.#fd, ipv6, plan.minTtl))
    }
    this.#ttl = plan.ttl
    this.#minTtl = plan.minTtl
  }

  get #families(): readonly boolean[] {
    return this.#family === 'dual' ? [true, false] : [this.#family === 'ipv6']
  }

  #takes({ address }: ListenKey): boolean {
    return this.#family === 'dual' || (address.length === 16) === (this.#family === 'ipv6')
  }

  #addressOf({ address }: ListenKey): Uint8Array {
    return this.#family === 'dual' && address.length === 4 ? tcp.mapped(address) : address
  }

  /** A key that is not there any more is no fault. */
  #remove(key: ListenKey): void {
    bestEffort(() => setKey(this.#sys, this.#fd, this.#addressOf(key), key.prefixLength, NO_KEY))
  }
}

/** A TCP socket with what it has to have before it is used. */
function openTcp(sys: Sys, isIpv6: boolean, prepare: (fd: number) => number): number {
  const family = isIpv6 ? socket.AF_INET6 : socket.AF_INET
  return socket.openSocket(sys, family, socket.SOCK_STREAM, tcp.IPPROTO_TCP, prepare)
}

function setKey(sys: Sys, fd: number, address: Uint8Array, prefixLength: number | null, key: Uint8Array): void {
  const option = prefixLength === null ? tcp.TCP_MD5SIG : tcp.TCP_MD5SIG_EXT
  sys.setsockopt(fd, tcp.IPPROTO_TCP, option, tcp.md5sig(address, prefixLength, key))
}

/** Not the key. */
function apply(sys: Sys, fd: number, isIpv6: boolean, settings: SocketSettings): void {
  const { ttl, minTtl, device, userTimeoutMs } = settings
  if (device !== null)
    sys.setsockopt(fd, socket.SOL_SOCKET, socket.SO_BINDTODEVICE, new TextEncoder().encode(`${device}\0`))
  if (ttl !== null) setTtl(sys, fd, isIpv6, ttl)
  if (minTtl > 0) setMinTtl(sys, fd, isIpv6, minTtl)
  if (userTimeoutMs > 0)
    bestEffort(() => sys.setsockopt(fd, tcp.IPPROTO_TCP, tcp.TCP_USER_TIMEOUT, int32(userTimeoutMs)))
}

function setTos(sys: Sys, fd: number, isIpv6: boolean): void {
  if (isIpv6) sys.setsockopt(fd, socket.IPPROTO_IPV6, socket.IPV6_TCLASS, int32(tcp.TOS_CS6))
  else sys.setsockopt(fd, socket.IPPROTO_IP, socket.IP_TOS, int32(tcp.TOS_CS6))
}

function setTtl(sys: Sys, fd: number, isIpv6: boolean, ttl: number): void {
  if (isIpv6) sys.setsockopt(fd, socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, int32(ttl))
  else sys.setsockopt(fd, socket.IPPROTO_IP, socket.IP_TTL, int32(ttl))
}

function setMinTtl(sys: Sys, fd: number, isIpv6: boolean, ttl: number): void {
  if (isIpv6) sys.setsockopt(fd, socket.IPPROTO_IPV6, socket.IPV6_MINHOPCOUNT, int32(ttl))
  else sys.setsockopt(fd, socket.IPPROTO_IP, socket.IP_MINTTL, int32(ttl))
}

function isIpv6Peer(remoteAddress: string): boolean {
  return remoteAddress.includes(':') && !remoteAddress.startsWith('::ffff:')
}

/** An option that sessions can do without. */
function bestEffort(set: () => void): void {
  try {
    set()
  } catch (error) {
    if (!(error instanceof SysError)) throw error
  }
}

function keyErrorText(error: unknown, { name }: ListenKey, keys: number): string {
  if (!(error instanceof SysError) || error.code !== 'ENOMEM')
    return `password of ${name}: ${errorText(error)}; the neighbor stays down`
  const needed = Math.ceil((keys * KEY_COST_OCTETS) / 4096) * 4096 + 4096
  const limit = optmemMax()
  return `password of ${name}: the kernel has no room for the key on the listening socket: ${keys} keys need net.core.optmem_max of ${needed}, it is ${limit ?? 'unknown (see the host)'}; sysctl -w net.core.optmem_max=${needed}, then reload; the neighbor stays down`
}

function optionErrorText(error: unknown, { device }: SocketSettings): string {
  const code = error instanceof SysError ? error.code : ''
  if (code === 'ENODEV')
    return `bindDevice ${device}: there is no such interface here; correct it or make the interface`
  if (code === 'EPERM' && device !== null)
    return `bindDevice ${device}: not permitted; run with CAP_NET_RAW, or take the key out`
  return `socket options: ${errorText(error)}`
}

function errorText(error: unknown): string {
  if (!(error instanceof SysError)) return (error as Error).message
  if (error.code === 'ENOPROTOOPT') return 'this kernel has no TCP MD5 (CONFIG_TCP_MD5SIG)'
  if (error.code === 'EMFILE') return 'too many open files: raise the limit of open files (ulimit -n)'
  return error.message
}

/** net.core.optmem_max; null where it cannot be read, as in a namespace of an older kernel. */
function optmemMax(): number | null {
  try {
    return Number(readFileSync('/proc/sys/net/core/optmem_max', 'latin1'))
  } catch {
    return null
  }
}

const NO_KEY = new Uint8Array(0)
/** What the kernel counts for one key against net.core.optmem_max, and a little more. */
const KEY_COST_OCTETS = 192
/** Back to net.ipv4.ip_default_ttl, or the hop limit of the route. */
const SYSTEM_TTL = -1
