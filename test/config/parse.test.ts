// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables as they stand in configuration files
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { parseConfig, routerIdHash } from '../../src/config/parse.js'
import { formatProblem } from '../../src/config/problems.js'
import { SUPPORTED_KEYS } from '../../src/config/schema.js'
import { ADD_PATH_ALL } from '../../src/config/types.js'
import { projectRoot } from '../support/root.js'
import { configOf, notesOf, parse, problemsOf, sound } from './support.js'

const FIXTURES = join(projectRoot, 'fixtures/config')
const HOOKS = { defaultRouterId: () => 1 }

t.test('every bad file gives exactly its problems, all at once and in order', async (t) => {
  const files = readdirSync(join(FIXTURES, 'bad')).filter((file) => file.endsWith('.yaml'))
  t.ok(files.length >= 6)
  for (const file of files) {
    const text = readFileSync(join(FIXTURES, 'bad', file), 'utf8')
    const expected = readFileSync(join(FIXTURES, 'bad', file.replace('.yaml', '.problems')), 'utf8')
    const result = parseConfig(text, basename(file), {}, HOOKS)
    t.equal(result.ok ? '' : `${result.problems.map(formatProblem).join('\n')}\n`, expected, file)
  }
})

t.test('single values: place and words', async (t) => {
  const cases: readonly (readonly [line: string, column: number, path: string, message: RegExp])[] = [
    ['routerId: 0.0.0.0', 11, 'routerId', /IPv4 address, not 0\.0\.0\.0, got '0\.0\.0\.0'/],
    ['routerId: [1]', 11, 'routerId', /got a list/],
    ['log: { level: loud }', 15, 'log.level', /one of trace, debug, info.*got 'loud'/],
    ['log: { levle: info }', 8, 'log.levle', /unknown key levle; did you mean level\? allowed: level/],
    ['zebra: 1', 1, 'zebra', /^unknown key zebra; allowed: asn, /],
    ['listen: 0.0.0.0:179', 9, 'listen', /expected a list of addresses.*got '0\.0\.0\.0:179'/],
    ['listen: [{ address: 300.0.0.1 }]', 21, 'listen[0].address', /an IP address/],
    ['listen: [{ address: 0.0.0.0, port: 70000 }]', 36, 'listen[0].port', /a port from 1 to 65535, got '70000'/],
    ['api: { socket: run.sock }', 16, 'api.socket', /absolute path/],
    ['api: { http: "9179" }', 14, 'api.http', /127\.0\.0\.1:9179/],
    ['api: { http: "::1:80" }', 14, 'api.http', /brackets/],
    ['reflector: { clusterId: 7 }', 25, 'reflector.clusterId', /IPv4 address/],
    ['originate: [10.0.0.0/33]', 13, 'originate[0]', /a prefix with its length/],
    ['originate: [{ prefix: 10.0.0.1/8 }]', 23, 'originate[0].prefix', /10\.0\.0\.0\/8, got '10\.0\.0\.1\/8'/],
    ['originate: [{ prefix: 10.0.0.0/8, communities: 1:70000 }]', 48, 'originate[0].communities', /a community/],
    ['originate: [{ fromKernel: { protocols: [brid] } }]', 41, 'originate[0].fromKernel.protocols[0]', /bird/],
    ['originate: [{ fromKernel: { interfaces: [a b] } }]', 42, 'originate[0].fromKernel.interfaces[0]', /interface/],
    ['originate: [{ fromKernel: {}, aggregate: 33 }]', 42, 'originate[0].aggregate', /from 8 to 32, or \{ ipv4/],
    ['originate: [{ fromKernel: {}, aggregate: { ipv4: 7 } }]', 50, 'originate[0].aggregate.ipv4', /from 8 to 32/],
    [
      'originate: [{ fromKernel: { blackhole: true, interfaces: [a] } }]',
      58,
      'originate[0].fromKernel.interfaces',
      /no interface/,
    ],
    [
      'originate: [{ fromKernel: { within: [10.0.0.0/8, 10.0.0.0/28] }, aggregate: true }]',
      50,
      'originate[0].fromKernel.within[1]',
      /\(\/26\) are larger than 10\.0\.0\.0\/28/,
    ],
    [
      'originate: [{ fromKernel: {}, aggregate: { requireBlackhole: true, blackhole: true } }]',
      79,
      'originate[0].aggregate.blackhole',
      /somebody else writes/,
    ],
    [
      'originate: [{ fromKernel: { blackhole: false }, aggregate: { requireBlackhole: true } }]',
      40,
      'originate[0].fromKernel.blackhole',
      /leaves them out/,
    ],
    ['neighbors: { a: 1 }', 12, 'neighbors', /list of neighbours, got a mapping/],
    ['neighbors: [fe80::1]', 13, 'neighbors[0]', /expected a mapping with the keys name, use, address/],
    ['neighbors: [{ address: "fe80::1", asn: 1 }]', 24, 'neighbors[0].address', /fe80::1%eth0/],
    ['neighbors: [{ address: 10.0.0.1%eth0, asn: 1 }]', 24, 'neighbors[0].address', /without %interface/],
    ['neighbors: [{ address: 224.0.0.1, asn: 1 }]', 24, 'neighbors[0].address', /unicast/],
    ['neighbors: [{ address: 10.0.0.1, asn: 0 }]', 39, 'neighbors[0].asn', /not reserved/],
    ['neighbors: [{ address: 10.0.0.1, asn: 23456 }]', 39, 'neighbors[0].asn', /not reserved/],
    ['neighbors: [{ address: 10.0.0.1, asn: 65536.1 }]', 39, 'neighbors[0].asn', /AS number/],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, name: local }]', 48, 'neighbors[0].name', /own routes/],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, holdTime: 2s }]', 52, 'neighbors[0].holdTime', /3s to 65535s/],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, holdTime: 1.5s }]', 52, 'neighbors[0].holdTime', /with a unit/],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, holdTime: -9s }]', 52, 'neighbors[0].holdTime', /with a unit/],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, families: ipv4 }]', 52, 'neighbors[0].families', /ipv4-unicast, ipv6/],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, families: [] }]', 52, 'neighbors[0].families', /at least one/],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, passive: 1 }]', 51, 'neighbors[0].passive', /true or false/],
    [
      'neighbors: [{ address: 10.0.0.1, asn: 1, maxPrefix: { limt: 1 } }]',
      53,
      'neighbors[0].maxPrefix.limit',
      /missing/,
    ],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, maxPrefix: 0 }]', 53, 'neighbors[0].maxPrefix', /from 1 to/],
    ['neighbors: [{ range: 10.0.0.0, asn: 1 }]', 22, 'neighbors[0].range', /prefix with its length/],
    ['neighbors: [{ name: a b, address: 10.0.0.1, asn: 1 }]', 21, 'neighbors[0].name', /letters, digits/],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, addPath: 3 }]', 51, 'neighbors[0].addPath', /by family/],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, addPath: { send: 0 } }]', 59, 'neighbors[0].addPath.send', /how many/],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, bfd: fast }]', 47, 'neighbors[0].bfd', /false, or \{ interval: 300ms/],
    [
      'neighbors: [{ address: 10.0.0.1, asn: 1, bfd: { interval: 5ms } }]',
      59,
      'neighbors[0].bfd.interval',
      /from 10ms to 60s/,
    ],
    [
      'neighbors: [{ address: 10.0.0.1, asn: 1, bfd: { multiplier: 0 } }]',
      61,
      'neighbors[0].bfd.multiplier',
      /from 1 to 255/,
    ],
    [
      'neighbors: [{ address: 10.0.0.1, asn: 1, gracefulRestart: 5 }]',
      59,
      'neighbors[0].gracefulRestart',
      /restartTime/,
    ],
    ['neighbors: [{ address: 10.0.0.1, asn: 1, role: boss }]', 48, 'neighbors[0].role', /customer/],
    [
      'neighbors: [{ address: 10.0.0.1, asn: 1, discardAttributes: 2 }]',
      61,
      'neighbors[0].discardAttributes',
      /AS_PATH/,
    ],
    ['stateFile: state.json', 12, 'stateFile', /absolute path/],
    ['restartDeferral: 21s', 18, 'restartDeferral', /20s/],
    ['policies: { p: maybe }', 16, 'policies.p', /accept, reject, or a list of statements/],
    ['policies: { accept-all: reject }', 13, 'policies.accept-all', /built in/],
    ['policies: { p: [{ action: acept }] }', 27, 'policies.p[0].action', /one of accept, reject, next/],
    ['policies: { p: [{ action: reject, set: { med: 1 } }] }', 35, 'policies.p[0].set', /changes nothing/],
    [
      'policies: { p: [{ action: next, match: { peer: nobody } }] }',
      48,
      'policies.p[0].match.peer',
      /no neighbour is called/,
    ],
    [
      'policies: { p: [{ action: next, match: { asPath: "(?=1)" } }] }',
      50,
      'policies.p[0].match.asPath',
      /look-around/,
    ],
    [
      'policies: { p: [{ action: next, match: { prefix: { in: 10.0.0.0/24, length: 16 } } }] }',
      77,
      'policies.p[0].match.prefix.length',
      /nothing inside 10\.0\.0\.0\/24 is shorter/,
    ],
    [
      'policies: { p: [{ action: next, match: { prefix: { in: 10.0.0.0/24, length: { max: 64 } } } }] }',
      77,
      'policies.p[0].match.prefix.length',
      /end at 32/,
    ],
    [
      'policies: { p: [{ action: next, match: { asPathLength: { min: 3, max: 2 } } }] }',
      56,
      'policies.p[0].match.asPathLength',
      /larger/,
    ],
    ['policies: { p: [{ action: accept, set: { nextHop: me } }] }', 51, 'policies.p[0].set.nextHop', /self or an IP/],
    ['__proto__: { a: 1 }', 1, '__proto__', /not allowed/],
  ]
  for (const [line, column, path, message] of cases) {
    const found = problemsOf(sound(line)).find((problem) => problem.path === path)
    t.match(found, { file: 'f.yaml', line: 3, column, path, message }, line)
  }
})

