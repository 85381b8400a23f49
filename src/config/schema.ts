/**
 * Every key of the configuration file (docs: bgp.example.yaml) and what may stand there. What needs a look at more than one key is in
 * neighbors.ts and parse.ts.
 */
import * as z from 'zod'
import { ROLE_NAMES } from '../bgp/capabilities/offer.js'
import { MATCH_KEYS, SET_KEYS } from './schema-policy.js'
import { choose, isMapping, list, type Mapping, mapping, named, oneOrMore, optional, value } from './shapes.js'
import { ADD_PATH_ALL, type Encapsulation } from './types.js'
import * as v from './values.js'
import * as kernel from './values-kernel.js'
import * as net from './values-net.js'
import * as secret from './values-secret.js'

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

export interface AddPathKeys {
  /** 0 none, 1 to 254 that many, ADD_PATH_ALL all. */
  readonly send: number
  readonly receive: boolean
}

const addPathDirections = mapping({ send: optional(v.addPathSend), receive: optional(v.flag) })

/** `true`: both directions, all paths. `{ send, receive }` for all families, or by family. */
const addPath = choose<readonly [AddPathKeys, AddPathKeys]>((input) => {
  const both = (one: AddPathKeys): readonly [AddPathKeys, AddPathKeys] => [one, one]
  const filled = (keys?: { send?: number | undefined; receive?: boolean | undefined }): AddPathKeys => ({
    send: keys?.send ?? 0,
    receive: keys?.receive ?? false,
  })
  if (!isMapping(input))
    return value((flag) => {
      const on = typeof flag === 'boolean' ? flag : null
      if (on === null) throw new v.ValueError('true, false, { send, receive }, or these by family')
      return both({ send: on ? ADD_PATH_ALL : 0, receive: on })
    })
  const byFamily = Object.keys(input).some((key) => key.includes('unicast'))
  if (!byFamily) return addPathDirections.transform((keys) => both(filled(keys)))
  return mapping({
    'ipv4-unicast': addPathDirections.optional(),
    'ipv6-unicast': addPathDirections.optional(),
  }).transform((keys) => [filled(keys['ipv4-unicast']), filled(keys['ipv6-unicast'])] as const)
})

export interface GracefulRestartKeys {
  readonly restartTime?: number | undefined
  readonly staleTime?: number | undefined
  readonly notification?: boolean | undefined
}

/** A mapping, or a flag instead: true stands for one without keys. */
function switched<T extends object>(keys: z.ZodType<T>, example: string) {
  return choose<Partial<T> | false>((input) =>
    isMapping(input)
      ? keys
      : value((flag) => {
          try {
            return v.flag(flag) ? {} : false
          } catch {
            throw new v.ValueError(`true, false, or ${example}`)
          }
        }),
  )
}

/** `true`: with the default times. `false`: not even as a helper. */
const gracefulRestart = switched<GracefulRestartKeys>(
  mapping({
    restartTime: optional(v.wholeSeconds(1, 4095)),
    staleTime: optional(v.wholeSeconds(1, 4095)),
    notification: optional(v.flag),
  }),
  '{ restartTime: 120s, staleTime: 360s, notification: true }',
)

export interface BfdKeys {
  readonly interval?: number | undefined
  readonly minReceive?: number | undefined
  readonly multiplier?: number | undefined
  readonly multihop?: boolean | undefined
}

/** `true`: with the default times. `false`: none, where a template has one. */
const bfd = switched<BfdKeys>(
  mapping({
    interval: optional(v.durationMs(10, 60_000)),
    minReceive: optional(v.durationMs(10, 60_000)),
    multiplier: optional(v.integer(1, 255)),
    multihop: optional(v.flag),
  }),
  '{ interval: 300ms, minReceive: 300ms, multiplier: 3, multihop: false }',
)

/** `false`: none, where a template has one. */
function orFalse<T>(parse: v.Parse<T>): v.Parse<T | false> {
  return (input) => {
    if (input === false) return false
    try {
      return parse(input)
    } catch (error) {
      if (!(error instanceof v.ValueError)) throw error
      throw new v.ValueError(`${error.message}, or false`)
    }
  }
}

