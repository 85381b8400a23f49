/**
 * Operations as lines for `ip -batch -` (pure). Every value is checked before it is written: a malformed argument makes `ip` exit in the middle of
 * a batch, and a value with a blank or line break in it would be another command.
 */
import { parseAddress } from '../net/address.js'
import { parsePrefix } from '../net/prefix.js'
import type { FibOperation } from './driver.js'
import { FibError, type KernelHop } from './types.js'

export interface IpTarget {
  readonly table: number
  readonly protocol: number
}

/** Throws a FibError for a value that must not be written. */
export function formatOperation(operation: FibOperation, target: IpTarget): string {
  const { route } = operation
  const prefix = parsePrefixOrFail(operation.to.prefix)
  const words = ['route', operation.type === 'delete' ? 'del' : operation.type]
  const isDelete = operation.type === 'delete'
  if (!isDelete && route.kind === 'blackhole') words.push('blackhole')
  words.push(prefix.text)
  const one = !isDelete && route.hops.length === 1 ? route.hops[0]! : null
  if (one !== null) words.push(...formatHop(one, prefix.address.length))
  const protocol = integer(operation.protocol ?? target.protocol, 1, 255, 'protocol')
  words.push('proto', protocol, 'table', integer(target.table, 1, U32, 'table'))
  words.push('metric', integer(route.metric, 0, U32, 'metric'))
  if (!isDelete && route.source !== undefined) {
    parseAddressOrFail(route.source)
    words.push('src', route.source)
  }
  if (one?.onlink) words.push('onlink')
  if (!isDelete && route.kind === 'unicast' && route.hops.length === 0)
    throw new FibError(`${prefix.text} has no next hop`)
  if (!isDelete && route.hops.length > 1) {
    for (const hop of route.hops) {
      words.push('nexthop', ...formatHop(hop, prefix.address.length))
      if (hop.weight !== undefined) words.push('weight', integer(hop.weight, 1, 256, 'weight'))
      if (hop.onlink) words.push('onlink')
    }
  }
  return words.join(' ')
}

/** Interface names as the kernel takes them: 1 to 15 characters, no blank, no slash. */
export function isDeviceName(text: string): boolean {
  return /^[A-Za-z0-9_.@-][A-Za-z0-9_.:@-]{0,14}$/.test(text) && text !== '.' && text !== '..' && !text.startsWith('-')
}

function formatHop(hop: KernelHop, octets: number): string[] {
  const words: string[] = []
  if (hop.gateway !== null) {
    const address = parseAddressOrFail(hop.gateway)
    // RFC 8950: an IPv4 route over an IPv6 next hop.
    if (address.length !== octets) words.push('via', address.length === 16 ? 'inet6' : 'inet', hop.gateway)
    else words.push('via', hop.gateway)
  }
  if (hop.device === null) throw new FibError(`next hop ${hop.gateway} has no device`)
  if (!isDeviceName(hop.device)) throw new FibError(`'${hop.device.slice(0, 40)}' is not the name of a network device`)
  words.push('dev', hop.device)
  return words
}

function parsePrefixOrFail(text: string): ReturnType<typeof parsePrefix> {
  try {
    return parsePrefix(text)
  } catch (error) {
    throw new FibError((error as Error).message)
  }
}

function parseAddressOrFail(text: string): Uint8Array {
  try {
    return parseAddress(text)
  } catch (error) {
    throw new FibError((error as Error).message)
  }
}

function integer(value: number, min: number, max: number, what: string): string {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new FibError(`${what} ${value} is not a whole number from ${min} to ${max}`)
  }
  return String(value)
}

const U32 = 0xffffffff