t.test('the FIB section', async (t) => {
  const cases: readonly (readonly [fib: string, path: string, message: RegExp])[] = [
    ['', '', /fib\.accept is missing/],
    ['fib: { driver: auto }', 'fib', /fib\.accept is missing/],
    ['fib: { accept: [] }', 'fib.accept', /at least one/],
    ...[1, 2, 3, 4, 12, 17, 80].map(
      (n) => [`fib: { driver: off, protocol: ${n} }`, 'fib.protocol', /belongs to/] as const,
    ),
    ['fib: { driver: off, table: 255 }', 'fib.table', /255/],
    ['fib: { driver: off, maxPaths: 0 }', 'fib.maxPaths', /1 to 64/],
    ['fib: { driver: off, maxPaths: 65 }', 'fib.maxPaths', /1 to 64/],
    ['fib: { driver: off, programClusterRoutes: enabled }', 'fib.programClusterRoutes', /EnabledIPIPOnly/],
    ['fib: { driver: off, takeOver: dhcp }', 'fib.takeOver', /16 is among those of the machine itself/],
    ['fib: { driver: off, takeOver: 179 }', 'fib.takeOver', /179 is our own protocol/],
    ['fib: { driver: off, metric: localpref }', 'fib.metric', /0 to 4294967295, or localPref/],
    ['fib: { driver: off, sourceAddress: 10.0.0.0/8 }', 'fib.sourceAddress', /IP address/],
    ['fib: { driver: off, sourceAddress: [10.0.0.1, 10.0.0.2] }', 'fib.sourceAddress', /one IPv4 and one IPv6/],
    ['fib: { driver: off, encapsulation: gre }', 'fib.encapsulation', /vxlan-cross-subnet, udp/],
    ['fib: { driver: off, encapsulation: [] }', 'fib.encapsulation', /at least one range/],
    ['fib: { driver: off, encapsulation: [{ mode: vxlan }] }', 'fib.encapsulation[0].within', /prefix/],
    [
      'fib: { driver: off, encapsulation: [{ within: "fd00::/48", mode: vxlan }] }',
      'fib.encapsulation[0].within',
      /IPv6.*plain/,
    ],
    [
      'fib: { driver: off, encapsulation: [{ within: 10.0.0.0/8, mode: vxlan }, { within: 10.0.0.0/8, mode: udp }] }',
      'fib.encapsulation[1].within',
      /stands here twice/,
    ],
    ['fib: { driver: off, vxlan: { vni: 16777216 } }', 'fib.vxlan.vni', /VXLAN network identifier/],
    ['fib: { driver: off, vxlan: { mac: "01:00:5e:00:00:01" } }', 'fib.vxlan.mac', /unicast MAC/],
    ['fib: { driver: off, vxlan: { address: 10.0.0.0/24 } }', 'fib.vxlan.address', /one IPv4 address/],
    ['fib: { driver: off, vxlan: { flavour: calico } }', 'fib.vxlan.flavour', /unknown key/],
    [
      'fib: { driver: off, encapsulation: [{ within: 10.0.0.0/8, mode: vxlan }, { within: 11.0.0.0/8, mode: ipip }], tunnelDevice: flannel.1 }',
      'fib',
      /two kinds/,
    ],
    ['fib: { driver: off, tunnelDevice: a/b }', 'fib.tunnelDevice', /interface/],
    ['fib: { driver: off, tunnelAddress: 10.0.0.1/33 }', 'fib.tunnelAddress', /prefix length/],
    ['fib: { driver: off, onExit: stay }', 'fib.onExit', /keep, flush/],
    ['fib: { driver: off, sweepAfter: 2h }', 'fib.sweepAfter', /from 1s to 3600s/],
  ]
  for (const [fib, path, message] of cases) {
    t.match(
      problemsOf(`asn: 64512\n${fib}`).find((problem) => problem.path === path),
      { message },
      fib,
    )
  }
})