/** All keys of a neighbour, none required: the form that templates have, too. */
export const neighborShape = {
  name: optional((input) => {
    const found = v.name(input)
    if (found === 'local') throw new v.ValueError("a name other than 'local', which stands for own routes")
    return found
  }),
  use: oneOrMore(value(v.name), 'template names').optional(),
  address: optional(net.neighborAddress),
  range: optional(net.prefix),
  port: optional(v.port),
  asn: optional(v.asn),
  localAsn: optional(v.asn),
  description: optional(v.text(255)),
  families: oneOrMore(value(v.family), 'ipv4-unicast, ipv6-unicast').optional(),
  holdTime: optional(v.holdTimeSeconds),
  keepalive: optional(v.keepaliveSeconds),
  connectRetry: optional(v.durationMs(100, 3_600_000)),
  sourceAddress: optional(net.address),
  password: optional(secret.password),
  passwordFile: optional(secret.secretFile),
  passwordEnv: optional(secret.variableName),
  ttlSecurity: optional(orFalse(v.integer(1, 254, 'a number of hops'))),
  multihop: optional(orFalse(v.integer(1, 255, 'a number of hops'))),
  bindDevice: optional(net.interfaceName),
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
  addPath: addPath.optional(),
  gracefulRestart: gracefulRestart.optional(),
  longLivedGracefulRestart: optional((input) => {
    if (input === false) return 0
    return v.wholeSeconds(1, 16_777_215)(input === true ? '1h' : input)
  }),
  bfd: bfd.optional(),
  extendedNextHop: optional(v.flag),
  extendedMessages: optional(v.flag),
  enhancedRefresh: optional(v.flag),
  linkLocalNextHop: optional(v.oneOf('native', 'single', 'double')),
  advertiseHostname: optional(v.flag),
  role: optional(v.oneOf(...ROLE_NAMES)),
  roleStrict: optional(v.flag),
  routeServerClient: optional(v.flag),
  enforceFirstAs: optional(v.flag),
  localAsnMode: optional(v.oneOf('replace', 'prepend', 'no-prepend')),
  dualAsn: optional(v.flag),
  asOverride: optional(v.flag),
  removePrivateAs: optional(v.flag),
  discardAttributes: oneOrMore(value(v.attributeType('discard')), 'attribute numbers or names').optional(),
  treatAsWithdrawAttributes: oneOrMore(value(v.attributeType('withdraw')), 'attribute numbers or names').optional(),
  tunnelEncapsulation: optional(v.flag),
  allowAsSets: optional(v.flag),
  maxAsPath: optional(v.integer(1, 16_000)),
  maxCommunities: optional(v.integer(0, 16_000)),
  maxAttributeSets: optional(v.integer(1, 10_000_000)),
  gracefulShutdown: optional(v.flag),
  honorGracefulShutdown: optional(v.flag),
  damping: optional(v.flag),
  maxPeers: optional(v.integer(1, 1_000_000)),
  shutdown: optional(v.flag),
}

export const neighborSchema = mapping(neighborShape)
export type NeighborKeys = Mapping<typeof neighborShape>

const originateShape = {
  prefix: value(net.prefix),
  blackhole: optional(v.flag),
  nextHop: optional(net.nextHop),
  med: optional(v.u32),
  localPref: optional(v.u32),
  communities: oneOrMore(value(v.community), 'communities').optional(),
}
const aggregateShape = {
  ipv4: optional(v.integer(8, 32, 'a prefix length')),
  ipv6: optional(v.integer(16, 128, 'a prefix length')),
  requireBlackhole: optional(v.flag),
  blackhole: optional(v.flag),
}
export type AggregateKeys = Mapping<typeof aggregateShape>
/** `true`, or the length of the IPv4 blocks. */
function shortAggregate(input: unknown): AggregateKeys | false {
  try {
    return typeof input === 'boolean' ? input && {} : { ipv4: v.integer(8, 32)(input) }
  } catch {
    throw new v.ValueError('true, false, a prefix length from 8 to 32, or { ipv4: 26, ipv6: 122, blackhole: true }')
  }
}
const fromKernelShape = {
  fromKernel: mapping({
    protocols: oneOrMore(value(kernel.routeProtocol), 'protocols').optional(),
    within: oneOrMore(value(net.prefix), 'prefixes').optional(),
    interfaces: oneOrMore(value(net.interfacePattern), 'interface patterns').optional(),
    blackhole: optional(v.flag),
  }),
  aggregate: choose<AggregateKeys | false>((input) =>
    isMapping(input) ? mapping(aggregateShape) : value(shortAggregate),
  ).optional(),
}
export type StaticKeys = Mapping<typeof originateShape>
export type FromKernelKeys = Mapping<typeof fromKernelShape>
const originateEntry = choose<StaticKeys | FromKernelKeys>((input) => {
  if (typeof input === 'string') return value((prefix): StaticKeys => ({ prefix: net.prefix(prefix) }) as StaticKeys)
  return isMapping(input) && Object.hasOwn(input, 'fromKernel') ? mapping(fromKernelShape) : mapping(originateShape)
})

