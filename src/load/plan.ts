/**
 * What a load run consists of: sessions with their addresses, the prefixes with their owners and attribute sets, and what the target is to make
 * of them. Pure; options that cannot work throw UsageError with one line that says what to change.
 */
import { formatAddress, isLoopback, parseAddress, wordAt } from '../net/address.js'
import { Family, familyRow } from '../net/family.js'
import { ChurnLog } from './churn-log.js'
import { Ledger } from './ledger.js'
import { BlockSpace, type PrefixSpace, TableSpace } from './prefixes.js'
import { Random } from './random.js'
import type { LoadOptions } from './types.js'

export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/** One simulated neighbour. */
export interface Member {
  readonly index: number
  readonly address: string
  readonly asn: number
  /** u32, unique. */
  readonly bgpId: number
  /** Its own prefixes: [from, to), empty for those that only receive. */
  readonly from: number
  readonly to: number
}

export interface Plan {
  readonly options: LoadOptions
  readonly ebgp: boolean
  readonly members: readonly Member[]
  /** The first ones of the members announce. */
  readonly announcers: number
  readonly space: PrefixSpace
  /** Attribute sets in all; those of one announcer are adjacent. */
  readonly sets: number
  readonly expectNextHop: 'keep' | 'self' | 'any'
  readonly expectAttributes: boolean
  ownerOf(id: number): number
  setOf(id: number): number
  /** 4 or 16 octets. */
  nextHopOf(member: number): Uint8Array
}

export function makePlan(options: LoadOptions): Plan {
  const isTable = options.workload === 'table'
  const sessions = options.peers + options.receivers
  const announcers = isTable ? 1 : options.peers
  const perAnnouncer = options.routes
  const count = announcers * perAnnouncer
  const ebgp = options.ebgp || (options.peerAsn !== null && options.peerAsn !== options.asn)
  checkSizes(options, sessions, count)

  const space = isTable ? new TableSpace(options.family, count, options.seed) : blocks(options, count)
  const { sets, setOf } = isTable ? tableSets(options, count) : blockSets(options, announcers)
  const addresses = localAddresses(options, sessions)
  const members = addresses.map((address, index): Member => {
    const from = index < announcers ? index * perAnnouncer : count
    return {
      index,
      address: formatAddress(address),
      asn: options.peerAsn ?? (options.ebgp ? FIRST_PRIVATE_ASN + index : options.asn),
      // RFC 6286: unique inside of an AS. IPv6 sessions take theirs from a range of its own.
      bgpId: address.length === 4 ? wordAt(address, 0) : 0x0a640000 + index + 1,
      from,
      to: index < announcers ? from + perAnnouncer : count,
    }
  })
  if (options.asn > LAST_PRIVATE_ASN || members.some((member) => ebgp === (member.asn === options.asn))) {
    throw new UsageError(
      '--asn, --peer-asn and --ebgp contradict each other: eBGP neighbours have another AS than the target',
    )
  }

  // Which of its addresses of the other family the target will take cannot be known.
  const isSameFamily = addresses[0]!.length === familyRow(options.family).addressOctets
  return {
    options,
    ebgp,
    members,
    announcers,
    space,
    sets,
    expectNextHop: options.expectNextHop ?? (!ebgp ? 'keep' : isSameFamily ? 'self' : 'any'),
    expectAttributes: (options.expectAttributes ?? (ebgp ? 'any' : 'keep')) === 'keep',
    ownerOf: (id) => Math.floor(id / perAnnouncer),
    setOf,
    nextHopOf: nextHops(options, addresses, announcers),
  }
}

/** How many announcers take part in a churn, with one prefix each: so few that the records stay small and each has its two rounds. */
export function churnSlots(plan: Plan): number {
  const { rate, seconds } = plan.options
  return Math.max(1, Math.min(plan.announcers, MAX_CHURN_SLOTS, Math.floor((rate * seconds) / 2)))
}

/** Rounds of changes; an even number, so that each prefix is announced at the end. */
export function churnRounds(plan: Plan): number {
  const { rate, seconds } = plan.options
  return Math.max(2, 2 * Math.ceil((rate * seconds) / churnSlots(plan) / 2))
}

function checkSizes(options: LoadOptions, sessions: number, count: number): void {
  const { workload } = options
  if (workload === 'table' && options.peers !== 1) {
    throw new UsageError('--workload table has one announcing neighbour: leave --peers out, and say --receivers')
  }
  if (sessions < 2) throw new UsageError('at least two sessions are needed: one announces, another receives')
  if (sessions > MAX_SESSIONS) throw new UsageError(`${sessions} sessions are more than ${MAX_SESSIONS}`)
  if (count > MAX_PREFIXES) throw new UsageError(`${count} prefixes are more than ${MAX_PREFIXES}`)
  if (workload === 'table' && count > MAX_TABLE) throw new UsageError(`a table has at most ${MAX_TABLE} routes`)
  const octets = Ledger.octets(sessions, count)
  if (octets > MAX_LEDGER_OCTETS) {
    throw new UsageError(
      `${sessions} sessions × ${count} prefixes need ${Math.ceil(octets / 2 ** 20)} MiB for what each receiver holds, more than ${MAX_LEDGER_OCTETS / 2 ** 20}: take fewer`,
    )
  }
  if (workload === 'churn') {
    const slots = Math.min(options.peers, MAX_CHURN_SLOTS)
    const churn = ChurnLog.octets(sessions, slots, Math.ceil((options.rate * options.seconds) / slots) + 2)
    if (churn > MAX_LEDGER_OCTETS) throw new UsageError('--rate × --seconds is too much to keep in memory')
  }
}