t.test('fib: metric from LOCAL_PREF, source addresses', async (t) => {
  const fib = (text: string) => configOf(`asn: 64512\nfib: { accept: 10.244.0.0/16, ${text} }`).fib
  t.match(fib('metric: localPref'), { metric: 0, metricFromLocalPref: true })
  t.match(fib('metric: 7'), { metric: 7, metricFromLocalPref: false, sources: [null, null] })
  t.same(fib('sourceAddress: [fd00:0::1, 10.244.1.1]').sources, ['10.244.1.1', 'fd00::1'])
  t.same(fib('takeOver: [bird, 12, 186]').takeOver, [12, 186])
  t.same(fib('programClusterRoutes: EnabledNoEncapOnly').programClusterRoutes, 'EnabledNoEncapOnly')
})

t.test('defaults', async (t) => {
  const config = configOf('asn: 64512\nfib: { accept: 10.244.0.0/16 }\nneighbors: [{ address: 10.0.0.2, asn: 64512 }]')
  t.match(config, {
    asn: 64512,
    routerId: 0x0a000001,
    nodeName: 'host-1',
    log: { level: 'info' },
    listen: [{ address: '0.0.0.0', port: 179 }],
    api: { socket: '/run/nodebgp/nodebgp.sock', http: null },
    reflector: null,
    fib: {
      driver: 'auto',
      table: 254,
      protocol: 179,
      metric: 0,
      programClusterRoutes: 'Enabled',
      takeOver: [],
      maxPaths: 16,
      encapsulation: 'never',
      tunnelDevice: 'tunl0',
      vxlan: { layout: 'flannel', vni: 1, port: 8472, device: 'flannel.1', address: null, mac: null },
      udp: { device: 'flannel0', port: 8285 },
      onExit: 'keep',
      sweepAfterMs: 120_000,
    },
  })
  t.same(config.neighbors[0], {
    name: '10.0.0.2',
    description: '',
    address: '10.0.0.2',
    range: null,
    port: 179,
    asn: 64512,
    localAsn: 64512,
    ebgp: false,
    families: [0],
    holdTimeSeconds: 90,
    keepaliveSeconds: 30,
    connectRetryMs: 5000,
    sourceAddress: null,
    password: null,
    ttlSecurityHops: null,
    multihop: null,
    bindDevice: null,
    passive: false,
    reflectorClient: false,
    nextHopSelf: false,
    nextHopKeep: false,
    weight: 0,
    maxPrefix: null,
    allowOwnAs: 0,
    importPolicy: null,
    exportPolicy: null,
    sendCommunities: true,
    shutdown: false,
    addPath: [
      { sendPaths: 0, receive: false },
      { sendPaths: 0, receive: false },
    ],
    gracefulRestart: { restarter: false, restartTimeSeconds: 120, staleTimeSeconds: 360, notification: true },
    longLivedStaleSeconds: 0,
    bfd: null,
    extendedNextHop: false,
    extendedMessages: true,
    enhancedRefresh: true,
    linkLocalNextHop: 'native',
    advertiseHostname: true,
    role: null,
    roleStrict: false,
    routeServerClient: false,
    enforceFirstAs: true,
    localAsnMode: 'replace',
    dualAsn: false,
    asOverride: false,
    removePrivateAs: false,
    discardAttributes: [],
    treatAsWithdrawAttributes: [],
    tunnelEncapsulation: true,
    allowAsSets: false,
    maxAsPath: 1000,
    maxCommunities: 1000,
    maxAttributeSets: 200_000,
    gracefulShutdown: false,
    honorGracefulShutdown: true,
    damping: true,
    maxPeers: 20_000,
  })
  t.same([...config.policies.keys()], ['accept-all', 'reject-all'])
})

