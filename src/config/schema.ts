/**
 * Every key of the configuration file (docs: bgp.example.yaml) and what may stand there. What needs a look at more than one key is in
 * neighbors.ts and parse.ts.
 */
import { z } from 'zod'
import { MATCH_KEYS, SET_KEYS } from './schema-policy.js'
import { choose, isMapping, list, type Mapping, mapping, named, oneOrMore, optional, value } from './shapes.js'
import * as v from './values.js'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

const maxPrefix = choose<{ limit: number; warning?: number | undefined; restart?: number | undefined }>((input) =>
  isMapping(input)
    ? mapping({
        limit: value(v.integer(1, 0xffff_ffff)),
        warning: optional(v.percent),
        restart: optional(v.durationMs(1000, 86_400_000)),
      })
    : value((number) => ({
        limit: v.integer(1, 0xffff_ffff, 'a number of prefixes, or { limit, warning, restart },')(number),
      })),
)

/** All keys of a neighbour, none required: the form that templates have, too. */
export const neighborShape = {
  name: optional((input) => {
    const found = v.name(input)
    if (found === 'local') throw new v.ValueError("a name other than 'local', which stands for own routes")
    return found
  }),
  use: oneOrMore(value(v.name), 'template names').optional(),
  address: optional(v.neighborAddress),
  range: optional(v.prefix),
  port: optional(v.port),
  asn: optional(v.asn),
  localAsn: optional(v.asn),
  description: optional(v.text(255)),
  families: oneOrMore(value(v.family), 'ipv4-unicast, ipv6-unicast').optional(),
  holdTime: optional(v.holdTimeSeconds),
  keepalive: optional(v.keepaliveSeconds),
  connectRetry: optional(v.durationMs(100, 3_600_000)),
  sourceAddress: optional(v.address),
  passive: optional(v.flag),
  maxPrefix: maxPrefix.optional(),
  nextHopSelf: optional(v.flag),
  nextHopKeep: optional(v.flag),
  allowOwnAs: optional(v.integer(0, 10)),
  // Below the 32768 of own routes, which always win.
  weight: optional(v.integer(0, 32767)),
  import: optional(v.name),
  export: optional(v.name),
  reflectorClient: optional(v.flag),
  communities: optional(v.flag),
  gracefulRestart: optional((input) => {
    if (input !== false) throw new v.ValueError('false (graceful restart is not supported yet)')
    return false
  }),
  shutdown: optional(v.flag),
}

/** Keys of the design that later versions bring. */
export const NEIGHBOR_NOT_YET: Readonly<Record<string, string>> = {
  password: 'a session without the password that was asked for is never opened; remove the key',
  passwordFile: 'a session without the password that was asked for is never opened; remove the key',
  passwordEnv: 'a session without the password that was asked for is never opened; remove the key',
  bfd: '',
  ttlSecurity: '',
  multihop: "sessions go out with the system's TTL, so that neighbours some hops away work without it; remove the key",
  addPath: '',
  longLivedGracefulRestart: '',
  extendedNextHop: '',
  extendedMessages: '',
  role: '',
  routeServerClient: '',
  discardAttributes: '',
  treatAsWithdrawAttributes: '',
}

export const FIB_NOT_YET: Readonly<Record<string, string>> = {
  takeOver: '',
  programClusterRoutes: '',
  vxlan: '',
  udp: '',
  aggregate: '',
}

export const neighborSchema = mapping(neighborShape, NEIGHBOR_NOT_YET)
export type NeighborKeys = Mapping<typeof neighborShape>