function blocks(options: LoadOptions, count: number): PrefixSpace {
  const { family, prefixes, blockLength } = options
  if (prefixes.family !== family) {
    throw new UsageError(`--prefixes ${prefixes.text} is not of the family ${familyRow(family).name}`)
  }
  const longest = family === Family.IPV4_UNICAST ? 32 : 64
  if (blockLength < prefixes.length || blockLength > longest) {
    throw new UsageError(`--block-length ${blockLength} is not between that of ${prefixes.text} and ${longest}`)
  }
  const room = 2 ** (blockLength - prefixes.length)
  if (count > room) {
    throw new UsageError(`${prefixes.text} has room for ${room} blocks of /${blockLength}, not for ${count}`)
  }
  return new BlockSpace(family, prefixes.address, blockLength, count)
}

/** An announcer's routes are spread evenly over its sets, in order. */
function blockSets(options: LoadOptions, announcers: number): Pick<Plan, 'sets' | 'setOf'> {
  const { routes } = options
  const each = Math.min(options.attributeSets ?? 1, routes)
  return {
    sets: announcers * each,
    setOf: (id) => Math.floor(id / routes) * each + Math.floor(((id % routes) * each) / routes),
  }
}

/** Sets of uneven sizes: most hold a few prefixes, some hundreds, as in the Internet's table (6.6 prefixes on average). */
function tableSets(options: LoadOptions, count: number): Pick<Plan, 'sets' | 'setOf'> {
  const sets = Math.min(count, options.attributeSets ?? Math.max(1, Math.round(count / 6.6)))
  const random = new Random(options.seed ^ 0x5e7)
  const weights = Float64Array.from({ length: sets }, () => 1 / (0.02 + random.u32() / 2 ** 32))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const setOf = new Uint32Array(count)
  let sum = 0
  let from = 0
  for (let set = 0; set < sets; set++) {
    sum += weights[set]!
    // Each set has a prefix at least, and leaves one for each set after it.
    const end = Math.round((sum / total) * count)
    const to = set === sets - 1 ? count : Math.min(Math.max(from + 1, end), count - (sets - 1 - set))
    setOf.fill(set, from, to)
    from = to
  }
  return { sets, setOf: (id) => setOf[id]! }
}

function localAddresses(options: LoadOptions, count: number): Uint8Array[] {
  const { localAddresses: source } = options
  if (isList(source)) {
    if (source.length < count) {
      throw new UsageError(`--source has ${source.length} addresses, and ${count} sessions need one each`)
    }
    return source.slice(0, count).map((text) => parseAddress(text))
  }
  const bits = source.address.length * 8 - source.length
  if (bits < 32 && count > 2 ** bits - 2) {
    throw new UsageError(`${source.text} has too few addresses for ${count} sessions: give a wider --local-addresses`)
  }
  return Array.from({ length: count }, (_, index) => nthAddress(source.address, index + 1))
}

/**
 * What the routes point to: `--next-hops`; else the neighbours' own addresses; with those on loopback, which is no next hop (RFC 4271 §6.3), or
 * of the other family, a range that nobody uses.
 */
function nextHops(
  options: LoadOptions,
  addresses: readonly Uint8Array[],
  announcers: number,
): (member: number) => Uint8Array {
  const octets = familyRow(options.family).addressOctets
  const range = options.nextHops
  if (range !== null) {
    if (range.address.length !== octets) throw new UsageError(`--next-hops ${range.text} is of the other family`)
    const bits = octets * 8 - range.length
    if (bits < 32 && announcers > 2 ** bits - 2) throw new UsageError(`--next-hops ${range.text} is too small`)
    return (member) => nthAddress(range.address, member + 1)
  }
  const isUsable = addresses.every((address) => address.length === octets && !isLoopback(address))
  if (isUsable) return (member) => addresses[member]!
  const unused = parseAddress(octets === 4 ? '172.29.0.1' : 'fd00:29::1')
  return (member) => nthAddress(unused, member)
}

/** `base` + n; base has room in its last 32 bits. */
function nthAddress(base: Uint8Array, n: number): Uint8Array {
  const address = Uint8Array.from(base)
  const view = new DataView(address.buffer)
  view.setUint32(address.length - 4, wordAt(base, base.length - 4) + n)
  return address
}

function isList(source: LoadOptions['localAddresses']): source is readonly string[] {
  return Array.isArray(source)
}

/** RFC 6996. */
const FIRST_PRIVATE_ASN = 4_200_000_000
const LAST_PRIVATE_ASN = 4_294_967_294
const MAX_SESSIONS = 20_000
const MAX_PREFIXES = 2 ** 24
const MAX_TABLE = 4_000_000
const MAX_LEDGER_OCTETS = 2 ** 31
const MAX_CHURN_SLOTS = 1000