t.test('values in their forms', async (t) => {
  const neighbor = (keys: string) =>
    configOf(sound(`neighbors: [{ address: 10.0.0.2, asn: 64513, ${keys} }]`)).neighbors[0]!
  t.equal(neighbor('holdTime: 1m30s').holdTimeSeconds, 90)
  t.equal(neighbor('holdTime: 0').keepaliveSeconds, 0)
  t.equal(neighbor('holdTime: 3s').keepaliveSeconds, 1)
  t.equal(neighbor('connectRetry: 500ms').connectRetryMs, 500)
  t.equal(neighbor('localAsn: 64513').ebgp, false)
  t.equal(neighbor('localAsn: 64513').tunnelEncapsulation, true, 'RFC 9012 §11: within the AS')
  t.equal(neighbor('holdTime: 3s').tunnelEncapsulation, false, 'not with external neighbours')
  t.equal(neighbor('tunnelEncapsulation: true').tunnelEncapsulation, true, 'unless it is said')
  t.equal(neighbor('localAsn: 1.10').localAsn, 65546, 'asdot, and 1.10 is not 1.1')
  t.same(neighbor('maxPrefix: 10').maxPrefix, { limit: 10, warningPercent: 75, restartMs: null })
  t.same(neighbor('maxPrefix: { limit: 10, warning: 80%, restart: 1m }').maxPrefix, {
    limit: 10,
    warningPercent: 80,
    restartMs: 60_000,
  })
  t.same(neighbor('families: [ipv6-unicast, ipv4-unicast, ipv6-unicast]').families, [0, 1])
  t.equal(neighbor('bfd: false').bfd, null)
  t.same(neighbor('bfd: true').bfd, { intervalMs: 300, minReceiveMs: 300, multiplier: 3, multihop: null })
  t.same(neighbor('bfd: { interval: 100ms, multiplier: 5, multihop: true }').bfd, {
    intervalMs: 100,
    minReceiveMs: 100,
    multiplier: 5,
    multihop: true,
  })
  t.match(neighbor('bfd: { minReceive: 50ms }').bfd, { intervalMs: 300, minReceiveMs: 50 })
  t.equal(neighbor('gracefulRestart: false').gracefulRestart, null)
  t.match(neighbor('gracefulRestart: true').gracefulRestart, { restarter: true, restartTimeSeconds: 120 })
  t.match(neighbor('gracefulRestart: { restartTime: 1m, notification: false }').gracefulRestart, {
    restarter: true,
    restartTimeSeconds: 60,
    notification: false,
  })
  t.equal(neighbor('longLivedGracefulRestart: true').longLivedStaleSeconds, 3600)
  t.equal(neighbor('longLivedGracefulRestart: 1d').longLivedStaleSeconds, 86_400)
  t.equal(neighbor('longLivedGracefulRestart: false').longLivedStaleSeconds, 0)
  const all = { sendPaths: ADD_PATH_ALL, receive: true }
  const none = { sendPaths: 0, receive: false }
  t.same(neighbor('addPath: true').addPath, [all, all])
  t.same(neighbor('addPath: false').addPath, [none, none])
  t.same(neighbor('addPath: { send: 2 }').addPath, [
    { sendPaths: 2, receive: false },
    { sendPaths: 2, receive: false },
  ])
  t.same(neighbor('addPath: { ipv6-unicast: { send: all, receive: true } }').addPath, [none, all])
  t.same(neighbor('discardAttributes: [prefix_sid, 28, 28]').discardAttributes, [28, 40])
  t.same(neighbor('role: rs-client').enforceFirstAs, false)
  t.same(
    configOf(sound("listen: [{ address: '::' }]\nneighbors: [{ address: '2001:DB8:0::1', asn: 1 }]")).neighbors[0]
      ?.address,
    '2001:db8::1',
  )
  t.equal(configOf(sound('neighbors: [{ address: fe80::1%eth0, asn: 1 }]')).neighbors[0]?.address, 'fe80::1%eth0')
  t.match(configOf(sound('neighbors: [{ range: 10.0.0.0/8, asn: 1 }]')).neighbors[0], {
    passive: true,
    address: null,
    name: '10.0.0.0/8',
  })
  t.equal(configOf(sound('routerId: hash\nnodeName: a')).routerId, 0xca978112, 'SHA-256 of a')
  t.equal(routerIdHash('b') >>> 24, 0x3e)
  t.same(configOf(sound('reflector: {}\nrouterId: 1.2.3.4')).reflector, { clusterId: 0x01020304 })
  t.same(configOf(sound('api: { http: "[::1]:80" }')).api.http, { host: '::1', port: 80 })
  const rule = configOf(sound('originate: [{ prefix: 10.0.0.0/8, communities: [64512:1, 1:30, no-export, 1:2:3] }]'))
    .originate[0]
  t.match(rule, { communities: ['64512:1', '1:30', '65535:65281', '1:2:3'] }, '1:30 is not a number of base 60')
})