const DRIVERS = ['auto', 'netlink', 'iproute2', 'memory', 'off'] as const
const encapsulationMode = v.oneOf('never', 'ipip', 'ipip-cross-subnet', 'vxlan', 'vxlan-cross-subnet', 'udp')
const encapsulationList = list(
  mapping({ within: value(net.prefix), mode: value(encapsulationMode) }),
  'ranges: [{ within: 10.244.0.0/16, mode: ipip-cross-subnet }]',
)
const vxlanShape = {
  layout: optional(v.oneOf('flannel', 'calico')),
  vni: optional(v.integer(1, 16_777_215, 'a VXLAN network identifier')),
  port: optional(v.port),
  device: optional(net.interfaceName),
  address: optional(net.interfaceAddress),
  mac: optional(net.macAddress),
}
export type VxlanKeys = Mapping<typeof vxlanShape>
const udpShape = { device: optional(net.interfaceName), port: optional(v.port) }

const fibShape = {
  driver: optional(v.oneOf(...DRIVERS)),
  table: optional(kernel.routeTable),
  protocol: optional(kernel.ownProtocol),
  accept: oneOrMore(value(net.prefix), 'prefixes').optional(),
  metric: optional(kernel.routeMetric),
  sourceAddress: oneOrMore(value(net.address), 'addresses, one of each family').optional(),
  maxPaths: optional(v.integer(1, 64)),
  programClusterRoutes: optional(v.oneOf('Disabled', 'EnabledIPIPOnly', 'EnabledNoEncapOnly', 'Enabled')),
  takeOver: oneOrMore(value(kernel.takenProtocol), 'protocol names or numbers').optional(),
  encapsulation: choose<Encapsulation>((input) =>
    Array.isArray(input) ? encapsulationList : value(encapsulationMode),
  ).optional(),
  tunnelDevice: optional(net.interfaceName),
  tunnelAddress: optional(net.interfaceAddress),
  vxlan: mapping(vxlanShape).optional(),
  udp: mapping(udpShape).optional(),
  onExit: optional(v.oneOf('keep', 'flush')),
  sweepAfter: optional(v.durationMs(1000, 3_600_000)),
}
export type FibKeys = Mapping<typeof fibShape>

const http = optional((input) => (input === false || input === 'off' ? null : net.hostPort(input)))

/** The sections of the file but for those that hold named things, which are looked at one by one (parse.ts). */
export const sections = {
  asn: value(v.asn),
  routerId: optional((input) => (input === 'hash' ? 'hash' : v.bgpIdentifier(input))),
  nodeName: optional(v.nonEmptyText(253)),
  log: mapping({ level: optional(v.oneOf(...LOG_LEVELS)) }).optional(),
  listen: list(
    mapping({ address: value(net.address), port: optional(v.port) }),
    'addresses: [{ address: 0.0.0.0, port: 179 }]',
  ).optional(),
  api: mapping({ socket: optional(v.socketPath), http }).optional(),
  reflector: mapping({ clusterId: optional(v.bgpIdentifier) }).optional(),
  originate: list(originateEntry, 'prefixes and fromKernel rules').optional(),
  fib: mapping(fibShape).optional(),
  stateFile: optional((input) => (input === false || input === 'off' ? null : v.filePath(input))),
  restartDeferral: optional(v.durationMs(0, 20_000)),
  limits: mapping({
    pendingConnections: optional(v.integer(16, 1_000_000)),
    paths: optional(v.integer(1000, 500_000_000)),
  }).optional(),
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
  {
    bfd: 'is a key of a neighbor or template: neighbors[].bfd',
    vxlan: 'is a key of fib: fib.vxlan',
    bmp: 'is not supported yet',
    mrt: 'is not supported yet',
    multipathRelax: 'is not supported yet',
  },
)

/** Supported keys by section, for the test of the example file. */
export const SUPPORTED_KEYS = {
  top: [...Object.keys(sections), 'neighbors', 'templates', 'policies'],
  neighbor: Object.keys(neighborShape),
  originate: [
    ...Object.keys(originateShape),
    ...Object.keys(fromKernelShape),
    ...Object.keys(aggregateShape),
    'protocols',
    'within',
    'interfaces',
  ],
  fib: Object.keys(fibShape),
  vxlan: Object.keys(vxlanShape),
  udp: Object.keys(udpShape),
  match: MATCH_KEYS,
  set: SET_KEYS,
} as const
