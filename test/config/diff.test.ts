import t from 'tap'
import { diffConfig, isEmptyDiff } from '../../src/config/diff.js'
import type { ConfigDiff } from '../../src/config/types.js'
import { configOf } from './support.js'

const BASE = `asn: 64512
routerId: 10.0.0.1
originate: [10.244.1.0/26]
neighbors:
  - { name: a, address: 10.0.0.2, asn: 64513, import: p, export: p }
  - { name: b, address: 10.0.0.3, asn: 64512 }
policies: { p: accept, q: [{ action: reject }] }
fib: { driver: memory, accept: [10.244.0.0/16] }
`
const NOTHING: ConfigDiff = {
  neighborsAdded: [],
  neighborsRemoved: [],
  neighborsReset: [],
  neighborsChanged: [],
  policiesChanged: [],
  originateChanged: false,
  fibChanged: [],
  listenChanged: false,
  apiChanged: false,
  reflectorChanged: false,
  logChanged: false,
  restartNeeded: [],
}

function change(from: string, to: string): ConfigDiff {
  if (!BASE.includes(from)) throw new Error(`not in the base: ${from}`)
  return diffConfig(configOf(BASE), configOf(BASE.replace(from, to)))
}

t.test('the same file, written otherwise, changes nothing', async (t) => {
  const diff = change(
    'name: b, address: 10.0.0.3, asn: 64512',
    'asn: 64512, holdTime: 1m30s, address: 10.0.0.3, name: b, passive: false',
  )
  t.same(diff, NOTHING)
  t.ok(isEmptyDiff(diff))
})

t.test('each kind of change shows where it belongs', async (t) => {
  const cases: readonly (readonly [from: string, to: string, diff: Partial<ConfigDiff>])[] = [
    ['policies:', '  - { name: c, range: 10.1.0.0/16, asn: 64512 }\npolicies:', { neighborsAdded: ['c'] }],
    ['  - { name: b, address: 10.0.0.3, asn: 64512 }\n', '', { neighborsRemoved: ['b'] }],
    ['name: b', 'name: bb', { neighborsAdded: ['bb'], neighborsRemoved: ['b'] }],
    ['10.0.0.3, asn: 64512', '10.0.0.4, asn: 64512', { neighborsReset: [{ name: 'b', keys: ['address'] }] }],
    [
      '10.0.0.3, asn: 64512',
      '10.0.0.3, asn: 64512, holdTime: 9s, weight: 3',
      { neighborsReset: [{ name: 'b', keys: ['holdTimeSeconds', 'keepaliveSeconds'] }] },
    ],
    ['10.0.0.3, asn: 64512', '10.0.0.3, asn: 64512, bfd: true', { neighborsChanged: [{ name: 'b', keys: ['bfd'] }] }],
    [
      'import: p, export: p',
      'import: q, export: p, weight: 3',
      { neighborsChanged: [{ name: 'a', keys: ['weight', 'importPolicy'] }] },
    ],
    [
      '10.0.0.3, asn: 64512',
      '10.0.0.3, asn: 64512, shutdown: true',
      { neighborsChanged: [{ name: 'b', keys: ['shutdown'] }] },
    ],
    ['p: accept', 'p: reject', { policiesChanged: ['p'] }],
    [', q: [{ action: reject }]', ', r: accept', { policiesChanged: ['q', 'r'] }],
    ['originate: [10.244.1.0/26]', 'originate: [10.244.1.0/26, 10.244.2.0/26]', { originateChanged: true }],
    ['accept: [10.244.0.0/16]', 'accept: [10.244.0.0/16, 10.96.0.0/12]', { fibChanged: ['fib.accept'] }],
    ['driver: memory', 'driver: memory, sweepAfter: 5s', { fibChanged: ['fib.sweepAfterMs'] }],
    ['driver: memory', 'driver: off', { fibChanged: ['fib.driver'], restartNeeded: ['fib.driver'] }],
    ['asn: 64512\n', 'asn: 64512\nlisten: [{ address: 127.0.0.1 }]\n', { listenChanged: true }],
    ['asn: 64512\n', 'asn: 64512\napi: { http: "127.0.0.1:9179" }\n', { apiChanged: true }],
    ['asn: 64512\n', 'asn: 64512\nreflector: {}\n', { reflectorChanged: true }],
    ['asn: 64512\n', 'asn: 64512\nlog: { level: warn }\n', { logChanged: true }],
    ['routerId: 10.0.0.1', 'routerId: 10.0.0.9', { restartNeeded: ['routerId'] }],
  ]
  for (const [from, to, expected] of cases) {
    const diff = change(from, to)
    t.same(diff, { ...NOTHING, ...expected }, to)
    t.notOk(isEmptyDiff(diff), 'not empty')
  }
})

t.test('a mode comes and goes at run time with the settings of its device; those of one that stays do not', (t) => {
  const fib = (keys: string) => configOf(BASE.replace('driver: memory', `driver: memory, ${keys}`))
  const plain = configOf(BASE)
  const vxlan = fib('encapsulation: vxlan')
  const udp = fib('encapsulation: [{ within: 10.244.0.0/16, mode: udp }]')
  for (const [before, after] of [
    [plain, vxlan],
    [vxlan, plain],
    [plain, udp],
    [udp, vxlan],
    [vxlan, udp],
  ] as const) {
    const diff = diffConfig(before, after)
    t.ok(diff.fibChanged.includes('fib.encapsulation'))
    t.same(diff.restartNeeded, [])
  }
  const other = fib('encapsulation: vxlan-cross-subnet, vxlan: { vni: 7 }')
  t.same(diffConfig(vxlan, other).restartNeeded, ['fib.vxlan'])
  t.same(diffConfig(plain, fib('tunnelDevice: ipip9')).restartNeeded, [])
  t.end()
})

t.test('another AS of ours needs a restart and would end every session', async (t) => {
  const diff = change('asn: 64512\n', 'asn: 64500\n')
  t.same(diff.restartNeeded, ['asn'])
  t.same(
    diff.neighborsReset.map(({ name }) => name),
    ['a', 'b'],
  )
})