t.test('templates: later over earlier, own keys over all, nested', async (t) => {
  const { neighbors } = configOf(
    sound(`templates:
  base: { asn: 64513, holdTime: 9s, weight: 1 }
  rack: { use: base, weight: 2, import: accept-all }
  slow: { holdTime: 60s }
neighbors:
  - { address: 10.0.0.1, use: rack }
  - { address: 10.0.0.2, use: [rack, slow], weight: 5 }
  - { address: 10.0.0.3, use: [slow, rack], asn: 64512 }`),
  )
  t.match(neighbors, [
    { asn: 64513, holdTimeSeconds: 9, weight: 2, importPolicy: 'accept-all' },
    { asn: 64513, holdTimeSeconds: 60, weight: 5 },
    { asn: 64512, holdTimeSeconds: 9, weight: 2 },
  ])
})

t.test('environment variables fill values and nothing else', async (t) => {
  const node = (text: string, env: Record<string, string> = {}) => configOf(sound(`nodeName: ${text}`), env).nodeName
  t.equal(node('${NODE}', { NODE: 'a' }), 'a')
  t.equal(node('${NODE:-b}'), 'b')
  t.equal(node('${NODE:-b}', { NODE: '' }), 'b')
  t.equal(node('x-${A}-${B:-}-y', { A: '1' }), 'x-1--y')
  t.equal(node('$${NODE}'), '${NODE}')
  t.equal(node('"${NODE}"', { NODE: 'a: {b: [c' }), 'a: {b: [c', 'never read as YAML')
  t.equal(node('${NODE}', { NODE: '${OTHER}', OTHER: 'no' }), '${OTHER}', 'never replaced again')
  t.equal(configOf('asn: ${ASN}\nfib: { driver: off }', { ASN: '64999' }).asn, 64999)
  t.match(problemsOf(sound('nodeName: ${NODE}')), [{ line: 3, column: 11, message: /NODE is not set.*:-default/ }])
  t.match(problemsOf(sound('nodeName: ${1}')), [{ message: /starts an environment variable/ }])
  t.match(problemsOf(sound('${A}: 1'), { A: 'log' })[0], { path: '"${A}"', message: /unknown key/ }, 'keys stay')
})