const originateShape = {
  prefix: value(v.prefix),
  blackhole: optional(v.flag),
  nextHop: optional(v.nextHop),
  med: optional(v.u32),
  localPref: optional(v.u32),
  communities: oneOrMore(value(v.community), 'communities').optional(),
}
const fromKernelShape = {
  fromKernel: mapping({
    protocols: oneOrMore(value(v.routeProtocol), 'protocols').optional(),
    within: oneOrMore(value(v.prefix), 'prefixes').optional(),
    interfaces: oneOrMore(value(v.interfacePattern), 'interface patterns').optional(),
  }),
}
export type StaticKeys = Mapping<typeof originateShape>
export type FromKernelKeys = Mapping<typeof fromKernelShape>
const originateEntry = choose<StaticKeys | FromKernelKeys>((input) => {
  if (typeof input === 'string') return value((prefix): StaticKeys => ({ prefix: v.prefix(prefix) }) as StaticKeys)
  return isMapping(input) && Object.hasOwn(input, 'fromKernel')
    ? mapping(fromKernelShape, { aggregate: '' })
    : mapping(originateShape)
})

const DRIVERS = ['auto', 'netlink', 'iproute2', 'memory', 'off'] as const
const ENCAPSULATIONS = ['never', 'ipip', 'ipip-cross-subnet'] as const
const LATER_ENCAPSULATIONS: readonly unknown[] = ['vxlan', 'vxlan-cross-subnet', 'udp']

const fibShape = {
  driver: optional(v.oneOf(...DRIVERS)),
  table: optional(v.routeTable),
  protocol: optional(v.ownProtocol),
  accept: oneOrMore(value(v.prefix), 'prefixes').optional(),
  metric: optional(v.u32),
  maxPaths: optional(v.integer(1, 64)),
  encapsulation: optional((input) => {
    if (LATER_ENCAPSULATIONS.includes(input))
      throw new v.ValueError(`one of ${ENCAPSULATIONS.join(', ')} (vxlan and udp are not supported yet)`)
    return v.oneOf(...ENCAPSULATIONS)(input)
  }),
  tunnelDevice: optional(v.interfaceName),
  tunnelAddress: optional(v.interfaceAddress),
  onExit: optional(v.oneOf('keep', 'flush')),
}
export type FibKeys = Mapping<typeof fibShape>

const http = optional((input) => (input === false || input === 'off' ? null : v.hostPort(input)))

/** The sections of the file but for those that hold named things, which are looked at one by one (parse.ts). */
export const sections = {
  asn: value(v.asn),
  routerId: optional((input) => (input === 'hash' ? 'hash' : v.bgpIdentifier(input))),
  nodeName: optional(v.nonEmptyText(253)),
  log: mapping({ level: optional(v.oneOf(...LOG_LEVELS)) }).optional(),
  listen: list(
    mapping({ address: value(v.address), port: optional(v.port) }),
    'addresses: [{ address: 0.0.0.0, port: 179 }]',
  ).optional(),
  api: mapping({ socket: optional(v.socketPath), http }).optional(),
  reflector: mapping({ clusterId: optional(v.bgpIdentifier) }).optional(),
  originate: list(originateEntry, 'prefixes and fromKernel rules').optional(),
  fib: mapping(fibShape, FIB_NOT_YET).optional(),
}

const several = z.unknown().optional()
/** Checks the keys at the top, and that several things stand as a list or a mapping. */
export const topSchema = mapping(
  {
    ...(Object.fromEntries(Object.keys(sections).map((key) => [key, several])) as Record<
      keyof typeof sections,
      typeof several
    >),
    neighbors: list(z.unknown(), 'neighbours').optional(),
    templates: named(v.name, z.unknown(), 'names to neighbour options').optional(),
    policies: named(v.name, z.unknown(), 'names to lists of statements').optional(),
  },
  { bfd: '', vxlan: '', multipathRelax: '', stateFile: '' },
)

/** Supported keys by section, for the test of the example file. */
export const SUPPORTED_KEYS = {
  top: [...Object.keys(sections), 'neighbors', 'templates', 'policies'],
  neighbor: Object.keys(neighborShape),
  originate: [...Object.keys(originateShape), 'fromKernel', 'protocols', 'within', 'interfaces'],
  fib: Object.keys(fibShape),
  match: MATCH_KEYS,
  set: SET_KEYS,
} as const