t.test('what a variable held is not printed', async (t) => {
  const secret = 'hunter2'
  const text = sound(
    'routerId: ${S}\nlog: { level: "${S}" }\nneighbors: [{ address: "${S}", asn: "${S}", password: ["${S}"] }]',
  )
  const problems = problemsOf(text, { S: secret })
  t.ok(problems.length >= 5)
  t.notMatch(JSON.stringify(problems), secret)
})

t.test('YAML: documents, anchors and faults of syntax', async (t) => {
  t.match(problemsOf(''), [{ line: 1, message: /empty/ }])
  t.match(problemsOf('# nothing'), [{ message: /empty/ }])
  t.match(problemsOf('just text'), [{ message: /expected a mapping with the keys asn/ }])
  t.match(problemsOf('asn: 1\n---\nasn: 2\n')[0], { message: /one document/ })
  t.match(problemsOf('asn: !!python/object 1')[0], { message: /tags are not used/ })
  t.match(problemsOf('asn: [1')[0], { line: 1, message: /^YAML: / })
  t.match(problemsOf('a: &a [*a]')[0], { message: /itself in/ })
  t.match(problemsOf(`a: ${'['.repeat(30)}${']'.repeat(30)}`)[0], { message: /levels deep/ })
  t.match(problemsOf('['.repeat(100_000))[0], { message: /nested too deeply|YAML/ })
  t.match(problemsOf(sound('? [a, b]\n: 1'))[0], { line: 3, message: /plain text/ })
  t.match(problemsOf('asn: 1\nasn: 2\nfib: { driver: off }'), [
    { line: 2, column: 1, path: 'asn', message: /already on line 1/ },
  ])
  const shared = configOf(
    sound('x-none: &x 1').replace(
      'x-none: &x 1',
      'listen: [&l { address: 127.0.0.1 }]\nneighbors: [{ address: 10.0.0.1, asn: &n 64512 }, { address: 10.0.0.2, asn: *n }]',
    ),
  )
  t.equal(shared.neighbors[1]?.asn, 64512)
})

t.test('notes: what an operator may not expect', async (t) => {
  const note = (lines: string, message: RegExp) => t.match(notesOf(sound(lines)), [{ message }], lines)
  note('neighbors: [{ address: 10.0.0.1, asn: 1 }]', /neither import nor export.*RFC 8212/)
  note('neighbors: [{ address: 10.0.0.1, asn: 1, import: accept-all }]', /no export policy: nothing is sent/)
  note('neighbors: [{ address: 10.0.0.1, asn: 64512, keepalive: 40s }]', /more than a third/)
  note('neighbors: []', /no neighbours/)
  note("api: { http: '0.0.0.0:9179' }\nneighbors: [{ address: 10.0.0.1, asn: 64512 }]", /from the network/)
  t.match(notesOf(readFileSync(join(FIXTURES, 'good/reflector.yaml'), 'utf8')), [
    { path: 'fib.accept', message: /default route/ },
  ])
})

t.test(
  'VXLAN and external neighbours: a note where nothing was said of the Tunnel Encapsulation attribute',
  async (t) => {
    const policies = 'import: accept-all, export: accept-all'
    const noted = (neighbor: string, encapsulation = 'vxlan', more = '') => {
      const fib = `fib: { accept: [10.244.0.0/16], encapsulation: ${encapsulation}, vxlan: { address: 10.244.1.0/32 } }`
      const notes = notesOf(`asn: 64512\n${fib}\nneighbors: [{ address: 10.0.0.1, ${neighbor} }]\n${more}`)
      return notes.filter(({ message }) => message.includes('VTEP'))
    }
    t.match(noted(`name: tor, asn: 65001, ${policies}`), [
      {
        line: 3,
        path: 'neighbors[0].asn',
        message: /external neighbour tor nor.* rule .*tunnelEncapsulation: true on both ends/,
      },
    ])
    t.equal(noted(`asn: 65001, ${policies}`, '[{ within: 10.244.0.0/16, mode: vxlan-cross-subnet }]').length, 1)
    const silent = [
      [`asn: 64512, ${policies}`],
      [`asn: 65001, ${policies}, tunnelEncapsulation: true`],
      [`asn: 65001, ${policies}, tunnelEncapsulation: false`],
      [`use: t, ${policies}`, 'vxlan', 'templates: { t: { asn: 65001, tunnelEncapsulation: true } }'],
      [`asn: 65001, ${policies}, families: [ipv6-unicast]`],
      ['asn: 65001'],
      [`asn: 65001, ${policies}`, 'ipip'],
    ] as const
    for (const [neighbor, encapsulation, more] of silent) t.same(noted(neighbor, encapsulation, more), [], neighbor)
  },
)

t.test('ten thousand neighbours, each with a fault, end in a bounded list', async (t) => {
  const lines = Array.from({ length: 2000 }, (_, i) => `  - { address: 10.0.${i >> 8}.${i & 255}, asn: x }`)
  const problems = problemsOf(sound(`neighbors:\n${lines.join('\n')}`))
  t.equal(problems.length, 1001)
  t.match(problems.at(-1), { message: 'and 1000 more problems' })
})

t.test('the example file parses and names every key of the contract', async (t) => {
  const text = readFileSync(join(projectRoot, 'bgp.example.yaml'), 'utf8')
  const result = parse(text)
  t.ok(result.ok)
  const standing = text.replace(/^\s*#.*\b[Ll]ater\b.*$/gm, '')
  for (const keys of Object.values(SUPPORTED_KEYS)) {
    for (const key of keys) t.match(standing, new RegExp(`(^|[\\s{#])${key}:`, 'm'), key)
  }
})

t.test('AS migration and route servers: what does not go together', async (t) => {
  const messages = (keys: string): string[] =>
    problemsOf(sound(`listen: [{ address: 0.0.0.0, port: 179 }]\nneighbors: [{ ${keys} }]`)).map(
      ({ path, message }) => `${path}: ${message}`,
    )
  t.match(messages('address: 10.0.0.2, asn: 64513, dualAsn: true'), [/dualAsn: .*need a localAsn other than asn/])
  t.match(messages('range: 10.0.0.0/24, asn: 64513, localAsn: 64999, dualAsn: true'), [/dualAsn needs an address/])
  t.match(messages('address: 10.0.0.2, asn: 64999, localAsn: 64999, dualAsn: true'), [
    /dualAsn is for external neighbours: .* set localAsn alone/,
  ])
  t.match(messages('address: 10.0.0.2, asn: 64512, localAsn: 64999, dualAsn: true'), [/one of our two/])
  const client = 'address: 10.0.0.2, asn: 64513, routeServerClient: true'
  for (const key of ['nextHopSelf', 'asOverride', 'removePrivateAs'])
    t.match(messages(`${client}, ${key}: true`), [new RegExp(`${key} does not go with routeServerClient`)])
  t.same(messages(client), [])
  t.same(messages('address: 10.0.0.2, asn: 64513, localAsn: 64999, localAsnMode: prepend, dualAsn: true'), [])
})

t.test(
  'each key that the example has commented out, switched on alone, is taken or contradicts what stands beside it',
  async (t) => {
    const text = readFileSync(join(projectRoot, 'bgp.example.yaml'), 'utf8')
    const lines = text.split('\n')
    const switched: string[] = []
    const first = lines.findIndex((line) => line.startsWith('asn:'))
    for (const [at, line] of lines.entries()) {
      if (at < first) continue
      const [, indent, key, rest] = /^(\s*)# (\w+):( .*)$/.exec(line) ?? []
      if (key === undefined || /\bLater\b/.test(line)) continue
      const alone = [...lines]
      alone[at] = `${indent}${key}:${rest}`
      const problems = problemsOf(alone.join('\n')).map(({ path, message }) => `${path}: ${message}`)
      switched.push(key)
      const expected = CONTRADICTIONS[key]
      if (expected === undefined) t.same(problems, [], key)
      else t.match(problems, [expected], key)
    }
    const neighborKeys = [
      'gracefulRestart',
      'addPath',
      'role',
      'dualAsn',
      'damping',
      'maxAttributeSets',
      'discardAttributes',
    ]
    for (const key of [...neighborKeys, 'stateFile', 'limits', 'restartDeferral', 'asPath', 'prepend', 'tunnelAddress'])
      t.ok(switched.includes(key), key)
  },
)

/** Keys of the example that need another one. */
const CONTRADICTIONS: Readonly<Record<string, RegExp>> = {
  roleStrict: /roleStrict needs role/,
  localAsnMode: /need a localAsn other than asn/,
  dualAsn: /need a localAsn other than asn/,
  passwordFile: /tor-a.key cannot be read here/,
  passwordEnv: /environment variable that is named here is not set/,
}

t.test('aggregate: its short and long forms', async (t) => {
  const aggregateOf = (text: string): unknown => {
    const rule = configOf(sound(`originate: [{ fromKernel: {}${text} }]`)).originate[0]!
    return rule.kind === 'fromKernel' ? rule.aggregate : 'no rule'
  }
  const calico = { ipv4: 26, ipv6: 122, requireBlackhole: false, blackhole: false }
  t.equal(aggregateOf(''), null)
  t.equal(aggregateOf(', aggregate: false'), null)
  t.same(aggregateOf(', aggregate: true'), calico)
  t.same(aggregateOf(', aggregate: 24'), { ...calico, ipv4: 24 })
  t.same(aggregateOf(', aggregate: { ipv6: 64, blackhole: true }'), { ...calico, ipv6: 64, blackhole: true })
})
